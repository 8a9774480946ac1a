//! What both caches promise, and what the shared one promises while Redis fails.
//!
//! `KEIZOKU_TEST_STORE=sqlite` runs the promises on the cache in the process, `postgres` on Redis at
//! `KEIZOKU_TEST_REDIS_URL`. Faults are tried on a Redis of the test's own.

mod faults;
mod filled;
mod history;
mod promises;
mod rig;
mod server;
