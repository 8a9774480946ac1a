//! Calls, as many as the other side takes (closed loop), or at a fixed rate whatever it takes (open loop).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A call of a load, by its number from 0.
pub(crate) trait Call: Fn(u64) -> Self::Answer + Clone + Send + Sync + 'static {
    /// What it waits for.
    type Answer: Future<Output = anyhow::Result<()>> + Send + 'static;
}

impl<C, A> Call for C
where
    C: Fn(u64) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    type Answer = A;
}

/// What a closed loop came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throughput {
    /// Calls answered.
    pub(crate) calls: u64,
    /// Calls a second.
    pub(crate) per_second: f64,
}

/// Keeps `lanes` calls in work for so long.
///
/// # Errors
/// The first call that failed.
pub(crate) async fn closed<C: Call>(lanes: usize, time: Duration, call: C) -> anyhow::Result<Throughput> {
    let number = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..lanes {
        let (call, number) = (call.clone(), Arc::clone(&number));
        tasks.spawn(async move {
            let mut answered = 0_u64;
            while begun.elapsed() < time {
                call(number.fetch_add(1, Ordering::Relaxed)).await?;
                answered += 1;
            }
            anyhow::Ok(answered)
        });
    }
    let mut calls = 0;
    while let Some(lane) = tasks.join_next().await {
        calls += lane??;
    }
    Ok(Throughput { calls, per_second: calls as f64 / begun.elapsed().as_secs_f64() })
}

/// How long calls took, in microseconds from the instant at which each was due.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// The time within which `percent` of the calls were answered, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1000.0
    }

    /// The longest, in milliseconds.
    pub(crate) fn longest_ms(&self) -> f64 {
        self.0.max() as f64 / 1000.0
    }
}

/// Makes `calls` calls, `rate` of them a second. A slow answer delays no later call, and its wait counts from the instant
/// at which it was due. Ends with `None` as soon as one call took longer than `limit`.
///
/// # Errors
/// The first call that failed.
pub(crate) async fn open<C: Call>(
    rate: f64,
    calls: u64,
    limit: Duration,
    call: C,
) -> anyhow::Result<Option<Latencies>> {
    if rate <= 0.0 {
        bail!("an open loop needs a rate above 0");
    }
    let (answered, mut answers) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Handle::current();
    // A thread of its own keeps time: timers of the runtime are no finer than a millisecond.
    let pace = std::thread::spawn(move || {
        let begun = Instant::now();
        for number in 0..calls {
            let due = begun + Duration::from_secs_f64(number as f64 / rate);
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(early);
            }
            if answered.is_closed() {
                return;
            }
            let (answer, answered) = (call(number), answered.clone());
            runtime.spawn(async move {
                let result = tokio::time::timeout_at((due + limit).into(), answer).await;
                // Nobody listens any more once a call has failed.
                answered.send(result.map(|result| result.map(|()| due.elapsed()))).ok();
            });
        }
    });
    let mut latencies = Histogram::new_with_bounds(1, 600_000_000, 3)?;
    while let Some(answer) = answers.recv().await {
        let Ok(answer) = answer else { return Ok(None) };
        let micros = u64::try_from(answer?.as_micros()).unwrap_or(u64::MAX);
        latencies.saturating_record(micros.max(1));
    }
    pace.join().ok().context("the thread that keeps time ended early")?;
    Ok(Some(Latencies(latencies)))
}
