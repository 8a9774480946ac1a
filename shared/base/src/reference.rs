//! How callers name things: by our id, or by the id another system gives.

use std::fmt;

use crate::id::AccountId;

/// An id that another system gave to something; kept as text, so long numbers stay exact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId {
    /// The system, a key of 1 to 63 letters, digits and underscores.
    pub source: String,
    /// Its id there, 1 to 255 bytes.
    pub id: String,
}

/// Names an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountRef {
    /// By our id.
    Id(AccountId),
    /// By the id in another system.
    External(ExternalId),
}

impl fmt::Display for ExternalId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.source, self.id)
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::External(external) => external.fmt(formatter),
        }
    }
}

/// Whether a text is a key: `[a-z][a-z0-9_]{0,62}`.
pub fn is_key(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 63
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::is_key;

    #[test]
    fn keys_are_lower_case_and_at_most_63_long() {
        assert!(is_key("a") && is_key("crm_2") && is_key(&"a".repeat(63)));
        for wrong in ["", "2a", "_a", "A", "a-b", "a.b", "é", &"a".repeat(64)] {
            assert!(!is_key(wrong), "{wrong}");
        }
    }
}
