//! What happened to a day after its close, so that it can be shown as it was known before.

use std::collections::BTreeMap;

use keizoku_base::{Day, Micros};

use crate::domain::block::{BlockDay, BlockFault, Cell, Tally, UserSets, codec, tally};
use crate::domain::pack::{Corrupt, Packer, Unpacker};
use crate::domain::set::NumberSet;

/// A change to a closed day. Both the state before and what was added are kept: a source may tell first what it knew
/// last, and then undoing alone would take away too much.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoEntry {
    /// The metric.
    pub metric_no: u32,
    /// The day.
    pub day: Day,
    /// When it was known; what was known by the day's close stands under the time of the close.
    pub known_at: Micros,
    /// The order of the changes; several of one `seq` follow each other by `known_at`.
    pub seq: i64,
    /// What stood there before.
    pub previous: Option<Cell>,
    /// What was added.
    pub added: Added,
}

/// What a change to a closed day added.
#[derive(Debug, Clone, PartialEq)]
pub enum Added {
    /// A tally.
    Tally(Tally),
    /// Users.
    Users {
        /// All who were seen.
        seen: NumberSet,
        /// Those of them who were not there before.
        fresh: NumberSet,
    },
}

const TALLY: u8 = 1;
const USERS: u8 = 2;

impl UndoEntry {
    /// State before and what was added, as bytes; the other fields are a row's key.
    pub fn change_to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        packer.optional(self.previous.as_ref(), codec::pack_cell);
        match &self.added {
            Added::Tally(tally) => {
                packer.byte(TALLY);
                codec::pack_tally(&mut packer, tally);
            }
            Added::Users { seen, fresh } => {
                packer.byte(USERS);
                packer.bytes(&seen.to_bytes());
                packer.bytes(&fresh.to_bytes());
            }
        }
        packer.into_bytes()
    }

    /// Reads what [`UndoEntry::change_to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn change_from_bytes(bytes: &[u8]) -> Result<(Option<Cell>, Added), Corrupt> {
        let mut unpacker = Unpacker::new(bytes);
        let previous = unpacker.optional(codec::unpack_cell)?;
        let added = match unpacker.byte()? {
            TALLY => match codec::unpack_cell(&mut unpacker)? {
                Cell::Tally(tally) => Added::Tally(tally),
                Cell::Users(_) => return Err(Corrupt),
            },
            USERS => Added::Users {
                seen: NumberSet::from_bytes(unpacker.bytes()?)?,
                fresh: NumberSet::from_bytes(unpacker.bytes()?)?,
            },
            _ => return Err(Corrupt),
        };
        unpacker.end().map(|()| (previous, added))
    }
}

/// Takes out of days and sets what was not known at `at`.
pub(super) fn rewind(
    days: &mut BTreeMap<Day, BlockDay>,
    users: &mut UserSets,
    at: Micros,
    entries: &[UndoEntry],
) -> Result<(), BlockFault> {
    let mut by_cell: BTreeMap<(u32, Day), Vec<&UndoEntry>> = BTreeMap::new();
    for entry in entries {
        by_cell.entry((entry.metric_no, entry.day)).or_default().push(entry);
    }
    for ((metric_no, day), mut changes) in by_cell {
        if changes.iter().all(|change| change.known_at <= at) {
            continue;
        }
        changes.sort_unstable_by_key(|change| (change.seq, change.known_at));
        let set = users.get(&(metric_no, day));
        let (cell, set) = known_by(at, &changes, set).ok_or(BlockFault::OtherAggregation { metric_no, day })?;
        match set {
            Some(set) => users.insert((metric_no, day), set),
            None => users.remove(&(metric_no, day)),
        };
        let Some(held) = days.get_mut(&day) else { continue };
        held.known_at = held.known_at.min(at);
        match cell {
            Some(cell) => held.cells.insert(metric_no, cell),
            None => held.cells.remove(&metric_no),
        };
    }
    Ok(())
}

/// A metric's day as it was known at `at`: the state before all changes, and those of them that were known.
/// `None` where the changes are of different aggregations.
fn known_by(
    at: Micros,
    changes: &[&UndoEntry],
    present: Option<&NumberSet>,
) -> Option<(Option<Cell>, Option<NumberSet>)> {
    let mut cell = changes.first()?.previous;
    let mut set = present.cloned();
    for change in changes {
        if let (Added::Users { fresh, .. }, Some(present)) = (&change.added, &set) {
            set = Some(present.without(fresh));
        }
    }
    for change in changes.iter().filter(|change| change.known_at <= at) {
        match &change.added {
            Added::Tally(added) => cell = Some(tally::unite(cell, *added)?),
            Added::Users { seen, .. } => set.get_or_insert_default().unite(seen),
        }
    }
    let set = set.filter(|set| !set.is_empty());
    if let Some(Added::Users { .. }) = changes.first().map(|change| &change.added) {
        cell = set.as_ref().map(|set| Cell::Users(set.len()));
    }
    Some((cell, set))
}
