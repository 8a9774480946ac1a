//! Conversations and cancellations as sources tell them.

use keizoku_base::money::Money;
use keizoku_base::{AccountId, AccountRef, Day, ExternalId, Micros, Violations};

use crate::domain::account::money::{MoneyDraft, money, pack_money};
use crate::domain::account::{not_before, pack_accounts, pack_instant};
use crate::domain::check::Checks;
use crate::domain::key::{AccountRefDraft, ExternalIdDraft, Key};
use crate::domain::key::{external_id, required_account_ref, required_external_id, text_of_bytes};
use crate::domain::pack::{Digest, Packer};
use crate::domain::time::{DateDraft, InstantDraft, date, instant};
use crate::domain::value::{Attribute, AttributeDraft, Attributes};

/// The most bytes of a conversation's subject.
pub const SUBJECT_MOST_BYTES: usize = 1024;
/// The most bytes of what was said.
pub const TEXT_MOST_BYTES: usize = 64 * 1024;
/// The most bytes of the words of a cancellation.
pub const COMMENT_MOST_BYTES: usize = 8 * 1024;

/// A conversation as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConversationDraft {
    /// Its id in the source.
    pub external_id: Option<ExternalIdDraft>,
    /// The account.
    pub account: Option<AccountRefDraft>,
    /// How it was held.
    pub channel: String,
    /// What it is about.
    pub subject: String,
    /// What was said.
    pub text: String,
    /// Whether the customer began it.
    pub started_by_customer: bool,
    /// When it began.
    pub opened_at: Option<InstantDraft>,
    /// When it was closed.
    pub closed_at: Option<InstantDraft>,
    /// When the first answer was given.
    pub first_reply_at: Option<InstantDraft>,
    /// Anything else.
    pub attributes: Vec<AttributeDraft>,
}

/// A conversation that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConversation {
    /// Its id in the source.
    pub external_id: ExternalId,
    /// The account.
    pub account: AccountRef,
    details: ConversationDetails,
    attributes: Vec<Attribute>,
}

/// What is known of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationDetails {
    /// How it was held.
    pub channel: Key,
    /// What it is about.
    pub subject: String,
    /// What was said.
    pub text: String,
    /// Whether the customer began it.
    pub started_by_customer: bool,
    /// When it began.
    pub opened_at: Micros,
    /// When it was closed; `None`: open.
    pub closed_at: Option<Micros>,
    /// When the first answer was given; `None`: none, or not known.
    pub first_reply_at: Option<Micros>,
    /// Anything else.
    pub attributes: Attributes,
}

/// A cancellation as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CancellationDraft {
    /// Its id in the source.
    pub external_id: Option<ExternalIdDraft>,
    /// The account.
    pub account: Option<AccountRefDraft>,
    /// The contract's id in the source, where only one ends.
    pub contract_external_id: Option<ExternalIdDraft>,
    /// The day it takes effect.
    pub effective_on: Option<DateDraft>,
    /// Why, as a key; empty: not said.
    pub reason: String,
    /// Why, in the customer's words.
    pub comment: String,
    /// What was paid back.
    pub refund: Option<MoneyDraft>,
    /// Whether the customer had left before and come back in between.
    pub after_reactivation: bool,
    /// Anything else.
    pub attributes: Vec<AttributeDraft>,
}

/// A cancellation that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCancellation {
    /// Its id in the source.
    pub external_id: ExternalId,
    /// The account.
    pub account: AccountRef,
    details: CancellationDetails,
    attributes: Vec<Attribute>,
}

/// What is known of a cancellation.
#[derive(Debug, Clone, PartialEq)]
pub struct CancellationDetails {
    /// The contract's id in the source; `None`: the customer as a whole.
    pub contract_external_id: Option<ExternalId>,
    /// The day it takes effect.
    pub effective_on: Day,
    /// Why, as a key.
    pub reason: Option<Key>,
    /// Why, in the customer's words.
    pub comment: String,
    /// What was paid back.
    pub refund: Option<Money>,
    /// Whether the customer had left before and come back in between.
    pub after_reactivation: bool,
    /// Anything else.
    pub attributes: Attributes,
}

impl NewConversation {
    /// Checks a conversation.
    ///
    /// # Errors
    /// Every violation, by paths relative to the item.
    pub fn check(draft: ConversationDraft, now: Micros) -> Result<Self, Violations> {
        let mut checks = Checks::new();
        let external_id = required_external_id(&mut checks, "external_id", draft.external_id);
        let account = required_account_ref(&mut checks, "account", draft.account);
        let channel = checks.take("channel", Key::check(draft.channel));
        let subject = checks.take("subject", text_of_bytes(draft.subject, SUBJECT_MOST_BYTES));
        let text = checks.take("text", text_of_bytes(draft.text, TEXT_MOST_BYTES));
        let opened_at = checks.required("opened_at", draft.opened_at, instant);
        let closed_at = checks.optional("closed_at", draft.closed_at, instant);
        let first_reply_at = checks.optional("first_reply_at", draft.first_reply_at, instant);
        not_before(&mut checks, "closed_at", opened_at, closed_at, "must not be before opened_at");
        not_before(&mut checks, "first_reply_at", opened_at, first_reply_at, "must not be before opened_at");
        let attributes = Attributes::check(&mut checks, "attributes", draft.attributes, now);
        let made = || {
            let details = ConversationDetails {
                channel: channel?,
                subject: subject?,
                text: text?,
                started_by_customer: draft.started_by_customer,
                opened_at: opened_at?,
                closed_at,
                first_reply_at,
                attributes: Attributes::default(),
            };
            Some(Self { external_id: external_id?, account: account?, details, attributes: attributes? })
        };
        let made = made();
        checks.finish(made)
    }

    /// The conversation as it is from here on, where `before` is what was known.
    pub fn onto(self, before: Option<&ConversationDetails>) -> ConversationDetails {
        let mut details = self.details;
        details.attributes = before.map(|before| before.attributes.clone()).unwrap_or_default();
        details.attributes.apply(self.attributes);
        details
    }
}

impl ConversationDetails {
    /// The digest of everything that is known.
    pub fn content(&self, account: AccountId) -> Digest {
        let mut packer = Packer::new();
        pack_accounts(&mut packer, &[account]);
        packer.text(self.channel.as_str());
        packer.text(&self.subject);
        packer.text(&self.text);
        packer.byte(u8::from(self.started_by_customer));
        pack_instant(&mut packer, Some(self.opened_at));
        pack_instant(&mut packer, self.closed_at);
        pack_instant(&mut packer, self.first_reply_at);
        self.attributes.pack_content(&mut packer);
        packer.digest()
    }
}

impl NewCancellation {
    /// Checks a cancellation.
    ///
    /// # Errors
    /// Every violation, by paths relative to the item.
    pub fn check(draft: CancellationDraft, now: Micros) -> Result<Self, Violations> {
        let mut checks = Checks::new();
        let own_id = required_external_id(&mut checks, "external_id", draft.external_id);
        let account = required_account_ref(&mut checks, "account", draft.account);
        let contract = draft.contract_external_id;
        let contract_external_id = contract.and_then(|draft| external_id(&mut checks, "contract_external_id", draft));
        let effective_on = checks.required("effective_on", draft.effective_on, date);
        let reason = checks.take("reason", Key::check_optional(draft.reason));
        let comment = checks.take("comment", text_of_bytes(draft.comment, COMMENT_MOST_BYTES));
        let refund = draft.refund.and_then(|refund| money(&mut checks, "refund", refund));
        let attributes = Attributes::check(&mut checks, "attributes", draft.attributes, now);
        let made = || {
            let details = CancellationDetails {
                contract_external_id,
                effective_on: effective_on?,
                reason: reason?,
                comment: comment?,
                refund,
                after_reactivation: draft.after_reactivation,
                attributes: Attributes::default(),
            };
            Some(Self { external_id: own_id?, account: account?, details, attributes: attributes? })
        };
        let made = made();
        checks.finish(made)
    }

    /// The cancellation as it is from here on, where `before` is what was known.
    pub fn onto(self, before: Option<&CancellationDetails>) -> CancellationDetails {
        let mut details = self.details;
        details.attributes = before.map(|before| before.attributes.clone()).unwrap_or_default();
        details.attributes.apply(self.attributes);
        details
    }
}

impl CancellationDetails {
    /// The digest of everything that is known.
    pub fn content(&self, account: AccountId) -> Digest {
        let mut packer = Packer::new();
        pack_accounts(&mut packer, &[account]);
        packer.optional(self.contract_external_id.as_ref(), |packer, contract| {
            packer.text(&contract.source);
            packer.text(&contract.id);
        });
        packer.signed(self.effective_on.0);
        packer.optional(self.reason.as_ref(), |packer, reason| packer.text(reason.as_str()));
        packer.text(&self.comment);
        packer.optional(self.refund, pack_money);
        packer.byte(u8::from(self.after_reactivation));
        self.attributes.pack_content(&mut packer);
        packer.digest()
    }
}

#[cfg(test)]
mod tests {
    use keizoku_base::money::Period;

    use super::*;
    use crate::domain::check::named;
    use crate::domain::reason as why;
    use crate::domain::value::ValueDraft;

    const NOW: Micros = Micros(1_700_000_000 * Micros::SECOND);

    fn external(id: &str) -> ExternalIdDraft {
        ExternalIdDraft { source: "desk".to_owned(), id: id.to_owned() }
    }

    fn at(seconds: i64) -> Option<InstantDraft> {
        Some(InstantDraft { seconds, nanos: 0 })
    }

    fn ticket() -> ConversationDraft {
        ConversationDraft {
            external_id: Some(external("t1")),
            account: Some(AccountRefDraft::External(external("a1"))),
            channel: "ticket".to_owned(),
            opened_at: at(1_000),
            closed_at: at(1_000),
            first_reply_at: at(1_000),
            ..ConversationDraft::default()
        }
    }

    fn churn() -> CancellationDraft {
        CancellationDraft {
            external_id: Some(external("x1")),
            account: Some(AccountRefDraft::External(external("a1"))),
            effective_on: Some(DateDraft { year: 2199, month: 12, day: 31 }),
            reason: "price".to_owned(),
            ..CancellationDraft::default()
        }
    }

    #[test]
    fn names_everything_that_is_wrong_with_a_conversation() {
        let wrong = ConversationDraft {
            channel: String::new(),
            subject: "x".repeat(1_025),
            text: "x".repeat(5_000_000),
            closed_at: at(999),
            first_reply_at: at(999),
            ..ticket()
        };
        assert_eq!(
            named(&NewConversation::check(wrong, NOW).expect_err("refused")),
            [
                ("channel", why::REQUIRED),
                ("subject", why::TOO_LONG),
                ("text", why::TOO_LONG),
                ("closed_at", why::BEFORE_START),
                ("first_reply_at", why::BEFORE_START),
            ]
        );
        let unopened = NewConversation::check(ConversationDraft { opened_at: None, ..ticket() }, NOW);
        assert_eq!(named(&unopened.expect_err("refused")), [("opened_at", why::REQUIRED)]);
    }

    #[test]
    fn names_everything_that_is_wrong_with_a_cancellation() {
        let wrong = CancellationDraft {
            contract_external_id: Some(ExternalIdDraft::default()),
            effective_on: Some(DateDraft { year: 0, month: 1, day: 1 }),
            reason: "Too expensive".to_owned(),
            comment: "x".repeat(8 * 1024 + 1),
            refund: Some(MoneyDraft { minor_units: -5, currency_code: "USD".to_owned(), period: Some(Period::OneOff) }),
            ..churn()
        };
        assert_eq!(
            named(&NewCancellation::check(wrong, NOW).expect_err("refused")),
            [
                ("contract_external_id.source", why::REQUIRED),
                ("contract_external_id.id", why::REQUIRED),
                ("effective_on", why::DATE_DOES_NOT_EXIST),
                ("reason", why::NOT_A_KEY),
                ("comment", why::TOO_LONG),
                ("refund.minor_units", why::OUT_OF_RANGE),
            ]
        );
    }

    #[test]
    fn the_same_again_has_the_same_content_and_attributes_stay() {
        let account = AccountId::generate(NOW);
        let attribute = AttributeDraft { key: "csat".to_owned(), value: Some(ValueDraft::Integer(5)), known_at: None };
        let draft = ConversationDraft { attributes: vec![attribute.clone()], ..ticket() };
        let first = NewConversation::check(draft, NOW).expect("a ticket").onto(None);
        let again = NewConversation::check(ticket(), NOW).expect("a ticket").onto(Some(&first));
        assert_eq!(again.content(account), first.content(account));
        let reopened = ConversationDraft { closed_at: None, ..ticket() };
        let reopened = NewConversation::check(reopened, NOW).expect("a ticket").onto(Some(&first));
        assert_ne!(reopened.content(account), first.content(account));

        let draft = CancellationDraft { attributes: vec![attribute], ..churn() };
        let first = NewCancellation::check(draft, NOW).expect("a cancellation").onto(None);
        let again = NewCancellation::check(churn(), NOW).expect("a cancellation").onto(Some(&first));
        assert_eq!(again.content(account), first.content(account));
        let other = CancellationDraft { after_reactivation: true, ..churn() };
        let other = NewCancellation::check(other, NOW).expect("a cancellation").onto(Some(&first));
        assert_ne!(other.content(account), first.content(account));
    }
}
