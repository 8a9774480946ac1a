//! A consumer whose state is a copy of the things, and that can be made to fail.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::{Partition, SystemClock, WorkspaceId};
use keizoku_storage::feed::{
    Batch, Consumer, ConsumerSettings, FeedRow, HandleFault, Handler, Segment, Source, read_stamp,
};
use keizoku_storage::{Db, DbFault, Scope, Tx, args};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::store::{KIND, read_body, source, things};

#[derive(Default)]
pub(crate) struct Mirror {
    pub(crate) kinds: Vec<i16>,
    pub(crate) schema: AtomicI32,
    /// Keys whose changes cannot be handled.
    pub(crate) poison: Mutex<HashSet<i32>>,
    /// Keys whose changes make the handler panic.
    pub(crate) panics: Mutex<HashSet<i32>>,
    /// So many calls fail as if something else was down.
    pub(crate) down: AtomicUsize,
    /// Blocks the whole thread for so long in the next call.
    pub(crate) block: Mutex<Option<Duration>>,
    pub(crate) calls: AtomicUsize,
    pub(crate) committed: AtomicUsize,
    pub(crate) largest: AtomicUsize,
}

impl Mirror {
    pub(crate) fn poisoned_by(keys: &[i32]) -> Self {
        let mirror = Self::default();
        mirror.poison.lock().expect("lock").extend(keys);
        mirror
    }

    async fn apply(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        segment: &Segment,
        row: &FeedRow,
    ) -> Result<(), HandleFault> {
        let (_, _, body) = read_stamp(&row.bytes).ok_or_else(|| HandleFault::poison("no stamp"))?;
        let (key, value) = read_body(body);
        if self.poison.lock().expect("lock").contains(&key) {
            return Err(HandleFault::poison(format!("thing {key} is bad")));
        }
        assert!(!self.panics.lock().expect("lock").contains(&key), "thing {key} is very bad");
        let sql = "INSERT INTO mirror (workspace_id, consumer, key, value, partition, generation, seq)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (workspace_id, consumer, key) DO UPDATE
                SET value = excluded.value, generation = excluded.generation, seq = excluded.seq
             WHERE (mirror.generation, mirror.seq) < (excluded.generation, excluded.seq)";
        let args = args![workspace, self.name(), key, value, segment.partition, segment.generation, row.seq];
        tx.execute(sql, args).await?;
        Ok(())
    }
}

#[async_trait]
impl Handler for Mirror {
    fn name(&self) -> &'static str {
        "mirror"
    }

    fn schema(&self) -> i32 {
        self.schema.load(Ordering::SeqCst)
    }

    fn kinds(&self) -> Vec<i16> {
        self.kinds.clone()
    }

    async fn handle(&self, tx: &Tx, batch: &Batch) -> Result<(), HandleFault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.largest.fetch_max(batch.len(), Ordering::SeqCst);
        let block = self.block.lock().expect("lock").take();
        if let Some(pause) = block {
            std::thread::sleep(pause);
        }
        let less = |left: usize| left.checked_sub(1);
        if self.down.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(HandleFault::again("the other side is down"));
        }
        for segment in &batch.segments {
            assert!(segment.rows.iter().all(|row| row.kind == KIND), "only what was asked for");
            for row in &segment.rows {
                self.apply(tx, batch.workspace, segment, row).await?;
            }
            let sql = "INSERT INTO tally (workspace_id, consumer, partition, applied) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (workspace_id, consumer, partition) DO UPDATE SET applied = tally.applied + excluded.applied";
            let count = i64::try_from(segment.rows.len()).expect("few");
            tx.execute(sql, args![batch.workspace, self.name(), segment.partition, count]).await?;
        }
        Ok(())
    }

    async fn sweep(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partition: Partition,
        generation: i64,
    ) -> Result<bool, HandleFault> {
        let sql = "DELETE FROM mirror WHERE workspace_id = $1 AND consumer = $2 AND key IN (
                SELECT key FROM mirror WHERE workspace_id = $1 AND consumer = $2 AND partition = $3 AND generation < $4
                LIMIT 5)";
        Ok(tx.execute(sql, args![workspace, self.name(), partition, generation]).await? == 5)
    }

    fn after_commit(&self, batch: &Batch) {
        self.committed.fetch_add(batch.len(), Ordering::SeqCst);
    }
}

pub(crate) const QUICK: ConsumerSettings = ConsumerSettings {
    lease_ttl: Duration::from_millis(600),
    shortest_pause: Duration::from_millis(4),
    longest_pause: Duration::from_millis(40),
    tries: 5,
    flush_after: Duration::from_millis(50),
};

/// A consumer that runs until it is stopped or killed.
pub(crate) struct Running {
    pub(crate) consumer: Consumer,
    pub(crate) cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(db: &Db, source: impl Source, mirror: &Arc<Mirror>) -> Self {
        let handler: Arc<dyn Handler> = Arc::<Mirror>::clone(mirror);
        let consumer = Consumer::new(db.clone(), Arc::new(source), handler, Arc::new(SystemClock), QUICK);
        let (cancel, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (running, token) = (consumer.clone(), cancel.clone());
        tasks.spawn(async move { running.run(token).await });
        Self { consumer, cancel, tasks }
    }

    /// Over the things of the same database.
    pub(crate) fn local(db: &Db, mirror: &Arc<Mirror>) -> Self {
        Self::start(db, source(db), mirror)
    }

    /// Lets it finish.
    pub(crate) async fn stop(mut self) {
        self.cancel.cancel();
        while let Some(done) = self.tasks.join_next().await {
            done.expect("the consumer does not panic");
        }
    }

    /// Drops it wherever it is.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// The copy, without the deleted.
pub(crate) async fn mirrored(db: &Db, workspace: WorkspaceId) -> Vec<(i32, i64)> {
    let tx = db.read("test.mirrored", Scope::Workspace(workspace)).await.expect("a transaction");
    let sql = "SELECT key, value FROM mirror WHERE workspace_id = $1 AND value IS NOT NULL ORDER BY key";
    let rows = tx.fetch_all(sql, args![workspace]).await.expect("read");
    rows.iter().map(|row| (row.get("key").expect("key"), row.get("value").expect("value"))).collect()
}

/// How many changes had an effect.
pub(crate) async fn tally(db: &Db, workspace: WorkspaceId) -> i64 {
    let tx = db.read("test.tally", Scope::Workspace(workspace)).await.expect("a transaction");
    let sql = "SELECT CAST(coalesce(sum(applied), 0) AS BIGINT) AS applied FROM tally WHERE workspace_id = $1";
    tx.fetch_one(sql, args![workspace]).await.expect("read").get("applied").expect("a sum")
}

/// Whether every cursor stands at its head: nothing is left to apply or to list.
pub(crate) async fn caught_up(db: &Db, workspace: WorkspaceId) -> bool {
    let read = async || -> Result<i64, DbFault> {
        let tx = db.read("test.caught_up", Scope::Workspace(workspace)).await?;
        let sql = "SELECT count(*) AS behind FROM feed_head LEFT JOIN feed_cursor
             ON feed_cursor.workspace_id = feed_head.workspace_id AND feed_cursor.partition = feed_head.partition
             WHERE feed_head.workspace_id = $1 AND feed_head.log = 0
                AND (feed_cursor.seq IS NULL OR feed_cursor.seq <> feed_head.last_seq OR feed_cursor.token IS NOT NULL
                    OR feed_cursor.feed_epoch <> (SELECT epoch FROM feed_epoch))";
        tx.fetch_one(sql, args![workspace]).await?.get("behind")
    };
    read().await.expect("read") == 0
}

/// The copy equals the things, and nothing is on its way.
pub(crate) async fn assert_same(db: &Db, workspace: WorkspaceId) {
    crate::store::eventually("the consumer has caught up", async || caught_up(db, workspace).await).await;
    assert_eq!(mirrored(db, workspace).await, things(db, workspace).await);
}
