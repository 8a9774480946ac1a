//! What rows become: the messages of the public API.

mod account;
mod contract;
mod conversation;
mod event;

use keizoku_proto::ingestion::{
    AccountItem, CancellationItem, ContactItem, ContractItem, ConversationItem, Event, Measurement, UserItem,
};
use keizoku_proto::types::account_ref::Ref;
use keizoku_proto::types::{AccountRef, ExternalId};
use prost::Message as _;

use crate::import::mapping::check::Checker;
use crate::import::mapping::draft::FileDraft;
use crate::import::mapping::expression::Wrong;
use crate::import::mapping::field::{FieldWrong, Fields};
use crate::import::mapping::named::Condition;
use crate::import::mapping::row::Row;

use account::{AccountTarget, ContactTarget, UserTarget};
use contract::{CancellationTarget, ContractTarget};
use conversation::ConversationTarget;
use event::{EventTarget, MeasurementTarget};

/// What is sent, in the order in which it is: what others refer to goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Customer companies.
    Accounts,
    /// People there.
    Contacts,
    /// People who use the product.
    Users,
    /// What was signed.
    Contracts,
    /// Who ends, and why.
    Cancellations,
    /// What was said.
    Conversations,
    /// What was done.
    Events,
    /// What was measured.
    Measurements,
}

impl Kind {
    /// Its name, as in mappings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Contacts => "contacts",
            Self::Users => "users",
            Self::Contracts => "contracts",
            Self::Cancellations => "cancellations",
            Self::Conversations => "conversations",
            Self::Events => "events",
            Self::Measurements => "measurements",
        }
    }
}

/// A message about one thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Account(AccountItem),
    Contact(ContactItem),
    User(UserItem),
    Contract(ContractItem),
    Cancellation(CancellationItem),
    Conversation(ConversationItem),
    Event(Event),
    Measurement(Measurement),
}

impl Item {
    /// Its id in the source.
    pub(crate) fn id(&self) -> &str {
        let external = match self {
            Self::Account(item) => &item.external_id,
            Self::Contact(item) => &item.external_id,
            Self::User(item) => &item.external_id,
            Self::Contract(item) => &item.external_id,
            Self::Cancellation(item) => &item.external_id,
            Self::Conversation(item) => &item.external_id,
            Self::Event(event) => return &event.id,
            Self::Measurement(measurement) => return &measurement.id,
        };
        external.as_ref().map_or("", |external| external.id.as_str())
    }

    /// How many bytes it takes on the wire.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Account(item) => item.encoded_len(),
            Self::Contact(item) => item.encoded_len(),
            Self::User(item) => item.encoded_len(),
            Self::Contract(item) => item.encoded_len(),
            Self::Cancellation(item) => item.encoded_len(),
            Self::Conversation(item) => item.encoded_len(),
            Self::Event(event) => event.encoded_len(),
            Self::Measurement(measurement) => measurement.encoded_len(),
        }
    }
}

/// Under which names ids are sent.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// The source of everything but accounts.
    pub(crate) own: String,
    /// The source of the accounts' ids.
    pub(crate) account: String,
}

impl Sources {
    fn external(&self, id: String) -> ExternalId {
        ExternalId { source: self.own.clone(), id }
    }

    fn account(&self, id: String) -> AccountRef {
        AccountRef { r#ref: Some(Ref::External(ExternalId { source: self.account.clone(), id })) }
    }
}

/// What rows of a file become.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    when: Vec<Condition>,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Account(AccountTarget),
    Contact(ContactTarget),
    User(UserTarget),
    Contract(Box<ContractTarget>),
    Cancellation(Box<CancellationTarget>),
    Conversation(Box<ConversationTarget>),
    Event(EventTarget),
    Measurement(MeasurementTarget),
}

impl Target {
    /// Every target of a file, in the order of the mapping.
    pub(crate) fn compile(file: &FileDraft, checker: &mut Checker<'_>) -> Vec<Self> {
        let mut targets = Vec::new();
        let base = checker.at.clone();
        macro_rules! each {
            ($list:ident, $target:ident, $make:expr) => {
                for (place, draft) in file.$list.0.iter().enumerate() {
                    let place = if file.$list.0.len() > 1 { format!("[{place}]") } else { String::new() };
                    checker.at = format!("{base}.{}{place}", stringify!($list));
                    let when = checker.conditions(&draft.when);
                    let shape = $make($target::compile(draft, checker));
                    targets.push(Self { when, shape });
                }
            };
        }
        each!(accounts, AccountTarget, Shape::Account);
        each!(contacts, ContactTarget, Shape::Contact);
        each!(users, UserTarget, Shape::User);
        each!(contracts, ContractTarget, |target| Shape::Contract(Box::new(target)));
        each!(cancellations, CancellationTarget, |target| Shape::Cancellation(Box::new(target)));
        each!(conversations, ConversationTarget, |target| Shape::Conversation(Box::new(target)));
        each!(events, EventTarget, Shape::Event);
        each!(measurements, MeasurementTarget, Shape::Measurement);
        checker.at = base;
        targets
    }

    /// What its rows become.
    pub(crate) fn kind(&self) -> Kind {
        match &self.shape {
            Shape::Account(_) => Kind::Accounts,
            Shape::Contact(_) => Kind::Contacts,
            Shape::User(_) => Kind::Users,
            Shape::Contract(_) => Kind::Contracts,
            Shape::Cancellation(_) => Kind::Cancellations,
            Shape::Conversation(_) => Kind::Conversations,
            Shape::Event(_) => Kind::Events,
            Shape::Measurement(_) => Kind::Measurements,
        }
    }

    /// The message of a row; `None` where the mapping leaves it out.
    ///
    /// # Errors
    /// Every field that cannot be read.
    pub(crate) fn make(&self, row: Row<'_>, sources: &Sources) -> Result<Option<Item>, Vec<FieldWrong>> {
        match self.wanted(&row) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(wrong) => return Err(vec![FieldWrong { field: "when".to_owned(), wrong }]),
        }
        let mut fields = Fields::new(row);
        let made = match &self.shape {
            Shape::Account(target) => target.make(&mut fields, sources).map(Item::Account),
            Shape::Contact(target) => target.make(&mut fields, sources).map(Item::Contact),
            Shape::User(target) => target.make(&mut fields, sources).map(Item::User),
            Shape::Contract(target) => target.make(&mut fields, sources).map(Item::Contract),
            Shape::Cancellation(target) => target.make(&mut fields, sources).map(Item::Cancellation),
            Shape::Conversation(target) => target.make(&mut fields, sources).map(Item::Conversation),
            Shape::Event(target) => target.make(&mut fields, sources).map(Item::Event),
            Shape::Measurement(target) => target.make(&mut fields, sources).map(Item::Measurement),
        };
        fields.finish(made).map(Some)
    }

    fn wanted(&self, row: &Row<'_>) -> Result<bool, Wrong> {
        for condition in &self.when {
            if !condition.holds(row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
