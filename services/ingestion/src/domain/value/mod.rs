//! Typed values of properties and attributes: what they may be, and their bytes.

mod attributes;
mod properties;

pub use attributes::{ATTRIBUTES_MOST, Attribute, AttributeChange, AttributeDraft, Attributes, Known};
pub use properties::{Properties, PropertyDraft};

use std::fmt::Display;

use keizoku_base::number::Millionths;
use keizoku_base::{Day, Micros};

use crate::domain::check::{Checks, Wrong};
use crate::domain::key::text_of_bytes;
use crate::domain::pack::{Corrupt, Packer, Unpacker};
use crate::domain::reason;
use crate::domain::time::{DateDraft, InstantDraft, date, instant};

/// The most bytes of a text.
pub const TEXT_MOST_BYTES: usize = 8 * 1024;
/// The most texts of a list.
pub const TEXTS_MOST: usize = 100;
/// The most bytes of each text of a list.
pub const LISTED_TEXT_MOST_BYTES: usize = 1024;

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A finite number; never −0.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    Instant(Micros),
    /// A calendar day.
    Date(Day),
    /// Texts in the order given.
    Texts(Vec<String>),
}

/// A value as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueDraft {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    Instant(InstantDraft),
    /// A calendar day.
    Date(DateDraft),
    /// Texts.
    Texts(Vec<String>),
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Flag,
    /// An instant.
    Instant,
    /// A calendar day.
    Date,
    /// Texts.
    Texts,
}

impl ValueKind {
    /// All kinds, in the order of their bits.
    pub const ALL: [Self; 7] =
        [Self::Text, Self::Integer, Self::Number, Self::Flag, Self::Instant, Self::Date, Self::Texts];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Flag => "flag",
            Self::Instant => "instant",
            Self::Date => "date",
            Self::Texts => "texts",
        }
    }
}

// What each kind's bytes begin with; only ever added to.
const TEXT: u8 = 1;
const INTEGER: u8 = 2;
const NUMBER: u8 = 3;
const NO: u8 = 4;
const YES: u8 = 5;
const INSTANT: u8 = 6;
const DATE: u8 = 7;
const TEXTS: u8 = 8;

impl Value {
    /// Checks the value at path `field`; an absent one is refused.
    pub fn check(checks: &mut Checks, field: impl Display, draft: Option<ValueDraft>) -> Option<Self> {
        match draft {
            None => checks.take(field, Err(Wrong::required())),
            Some(ValueDraft::Text(text)) => {
                checks.take(format_args!("{field}.text"), text_of_bytes(text, TEXT_MOST_BYTES).map(Self::Text))
            }
            Some(ValueDraft::Integer(integer)) => Some(Self::Integer(integer)),
            Some(ValueDraft::Number(number)) => checks.take(format_args!("{field}.number"), finite(number)),
            Some(ValueDraft::Flag(flag)) => Some(Self::Flag(flag)),
            Some(ValueDraft::Instant(draft)) => {
                checks.take(format_args!("{field}.instant"), instant(draft).map(Self::Instant))
            }
            Some(ValueDraft::Date(draft)) => checks.take(format_args!("{field}.date"), date(draft).map(Self::Date)),
            Some(ValueDraft::Texts(texts)) => {
                let texts = checks.at_most(format_args!("{field}.texts.values"), texts, TEXTS_MOST);
                let checked = texts.into_iter().enumerate().map(|(index, text)| {
                    let text = text_of_bytes(text, LISTED_TEXT_MOST_BYTES);
                    checks.take(format_args!("{field}.texts.values[{index}]"), text)
                });
                checked.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self::Texts)
            }
        }
    }

    /// Its kind.
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Text(_) => ValueKind::Text,
            Self::Integer(_) => ValueKind::Integer,
            Self::Number(_) => ValueKind::Number,
            Self::Flag(_) => ValueKind::Flag,
            Self::Instant(_) => ValueKind::Instant,
            Self::Date(_) => ValueKind::Date,
            Self::Texts(_) => ValueKind::Texts,
        }
    }

    /// The number a metric takes from it: whole numbers, numbers, and flags as 0 or 1. `None` for everything else and
    /// past the limit of metric values.
    pub fn numeric(&self) -> Option<Millionths> {
        match self {
            Self::Integer(integer) => Millionths::from_whole(*integer),
            Self::Number(number) => Millionths::from_f64(*number),
            Self::Flag(flag) => Some(Millionths(i64::from(*flag) * Millionths::ONE)),
            Self::Text(_) | Self::Instant(_) | Self::Date(_) | Self::Texts(_) => None,
        }
    }

    /// Writes its canonical bytes.
    pub fn pack(&self, packer: &mut Packer) {
        match self {
            Self::Text(text) => {
                packer.byte(TEXT);
                packer.text(text);
            }
            Self::Integer(integer) => {
                packer.byte(INTEGER);
                packer.signed(*integer);
            }
            Self::Number(number) => {
                packer.byte(NUMBER);
                packer.raw(&number.to_le_bytes());
            }
            Self::Flag(flag) => packer.byte(if *flag { YES } else { NO }),
            Self::Instant(at) => {
                packer.byte(INSTANT);
                packer.signed(at.0);
            }
            Self::Date(day) => {
                packer.byte(DATE);
                packer.signed(day.0);
            }
            Self::Texts(texts) => {
                packer.byte(TEXTS);
                packer.unsigned(texts.len() as u128);
                texts.iter().for_each(|text| packer.text(text));
            }
        }
    }

    /// Reads what [`Value::pack`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn unpack(unpacker: &mut Unpacker<'_>) -> Result<Self, Corrupt> {
        Ok(match unpacker.byte()? {
            TEXT => Self::Text(unpacker.text()?.to_owned()),
            INTEGER => Self::Integer(unpacker.signed()?),
            NUMBER => Self::Number(f64::from_le_bytes(unpacker.raw(8)?.try_into().map_err(|_| Corrupt)?)),
            NO => Self::Flag(false),
            YES => Self::Flag(true),
            INSTANT => Self::Instant(Micros(unpacker.signed()?)),
            DATE => Self::Date(Day(unpacker.signed()?)),
            TEXTS => {
                let count = unpacker.unsigned::<usize>()?;
                Self::Texts((0..count).map(|_| unpacker.text().map(str::to_owned)).collect::<Result<_, _>>()?)
            }
            _ => return Err(Corrupt),
        })
    }

    /// Its canonical bytes alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        self.pack(&mut packer);
        packer.into_bytes()
    }

    /// Reads what [`Value::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut unpacker = Unpacker::new(bytes);
        let value = Self::unpack(&mut unpacker)?;
        unpacker.end().map(|()| value)
    }
}

fn finite(number: f64) -> Result<Value, Wrong> {
    if !number.is_finite() {
        return Err(Wrong::new(reason::NOT_A_NUMBER, "must be a finite number"));
    }
    // Adding 0 turns −0, which equals 0 but has other bytes, into it.
    Ok(Value::Number(number + 0.0))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::check::named;

    /// Any value that is accepted.
    pub(crate) fn any_draft() -> impl Strategy<Value = ValueDraft> {
        prop_oneof![
            "[^\0]{0,20}".prop_map(ValueDraft::Text),
            any::<i64>().prop_map(ValueDraft::Integer),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(ValueDraft::Number),
            any::<bool>().prop_map(ValueDraft::Flag),
            (0_i64..7_258_118_400, 0..1_000_000_000)
                .prop_map(|(seconds, nanos)| ValueDraft::Instant(InstantDraft { seconds, nanos })),
            (1970..2200, 1..13, 1..29).prop_map(|(year, month, day)| ValueDraft::Date(DateDraft { year, month, day })),
            vec("[^\0]{0,9}", 0..5).prop_map(ValueDraft::Texts),
        ]
    }

    fn checked(draft: Option<ValueDraft>) -> Result<Value, Vec<(String, &'static str)>> {
        let mut checks = Checks::new();
        let value = Value::check(&mut checks, "value", draft);
        checks.finish(value).map_err(|violations| {
            violations.iter().map(|violation| (violation.field.clone(), violation.reason)).collect()
        })
    }

    proptest! {
        #[test]
        fn survives_a_round_trip(draft in any_draft()) {
            let value = checked(Some(draft)).expect("a value");
            prop_assert_eq!(Value::from_bytes(&value.to_bytes()), Ok(value));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(value) = Value::from_bytes(&bytes) {
                prop_assert_eq!(value.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn refuses_what_is_past_its_limits() {
        let text = |length| Some(ValueDraft::Text("x".repeat(length)));
        let refused = |field: &str, reason| Err(vec![(format!("value{field}"), reason)]);
        assert!(checked(text(TEXT_MOST_BYTES)).is_ok());
        assert_eq!(checked(text(TEXT_MOST_BYTES + 1)), refused(".text", reason::TOO_LONG));
        assert_eq!(checked(text(5_000_000)), refused(".text", reason::TOO_LONG));
        assert_eq!(checked(None), refused("", reason::REQUIRED));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(checked(Some(ValueDraft::Number(number))), refused(".number", reason::NOT_A_NUMBER));
        }
        let instant = Some(ValueDraft::Instant(InstantDraft { seconds: -1, nanos: 0 }));
        assert_eq!(checked(instant), refused(".instant", reason::OUT_OF_RANGE));
        let date = Some(ValueDraft::Date(DateDraft { year: 2024, month: 13, day: 1 }));
        assert_eq!(checked(date), refused(".date", reason::DATE_DOES_NOT_EXIST));
    }

    #[test]
    fn names_every_text_of_a_list_that_is_wrong() {
        let mut checks = Checks::new();
        let mut texts = vec!["x".to_owned(); 101];
        texts[0] = "x".repeat(1025);
        texts[2] = "\0".to_owned();
        assert_eq!(Value::check(&mut checks, "v", Some(ValueDraft::Texts(texts))), None);
        let violations = checks.finish(None::<()>).expect_err("violations");
        assert_eq!(
            named(&violations),
            [
                ("v.texts.values", reason::TOO_MANY),
                ("v.texts.values[0]", reason::TOO_LONG),
                ("v.texts.values[2]", reason::HOLDS_NUL),
            ]
        );
    }

    #[test]
    fn negative_zero_is_zero() {
        let bytes = |number| checked(Some(ValueDraft::Number(number))).expect("a number").to_bytes();
        assert_eq!(bytes(-0.0), bytes(0.0));
    }

    #[test]
    fn metrics_take_numbers_and_flags() {
        let table = [
            (Value::Integer(3), Some(3_000_000)),
            (Value::Integer(-1), Some(-1_000_000)),
            (Value::Integer(9_000_000_000_001), None),
            (Value::Number(0.5), Some(500_000)),
            (Value::Number(1e300), None),
            (Value::Flag(true), Some(1_000_000)),
            (Value::Flag(false), Some(0)),
            (Value::Text("3".to_owned()), None),
            (Value::Date(Day(3)), None),
        ];
        for (value, expected) in table {
            assert_eq!(value.numeric().map(|number| number.0), expected, "{value:?}");
        }
    }
}
