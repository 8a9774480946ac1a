//! A cache to test, whichever is chosen.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keizoku_base::{Clock, Micros, Partition, SystemClock, WorkspaceId};
use keizoku_storage::cache::{Cache, Entry, Hit, InProcess, Key, MAX_AGE, ReadThrough, Redis, RedisConfig};
use keizoku_storage::feed::{FeedEpoch, Partitions};
use keizoku_testkit::{Store, eventually, redis_url, unique_name};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A cache, and what keeps it going.
pub(crate) struct Rig {
    pub(crate) cache: Arc<dyn Cache>,
    _running: JoinSet<()>,
}

impl Rig {
    /// The cache of the chosen store, ready and confirmed.
    pub(crate) async fn new() -> Self {
        let rig = match Store::chosen() {
            Store::Sqlite => {
                Self { cache: Arc::new(InProcess::new(16 << 20, Arc::new(SystemClock))), _running: JoinSet::new() }
            }
            Store::Postgres => Self::on(config(redis_url())).await.0,
        };
        rig.confirm().await;
        rig
    }

    /// A cache in Redis, connected.
    pub(crate) async fn on(config: RedisConfig) -> (Self, Arc<Redis>) {
        let redis = Arc::new(Redis::new(config, Arc::new(SystemClock)).expect("an address"));
        let mut running = JoinSet::new();
        let cache = redis.clone();
        running.spawn(async move { cache.run(CancellationToken::new()).await });
        eventually(SOON, || async { redis.is_usable() }).await;
        (Self { cache: redis.clone(), _running: running }, redis)
    }

    pub(crate) async fn confirm(&self) {
        self.cache.confirm(epoch(), Partitions::ALL, SystemClock.now()).await.expect("taken");
    }

    pub(crate) async fn fill(&self, key: &Key, version: i64) {
        self.cache.fill(vec![entry(key, version)]).await.expect("taken");
    }

    pub(crate) async fn version(&self, key: &Key) -> Option<i64> {
        self.hit(key).await.map(|hit| hit.version)
    }

    pub(crate) async fn hit(&self, key: &Key) -> Option<Hit> {
        self.cache.get(std::slice::from_ref(key), MAX_AGE).await.remove(0)
    }

    pub(crate) fn reader(&self) -> ReadThrough {
        ReadThrough::new(self.cache.clone(), Arc::new(SystemClock))
    }
}

/// A configuration whose keys no other test sees.
pub(crate) fn config(url: String) -> RedisConfig {
    RedisConfig::new(url, unique_name())
}

pub(crate) fn epoch() -> FeedEpoch {
    FeedEpoch::from_bytes(&[7; 16]).expect("16 bytes")
}

pub(crate) fn workspace(number: u8) -> WorkspaceId {
    WorkspaceId::seeded(Micros(0), [number; 10])
}

pub(crate) fn key(id: u8) -> Key {
    let partition = Partition::new(id % 64).expect("below 64");
    Key::new(epoch(), workspace(1), partition, "score", &[id; 16])
}

pub(crate) fn value(version: i64) -> Bytes {
    Bytes::from(format!("value {version}"))
}

pub(crate) fn entry(key: &Key, version: i64) -> Entry {
    Entry { key: key.clone(), version, value: Some(value(version)) }
}
