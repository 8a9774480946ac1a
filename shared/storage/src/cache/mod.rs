//! Versioned cached answers: right or absent, never wrong, and at most a second old.
//!
//! A cache is *filled* by a consumer of the service's own feed and *refilled* by readers that found nothing. Four rules
//! keep it right whatever fails:
//!
//! - An older version never replaces a newer one.
//! - The filler says up to which instant it has applied everything ([`Cache::confirm`]). What is not confirmed within the
//!   last second is not served, so a slow, stopped or newly started filler makes readers go to the database.
//! - A reader refills only under a [`Lease`] taken before it read the database; filling, flushing or evicting the key ends
//!   the lease, so that a value read before a change is never stored after it.
//! - Everything in Redis belongs to one life of Redis and one epoch of the feed. After a restart or a restore all is absent.
//!
//! No failure of a cache is an error for readers: they get less from it and ask the database.

mod confirmer;
mod flights;
mod freshness;
mod in_process;
mod key;
mod metrics;
mod read_through;
mod redis;
mod shelf;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use keizoku_base::Micros;

use crate::feed::{FeedEpoch, HandleFault, Partitions};

pub use confirmer::Confirmer;
pub use in_process::InProcess;
pub use key::Key;
pub use read_through::{Found, ReadThrough};
pub use redis::{Redis, RedisConfig, RedisConfigFault};

/// No answer comes out of a cache longer than this after it was known to be right.
pub const MAX_AGE: Duration = Duration::from_secs(1);

/// How long a reader may take to refill, in milliseconds.
const LEASE_MILLIS: u64 = 2_000;

/// What a cache holds for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The version of the value.
    pub version: i64,
    /// The value as it was put.
    pub value: Bytes,
    /// When it was last known to be the newest.
    pub confirmed_at: Micros,
}

/// A value to put under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Grows with every change of what the key names.
    pub version: i64,
    /// The value; `None` where what the key names is gone: readers then ask the database.
    pub value: Option<Bytes>,
}

/// The right to refill one key, for two seconds at most. One reader at a time holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    key: Key,
    token: [u8; 16],
    /// Which life of the cache it was given in.
    life: u64,
}

/// The cache did not take what it was filled with: the filler must not move its cursor and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cache cannot be filled now")]
pub struct NotTaken;

impl From<NotTaken> for HandleFault {
    fn from(fault: NotTaken) -> Self {
        Self::again(fault)
    }
}

/// A versioned cache. Two ship: [`InProcess`] for one process, [`Redis`] for many.
#[async_trait]
pub trait Cache: Send + Sync + std::fmt::Debug {
    /// What is held for each key, in order, as far as it was confirmed within `max_age` (and within [`MAX_AGE`]).
    async fn get(&self, keys: &[Key], max_age: Duration) -> Vec<Option<Hit>>;

    /// Takes the right to refill, key by key; `None` where another reader has it or the key cannot be served now.
    async fn lease(&self, keys: &[Key]) -> Vec<Option<Lease>>;

    /// Puts what a reader found in the database, as far as the leases still hold.
    async fn refill(&self, found: Vec<(Lease, Hit)>);

    /// Puts what the filler read from the feed. All entries are of one workspace.
    async fn fill(&self, entries: Vec<Entry>) -> Result<(), NotTaken>;

    /// The filler's word that every change of `partitions` committed before `as_of` (real time, read before the heads were)
    /// is filled, in all workspaces. [`Confirmer`] says it four times a second; unsaid for one, readers go to the database.
    async fn confirm(&self, epoch: FeedEpoch, partitions: Partitions, as_of: Micros) -> Result<(), NotTaken>;
}

/// `max_age` in microseconds, at most [`MAX_AGE`].
fn bounded(max_age: Duration) -> i64 {
    i64::try_from(max_age.min(MAX_AGE).as_micros()).unwrap_or(0)
}

/// Whether `confirmed_at` is within `max_age` microseconds before `now`. What lies in the future is not: clocks jump.
fn is_within(confirmed_at: Micros, now: Micros, max_age: i64) -> bool {
    (0..=max_age).contains(&now.since(confirmed_at))
}
