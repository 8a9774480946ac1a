//! A first health model from what arrived: measures for the metrics that have data, scales from their spread.

mod document;
mod sample;

pub(crate) use document::write;
pub(crate) use sample::{Reading, read};

use keizoku_base::Day;
use keizoku_proto::ingestion::MetricDefinition;
use keizoku_proto::ingestion::metric_definition::{Absence, Aggregation};

/// How a metric is read over time in a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The sum of the days.
    Sum,
    /// The mean of the days.
    Mean,
    /// The largest day.
    Max,
    /// The last day with a value.
    Last,
}

impl Over {
    /// The way that suits a metric.
    pub(crate) fn of(metric: &MetricDefinition) -> Self {
        match metric.aggregation() {
            // Different users of several days cannot be told apart in what the API gives, so days are compared.
            Aggregation::DistinctUsers => Self::Mean,
            Aggregation::Max => Self::Max,
            Aggregation::Last => Self::Last,
            Aggregation::Count | Aggregation::Sum | Aggregation::Unspecified => Self::Sum,
        }
    }

    /// Its name in models.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Last => "last",
        }
    }

    /// How many days it looks back: a last value may be older than what is summed.
    pub(crate) fn days(self) -> i32 {
        if self == Self::Last { 90 } else { 28 }
    }

    /// The value of the window that ends with `last`, from days ascending; `None` where the account has no value.
    pub(crate) fn value(self, days: &[(Day, f64)], last: Day, is_zero_when_silent: bool) -> Option<f64> {
        let first = last.plus(1 - self.days());
        let within: Vec<f64> =
            days.iter().filter(|(day, _)| (first..=last).contains(day)).map(|(_, value)| *value).collect();
        if days.is_empty() || (within.is_empty() && !is_zero_when_silent) {
            return None;
        }
        // The empty sum of doubles is −0.
        let sum = within.iter().sum::<f64>() + 0.0;
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        match self {
            Self::Sum => Some(sum),
            Self::Mean if is_zero_when_silent => Some(sum / f64::from(self.days())),
            Self::Mean => Some(sum / count(within.len())),
            Self::Max => within.into_iter().reduce(f64::max).or(Some(0.0)),
            Self::Last => within.last().copied().or(Some(0.0)),
        }
    }
}

/// Whether a day without data is 0 for a metric.
pub(crate) fn is_zero_when_silent(metric: &MetricDefinition) -> bool {
    match metric.absence() {
        Absence::ZeroWhenSourceAlive => true,
        Absence::Missing => false,
        Absence::Unspecified => !metric.measurement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_takes_its_days_and_a_silent_one_is_zero_or_nothing() {
        let days: Vec<(Day, f64)> =
            [(1, 100.0), (80, 2.0), (90, 4.0), (101, 50.0)].map(|(day, value)| (Day(day), value)).to_vec();
        let value = |over: Over, zero| over.value(&days, Day(100), zero);
        assert_eq!(value(Over::Sum, true), Some(6.0));
        assert_eq!(value(Over::Mean, true), Some(6.0 / 28.0));
        assert_eq!(value(Over::Mean, false), Some(3.0));
        assert_eq!((value(Over::Max, true), value(Over::Last, false)), (Some(4.0), Some(4.0)));
        let silent = |over: Over, zero| over.value(&days[..1], Day(100), zero);
        assert_eq!((silent(Over::Sum, true).map(f64::to_bits), silent(Over::Sum, false)), (Some(0), None));
        assert_eq!(Over::Sum.value(&[], Day(100), true), None);
    }
}
