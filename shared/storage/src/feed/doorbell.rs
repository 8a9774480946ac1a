//! Wakes readers of a log in this process. It carries no data and may ring for nothing: what a ring means is
//! "look again".
//!
//! [`crate::Tx`] collects [`Ring`]s while it runs and gives them to [`Doorbell::ring`] after its commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use keizoku_base::WorkspaceId;
use tokio::sync::Notify;

use super::types::{Log, Partitions};

/// Above this many workspaces a bell only knows that everything may have moved.
const MOST_WORKSPACES: usize = 10_000;

/// Says that partitions of a workspace may have grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// The log.
    pub log: Log,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The partitions.
    pub partitions: Partitions,
}

/// What has been rung since the last look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rung {
    /// Everything may have moved: read all heads.
    pub all: bool,
    /// These have moved.
    pub some: HashMap<WorkspaceId, Partitions>,
}

impl Rung {
    fn add(&mut self, ring: &Ring) {
        if self.some.len() >= MOST_WORKSPACES {
            self.all = true;
            self.some.clear();
        }
        let rung = self.some.entry(ring.workspace).or_default();
        *rung = rung.union(ring.partitions);
    }
}

/// The bell push of one database: cheap to clone, one for each [`crate::Db`].
#[derive(Debug, Clone, Default)]
pub struct Doorbell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bells: Mutex<Vec<Weak<Chime>>>,
    /// What other processes have not been told yet; `None` while nobody would tell them.
    outbox: Mutex<Option<HashMap<Log, Rung>>>,
    posted: Notify,
}

#[derive(Debug)]
struct Chime {
    log: Log,
    rung: Mutex<Rung>,
    wake: Notify,
}

/// One reader's bell.
#[derive(Debug)]
pub struct Bell(Arc<Chime>);

impl Doorbell {
    /// A bell push that nobody hears yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rings for readers in this process and, where a [`super::Ringer`] runs, in the others.
    pub fn ring(&self, ring: Ring) {
        self.ring_here(ring);
        if let Some(outbox) = lock(&self.0.outbox).as_mut() {
            outbox.entry(ring.log).or_default().add(&ring);
            self.0.posted.notify_one();
        }
    }

    /// Rings for everything: readers look at all heads and at the epoch.
    pub fn ring_all(&self) {
        self.ring_all_here();
        if let Some(outbox) = lock(&self.0.outbox).as_mut() {
            for log in Log::ALL {
                outbox.entry(log).or_default().all = true;
            }
            self.0.posted.notify_one();
        }
    }

    /// A bell that rings for `log`.
    pub fn subscribe(&self, log: Log) -> Bell {
        let chime = Arc::new(Chime { log, rung: Mutex::default(), wake: Notify::new() });
        let mut bells = lock(&self.0.bells);
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(&chime));
        Bell(chime)
    }

    pub(crate) fn ring_here(&self, ring: Ring) {
        self.each(ring.log, |rung| rung.add(&ring));
    }

    pub(crate) fn ring_all_here(&self) {
        for log in Log::ALL {
            self.each(log, |rung| rung.all = true);
        }
    }

    /// Whether anybody would hear a ring.
    pub(crate) fn has_bells(&self) -> bool {
        lock(&self.0.bells).iter().any(|bell| bell.strong_count() > 0)
    }

    /// From now on rings are kept for other processes too.
    pub(crate) fn open_outbox(&self) {
        lock(&self.0.outbox).get_or_insert_with(HashMap::new);
    }

    /// Rings are no longer kept for other processes.
    pub(crate) fn close_outbox(&self) {
        *lock(&self.0.outbox) = None;
    }

    /// Waits until something is in the outbox.
    pub(crate) async fn posted(&self) {
        self.0.posted.notified().await;
    }

    /// Empties the outbox.
    pub(crate) fn take_outbox(&self) -> HashMap<Log, Rung> {
        lock(&self.0.outbox).as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn each(&self, log: Log, mark: impl Fn(&mut Rung)) {
        for bell in lock(&self.0.bells).iter().filter_map(Weak::upgrade).filter(|bell| bell.log == log) {
            mark(&mut lock(&bell.rung));
            bell.wake.notify_one();
        }
    }
}

impl Bell {
    /// What has been rung since the last call.
    pub fn take(&self) -> Rung {
        std::mem::take(&mut lock(&self.0.rung))
    }

    /// Waits for a ring; returns at once if one came since the last wait.
    pub async fn wait(&self) {
        self.0.wake.notified().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use keizoku_base::Partition;

    use super::*;

    fn ring(workspace: u128, bits: u64) -> Ring {
        Ring {
            log: Log::Changes,
            workspace: WorkspaceId(uuid::Uuid::from_u128(workspace)),
            partitions: Partitions::from_bits(bits),
        }
    }

    #[tokio::test]
    async fn rings_before_the_wait_are_kept_and_united() {
        let doorbell = Doorbell::new();
        let (changes, events) = (doorbell.subscribe(Log::Changes), doorbell.subscribe(Log::Events));
        doorbell.ring(ring(1, 0b01));
        doorbell.ring(ring(1, 0b10));
        doorbell.ring(ring(2, 1 << 63));
        changes.wait().await;
        let rung = changes.take();
        assert_eq!(rung.some[&WorkspaceId(uuid::Uuid::from_u128(1))], Partitions::from_bits(0b11));
        assert!(rung.some[&WorkspaceId(uuid::Uuid::from_u128(2))].contains(Partition::new(63).expect("63")));
        assert_eq!((changes.take(), events.take()), (Rung::default(), Rung::default()));
    }

    #[test]
    fn a_dropped_bell_is_forgotten() {
        let doorbell = Doorbell::new();
        drop(doorbell.subscribe(Log::Changes));
        assert!(!doorbell.has_bells());
        let kept = doorbell.subscribe(Log::Changes);
        assert!(doorbell.has_bells());
        doorbell.ring_all_here();
        assert!(kept.take().all);
    }

    #[test]
    fn nothing_gathers_for_others_while_nobody_tells_them() {
        let doorbell = Doorbell::new();
        doorbell.ring(ring(1, 1));
        assert!(doorbell.take_outbox().is_empty());
        doorbell.open_outbox();
        doorbell.ring(ring(1, 1));
        assert_eq!(doorbell.take_outbox().len(), 1);
    }
}
