//! What all accounts of a workspace share: its metrics, and on which days each source delivered anything for anybody.
//!
//! Built once and shared. Metrics and sources are known inside by their place in it, so that no text is compared per cell.

use keizoku_base::Day;
use roaring::RoaringBitmap;

use super::month::{Key, MetricRef};

/// What a day without data means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// 0, as long as the source delivers anything at all; else the value is missing.
    ZeroWhenSourceAlive,
    /// The value is missing.
    Missing,
}

/// A metric as far as scores need it: the version that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDefinition {
    /// Its key and the version whose values are read.
    pub metric: MetricRef,
    /// The source it comes from; `None`: any.
    pub source: Option<Key>,
    /// What a day without data means.
    pub absence: Absence,
    /// How many days a source may be silent before it no longer counts as alive, from 1.
    pub stale_after_days: u16,
    /// Whether it counts different users, so that days unite as sets.
    pub distinct: bool,
}

/// The place of a metric in its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricIndex(pub(super) usize);

/// The place of a source in its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SourceIndex(usize);

/// The metrics and sources of a workspace.
#[derive(Debug, Default)]
pub struct Workspace {
    /// By key; one version each.
    metrics: Vec<Metric>,
    /// By key.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Metric {
    definition: MetricDefinition,
    source: Option<SourceIndex>,
}

#[derive(Debug)]
struct Source {
    key: Key,
    /// The first day it delivered on; what follows speaks of the days from there on.
    first: Day,
    /// Per day the last day up to it on which the source delivered.
    last: Vec<Day>,
}

impl Workspace {
    /// A workspace with these metrics, of each key the first one given, and these sources with the days since 1970 on which
    /// they delivered anything for anybody.
    pub fn new(
        mut definitions: Vec<MetricDefinition>,
        delivered: impl IntoIterator<Item = (Key, RoaringBitmap)>,
    ) -> Self {
        let mut sources: Vec<Source> = delivered.into_iter().map(|(key, days)| Source::new(key, &days)).collect();
        let silent = definitions.iter().filter_map(|definition| definition.source.clone());
        sources.extend(silent.map(|key| Source::new(key, &RoaringBitmap::new())));
        // Stable: a source that delivered comes before its silent namesake.
        sources.sort_by(|left, right| left.key.cmp(&right.key));
        sources.dedup_by(|later, first| later.key == first.key);
        definitions.sort_by(|left, right| left.metric.key.cmp(&right.metric.key));
        definitions.dedup_by(|later, first| later.metric.key == first.metric.key);
        let place = |key: &Key| sources.binary_search_by(|source| source.key.cmp(key)).ok().map(SourceIndex);
        let metrics = definitions.into_iter().map(|definition| {
            let source = definition.source.as_ref().and_then(place);
            Metric { definition, source }
        });
        Self { metrics: metrics.collect(), sources }
    }

    /// The place of the metric with that key.
    pub fn metric(&self, key: &str) -> Option<MetricIndex> {
        self.metrics.binary_search_by(|metric| metric.definition.metric.key.as_ref().cmp(key)).ok().map(MetricIndex)
    }

    /// The definition of a metric of this workspace.
    pub fn definition(&self, metric: MetricIndex) -> Option<&MetricDefinition> {
        self.metrics.get(metric.0).map(|metric| &metric.definition)
    }

    /// All metrics, by key.
    pub fn definitions(&self) -> impl Iterator<Item = &MetricDefinition> {
        self.metrics.iter().map(|metric| &metric.definition)
    }

    pub(super) fn metric_count(&self) -> usize {
        self.metrics.len()
    }

    pub(super) fn source(&self, key: &str) -> Option<SourceIndex> {
        self.sources.binary_search_by(|source| source.key.as_ref().cmp(key)).ok().map(SourceIndex)
    }

    /// Whether a metric can come from a source; `None` is a source nothing is known of.
    pub(super) fn takes(&self, metric: MetricIndex, source: Option<SourceIndex>) -> bool {
        match self.metrics.get(metric.0) {
            Some(Metric { definition, source: wanted }) => definition.source.is_none() || *wanted == source,
            None => false,
        }
    }

    /// The last day up to `day` on which the source delivered anything.
    pub(super) fn last_alive(&self, source: SourceIndex, day: Day) -> Option<Day> {
        let source = self.sources.get(source.0)?;
        let place = usize::try_from(day.0 - source.first.0).ok()?;
        source.last.get(place).or_else(|| source.last.last()).copied()
    }
}

impl Source {
    fn new(key: Key, days: &RoaringBitmap) -> Self {
        let day = |number: u32| Day(i32::try_from(number).unwrap_or(i32::MAX));
        let first = days.min().map(day).unwrap_or_default();
        let mut last = Vec::new();
        // What lies past every accepted day can be no day.
        for delivered in days.iter().map(day).take_while(|delivered| *delivered < Day::END) {
            let place = usize::try_from(delivered.0 - first.0).unwrap_or(0);
            let before = last.last().copied().unwrap_or(delivered);
            last.resize(place, before);
            last.push(delivered);
        }
        Self { key, first, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_a_source_was_last_alive() {
        let workspace = Workspace::new(vec![], [("app".into(), RoaringBitmap::from_iter([10, 12, 15]))]);
        let app = workspace.source("app").expect("a source");
        let found: Vec<Option<i32>> = (9..18).map(|day| workspace.last_alive(app, Day(day)).map(|day| day.0)).collect();
        let wanted = [None, Some(10), Some(10), Some(12), Some(12), Some(12), Some(15), Some(15), Some(15)];
        assert_eq!(found, wanted);
        assert_eq!(workspace.source("other"), None);
    }

    #[test]
    fn a_metric_without_a_source_takes_any() {
        let definition = |key: &str, source: Option<&str>| MetricDefinition {
            metric: MetricRef { key: key.into(), version: 1 },
            source: source.map(Key::from),
            absence: Absence::Missing,
            stale_after_days: 3,
            distinct: false,
        };
        let workspace = Workspace::new(
            vec![definition("seats", Some("crm")), definition("logins", None)],
            [("app".into(), RoaringBitmap::from_iter([10]))],
        );
        let (logins, seats) = (workspace.metric("logins").expect("one"), workspace.metric("seats").expect("one"));
        let (app, crm) = (workspace.source("app"), workspace.source("crm"));
        assert_eq!([app, crm, None].map(|source| workspace.takes(logins, source)), [true, true, true]);
        assert_eq!([app, crm, None].map(|source| workspace.takes(seats, source)), [false, true, false]);
        assert_eq!(workspace.last_alive(crm.expect("a source"), Day(10)), None);
    }
}
