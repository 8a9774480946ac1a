//! What a batch of events adds to the days of accounts.

use std::collections::{BTreeMap, HashMap};

use keizoku_base::time::Month;
use keizoku_base::{AccountId, Day, Micros, Zone};

use crate::domain::block::{BlockFault, Delta};
use crate::domain::event::RecordedEvent;
use crate::domain::metric::{Contribution, CountedMetric, MetricIndex};
use crate::domain::pack::Corrupt;

/// What a batch adds, by account and month.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deltas(BTreeMap<(AccountId, Month), MonthDeltas>);

/// What a batch adds to the days of a month of an account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MonthDeltas {
    /// By metric and day, apart for each time at which it was known after the day's close. What was known by then
    /// stands under the time of the close.
    pub(super) cells: BTreeMap<(Day, u32), BTreeMap<Micros, Delta>>,
    /// By day, the latest time at which one of the inputs was known.
    pub(super) known_at: BTreeMap<Day, Micros>,
}

/// Counts events. `counts` says whether a metric counts an event at all: the roller those after the position at which
/// the definition took effect, a backfill those before.
///
/// # Errors
/// [`Corrupt`] where an event cannot be read.
pub fn fold<'e>(
    index: &MetricIndex,
    zone: Zone,
    events: impl IntoIterator<Item = &'e RecordedEvent>,
    mut counts: impl FnMut(&CountedMetric, &RecordedEvent) -> bool,
) -> Result<Deltas, Corrupt> {
    let mut deltas = Deltas::default();
    // Looking a zone up costs more than counting, and a batch has few days.
    let mut closes: HashMap<Day, Micros> = HashMap::new();
    for event in events {
        index.count(event, |metric, contribution| {
            if counts(metric, event) {
                let closes_at = *closes.entry(event.day).or_insert_with(|| zone.start_of(event.day.plus(1)));
                deltas.add(metric, event, contribution, closes_at);
            }
        })?;
    }
    Ok(deltas)
}

impl Deltas {
    /// What is added, by account and month, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, Month, &MonthDeltas)> {
        self.0.iter().map(|((account, month), deltas)| (*account, *month, deltas))
    }

    /// Whether nothing is added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds everything of `other`.
    ///
    /// # Errors
    /// [`BlockFault::OtherAggregation`] where a metric's number means two things.
    pub fn unite(&mut self, other: Self) -> Result<(), BlockFault> {
        for (of, deltas) in other.0 {
            self.0.entry(of).or_default().unite(deltas)?;
        }
        Ok(())
    }

    fn add(&mut self, metric: &CountedMetric, event: &RecordedEvent, contribution: Contribution, closes_at: Micros) {
        let month = self.0.entry((event.account, event.day.month())).or_default();
        month.note(event.day, event.known_at);
        let by_known_at = month.cells.entry((event.day, metric.no)).or_default();
        let delta = by_known_at.entry(event.known_at.max(closes_at));
        delta.or_insert_with(|| Delta::nothing(metric.definition.aggregation)).add(contribution, event);
    }
}

impl MonthDeltas {
    /// The days that are added to, ascending.
    pub fn days(&self) -> impl Iterator<Item = Day> {
        self.known_at.keys().copied()
    }

    fn unite(&mut self, other: Self) -> Result<(), BlockFault> {
        for (day, known_at) in other.known_at {
            self.note(day, known_at);
        }
        for ((day, metric_no), by_known_at) in other.cells {
            let held = self.cells.entry((day, metric_no)).or_default();
            for (known_at, delta) in by_known_at {
                match held.get_mut(&known_at) {
                    Some(held) => held.unite(delta).ok_or(BlockFault::OtherAggregation { metric_no, day })?,
                    None => {
                        held.insert(known_at, delta);
                    }
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, day: Day, known_at: Micros) {
        let latest = self.known_at.entry(day).or_insert(known_at);
        *latest = known_at.max(*latest);
    }
}
