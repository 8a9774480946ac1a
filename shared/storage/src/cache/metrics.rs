//! What a cache saves, and how often it cannot be used.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge};

use super::Hit;

/// The instruments of one cache.
#[derive(Debug)]
pub(super) struct Metrics {
    cache: &'static str,
    reads: Counter<u64>,
    failures: Counter<u64>,
    usable: Gauge<u64>,
}

impl Metrics {
    pub(super) fn new(cache: &'static str) -> Self {
        let meter = opentelemetry::global::meter("keizoku.storage");
        let reads = meter
            .u64_counter("keizoku.cache.reads")
            .with_description(
                "Keys looked up, by outcome: `near` (in this process), `hit`, `miss`, `bypass` (not fresh)",
            )
            .build();
        let failures = meter
            .u64_counter("keizoku.cache.failures")
            .with_description("Calls that the cache did not answer in time, by operation")
            .build();
        let usable = meter
            .u64_gauge("keizoku.cache.usable")
            .with_description("1 while the cache answers, 0 while everything is read from the database")
            .build();
        Self { cache, reads, failures, usable }
    }

    /// Counts one call: `near` of the hits came from this process, `bypassed` of the misses were not looked for.
    pub(super) fn read(&self, hits: &[Option<Hit>], near: u64, bypassed: u64) {
        let all = hits.iter().flatten().count() as u64;
        let missed = (hits.len() as u64).saturating_sub(all).saturating_sub(bypassed);
        let outcomes = [("near", near), ("hit", all.saturating_sub(near)), ("miss", missed), ("bypass", bypassed)];
        for (outcome, count) in outcomes.into_iter().filter(|(_, count)| *count > 0) {
            self.reads.add(count, &[KeyValue::new("cache", self.cache), KeyValue::new("outcome", outcome)]);
        }
    }

    pub(super) fn failed(&self, operation: &'static str) {
        self.failures.add(1, &[KeyValue::new("cache", self.cache), KeyValue::new("operation", operation)]);
    }

    pub(super) fn usable(&self, usable: bool) {
        self.usable.record(u64::from(usable), &[KeyValue::new("cache", self.cache)]);
    }
}
