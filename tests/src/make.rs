//! Short ways to write messages down.

use keizoku_proto::google::Date;
use keizoku_proto::ingestion::metric_definition::Aggregation as MetricAggregation;
use keizoku_proto::ingestion::{AccountItem, Event, MetricDefinition, Property, event};
use keizoku_proto::scoring::metric_window::{Aggregation, Bucket};
use keizoku_proto::scoring::{Band, Measure, MetricWindow, Polarity, ScalePoint, Stage, measure};
use keizoku_proto::types::{AccountRef, Attribute, ExternalId, Label, Value, account_ref, value};

/// `YYYY-MM-DD`, whether there is such a day or not.
pub fn date(text: &str) -> Date {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().expect("numbers")).collect();
    Date { year: parts[0], month: parts[1], day: parts[2] }
}

/// An id in the system `crm`.
pub fn external(id: &str) -> ExternalId {
    ExternalId { source: "crm".to_owned(), id: id.to_owned() }
}

/// An account by its id in the system `crm`.
pub fn account(id: &str) -> AccountRef {
    AccountRef { r#ref: Some(account_ref::Ref::External(external(id))) }
}

/// An account with text attributes.
pub fn account_item(id: &str, attributes: &[(&str, &str)]) -> AccountItem {
    AccountItem {
        external_id: Some(external(id)),
        display_name: Some(id.to_owned()),
        attributes: attributes
            .iter()
            .map(|(key, text)| Attribute { key: (*key).to_owned(), value: Some(text_value(text)), known_at: None })
            .collect(),
        ..AccountItem::default()
    }
}

/// An event of an account on a day.
pub fn event_on(id: &str, account_id: &str, name: &str, day: &str) -> Event {
    Event {
        id: id.to_owned(),
        account: Some(account(account_id)),
        name: name.to_owned(),
        when: Some(event::When::OccurredOn(date(day))),
        ..Event::default()
    }
}

/// A property with a text.
pub fn property(key: &str, text: &str) -> Property {
    Property { key: key.to_owned(), value: Some(text_value(text)) }
}

/// A metric that counts one event, of one source where one is named, which may be silent for 40 days.
pub fn count(key: &str, event_name: &str, source: &str) -> MetricDefinition {
    MetricDefinition {
        key: key.to_owned(),
        label: Some(label(key)),
        event_names: vec![event_name.to_owned()],
        source: source.to_owned(),
        aggregation: MetricAggregation::Count.into(),
        stale_after_days: 40,
        ..MetricDefinition::default()
    }
}

/// A measure over a metric's latest month.
pub fn monthly(key: &str, metric: &str, aggregation: Aggregation, weight: f64, full: f64) -> Measure {
    windowed(key, metric, (aggregation, Bucket::Month, 1), weight, &[(0.0, 0.0), (full, 100.0)])
}

/// A measure over a window.
pub fn windowed(
    key: &str,
    metric: &str,
    (aggregation, bucket, length): (Aggregation, Bucket, i32),
    weight: f64,
    scale: &[(f64, f64)],
) -> Measure {
    Measure {
        key: key.to_owned(),
        label: Some(label(key)),
        weight,
        input: Some(measure::Input::Window(MetricWindow {
            metric: metric.to_owned(),
            aggregation: aggregation.into(),
            bucket: bucket.into(),
            length,
            ..MetricWindow::default()
        })),
        scale: scale.iter().map(|(value, points)| ScalePoint { value: *value, points: *points }).collect(),
        ..Measure::default()
    }
}

/// Good from 70 points, normal from 40, else bad.
pub fn bands() -> Vec<Band> {
    let band = |key: &str, polarity: Polarity, when: &str| Band {
        key: key.to_owned(),
        label: Some(label(key)),
        polarity: polarity.into(),
        when: when.to_owned(),
    };
    vec![
        band("good", Polarity::Good, "score.value >= 70"),
        band("normal", Polarity::Neutral, "score.value >= 40"),
        band("bad", Polarity::Bad, ""),
    ]
}

/// Stages by the account's attribute `stage`.
pub fn stages(keys: &[&str]) -> Vec<Stage> {
    let stage = |key: &&str| Stage {
        key: (*key).to_owned(),
        label: Some(label(key)),
        when: format!("account.stage == \"{key}\""),
    };
    keys.iter().map(stage).collect()
}

/// A label that says the same in both languages.
pub fn label(text: &str) -> Label {
    Label { en: text.to_owned(), ja: text.to_owned() }
}

fn text_value(text: &str) -> Value {
    Value { kind: Some(value::Kind::Text(text.to_owned())) }
}
