//! What the kept parts of an account say, and what a kept metric definition says.

use std::collections::BTreeMap;

use keizoku_base::{AccountId, Day, ExternalId, Violations};
use keizoku_convert::{day, instant, parse_money};
use keizoku_proto::{ingestion as proto, types};
use keizoku_rules::Number;
use prost::Message;

use super::{ACCOUNT, ACCOUNT_SOURCE, CONTACT, CONTRACT};
use crate::domain::facts::{AccountFacts, Contact, Contract, FactValue};
use crate::domain::inputs::Coverage;
use crate::domain::month::MetricRef;
use crate::domain::workspace::{Absence, MetricDefinition};
use crate::error::ScoringFault;
use crate::store::parts::Parts;

/// What is known of an account besides its metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Its name; empty for a stub.
    pub(crate) name: String,
    /// Its ids in other systems.
    pub(crate) externals: Vec<ExternalId>,
    /// What rules ask for.
    pub(crate) facts: AccountFacts,
    /// How far each source covers it.
    pub(crate) coverage: Vec<Coverage>,
}

/// Reads the parts of an account; `None` where the account itself is not known (any more).
///
/// # Errors
/// [`ScoringFault::Corrupt`] where a part is not one that ingestion writes.
pub(crate) fn known(id: AccountId, parts: &Parts) -> Result<Option<Known>, ScoringFault> {
    let Some(account) = parts.of_kind(ACCOUNT).next() else { return Ok(None) };
    let account: proto::Account = read(account)?;
    let wire_id = id.to_string();
    let mut known = Known { name: account.display_name, ..Known::default() };
    known.externals = account.external_ids.into_iter().map(|id| ExternalId { source: id.source, id: id.id }).collect();
    let value = |attribute: types::Attribute| Some((attribute.key, fact(attribute.value?)?));
    known.facts.attributes = account.attributes.into_iter().filter_map(value).collect::<BTreeMap<_, _>>();
    for part in parts.of_kind(CONTRACT) {
        known.facts.contracts.extend(contract(&read(part)?, &wire_id));
    }
    for part in parts.of_kind(CONTACT) {
        let contact: proto::Contact = read(part)?;
        known.facts.contacts.push(Contact {
            role: (!contact.role.is_empty()).then_some(contact.role),
            joined_on: contact.joined_on.as_ref().and_then(day),
            left_on: contact.left_on.as_ref().and_then(day),
        });
    }
    for part in parts.of_kind(ACCOUNT_SOURCE) {
        let covered: proto::AccountSource = read(part)?;
        let (first, last) = (Day(covered.first_day), Day(covered.last_day));
        known.coverage.push(Coverage { source: covered.source.as_str().into(), first, last });
    }
    Ok(Some(known))
}

/// Reads a kept metric definition.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where it is not one that ingestion writes.
pub(crate) fn definition(document: &[u8]) -> Result<MetricDefinition, ScoringFault> {
    use proto::metric_definition::{Absence as Wire, Aggregation};
    let message: proto::MetricDefinition = read(document)?;
    let absence = match message.absence() {
        Wire::Missing => Absence::Missing,
        Wire::Unspecified if message.measurement => Absence::Missing,
        Wire::Unspecified | Wire::ZeroWhenSourceAlive => Absence::ZeroWhenSourceAlive,
    };
    let distinct = message.aggregation() == Aggregation::DistinctUsers;
    Ok(MetricDefinition {
        metric: MetricRef { key: message.key.as_str().into(), version: message.version },
        source: (!message.source.is_empty()).then(|| message.source.as_str().into()),
        absence,
        stale_after_days: u16::try_from(message.stale_after_days).ok().filter(|days| *days > 0).unwrap_or(3),
        distinct,
    })
}

fn contract(message: &proto::Contract, account: &str) -> Option<Contract> {
    // Its own words were checked where they were told.
    let mut violations = Violations::new();
    Some(Contract {
        plan: (!message.plan.is_empty()).then(|| message.plan.clone()),
        trial: message.trial,
        pays: message.account_ids.first().is_none_or(|first| first == account),
        amount: message.amount.as_ref().and_then(|amount| parse_money(amount, "amount", &mut violations)),
        seats: message.seats,
        starts_on: message.starts_on.as_ref().and_then(day)?,
        ends_on: message.ends_on.as_ref().and_then(day),
        renews_automatically: message.renews_automatically,
        renewal_ordinal: message.renewal_ordinal,
    })
}

fn fact(value: types::Value) -> Option<FactValue> {
    use types::value::Kind;
    Some(match value.kind? {
        Kind::Text(text) => FactValue::Text(text),
        Kind::Integer(whole) => FactValue::Number(Number::from(whole)),
        Kind::Number(number) => FactValue::Number(Number::from_f64(number)?),
        Kind::Flag(flag) => FactValue::Flag(flag),
        Kind::Instant(at) => FactValue::Instant(instant(&at)),
        Kind::Date(date) => FactValue::Day(day(&date)?),
        Kind::Texts(list) => FactValue::Texts(list.values),
    })
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, ScoringFault> {
    M::decode(bytes).map_err(|_| ScoringFault::Corrupt("a kept part"))
}
