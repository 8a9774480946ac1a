//! Items of Put calls as the domain's drafts, unchecked.

use keizoku_proto::ingestion as proto;

use super::value;
use crate::domain::account::{
    AccountDraft, CancellationDraft, ContactDraft, ContractDraft, ConversationDraft, UserDraft,
};

/// An account.
pub(crate) fn account(message: proto::AccountItem) -> AccountDraft {
    AccountDraft {
        external_id: message.external_id.map(value::external),
        same_as: message.same_as.map(value::account),
        display_name: message.display_name,
        parent: message.parent.map(value::account),
        attributes: value::attributes(message.attributes),
    }
}

/// A contract.
pub(crate) fn contract(message: proto::ContractItem) -> ContractDraft {
    ContractDraft {
        external_id: message.external_id.map(value::external),
        accounts: message.accounts.into_iter().map(value::account).collect(),
        plan: message.plan,
        trial: message.trial,
        amount: message.amount.map(value::money),
        seats: message.seats,
        starts_on: message.starts_on.map(value::date),
        ends_on: message.ends_on.map(value::date),
        renews_automatically: message.renews_automatically,
        renewal_ordinal: message.renewal_ordinal,
        attributes: value::attributes(message.attributes),
        known_at: message.known_at.map(value::instant),
    }
}

/// A contact.
pub(crate) fn contact(message: proto::ContactItem) -> ContactDraft {
    ContactDraft {
        external_id: message.external_id.map(value::external),
        account: message.account.map(value::account),
        display_name: message.display_name,
        email: message.email,
        role: message.role,
        joined_on: message.joined_on.map(value::date),
        left_on: message.left_on.map(value::date),
    }
}

/// A user.
pub(crate) fn user(message: proto::UserItem) -> UserDraft {
    UserDraft {
        external_id: message.external_id.map(value::external),
        account: message.account.map(value::account),
        display_name: message.display_name,
    }
}

/// A conversation.
pub(crate) fn conversation(message: proto::ConversationItem) -> ConversationDraft {
    ConversationDraft {
        external_id: message.external_id.map(value::external),
        account: message.account.map(value::account),
        channel: message.channel,
        subject: message.subject,
        text: message.text,
        started_by_customer: message.started_by_customer,
        opened_at: message.opened_at.map(value::instant),
        closed_at: message.closed_at.map(value::instant),
        first_reply_at: message.first_reply_at.map(value::instant),
        attributes: value::attributes(message.attributes),
    }
}

/// A cancellation.
pub(crate) fn cancellation(message: proto::CancellationItem) -> CancellationDraft {
    CancellationDraft {
        external_id: message.external_id.map(value::external),
        account: message.account.map(value::account),
        contract_external_id: message.contract_external_id.map(value::external),
        effective_on: message.effective_on.map(value::date),
        reason: message.reason,
        comment: message.comment,
        refund: message.refund.map(value::money),
        after_reactivation: message.after_reactivation,
        attributes: value::attributes(message.attributes),
    }
}
