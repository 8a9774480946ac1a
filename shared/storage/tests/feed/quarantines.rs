//! Changes that cannot be handled.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keizoku_storage::feed::{FeedFault, QuarantineKey};

use crate::mirror::{Mirror, Running, caught_up, mirrored, tally};
use crate::store::{Store, eventually, partition, workspace, write};

#[tokio::test]
async fn bad_changes_are_found_by_halving_and_set_aside_and_all_others_apply() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let many: Vec<_> = (0..200).map(|key| (key, Some(i64::from(key)))).collect();
    write(&db, workspace, &many).await;
    let mirror = Arc::new(Mirror::poisoned_by(&[17, 130]));
    let running = Running::local(&db, &mirror);
    eventually("caught up", async || caught_up(&db, workspace).await).await;
    assert_eq!((mirrored(&db, workspace).await.len(), tally(&db, workspace).await), (198, 198));
    // Halving 200 down to 1 twice, and five tries of each.
    assert!(mirror.calls.load(Ordering::SeqCst) <= 2 * (2 * 8 + 5), "{}", mirror.calls.load(Ordering::SeqCst));
    let found = running.consumer.quarantined(None, None, 10).await.expect("a list");
    let keys: Vec<_> =
        found.iter().map(|bad| (bad.at.partition, bad.at.seq, bad.attempts, bad.error.as_str())).collect();
    assert_eq!(keys, vec![(partition(2), 3, 5, "thing 130 is bad"), (partition(17), 1, 5, "thing 17 is bad")]);
    assert_eq!(found[1].at.key, &17_i32.to_be_bytes()[..]);
    let first = running.consumer.quarantined(Some(workspace), None, 1).await.expect("a page");
    let second = running.consumer.quarantined(Some(workspace), Some(&first[0].at), 5).await.expect("a page");
    assert_eq!([first, second].concat(), found);
    assert!(running.consumer.quarantined(Some(crate::store::workspace()), None, 5).await.expect("a page").is_empty());
    assert_eq!(running.consumer.status().await.expect("a status").quarantined, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_quarantined_change_is_replayed_once_its_cause_is_mended() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(17, Some(1)), (18, Some(1))]).await;
    let mirror = Arc::new(Mirror::poisoned_by(&[17]));
    let running = Running::local(&db, &mirror);
    eventually("caught up", async || caught_up(&db, workspace).await).await;
    let bad = running.consumer.quarantined(None, None, 10).await.expect("a list").remove(0);
    let again = running.consumer.replay(&bad.at).await;
    assert!(matches!(again, Err(FeedFault::StillFailing(_))), "{again:?}");
    assert_eq!(running.consumer.quarantined(None, None, 10).await.expect("a list")[0].attempts, 6);
    mirror.poison.lock().expect("lock").clear();
    running.consumer.replay(&bad.at).await.expect("replayed");
    assert_eq!(mirrored(&db, workspace).await, vec![(17, 1), (18, 1)]);
    assert!(running.consumer.quarantined(None, None, 10).await.expect("a list").is_empty());
    let gone = running.consumer.replay(&bad.at).await;
    assert!(matches!(gone, Err(FeedFault::NotQuarantined)), "{gone:?}");
    let nowhere = QuarantineKey { workspace: crate::store::workspace(), ..bad.at };
    assert!(matches!(running.consumer.replay(&nowhere).await, Err(FeedFault::NotQuarantined)));
    running.stop().await;
}

#[tokio::test]
async fn later_changes_of_a_quarantined_key_apply_and_a_replay_does_not_undo_them() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mirror = Arc::new(Mirror::poisoned_by(&[17]));
    let running = Running::local(&db, &mirror);
    write(&db, workspace, &[(17, Some(1))]).await;
    eventually("caught up", async || caught_up(&db, workspace).await).await;
    mirror.poison.lock().expect("lock").clear();
    write(&db, workspace, &[(17, Some(2))]).await;
    eventually("caught up", async || caught_up(&db, workspace).await).await;
    assert_eq!(mirrored(&db, workspace).await, vec![(17, 2)]);
    let bad = running.consumer.quarantined(None, None, 10).await.expect("a list").remove(0);
    running.consumer.replay(&bad.at).await.expect("replayed");
    assert_eq!(mirrored(&db, workspace).await, vec![(17, 2)]);
    running.stop().await;
}

#[tokio::test]
async fn a_change_that_makes_the_handler_panic_is_set_aside_too() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mirror = Arc::new(Mirror::default());
    mirror.panics.lock().expect("lock").insert(3);
    write(&db, workspace, &[(2, Some(1)), (3, Some(1)), (4, Some(1))]).await;
    let running = Running::local(&db, &mirror);
    eventually("caught up", async || caught_up(&db, workspace).await).await;
    assert_eq!(mirrored(&db, workspace).await, vec![(2, 1), (4, 1)]);
    let found = running.consumer.quarantined(None, None, 10).await.expect("a list");
    assert_eq!(found[0].error, "the handler panicked: thing 3 is very bad");
    running.stop().await;
}
