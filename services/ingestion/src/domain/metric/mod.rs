//! Metrics: what is counted, per account and day.

mod codec;
mod index;

pub use index::{Contribution, CountedMetric, MetricIndex};

use std::fmt::Display;

use keizoku_base::Violations;

use crate::domain::check::{Checks, Wrong};
use crate::domain::key::{EventName, Key, NAME_MOST, text};
use crate::domain::reason;

/// The most names of events a metric takes.
pub const EVENT_NAMES_MOST: usize = 100;
/// How long a source may be silent, where a definition doesn't say.
pub const STALE_AFTER_DAYS_DEFAULT: u16 = 3;
/// The longest that a definition may let a source be silent.
pub const STALE_AFTER_DAYS_MOST: u16 = 365;

/// How the events of a day become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// How many there were.
    Count,
    /// The sum of the field.
    Sum,
    /// The largest value of the field.
    Max,
    /// The last value of the field; ties of time are broken by the event's key.
    Last,
    /// How many different users.
    DistinctUsers,
}

/// What a day without data means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Absence {
    /// 0, as long as the source delivers anything at all.
    ZeroWhenSourceAlive,
    /// Missing.
    Missing,
}

/// A text in both languages of the product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// A definition as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricDraft {
    /// Its key.
    pub key: String,
    /// Its name for people.
    pub label: Label,
    /// The unit for people.
    pub unit: Label,
    /// What it takes.
    pub event_names: Vec<String>,
    /// Only from this source; empty: any.
    pub source: String,
    /// Whether it takes measurements.
    pub measurement: bool,
    /// Only events for which this holds; empty: all.
    pub filter: String,
    /// How a day becomes one number.
    pub aggregation: Option<Aggregation>,
    /// The property that is summed or compared; empty: the event's value.
    pub field: String,
    /// What a day without data means; `None`: as events or measurements imply.
    pub absence: Option<Absence>,
    /// How many days a source may be silent; 0: the default.
    pub stale_after_days: i32,
}

/// What is counted. Two equal definitions count the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDefinition {
    /// Its key.
    pub key: Key,
    /// Its name for people.
    pub label: Label,
    /// The unit for people.
    pub unit: Label,
    /// The names of the events or measurements it takes, sorted.
    pub event_names: Vec<EventName>,
    /// Only from this source.
    pub source: Option<Key>,
    /// Whether it takes measurements instead of events.
    pub measurement: bool,
    /// Only events for which this CEL condition over `event.*` holds.
    pub filter: Option<String>,
    /// How a day becomes one number.
    pub aggregation: Aggregation,
    /// The property that is summed or compared; `None`: the event's value.
    pub field: Option<Key>,
    /// What a day without data means.
    pub absence: Absence,
    /// How many days a source may be silent before it no longer counts as alive.
    pub stale_after_days: u16,
}

impl MetricDefinition {
    /// Checks a definition; its filter is compiled as well.
    ///
    /// # Errors
    /// Every violation, by paths relative to the definition.
    pub fn check(draft: MetricDraft) -> Result<Self, Violations> {
        let mut checks = Checks::new();
        let takes_field = matches!(draft.aggregation, Some(Aggregation::Sum | Aggregation::Max | Aggregation::Last));
        if draft.measurement && draft.aggregation == Some(Aggregation::DistinctUsers) {
            checks.add("aggregation", Wrong::new(reason::NOT_ALLOWED_HERE, "needs events: measurements have no users"));
        }
        if !draft.field.is_empty() && (draft.measurement || !takes_field) {
            let why = if draft.measurement { "measurements have no properties" } else { "this aggregation takes none" };
            checks.add("field", Wrong::new(reason::NOT_ALLOWED_HERE, format!("must be empty: {why}")));
        }
        let key = checks.take("key", Key::check(draft.key));
        let label = label(&mut checks, "label", draft.label);
        let unit = self::label(&mut checks, "unit", draft.unit);
        let event_names = event_names(&mut checks, draft.event_names);
        let source = checks.take("source", Key::check_optional(draft.source));
        let filter = index::filter(&mut checks, "filter", draft.filter);
        let aggregation = checks.required("aggregation", draft.aggregation, Ok);
        let field = checks.take("field", Key::check_optional(draft.field));
        let implied = if draft.measurement { Absence::Missing } else { Absence::ZeroWhenSourceAlive };
        let stale_after_days = checks.take("stale_after_days", stale_after(draft.stale_after_days));
        let made = || {
            Some(Self {
                key: key?,
                label: label?,
                unit: unit?,
                event_names: event_names?,
                source: source?,
                measurement: draft.measurement,
                filter: filter?,
                aggregation: aggregation?,
                field: field?,
                absence: draft.absence.unwrap_or(implied),
                stale_after_days: stale_after_days?,
            })
        };
        let made = made();
        checks.finish(made)
    }
}

fn label(checks: &mut Checks, field: impl Display, label: Label) -> Option<Label> {
    let en = checks.take(format_args!("{field}.en"), text(label.en, NAME_MOST));
    let ja = checks.take(format_args!("{field}.ja"), text(label.ja, NAME_MOST));
    Some(Label { en: en?, ja: ja? })
}

fn event_names(checks: &mut Checks, names: Vec<String>) -> Option<Vec<EventName>> {
    if names.is_empty() {
        return checks.take("event_names", Err(Wrong::required()));
    }
    let names = checks.at_most("event_names", names, EVENT_NAMES_MOST);
    let mut checked: Vec<EventName> = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let Some(name) = checks.take(format_args!("event_names[{index}]"), EventName::check(name)) else { continue };
        if checked.contains(&name) {
            let twice = Wrong::new(reason::DUPLICATE_KEY, "stands in the list already");
            checks.add(format_args!("event_names[{index}]"), twice);
        }
        checked.push(name);
    }
    checked.sort_unstable();
    Some(checked)
}

fn stale_after(days: i32) -> Result<u16, Wrong> {
    if days == 0 {
        return Ok(STALE_AFTER_DAYS_DEFAULT);
    }
    u16::try_from(days).ok().filter(|days| *days <= STALE_AFTER_DAYS_MOST).ok_or_else(|| {
        Wrong::new(reason::OUT_OF_RANGE, format!("must be 1 to {STALE_AFTER_DAYS_MOST} days, or 0 for the default"))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::check::named;

    /// A definition that counts `login`.
    pub(crate) fn logins() -> MetricDraft {
        MetricDraft {
            key: "logins".to_owned(),
            event_names: vec!["login".to_owned()],
            aggregation: Some(Aggregation::Count),
            ..MetricDraft::default()
        }
    }

    #[test]
    fn fills_in_what_is_implied() {
        let events = MetricDefinition::check(logins()).expect("a definition");
        assert_eq!((events.absence, events.stale_after_days), (Absence::ZeroWhenSourceAlive, 3));
        let draft = MetricDraft { measurement: true, aggregation: Some(Aggregation::Last), ..logins() };
        assert_eq!(MetricDefinition::check(draft).expect("a definition").absence, Absence::Missing);
        let draft = MetricDraft { absence: Some(Absence::Missing), stale_after_days: 365, ..logins() };
        let stated = MetricDefinition::check(draft).expect("a definition");
        assert_eq!((stated.absence, stated.stale_after_days), (Absence::Missing, 365));
    }

    #[test]
    fn the_order_of_names_makes_no_other_definition() {
        let with = |names: [&str; 2]| MetricDraft { event_names: names.map(str::to_owned).to_vec(), ..logins() };
        assert_eq!(MetricDefinition::check(with(["a", "b"])), MetricDefinition::check(with(["b", "a"])));
    }

    #[test]
    fn names_everything_that_is_wrong() {
        let empty = MetricDefinition::check(MetricDraft::default()).expect_err("refused");
        assert_eq!(named(&empty), [("key", "REQUIRED"), ("event_names", "REQUIRED"), ("aggregation", "REQUIRED")]);
        let wrong = MetricDraft {
            key: "Logins".to_owned(),
            label: Label { en: "x".repeat(256), ja: String::new() },
            unit: Label { en: String::new(), ja: "\0".to_owned() },
            event_names: ["a", "b c", "a"].map(str::to_owned).to_vec(),
            source: "1".to_owned(),
            measurement: true,
            filter: String::new(),
            aggregation: Some(Aggregation::DistinctUsers),
            field: "f f".to_owned(),
            absence: None,
            stale_after_days: 366,
        };
        assert_eq!(
            named(&MetricDefinition::check(wrong).expect_err("refused")),
            [
                ("aggregation", reason::NOT_ALLOWED_HERE),
                ("field", reason::NOT_ALLOWED_HERE),
                ("key", reason::NOT_A_KEY),
                ("label.en", reason::TOO_LONG),
                ("unit.ja", reason::HOLDS_NUL),
                ("event_names[1]", reason::NOT_A_KEY),
                ("event_names[2]", reason::DUPLICATE_KEY),
                ("source", reason::NOT_A_KEY),
                ("field", reason::NOT_A_KEY),
                ("stale_after_days", reason::OUT_OF_RANGE),
            ]
        );
    }

    #[test]
    fn a_count_takes_no_field_and_a_hundred_names_are_enough() {
        let draft = MetricDraft { field: "amount".to_owned(), ..logins() };
        assert_eq!(named(&MetricDefinition::check(draft).expect_err("refused")), [("field", reason::NOT_ALLOWED_HERE)]);
        let names =
            |count| MetricDraft { event_names: (0..count).map(|index| format!("n{index}")).collect(), ..logins() };
        assert!(MetricDefinition::check(names(100)).is_ok());
        assert_eq!(
            named(&MetricDefinition::check(names(101)).expect_err("refused")),
            [("event_names", reason::TOO_MANY)]
        );
        let stale = MetricDraft { stale_after_days: -1, ..logins() };
        assert_eq!(
            named(&MetricDefinition::check(stale).expect_err("refused")),
            [("stale_after_days", reason::OUT_OF_RANGE)]
        );
    }
}
