//! Which metrics an event counts for, and with what.

use std::collections::HashMap;

use keizoku_base::number::Millionths;
use keizoku_rules::{Catalogue, Facts, Number, Rule, Type, Wanted};

use crate::domain::check::{Checks, Wrong};
use crate::domain::event::RecordedEvent;
use crate::domain::metric::{Aggregation, MetricDefinition};
use crate::domain::pack::Corrupt;
use crate::domain::value::Value;

/// A metric that is counted, with its filter compiled.
#[derive(Debug)]
pub struct CountedMetric {
    /// The workspace's number of this version of the definition.
    pub no: u32,
    /// The definition.
    pub definition: MetricDefinition,
    filter: Option<Rule>,
}

/// What one event adds to a metric's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contribution {
    /// It happened.
    Once,
    /// The value of its field.
    Amount(Millionths),
    /// Its user.
    User(u32),
}

/// The metrics of a workspace by the name of the event, so that no condition runs for an event of another name.
#[derive(Debug, Default)]
pub struct MetricIndex {
    metrics: Vec<CountedMetric>,
    of_events: HashMap<String, Vec<usize>>,
    of_measurements: HashMap<String, Vec<usize>>,
}

impl MetricIndex {
    /// An index over definitions and their numbers. A definition whose filter no longer compiles counts nothing; its
    /// number is in the second part of the answer.
    pub fn new(definitions: impl IntoIterator<Item = (u32, MetricDefinition)>) -> (Self, Vec<u32>) {
        let (mut index, mut unusable) = (Self::default(), Vec::new());
        for (no, definition) in definitions {
            let Ok(filter) = definition.filter.as_deref().map(compile).transpose() else {
                unusable.push(no);
                continue;
            };
            let place = index.metrics.len();
            let names = if definition.measurement { &mut index.of_measurements } else { &mut index.of_events };
            for name in &definition.event_names {
                names.entry(name.as_str().to_owned()).or_default().push(place);
            }
            index.metrics.push(CountedMetric { no, definition, filter });
        }
        (index, unusable)
    }

    /// Hands each metric that the event counts for to `each`, with what it adds.
    ///
    /// # Errors
    /// [`Corrupt`] where the event's properties cannot be read.
    pub fn count<'a>(
        &'a self,
        event: &RecordedEvent,
        mut each: impl FnMut(&'a CountedMetric, Contribution),
    ) -> Result<(), Corrupt> {
        let names = if event.measurement { &self.of_measurements } else { &self.of_events };
        let Some(places) = names.get(&event.name) else { return Ok(()) };
        let mut facts = EventFacts { event, properties: None };
        for metric in places.iter().filter_map(|place| self.metrics.get(*place)) {
            if metric.definition.source.as_ref().is_some_and(|source| source.as_str() != event.source) {
                continue;
            }
            if metric.filter.is_some() || metric.definition.field.is_some() {
                facts.read()?;
            }
            // A filter that has no answer, because a property is missing or of another type, does not hold.
            if metric.filter.as_ref().is_some_and(|filter| filter.holds(&facts) != Ok(true)) {
                continue;
            }
            if let Some(contribution) = facts.contribution(&metric.definition) {
                each(metric, contribution);
            }
        }
        Ok(())
    }
}

/// Checks the source of a filter at path `field`; an empty one is none.
pub(super) fn filter(checks: &mut Checks, field: &str, source: String) -> Option<Option<String>> {
    if source.trim().is_empty() {
        return Some(None);
    }
    match compile(&source) {
        Ok(_) => Some(Some(source)),
        Err(violations) => {
            for violation in violations.iter() {
                checks.add(field, Wrong::new(violation.reason, violation.to_string()));
            }
            None
        }
    }
}

fn compile(source: &str) -> Result<Rule, keizoku_rules::RuleViolations> {
    let catalogue = Catalogue::new()
        .with("event.name", Type::Text)
        .with("event.source", Type::Text)
        .with("event.value", Type::Number)
        .with_open("event", Type::Any);
    Rule::compile(source, &catalogue, Wanted::Bool)
}

/// An event as filters and fields see it; its properties are read when the first metric asks.
struct EventFacts<'a> {
    event: &'a RecordedEvent,
    properties: Option<Vec<(&'a str, Value)>>,
}

impl EventFacts<'_> {
    fn read(&mut self) -> Result<(), Corrupt> {
        if self.properties.is_none() {
            self.properties = Some(self.event.properties.read()?);
        }
        Ok(())
    }

    fn property(&self, key: &str) -> Option<&Value> {
        let properties = self.properties.as_deref().unwrap_or_default();
        let place = properties.binary_search_by(|(found, _)| (*found).cmp(key)).ok()?;
        properties.get(place).map(|(_, value)| value)
    }

    fn contribution(&self, definition: &MetricDefinition) -> Option<Contribution> {
        match definition.aggregation {
            Aggregation::Count => Some(Contribution::Once),
            Aggregation::DistinctUsers => self.event.user.map(Contribution::User),
            Aggregation::Sum | Aggregation::Max | Aggregation::Last => match &definition.field {
                None => self.event.value.map(Contribution::Amount),
                Some(key) => self.property(key.as_str())?.numeric().map(Contribution::Amount),
            },
        }
    }
}

impl Facts for EventFacts<'_> {
    fn fact(&self, name: &str) -> Option<keizoku_rules::Value<'_>> {
        match name.strip_prefix("event.")? {
            "name" => Some(self.event.name.as_str().into()),
            "source" => Some(self.event.source.as_str().into()),
            "value" => self.event.value.map(Into::into),
            key => self.property(key).and_then(to_rule),
        }
    }
}

/// A property's value in a rule; `None` for a number that rules cannot hold exactly.
fn to_rule(value: &Value) -> Option<keizoku_rules::Value<'_>> {
    Some(match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(integer) => (*integer).into(),
        Value::Number(number) => Number::from_f64(*number)?.into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Instant(at) => (*at).into(),
        Value::Date(day) => (*day).into(),
        Value::Texts(texts) => texts.as_slice().into(),
    })
}

#[cfg(test)]
mod tests {
    use keizoku_base::id::AccountId;
    use keizoku_base::{Day, Micros};

    use super::*;
    use crate::domain::check::named;
    use crate::domain::metric::MetricDraft;
    use crate::domain::metric::tests::logins;
    use crate::domain::pack::Digest;
    use crate::domain::value::{Properties, PropertyDraft, ValueDraft};

    fn event(name: &str, properties: &[(&str, ValueDraft)]) -> RecordedEvent {
        let draft =
            |(key, value): &(&str, ValueDraft)| PropertyDraft { key: (*key).to_owned(), value: Some(value.clone()) };
        let properties = properties.iter().map(draft).collect();
        RecordedEvent {
            account: AccountId::seeded(Micros(0), [1; 10]),
            source: "app".to_owned(),
            name: name.to_owned(),
            measurement: false,
            key: Digest([0; 16]),
            seq: 1,
            occurred_at: Micros(0),
            day: Day(0),
            known_at: Micros(0),
            user: Some(7),
            value: Some(Millionths(2_500_000)),
            properties: Properties::check(&mut Checks::new(), "properties", properties).expect("properties"),
        }
    }

    fn text(text: &str) -> ValueDraft {
        ValueDraft::Text(text.to_owned())
    }

    /// What the metric of this definition counts of an event.
    fn counted(draft: MetricDraft, event: &RecordedEvent) -> Vec<Contribution> {
        let definition = MetricDefinition::check(draft).expect("a definition");
        let (index, unusable) = MetricIndex::new([(1, definition)]);
        assert!(unusable.is_empty());
        let mut found = Vec::new();
        index.count(event, |_, contribution| found.push(contribution)).expect("counted");
        found
    }

    #[test]
    fn counts_only_its_names_its_kind_and_its_source() {
        assert_eq!(counted(logins(), &event("login", &[])), [Contribution::Once]);
        assert_eq!(counted(logins(), &event("logout", &[])), []);
        let measured = RecordedEvent { measurement: true, ..event("login", &[]) };
        assert_eq!(counted(logins(), &measured), []);
        assert_eq!(counted(MetricDraft { measurement: true, ..logins() }, &measured), [Contribution::Once]);
        let from = |source: &str| MetricDraft { source: source.to_owned(), ..logins() };
        assert_eq!(counted(from("app"), &event("login", &[])), [Contribution::Once]);
        assert_eq!(counted(from("web"), &event("login", &[])), []);
    }

    #[test]
    fn a_condition_sees_name_source_value_and_properties() {
        let holds = |filter: &str, properties: &[(&str, ValueDraft)]| {
            !counted(MetricDraft { filter: filter.to_owned(), ..logins() }, &event("login", properties)).is_empty()
        };
        let pro = [("plan", text("pro")), ("seats", ValueDraft::Integer(12)), ("beta", ValueDraft::Flag(true))];
        let table = [
            ("event.name == 'login' && event.source == 'app'", true),
            ("event.value > 2.4 && event.value <= 2.5", true),
            ("event.plan == 'pro'", true),
            ("event.plan == 'free'", false),
            ("event.seats >= 12 && event.beta", true),
            ("event.missing == 1", false),
            ("event.missing != 1", false),
            ("event.plan > 3", false),
            ("  ", true),
        ];
        for (filter, expected) in table {
            assert_eq!(holds(filter, &pro), expected, "{filter}");
        }
        assert!(!holds("event.plan == 'pro'", &[]));
    }

    #[test]
    fn every_fault_of_a_condition_is_named() {
        for filter in ["event.", "account.name == 'x'", "event.value", "1 +"] {
            let draft = MetricDraft { filter: filter.to_owned(), ..logins() };
            let refused = MetricDefinition::check(draft).expect_err("refused");
            assert!(named(&refused).iter().all(|(field, _)| *field == "filter"), "{filter}: {refused}");
        }
    }

    #[test]
    fn takes_numbers_from_the_value_or_a_property() {
        let summing =
            |field: &str| MetricDraft { aggregation: Some(Aggregation::Sum), field: field.to_owned(), ..logins() };
        let amount = |millionths| vec![Contribution::Amount(Millionths(millionths))];
        let event = event(
            "login",
            &[
                ("whole", ValueDraft::Integer(-2)),
                ("part", ValueDraft::Number(0.25)),
                ("yes", ValueDraft::Flag(true)),
                ("word", text("3")),
                ("huge", ValueDraft::Number(1e300)),
            ],
        );
        let table = [
            ("", amount(2_500_000)),
            ("whole", amount(-2_000_000)),
            ("part", amount(250_000)),
            ("yes", amount(1_000_000)),
            ("word", Vec::new()),
            ("huge", Vec::new()),
            ("missing", Vec::new()),
        ];
        for (field, expected) in table {
            assert_eq!(counted(summing(field), &event), expected, "{field}");
        }
        let valueless = RecordedEvent { value: None, ..event };
        assert_eq!(counted(summing(""), &valueless), []);
    }

    #[test]
    fn users_who_are_not_known_are_not_counted() {
        let users = || MetricDraft { aggregation: Some(Aggregation::DistinctUsers), ..logins() };
        assert_eq!(counted(users(), &event("login", &[])), [Contribution::User(7)]);
        assert_eq!(counted(users(), &RecordedEvent { user: None, ..event("login", &[]) }), []);
    }
}
