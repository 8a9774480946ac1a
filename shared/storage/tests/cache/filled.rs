//! From a change in the database through the feed into the cache, and what readers see when that stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::{Clock, Partition, SystemClock, WorkspaceId};
use keizoku_storage::cache::{Cache, Confirmer, Entry, Key, MAX_AGE};
use keizoku_storage::feed::{
    self, Batch, Consumer, ConsumerSettings, Draft, FeedEpoch, FeedFault, HandleFault, Handler, Journal, LocalSource,
    Log, Page, PageLimit, Partitions, SnapshotPage,
};
use keizoku_storage::{Db, Migration, Scope, Tx, migrate};
use keizoku_testkit::{TestDb, eventually};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::rig::{Rig, SOON, value};

/// Changes whose body is the new version.
struct Versions;

#[async_trait]
impl Journal for Versions {
    fn log(&self) -> Log {
        Log::Changes
    }

    async fn page(&self, tx: &Tx, workspace: WorkspaceId, wanted: &[(Partition, i64)]) -> Result<Page, FeedFault> {
        feed::pages(tx, workspace, wanted, PageLimit::LOCAL).await
    }

    async fn snapshot(
        &self,
        _tx: &Tx,
        _workspace: WorkspaceId,
        _partitions: Partitions,
        _token: Option<&[u8]>,
    ) -> Result<SnapshotPage, FeedFault> {
        Ok(SnapshotPage::default())
    }
}

/// Puts every change into the cache.
struct Filler {
    cache: Arc<dyn Cache>,
    epoch: FeedEpoch,
    is_poisoned: AtomicBool,
}

#[async_trait]
impl Handler for Filler {
    fn name(&self) -> &'static str {
        "filler"
    }

    async fn handle(&self, _tx: &Tx, batch: &Batch) -> Result<(), HandleFault> {
        if self.is_poisoned.load(Ordering::SeqCst) {
            return Err(HandleFault::poison("bad"));
        }
        let entries = batch.rows().map(|(segment, row)| Entry {
            key: of(self.epoch, batch.workspace, segment.partition),
            version: row.seq,
            value: Some(value(row.seq)),
        });
        Ok(self.cache.fill(entries.collect()).await?)
    }

    async fn sweep(&self, _: &Tx, _: WorkspaceId, _: Partition, _: i64) -> Result<bool, HandleFault> {
        Ok(false)
    }
}

fn of(epoch: FeedEpoch, workspace: WorkspaceId, partition: Partition) -> Key {
    Key::new(epoch, workspace, partition, "version", &[partition.number()])
}

fn partition(number: u8) -> Partition {
    Partition::new(number).expect("below 64")
}

async fn write(db: &Db, workspace: WorkspaceId, partition: Partition) {
    let tx = db.begin("test.write", Scope::Workspace(workspace)).await.expect("a transaction");
    let draft = Draft { partition, kind: 1, key: vec![partition.number()], body: Vec::new() };
    feed::append(&tx, workspace, vec![draft], SystemClock.now()).await.expect("appended");
    tx.commit().await.expect("committed");
}

struct Service {
    rig: Rig,
    _database: TestDb,
    db: Db,
    epoch: FeedEpoch,
    workspace: WorkspaceId,
    filler: Arc<Filler>,
    consumer: Consumer,
    confirmer: Arc<Confirmer>,
    running: JoinSet<()>,
}

impl Service {
    async fn new() -> Self {
        let (rig, database) = (Rig::new().await, TestDb::new().await);
        migrate(database.config(), "scoring", &[Migration { name: "0001_first", statements: feed::ddl }])
            .await
            .expect("migrated");
        let db = Db::connect(database.config(), "scoring").await.expect("connected");
        let tx = db.read("test.epoch", Scope::System).await.expect("a transaction");
        let epoch = feed::epoch(&tx).await.expect("an epoch");
        drop(tx);
        let filler = Arc::new(Filler { cache: rig.cache.clone(), epoch, is_poisoned: AtomicBool::new(false) });
        let clock = Arc::new(SystemClock);
        let source = LocalSource::new("own", db.clone(), Arc::new(Versions));
        let settings = ConsumerSettings {
            shortest_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(5),
            ..Default::default()
        };
        let consumer = Consumer::new(db.clone(), Arc::new(source), filler.clone(), clock.clone(), settings);
        let confirmer = Arc::new(Confirmer::new(rig.cache.clone(), db.clone(), consumer.clone(), clock));
        let workspace = WorkspaceId::generate(SystemClock.now());
        let running = JoinSet::new();
        Self { rig, _database: database, db, epoch, workspace, filler, consumer, confirmer, running }
    }

    fn start(&mut self, cancel: &CancellationToken) {
        let (consumer, confirmer) = (self.consumer.clone(), self.confirmer.clone());
        let (for_consumer, for_confirmer) = (cancel.clone(), cancel.clone());
        self.running.spawn(async move { consumer.run(for_consumer).await });
        self.running.spawn(async move { confirmer.run(for_confirmer).await });
    }

    /// The version that a reader gets when the database holds `stored`, and whether it was cached.
    async fn read(&self, partition: Partition, stored: i64) -> (i64, bool) {
        let look = |_: Vec<usize>| async move { Ok::<_, Infallible>(vec![Some((stored, value(stored)))]) };
        let keys = [of(self.epoch, self.workspace, partition)];
        let found = self.rig.reader().get(&keys, MAX_AGE, look).await.expect("an answer").remove(0).expect("found");
        (found.hit.version, found.cached)
    }
}

#[tokio::test]
async fn changes_reach_readers_through_the_feed_and_stop_being_cached_when_it_stops() {
    let mut service = Service::new().await;
    let cancel = CancellationToken::new();
    write(&service.db, service.workspace, partition(5)).await;
    service.start(&cancel);
    eventually(SOON, || async { service.read(partition(5), 1).await == (1, true) }).await;
    write(&service.db, service.workspace, partition(5)).await;
    eventually(SOON, || async { service.read(partition(5), 2).await == (2, true) }).await;

    cancel.cancel();
    while service.running.join_next().await.is_some() {}
    write(&service.db, service.workspace, partition(5)).await;
    eventually(SOON, || async { service.read(partition(5), 3).await == (3, false) }).await;
    assert!(service.confirmer.confirm().await.is_ok_and(|confirmed| !confirmed.contains(partition(5))));
}

#[tokio::test]
async fn only_partitions_whose_changes_are_all_applied_are_confirmed() {
    let mut service = Service::new().await;
    let cancel = CancellationToken::new();
    write(&service.db, service.workspace, partition(5)).await;
    service.start(&cancel);
    eventually(SOON, || async { service.confirmer.confirm().await.is_ok_and(|all| all == Partitions::ALL) }).await;

    service.filler.is_poisoned.store(true, Ordering::SeqCst);
    write(&service.db, service.workspace, partition(9)).await;
    let all_but_9 = |confirmed: Partitions| !confirmed.contains(partition(9)) && confirmed.len() == 63;
    assert!(service.confirmer.confirm().await.is_ok_and(all_but_9), "not applied yet");
    eventually(SOON, || async { service.consumer.status().await.is_ok_and(|status| status.quarantined == 1) }).await;
    assert!(service.confirmer.confirm().await.is_ok_and(all_but_9), "set aside is not applied");
    eventually(SOON, || async { service.read(partition(9), 1).await == (1, false) }).await;

    service.filler.is_poisoned.store(false, Ordering::SeqCst);
    let at = service.consumer.quarantined(None, None, 10).await.expect("a page").remove(0).at;
    service.consumer.replay(&at).await.expect("replayed");
    assert!(service.confirmer.confirm().await.is_ok_and(|all| all == Partitions::ALL));
}
