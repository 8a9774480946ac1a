//! Supervised background work: a panic restarts it after a pause, ten panics stop the process, and so does a task that ends
//! unasked.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context;

/// After so many panics of one task the process stops.
const MOST_PANICS: u32 = 10;

/// The background work of a process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    tracker: TaskTracker,
    stop: CancellationToken,
    broken: CancellationToken,
}

impl Tasks {
    /// No work yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts work that goes on until its token is cancelled; then it finishes the item in hand and returns. It is started
    /// anew after a panic, so it keeps its state where a panic cannot spoil it.
    pub fn spawn<F, W>(&self, name: &'static str, work: W)
    where
        W: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_with(
            name,
            ExponentialBuilder::default().with_jitter().with_max_delay(Duration::from_secs(30)),
            work,
        );
    }

    /// Starts work with an end of its own, for the call that starts it: with its trace and deadline. The process waits for
    /// it when it stops. A panic is logged, and seen by whoever awaits the handle.
    #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
    pub fn once<T, F>(&self, work: F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        tokio::spawn(self.0.tracker.track_future(context::carry(work)))
    }

    /// Cancelled when work should end.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// Asks all work to end and waits until it has.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tracker.close();
        self.0.tracker.wait().await;
    }

    /// Returns when a task ended unasked or panicked too often: the process must stop.
    pub async fn broken(&self) {
        self.0.broken.cancelled().await;
    }

    /// Whether a task ended unasked or panicked too often.
    pub fn is_broken(&self) -> bool {
        self.0.broken.is_cancelled()
    }

    fn spawn_with<F, W>(&self, name: &'static str, pauses: ExponentialBuilder, work: W)
    where
        W: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, broken) = (self.0.stop.clone(), self.0.broken.clone());
        self.once(async move {
            if !supervise(name, pauses, work, &stop).await {
                broken.cancel();
            }
        });
    }
}

/// Whether the work ended because it was asked to.
async fn supervise<F, W>(name: &'static str, pauses: ExponentialBuilder, mut work: W, stop: &CancellationToken) -> bool
where
    W: FnMut(CancellationToken) -> F,
    F: Future<Output = ()>,
{
    let mut pauses = pauses.with_max_times(MOST_PANICS as usize).build();
    for panics in 1..=MOST_PANICS {
        let run = match std::panic::catch_unwind(AssertUnwindSafe(|| work(stop.clone()))) {
            Ok(run) => AssertUnwindSafe(run).catch_unwind().await,
            Err(panic) => Err(panic),
        };
        if stop.is_cancelled() {
            return true;
        }
        if run.is_ok() {
            tracing::error!(task = name, "a task ended unasked; the process stops");
            return false;
        }
        tracing::error!(task = name, panics, "a task panicked");
        let pause = tokio::time::sleep(pauses.next().unwrap_or_default());
        tokio::select! {
            () = pause => {}
            () = stop.cancelled() => return true,
        }
    }
    tracing::error!(task = name, "a task panicked too often; the process stops");
    false
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn quick() -> ExponentialBuilder {
        ExponentialBuilder::default().with_min_delay(Duration::from_millis(1)).with_max_delay(Duration::from_millis(2))
    }

    #[tokio::test]
    async fn work_that_panics_is_started_anew() {
        let (tasks, runs) = (Tasks::new(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        let (ready, wait) = tokio::sync::watch::channel(false);
        tasks.spawn_with("flaky", quick(), move |stop| {
            let (run, ready) = (counted.fetch_add(1, Ordering::SeqCst), ready.clone());
            async move {
                assert!(run >= 3, "not yet");
                ready.send_replace(true);
                stop.cancelled().await;
            }
        });
        wait.clone().wait_for(|ready| *ready).await.expect("it runs in the end");
        tasks.stop().await;
        assert_eq!(runs.load(Ordering::SeqCst), 4);
        assert!(!tasks.is_broken());
    }

    #[tokio::test]
    async fn ten_panics_stop_the_process() {
        let (tasks, runs) = (Tasks::new(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        tasks.spawn_with("hopeless", quick(), move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { panic!("never") }
        });
        tasks.broken().await;
        assert_eq!(runs.load(Ordering::SeqCst), 10);
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_stops_the_process() {
        let tasks = Tasks::new();
        tasks.spawn("short", |_| async {});
        tasks.broken().await;
        assert!(tasks.is_broken());
    }

    #[tokio::test]
    async fn stopping_waits_for_the_item_in_hand() {
        let (tasks, done) = (Tasks::new(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&done);
        tasks.spawn("careful", move |stop| {
            let counted = Arc::clone(&counted);
            async move {
                stop.cancelled().await;
                tokio::task::yield_now().await;
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let once = tasks.once(async { 7 });
        tasks.stop().await;
        assert_eq!(done.load(Ordering::SeqCst), 1);
        assert_eq!(once.await.expect("an answer"), 7);
        assert!(!tasks.is_broken());
    }
}
