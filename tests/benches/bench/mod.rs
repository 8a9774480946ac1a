//! The measurements, a file each.

pub(crate) mod freshness;
pub(crate) mod idle;
pub(crate) mod ingest;
pub(crate) mod ingest_sqlite;
pub(crate) mod score_read;
pub(crate) mod taking_in;
