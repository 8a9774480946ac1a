//! Keeps the cache of scores right: puts every change of the service's own feed into it and says how far that has come.
//!
//! A cache of this process alone follows the feed by itself, from where the feed is when it begins: it holds nothing before,
//! and other replicas have caches of their own. One that replicas share is filled by one of them at a time, a consumer with
//! cursors.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use keizoku_base::{Partition, SystemClock, WorkspaceId};
use keizoku_runtime::Tasks;
use keizoku_storage::cache::{Confirmer, Redis};
use keizoku_storage::feed::{
    self, Batch, Consumer, ConsumerSettings, Cursor, FeedEpoch, FeedFault, Follow, Followed, HandleFault, Handler,
    LocalSource, Log, Partitions,
};
use keizoku_storage::{Scope, Tx};
use tokio_util::sync::CancellationToken;

use crate::app::{App, follow};
use crate::error::ScoringFault;

/// How often the cache hears how far it is filled: what it has not heard for a second is not served.
const CONFIRM: Duration = Duration::from_millis(250);
/// How often the feed is looked at although nothing rang.
const SAFETY_POLL: Duration = Duration::from_secs(1);
/// How long after a failure the cache of this process begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Fills the cache that replicas share.
pub(crate) fn fill_shared(tasks: &Tasks, app: &Arc<App>, redis: Arc<Redis>) {
    let source = LocalSource::new("scoring", app.db.clone(), follow::journal());
    let filler = Arc::new(Filler { app: Arc::clone(app) });
    let clock = Arc::new(SystemClock);
    let consumer = Consumer::new(app.db.clone(), Arc::new(source), filler, clock.clone(), ConsumerSettings::default());
    let cache = Arc::clone(app.scores.cache());
    let confirmer = Arc::new(Confirmer::new(cache, app.db.clone(), consumer.clone(), clock));
    tasks.spawn("score cache connection", move |stop| {
        let redis = Arc::clone(&redis);
        async move { redis.run(stop).await }
    });
    tasks.spawn("score cache filler", move |stop| {
        let consumer = consumer.clone();
        async move { consumer.run(stop).await }
    });
    tasks.spawn("score cache confirmer", move |stop| {
        let confirmer = Arc::clone(&confirmer);
        async move { confirmer.run(stop).await }
    });
}

/// Fills the cache of this process.
pub(crate) fn fill_own(tasks: &Tasks, app: &Arc<App>) {
    let app = Arc::clone(app);
    tasks.spawn("score cache filler", move |stop| {
        let app = Arc::clone(&app);
        async move {
            while !stop.is_cancelled() {
                if let Err(fault) = mirror(&app, &stop).await {
                    tracing::warn!(%fault, "the cache of scores is emptied; it is filled again in a second");
                    stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
            }
        }
    });
}

/// A consumer of the service's own feed, of all kinds.
struct Filler {
    app: Arc<App>,
}

#[async_trait]
impl Handler for Filler {
    fn name(&self) -> &'static str {
        "score_cache"
    }

    async fn handle(&self, tx: &Tx, batch: &Batch) -> Result<(), HandleFault> {
        let epoch = feed::epoch(tx).await.map_err(HandleFault::again)?;
        if epoch != self.app.scores.life() {
            self.app.scores.begin(epoch);
        }
        let entries = self.app.scores.entries(&self.app, tx, batch).await.map_err(HandleFault::again)?;
        Ok(self.app.scores.cache().fill(entries).await?)
    }

    async fn sweep(&self, _: &Tx, _: WorkspaceId, _: Partition, _: i64) -> Result<bool, HandleFault> {
        // Nothing is kept here that could be of an older life: the keys carry it.
        Ok(false)
    }
}

/// Follows the feed into an empty cache until the process stops or something fails.
async fn mirror(app: &App, stop: &CancellationToken) -> Result<(), ScoringFault> {
    static LIVES: AtomicU64 = AtomicU64::new(1);
    let life = u128::from(LIVES.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
    let Some(life) = FeedEpoch::from_bytes(&life) else { return Ok(()) };
    let mut mirror = Mirror::begin(app, life).await?;
    // From here on nothing of an earlier life is read, and what readers put is followed.
    app.scores.begin(life);
    let wanted = Follow {
        epoch: mirror.epoch,
        cursors: mirror.cursors(),
        partitions: Partitions::ALL,
        workspace: None,
        kinds: Vec::new(),
    };
    let mut followed = feed::follow(app.db.clone(), follow::journal(), wanted, SAFETY_POLL);
    let mut confirm = tokio::time::interval(CONFIRM);
    confirm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = confirm.tick() => mirror.confirm(app).await?,
            next = followed.next() => match next {
                Some(Ok(Followed::Batch(batch))) => mirror.take(app, &batch).await?,
                Some(Ok(Followed::CaughtUp)) => {}
                Some(Err(fault)) => return Err(fault.into()),
                None => return Err(FeedFault::Ahead.into()),
            },
        }
    }
}

/// How far the cache of this process is filled.
struct Mirror {
    life: FeedEpoch,
    epoch: FeedEpoch,
    reached: HashMap<(WorkspaceId, Partition), i64>,
}

impl Mirror {
    async fn begin(app: &App, life: FeedEpoch) -> Result<Self, ScoringFault> {
        let tx = app.db.read("score.cache_begin", Scope::System).await?;
        let heads = feed::heads(&tx, Log::Changes, Partitions::ALL).await?;
        let reached = heads.into_iter().map(|head| ((head.workspace, head.partition), head.last_seq)).collect();
        Ok(Self { life, epoch: feed::epoch(&tx).await?, reached })
    }

    fn cursors(&self) -> Vec<Cursor> {
        let cursor = |((workspace, partition), seq): (&(WorkspaceId, Partition), &i64)| Cursor {
            workspace: *workspace,
            partition: *partition,
            seq: *seq,
        };
        self.reached.iter().map(cursor).collect()
    }

    async fn take(&mut self, app: &App, batch: &Batch) -> Result<(), ScoringFault> {
        let tx = app.db.read("score.cache_fill", Scope::Workspace(batch.workspace)).await?;
        let entries = app.scores.entries(app, &tx, batch).await?;
        drop(tx);
        // A cache of this process takes everything.
        if app.scores.cache().fill(entries).await.is_ok() {
            for segment in &batch.segments {
                self.reached.insert((batch.workspace, segment.partition), segment.through);
            }
        }
        Ok(())
    }

    /// Says which partitions are filled up to now.
    async fn confirm(&self, app: &App) -> Result<(), ScoringFault> {
        let as_of = app.scores.now();
        let tx = app.db.read("score.cache_confirm", Scope::System).await?;
        let heads = feed::heads(&tx, Log::Changes, Partitions::ALL).await?;
        if feed::epoch(&tx).await? != self.epoch {
            return Err(FeedFault::EpochChanged.into());
        }
        drop(tx);
        let mut filled = Partitions::ALL;
        for head in heads {
            let reached = self.reached.get(&(head.workspace, head.partition)).copied().unwrap_or(0);
            if reached < head.last_seq {
                filled.remove(head.partition);
            }
        }
        // What is not taken is not served.
        app.scores.cache().confirm(self.life, filled, as_of).await.unwrap_or_default();
        Ok(())
    }
}
