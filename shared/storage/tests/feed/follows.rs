//! The stream of batches, as a local consumer and the server of `Follow` read it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use keizoku_base::{Clock as _, SystemClock, WorkspaceId};
use keizoku_storage::feed::{self, Batch, Cursor, Draft, FeedFault, Follow, Followed, PageLimit, Partitions};
use keizoku_storage::{Db, Scope};

use crate::store::{KIND, OTHER_KIND, Store, Things, draft, partition, workspace, write};

type Stream = BoxStream<'static, Result<Followed, FeedFault>>;

async fn from_start(db: &Db) -> Follow {
    let tx = db.read("test.epoch", Scope::System).await.expect("begins");
    let epoch = feed::epoch(&tx).await.expect("an epoch");
    Follow { epoch, cursors: Vec::new(), partitions: Partitions::ALL, workspace: None, kinds: Vec::new() }
}

fn follow(db: &Db, wanted: Follow, changes: usize) -> Stream {
    let limit = PageLimit { changes, bytes: 1 << 20 };
    feed::follow(db.clone(), Arc::new(Things { limit, snapshot_page: 10 }), wanted, Duration::from_secs(60))
}

async fn next(stream: &mut Stream) -> Result<Followed, FeedFault> {
    let read = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
    read.expect("in time").expect("the stream goes on")
}

async fn batch(stream: &mut Stream) -> Batch {
    match next(stream).await {
        Ok(Followed::Batch(batch)) => batch,
        other => panic!("not a batch: {other:?}"),
    }
}

#[tokio::test]
async fn a_follower_gets_what_was_there_and_then_what_comes() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(1, Some(1)), (2, Some(2)), (65, Some(3))]).await;
    let mut stream = follow(&db, from_start(&db).await, 640);
    let first = batch(&mut stream).await;
    assert_eq!((first.workspace, first.len(), first.segments.len(), first.snapshot), (workspace, 3, 2, false));
    assert_eq!(next(&mut stream).await.expect("followed"), Followed::CaughtUp);
    write(&db, workspace, &[(1, None)]).await;
    let second = batch(&mut stream).await;
    assert_eq!(
        (second.segments[0].partition, second.segments[0].after, second.segments[0].through),
        (partition(1), 2, 3)
    );
    assert_eq!(next(&mut stream).await.expect("followed"), Followed::CaughtUp);
}

#[tokio::test]
async fn a_follower_begins_at_its_cursors_and_keeps_to_its_partitions_and_workspace() {
    let store = Store::new().await;
    let (db, mine, other) = (store.open().await, workspace(), workspace());
    for owner in [mine, other] {
        write(&db, owner, &[(1, Some(1)), (2, Some(2)), (65, Some(3))]).await;
    }
    let wanted = Follow {
        cursors: vec![Cursor { workspace: mine, partition: partition(1), seq: 1 }],
        partitions: Partitions::from_iter([partition(1)]),
        workspace: Some(mine),
        ..from_start(&db).await
    };
    let mut stream = follow(&db, wanted, 640);
    let first = batch(&mut stream).await;
    assert_eq!((first.workspace, first.len(), first.segments[0].after), (mine, 1, 1));
    write(&db, other, &[(1, Some(1))]).await;
    write(&db, mine, &[(2, Some(1))]).await;
    assert_eq!(next(&mut stream).await.expect("followed"), Followed::CaughtUp);
    write(&db, mine, &[(1, Some(1))]).await;
    assert_eq!(batch(&mut stream).await.workspace, mine);
}

#[tokio::test]
async fn a_long_backlog_of_one_workspace_does_not_hold_up_another() {
    let store = Store::new().await;
    let (db, long, short) = (store.open().await, workspace(), workspace());
    let many: Vec<_> = (0..640).map(|turn| (turn * 64, Some(1))).collect();
    write(&db, long, &many).await;
    write(&db, short, &[(1, Some(1))]).await;
    let mut stream = follow(&db, from_start(&db).await, 64);
    let turns: Vec<WorkspaceId> =
        [batch(&mut stream).await, batch(&mut stream).await].map(|turn| turn.workspace).into();
    assert!(turns.contains(&short), "the short one had its turn among the first two");
    for _ in 0..9 {
        assert_eq!(batch(&mut stream).await.workspace, long);
    }
    assert_eq!(next(&mut stream).await.expect("followed"), Followed::CaughtUp);
}

#[tokio::test]
async fn kinds_that_were_not_asked_for_only_move_the_position() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
    let other = Draft { kind: OTHER_KIND, ..draft(1, Some(2)) };
    feed::append(&tx, workspace, vec![draft(1, Some(1)), other.clone(), other], SystemClock.now())
        .await
        .expect("appends");
    tx.commit().await.expect("commits");
    let mut stream = follow(&db, Follow { kinds: vec![KIND], ..from_start(&db).await }, 640);
    let found = batch(&mut stream).await;
    assert_eq!((found.len(), found.segments[0].through), (1, 3));
}

#[tokio::test]
async fn positions_of_another_life_are_refused() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(1, Some(1))]).await;
    let start = from_start(&db).await;
    let at = |seq| Follow { cursors: vec![Cursor { workspace, partition: partition(1), seq }], ..start.clone() };
    assert!(matches!(next(&mut follow(&db, at(2), 640)).await, Err(FeedFault::Ahead)));

    let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
    feed::forget(&tx, workspace, feed::Log::Changes).await.expect("forgets");
    tx.commit().await.expect("commits");
    assert!(matches!(next(&mut follow(&db, at(1), 640)).await, Err(FeedFault::Trimmed)));

    let tx = db.begin("test", Scope::System).await.expect("begins");
    feed::renew_epoch(&tx).await.expect("renews");
    tx.commit().await.expect("commits");
    let mut stream = follow(&db, at(2), 640);
    assert!(matches!(next(&mut stream).await, Err(FeedFault::EpochChanged)));
    assert!(stream.next().await.is_none(), "an error is the end");
}
