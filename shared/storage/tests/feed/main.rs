//! Tests of the change feed on a real store: SQLite, or with `KEIZOKU_TEST_STORE=postgres` the PostgreSQL at
//! `KEIZOKU_TEST_POSTGRES_URL`. What needs several processes' worth of connections runs on PostgreSQL only.

mod bootstraps;
mod consumers;
mod follows;
mod log;
mod mirror;
mod property;
mod quarantines;
mod replicas;
mod rings;
mod store;
mod writers;
