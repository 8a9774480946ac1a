//! One consumer: exactly once, whatever fails around it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keizoku_base::{Clock as _, SystemClock};
use keizoku_storage::feed::{self, Activity, Draft, PageLimit, Partitions};
use keizoku_storage::{Scope, args};

use crate::mirror::{Mirror, Running, assert_same, caught_up, mirrored, tally};
use crate::store::{KIND, OTHER_KIND, Store, draft, eventually, partition, source_with, workspace, write};

#[tokio::test]
async fn changes_of_many_workspaces_are_applied_and_the_status_says_so() {
    let store = Store::new().await;
    let db = store.open().await;
    let owners: Vec<_> = (0..5).map(|_| workspace()).collect();
    for owner in &owners {
        write(&db, *owner, &[(1, Some(1)), (2, Some(2)), (3, Some(3)), (2, None)]).await;
    }
    let mirror = Arc::new(Mirror::default());
    let running = Running::local(&db, &mirror);
    for owner in &owners {
        assert_same(&db, *owner).await;
        assert_eq!(mirrored(&db, *owner).await, vec![(1, 1), (3, 3)]);
    }
    write(&db, owners[0], &[(1, Some(10))]).await;
    assert_same(&db, owners[0]).await;
    assert_eq!(tally(&db, owners[0]).await, 5);
    let tx = db.read("test.applied", Scope::Workspace(owners[0])).await.expect("begins");
    let some = [1, 2, 9].into_iter().map(partition).collect();
    let applied = feed::applied(&tx, "mirror", "things", owners[0], some).await.expect("positions");
    assert_eq!(applied.into_values().collect::<Vec<_>>(), vec![2, 2, 0]);
    drop(tx);
    eventually("caught up", async || {
        let status = running.consumer.status().await.expect("a status");
        status.lag_seconds == 0.0 && status.applied == 21
    })
    .await;
    let status = running.consumer.status().await.expect("a status");
    assert_eq!((status.consumer, status.source, status.activity), ("mirror", "things", Activity::Following));
    assert_eq!((status.partitions, status.quarantined, status.trouble), (Partitions::ALL, 0, None));
    assert_eq!(
        status.last_position.map(|last| (last.workspace, last.partition, last.seq)),
        Some((owners[0], partition(1), 2))
    );
    let consumer = running.consumer.clone();
    running.stop().await;
    let status = consumer.status().await.expect("a status");
    assert_eq!((status.activity, status.partitions), (Activity::Stopped, Partitions::NONE));
}

#[tokio::test]
async fn a_backlog_over_all_partitions_takes_few_commits() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let many: Vec<_> = (0..2000).map(|key| (key, Some(1))).collect();
    write(&db, workspace, &many).await;
    let mirror = Arc::new(Mirror::default());
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    assert_eq!((mirror.calls.load(Ordering::SeqCst), mirror.largest.load(Ordering::SeqCst)), (1, 2000));
    running.stop().await;
}

#[tokio::test]
async fn what_is_down_elsewhere_never_counts_as_a_try() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(1, Some(1)), (2, Some(2))]).await;
    let mirror = Arc::new(Mirror::default());
    mirror.down.store(12, Ordering::SeqCst);
    let running = Running::local(&db, &mirror);
    eventually("trouble is shown", async || running.consumer.status().await.expect("a status").trouble.is_some()).await;
    assert_same(&db, workspace).await;
    let status = running.consumer.status().await.expect("a status");
    assert_eq!((status.quarantined, status.trouble, status.activity), (0, None, Activity::Following));
    assert_eq!((mirror.calls.load(Ordering::SeqCst), tally(&db, workspace).await), (13, 2));
    running.stop().await;
}

#[tokio::test]
async fn positions_over_other_kinds_are_committed_after_a_while() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mirror = Arc::new(Mirror { kinds: vec![KIND], ..Mirror::default() });
    let running = Running::local(&db, &mirror);
    write(&db, workspace, &[(1, Some(1))]).await;
    assert_same(&db, workspace).await;
    let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
    let other = Draft { kind: OTHER_KIND, ..draft(1, Some(2)) };
    feed::append(&tx, workspace, vec![other.clone(), other], SystemClock.now()).await.expect("appends");
    tx.commit().await.expect("commits");
    assert_same(&db, workspace).await;
    assert_eq!((mirror.calls.load(Ordering::SeqCst), tally(&db, workspace).await), (1, 1));
    write(&db, workspace, &[(1, Some(3))]).await;
    assert_same(&db, workspace).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_killed_over_and_over_applies_each_change_once() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mirror = Arc::new(Mirror::default());
    let mut written = 0;
    for turn in 0..25_i32 {
        let things: Vec<_> =
            (0..20).map(|nth| ((turn * 13 + nth * 7) % 97, Some(i64::from(turn * 100 + nth)))).collect();
        write(&db, workspace, &things).await;
        written += 20;
        let source = source_with(&db, PageLimit { changes: 64, bytes: 1 << 20 }, 10);
        let running = Running::start(&db, source, &mirror);
        let enough = usize::try_from(turn).expect("small") % 7 * 9 + mirror.calls.load(Ordering::SeqCst);
        for _ in 0..turn % 5 * 20 {
            tokio::task::yield_now().await;
        }
        let _soon = tokio::time::timeout(std::time::Duration::from_millis(12), async {
            while mirror.calls.load(Ordering::SeqCst) < enough {
                tokio::task::yield_now().await;
            }
        })
        .await;
        running.kill().await;
    }
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    assert_eq!(tally(&db, workspace).await, written);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_run_by_mistake_apply_each_change_once() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let (mirror, mut written) = (Arc::new(Mirror::default()), 0);
    let both = [Running::local(&db, &mirror), Running::local(&db, &mirror)];
    for turn in 0..20 {
        let things: Vec<_> = (0..15).map(|nth| (nth * 7 + turn, Some(i64::from(turn)))).collect();
        write(&db, workspace, &things).await;
        written += 15;
    }
    assert_same(&db, workspace).await;
    assert_eq!(tally(&db, workspace).await, written);
    for running in both {
        running.stop().await;
    }
}

#[tokio::test]
async fn other_work_on_the_state_takes_turns_with_batches() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(1, Some(1)), (2, Some(2))]).await;
    let mirror = Arc::new(Mirror::default());
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    let tx = db.begin("test.close", Scope::Workspace(workspace)).await.expect("begins");
    let ours = running.consumer.hold(&tx, workspace, Partitions::from_iter([partition(1)])).await.expect("held");
    assert_eq!(ours.into_iter().collect::<Vec<_>>(), vec![(partition(1), 0)]);
    tx.execute("UPDATE mirror SET value = -value WHERE workspace_id = $1 AND key = 1", args![workspace])
        .await
        .expect("updates");
    tx.commit().await.expect("commits");
    assert!(caught_up(&db, workspace).await);
    assert_eq!(mirrored(&db, workspace).await, vec![(1, -1), (2, 2)]);
    running.stop().await;
}
