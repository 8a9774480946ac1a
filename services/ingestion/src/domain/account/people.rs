//! People as sources tell them: contacts at a customer, users of the product.

use keizoku_base::{AccountId, AccountRef, Day, ExternalId, Violations};

use crate::domain::account::{not_before, pack_accounts, pack_day};
use crate::domain::check::Checks;
use crate::domain::key::{AccountRefDraft, ExternalIdDraft, ID_MOST_BYTES, Key, NAME_MOST};
use crate::domain::key::{required_account_ref, required_external_id, text, text_of_bytes};
use crate::domain::pack::{Digest, Packer};
use crate::domain::time::{DateDraft, date};

/// A contact as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactDraft {
    /// The id in the source.
    pub external_id: Option<ExternalIdDraft>,
    /// The account.
    pub account: Option<AccountRefDraft>,
    /// The name.
    pub display_name: String,
    /// The mail address.
    pub email: String,
    /// The part it plays; empty: not known.
    pub role: String,
    /// The first day at the company.
    pub joined_on: Option<DateDraft>,
    /// The first day no longer there.
    pub left_on: Option<DateDraft>,
}

/// A contact that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContact {
    /// The id in the source.
    pub external_id: ExternalId,
    /// The account.
    pub account: AccountRef,
    /// What is known.
    pub details: ContactDetails,
}

/// What is known of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactDetails {
    /// The name.
    pub display_name: String,
    /// The mail address.
    pub email: String,
    /// The part it plays.
    pub role: Option<Key>,
    /// The first day at the company.
    pub joined_on: Option<Day>,
    /// The first day no longer there.
    pub left_on: Option<Day>,
}

/// A user as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserDraft {
    /// The id in the source.
    pub external_id: Option<ExternalIdDraft>,
    /// The account.
    pub account: Option<AccountRefDraft>,
    /// The name.
    pub display_name: String,
}

/// A user that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The id in the source, by which events name the user.
    pub external_id: ExternalId,
    /// The account.
    pub account: AccountRef,
    /// The name.
    pub display_name: String,
}

impl NewContact {
    /// Checks a contact.
    ///
    /// # Errors
    /// Every violation, by paths relative to the item.
    pub fn check(draft: ContactDraft) -> Result<Self, Violations> {
        let mut checks = Checks::new();
        let external_id = required_external_id(&mut checks, "external_id", draft.external_id);
        let account = required_account_ref(&mut checks, "account", draft.account);
        let display_name = checks.take("display_name", text(draft.display_name, NAME_MOST));
        let email = checks.take("email", text(draft.email, NAME_MOST));
        let role = checks.take("role", Key::check_optional(draft.role));
        let joined_on = checks.optional("joined_on", draft.joined_on, date);
        let left_on = checks.optional("left_on", draft.left_on, date);
        not_before(&mut checks, "left_on", joined_on, left_on, "must not be before joined_on");
        let made = || {
            let details =
                ContactDetails { display_name: display_name?, email: email?, role: role?, joined_on, left_on };
            Some(Self { external_id: external_id?, account: account?, details })
        };
        let made = made();
        checks.finish(made)
    }
}

impl ContactDetails {
    /// The digest of everything that is known.
    pub fn content(&self, account: AccountId) -> Digest {
        let mut packer = Packer::new();
        pack_accounts(&mut packer, &[account]);
        packer.text(&self.display_name);
        packer.text(&self.email);
        packer.optional(self.role.as_ref(), |packer, role| packer.text(role.as_str()));
        pack_day(&mut packer, self.joined_on);
        pack_day(&mut packer, self.left_on);
        packer.digest()
    }
}

impl NewUser {
    /// Checks a user. Its id is bound as in events, which name users by it.
    ///
    /// # Errors
    /// Every violation, by paths relative to the item.
    pub fn check(draft: UserDraft) -> Result<Self, Violations> {
        let mut checks = Checks::new();
        let external_id = required_external_id(&mut checks, "external_id", draft.external_id);
        if let Some(external_id) = &external_id {
            checks.take("external_id.id", text_of_bytes(external_id.id.clone(), ID_MOST_BYTES));
        }
        let account = required_account_ref(&mut checks, "account", draft.account);
        let display_name = checks.take("display_name", text(draft.display_name, NAME_MOST));
        let made = || Some(Self { external_id: external_id?, account: account?, display_name: display_name? });
        let made = made();
        checks.finish(made)
    }

    /// The digest of everything that is known.
    pub fn content(&self, account: AccountId) -> Digest {
        let mut packer = Packer::new();
        pack_accounts(&mut packer, &[account]);
        packer.text(&self.display_name);
        packer.digest()
    }
}

#[cfg(test)]
mod tests {
    use keizoku_base::Micros;

    use super::*;
    use crate::domain::check::named;
    use crate::domain::reason;

    fn external(id: &str) -> ExternalIdDraft {
        ExternalIdDraft { source: "crm".to_owned(), id: id.to_owned() }
    }

    fn saki() -> ContactDraft {
        ContactDraft {
            external_id: Some(external("p1")),
            account: Some(AccountRefDraft::External(external("a1"))),
            display_name: "咲".to_owned(),
            role: "champion".to_owned(),
            joined_on: Some(DateDraft { year: 2024, month: 2, day: 29 }),
            ..ContactDraft::default()
        }
    }

    #[test]
    fn names_everything_that_is_wrong_with_a_contact() {
        let nothing = NewContact::check(ContactDraft::default()).expect_err("refused");
        assert_eq!(named(&nothing), [("external_id", reason::REQUIRED), ("account", reason::REQUIRED)]);
        let wrong = ContactDraft {
            display_name: "x".repeat(256),
            email: "x".repeat(256),
            role: "Boss".to_owned(),
            left_on: Some(DateDraft { year: 2024, month: 2, day: 28 }),
            ..saki()
        };
        assert_eq!(
            named(&NewContact::check(wrong).expect_err("refused")),
            [
                ("display_name", reason::TOO_LONG),
                ("email", reason::TOO_LONG),
                ("role", reason::NOT_A_KEY),
                ("left_on", reason::BEFORE_START),
            ]
        );
    }

    #[test]
    fn a_contact_is_the_same_only_where_everything_is() {
        let account = AccountId::generate(Micros(1));
        let content = |draft| NewContact::check(draft).expect("a contact").details.content(account);
        assert_eq!(content(saki()), content(saki()));
        for other in [
            ContactDraft { display_name: String::new(), email: "咲".to_owned(), ..saki() },
            ContactDraft { role: String::new(), ..saki() },
            ContactDraft { joined_on: None, left_on: saki().joined_on, ..saki() },
        ] {
            assert_ne!(content(other.clone()), content(saki()), "{other:?}");
        }
    }

    #[test]
    fn a_users_id_is_bound_as_in_events() {
        let user = |id: &str| {
            NewUser::check(UserDraft {
                external_id: Some(external(id)),
                account: saki().account,
                ..UserDraft::default()
            })
        };
        assert!(user(&"名".repeat(85)).is_ok());
        let refused = user(&"名".repeat(86)).expect_err("refused");
        assert_eq!(named(&refused), [("external_id.id", reason::TOO_LONG)]);
    }
}
