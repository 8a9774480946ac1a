//! What ingestion decides: what is accepted, what was there already, how it counts.
//!
//! Pure: no wire, no store, no clock. Drafts come in as they were decoded, with everything that is wrong named at
//! once; packed bytes come out that are the same for the same facts in whatever order these arrive.

pub mod account;
pub mod block;
pub mod check;
pub mod coverage;
pub mod covered;
pub mod dedupe;
pub mod event;
pub mod key;
pub mod metric;
pub mod pack;
pub mod reason;
pub mod set;
pub mod time;
pub mod value;
