//! Writers, a filler and readers at random, while Redis is killed, flushed and frozen: each answer must be right at the
//! instant it says it was confirmed, and that instant less than a second ago.

use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keizoku_base::{Clock, Micros, SystemClock};
use keizoku_storage::cache::{Cache, Entry, Key, MAX_AGE, ReadThrough};
use keizoku_storage::feed::Partitions;
use keizoku_testkit::FaultProxy;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::rig::{Rig, config, entry, epoch, key};
use crate::server::Server;

const KEYS: u8 = 8;
const TIME: Duration = Duration::from_secs(4);

/// The database of the test, with its log: when each version of each key was committed.
#[derive(Default)]
struct Truth(Mutex<Vec<(Micros, u8, i64)>>);

impl Truth {
    fn write(&self, id: u8) {
        let mut log = self.0.lock().expect("whole");
        let version = i64::try_from(log.len()).expect("few") + 1;
        log.push((SystemClock.now(), id, version));
    }

    fn since(&self, position: usize) -> Vec<(Micros, u8, i64)> {
        self.0.lock().expect("whole")[position..].to_vec()
    }

    /// The version of a key as of an instant; 0 for none.
    fn version(&self, id: u8, at: Micros) -> i64 {
        let log = self.0.lock().expect("whole");
        let before = log.iter().filter(|(written, of, _)| *of == id && *written < at);
        before.map(|(_, _, version)| *version).max().unwrap_or(0)
    }
}

/// A generator of the same numbers each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn id(&mut self) -> u8 {
        u8::try_from(self.below(u64::from(KEYS))).expect("small")
    }
}

async fn write(truth: Arc<Truth>, until: Instant) {
    let mut dice = Dice(11);
    while Instant::now() < until {
        truth.write(dice.id());
        sleep(Duration::from_millis(dice.below(10))).await;
    }
}

/// Reads the log in its own time; the cursor moves when the cache took a batch.
async fn fill(truth: Arc<Truth>, cache: Arc<dyn Cache>, until: Instant) {
    let (mut dice, mut cursor) = (Dice(12), 0);
    while Instant::now() < until {
        sleep(Duration::from_millis(if dice.below(20) == 0 { 400 } else { dice.below(30) })).await;
        let as_of = SystemClock.now();
        let changes = truth.since(cursor);
        let entries: Vec<Entry> = changes.iter().map(|(_, id, version)| entry(&key(*id), *version)).collect();
        if cache.fill(entries).await.is_err() {
            continue;
        }
        cursor += changes.len();
        // A word that is not taken is given again with the next batch.
        cache.confirm(epoch(), Partitions::ALL, as_of).await.ok();
    }
}

async fn read(truth: Arc<Truth>, reader: ReadThrough, seed: u64, until: Instant, cached: Arc<AtomicI64>) {
    let mut dice = Dice(seed);
    while Instant::now() < until {
        let mut ids: Vec<u8> = (0..=dice.below(3)).map(|_| dice.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let keys: Vec<Key> = ids.iter().map(|id| key(*id)).collect();
        let pause = Duration::from_millis(dice.below(20));
        let look = |places: Vec<usize>| {
            let (truth, ids) = (truth.clone(), ids.clone());
            async move {
                let rows: Vec<_> = places.iter().map(|place| truth.version(ids[*place], Micros(i64::MAX))).collect();
                sleep(pause).await;
                let row = |version: i64| (version > 0).then(|| (version, crate::rig::value(version)));
                Ok::<_, Infallible>(rows.into_iter().map(row).collect())
            }
        };
        let asked_at = SystemClock.now();
        let found = reader.get(&keys, MAX_AGE, look).await.expect("never an error");
        for (id, found) in ids.iter().zip(found) {
            let Some(found) = found else { continue };
            let hit = found.hit;
            let least = truth.version(*id, hit.confirmed_at);
            assert!(hit.version >= least, "version {} at {}, when it was {least}", hit.version, hit.confirmed_at);
            assert!(
                asked_at.since(hit.confirmed_at) <= 1_000_000,
                "confirmed {} µs before",
                asked_at.since(hit.confirmed_at)
            );
            assert_eq!(hit.value, crate::rig::value(hit.version));
            cached.fetch_add(i64::from(found.cached), Ordering::Relaxed);
        }
        sleep(Duration::from_millis(dice.below(5))).await;
    }
}

/// Runs it all on some caches (processes that share what they hold); gives how many answers came out of them.
fn run(caches: &[Arc<dyn Cache>]) -> (JoinSet<()>, Arc<AtomicI64>) {
    let (truth, until, cached) = (Arc::new(Truth::default()), Instant::now() + TIME, Arc::new(AtomicI64::new(0)));
    let mut tasks = JoinSet::new();
    tasks.spawn(write(truth.clone(), until));
    tasks.spawn(fill(truth.clone(), caches[0].clone(), until));
    for (number, cache) in caches.iter().enumerate() {
        for seed in 1..=8 {
            let reader = ReadThrough::new(cache.clone(), Arc::new(SystemClock));
            let seed = seed + 100 * (number as u64 + 1);
            tasks.spawn(read(truth.clone(), reader, seed, until, cached.clone()));
        }
    }
    (tasks, cached)
}

async fn join(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        ended.expect("every answer was right");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_right_when_they_were_confirmed() {
    let rig = Rig::new().await;
    let (tasks, cached) = run(std::slice::from_ref(&rig.cache));
    join(tasks).await;
    assert!(cached.load(Ordering::Relaxed) > 500, "the cache is used: {cached:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_right_while_redis_fails_in_every_way() {
    let mut server = Server::start(&[]).await;
    let proxy = FaultProxy::start(server.address()).await;
    let config = config(server.url());
    let mut behind_proxy = config.clone();
    behind_proxy.urls = vec![format!("redis://{}", proxy.address())];
    let (one, _redis) = Rig::on(config).await;
    let (two, _redis) = Rig::on(behind_proxy).await;
    let (tasks, cached) = run(&[one.cache.clone(), two.cache.clone()]);
    let step = TIME / 8;
    sleep(step).await;
    server.ask("SAVE", &[]).await.expect("saved");
    sleep(step).await;
    server.ask("FLUSHALL", &[]).await.expect("flushed");
    sleep(step).await;
    proxy.freeze();
    server.kill().await;
    server.restart().await;
    sleep(step).await;
    proxy.restore();
    sleep(step).await;
    proxy.cut();
    sleep(step / 2).await;
    proxy.restore();
    join(tasks).await;
    assert!(cached.load(Ordering::Relaxed) > 500, "the cache is used: {cached:?}");
}
