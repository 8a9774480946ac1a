//! Everything that is wrong with a request, gathered before anything is refused.

use std::fmt;

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path as on the wire, `events[3].occurred_at`.
    pub field: String,
    /// A stable `UPPER_SNAKE_CASE` reason.
    pub reason: &'static str,
    /// A sentence for a person: what is wrong and what would be right.
    pub description: String,
}

/// A list of violations; empty means valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The most violations one answer names; the rest are counted in the last one.
    pub const MOST: usize = 100;

    /// No violation yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one violation.
    pub fn add(&mut self, field: impl Into<String>, reason: &'static str, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), reason, description: description.into() });
    }

    /// Adds all violations of a part of the request, their fields led by `prefix.`.
    pub fn nest(&mut self, prefix: &str, inner: Self) {
        self.0.extend(inner.0.into_iter().map(|violation| Violation {
            field: if violation.field.is_empty() { prefix.to_owned() } else { format!("{prefix}.{}", violation.field) },
            ..violation
        }));
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many things are wrong.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The violations in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// `Ok(value)` where nothing is wrong.
    ///
    /// # Errors
    /// The violations themselves, where there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().take(Self::MOST).enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(formatter, "{comma}{}: {}", violation.field, violation.description)?;
        }
        if self.0.len() > Self::MOST {
            write!(formatter, "; and {} more", self.0.len() - Self::MOST)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}
