//! The names that a rule may use, with their types.

use std::collections::BTreeMap;
use std::fmt;

/// The type of a name or of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Known only when the rule runs.
    Any,
    /// True or false.
    Bool,
    /// A number.
    Number,
    /// A text.
    Text,
    /// An instant.
    Instant,
    /// A calendar day.
    Day,
    /// A list.
    List(Element),
}

/// The type of a list's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Known only when the rule runs.
    Any,
    /// True or false.
    Bool,
    /// A number.
    Number,
    /// A text.
    Text,
    /// An instant.
    Instant,
    /// A calendar day.
    Day,
}

/// The names that a rule may use. Built by the caller: nothing here knows what a name means.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    names: BTreeMap<String, Type>,
    open: BTreeMap<String, Type>,
}

/// What a dotted name is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Name(Type),
    /// Names begin with it, but it is none itself.
    Group,
    Unknown,
}

impl Catalogue {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name, such as `score.value`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, of: Type) -> Self {
        self.names.insert(name.into(), of);
        self
    }

    /// Adds every name below a group, such as `account.attributes`.
    #[must_use]
    pub fn with_open(mut self, group: impl Into<String>, of: Type) -> Self {
        self.open.insert(group.into(), of);
        self
    }

    pub(crate) fn find(&self, name: &str) -> Known {
        if let Some(of) = self.names.get(name) {
            return Known::Name(*of);
        }
        for (place, _) in name.match_indices('.') {
            if let Some(of) = name.get(..place).and_then(|group| self.open.get(group)) {
                return Known::Name(*of);
            }
        }
        let below = format!("{name}.");
        let has_below = |names: &BTreeMap<String, Type>| {
            names.range(below.clone()..).next().is_some_and(|(next, _)| next.starts_with(&below))
        };
        let is_group = self.open.contains_key(name) || has_below(&self.names) || has_below(&self.open);
        if is_group { Known::Group } else { Known::Unknown }
    }

    /// The known name that `name` was probably meant to be.
    pub fn suggestion(&self, name: &str) -> Option<String> {
        let of_open = self.open.keys().filter_map(|group| {
            let (place, _) = name.match_indices('.').nth(group.matches('.').count())?;
            Some(format!("{group}{}", name.get(place..)?))
        });
        nearest(name, self.names.keys().cloned().chain(of_open))
    }
}

impl Type {
    /// Its elements' type: of a list, or of what may turn out to be one.
    pub(crate) fn element(self) -> Option<Element> {
        match self {
            Self::List(element) => Some(element),
            Self::Any => Some(Element::Any),
            Self::Bool | Self::Number | Self::Text | Self::Instant | Self::Day => None,
        }
    }

    /// As an element of a list; `None` for a list.
    pub(crate) fn as_element(self) -> Option<Element> {
        match self {
            Self::Any => Some(Element::Any),
            Self::Bool => Some(Element::Bool),
            Self::Number => Some(Element::Number),
            Self::Text => Some(Element::Text),
            Self::Instant => Some(Element::Instant),
            Self::Day => Some(Element::Day),
            Self::List(_) => None,
        }
    }

    /// The one type that both may have; `None` where they never agree.
    pub(crate) fn meet(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => Some(Self::Any),
            (Self::List(left), Self::List(right)) => match Self::from(left).meet(right.into()) {
                Some(element) => element.as_element().map(Self::List),
                None => None,
            },
            _ => (self == other).then_some(self),
        }
    }
}

impl From<Element> for Type {
    fn from(element: Element) -> Self {
        match element {
            Element::Any => Self::Any,
            Element::Bool => Self::Bool,
            Element::Number => Self::Number,
            Element::Text => Self::Text,
            Element::Instant => Self::Instant,
            Element::Day => Self::Day,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any"),
            Self::Bool => formatter.write_str("bool"),
            Self::Number => formatter.write_str("number"),
            Self::Text => formatter.write_str("text"),
            Self::Instant => formatter.write_str("instant"),
            Self::Day => formatter.write_str("day"),
            Self::List(element) => write!(formatter, "list of {}", Self::from(*element)),
        }
    }
}

/// The candidate that takes the fewest changes to become `name`, where that is at most a quarter of its letters.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let most = (name.chars().count() / 4).max(1);
    candidates
        .map(|candidate| (distance(name, &candidate), candidate))
        .filter(|(changes, _)| *changes <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&above, column) + usize::from(letter != *other);
            let mut least = replaced.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column > 0 && previous == Some(*other) && right.get(column - 1) == Some(&letter);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            current.push(least);
        }
        previous = Some(letter);
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::new()
            .with("score.value", Type::Number)
            .with("metric.logins.d28", Type::Number)
            .with_open("account.attributes", Type::Any)
    }

    #[test]
    fn finds_names_groups_and_what_lies_below_open_groups() {
        let known = catalogue();
        assert_eq!(known.find("score.value"), Known::Name(Type::Number));
        assert_eq!(known.find("account.attributes.plan"), Known::Name(Type::Any));
        assert_eq!(known.find("account.attributes.address.city"), Known::Name(Type::Any));
        for group in ["account", "account.attributes", "metric.logins", "score"] {
            assert_eq!(known.find(group), Known::Group, "{group}");
        }
        assert_eq!(known.find("scor"), Known::Unknown);
    }

    #[test]
    fn suggests_what_was_probably_meant() {
        let known = catalogue();
        for (wrong, right) in [
            ("score.valeu", Some("score.value")),
            ("metrics.login.d28", Some("metric.logins.d28")),
            ("acount.attributes.plan", Some("account.attributes.plan")),
            ("weather", None),
        ] {
            assert_eq!(known.suggestion(wrong).as_deref(), right, "{wrong}");
        }
    }

    #[test]
    fn counts_changes() {
        for (left, right, changes) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("value", "valeu", 1), ("日本", "日木", 1)]
        {
            assert_eq!(distance(left, right), changes, "{left} {right}");
        }
    }
}
