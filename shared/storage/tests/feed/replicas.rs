//! Several replicas of a consumer on one PostgreSQL database, each with its own connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use keizoku_base::WorkspaceId;
use keizoku_storage::feed::{
    FeedEpoch, FeedFault, Follow, Followed, Head, LocalSource, PageLimit, Partitions, Ringer, RingerSettings,
    SnapshotPage, Source,
};
use keizoku_storage::{Db, Scope};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::mirror::{Mirror, Running, assert_same, tally};
use crate::store::{Store, eventually, on_postgres, source, source_with, workspace, write};

/// How a replica is on its own: connections, ringer, consumer.
struct Replica {
    db: Db,
    running: Running,
    ringer: JoinSet<()>,
}

impl Replica {
    async fn start(store: &Store, mirror: &Arc<Mirror>) -> Self {
        let db = store.open().await;
        let running = Running::start(&db, source_with(&db, PageLimit { changes: 64, bytes: 1 << 20 }, 20), mirror);
        let mut ringer = JoinSet::new();
        let rings = Ringer::new(db.clone(), RingerSettings::default());
        ringer.spawn(async move { rings.run(CancellationToken::new()).await });
        Self { db, running, ringer }
    }

    fn held(&self) -> usize {
        self.running.consumer.partitions().len()
    }

    async fn kill(mut self) {
        self.running.kill().await;
        self.ringer.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_the_partitions_and_take_over_from_one_that_stops() {
    if !on_postgres() {
        return;
    }
    let (store, mirror) = (Store::new().await, Arc::new(Mirror::default()));
    let first = Replica::start(&store, &mirror).await;
    eventually("alone it holds all", async || first.held() == 64).await;
    let (second, third) = (Replica::start(&store, &mirror).await, Replica::start(&store, &mirror).await);
    eventually("three hold about a third each", async || {
        let counts = [first.held(), second.held(), third.held()];
        counts.iter().sum::<usize>() == 64 && counts.iter().all(|count| (20..=22).contains(count))
    })
    .await;
    let parts = [&first, &second, &third].map(|replica| replica.running.consumer.partitions());
    assert_eq!(parts.into_iter().fold(Partitions::NONE, Partitions::union), Partitions::ALL);
    third.running.stop().await;
    second.kill().await;
    eventually("the last one holds all again", async || first.held() == 64).await;
    first.running.stop().await;
}

async fn write_for_a_while(db: Db, workspace: WorkspaceId) -> i64 {
    for turn in 0..60_i32 {
        let things: Vec<_> = (0..8).map(|nth| (nth * 31 + turn % 5, Some(i64::from(turn * 10 + nth)))).collect();
        write(&db, workspace, &things).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    60 * 8
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_killed_in_the_middle_apply_each_change_once() {
    if !on_postgres() {
        return;
    }
    let (store, mirror) = (Store::new().await, Arc::new(Mirror::default()));
    let db = store.open().await;
    let owners = [workspace(), workspace()];
    let mut writers = JoinSet::new();
    for owner in owners {
        writers.spawn(write_for_a_while(db.clone(), owner));
    }
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(&store, &mirror).await);
    }
    let mut turn = 0;
    while !writers.is_empty() {
        let enough = mirror.calls.load(Ordering::SeqCst) + 7;
        let _soon = tokio::time::timeout(Duration::from_millis(300), async {
            while mirror.calls.load(Ordering::SeqCst) < enough {
                tokio::task::yield_now().await;
            }
        })
        .await;
        replicas.remove(0).kill().await;
        replicas.push(Replica::start(&store, &mirror).await);
        turn += 1;
        while let Some(done) = writers.try_join_next() {
            assert_eq!(done.expect("a writer"), 480);
        }
    }
    assert!(turn > 3, "{turn} were killed");
    for owner in owners {
        assert_same(&db, owner).await;
        assert_eq!(tally(&db, owner).await, 480);
    }
    for replica in replicas {
        replica.running.stop().await;
    }
}

/// Things that come late, or never.
struct Delayed {
    things: LocalSource,
    /// Blocks the whole thread for so long before the first batch; for ever without.
    first_after: Option<Duration>,
}

#[async_trait]
impl Source for Delayed {
    fn name(&self) -> &'static str {
        self.things.name()
    }

    async fn epoch(&self) -> Result<FeedEpoch, FeedFault> {
        self.things.epoch().await
    }

    async fn heads(&self, partitions: Partitions) -> Result<Vec<Head>, FeedFault> {
        self.things.heads(partitions).await
    }

    fn follow(&self, wanted: Follow) -> BoxStream<'static, Result<Followed, FeedFault>> {
        let Some(pause) = self.first_after else { return futures::stream::pending().boxed() };
        let mut first = Some(pause);
        let slowed = move |followed| {
            if let Some(pause) = first.take() {
                std::thread::sleep(pause);
            }
            followed
        };
        self.things.follow(wanted).map(slowed).boxed()
    }

    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<Vec<u8>>,
    ) -> Result<SnapshotPage, FeedFault> {
        self.things.snapshot(workspace, partitions, token).await
    }
}

/// Runs a consumer in a thread and runtime of its own, which stand still when it blocks, as a paused process does.
fn in_own_process(
    db: Db,
    first_after: Duration,
    mirror: &Arc<Mirror>,
) -> (std::thread::JoinHandle<()>, CancellationToken) {
    let (mirror, stop) = (Arc::clone(mirror), CancellationToken::new());
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let delayed = Delayed { things: source(&db), first_after: Some(first_after) };
            let running = Running::start(&db, delayed, &mirror);
            stopped.cancelled().await;
            running.stop().await;
        });
    });
    (thread, stop)
}

async fn an_owner_sleeps_through_its_lease(has_cursors: bool) {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    if has_cursors {
        write(&db, workspace, &[(1, Some(1))]).await;
        let running = Running::local(&db, &Arc::new(Mirror::default()));
        assert_same(&db, workspace).await;
        running.stop().await;
    }
    let before = tally(&db, workspace).await;
    write(&db, workspace, &[(1, Some(2)), (2, Some(2))]).await;
    let (sleeper, successor) = (Arc::new(Mirror::default()), Arc::new(Mirror::default()));
    let (thread, stop) = in_own_process(store.open().await, Duration::from_millis(1800), &sleeper);
    eventually("the sleeper holds all", async || count_owned(&db).await == 64).await;
    // It takes everything over but never moves a cursor, so only the lease can stop the sleeper.
    let idle = Delayed { things: source(&db), first_after: None };
    let running = Running::start(&db, idle, &successor);
    eventually("the successor holds all", async || running.consumer.partitions().len() == 64).await;
    stop.cancel();
    thread.join().expect("the sleeper wakes");
    assert_eq!(tally(&db, workspace).await, before, "what the sleeper read had no effect");
    assert_eq!(sleeper.committed.load(Ordering::SeqCst), 0);
    running.stop().await;
    let running = Running::local(&db, &successor);
    assert_same(&db, workspace).await;
    assert_eq!(tally(&db, workspace).await, before + 2);
    running.stop().await;
}

async fn count_owned(db: &Db) -> i64 {
    let tx = db.read("test.owned", Scope::System).await.expect("begins");
    let sql = "SELECT count(*) AS owned FROM feed_lease WHERE owner <> ''";
    tx.fetch_one(sql, Vec::new()).await.expect("read").get("owned").expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_slept_through_its_lease_cannot_move_a_cursor() {
    if on_postgres() {
        an_owner_sleeps_through_its_lease(true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_slept_through_its_lease_cannot_begin_a_cursor() {
    if on_postgres() {
        an_owner_sleeps_through_its_lease(false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_in_the_midst_of_a_commit_is_waited_for() {
    if !on_postgres() {
        return;
    }
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(1, Some(1))]).await;
    let sleeper = Arc::new(Mirror::default());
    *sleeper.block.lock().expect("lock") = Some(Duration::from_millis(1500));
    let (thread, stop) = in_own_process(store.open().await, Duration::ZERO, &sleeper);
    eventually("the sleeper sleeps in its transaction", async || sleeper.calls.load(Ordering::SeqCst) == 1).await;
    let successor = Replica::start(&store, &Arc::new(Mirror::default())).await;
    eventually("the successor holds all", async || successor.held() == 64).await;
    write(&successor.db, workspace, &[(1, Some(2)), (2, Some(2))]).await;
    assert_same(&db, workspace).await;
    assert_eq!(tally(&db, workspace).await, 3, "each change had its effect once");
    stop.cancel();
    thread.join().expect("the sleeper wakes");
    successor.running.stop().await;
}
