//! What is wrong with a rule's source, and where.

use std::fmt;

use keizoku_base::Violations;

/// One thing wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleViolation {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// A stable `UPPER_SNAKE_CASE` reason.
    pub reason: &'static str,
    /// A sentence for a person: what is wrong and what would be right.
    pub description: String,
}

impl fmt::Display for RuleViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}: {}", self.line, self.column, self.description)
    }
}

/// Everything that is wrong with a rule, in the order of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleViolations(Vec<RuleViolation>);

impl RuleViolations {
    pub(crate) fn new(mut violations: Vec<RuleViolation>) -> Self {
        violations.sort_by_key(|violation| (violation.line, violation.column));
        violations.dedup();
        Self(violations)
    }

    /// The violations in the order of the source.
    pub fn iter(&self) -> impl Iterator<Item = &RuleViolation> {
        self.0.iter()
    }

    /// As violations of the field that holds the rule, each description led by its place.
    pub fn of_field(&self, field: &str) -> Violations {
        let mut violations = Violations::new();
        for violation in &self.0 {
            violations.add(field, violation.reason, violation.to_string());
        }
        violations
    }
}

impl fmt::Display for RuleViolations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            write!(formatter, "{}{violation}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleViolations {}
