//! A row of a file as expressions see it.

use std::cell::RefCell;
use std::collections::HashMap;

use csv::StringRecord;
use keizoku_base::Zone;

use super::table::Table;

/// What is the same for all rows of a file.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    /// Where in the file each column of the mapping's list stands.
    pub(crate) places: &'a [usize],
    /// The files that are looked into, by the number of the look-up.
    pub(crate) tables: &'a [Table],
    /// The zone of times that name none.
    pub(crate) zone: Zone,
    /// Texts that mean that nothing is known.
    pub(crate) absent: &'a [String],
    /// Texts that mean yes and no, in small letters.
    pub(crate) flags: &'a Flags,
    /// How often each content was seen, for ids that number rows of the same content.
    pub(crate) seen: Seen,
}

/// How often each content was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen(RefCell<HashMap<u128, u32>>);

impl Seen {
    /// Counts a content: 1 for the first time.
    pub(super) fn count(&self, content: u128) -> u32 {
        let mut seen = self.0.borrow_mut();
        let times = seen.entry(content).or_insert(0);
        *times += 1;
        *times
    }
}

/// Texts that mean yes and no, in small letters.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    /// Yes.
    pub(crate) yes: Vec<String>,
    /// No.
    pub(crate) no: Vec<String>,
}

/// A row of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(super) record: &'a StringRecord,
    pub(super) setting: &'a Setting<'a>,
}

impl<'a> Row<'a> {
    /// A row.
    pub(crate) fn new(record: &'a StringRecord, setting: &'a Setting<'a>) -> Self {
        Self { record, setting }
    }

    /// A column's text without spaces around it; `None` where it means that nothing is known.
    pub(super) fn column(&self, place: usize) -> Option<&'a str> {
        let text = self.record.get(*self.setting.places.get(place)?)?.trim();
        (!text.is_empty() && !self.setting.absent.iter().any(|absent| absent == text)).then_some(text)
    }
}
