//! Rings between processes: PostgreSQL only.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use keizoku_storage::Scope;
use keizoku_storage::feed::{self, Follow, Followed, PageLimit, Partitions, Ringer, RingerSettings};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, Things, eventually, on_postgres, workspace, write};

/// How long a follower with other connections takes to hear of each of three changes.
async fn delays(settings: RingerSettings) -> Vec<Duration> {
    let store = Store::new().await;
    let (here, there, workspace) = (store.open().await, store.open().await, workspace());
    let mut ringers = JoinSet::new();
    for db in [&here, &there] {
        let ringer = Ringer::new(db.clone(), settings);
        ringers.spawn(async move { ringer.run(CancellationToken::new()).await });
    }
    let tx = here.read("test.epoch", Scope::System).await.expect("begins");
    let epoch = feed::epoch(&tx).await.expect("an epoch");
    drop(tx);
    let wanted = Follow { epoch, cursors: Vec::new(), partitions: Partitions::ALL, workspace: None, kinds: Vec::new() };
    let journal = Arc::new(Things { limit: PageLimit::FOLLOW, snapshot_page: 10 });
    let mut stream = feed::follow(there.clone(), journal, wanted, Duration::from_secs(60));
    let mut batches = 0;
    // The first ring may come before anybody listens.
    eventually("the first change is heard", async || {
        write(&here, workspace, &[(1, Some(0))]).await;
        let soon = Instant::now() + Duration::from_millis(400);
        while let Ok(Some(Ok(followed))) = tokio::time::timeout_at(soon, stream.next()).await {
            batches += usize::from(matches!(followed, Followed::Batch(_)));
        }
        batches > 1
    })
    .await;
    let mut delays = Vec::new();
    for value in 0..3 {
        let started = Instant::now();
        write(&here, workspace, &[(1, Some(value))]).await;
        while !matches!(stream.next().await, Some(Ok(Followed::Batch(_)))) {}
        delays.push(started.elapsed());
    }
    ringers.shutdown().await;
    delays
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_hears_of_a_change_at_once() {
    if !on_postgres() {
        return;
    }
    let delays = delays(RingerSettings::default()).await;
    let fastest = delays.iter().min().expect("three");
    assert!(*fastest < Duration::from_millis(150), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_listen_the_heads_are_read_often_enough() {
    if !on_postgres() {
        return;
    }
    let delays = delays(RingerSettings { listen: false, ..RingerSettings::default() }).await;
    assert!(delays.iter().all(|delay| *delay < Duration::from_secs(1)), "{delays:?}");
}
