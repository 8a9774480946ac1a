//! What readers see while Redis is down, slow, flushed, restarted or behind: right answers, from the database.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use keizoku_storage::cache::{MAX_AGE, NotTaken, ReadThrough, Redis};
use keizoku_testkit::{FaultProxy, eventually};

use crate::rig::{Rig, SOON, config, entry, key, value};
use crate::server::Server;

/// Reads one key when the database holds `version`; gives the version answered, and whether it was cached.
async fn read(reader: &ReadThrough, version: i64) -> (i64, bool) {
    let look = |_: Vec<usize>| async move { Ok::<_, Infallible>(vec![Some((version, value(version)))]) };
    let found = reader.get(&[key(1)], MAX_AGE, look).await.expect("an answer").remove(0).expect("found");
    (found.hit.version, found.cached)
}

#[tokio::test]
async fn redis_killed_in_the_middle_costs_nothing_but_hits() {
    let mut server = Server::start(&[]).await;
    let (rig, redis) = Rig::on(config(server.url())).await;
    let reader = rig.reader();
    rig.confirm().await;
    rig.fill(&key(1), 1).await;
    assert_eq!(read(&reader, 1).await, (1, true));
    server.kill().await;
    eventually(SOON, || async { !redis.is_usable() }).await;
    assert_eq!(rig.cache.fill(vec![entry(&key(1), 2)]).await, Err(NotTaken), "the filler's cursor stays");
    eventually(SOON, || async { read(&reader, 2).await == (2, false) }).await;
    let started = Instant::now();
    for version in 3..1_000 {
        assert_eq!(read(&reader, version).await, (version, false));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());

    server.restart().await;
    eventually(SOON, || async { redis.is_usable() }).await;
    rig.fill(&key(1), 1_000).await;
    rig.confirm().await;
    assert_eq!(read(&reader, 1_000).await, (1_000, true), "in use again");
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_a_few_times_only() {
    let server = Server::start(&[]).await;
    let proxy = FaultProxy::start(server.address()).await;
    let mut config = config(format!("redis://{}", proxy.address()));
    config.near_capacity = 0;
    let (rig, redis) = Rig::on(config).await;
    let reader = rig.reader();
    rig.confirm().await;
    rig.fill(&key(1), 1).await;
    assert_eq!(read(&reader, 1).await, (1, true));
    proxy.freeze();
    let started = Instant::now();
    for version in 2..1_000 {
        assert_eq!(read(&reader, version).await, (version, false));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(!redis.is_usable());
    proxy.restore();
    eventually(SOON, || async { redis.is_usable() }).await;
}

#[tokio::test]
async fn a_slow_redis_is_not_used() {
    let server = Server::start(&[]).await;
    let proxy = FaultProxy::start(server.address()).await;
    let (_rig, redis) = Rig::on(config(format!("redis://{}", proxy.address()))).await;
    proxy.delay(Duration::from_millis(100));
    eventually(SOON, || async { !redis.is_usable() }).await;
    proxy.restore();
    eventually(SOON, || async { redis.is_usable() }).await;
}

#[tokio::test]
async fn a_flushed_redis_holds_nothing() {
    let server = Server::start(&[]).await;
    let mut config = config(server.url());
    config.near_capacity = 0;
    let (rig, _redis) = Rig::on(config).await;
    let reader = rig.reader();
    rig.confirm().await;
    rig.fill(&key(1), 1).await;
    let lease = rig.cache.lease(&[key(2)]).await.remove(0).expect("a lease");
    server.ask("FLUSHALL", &[]).await.expect("flushed");
    assert_eq!(rig.version(&key(1)).await, None);
    let hit = keizoku_storage::cache::Hit { version: 1, value: value(1), confirmed_at: keizoku_base::Micros(0) };
    rig.cache.refill(vec![(lease, hit)]).await;
    assert_eq!(rig.version(&key(2)).await, None, "what was read before the flush is not put after it");
    assert_eq!(read(&reader, 2).await, (2, false));
    rig.confirm().await;
    assert_eq!(read(&reader, 3).await, (2, true), "refilled");
}

#[tokio::test]
async fn what_an_old_snapshot_of_redis_holds_is_never_served() {
    let mut server = Server::start(&[]).await;
    let (rig, redis) = Rig::on(config(server.url())).await;
    rig.confirm().await;
    rig.fill(&key(1), 1).await;
    server.ask("SAVE", &[]).await.expect("saved");
    rig.fill(&key(1), 2).await;
    rig.confirm().await;
    server.kill().await;
    server.restart().await;
    let keys = server.ask("DBSIZE", &[]).await.expect("a count");
    assert!(matches!(keys, redis::Value::Int(held) if held > 0), "the snapshot came back: {keys:?}");
    eventually(SOON, || async { !redis.is_usable() }).await;
    eventually(SOON, || async { redis.is_usable() }).await;
    let reader = rig.reader();
    eventually(SOON, || async {
        rig.confirm().await;
        read(&reader, 2).await == (2, true)
    })
    .await;
    assert_eq!(rig.version(&key(1)).await, Some(2));
}

#[tokio::test]
async fn processes_share_what_they_fill() {
    let server = Server::start(&[]).await;
    let mut config = config(server.url());
    let (filler, _redis) = Rig::on(config.clone()).await;
    filler.confirm().await;
    filler.fill(&key(1), 1).await;
    let (other, _redis) = Rig::on(config.clone()).await;
    eventually(SOON, || async {
        filler.confirm().await;
        other.version(&key(1)).await == Some(1)
    })
    .await;
    filler.fill(&key(1), 2).await;
    eventually(SOON, || async {
        filler.confirm().await;
        other.version(&key(1)).await == Some(2)
    })
    .await;
    let lease = filler.cache.lease(&[key(2)]).await.remove(0);
    assert!(lease.is_some() && other.cache.lease(&[key(2)]).await[0].is_none(), "one refill at a time, anywhere");
    config.prefix.push_str("-other");
    let (stranger, _redis) = Rig::on(config).await;
    stranger.confirm().await;
    assert_eq!(stranger.version(&key(1)).await, None, "another deployment");
}

#[tokio::test]
async fn a_cluster_is_used_like_one_server() {
    let server = Server::start(&["--cluster-enabled", "yes"]).await;
    server.ask("CLUSTER", &["ADDSLOTSRANGE", "0", "16383"]).await.expect("slots");
    eventually(SOON, || async {
        matches!(server.ask("CLUSTER", &["INFO"]).await, Ok(info) if format!("{info:?}").contains("cluster_state:ok"))
    })
    .await;
    let mut config = config(server.url());
    config.cluster = true;
    config.near_capacity = 0;
    let (rig, _redis) = Rig::on(config).await;
    let reader = rig.reader();
    rig.confirm().await;
    for (put, held) in [(2, 2), (1, 2), (3, 3)] {
        rig.fill(&key(1), put).await;
        assert_eq!(read(&reader, 9).await, (held, true), "after {put}");
    }
    let entries = (0..200).map(|id| entry(&key(id), 4)).collect();
    rig.cache.fill(entries).await.expect("taken");
    rig.confirm().await;
    let hits = rig.cache.get(&(0..200).map(key).collect::<Vec<_>>(), MAX_AGE).await;
    assert!(hits.iter().all(|hit| hit.as_ref().is_some_and(|hit| hit.version == 4)));
    assert!(rig.cache.lease(&[key(201), key(202)]).await.iter().all(Option::is_some));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let clock = std::sync::Arc::new(keizoku_base::SystemClock);
    for wrong in ["", "localhost", "http://localhost:6379"] {
        assert!(Redis::new(config(wrong.to_owned()), clock.clone()).is_err(), "{wrong}");
    }
}
