//! The properties of an event in canonical order, as they are hashed and stored.

use std::fmt::Display;

use crate::domain::check::{Checks, Wrong};
use crate::domain::key::Key;
use crate::domain::pack::{Corrupt, Packer, Unpacker};
use crate::domain::reason;
use crate::domain::value::{Value, ValueDraft};

/// A property as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct PropertyDraft {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Option<ValueDraft>,
}

/// Properties by key, each once, as bytes: the same properties are the same bytes in whatever order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Properties(Vec<u8>);

impl Properties {
    /// The most properties of an event.
    pub const MOST: usize = 50;
    /// The most bytes of all properties together.
    pub const MOST_BYTES: usize = 64 * 1024;

    /// Checks the properties at path `field`.
    pub fn check(checks: &mut Checks, field: impl Display, drafts: Vec<PropertyDraft>) -> Option<Self> {
        let drafts = checks.at_most(&field, drafts, Self::MOST);
        let mut checked: Vec<(Key, Value)> = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.into_iter().enumerate() {
            let key = checks.take(format_args!("{field}[{index}].key"), Key::check(draft.key));
            let value = Value::check(checks, format_args!("{field}[{index}].value"), draft.value);
            let (Some(key), Some(value)) = (key, value) else { continue };
            if checked.iter().any(|(earlier, _)| *earlier == key) {
                let twice = Wrong::new(reason::DUPLICATE_KEY, "is the key of an earlier property");
                checks.add(format_args!("{field}[{index}].key"), twice);
            } else {
                checked.push((key, value));
            }
        }
        let properties = Self::of(checked);
        if properties.0.len() > Self::MOST_BYTES {
            let wrong = format!("take {} bytes; at most {} in all", properties.0.len(), Self::MOST_BYTES);
            checks.add(&field, Wrong::new(reason::TOO_LONG, wrong));
            return None;
        }
        Some(properties)
    }

    /// What [`Properties::as_bytes`] gave.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Keys and values, by key.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are not ones that [`Properties::check`] made.
    pub fn read(&self) -> Result<Vec<(&str, Value)>, Corrupt> {
        let mut unpacker = Unpacker::new(&self.0);
        let mut properties: Vec<(&str, Value)> = Vec::new();
        while !unpacker.is_empty() {
            let key = unpacker.text()?;
            if properties.last().is_some_and(|(earlier, _)| *earlier >= key) {
                return Err(Corrupt);
            }
            properties.push((key, Value::unpack(&mut unpacker)?));
        }
        Ok(properties)
    }

    fn of(mut properties: Vec<(Key, Value)>) -> Self {
        properties.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        let mut packer = Packer::new();
        for (key, value) in &properties {
            packer.text(key.as_str());
            value.pack(&mut packer);
        }
        Self(packer.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::check::named;
    use crate::domain::value::tests::any_draft;

    fn draft(key: &str, value: ValueDraft) -> PropertyDraft {
        PropertyDraft { key: key.to_owned(), value: Some(value) }
    }

    fn check(drafts: Vec<PropertyDraft>) -> Result<Properties, keizoku_base::Violations> {
        let mut checks = Checks::new();
        let properties = Properties::check(&mut checks, "properties", drafts);
        checks.finish(properties)
    }

    fn shuffled() -> impl Strategy<Value = (BTreeMap<String, ValueDraft>, Vec<PropertyDraft>)> {
        btree_map("[a-z][a-z0-9_]{0,8}", any_draft(), 0..20).prop_flat_map(|properties| {
            let drafts: Vec<_> = properties.iter().map(|(key, value)| draft(key, value.clone())).collect();
            (Just(properties), Just(drafts).prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_bytes_and_reads_back((sorted, drafts) in shuffled()) {
            let properties = check(drafts).expect("properties");
            let in_order = sorted.iter().map(|(key, value)| draft(key, value.clone())).collect();
            prop_assert_eq!(&properties, &check(in_order).expect("properties"));
            let read = properties.read().expect("readable");
            prop_assert_eq!(read.iter().map(|(key, _)| *key).collect::<Vec<_>>(), sorted.keys().collect::<Vec<_>>());
            let mut checks = Checks::new();
            for (key, value) in &read {
                let expected = Value::check(&mut checks, "", sorted.get(*key).cloned());
                prop_assert_eq!(Some(value), expected.as_ref());
            }
            prop_assert_eq!(&Properties::from_stored(properties.as_bytes().to_vec()), &properties);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(read) = Properties::from_stored(bytes).read() {
                prop_assert!(read.is_sorted_by(|(left, _), (right, _)| left < right));
            }
        }
    }

    #[test]
    fn fifty_are_taken_and_the_fifty_first_is_refused() {
        let many = |count| (0..count).map(|index| draft(&format!("k{index}"), ValueDraft::Flag(true))).collect();
        assert_eq!(check(many(50)).expect("fifty").read().map(|read| read.len()), Ok(50));
        assert_eq!(named(&check(many(51)).expect_err("too many")), [("properties", reason::TOO_MANY)]);
    }

    #[test]
    fn a_key_twice_is_refused_where_it_stands_again() {
        let drafts = vec![
            draft("a", ValueDraft::Integer(1)),
            draft("b", ValueDraft::Integer(1)),
            draft("a", ValueDraft::Integer(1)),
            draft("A", ValueDraft::Number(f64::NAN)),
            PropertyDraft { key: "c".to_owned(), value: None },
        ];
        assert_eq!(
            named(&check(drafts).expect_err("refused")),
            [
                ("properties[2].key", reason::DUPLICATE_KEY),
                ("properties[3].key", reason::NOT_A_KEY),
                ("properties[3].value.number", reason::NOT_A_NUMBER),
                ("properties[4].value", reason::REQUIRED),
            ]
        );
    }

    #[test]
    fn all_together_take_at_most_64_kib() {
        let texts = |count| {
            (0..count).map(|index| draft(&format!("k{index}"), ValueDraft::Text("x".repeat(8 * 1024)))).collect()
        };
        assert!(check(texts(7)).is_ok());
        assert_eq!(named(&check(texts(8)).expect_err("too long")), [("properties", reason::TOO_LONG)]);
    }

    #[test]
    fn a_few_properties_take_a_few_bytes() {
        let drafts = vec![draft("plan", ValueDraft::Text("pro".to_owned())), draft("seats", ValueDraft::Integer(12))];
        assert_eq!(check(drafts).expect("properties").as_bytes(), b"\x04plan\x01\x03pro\x05seats\x02\x18");
    }
}
