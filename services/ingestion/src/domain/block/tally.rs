//! The states of the aggregations and how they unite.

use keizoku_base::Micros;
use keizoku_base::number::Millionths;

use crate::domain::event::RecordedEvent;
use crate::domain::metric::{Aggregation, Contribution};
use crate::domain::pack::Digest;
use crate::domain::set::NumberSet;

/// What a metric came to on a day, but for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// How many events.
    Count(u64),
    /// The sum in millionths, wide enough that it never overflows.
    Sum(i128),
    /// The largest value in millionths.
    Max(i64),
    /// The last value.
    Last(Last),
}

/// The last value of a day; the larger one of two is the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    /// When it was.
    pub at: Micros,
    /// The event's key, which breaks ties of time.
    pub key: Digest,
    /// The value in millionths.
    pub value: i64,
}

/// What a block holds of a metric's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Everything.
    Tally(Tally),
    /// How many users; the set is held apart.
    Users(u64),
}

/// What is added to a metric's day.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// A tally.
    Tally(Tally),
    /// Users, who may be there already.
    Users(NumberSet),
}

impl Tally {
    /// Both together; `None` where they are of different aggregations.
    pub fn unite(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Count(left), Self::Count(right)) => Some(Self::Count(left.saturating_add(right))),
            (Self::Sum(left), Self::Sum(right)) => Some(Self::Sum(left.saturating_add(right))),
            (Self::Max(left), Self::Max(right)) => Some(Self::Max(left.max(right))),
            (Self::Last(left), Self::Last(right)) => Some(Self::Last(left.max(right))),
            (Self::Count(_) | Self::Sum(_) | Self::Max(_) | Self::Last(_), _) => None,
        }
    }
}

impl Cell {
    /// The number to publish; `None` where it is past the range of 64 bits in millionths.
    pub fn value(&self) -> Option<Millionths> {
        let whole = |count: u64| i64::try_from(count).ok()?.checked_mul(Millionths::ONE);
        let value = match self {
            Self::Tally(Tally::Count(count)) | Self::Users(count) => whole(*count),
            Self::Tally(Tally::Sum(sum)) => i64::try_from(*sum).ok(),
            Self::Tally(Tally::Max(value) | Tally::Last(Last { value, .. })) => Some(*value),
        };
        value.map(Millionths)
    }
}

impl Delta {
    /// What unites with anything of the aggregation to that itself.
    pub(super) fn nothing(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Count => Self::Tally(Tally::Count(0)),
            Aggregation::Sum => Self::Tally(Tally::Sum(0)),
            Aggregation::Max => Self::Tally(Tally::Max(i64::MIN)),
            Aggregation::Last => {
                Self::Tally(Tally::Last(Last { at: Micros(i64::MIN), key: Digest([0; 16]), value: i64::MIN }))
            }
            Aggregation::DistinctUsers => Self::Users(NumberSet::new()),
        }
    }

    /// Adds what one event contributes.
    pub(super) fn add(&mut self, contribution: Contribution, event: &RecordedEvent) {
        match (self, contribution) {
            (Self::Tally(Tally::Count(count)), _) => *count = count.saturating_add(1),
            (Self::Tally(Tally::Sum(sum)), Contribution::Amount(value)) => *sum = sum.saturating_add(value.0.into()),
            (Self::Tally(Tally::Max(most)), Contribution::Amount(value)) => *most = value.0.max(*most),
            (Self::Tally(Tally::Last(last)), Contribution::Amount(value)) => {
                *last = Last { at: event.occurred_at, key: event.key, value: value.0 }.max(*last);
            }
            (Self::Users(users), Contribution::User(user)) => {
                users.insert(user);
            }
            // The index hands out amounts for sums, users for sets: nothing else occurs.
            (Self::Tally(_) | Self::Users(_), _) => {}
        }
    }

    /// Both together; `None` where they are of different aggregations.
    pub(super) fn unite(&mut self, other: Self) -> Option<()> {
        match (self, other) {
            (Self::Tally(left), Self::Tally(right)) => *left = left.unite(right)?,
            (Self::Users(left), Self::Users(right)) => left.unite(&right),
            (Self::Tally(_) | Self::Users(_), _) => return None,
        }
        Some(())
    }
}

/// A cell with a tally added; `None` where it is of another aggregation.
pub(super) fn unite(previous: Option<Cell>, added: Tally) -> Option<Cell> {
    match previous {
        None => Some(Cell::Tally(added)),
        Some(Cell::Tally(held)) => held.unite(added).map(Cell::Tally),
        Some(Cell::Users(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_decided_by_time_then_key_then_value() {
        let last = |at, key, value| Tally::Last(Last { at: Micros(at), key: Digest([key; 16]), value });
        let table = [(last(1, 9, 9), last(2, 0, 0)), (last(2, 1, 9), last(2, 2, 0)), (last(2, 2, 1), last(2, 2, 3))];
        for (earlier, later) in table {
            assert_eq!(earlier.unite(later), Some(later));
            assert_eq!(later.unite(earlier), Some(later));
        }
    }

    #[test]
    fn aggregations_do_not_mix() {
        assert_eq!(Tally::Count(1).unite(Tally::Sum(1)), None);
        assert_eq!(unite(Some(Cell::Users(1)), Tally::Count(1)), None);
    }

    #[test]
    fn what_is_past_the_range_is_not_published() {
        let table = [
            (Cell::Tally(Tally::Count(3)), Some(3_000_000)),
            (Cell::Users(2), Some(2_000_000)),
            (Cell::Tally(Tally::Count(u64::MAX)), None),
            (Cell::Tally(Tally::Sum(i128::from(i64::MAX))), Some(i64::MAX)),
            (Cell::Tally(Tally::Sum(i128::from(i64::MAX) + 1)), None),
            (Cell::Tally(Tally::Max(-5)), Some(-5)),
        ];
        for (cell, expected) in table {
            assert_eq!(cell.value().map(|value| value.0), expected, "{cell:?}");
        }
    }
}
