//! The change feed: the one mechanism between services.
//!
//! A writer appends changes in the transaction that makes them ([`append()`]); seqs are contiguous within (workspace,
//! partition) and in commit order. A reader follows heads and pages ([`follow()`]), woken by a [`Doorbell`]. A
//! [`Consumer`] applies what a [`Source`] gives through a [`Handler`], state and cursors in one transaction, so that
//! each change has its effect exactly once however often processes die.
//!
//! Where several processes share a PostgreSQL database, each runs a [`Ringer`] beside its consumers and `Follow`
//! servers; without one, changes of other processes are noticed by the safety poll only.
//!
//! Lock order of every transaction here and in handlers: cursors by ascending partition, then state, then heads by
//! ascending partition.

mod append;
mod apply;
mod bootstrap;
mod consumer;
mod cursor;
mod ddl;
mod doorbell;
mod fault;
mod follow;
mod lease;
mod quarantine;
mod read;
mod ringer;
mod session;
mod source;
mod status;
mod trim;
mod types;
mod wire;

pub use append::{append, claim, forget};
pub use consumer::{Consumer, ConsumerSettings, Handler};
pub use cursor::{Pinned, applied, pin, skip_to_floor};
pub use ddl::ddl;
pub use doorbell::{Bell, Doorbell, Ring, Rung};
pub use fault::{FeedFault, HandleFault, Verdict};
pub use follow::{Follow, Followed, Journal, SnapshotPage, follow};
pub use quarantine::{QuarantineKey, Quarantined};
pub use read::{Page, PageLimit, epoch, heads, heads_of, page, pages, renew_epoch};
pub use ringer::{Ringer, RingerSettings};
pub use source::{LocalSource, SAFETY_POLL, Source};
pub use status::{Activity, Status};
pub use trim::{expire, raise_floor, trim};
pub use types::{Batch, Cursor, Draft, FeedEpoch, FeedRow, Head, Log, Partitions, Segment};
pub use wire::{put_field, read_stamp, stamp};
