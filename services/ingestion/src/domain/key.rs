//! Names and ids: what a key, a source, an event's name and an id of another system may look like.

use std::fmt;

use keizoku_base::{AccountRef, ExternalId};

use crate::domain::check::{Checks, Wrong};
use crate::domain::reason;

/// The most characters of a name for people, a mail address or the like.
pub const NAME_MOST: usize = 255;
/// The most bytes of an event's id or of a user's id in an event.
pub const ID_MOST_BYTES: usize = 255;
/// The most characters of a request id.
pub const REQUEST_ID_MOST: usize = 64;
/// The most characters of a key.
pub const KEY_MOST: usize = 63;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident, $form:literal, $letter:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks a key.
            ///
            /// # Errors
            /// REQUIRED where it is empty, else TOO_LONG or NOT_A_KEY.
            pub fn check(text: String) -> Result<Self, Wrong> {
                if text.is_empty() {
                    return Err(Wrong::required());
                }
                if text.len() > KEY_MOST {
                    return Err(Wrong::new(reason::TOO_LONG, concat!("must be of the form ", $form)));
                }
                let mut bytes = text.bytes();
                if bytes.next().is_some_and(|byte| byte.is_ascii_lowercase()) && bytes.all($letter) {
                    Ok(Self(text))
                } else {
                    Err(Wrong::new(reason::NOT_A_KEY, concat!("must be of the form ", $form)))
                }
            }

            /// Checks a key that may be left out by an empty text.
            ///
            /// # Errors
            /// TOO_LONG or NOT_A_KEY.
            pub fn check_optional(text: String) -> Result<Option<Self>, Wrong> {
                if text.is_empty() { Ok(None) } else { Self::check(text).map(Some) }
            }

            /// Its letters.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Its letters.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

keys! {
    /// A key of a property, a metric, a source, a plan, a role: `[a-z][a-z0-9_]{0,62}`.
    Key, "[a-z][a-z0-9_]{0,62}", |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    /// The name of an event or a measurement: `[a-z][a-z0-9_.]{0,62}`.
    EventName, "[a-z][a-z0-9_.]{0,62}",
        |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'.';
}

/// An external id as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalIdDraft {
    /// The system.
    pub source: String,
    /// The id there.
    pub id: String,
}

/// An account reference as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AccountRefDraft {
    /// The message was there with neither of the two.
    #[default]
    Unset,
    /// Our id.
    Id(String),
    /// The id in another system.
    External(ExternalIdDraft),
}

/// Checks an external id at path `field`.
pub fn external_id(checks: &mut Checks, field: impl fmt::Display, draft: ExternalIdDraft) -> Option<ExternalId> {
    let source = checks.take(format_args!("{field}.source"), Key::check(draft.source));
    let id = checks.take(format_args!("{field}.id"), required_text(draft.id, NAME_MOST));
    Some(ExternalId { source: source?.into_string(), id: id? })
}

/// Checks an external id at path `field` that must be there.
pub fn required_external_id(
    checks: &mut Checks,
    field: impl fmt::Display,
    draft: Option<ExternalIdDraft>,
) -> Option<ExternalId> {
    match draft {
        Some(draft) => external_id(checks, field, draft),
        None => checks.take(field, Err(Wrong::required())),
    }
}

/// Checks an account reference at path `field`.
pub fn account_ref(checks: &mut Checks, field: impl fmt::Display, draft: AccountRefDraft) -> Option<AccountRef> {
    match draft {
        AccountRefDraft::Unset => checks.take(field, Err(Wrong::required())),
        AccountRefDraft::Id(id) => {
            let known = id.parse().map_err(|_| Wrong::new(reason::NOT_AN_ID, "must be an id of the form acc_…"));
            checks.take(format_args!("{field}.id"), known.map(AccountRef::Id))
        }
        AccountRefDraft::External(external) => {
            external_id(checks, format_args!("{field}.external"), external).map(AccountRef::External)
        }
    }
}

/// Checks an account reference at path `field` that must be there.
pub fn required_account_ref(
    checks: &mut Checks,
    field: impl fmt::Display,
    draft: Option<AccountRefDraft>,
) -> Option<AccountRef> {
    account_ref(checks, field, draft.unwrap_or_default())
}

/// A text of at most `most` characters, which may be empty.
///
/// # Errors
/// TOO_LONG or HOLDS_NUL.
pub fn text(text: String, most: usize) -> Result<String, Wrong> {
    // Bytes bound characters from above, so that most texts are never walked.
    if text.len() > most && text.chars().nth(most).is_some() {
        return Err(Wrong::new(reason::TOO_LONG, format!("must have at most {most} characters")));
    }
    without_nul(text)
}

/// A text of 1 to `most` characters.
///
/// # Errors
/// REQUIRED, TOO_LONG or HOLDS_NUL.
pub fn required_text(given: String, most: usize) -> Result<String, Wrong> {
    if given.is_empty() { Err(Wrong::required()) } else { text(given, most) }
}

/// A text of at most `most` bytes, which may be empty.
///
/// # Errors
/// TOO_LONG or HOLDS_NUL.
pub fn text_of_bytes(text: String, most: usize) -> Result<String, Wrong> {
    if text.len() > most {
        return Err(Wrong::new(reason::TOO_LONG, format!("must have at most {most} bytes of UTF-8")));
    }
    without_nul(text)
}

/// An event's or a user's id in its source: 1 to 255 bytes.
///
/// # Errors
/// REQUIRED, TOO_LONG or HOLDS_NUL.
pub fn source_id(id: String) -> Result<String, Wrong> {
    if id.is_empty() { Err(Wrong::required()) } else { text_of_bytes(id, ID_MOST_BYTES) }
}

/// A request id: 1 to 64 characters; empty means that the request cannot be repeated.
///
/// # Errors
/// TOO_LONG or HOLDS_NUL.
pub fn request_id(id: String) -> Result<Option<String>, Wrong> {
    if id.is_empty() { Ok(None) } else { text(id, REQUEST_ID_MOST).map(Some) }
}

/// PostgreSQL's texts cannot hold U+0000, so nobody's may.
fn without_nul(text: String) -> Result<String, Wrong> {
    if text.as_bytes().contains(&0) {
        return Err(Wrong::new(reason::HOLDS_NUL, "must not hold the character U+0000"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use keizoku_base::{AccountId, Micros};

    use super::*;

    fn reason_of<T>(checked: Result<T, Wrong>) -> Option<&'static str> {
        checked.err().map(|wrong| wrong.reason)
    }

    #[test]
    fn keys_begin_with_a_letter_and_hold_letters_digits_and_underscores() {
        for right in ["a", "login", "a1_b", &"a".repeat(63)] {
            assert_eq!(reason_of(Key::check(right.to_owned())), None, "{right}");
        }
        for wrong in ["1a", "_a", "A", "a-b", "a b", "a.b", "é", "名", "a\0"] {
            assert_eq!(reason_of(Key::check(wrong.to_owned())), Some(reason::NOT_A_KEY), "{wrong}");
        }
        assert_eq!(reason_of(Key::check(String::new())), Some(reason::REQUIRED));
        assert_eq!(reason_of(Key::check("a".repeat(64))), Some(reason::TOO_LONG));
        assert_eq!(reason_of(Key::check("a".repeat(5_000_000))), Some(reason::TOO_LONG));
        assert_eq!(Key::check_optional(String::new()), Ok(None));
    }

    #[test]
    fn names_of_events_may_hold_dots() {
        assert_eq!(reason_of(EventName::check("report.opened".to_owned())), None);
        assert_eq!(reason_of(EventName::check(".a".to_owned())), Some(reason::NOT_A_KEY));
    }

    #[test]
    fn texts_are_counted_in_characters_and_ids_in_bytes() {
        assert_eq!(reason_of(text("名".repeat(255), 255)), None);
        assert_eq!(reason_of(text("名".repeat(256), 255)), Some(reason::TOO_LONG));
        assert_eq!(reason_of(source_id("名".repeat(85))), None);
        assert_eq!(reason_of(source_id("名".repeat(86))), Some(reason::TOO_LONG));
        assert_eq!(reason_of(source_id(String::new())), Some(reason::REQUIRED));
        assert_eq!(reason_of(text("a\0".to_owned(), 255)), Some(reason::HOLDS_NUL));
        assert_eq!(reason_of(request_id("r".repeat(65))), Some(reason::TOO_LONG));
        assert_eq!(request_id(String::new()), Ok(None));
    }

    #[test]
    fn names_every_part_of_a_reference_that_is_wrong() {
        let mut checks = Checks::new();
        let draft = ExternalIdDraft { source: "CRM".to_owned(), id: String::new() };
        assert_eq!(account_ref(&mut checks, "account", AccountRefDraft::External(draft)), None);
        assert_eq!(account_ref(&mut checks, "parent", AccountRefDraft::Id("4711".to_owned())), None);
        assert_eq!(required_account_ref(&mut checks, "same_as", None), None);
        let violations = checks.finish(None::<()>).expect_err("violations");
        assert_eq!(
            crate::domain::check::named(&violations),
            [
                ("account.external.source", reason::NOT_A_KEY),
                ("account.external.id", reason::REQUIRED),
                ("parent.id", reason::NOT_AN_ID),
                ("same_as", reason::REQUIRED),
            ]
        );
    }

    #[test]
    fn reads_our_own_ids() {
        let (mut checks, id) = (Checks::new(), AccountId::generate(Micros(1)));
        let read = account_ref(&mut checks, "account", AccountRefDraft::Id(id.to_string()));
        assert_eq!(read, Some(AccountRef::Id(id)));
    }
}
