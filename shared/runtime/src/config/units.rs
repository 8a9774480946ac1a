//! Values with units, and values nobody may read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::declare::{Describe, Key, leaf, quoted};

/// A span of time, written `30s`, `1m30s`, `250ms`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TimeSpan(Duration);

/// A number of bytes, written `512B`, `64KiB`, `4MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(u64);

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

/// Why a text has no meaning as a value with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It is no span of time.
    #[error("is not a duration like 30s: {0}")]
    Span(String),
    /// It is no size.
    #[error("is not a size like 4MiB: {0}")]
    Size(String),
}

const SPANS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl TimeSpan {
    /// A span of whole milliseconds.
    pub const fn milliseconds(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    /// A span of whole seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// A span of whole minutes.
    pub const fn minutes(count: u64) -> Self {
        Self::seconds(count * 60)
    }

    /// A span of whole days of 24 hours.
    pub const fn days(count: u64) -> Self {
        Self::minutes(count * 24 * 60)
    }

    /// The duration itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl ByteSize {
    /// A size of whole kibibytes.
    pub const fn kibibytes(count: u64) -> Self {
        Self(count << 10)
    }

    /// A size of whole mebibytes.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes, held at the largest `usize`.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is no secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "(none)" } else { "***" })
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(formatter, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), SPANS, "0s")
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_units(formatter, self.0, SIZES, "0B")
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        read_units(text, SPANS).map(Self::milliseconds).map_err(UnitError::Span)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        read_units(text, SIZES).map(Self).map_err(UnitError::Size)
    }
}

/// The value in the largest units that leave nothing out, `1m30s`.
fn write_units(formatter: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)], zero: &str) -> fmt::Result {
    if value == 0 {
        return formatter.write_str(zero);
    }
    let mut rest = value;
    for (unit, factor) in units.iter().rev() {
        if rest / factor > 0 {
            write!(formatter, "{}{unit}", rest / factor)?;
            rest %= factor;
        }
    }
    Ok(())
}

fn read_units(text: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let names = || units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
    let mut rest = text.trim();
    let mut sum = 0_u64;
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = unit.trim_end();
        if number.is_empty() {
            return Err(format!("{rest:?} has no number"));
        }
        if unit.is_empty() {
            return Err(format!("{number} has no unit ({})", names()));
        }
        let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let factor = factor.ok_or_else(|| format!("unknown unit {unit:?} ({})", names()))?;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        sum = part.and_then(|part| sum.checked_add(part)).ok_or_else(|| "it is too large".to_owned())?;
        rest = next;
    }
    Ok(sum)
}

fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err = UnitError>,
    D: Deserializer<'de>,
{
    struct Visitor<T>(std::marker::PhantomData<T>);
    impl<T: FromStr<Err = UnitError>> de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a number with its unit in quotation marks")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Visitor(std::marker::PhantomData))
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Describe for TimeSpan {
    fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>) {
        leaf(path, doc, Some(quoted(&self.to_string())), into);
    }
}

impl Describe for ByteSize {
    fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>) {
        leaf(path, doc, Some(quoted(&self.to_string())), into);
    }
}

impl Describe for Secret {
    fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>) {
        leaf(path, doc, Some(quoted(if self.is_empty() { "" } else { "***" })), into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_written_as_they_are_read() {
        for text in ["0s", "250ms", "30s", "1m30s", "7d", "1d2h"] {
            assert_eq!(text.parse::<TimeSpan>().map(|span| span.to_string()), Ok(text.to_owned()));
        }
        for text in ["0B", "512B", "64KiB", "4MiB", "1GiB512MiB"] {
            assert_eq!(text.parse::<ByteSize>().map(|size| size.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("90 s".parse::<TimeSpan>(), Ok(TimeSpan::seconds(90)));
    }

    #[test]
    fn numbers_without_a_known_unit_are_refused() {
        for wrong in ["", "5", "s", "5 parsecs", "-5s", "1.5s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(wrong.parse::<TimeSpan>().is_err(), "{wrong}");
        }
        assert!("4MB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn secrets_show_stars() {
        assert_eq!(format!("{:?} {:?}", Secret::new("hush"), Secret::default()), "*** (none)");
    }
}
