//! The plumbing under every service's store: connections and the one transaction type, dialects, migrations, bulk
//! inserts, batching, the feed, the cache.
//!
//! It knows no table of any service and no message of any API, and nothing outside of it begins a transaction or reads
//! an SQL error code.

pub mod arg;
pub mod batcher;
pub mod bulk;
pub mod cache;
pub mod config;
pub mod db;
pub mod dialect;
pub mod fault;
pub mod feed;
pub mod folder_lock;
mod metrics;
pub mod migrate;
pub mod request_log;
pub mod row;
pub mod tx;

pub use arg::Arg;
pub use batcher::{BatchFault, BatchLimits, Batcher};
pub use bulk::{OnConflict, bulk_insert, bulk_insert_returning};
pub use config::DatabaseConfig;
pub use db::Db;
pub use dialect::{Dialect, SqlType};
pub use fault::{DbFault, RetryableTx};
pub use migrate::{Migration, migrate};
pub use row::Row;
pub use tx::{Scope, Tx};
