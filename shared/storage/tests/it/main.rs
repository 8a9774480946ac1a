//! Tests of the storage plumbing on a real store: SQLite, or with `KEIZOKU_TEST_STORE=postgres` the PostgreSQL at
//! `KEIZOKU_TEST_POSTGRES_URL`.

mod batches;
mod bulk;
mod folder;
mod migrations;
mod requests;
mod store;
mod transactions;
mod wall;
