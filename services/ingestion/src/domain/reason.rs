//! Why a field was refused: stable words that clients may act on. docs/errors.md explains each.

/// A required field is absent or empty.
pub const REQUIRED: &str = "REQUIRED";
/// A text has more characters or bytes than the field takes.
pub const TOO_LONG: &str = "TOO_LONG";
/// A list has more entries than the field takes.
pub const TOO_MANY: &str = "TOO_MANY";
/// A key is not of the form `[a-z][a-z0-9_]{0,62}` (names of events may also hold dots).
pub const NOT_A_KEY: &str = "NOT_A_KEY";
/// An id of ours is not of the form that such ids have.
pub const NOT_AN_ID: &str = "NOT_AN_ID";
/// A number is NaN or infinite.
pub const NOT_A_NUMBER: &str = "NOT_A_NUMBER";
/// A number, an instant or a day lies outside of what the field takes.
pub const OUT_OF_RANGE: &str = "OUT_OF_RANGE";
/// There is no such day in the calendar, or not in the workspace's zone.
pub const DATE_DOES_NOT_EXIST: &str = "DATE_DOES_NOT_EXIST";
/// An instant lies more than a day ahead of the workspace's time.
pub const TOO_FAR_AHEAD: &str = "TOO_FAR_AHEAD";
/// An end lies before its start.
pub const BEFORE_START: &str = "BEFORE_START";
/// The same key, name or reference stands in one list twice.
pub const DUPLICATE_KEY: &str = "DUPLICATE_KEY";
/// A text holds the character U+0000.
pub const HOLDS_NUL: &str = "HOLDS_NUL";
/// A currency is not three capital letters.
pub const NOT_A_CURRENCY: &str = "NOT_A_CURRENCY";
/// There is no time zone of that name.
pub const NOT_A_ZONE: &str = "NOT_A_ZONE";
/// A mail address has not the form of one.
pub const NOT_AN_EMAIL: &str = "NOT_AN_EMAIL";
/// A scope is neither `*` nor `resource:verb`.
pub const NOT_A_SCOPE: &str = "NOT_A_SCOPE";
/// A scope goes beyond what the caller's own key may do.
pub const SCOPE_NOT_HELD: &str = "SCOPE_NOT_HELD";
/// A field is set that has no meaning beside another one.
pub const NOT_ALLOWED_HERE: &str = "NOT_ALLOWED_HERE";
/// A thing names itself as its own parent or twin.
pub const REFERS_TO_ITSELF: &str = "REFERS_TO_ITSELF";
/// The id was used before for an event with other content.
pub const EVENT_ID_REUSED: &str = "EVENT_ID_REUSED";
/// The account is not known, and the workspace takes no data of unknown accounts.
pub const ACCOUNT_UNKNOWN: &str = "ACCOUNT_UNKNOWN";

/// All of them.
pub const ALL: [&str; 21] = [
    REQUIRED,
    TOO_LONG,
    TOO_MANY,
    NOT_A_KEY,
    NOT_AN_ID,
    NOT_A_NUMBER,
    OUT_OF_RANGE,
    DATE_DOES_NOT_EXIST,
    TOO_FAR_AHEAD,
    BEFORE_START,
    DUPLICATE_KEY,
    HOLDS_NUL,
    NOT_A_CURRENCY,
    NOT_A_ZONE,
    NOT_AN_EMAIL,
    NOT_A_SCOPE,
    SCOPE_NOT_HELD,
    NOT_ALLOWED_HERE,
    REFERS_TO_ITSELF,
    EVENT_ID_REUSED,
    ACCOUNT_UNKNOWN,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn reasons_are_distinct_words_in_capitals() {
        assert_eq!(ALL.iter().collect::<BTreeSet<_>>().len(), ALL.len());
        assert!(ALL.iter().all(|reason| reason.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')));
    }
}
