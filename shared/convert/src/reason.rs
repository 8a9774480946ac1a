//! Reasons of violations that every service uses. Each has a line in docs/errors.md.

/// A required field is missing.
pub const REQUIRED: &str = "REQUIRED";
/// A value lies outside of what is allowed.
pub const OUT_OF_RANGE: &str = "OUT_OF_RANGE";
/// There is no such day, or it lies outside of 1970 to 2199.
pub const DATE_DOES_NOT_EXIST: &str = "DATE_DOES_NOT_EXIST";
/// It is not a key of lower-case letters, digits and underscores.
pub const NOT_A_KEY: &str = "NOT_A_KEY";
/// It is not one of our ids.
pub const NOT_AN_ID: &str = "NOT_AN_ID";
/// It is not a currency code.
pub const NOT_A_CURRENCY: &str = "NOT_A_CURRENCY";
/// It is not an IANA time zone.
pub const NOT_A_ZONE: &str = "NOT_A_ZONE";
/// It is not the bytes of a position.
pub const NOT_A_POSITION: &str = "NOT_A_POSITION";
/// The page size or token is wrong.
pub const NOT_A_PAGE: &str = "NOT_A_PAGE";
/// A text is longer than allowed.
pub const TOO_LONG: &str = "TOO_LONG";
/// A list is longer than allowed.
pub const TOO_MANY: &str = "TOO_MANY";
