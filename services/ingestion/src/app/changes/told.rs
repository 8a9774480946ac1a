//! Accounts, and what sources tell of them. A thing that can become another account's has the account in its key, so
//! that it can be taken from the one and given to the other.

use keizoku_base::{AccountId, Micros};
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::{ChangeKind, Tombstone};
use keizoku_storage::feed::Draft;
use uuid::Uuid;

use super::{draft_known, key_of};
use crate::app::accounts::Account;
use crate::app::context::Context;
use crate::app::views;
use crate::domain::account::{CancellationDetails, ContactDetails, ConversationDetails};
use crate::store::contract::ContractRow;
use crate::store::told::Told;
use crate::store::user::UserRow;

/// What [`gone`] is told of contacts.
pub(crate) const CONTACT: ChangeKind = ChangeKind::Contact;
/// What [`gone`] is told of contracts.
pub(crate) const CONTRACT: ChangeKind = ChangeKind::Contract;
/// What [`gone`] is told of cancellations.
pub(crate) const CANCELLATION: ChangeKind = ChangeKind::Cancellation;
/// What [`gone`] is told of conversations.
pub(crate) const CONVERSATION: ChangeKind = ChangeKind::Conversation;

/// An account.
pub(crate) fn account(context: &Context, account: &Account) -> Draft {
    let (id, state) = (account.row.id, State::Account(views::account(account)));
    draft_known(context, id.partition(), ChangeKind::Account, key_of(id.0), account.row.updated_at, state)
}

/// A contract, once for each account that it covers.
pub(crate) fn contract(context: &Context, contract: &ContractRow) -> Vec<Draft> {
    let state = || State::Contract(views::contract(contract));
    let draft = |account: &AccountId| of(context, *account, CONTRACT, contract.id, contract.known_at, state());
    contract.accounts.iter().map(draft).collect()
}

/// A contact, without name and mail address.
pub(crate) fn contact(context: &Context, contact: &Told<ContactDetails>) -> Draft {
    let mut message = views::contact(contact);
    message.display_name.clear();
    message.email.clear();
    of(context, contact.account, CONTACT, contact.id, contact.known_at, State::Contact(message))
}

/// A user, without its name.
pub(crate) fn user_of(context: &Context, user: &UserRow) -> Draft {
    let mut message = views::user(user);
    message.display_name.clear();
    let (partition, key) = (user.name.account.partition(), key_of(user.id.0));
    draft_known(context, partition, ChangeKind::User, key, user.created_at, State::User(message))
}

/// A cancellation, without comment.
pub(crate) fn cancellation(context: &Context, cancellation: &Told<CancellationDetails>) -> Draft {
    let mut message = views::cancellation(cancellation);
    message.comment.clear();
    let known_at = cancellation.known_at;
    of(context, cancellation.account, CANCELLATION, cancellation.id, known_at, State::Cancellation(message))
}

/// A conversation, without subject and text.
pub(crate) fn conversation(context: &Context, conversation: &Told<ConversationDetails>) -> Draft {
    let mut message = views::conversation(conversation);
    message.subject.clear();
    message.text.clear();
    let known_at = conversation.known_at;
    of(context, conversation.account, CONVERSATION, conversation.id, known_at, State::Conversation(message))
}

/// Things that accounts have no more.
pub(crate) fn gone(context: &Context, kind: ChangeKind, left: &[(Uuid, AccountId)]) -> Vec<Draft> {
    let tombstone = |(id, account): &(Uuid, AccountId)| {
        of(context, *account, kind, *id, context.now, State::Tombstone(Tombstone {}))
    };
    left.iter().map(tombstone).collect()
}

fn of(context: &Context, account: AccountId, kind: ChangeKind, id: Uuid, known_at: Micros, state: State) -> Draft {
    let key = [*id.as_bytes(), *account.0.as_bytes()].concat();
    draft_known(context, account.partition(), kind, key, known_at, state)
}
