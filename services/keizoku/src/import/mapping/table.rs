//! Files that are looked into by a key while another one is read.

use std::collections::HashMap;

use csv::StringRecord;

/// Which columns of which file a look-up needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableSpec {
    /// The file's name in the mapping.
    pub(crate) file: String,
    /// The columns that are compared, by their places in the mapping's list.
    pub(crate) keys: Vec<usize>,
    /// The columns that are taken.
    pub(crate) takes: Vec<usize>,
}

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// No row, or an empty cell.
    Nothing,
    /// One text, be it in several rows.
    One(&'a str),
    /// Rows that say different things.
    Several,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Empty,
    One(Box<str>),
    Several,
}

/// The rows of a file by key: only the cells that are taken.
#[derive(Debug, Default)]
pub(crate) struct Table(HashMap<Box<str>, Box<[Cell]>>);

impl Table {
    /// Adds a row of the file; `places` says where its columns stand. A row with an empty key is never found.
    pub(crate) fn add(&mut self, record: &StringRecord, places: &[usize], spec: &TableSpec) {
        let cell = |column: &usize| record.get(*places.get(*column)?).map(str::trim).filter(|text| !text.is_empty());
        let Some(keys) = spec.keys.iter().map(cell).collect::<Option<Vec<_>>>() else { return };
        let cells = spec.takes.iter().map(|column| cell(column).map_or(Cell::Empty, |text| Cell::One(text.into())));
        match self.0.entry(joined(keys.into_iter())) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(cells.collect());
            }
            std::collections::hash_map::Entry::Occupied(mut known) => {
                for (known, cell) in known.get_mut().iter_mut().zip(cells) {
                    if *known != cell {
                        *known = Cell::Several;
                    }
                }
            }
        }
    }

    /// What the rows with that key say in the column taken as number `take`.
    pub(super) fn find<'k>(&self, keys: impl Iterator<Item = &'k str>, take: usize) -> Found<'_> {
        match self.0.get(&joined(keys)).and_then(|cells| cells.get(take)) {
            None | Some(Cell::Empty) => Found::Nothing,
            Some(Cell::One(text)) => Found::One(text),
            Some(Cell::Several) => Found::Several,
        }
    }
}

/// Several texts as one, so that no two lists give the same.
fn joined<'k>(parts: impl Iterator<Item = &'k str>) -> Box<str> {
    let mut text = String::new();
    for part in parts {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_all_their_keys_and_contradictions_are_seen() {
        let spec = TableSpec { file: "f".to_owned(), keys: vec![0, 1], takes: vec![2] };
        let mut table = Table::default();
        for row in [["1", "a", "x"], ["1", "b", ""], ["2", "a", "y"], ["2", "a", "z"], ["3", "a", "w"], ["3", "a", "w"]]
        {
            table.add(&StringRecord::from(row.to_vec()), &[0, 1, 2], &spec);
        }
        let find = |keys: [&'static str; 2]| table.find(keys.into_iter(), 0);
        assert_eq!(find(["1", "a"]), Found::One("x"));
        assert_eq!(find(["1", "b"]), Found::Nothing);
        assert_eq!(find(["4", "a"]), Found::Nothing);
        assert_eq!(find(["2", "a"]), Found::Several);
        assert_eq!(find(["3", "a"]), Found::One("w"));
    }
}
