//! Parts of requests as the domain's drafts, unchecked.

use keizoku_base::money::Period;
use keizoku_proto::google::Date;
use keizoku_proto::types;
use prost_types::Timestamp;

use crate::domain::account::money::MoneyDraft;
use crate::domain::key::{AccountRefDraft, ExternalIdDraft};
use crate::domain::time::{DateDraft, InstantDraft};
use crate::domain::value::{AttributeDraft, ValueDraft};

/// An external id.
pub(crate) fn external(message: types::ExternalId) -> ExternalIdDraft {
    ExternalIdDraft { source: message.source, id: message.id }
}

/// A reference to an account.
pub(crate) fn account(message: types::AccountRef) -> AccountRefDraft {
    match message.r#ref {
        None => AccountRefDraft::Unset,
        Some(types::account_ref::Ref::Id(id)) => AccountRefDraft::Id(id),
        Some(types::account_ref::Ref::External(message)) => AccountRefDraft::External(external(message)),
    }
}

/// An instant.
pub(crate) fn instant(message: Timestamp) -> InstantDraft {
    InstantDraft { seconds: message.seconds, nanos: message.nanos }
}

/// A date.
pub(crate) fn date(message: Date) -> DateDraft {
    DateDraft { year: message.year, month: message.month, day: message.day }
}

/// An amount.
pub(crate) fn money(message: types::Money) -> MoneyDraft {
    let period = match message.period() {
        types::BillingPeriod::Unspecified => None,
        types::BillingPeriod::OneOff => Some(Period::OneOff),
        types::BillingPeriod::Month => Some(Period::Month),
        types::BillingPeriod::Year => Some(Period::Year),
    };
    MoneyDraft { minor_units: message.minor_units, currency_code: message.currency_code, period }
}

/// A value; `None` where it says nothing.
pub(crate) fn value(message: types::Value) -> Option<ValueDraft> {
    use types::value::Kind;
    Some(match message.kind? {
        Kind::Text(text) => ValueDraft::Text(text),
        Kind::Integer(integer) => ValueDraft::Integer(integer),
        Kind::Number(number) => ValueDraft::Number(number),
        Kind::Flag(flag) => ValueDraft::Flag(flag),
        Kind::Instant(at) => ValueDraft::Instant(instant(at)),
        Kind::Date(day) => ValueDraft::Date(date(day)),
        Kind::Texts(texts) => ValueDraft::Texts(texts.values),
    })
}

/// Attributes.
pub(crate) fn attributes(messages: Vec<types::Attribute>) -> Vec<AttributeDraft> {
    let attribute = |message: types::Attribute| AttributeDraft {
        key: message.key,
        value: message.value.and_then(value),
        known_at: message.known_at.map(instant),
    };
    messages.into_iter().map(attribute).collect()
}
