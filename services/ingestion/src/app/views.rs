//! Things as clients and other services see them.

use keizoku_base::id::{ContactId, ContractId, ConversationId};
use keizoku_convert::{date, external, money, timestamp};
use keizoku_proto::ingestion as proto;
use keizoku_proto::types;

use super::accounts::Account;
use super::timeline::{Entry, Happened};
use crate::domain::account::{CancellationDetails, ContactDetails, ConversationDetails};
use crate::domain::value::{Attributes, Value};
use crate::store::contract::ContractRow;
use crate::store::told::Told;
use crate::store::user::UserRow;

/// An account.
pub(crate) fn account(account: &Account) -> proto::Account {
    let row = &account.row;
    proto::Account {
        id: row.id.to_string(),
        external_ids: account.names.iter().map(external).collect(),
        display_name: row.facts.display_name.clone(),
        parent_account_id: row.facts.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        attributes: attributes(&row.facts.attributes),
        stub: row.facts.stub,
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
        etag: row.version.to_string(),
    }
}

/// A contract.
pub(crate) fn contract(contract: &ContractRow) -> proto::Contract {
    let details = &contract.details;
    proto::Contract {
        id: ContractId(contract.id).to_string(),
        account_ids: contract.accounts.iter().map(ToString::to_string).collect(),
        external_id: Some(external(&contract.external)),
        plan: details.plan.as_ref().map(|plan| plan.as_str().to_owned()).unwrap_or_default(),
        trial: details.trial,
        amount: details.amount.as_ref().map(money),
        seats: details.seats,
        starts_on: Some(date(details.starts_on)),
        ends_on: details.ends_on.map(date),
        renews_automatically: details.renews_automatically,
        renewal_ordinal: details.renewal_ordinal,
        attributes: attributes(&details.attributes),
        known_at: Some(timestamp(contract.known_at)),
    }
}

/// A contact.
pub(crate) fn contact(contact: &Told<ContactDetails>) -> proto::Contact {
    let details = &contact.details;
    proto::Contact {
        id: ContactId(contact.id).to_string(),
        account_id: contact.account.to_string(),
        external_id: Some(external(&contact.external)),
        display_name: details.display_name.clone(),
        email: details.email.clone(),
        role: details.role.as_ref().map(|role| role.as_str().to_owned()).unwrap_or_default(),
        joined_on: details.joined_on.map(date),
        left_on: details.left_on.map(date),
    }
}

/// A user.
pub(crate) fn user(user: &UserRow) -> proto::User {
    proto::User {
        id: user.id.to_string(),
        account_id: user.name.account.to_string(),
        external_id: Some(external(&user.name.external)),
        display_name: user.display_name.clone(),
        created_at: Some(timestamp(user.created_at)),
    }
}

/// A conversation.
pub(crate) fn conversation(conversation: &Told<ConversationDetails>) -> proto::Conversation {
    let details = &conversation.details;
    proto::Conversation {
        id: ConversationId(conversation.id).to_string(),
        account_id: conversation.account.to_string(),
        external_id: Some(external(&conversation.external)),
        channel: details.channel.as_str().to_owned(),
        subject: details.subject.clone(),
        text: details.text.clone(),
        started_by_customer: details.started_by_customer,
        opened_at: Some(timestamp(details.opened_at)),
        closed_at: details.closed_at.map(timestamp),
        first_reply_at: details.first_reply_at.map(timestamp),
        attributes: attributes(&details.attributes),
    }
}

/// A cancellation.
pub(crate) fn cancellation(cancellation: &Told<CancellationDetails>) -> proto::Cancellation {
    let details = &cancellation.details;
    proto::Cancellation {
        account_id: cancellation.account.to_string(),
        external_id: Some(external(&cancellation.external)),
        contract_external_id: details.contract_external_id.as_ref().map(external),
        effective_on: Some(date(details.effective_on)),
        reason: details.reason.as_ref().map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        comment: details.comment.clone(),
        refund: details.refund.as_ref().map(money),
        after_reactivation: details.after_reactivation,
        attributes: attributes(&details.attributes),
    }
}

/// What an entry of a customer's history tells.
pub(crate) fn happened(entry: &Entry) -> proto::timeline_entry::Entry {
    use proto::timeline_entry::Entry as Wire;
    match &entry.happened {
        Happened::Conversation(told) => Wire::Conversation(conversation(told)),
        Happened::Started(row) => Wire::ContractStarted(contract(row)),
        Happened::Ended(row) => Wire::ContractEnded(contract(row)),
        Happened::Cancelled(told) => Wire::Cancellation(cancellation(told)),
        Happened::Joined(told) => Wire::ContactJoined(contact(told)),
        Happened::Left(told) => Wire::ContactLeft(contact(told)),
        Happened::Attribute(row) => {
            let (key, known_at) = (row.key.clone(), Some(timestamp(row.known_at)));
            let attribute = types::Attribute { key, value: Some(value(&row.value)), known_at };
            Wire::Attribute(proto::AttributeChange {
                attribute: Some(attribute),
                previous: row.previous.as_ref().map(value),
            })
        }
    }
}

/// Attributes, by key.
pub(crate) fn attributes(attributes: &Attributes) -> Vec<types::Attribute> {
    let attribute = |(key, known): (&crate::domain::key::Key, &crate::domain::value::Known)| types::Attribute {
        key: key.as_str().to_owned(),
        value: Some(value(&known.value)),
        known_at: known.known_at.map(timestamp),
    };
    attributes.iter().map(attribute).collect()
}

/// A value.
pub(crate) fn value(value: &Value) -> types::Value {
    use types::value::Kind;
    let kind = match value {
        Value::Text(text) => Kind::Text(text.clone()),
        Value::Integer(integer) => Kind::Integer(*integer),
        Value::Number(number) => Kind::Number(*number),
        Value::Flag(flag) => Kind::Flag(*flag),
        Value::Instant(at) => Kind::Instant(timestamp(*at)),
        Value::Date(day) => Kind::Date(date(*day)),
        Value::Texts(texts) => Kind::Texts(types::TextList { values: texts.clone() }),
    };
    types::Value { kind: Some(kind) }
}
