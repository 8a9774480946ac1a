//! A mapping as it is written: the YAML of docs/guides/import.md, nothing checked but its outline.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A mapping.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MappingDraft {
    /// The version of this outline; 1.
    pub(crate) mapping: u32,
    /// What the data are called in messages.
    pub(crate) name: String,
    /// The source that ids and events are sent under.
    pub(crate) source: String,
    /// The source of the accounts' ids, where that is another one.
    #[serde(default)]
    pub(crate) account_source: Option<String>,
    #[serde(default)]
    pub(crate) csv: DialectDraft,
    #[serde(default)]
    pub(crate) times: TimesDraft,
    #[serde(default)]
    pub(crate) flags: FlagsDraft,
    /// Texts that mean that nothing is known, besides the empty one.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// Metrics to define, in the shape of `MetricDefinition`.
    #[serde(default)]
    pub(crate) metrics: Vec<serde_norway::Value>,
    pub(crate) files: BTreeMap<String, FileDraft>,
}

/// How the files are written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DialectDraft {
    pub(crate) delimiter: char,
    pub(crate) quote: char,
}

impl Default for DialectDraft {
    fn default() -> Self {
        Self { delimiter: ',', quote: '"' }
    }
}

/// How dates and times are written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimesDraft {
    /// The zone of times that name none; the workspace's where it is left out.
    pub(crate) zone: Option<String>,
    pub(crate) dates: Vec<String>,
    pub(crate) instants: Vec<String>,
}

impl Default for TimesDraft {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            zone: None,
            dates: texts(&["%Y-%m-%d"]),
            instants: texts(&["rfc3339", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"]),
        }
    }
}

/// What yes and no are written as; letters count the same in both sizes.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FlagsDraft {
    #[serde(rename = "true")]
    pub(crate) yes: Vec<Scalar>,
    #[serde(rename = "false")]
    pub(crate) no: Vec<Scalar>,
}

impl Default for FlagsDraft {
    fn default() -> Self {
        let scalars = |texts: &[&str]| texts.iter().map(|text| Scalar((*text).to_owned())).collect();
        Self { yes: scalars(&["true", "t", "yes", "y", "1"]), no: scalars(&["false", "f", "no", "n", "0"]) }
    }
}

/// A file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileDraft {
    /// What the file's name is like; `*` stands for any letters.
    #[serde(rename = "match")]
    pub(crate) pattern: Many<String>,
    /// Every column that the mapping uses.
    pub(crate) columns: Vec<String>,
    #[serde(default)]
    pub(crate) accounts: Many<AccountDraft>,
    #[serde(default)]
    pub(crate) contacts: Many<ContactDraft>,
    #[serde(default)]
    pub(crate) users: Many<UserDraft>,
    #[serde(default)]
    pub(crate) contracts: Many<ContractDraft>,
    #[serde(default)]
    pub(crate) cancellations: Many<CancellationDraft>,
    #[serde(default)]
    pub(crate) conversations: Many<ConversationDraft>,
    #[serde(default)]
    pub(crate) events: Many<EventDraft>,
    #[serde(default)]
    pub(crate) measurements: Many<MeasurementDraft>,
}

/// One, or a list.
#[derive(Debug)]
pub(crate) struct Many<T>(pub(crate) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A text, or a number or flag written without quotation marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar(pub(crate) String);

/// An expression.
#[derive(Debug)]
pub(crate) enum ExpressionDraft {
    /// A text with columns in it.
    Template(String),
    /// More than that.
    Long(Box<LongDraft>),
}

/// An expression with its options.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LongDraft {
    pub(crate) from: Option<Scalar>,
    pub(crate) lookup: Option<LookupDraft>,
    pub(crate) hash: Option<Vec<String>>,
    pub(crate) numbered: bool,
    pub(crate) lower: bool,
    pub(crate) as_key: bool,
    pub(crate) map: Option<BTreeMap<String, Scalar>>,
    pub(crate) otherwise: Option<Scalar>,
    pub(crate) default: Option<Scalar>,
    pub(crate) shapes: Vec<String>,
    pub(crate) plus_days: Option<Scalar>,
    pub(crate) plus_minutes: Option<Scalar>,
}

/// A look into another file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupDraft {
    /// The file's name in the mapping.
    #[serde(rename = "in")]
    pub(crate) file: String,
    /// The other file's columns, and what they must be.
    #[serde(rename = "where")]
    pub(crate) conditions: BTreeMap<String, Scalar>,
    /// The other file's column that is taken.
    pub(crate) take: String,
}

/// A condition that a row must meet to be sent.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionDraft {
    pub(crate) value: ExpressionDraft,
    #[serde(default)]
    pub(crate) is: Option<Many<Scalar>>,
    #[serde(default)]
    pub(crate) is_not: Option<Many<Scalar>>,
    #[serde(default)]
    pub(crate) present: Option<bool>,
}

/// An amount of money.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmountDraft {
    /// The parts that are added up.
    pub(crate) of: Many<ExpressionDraft>,
    pub(crate) currency: ExpressionDraft,
    pub(crate) period: PeriodDraft,
}

/// How often an amount recurs.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PeriodDraft {
    OneOff,
    Month,
    Year,
}

/// A named value, of one type.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedDraft {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) text: Option<ExpressionDraft>,
    #[serde(default)]
    pub(crate) whole: Option<ExpressionDraft>,
    #[serde(default)]
    pub(crate) number: Option<ExpressionDraft>,
    #[serde(default)]
    pub(crate) flag: Option<ExpressionDraft>,
    #[serde(default)]
    pub(crate) date: Option<ExpressionDraft>,
    #[serde(default)]
    pub(crate) instant: Option<ExpressionDraft>,
    #[serde(default)]
    pub(crate) known_at: Option<ExpressionDraft>,
}

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* } optional { $($may:ident: $may_kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            #[serde(default)]
            pub(crate) when: Vec<ConditionDraft>,
            $(pub(crate) $field: $kind,)*
            $(#[serde(default)] pub(crate) $may: $may_kind,)*
        }
    )*};
}

type Maybe = Option<ExpressionDraft>;

targets! {
    /// An account.
    AccountDraft { id: ExpressionDraft, }
    optional { display_name: Maybe, parent: Maybe, attributes: Vec<NamedDraft>, }
    /// A contact.
    ContactDraft { id: ExpressionDraft, account: ExpressionDraft, }
    optional { display_name: Maybe, email: Maybe, role: Maybe, joined_on: Maybe, left_on: Maybe, }
    /// A user.
    UserDraft { id: ExpressionDraft, account: ExpressionDraft, }
    optional { display_name: Maybe, }
    /// A contract.
    ContractDraft { id: ExpressionDraft, accounts: Many<ExpressionDraft>, starts_on: ExpressionDraft, }
    optional {
        plan: Maybe, trial: Maybe, amount: Option<AmountDraft>, seats: Maybe, ends_on: Maybe,
        renews_automatically: Maybe, renewal_ordinal: Maybe, attributes: Vec<NamedDraft>, known_at: Maybe,
    }
    /// A cancellation.
    CancellationDraft { id: ExpressionDraft, account: ExpressionDraft, effective_on: ExpressionDraft, }
    optional {
        contract: Maybe, reason: Maybe, comment: Maybe, refund: Option<AmountDraft>, after_reactivation: Maybe,
        attributes: Vec<NamedDraft>,
    }
    /// A conversation.
    ConversationDraft { id: ExpressionDraft, account: ExpressionDraft, channel: ExpressionDraft, opened_at: ExpressionDraft, }
    optional {
        subject: Maybe, text: Maybe, started_by_customer: Maybe, closed_at: Maybe, first_reply_at: Maybe,
        attributes: Vec<NamedDraft>,
    }
    /// An event.
    EventDraft { id: ExpressionDraft, account: ExpressionDraft, name: ExpressionDraft, }
    optional { at: Maybe, on: Maybe, user: Maybe, value: Maybe, properties: Vec<NamedDraft>, known_at: Maybe, }
    /// A measurement.
    MeasurementDraft { id: ExpressionDraft, account: ExpressionDraft, name: ExpressionDraft, value: ExpressionDraft, }
    optional { at: Maybe, on: Maybe, known_at: Maybe, }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Scalar;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a number or a flag")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar(flag.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for ExpressionDraft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ExpressionDraft;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text with {columns} in it, or an expression such as {from: …, lower: true}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ExpressionDraft, E> {
                Ok(ExpressionDraft::Template(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<ExpressionDraft, E> {
                Ok(ExpressionDraft::Template(flag.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<ExpressionDraft, E> {
                Ok(ExpressionDraft::Template(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<ExpressionDraft, E> {
                Ok(ExpressionDraft::Template(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<ExpressionDraft, E> {
                Ok(ExpressionDraft::Template(number.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExpressionDraft, A::Error> {
                let long = LongDraft::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ExpressionDraft::Long(Box::new(long)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrList<T> {
            type Value = Many<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("one, or a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Many<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Many)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Many<T>, E> {
                T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| Many(vec![one]))
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<Many<T>, E> {
                self.visit_str(if flag { "true" } else { "false" })
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Many<T>, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Many<T>, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Many<T>, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(OneOrList(PhantomData))
    }
}
