//! Attributes, properties and conditions.

use keizoku_proto::types::value::Kind;
use keizoku_proto::types::{Attribute, Value};

use super::expression::{Text, Wrong};
use super::field::{AtInstant, Decimal, Field, Fields, Flag, OnDay, Plain, Whole};
use super::row::Row;

/// A named value.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// Its name.
    pub(super) key: String,
    /// What it is.
    pub(super) value: NamedValue,
    /// When the source knew it.
    pub(super) known_at: Option<Field<AtInstant>>,
}

/// A value of one type.
#[derive(Debug, Clone)]
pub(super) enum NamedValue {
    Text(Field<Plain>),
    Whole(Field<Whole>),
    Number(Field<Decimal>),
    Flag(Field<Flag>),
    Day(Field<OnDay>),
    Instant(Field<AtInstant>),
}

impl Named {
    /// Its name and value; `None` where it is not known.
    pub(crate) fn value(&self, fields: &mut Fields<'_>) -> Option<(String, Value)> {
        let kind = match &self.value {
            NamedValue::Text(field) => Kind::Text(fields.optional(Some(field))?),
            NamedValue::Whole(field) => Kind::Integer(fields.optional(Some(field))?),
            NamedValue::Number(field) => Kind::Number(fields.optional(Some(field))?),
            NamedValue::Flag(field) => Kind::Flag(fields.optional(Some(field))?),
            NamedValue::Day(field) => Kind::Date(keizoku_convert::date(fields.optional(Some(field))?)),
            NamedValue::Instant(field) => Kind::Instant(keizoku_convert::timestamp(fields.optional(Some(field))?)),
        };
        Some((self.key.clone(), Value { kind: Some(kind) }))
    }

    /// As an attribute; `None` where it is not known.
    pub(crate) fn attribute(&self, fields: &mut Fields<'_>) -> Option<Attribute> {
        let (key, value) = self.value(fields)?;
        let known_at = fields.optional(self.known_at.as_ref()).map(keizoku_convert::timestamp);
        Some(Attribute { key, value: Some(value), known_at })
    }
}

/// A condition that a row must meet to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(super) text: Text,
    pub(super) test: Test,
}

/// What a condition asks.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// It is one of these.
    Is(Vec<String>),
    /// It is none of these, or nothing.
    IsNot(Vec<String>),
    /// It is there, or is not.
    Present(bool),
}

impl Condition {
    /// Whether the row meets it.
    pub(crate) fn holds(&self, row: &Row<'_>) -> Result<bool, Wrong> {
        let text = self.text.read(row)?;
        Ok(match &self.test {
            Test::Is(texts) => text.is_some_and(|text| texts.contains(&text)),
            Test::IsNot(texts) => text.is_none_or(|text| !texts.contains(&text)),
            Test::Present(wanted) => text.is_some() == *wanted,
        })
    }
}
