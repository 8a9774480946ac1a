//! Accounts, contracts, people, conversations and cancellations: what items may say, and what they change.
//!
//! An item names its entity by external id and replaces what it names: attributes that it does not name stay. An item
//! that changes nothing is a duplicate, told by the digest of the entity's content.

mod company;
mod contract;
mod conversation;
pub mod money;
mod people;
mod timeline;

pub use company::{AccountChange, AccountDraft, AccountFacts, NewAccount};
pub use contract::{ACCOUNTS_MOST, ContractDetails, ContractDraft, Held, NewContract, renewal_date};
pub use conversation::{COMMENT_MOST_BYTES, SUBJECT_MOST_BYTES, TEXT_MOST_BYTES};
pub use conversation::{CancellationDetails, CancellationDraft, NewCancellation};
pub use conversation::{ConversationDetails, ConversationDraft, NewConversation};
pub use people::{ContactDetails, ContactDraft, NewContact, NewUser, UserDraft};
pub use timeline::{TimelineKey, TimelineKind};

use keizoku_base::{AccountId, Day, Micros};

use crate::domain::check::{Checks, Wrong};
use crate::domain::pack::Packer;
use crate::domain::reason;

/// The most items of one Put call.
pub const ITEMS_MOST: usize = 1_000;

fn pack_accounts(packer: &mut Packer, accounts: &[AccountId]) {
    packer.unsigned(accounts.len() as u128);
    for account in accounts {
        packer.raw(account.0.as_bytes());
    }
}

fn pack_day(packer: &mut Packer, day: Option<Day>) {
    packer.optional(day, |packer, day| packer.signed(day.0));
}

fn pack_instant(packer: &mut Packer, at: Option<Micros>) {
    packer.optional(at, |packer, at| packer.signed(at.0));
}

/// Notes that the field at path `field` lies before what it must follow.
fn not_before<T: PartialOrd>(checks: &mut Checks, field: &str, start: Option<T>, end: Option<T>, rule: &'static str) {
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        checks.add(field, Wrong::new(reason::BEFORE_START, rule));
    }
}
