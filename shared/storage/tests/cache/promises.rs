//! What holds for either cache.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keizoku_base::{Clock, Partition, SystemClock};
use keizoku_storage::cache::{Entry, Hit, Key, MAX_AGE};
use keizoku_storage::feed::{FeedEpoch, Partitions};
use keizoku_testkit::eventually;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::rig::{Rig, SOON, entry, epoch, key, value, workspace};

fn found(version: i64) -> Hit {
    Hit { version, value: value(version), confirmed_at: SystemClock.now() }
}

#[tokio::test]
async fn what_was_filled_is_read_with_the_time_it_was_confirmed() {
    let rig = Rig::new().await;
    let before = SystemClock.now();
    rig.confirm().await;
    rig.fill(&key(1), 5).await;
    let hit = rig.hit(&key(1)).await.expect("a hit");
    assert_eq!((hit.version, hit.value), (5, value(5)));
    assert!((before..=SystemClock.now()).contains(&hit.confirmed_at), "{before} {}", hit.confirmed_at);
}

#[tokio::test]
async fn an_older_version_never_replaces_a_newer_one() {
    let rig = Rig::new().await;
    for (put, held) in [(2, 2), (1, 2), (2, 2), ((1 << 53) + 1, (1 << 53) + 1), (1 << 53, (1 << 53) + 1)] {
        rig.fill(&key(1), put).await;
        assert_eq!(rig.version(&key(1)).await, Some(held), "after {put}");
    }
    rig.cache.fill(vec![entry(&key(2), 9), entry(&key(2), 8)]).await.expect("taken");
    assert_eq!(rig.version(&key(2)).await, Some(9), "within one batch");
}

#[tokio::test]
async fn a_lease_lets_one_reader_refill_and_ends_with_it() {
    let rig = Rig::new().await;
    let wanted = [key(1), key(2)];
    let first = rig.cache.lease(&wanted).await;
    let second = rig.cache.lease(&wanted).await;
    assert!(first.iter().all(Option::is_some) && second.iter().all(Option::is_none));
    let lease = first[0].clone().expect("a lease");
    rig.cache.refill(vec![(lease.clone(), found(3))]).await;
    assert_eq!(rig.version(&key(1)).await, Some(3));
    rig.cache.refill(vec![(lease, found(4))]).await;
    assert_eq!(rig.version(&key(1)).await, Some(3), "used already");
    assert!(rig.cache.lease(&wanted[..1]).await[0].is_some(), "free again");
}

#[tokio::test]
async fn what_was_read_before_a_fill_is_not_put_after_it() {
    let rig = Rig::new().await;
    let lease = rig.cache.lease(&[key(1)]).await.remove(0).expect("a lease");
    rig.cache.fill(vec![Entry { value: None, ..entry(&key(1), 2) }]).await.expect("taken");
    rig.cache.refill(vec![(lease, found(9))]).await;
    assert_eq!(rig.version(&key(1)).await, None, "gone is gone, until somebody looks again");
    let lease = rig.cache.lease(&[key(1)]).await.remove(0).expect("a lease");
    rig.cache.refill(vec![(lease, found(3))]).await;
    assert_eq!(rig.version(&key(1)).await, Some(3));
}

#[tokio::test]
async fn keys_differ_by_epoch_workspace_kind_and_id() {
    let rig = Rig::new().await;
    rig.fill(&key(1), 1).await;
    let (partition, id) = (Partition::new(1).expect("below 64"), [1; 16]);
    let other_epoch = FeedEpoch::from_bytes(&[8; 16]).expect("16 bytes");
    for other in [
        Key::new(other_epoch, workspace(1), partition, "score", &id),
        Key::new(epoch(), workspace(2), partition, "score", &id),
        Key::new(epoch(), workspace(1), partition, "state", &id),
        Key::new(epoch(), workspace(1), partition, "score", &[2; 16]),
    ] {
        assert_eq!(rig.version(&other).await, None, "{other:?}");
    }
    assert_eq!(rig.version(&key(1)).await, Some(1));
}

#[tokio::test]
async fn what_the_filler_does_not_confirm_is_not_served() {
    let rig = Rig::new().await;
    let other_epoch = FeedEpoch::from_bytes(&[8; 16]).expect("16 bytes");
    let unconfirmed = Key::new(other_epoch, workspace(1), Partition::new(1).expect("below 64"), "score", &[1; 16]);
    rig.fill(&unconfirmed, 1).await;
    assert_eq!(rig.version(&unconfirmed).await, None, "nothing was confirmed in that life of the feed");

    rig.fill(&key(1), 1).await;
    rig.confirm().await;
    assert_eq!(rig.version(&key(1)).await, Some(1));
    eventually(SOON, || async { rig.version(&key(1)).await.is_none() }).await;
    assert!(rig.cache.lease(&[key(1)]).await[0].is_none(), "nor refilled, for nobody could read it");
    rig.cache
        .confirm(epoch(), Partitions::from_iter([Partition::new(1).expect("below 64")]), SystemClock.now())
        .await
        .expect("taken");
    assert_eq!(rig.version(&key(1)).await, Some(1), "the filler is back");
    assert_eq!(rig.version(&key(2)).await, None);
}

#[tokio::test]
async fn a_filler_that_lags_makes_readers_go_to_the_database() {
    let rig = Rig::new().await;
    rig.fill(&key(1), 1).await;
    eventually(SOON, || async { rig.version(&key(1)).await.is_none() }).await;
    let long_ago = SystemClock.now().plus(-2_000_000);
    rig.cache.confirm(epoch(), Partitions::ALL, long_ago).await.expect("taken");
    let look = |_: Vec<usize>| async { Ok::<_, Infallible>(vec![Some((2, value(2)))]) };
    let found = rig.reader().get(&[key(1)], MAX_AGE, look).await.expect("an answer").remove(0).expect("found");
    assert_eq!((found.hit.version, found.cached), (2, false));
}

#[tokio::test]
async fn a_stricter_reader_passes_over_what_is_confirmed_too_long_ago() {
    let rig = Rig::new().await;
    rig.fill(&key(1), 1).await;
    let (keys, strict) = ([key(1)], Duration::from_millis(300));
    eventually(SOON, || async {
        // Past 300 ms only the reader that allows a second is served.
        rig.cache.get(&keys, strict).await[0].is_none() && rig.cache.get(&keys, MAX_AGE).await[0].is_some()
    })
    .await;
    assert!(rig.cache.get(&keys, Duration::ZERO).await[0].is_none());
}

#[tokio::test]
async fn readers_of_one_key_share_one_look_into_the_database() {
    let rig = Rig::new().await;
    let (reader, looks, gate) = (Arc::new(rig.reader()), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let mut readers = JoinSet::new();
    for _ in 0..64 {
        let (reader, looks, gate) = (reader.clone(), looks.clone(), gate.clone());
        readers.spawn(async move {
            let look = |places: Vec<usize>| {
                let (looks, gate) = (looks.clone(), gate.clone());
                async move {
                    assert_eq!(places, [0]);
                    looks.fetch_add(1, Ordering::SeqCst);
                    let _open = gate.acquire().await;
                    Ok::<_, Infallible>(vec![Some((4, value(4)))])
                }
            };
            let found = reader.get(&[key(1)], MAX_AGE, look).await.expect("an answer").remove(0);
            found.expect("found").hit
        });
    }
    eventually(SOON, || async { looks.load(Ordering::SeqCst) == 1 }).await;
    gate.add_permits(1);
    while let Some(hit) = readers.join_next().await {
        assert_eq!(hit.expect("no panic").version, 4);
    }
    assert_eq!(looks.load(Ordering::SeqCst), 1);
    assert_eq!(rig.version(&key(1)).await, Some(4), "refilled");
}

#[tokio::test]
async fn a_reader_that_gives_up_leaves_the_look_to_the_next() {
    let rig = Rig::new().await;
    let reader = Arc::new(rig.reader());
    let started = Arc::new(Semaphore::new(0));
    let mut hanging = JoinSet::new();
    let (first, started_first) = (reader.clone(), started.clone());
    hanging.spawn(async move {
        let look = |_: Vec<usize>| async {
            started_first.add_permits(1);
            std::future::pending::<Result<_, Infallible>>().await
        };
        first.get(&[key(1)], MAX_AGE, look).await
    });
    let _begun = started.acquire().await.expect("open");
    let second = reader.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        second.get(&[key(1)], MAX_AGE, |_| async { Ok::<_, Infallible>(vec![Some((6, value(6)))]) }).await
    });
    hanging.abort_all();
    let found = waiting.join_next().await.expect("one").expect("no panic").expect("an answer").remove(0);
    assert_eq!(found.expect("found").hit.version, 6);
}

#[tokio::test]
async fn a_batch_reads_only_what_is_missing_and_answers_in_order() {
    let rig = Rig::new().await;
    let keys: Vec<Key> = (0..10).map(key).collect();
    for even in keys.iter().step_by(2) {
        rig.fill(even, 1).await;
    }
    let look = |places: Vec<usize>| async move {
        assert_eq!(places, [1, 3, 5, 7, 9]);
        Ok::<_, Infallible>(places.iter().map(|place| (*place != 5).then(|| (2, value(2)))).collect())
    };
    let found = rig.reader().get(&keys, MAX_AGE, look).await.expect("an answer");
    let versions: Vec<_> = found.iter().map(|found| found.as_ref().map(|found| found.hit.version)).collect();
    let wanted = [1, 2, 1, 2, 1, 0, 1, 2, 1, 2].map(|version| (version > 0).then_some(version));
    assert_eq!(versions, wanted);
    assert_eq!(rig.version(&keys[9]).await, Some(2));
    assert_eq!(rig.version(&keys[5]).await, None, "what the database does not know is not kept");
}

#[tokio::test]
async fn an_error_of_the_database_is_the_readers_and_nothing_is_kept() {
    let rig = Rig::new().await;
    let reader = rig.reader();
    let answer = reader.get(&[key(1)], MAX_AGE, |_| async { Err::<Vec<_>, _>("down") }).await;
    assert_eq!(answer.expect_err("the error"), "down");
    let answer = reader.get(&[key(1)], MAX_AGE, |_| async { Ok::<_, &str>(vec![Some((1, value(1)))]) }).await;
    assert_eq!(answer.expect("an answer").remove(0).expect("found").hit.version, 1);
}

#[tokio::test]
async fn a_reader_without_patience_reads_the_database_itself() {
    let rig = Rig::new().await;
    rig.fill(&key(1), 1).await;
    let look = |_: Vec<usize>| async { Ok::<_, Infallible>(vec![Some((2, value(2)))]) };
    let before = SystemClock.now();
    let found = rig.reader().get(&[key(1)], Duration::ZERO, look).await.expect("an answer").remove(0);
    let found = found.expect("found");
    assert_eq!((found.hit.version, found.cached), (2, false));
    assert!(found.hit.confirmed_at >= before);
}

/// The futures of reads cross threads in servers.
#[tokio::test]
async fn reads_can_be_sent_to_other_threads() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let (rig, text) = (Rig::new().await, "borrowed".to_owned());
    let reader = rig.reader();
    let look = |places: Vec<usize>| {
        let text = &text;
        async move { Ok::<_, Infallible>(places.iter().map(|_| Some((1, text.clone().into()))).collect()) }
    };
    let keys = [key(1)];
    let found = sendable(reader.get(&keys, MAX_AGE, look)).await.expect("an answer");
    assert_eq!(found[0].as_ref().map(|found| found.hit.value.clone()), Some(text.clone().into()));
}
