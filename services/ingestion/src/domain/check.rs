//! Gathers everything that is wrong with an item before it is refused.

use std::borrow::Cow;
use std::fmt::Display;

use keizoku_base::Violations;

use crate::domain::reason;

/// Why one value is refused. Never holds the value itself, which may be large or personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// One of [`reason`]'s.
    pub reason: &'static str,
    /// A sentence for a person, without its subject: "must …".
    pub description: Cow<'static, str>,
}

impl Wrong {
    /// A refusal with this reason and sentence.
    pub fn new(reason: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, description: description.into() }
    }

    /// The value is required and absent.
    pub fn required() -> Self {
        Self::new(reason::REQUIRED, "is required")
    }
}

/// The violations found so far. Paths are only written out where something is wrong.
#[derive(Debug, Default)]
pub struct Checks(Violations);

impl Checks {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the field at path `field` is refused.
    pub fn add(&mut self, field: impl Display, wrong: Wrong) {
        self.0.add(field.to_string(), wrong.reason, wrong.description);
    }

    /// The checked value, or `None` after noting why the field was refused.
    pub fn take<T>(&mut self, field: impl Display, checked: Result<T, Wrong>) -> Option<T> {
        checked.map_err(|wrong| self.add(field, wrong)).ok()
    }

    /// As [`Checks::take`] for a field that may be absent: `None` where it is absent or refused.
    pub fn optional<D, T>(
        &mut self,
        field: impl Display,
        given: Option<D>,
        check: impl FnOnce(D) -> Result<T, Wrong>,
    ) -> Option<T> {
        given.and_then(|draft| self.take(field, check(draft)))
    }

    /// As [`Checks::take`] for a field that must be there.
    pub fn required<D, T>(
        &mut self,
        field: impl Display,
        given: Option<D>,
        check: impl FnOnce(D) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.take(field, given.ok_or_else(Wrong::required).and_then(check))
    }

    /// Cuts a list at `most` entries, noting where it had more.
    pub fn at_most<T>(&mut self, field: impl Display, mut list: Vec<T>, most: usize) -> Vec<T> {
        if list.len() > most {
            self.add(field, Wrong::new(reason::TOO_MANY, format!("holds {} entries; at most {most}", list.len())));
            list.truncate(most);
        }
        list
    }

    /// `made`, where nothing was wrong.
    ///
    /// # Errors
    /// Every violation noted.
    pub fn finish<T>(self, made: Option<T>) -> Result<T, Violations> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(self.0),
        }
    }
}

/// Field and reason of each violation, for tests.
#[cfg(test)]
pub(crate) fn named(violations: &Violations) -> Vec<(&str, &str)> {
    violations.iter().map(|violation| (violation.field.as_str(), violation.reason)).collect()
}
