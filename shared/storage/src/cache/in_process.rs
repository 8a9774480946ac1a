//! The cache of one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::{Clock, Micros};

use super::freshness::Freshness;
use super::metrics::Metrics;
use super::shelf::{Shelf, Slot};
use super::{Cache, Entry, Hit, Key, LEASE_MILLIS, Lease, MAX_AGE, NotTaken, bounded, is_within};
use crate::feed::{FeedEpoch, Partitions};

/// Holds values in this process alone: for deployments where reader and filler are one process.
#[derive(Debug)]
pub struct InProcess {
    shelf: Shelf,
    freshness: Freshness,
    clock: Arc<dyn Clock>,
    tokens: AtomicU64,
    metrics: Metrics,
}

impl InProcess {
    /// An empty cache for about `capacity` bytes. `clock` tells the real time, not a workspace's.
    pub fn new(capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            shelf: Shelf::new(capacity),
            freshness: Freshness::unknown(),
            clock,
            tokens: AtomicU64::new(0),
            metrics: Metrics::new("in_process"),
        }
    }

    fn confirmed(&self, key: &Key, now: Micros, max_age: i64) -> Option<Micros> {
        self.freshness.of(key.epoch(), key.partition()).filter(|at| is_within(*at, now, max_age))
    }
}

#[async_trait]
impl Cache for InProcess {
    async fn get(&self, keys: &[Key], max_age: Duration) -> Vec<Option<Hit>> {
        let (now, max_age) = (self.clock.now(), bounded(max_age));
        let mut bypassed = 0;
        let look = |key: &Key| {
            // The filler's word is read before the value: a value put later can only be newer than the word says.
            let Some(confirmed_at) = self.confirmed(key, now, max_age) else {
                bypassed += 1;
                return None;
            };
            let Slot { version, value, .. } = self.shelf.get(key)?;
            Some(Hit { version, value: value?, confirmed_at })
        };
        let hits: Vec<_> = keys.iter().map(look).collect();
        self.metrics.read(&hits, 0, bypassed);
        hits
    }

    async fn lease(&self, keys: &[Key]) -> Vec<Option<Lease>> {
        let now = self.clock.now();
        let lease = |key: &Key| {
            self.confirmed(key, now, bounded(MAX_AGE))?;
            let number = self.tokens.fetch_add(1, Ordering::Relaxed);
            let token = u128::from(number).to_be_bytes();
            self.shelf.lease(key, token, Duration::from_millis(LEASE_MILLIS)).then(|| Lease {
                key: key.clone(),
                token,
                life: 0,
            })
        };
        keys.iter().map(lease).collect()
    }

    async fn refill(&self, found: Vec<(Lease, Hit)>) {
        for (Lease { key, token, .. }, Hit { version, value, .. }) in found {
            self.shelf.put_leased(key, Slot { version, value: Some(value), confirmed_at: Micros(0) }, token);
        }
    }

    async fn fill(&self, entries: Vec<Entry>) -> Result<(), NotTaken> {
        for Entry { key, version, value } in entries {
            self.shelf.put(key, Slot { version, value, confirmed_at: Micros(0) });
        }
        Ok(())
    }

    async fn confirm(&self, epoch: FeedEpoch, partitions: Partitions, as_of: Micros) -> Result<(), NotTaken> {
        self.freshness.confirm(epoch, partitions, as_of);
        Ok(())
    }
}
