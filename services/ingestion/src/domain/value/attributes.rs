//! Attributes of accounts, contracts and conversations: what is known now, by key; what is not named stays.

use std::collections::BTreeMap;
use std::fmt::Display;

use keizoku_base::Micros;

use crate::domain::check::{Checks, Wrong};
use crate::domain::key::Key;
use crate::domain::pack::{Corrupt, Packer, Unpacker};
use crate::domain::reason;
use crate::domain::time::{InstantDraft, past_instant};
use crate::domain::value::{Value, ValueDraft};

/// The most attributes of one item.
pub const ATTRIBUTES_MOST: usize = 100;

/// An attribute as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeDraft {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Option<ValueDraft>,
    /// When the source knew it.
    pub known_at: Option<InstantDraft>,
}

/// An attribute that an item names.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// When the source knew it; `None`: assumed to be the time of receipt.
    pub known_at: Option<Micros>,
}

/// An attribute that took another value.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeChange {
    /// The attribute as it is from here on.
    pub attribute: Attribute,
    /// The value before; `None` where none was known.
    pub previous: Option<Value>,
}

/// A value and when it was known.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The value.
    pub value: Value,
    /// When the source knew it; `None`: assumed to be the time of receipt.
    pub known_at: Option<Micros>,
}

/// What is known now, by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes(BTreeMap<Key, Known>);

impl Attributes {
    /// Checks the attributes that an item names, at path `field`, as of the workspace's `now`.
    pub fn check(
        checks: &mut Checks,
        field: impl Display,
        drafts: Vec<AttributeDraft>,
        now: Micros,
    ) -> Option<Vec<Attribute>> {
        let drafts = checks.at_most(&field, drafts, ATTRIBUTES_MOST);
        let mut checked: Vec<Attribute> = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.into_iter().enumerate() {
            let key = checks.take(format_args!("{field}[{index}].key"), Key::check(draft.key));
            let value = Value::check(checks, format_args!("{field}[{index}].value"), draft.value);
            let known_at =
                checks.optional(format_args!("{field}[{index}].known_at"), draft.known_at, |at| past_instant(at, now));
            let (Some(key), Some(value)) = (key, value) else { continue };
            if checked.iter().any(|earlier| earlier.key == key) {
                let twice = Wrong::new(reason::DUPLICATE_KEY, "is the key of an earlier attribute");
                checks.add(format_args!("{field}[{index}].key"), twice);
            } else {
                checked.push(Attribute { key, value, known_at });
            }
        }
        Some(checked)
    }

    /// Takes over what an item names and answers with what changed by that, by key; the rest stays.
    pub fn apply(&mut self, named: Vec<Attribute>) -> Vec<AttributeChange> {
        let mut changes: Vec<_> = named
            .into_iter()
            .filter(|attribute| self.get(attribute.key.as_str()) != Some(&attribute.value))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|attribute| {
                let known = Known { value: attribute.value.clone(), known_at: attribute.known_at };
                let previous = self.0.insert(attribute.key.clone(), known).map(|known| known.value);
                AttributeChange { attribute, previous }
            })
            .collect();
        changes.sort_unstable_by(|left, right| left.attribute.key.cmp(&right.attribute.key));
        changes
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|known| &known.value)
    }

    /// Keys and what is known, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Known)> {
        self.0.iter()
    }

    /// Writes the canonical bytes.
    pub fn pack(&self, packer: &mut Packer) {
        packer.unsigned(self.0.len() as u128);
        for (key, known) in &self.0 {
            packer.text(key.as_str());
            known.value.pack(packer);
            packer.optional(known.known_at, |packer, at| packer.signed(at.0));
        }
    }

    /// Writes keys and values alone: what decides whether something is the same as before.
    pub fn pack_content(&self, packer: &mut Packer) {
        packer.unsigned(self.0.len() as u128);
        for (key, known) in &self.0 {
            packer.text(key.as_str());
            known.value.pack(packer);
        }
    }

    /// Reads what [`Attributes::pack`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn unpack(unpacker: &mut Unpacker<'_>) -> Result<Self, Corrupt> {
        let mut attributes = BTreeMap::new();
        for _ in 0..unpacker.unsigned::<usize>()? {
            let key = Key::check(unpacker.text()?.to_owned()).map_err(|_| Corrupt)?;
            let value = Value::unpack(unpacker)?;
            let known_at = unpacker.optional(Unpacker::signed)?.map(Micros);
            attributes.insert(key, Known { value, known_at });
        }
        Ok(Self(attributes))
    }

    /// The canonical bytes alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        self.pack(&mut packer);
        packer.into_bytes()
    }

    /// Reads what [`Attributes::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut unpacker = Unpacker::new(bytes);
        let attributes = Self::unpack(&mut unpacker)?;
        unpacker.end().map(|()| attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::named;

    const NOW: Micros = Micros(1_700_000_000 * Micros::SECOND);

    fn draft(key: &str, integer: i64) -> AttributeDraft {
        AttributeDraft { key: key.to_owned(), value: Some(ValueDraft::Integer(integer)), known_at: None }
    }

    fn check(drafts: Vec<AttributeDraft>) -> Result<Vec<Attribute>, keizoku_base::Violations> {
        let mut checks = Checks::new();
        let attributes = Attributes::check(&mut checks, "attributes", drafts, NOW);
        checks.finish(attributes)
    }

    #[test]
    fn what_is_not_named_stays_and_only_changes_are_told() {
        let mut attributes = Attributes::default();
        attributes.apply(check(vec![draft("seats", 3), draft("age", 1)]).expect("attributes"));
        let changes = attributes.apply(check(vec![draft("seats", 4), draft("age", 1)]).expect("attributes"));
        let told: Vec<_> = changes.iter().map(|change| (change.attribute.key.as_str(), &change.previous)).collect();
        assert_eq!(told, [("seats", &Some(Value::Integer(3)))]);
        assert_eq!(attributes.apply(check(vec![draft("age", 1)]).expect("attributes")), []);
        assert_eq!(attributes.get("seats"), Some(&Value::Integer(4)));
        assert_eq!(attributes.iter().count(), 2);
        assert_eq!(Attributes::from_bytes(&attributes.to_bytes()), Ok(attributes));
    }

    #[test]
    fn names_everything_that_is_wrong() {
        let mut drafts: Vec<_> = (0..101).map(|index| draft(&format!("k{index}"), 1)).collect();
        drafts[1] = draft("k0", 1);
        drafts[2] = AttributeDraft {
            key: "Ä".to_owned(),
            value: None,
            known_at: Some(InstantDraft { seconds: 1_700_086_401, nanos: 0 }),
        };
        assert_eq!(
            named(&check(drafts).expect_err("refused")),
            [
                ("attributes", reason::TOO_MANY),
                ("attributes[1].key", reason::DUPLICATE_KEY),
                ("attributes[2].key", reason::NOT_A_KEY),
                ("attributes[2].value", reason::REQUIRED),
                ("attributes[2].known_at", reason::TOO_FAR_AHEAD),
            ]
        );
    }
}
