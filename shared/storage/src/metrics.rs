//! How long transactions take, by name.

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

/// Boundaries of histograms of seconds; OpenTelemetry's own are meant for milliseconds.
pub(crate) const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The instruments of one [`crate::Db`]. Made when it connects, after telemetry was set up.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    service: &'static str,
    duration: Histogram<f64>,
    repeats: Counter<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Committed,
    RolledBack,
}

/// Measures one transaction; dropped unstopped, it was rolled back.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    metrics: Metrics,
    name: &'static str,
    access: &'static str,
    started: Instant,
    outcome: Outcome,
}

impl Metrics {
    pub(crate) fn new(service: &'static str) -> Self {
        let meter = opentelemetry::global::meter("keizoku.storage");
        let duration = meter
            .f64_histogram("keizoku.storage.transaction.duration")
            .with_unit("s")
            .with_description("Time from begin to commit or rollback, by the transaction's name")
            .with_boundaries(SECONDS.to_vec())
            .build();
        let repeats = meter
            .u64_counter("keizoku.storage.transaction.repeats")
            .with_description("Transactions run again because another stood in the way")
            .build();
        Self { service, duration, repeats }
    }

    pub(crate) fn repeated(&self, name: &'static str) {
        self.repeats.add(1, &[KeyValue::new("service", self.service), KeyValue::new("name", name)]);
    }

    pub(crate) fn start(&self, name: &'static str, access: &'static str) -> Stopwatch {
        Stopwatch { metrics: self.clone(), name, access, started: Instant::now(), outcome: Outcome::RolledBack }
    }
}

impl Stopwatch {
    pub(crate) fn stop(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let outcome = match self.outcome {
            Outcome::Committed => "committed",
            Outcome::RolledBack => "rolled_back",
        };
        let labels = [
            KeyValue::new("service", self.metrics.service),
            KeyValue::new("name", self.name),
            KeyValue::new("access", self.access),
            KeyValue::new("outcome", outcome),
        ];
        self.metrics.duration.record(self.started.elapsed().as_secs_f64(), &labels);
    }
}
