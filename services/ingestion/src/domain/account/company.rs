//! Accounts as sources tell them.

use keizoku_base::{AccountId, AccountRef, ExternalId, Micros, Violations};

use crate::domain::check::{Checks, Wrong};
use crate::domain::key::{AccountRefDraft, ExternalIdDraft, NAME_MOST};
use crate::domain::key::{account_ref, required_external_id, text};
use crate::domain::reason;
use crate::domain::value::{Attribute, AttributeChange, AttributeDraft, Attributes};

/// An account as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountDraft {
    /// Its id in the source.
    pub external_id: Option<ExternalIdDraft>,
    /// An account we know, which this external id is to name from now on.
    pub same_as: Option<AccountRefDraft>,
    /// The name; `None`: unchanged.
    pub display_name: Option<String>,
    /// The account it belongs to; `None`: unchanged.
    pub parent: Option<AccountRefDraft>,
    /// What is known.
    pub attributes: Vec<AttributeDraft>,
}

/// An account that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAccount {
    /// Its id in the source.
    pub external_id: ExternalId,
    /// An account we know, which this external id is to name from now on.
    pub same_as: Option<AccountRef>,
    /// The name; `None`: unchanged.
    pub display_name: Option<String>,
    /// The account it belongs to; `None`: unchanged.
    pub parent: Option<AccountRef>,
    /// What is known; other attributes stay.
    pub attributes: Vec<Attribute>,
}

/// What is known of an account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountFacts {
    /// The name; empty for a stub.
    pub display_name: String,
    /// The account it belongs to.
    pub parent: Option<AccountId>,
    /// Whether only its external id is known.
    pub stub: bool,
    /// What is known now.
    pub attributes: Attributes,
}

/// What an item changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountChange {
    /// The name, the parent, or that it is no stub any more.
    pub itself: bool,
    /// Attributes that took another value, by key.
    pub attributes: Vec<AttributeChange>,
}

impl NewAccount {
    /// Checks an account.
    ///
    /// # Errors
    /// Every violation, by paths relative to the item.
    pub fn check(draft: AccountDraft, now: Micros) -> Result<Self, Violations> {
        let mut checks = Checks::new();
        let external_id = required_external_id(&mut checks, "external_id", draft.external_id);
        let same_as = draft.same_as.and_then(|draft| account_ref(&mut checks, "same_as", draft));
        let display_name = checks.optional("display_name", draft.display_name, |name| text(name, NAME_MOST));
        let parent = draft.parent.and_then(|draft| account_ref(&mut checks, "parent", draft));
        let own = external_id.clone().map(AccountRef::External);
        if parent.is_some() && (parent == own || parent == same_as) {
            checks.add("parent", Wrong::new(reason::REFERS_TO_ITSELF, "is the account itself"));
        }
        let attributes = Attributes::check(&mut checks, "attributes", draft.attributes, now);
        let made = || Some(Self { external_id: external_id?, same_as, display_name, parent, attributes: attributes? });
        let made = made();
        checks.finish(made)
    }
}

impl AccountFacts {
    /// An account of which only the external id is known.
    pub fn stub() -> Self {
        Self { stub: true, ..Self::default() }
    }

    /// Takes over what an item names; `parent` is the one it names. What it does not name stays.
    pub fn apply(&mut self, item: NewAccount, parent: Option<AccountId>) -> AccountChange {
        let renamed = item.display_name.filter(|name| *name != self.display_name);
        let moved = parent.filter(|parent| Some(*parent) != self.parent);
        let itself = renamed.is_some() || moved.is_some() || self.stub;
        if let Some(name) = renamed {
            self.display_name = name;
        }
        self.parent = moved.or(self.parent);
        self.stub = false;
        AccountChange { itself, attributes: self.attributes.apply(item.attributes) }
    }
}

impl AccountChange {
    /// Whether nothing changed: the item was a duplicate.
    pub fn is_empty(&self) -> bool {
        !self.itself && self.attributes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::named;
    use crate::domain::value::{Value, ValueDraft};

    const NOW: Micros = Micros(1_700_000_000 * Micros::SECOND);

    fn external(id: &str) -> ExternalIdDraft {
        ExternalIdDraft { source: "crm".to_owned(), id: id.to_owned() }
    }

    fn aipo() -> AccountDraft {
        let attribute = |key: &str, value| AttributeDraft { key: key.to_owned(), value: Some(value), known_at: None };
        AccountDraft {
            external_id: Some(external("9223372036854775807")),
            display_name: Some("Aipo".to_owned()),
            attributes: vec![attribute("seats", ValueDraft::Integer(40)), attribute("jp", ValueDraft::Flag(true))],
            ..AccountDraft::default()
        }
    }

    #[test]
    fn names_everything_that_is_wrong() {
        let wrong = AccountDraft {
            external_id: Some(external("1")),
            same_as: Some(AccountRefDraft::Unset),
            display_name: Some("x".repeat(5_000_000)),
            parent: Some(AccountRefDraft::External(external("1"))),
            attributes: vec![AttributeDraft { key: String::new(), value: None, known_at: None }],
        };
        assert_eq!(
            named(&NewAccount::check(wrong, NOW).expect_err("refused")),
            [
                ("same_as", reason::REQUIRED),
                ("display_name", reason::TOO_LONG),
                ("parent", reason::REFERS_TO_ITSELF),
                ("attributes[0].key", reason::REQUIRED),
                ("attributes[0].value", reason::REQUIRED),
            ]
        );
        let nothing = NewAccount::check(AccountDraft::default(), NOW).expect_err("refused");
        assert_eq!(named(&nothing), [("external_id", reason::REQUIRED)]);
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let item = NewAccount::check(aipo(), NOW).expect("an account");
        let mut facts = AccountFacts::stub();
        assert!(facts.clone().apply(item.clone(), None).itself);
        assert_eq!(facts.apply(item.clone(), None).attributes.len(), 2);
        assert!(facts.apply(item, None).is_empty());
        assert!(!facts.stub);
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut facts = AccountFacts::stub();
        let parent = AccountId::generate(NOW);
        facts.apply(NewAccount::check(aipo(), NOW).expect("an account"), Some(parent));
        let mut draft = AccountDraft { display_name: None, ..aipo() };
        draft.attributes.truncate(1);
        draft.attributes[0].value = Some(ValueDraft::Integer(41));
        let change = facts.apply(NewAccount::check(draft, NOW).expect("an account"), None);
        assert!(!change.itself);
        assert_eq!(change.attributes[0].previous, Some(Value::Integer(40)));
        assert_eq!((facts.display_name.as_str(), facts.parent), ("Aipo", Some(parent)));
        assert_eq!(facts.attributes.get("jp"), Some(&Value::Flag(true)));
        assert_eq!(facts.attributes.get("seats"), Some(&Value::Integer(41)));
    }

    #[test]
    fn a_name_can_be_emptied() {
        let mut facts = AccountFacts::default();
        facts.apply(NewAccount::check(aipo(), NOW).expect("an account"), None);
        let empty = AccountDraft { display_name: Some(String::new()), ..aipo() };
        assert!(facts.apply(NewAccount::check(empty, NOW).expect("an account"), None).itself);
        assert_eq!(facts.display_name, "");
    }
}
