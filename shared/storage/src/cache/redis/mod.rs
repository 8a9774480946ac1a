//! The cache that many processes share.

mod body;
mod link;
mod scripts;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use keizoku_base::{Clock, Micros, WorkspaceId};

use self::link::Link;
use self::scripts::Scripts;
use self::wire::Target;
use super::freshness::Freshness;
use super::metrics::Metrics;
use super::shelf::{Shelf, Slot};
use super::{Cache, Entry, Hit, Key, LEASE_MILLIS, Lease, MAX_AGE, NotTaken, bounded, is_within};
use crate::feed::{FeedEpoch, Partitions};

/// Entries that one script call puts: a call keeps Redis from answering others for about a millisecond.
const ENTRIES_PER_CALL: usize = 250;

/// How [`Redis`] is reached and used.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `redis://[user:password@]host:port[/database]`: one server, or some nodes of a cluster.
    pub urls: Vec<String>,
    /// Whether they are nodes of a Redis Cluster.
    pub cluster: bool,
    /// What every key begins with: one for each service and deployment.
    pub prefix: String,
    /// Bytes of memory in this process for values read lately; 0 for none.
    pub near_capacity: usize,
    /// A read that takes longer is answered from the database.
    pub read_timeout: Duration,
    /// A fill that takes longer was not taken.
    pub fill_timeout: Duration,
    /// How long a value stays in Redis that nobody puts again.
    pub keep: Duration,
}

impl RedisConfig {
    /// One server, with the usual limits: 32 MiB near, 50 ms for reads, 1 s for fills, kept for an hour.
    pub fn new(url: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            cluster: false,
            prefix: prefix.into(),
            near_capacity: 32 << 20,
            read_timeout: Duration::from_millis(50),
            fill_timeout: Duration::from_secs(1),
            keep: Duration::from_secs(3600),
        }
    }
}

/// The address of Redis cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("is not an address of Redis of the form redis://host:port")]
pub struct RedisConfigFault(#[source] ::redis::RedisError);

/// Holds values in Redis, and for moments in this process. Serves nothing until [`Redis::run`] runs.
#[derive(Debug)]
pub struct Redis {
    config: RedisConfig,
    target: Target,
    scripts: Scripts,
    near: Shelf,
    freshness: Freshness,
    link: RwLock<Option<Arc<Link>>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Redis {
    /// A cache at that address; nothing connects yet. `clock` tells the real time, not a workspace's.
    pub fn new(config: RedisConfig, clock: Arc<dyn Clock>) -> Result<Self, RedisConfigFault> {
        Ok(Self {
            target: Target::new(&config).map_err(RedisConfigFault)?,
            scripts: Scripts::new(),
            near: Shelf::new(config.near_capacity),
            freshness: Freshness::unknown(),
            link: RwLock::new(None),
            clock,
            metrics: Metrics::new("redis"),
            config,
        })
    }

    /// Whether Redis answers now. Where it does not, everything is read from the database, at no cost.
    pub fn is_usable(&self) -> bool {
        self.link().is_some()
    }

    fn link(&self) -> Option<Arc<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_link(&self, link: Option<Arc<Link>>) {
        self.metrics.usable(link.is_some());
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// Gives up a link that fails: nobody waits for it any more until [`Redis::run`] found it well again.
    fn give_up(&self, failing: &Arc<Link>) {
        let mut link = self.link.write().unwrap_or_else(PoisonError::into_inner);
        if link.as_ref().is_some_and(|held| Arc::ptr_eq(held, failing)) {
            *link = None;
            self.metrics.usable(false);
            tracing::warn!("Redis does not answer; everything is read from the database until it does");
        }
    }

    /// Runs one operation within `limit`, and judges the link by its outcome.
    async fn call<T>(
        &self,
        link: &Arc<Link>,
        operation: &'static str,
        limit: Duration,
        call: impl Future<Output = ::redis::RedisResult<T>>,
    ) -> Option<T> {
        let failing = match tokio::time::timeout(limit, call).await {
            Ok(Ok(value)) => {
                link.succeeded();
                return Some(value);
            }
            Ok(Err(fault)) => {
                tracing::debug!(%fault, operation, "Redis refused or failed");
                link.failed(fault.is_unrecoverable_error())
            }
            Err(_elapsed) => link.failed(false),
        };
        self.metrics.failed(operation);
        if failing {
            self.give_up(link);
        }
        None
    }

    fn confirmed(&self, key: &Key, now: Micros, max_age: i64) -> Option<Micros> {
        self.freshness.of(key.epoch(), key.partition()).filter(|at| is_within(*at, now, max_age))
    }

    /// Looks the keys of one workspace up in Redis; each comes with its place among the hits and its time of confirmation.
    async fn read(&self, link: &Arc<Link>, keys: &[Key], wanted: &[(usize, Micros)], hits: &mut [Option<Hit>]) {
        let mut command = ::redis::cmd("MGET");
        for (place, _) in wanted {
            command.arg(keys[*place].text(&self.config.prefix, link.life));
        }
        let mut wire = link.wire.clone();
        let answer = command.query_async::<Vec<Option<Vec<u8>>>>(&mut wire);
        let Some(bodies) = self.call(link, "get", self.config.read_timeout, answer).await else { return };
        for ((place, confirmed_at), body) in wanted.iter().zip(bodies) {
            let Some((version, value)) = body.and_then(|body| body::decode(Bytes::from(body))) else { continue };
            let slot = Slot { version, value: value.clone(), confirmed_at: *confirmed_at };
            self.near.put(keys[*place].clone(), slot);
            hits[*place] = value.map(|value| Hit { version, value, confirmed_at: *confirmed_at });
        }
    }
}

#[async_trait]
impl Cache for Redis {
    async fn get(&self, keys: &[Key], max_age: Duration) -> Vec<Option<Hit>> {
        let (now, max_age) = (self.clock.now(), bounded(max_age));
        let link = self.link();
        let mut hits = vec![None; keys.len()];
        let (mut near, mut bypassed) = (0, 0);
        let mut wanted = BTreeMap::<WorkspaceId, Vec<(usize, Micros)>>::new();
        for (place, key) in keys.iter().enumerate() {
            let held = self.near.get(key).filter(|slot| is_within(slot.confirmed_at, now, max_age));
            if let Some(Slot { version, value, confirmed_at }) = held {
                near += u64::from(value.is_some());
                hits[place] = value.map(|value| Hit { version, value, confirmed_at });
                continue;
            }
            match self.confirmed(key, now, max_age).filter(|_| link.is_some()) {
                Some(at) => wanted.entry(key.workspace()).or_default().push((place, at)),
                None => bypassed += 1,
            }
        }
        if let Some(link) = &link {
            for wanted in wanted.values() {
                self.read(link, keys, wanted, &mut hits).await;
            }
        }
        self.metrics.read(&hits, near, bypassed);
        hits
    }

    async fn lease(&self, keys: &[Key]) -> Vec<Option<Lease>> {
        let now = self.clock.now();
        let mut leases = vec![None; keys.len()];
        let Some(link) = self.link() else { return leases };
        let mut asked = BTreeMap::<WorkspaceId, Vec<(usize, [u8; 16])>>::new();
        for (place, key) in keys.iter().enumerate() {
            let mut token = [0; 16];
            if self.confirmed(key, now, bounded(MAX_AGE)).is_some() && getrandom::fill(&mut token).is_ok() {
                asked.entry(key.workspace()).or_default().push((place, token));
            }
        }
        for asked in asked.values() {
            let mut pipeline = ::redis::pipe();
            for (place, token) in asked {
                let text = lease_key(&keys[*place].text(&self.config.prefix, link.life));
                pipeline.cmd("SET").arg(text).arg(token).arg("NX").arg("PX").arg(LEASE_MILLIS);
            }
            let mut wire = link.wire.clone();
            let answer = pipeline.query_async::<Vec<Option<String>>>(&mut wire);
            let given = self.call(&link, "lease", self.config.read_timeout, answer).await.unwrap_or_default();
            for ((place, token), _) in asked.iter().zip(given).filter(|(_, given)| given.is_some()) {
                leases[*place] = Some(Lease { key: keys[*place].clone(), token: *token, life: link.life });
            }
        }
        leases
    }

    async fn refill(&self, found: Vec<(Lease, Hit)>) {
        let Some(link) = self.link() else { return };
        let mut by_workspace = BTreeMap::<WorkspaceId, Vec<(Lease, Hit)>>::new();
        for (lease, hit) in found.into_iter().filter(|(lease, _)| lease.life == link.life) {
            by_workspace.entry(lease.key.workspace()).or_default().push((lease, hit));
        }
        for some in by_workspace.values().flat_map(|found| found.chunks(ENTRIES_PER_CALL)) {
            let mut call = self.scripts.put(self.config.keep);
            for (lease, hit) in some {
                let key = lease.key.text(&self.config.prefix, link.life);
                call.add(&key, &lease_key(&key), Some(lease.token), &body::encode(hit.version, Some(&hit.value)));
            }
            let mut wire = link.wire.clone();
            let put = self.call(&link, "refill", self.config.read_timeout, call.run(&mut wire)).await;
            for (lease, hit) in put.unwrap_or_default().into_iter().filter_map(|place| some.get(place)) {
                let Hit { version, value, confirmed_at } = hit.clone();
                self.near.put(lease.key.clone(), Slot { version, value: Some(value), confirmed_at });
            }
        }
    }

    async fn fill(&self, entries: Vec<Entry>) -> Result<(), NotTaken> {
        let link = self.link().ok_or(NotTaken)?;
        for some in entries.chunks(ENTRIES_PER_CALL) {
            let mut call = self.scripts.put(self.config.keep);
            for Entry { key, version, value } in some {
                let text = key.text(&self.config.prefix, link.life);
                call.add(&text, &lease_key(&text), None, &body::encode(*version, value.as_ref()));
            }
            let mut wire = link.wire.clone();
            self.call(&link, "fill", self.config.fill_timeout, call.run(&mut wire)).await.ok_or(NotTaken)?;
        }
        for Entry { key, version, value } in entries {
            // Not known to be the newest before the filler says so.
            let confirmed_at = self.freshness.of(key.epoch(), key.partition()).unwrap_or_default();
            self.near.put(key, Slot { version, value, confirmed_at });
        }
        Ok(())
    }

    async fn confirm(&self, epoch: FeedEpoch, partitions: Partitions, as_of: Micros) -> Result<(), NotTaken> {
        let link = self.link().ok_or(NotTaken)?;
        let age = self.clock.now().since(as_of).max(0);
        let hash = link.freshness_key(&self.config.prefix);
        let mut wire = link.wire.clone();
        let answer = self.scripts.confirm(&mut wire, &hash, epoch, partitions, age);
        self.call(&link, "confirm", self.config.fill_timeout, answer).await.ok_or(NotTaken)?;
        self.freshness.confirm(epoch, partitions, as_of);
        Ok(())
    }
}

/// Where the right to refill a key is held; in the same slot of a cluster.
fn lease_key(key: &str) -> String {
    format!("{key}:lease")
}
