//! Where in a file a field stands: the YAML is read once more, and reading is broken off at the field.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The way to a field, `measures[0].scale[1].points`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

impl Path {
    /// The whole document.
    pub(crate) fn root() -> Self {
        Self(Vec::new())
    }

    /// Reads a path; what is no step of one is left out.
    pub(crate) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let mut pieces = part.split('[');
            steps.extend(pieces.next().filter(|name| !name.is_empty()).map(|name| Step::Field(name.to_owned())));
            steps.extend(pieces.filter_map(|index| index.strip_suffix(']')?.parse().ok()).map(Step::Index));
        }
        Self(steps)
    }

    /// Whether it is the whole document.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn enter(&mut self, field: &str) {
        self.0.push(Step::Field(field.to_owned()));
    }

    pub(super) fn enter_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => formatter.write_str(name)?,
                Step::Field(name) => write!(formatter, ".{name}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The line of a field in a document of a file, counted from 1; of the nearest thing around it where it is not there.
pub(super) fn line(text: &str, document: usize, path: &Path) -> Option<usize> {
    (0..=path.0.len()).rev().find_map(|depth| {
        let found = serde_norway::Deserializer::from_str(text).nth(document)?;
        Seek(&path.0[..depth]).deserialize(found).err()?.location().map(|location| location.line())
    })
}

/// Reads along the steps, and fails where they end.
struct Seek<'a>(&'a [Step]);

/// Reads a key, and says whether it is the one sought; fails there where it is the last step.
struct Key<'a> {
    sought: Option<&'a str>,
    last: bool,
}

impl Seek<'_> {
    fn end<E: Error>(&self) -> Result<(), E> {
        if self.0.is_empty() { Err(E::custom("here")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.end()?;
        let sought = match self.0.first() {
            Some(Step::Field(name)) => Some(name.as_str()),
            Some(Step::Index(_)) | None => None,
        };
        while let Some(found) = map.next_key_seed(Key { sought, last: self.0.len() == 1 })? {
            if found {
                map.next_value_seed(Seek(&self.0[1..]))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.end()?;
        let sought = match self.0.first() {
            Some(Step::Index(index)) => Some(*index),
            Some(Step::Field(_)) | None => None,
        };
        for index in 0.. {
            let more = if sought == Some(index) {
                list.next_element_seed(Seek(&self.0[1..]))?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.end()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.end()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.end()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.end()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.end()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.end()
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        let found = self.sought.is_some_and(|sought| same(sought, name));
        if found && self.last { Err(E::custom("here")) } else { Ok(found) }
    }
}

/// Whether two names are of one field: a file may say `eventNames` where the proto says `event_names`.
fn same(left: &str, right: &str) -> bool {
    let letters = |name: &str| {
        name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    letters(left) == letters(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: 1\nb:\n  - c: 2\n    dE: [3,\n      4]\n---\n\na: 5\n";

    fn at(document: usize, path: &str) -> Option<usize> {
        line(TEXT, document, &Path::parse(path))
    }

    #[test]
    fn a_field_is_found_on_its_line() {
        assert_eq!((at(0, ""), at(0, "a"), at(0, "b"), at(0, "b[0]")), (Some(1), Some(1), Some(2), Some(3)));
        assert_eq!((at(0, "b[0].c"), at(0, "b[0].d_e"), at(0, "b[0].d_e[1]")), (Some(3), Some(4), Some(5)));
        assert_eq!(at(1, "a"), Some(8));
    }

    #[test]
    fn what_is_not_there_is_where_its_surroundings_are() {
        assert_eq!((at(0, "b[0].x.y"), at(0, "b[7]"), at(0, "x")), (Some(3), Some(2), Some(1)));
        assert_eq!(at(2, "a"), None);
    }

    #[test]
    fn a_path_is_written_as_it_is_read() {
        for text in ["", "a", "measures[0].scale[1].points"] {
            assert_eq!(Path::parse(text).to_string(), text);
        }
    }
}
