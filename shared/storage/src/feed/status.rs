//! What a consumer shows of itself.

use std::sync::{Mutex, PoisonError};

use keizoku_base::Micros;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use super::types::{Batch, Cursor, Partitions};
use crate::metrics::SECONDS;

/// What a consumer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It does not run.
    Stopped,
    /// Other replicas hold all partitions.
    Waiting,
    /// It lists the source's state again.
    Bootstrapping,
    /// It applies changes as they come.
    Following,
    /// Something is down; it tries again.
    Retrying,
    /// A newer version of this program consumed this feed; somebody must act.
    Outdated,
}

/// A consumer's state at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The consumer's name.
    pub consumer: &'static str,
    /// The source's name.
    pub source: &'static str,
    /// What it is doing.
    pub activity: Activity,
    /// The partitions that this replica works on.
    pub partitions: Partitions,
    /// The position that was applied last.
    pub last_position: Option<Cursor>,
    /// When it was applied.
    pub last_applied_at: Option<Micros>,
    /// For how long the oldest change not yet applied has been waiting, in seconds; 0 when caught up. While the source
    /// cannot be reached, the time since it was last caught up.
    pub lag_seconds: f64,
    /// Changes applied since this process started.
    pub applied: u64,
    /// Quarantined changes of all partitions.
    pub quarantined: u64,
    /// Why it last had to try again, if it has not succeeded since.
    pub trouble: Option<String>,
}

/// The part of a [`Status`] that the running consumer writes.
#[derive(Debug)]
pub(crate) struct Board {
    facts: Mutex<Facts>,
    labels: [KeyValue; 2],
    changes: Counter<u64>,
    quarantines: Counter<u64>,
    gaps: Counter<u64>,
    lag: Histogram<f64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) activity: Activity,
    pub(crate) partitions: Partitions,
    pub(crate) last_position: Option<Cursor>,
    pub(crate) last_applied_at: Option<Micros>,
    pub(crate) behind_since: Option<Micros>,
    pub(crate) applied: u64,
    pub(crate) trouble: Option<String>,
}

impl Board {
    pub(crate) fn new(consumer: &'static str, source: &'static str) -> Self {
        let meter = opentelemetry::global::meter("keizoku.storage");
        let facts = Facts {
            activity: Activity::Stopped,
            partitions: Partitions::NONE,
            last_position: None,
            last_applied_at: None,
            behind_since: None,
            applied: 0,
            trouble: None,
        };
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            facts: Mutex::new(facts),
            labels: [KeyValue::new("consumer", consumer), KeyValue::new("source", source)],
            changes: counter("keizoku.feed.changes", "Changes applied by a feed consumer"),
            quarantines: counter("keizoku.feed.quarantined", "Changes that a feed consumer put into quarantine"),
            gaps: counter("keizoku.feed.gaps", "Holes that a feed consumer found in a feed: somebody must look"),
            lag: meter
                .f64_histogram("keizoku.feed.lag")
                .with_unit("s")
                .with_description("Time from a change's commit to the commit of its effect, by the oldest of a batch")
                .with_boundaries(SECONDS.to_vec())
                .build(),
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn applied(&self, batch: &Batch, now: Micros) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.changes.add(count, &self.labels);
        if let Some(oldest) = batch.oldest().filter(|_| !batch.snapshot) {
            self.lag.record(seconds(now.since(oldest)), &self.labels);
        }
        let last = batch.segments.last().map(|segment| Cursor {
            workspace: batch.workspace,
            partition: segment.partition,
            seq: segment.through,
        });
        self.note(|facts| {
            facts.applied += count;
            facts.last_applied_at = Some(now);
            facts.trouble = None;
            if facts.activity == Activity::Retrying {
                facts.activity = Activity::Following;
            }
            facts.last_position = last.or(facts.last_position);
        });
    }

    pub(crate) fn quarantined(&self) {
        self.quarantines.add(1, &self.labels);
    }

    pub(crate) fn gap(&self) {
        self.gaps.add(1, &self.labels);
    }
}

/// Seconds of a number of microseconds, never below 0.
#[expect(clippy::cast_precision_loss, reason = "a lag needs no more than 53 bits")]
pub(crate) fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}
