//! Day blocks: what the metrics of an account came to on the days of a month, packed into one row.
//!
//! Uniting is commutative and associative in every part, so that any order and any split of the same events, each
//! counted once, ends in the same bytes. Users are held apart as sets, one per metric and day.

mod codec;
mod deltas;
mod tally;
#[cfg(test)]
mod tests;
mod undo;

pub use deltas::{Deltas, MonthDeltas, fold};
pub use tally::{Cell, Delta, Last, Tally};
pub use undo::{Added, UndoEntry};

use std::collections::BTreeMap;

use keizoku_base::number::Millionths;
use keizoku_base::time::Month;
use keizoku_base::{Day, Fault, FaultKind, Micros};

use crate::domain::pack::Corrupt;
use crate::domain::set::NumberSet;

/// The most bytes of the set of users of a metric's day.
pub const USERS_MOST_BYTES: usize = 256 * 1024;

/// The users of metrics and days, held apart from the block.
pub type UserSets = BTreeMap<(u32, Day), NumberSet>;

/// What the metrics of an account came to on the days of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    month: Month,
    days: BTreeMap<Day, BlockDay>,
}

/// What the metrics of an account came to on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDay {
    /// The latest time at which a source knew one of the inputs.
    pub known_at: Micros,
    /// The metrics with data, by number.
    pub cells: BTreeMap<u32, Cell>,
}

/// Why events cannot be counted, or a count not be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// The set of users would be past its limit.
    #[error("metric {metric_no} has more users on {day} than fit into {USERS_MOST_BYTES} bytes")]
    TooManyUsers {
        /// The metric.
        metric_no: u32,
        /// The day.
        day: Day,
    },
    /// A value is past what can be published.
    #[error("the value of metric {metric_no} on {day} is past the range of metric values")]
    TooLarge {
        /// The metric.
        metric_no: u32,
        /// The day.
        day: Day,
    },
    /// A metric's number was used with two aggregations.
    #[error("metric {metric_no} was aggregated in another way on {day} before")]
    OtherAggregation {
        /// The metric.
        metric_no: u32,
        /// The day.
        day: Day,
    },
    /// Stored bytes are not ones that this build reads.
    #[error("a stored day block or event cannot be read")]
    Corrupt(#[from] Corrupt),
}

impl Fault for BlockFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::TooManyUsers { .. } | Self::TooLarge { .. } => FaultKind::Exhausted,
            Self::OtherAggregation { .. } | Self::Corrupt(_) => FaultKind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::TooManyUsers { .. } => "TOO_MANY_USERS",
            Self::TooLarge { .. } => "METRIC_VALUE_TOO_LARGE",
            Self::OtherAggregation { .. } | Self::Corrupt(_) => "INTERNAL",
        }
    }
}

/// When and in which order deltas are united with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uniting {
    /// The day it is in the workspace: earlier ones are closed.
    pub today: Day,
    /// A number that grows with every change to the account's blocks, whoever makes it.
    pub seq: i64,
}

impl Block {
    /// A month without data.
    pub fn new(month: Month) -> Self {
        Self { month, days: BTreeMap::new() }
    }

    /// The month.
    pub fn month(&self) -> Month {
        self.month
    }

    /// The days with data, ascending.
    pub fn days(&self) -> impl Iterator<Item = (Day, &BlockDay)> {
        self.days.iter().map(|(day, cells)| (*day, cells))
    }

    /// A day's metrics, where it has any.
    pub fn day(&self, day: Day) -> Option<&BlockDay> {
        self.days.get(&day)
    }

    /// Whose users must be at hand to unite `deltas` and to publish the days they touch.
    pub fn sets_needed(&self, deltas: &MonthDeltas) -> Vec<(u32, Day)> {
        let united =
            deltas.cells.iter().filter(|(_, late)| late.values().any(|delta| matches!(delta, Delta::Users(_))));
        let mut needed: Vec<_> = united.map(|((day, no), _)| (*no, *day)).collect();
        for day in deltas.days() {
            let held = self.days.get(&day).into_iter().flat_map(|held| &held.cells);
            needed.extend(held.filter(|(_, cell)| matches!(cell, Cell::Users(_))).map(|(no, _)| (*no, day)));
        }
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// Counts `deltas` in. `users` holds the sets of [`Block::sets_needed`], where there are any yet, and is counted up
    /// as well. The answer undoes what happened to days that were closed.
    ///
    /// # Errors
    /// After a [`BlockFault`] block and sets are of no use any more.
    pub fn unite(
        &mut self,
        deltas: &MonthDeltas,
        users: &mut UserSets,
        uniting: Uniting,
    ) -> Result<Vec<UndoEntry>, BlockFault> {
        let mut undo = Vec::new();
        for (&(day, metric_no), by_known_at) in &deltas.cells {
            let Some(&latest) = deltas.known_at.get(&day) else { continue };
            let held = self.days.entry(day).or_insert_with(|| BlockDay::new(latest));
            held.known_at = held.known_at.max(latest);
            for (&known_at, delta) in by_known_at {
                let previous = held.cells.get(&metric_no).copied();
                let (cell, added) = match delta {
                    Delta::Tally(tally) => {
                        let united = tally::unite(previous, *tally);
                        (united.ok_or(BlockFault::OtherAggregation { metric_no, day })?, Added::Tally(*tally))
                    }
                    Delta::Users(seen) => {
                        let set = users.entry((metric_no, day)).or_default();
                        let fresh = seen.without(set);
                        set.unite(seen);
                        if !set.fits(USERS_MOST_BYTES) {
                            return Err(BlockFault::TooManyUsers { metric_no, day });
                        }
                        (Cell::Users(set.len()), Added::Users { seen: seen.clone(), fresh })
                    }
                };
                held.cells.insert(metric_no, cell);
                if day < uniting.today {
                    undo.push(UndoEntry { metric_no, day, known_at, seq: uniting.seq, previous, added });
                }
            }
        }
        Ok(undo)
    }

    /// Its bytes: the same for the same data.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what [`Block::to_bytes`] wrote; no bytes are a month without data.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(month: Month, bytes: &[u8]) -> Result<Self, Corrupt> {
        if bytes.is_empty() { Ok(Self::new(month)) } else { codec::decode(month, bytes) }
    }

    /// The block and the sets as they were known at `at`: everything that was known later is left out. `entries` are
    /// all of this account and month. Exact for days that were closed by then; of a day that was still open then,
    /// everything counted while it was open is in.
    ///
    /// # Errors
    /// A [`BlockFault`] where entries and block do not belong together.
    pub fn as_known_at(
        mut self,
        mut users: UserSets,
        at: Micros,
        entries: &[UndoEntry],
    ) -> Result<(Self, UserSets), BlockFault> {
        undo::rewind(&mut self.days, &mut users, at, entries)?;
        self.days.retain(|_, day| !day.cells.is_empty());
        Ok((self, users))
    }
}

impl BlockDay {
    fn new(known_at: Micros) -> Self {
        Self { known_at, cells: BTreeMap::new() }
    }

    /// The values to publish, by the metric's number.
    ///
    /// # Errors
    /// [`BlockFault::TooLarge`] names the first one past the range; `day` is this day.
    pub fn values(&self, day: Day) -> Result<Vec<(u32, Millionths)>, BlockFault> {
        let value = |(&metric_no, cell): (&u32, &Cell)| {
            cell.value().map(|value| (metric_no, value)).ok_or(BlockFault::TooLarge { metric_no, day })
        };
        self.cells.iter().map(value).collect()
    }
}
