//! What becomes of a row's columns before they are read as a type: one text, or none.

use std::collections::BTreeMap;

use super::row::Row;
use super::table::Found;
use super::template::Template;

/// Why a value cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// A stable reason, see docs/guides/import.md.
    pub(crate) reason: &'static str,
    /// A sentence for a person.
    pub(crate) text: String,
}

impl Wrong {
    /// A wrong value.
    pub(super) fn new(reason: &'static str, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

/// Where a text comes from.
#[derive(Debug, Clone)]
pub(super) enum Take {
    /// From the row itself.
    Template(Template),
    /// From the row of another file.
    Lookup {
        /// The number of the table.
        table: usize,
        /// What its keys must be.
        by: Vec<Template>,
        /// The number of the column among those taken.
        take: usize,
    },
    /// A hash of several texts.
    Hash {
        /// The texts; an empty one counts as such.
        parts: Vec<Template>,
        /// Whether rows of the same content get numbers, the second `…-2`.
        numbered: bool,
    },
}

/// How the letters of a text change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Letters {
    /// Not at all.
    #[default]
    Kept,
    /// All small.
    Lower,
    /// As a key: small, everything but letters and digits as `_`.
    Key,
}

/// An expression that gives a text.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(super) take: Take,
    pub(super) letters: Letters,
    pub(super) map: Option<BTreeMap<String, String>>,
    pub(super) otherwise: Option<String>,
    pub(super) default: Option<String>,
    /// The expression as a person reads it.
    pub(super) shown: String,
}

impl Text {
    /// The text for a row; `None` where nothing is known.
    pub(crate) fn read(&self, row: &Row<'_>) -> Result<Option<String>, Wrong> {
        let taken = self.take.read(row)?.map(|text| self.letters.of(text));
        let mapped = match (taken, &self.map) {
            (Some(text), Some(map)) => Some(self.mapped(text, map)?),
            (text, _) => text,
        };
        Ok(mapped.or_else(|| self.default.clone()))
    }

    fn mapped(&self, text: String, map: &BTreeMap<String, String>) -> Result<String, Wrong> {
        match map.get(&text).or(self.otherwise.as_ref()) {
            Some(found) => Ok(found.clone()),
            None => Err(Wrong::new("NOT_MAPPED", format!("the mapping does not say what {text:?} stands for"))),
        }
    }
}

impl Take {
    fn read(&self, row: &Row<'_>) -> Result<Option<String>, Wrong> {
        match self {
            Self::Template(template) => Ok(template.fill(row)),
            Self::Lookup { table, by, take } => {
                let Some(keys) = by.iter().map(|key| key.fill(row)).collect::<Option<Vec<_>>>() else {
                    return Ok(None);
                };
                let Some(table) = row.setting.tables.get(*table) else { return Ok(None) };
                match table.find(keys.iter().map(String::as_str), *take) {
                    Found::Nothing => Ok(None),
                    Found::One(text) if row.setting.absent.iter().any(|absent| absent == text) => Ok(None),
                    Found::One(text) => Ok(Some(text.to_owned())),
                    Found::Several => {
                        let text = format!("several rows for {} say different things", keys.join(", "));
                        Err(Wrong::new("LOOKUP_AMBIGUOUS", text))
                    }
                }
            }
            Self::Hash { parts, numbered } => Ok(Some(hash(row, parts, *numbered))),
        }
    }
}

impl Letters {
    fn of(self, text: String) -> String {
        match self {
            Self::Kept => text,
            Self::Lower => text.to_lowercase(),
            Self::Key => {
                let words = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
                words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_")
            }
        }
    }
}

/// 128 bits of BLAKE3 over the texts, each led by its length, so that no two lists give the same; an absent one is
/// told from every text.
fn hash(row: &Row<'_>, parts: &[Template], numbered: bool) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        let text = part.fill(row);
        let length = text.as_ref().map_or(u64::MAX, |text| text.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(text.unwrap_or_default().as_bytes());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    let content = u128::from_be_bytes(short);
    match if numbered { row.setting.seen.count(content) } else { 1 } {
        1 => format!("{content:032x}"),
        times => format!("{content:032x}-{times}"),
    }
}
