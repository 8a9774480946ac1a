//! Events, measurements and metrics as the domain takes them: moved, not checked.

use keizoku_proto::ingestion as proto;
use keizoku_proto::types;

use super::value::{account, date, instant, value};
use crate::domain::event::{EventDraft, WhenDraft};
use crate::domain::metric::{Absence, Aggregation, Label, MetricDraft};
use crate::domain::value::PropertyDraft;

/// An event.
pub(super) fn event(message: proto::Event) -> EventDraft {
    let when = message.when.map(|when| match when {
        proto::event::When::OccurredAt(at) => WhenDraft::At(instant(at)),
        proto::event::When::OccurredOn(day) => WhenDraft::On(date(day)),
    });
    EventDraft {
        measurement: false,
        id: message.id,
        account: message.account.map(account),
        name: message.name,
        when,
        user_id: message.user_id,
        value: message.value,
        properties: message.properties.into_iter().map(property).collect(),
        known_at: message.known_at.map(instant),
    }
}

/// A measurement.
pub(super) fn measurement(message: proto::Measurement) -> EventDraft {
    let when = message.when.map(|when| match when {
        proto::measurement::When::OccurredAt(at) => WhenDraft::At(instant(at)),
        proto::measurement::When::OccurredOn(day) => WhenDraft::On(date(day)),
    });
    EventDraft {
        measurement: true,
        id: message.id,
        account: message.account.map(account),
        name: message.name,
        when,
        value: message.value,
        known_at: message.known_at.map(instant),
        ..EventDraft::default()
    }
}

/// A metric.
pub(super) fn metric(message: proto::MetricDefinition) -> MetricDraft {
    use proto::metric_definition::{Absence as WireAbsence, Aggregation as WireAggregation};
    let (aggregation, absence) = (message.aggregation(), message.absence());
    MetricDraft {
        key: message.key,
        label: label(message.label),
        unit: label(message.unit),
        event_names: message.event_names,
        source: message.source,
        measurement: message.measurement,
        filter: message.filter,
        aggregation: match aggregation {
            WireAggregation::Unspecified => None,
            WireAggregation::Count => Some(Aggregation::Count),
            WireAggregation::Sum => Some(Aggregation::Sum),
            WireAggregation::Max => Some(Aggregation::Max),
            WireAggregation::Last => Some(Aggregation::Last),
            WireAggregation::DistinctUsers => Some(Aggregation::DistinctUsers),
        },
        field: message.field,
        absence: match absence {
            WireAbsence::Unspecified => None,
            WireAbsence::ZeroWhenSourceAlive => Some(Absence::ZeroWhenSourceAlive),
            WireAbsence::Missing => Some(Absence::Missing),
        },
        stale_after_days: message.stale_after_days,
    }
}

fn property(message: proto::Property) -> PropertyDraft {
    PropertyDraft { key: message.key, value: message.value.and_then(value) }
}

fn label(message: Option<types::Label>) -> Label {
    message.map(|label| Label { en: label.en, ja: label.ja }).unwrap_or_default()
}
