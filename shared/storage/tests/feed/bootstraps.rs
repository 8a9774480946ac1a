//! Listing the source's state anew.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keizoku_base::{Clock as _, Micros, SystemClock, WorkspaceId};
use keizoku_storage::feed::{self, Activity, Log, PageLimit};
use keizoku_storage::{Db, Scope, args};

use crate::mirror::{Mirror, Running, assert_same, mirrored, tally};
use crate::store::{Store, eventually, on_postgres, partition_of, source_with, things, workspace, write};

/// Deletes every change, as if retention had passed.
async fn trim_all(db: &Db) {
    while feed::expire(db, SystemClock.now().plus(Micros::DAY)).await.expect("trims") > 0 {}
}

async fn change(db: &Db, scope: Scope, sql: &str, workspace: WorkspaceId) {
    let tx = db.begin("test.change", scope).await.expect("begins");
    tx.execute(sql, args![workspace]).await.expect("changes");
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn a_cursor_behind_the_trim_ends_at_the_same_state() {
    let store = Store::new().await;
    let (db, workspace, quiet) = (store.open().await, workspace(), workspace());
    let mirror = Arc::new(Mirror::default());
    let many: Vec<_> = (0..150).map(|key| (key, Some(1))).collect();
    write(&db, workspace, &many).await;
    write(&db, quiet, &[(1, Some(1))]).await;
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    assert_same(&db, quiet).await;
    running.stop().await;

    let some: Vec<_> = (0..60).map(|key| (key * 2, (key % 3 > 0).then_some(2))).collect();
    write(&db, workspace, &some).await;
    trim_all(&db).await;
    write(&db, workspace, &[(3, None), (500, Some(5))]).await;
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    assert_eq!(mirrored(&db, workspace).await.len(), 150 - 20 - 1 + 1);
    assert_eq!(tally(&db, quiet).await, 1, "what was not trimmed past its cursor is not listed");
    running.stop().await;
}

#[tokio::test]
async fn a_consumer_that_comes_after_the_trim_lists_first() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let many: Vec<_> = (0..150).map(|key| (key, Some(1))).collect();
    write(&db, workspace, &many).await;
    trim_all(&db).await;
    let running = Running::local(&db, &Arc::new(Mirror::default()));
    assert_same(&db, workspace).await;
    write(&db, workspace, &[(3, None)]).await;
    assert_same(&db, workspace).await;
    running.stop().await;
}

#[tokio::test]
async fn a_restored_backup_ends_at_the_restored_state() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mirror = Arc::new(Mirror::default());
    write(&db, workspace, &[(1, Some(1)), (2, Some(1)), (3, Some(1)), (70, Some(1))]).await;
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    write(&db, workspace, &[(1, Some(2)), (65, Some(2)), (2, None)]).await;
    assert_same(&db, workspace).await;

    // The store goes back to before the second write, and another change takes the positions that it had.
    for sql in [
        "UPDATE feed_head SET last_seq = 1 WHERE workspace_id = $1",
        "DELETE FROM feed_change WHERE workspace_id = $1 AND seq > 1",
        "DELETE FROM thing WHERE workspace_id = $1 AND key = 65",
        "UPDATE thing SET value = 1 WHERE workspace_id = $1",
    ] {
        change(&db, Scope::Workspace(workspace), sql, workspace).await;
    }
    let tx = db.begin("test", Scope::System).await.expect("begins");
    feed::renew_epoch(&tx).await.expect("renews");
    tx.commit().await.expect("commits");
    write(&db, workspace, &[(3, Some(9)), (1, Some(7))]).await;
    assert_same(&db, workspace).await;
    assert_eq!(things(&db, workspace).await, vec![(1, 7), (2, 1), (3, 9), (70, 1)]);
    running.stop().await;
}

#[tokio::test]
async fn a_reset_workspace_is_listed_anew_while_the_consumer_runs() {
    let store = Store::new().await;
    let (db, workspace, other) = (store.open().await, workspace(), workspace());
    let mirror = Arc::new(Mirror::default());
    for owner in [workspace, other] {
        write(&db, owner, &[(1, Some(1)), (2, Some(1))]).await;
    }
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    assert_same(&db, other).await;
    let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
    tx.execute("DELETE FROM thing WHERE workspace_id = $1", args![workspace]).await.expect("deletes");
    feed::forget(&tx, workspace, Log::Changes).await.expect("forgets");
    tx.commit().await.expect("commits");
    assert_same(&db, workspace).await;
    assert_eq!(mirrored(&db, workspace).await, vec![]);
    assert_eq!((mirrored(&db, other).await.len(), tally(&db, other).await), (2, 2));
    running.stop().await;
}

#[tokio::test]
async fn a_raised_schema_derives_everything_anew_and_an_older_version_stays_out() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mirror = Arc::new(Mirror::default());
    let many: Vec<_> = (0..70).map(|key| (key, Some(1))).collect();
    write(&db, workspace, &many).await;
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    running.stop().await;
    change(&db, Scope::System, "UPDATE mirror SET value = 5 WHERE workspace_id = $1 AND key < 40", workspace).await;

    mirror.schema.store(2, Ordering::SeqCst);
    let running = Running::start(&db, source_with(&db, PageLimit::LOCAL, 9), &mirror);
    eventually("derived anew", async || mirrored(&db, workspace).await == things(&db, workspace).await).await;
    assert_same(&db, workspace).await;
    running.stop().await;

    let older = Arc::new(Mirror::default());
    let running = Running::local(&db, &older);
    eventually("it says why", async || {
        running.consumer.status().await.expect("a status").activity == Activity::Outdated
    })
    .await;
    write(&db, workspace, &[(1, Some(2))]).await;
    assert_eq!(older.calls.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_killed_over_and_over_goes_on_where_it_was() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mirror = Arc::new(Mirror::default());
    let many: Vec<_> = (0..300).map(|key| (key, Some(1))).collect();
    write(&db, workspace, &many).await;
    let running = Running::local(&db, &mirror);
    assert_same(&db, workspace).await;
    running.stop().await;
    let fewer: Vec<_> = (0..300).filter(|key| key % 5 == 0).map(|key| (key, None)).collect();
    write(&db, workspace, &fewer).await;
    trim_all(&db).await;
    let before = tally(&db, workspace).await;
    // On PostgreSQL each one killed leaves leases that have to end first.
    for turn in 0..if on_postgres() { 5 } else { 12_usize } {
        let running = Running::start(&db, source_with(&db, PageLimit::LOCAL, 20), &mirror);
        let enough = mirror.committed.load(Ordering::SeqCst) + 20 * (turn % 3);
        let _soon = tokio::time::timeout(std::time::Duration::from_millis(40), async {
            while mirror.committed.load(Ordering::SeqCst) <= enough {
                tokio::task::yield_now().await;
            }
        })
        .await;
        running.kill().await;
    }
    let running = Running::start(&db, source_with(&db, PageLimit::LOCAL, 20), &mirror);
    assert_same(&db, workspace).await;
    let touched: HashSet<_> = fewer.iter().map(|(key, _)| partition_of(*key)).collect();
    let left = things(&db, workspace).await;
    let behind = left.iter().filter(|(key, _)| touched.contains(&partition_of(*key))).count();
    let listed = tally(&db, workspace).await - before;
    assert_eq!(usize::try_from(listed), Ok(behind), "each thing of a trimmed partition was listed once");
    running.stop().await;
}

#[tokio::test]
async fn a_bad_row_of_a_snapshot_is_set_aside_and_the_rest_is_listed() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let many: Vec<_> = (0..30).map(|key| (key, Some(1))).collect();
    write(&db, workspace, &many).await;
    trim_all(&db).await;
    let mirror = Arc::new(Mirror::poisoned_by(&[11]));
    let running = Running::start(&db, source_with(&db, PageLimit::LOCAL, 20), &mirror);
    eventually("listed", async || mirrored(&db, workspace).await.len() == 29).await;
    let bad = running.consumer.quarantined(None, None, 9).await.expect("a list").remove(0);
    assert!(bad.snapshot);
    mirror.poison.lock().expect("lock").clear();
    running.consumer.replay(&bad.at).await.expect("replayed");
    assert_same(&db, workspace).await;
    running.stop().await;
}
