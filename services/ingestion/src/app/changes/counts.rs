//! What is counted: definitions, days, and how far events are counted.

use keizoku_base::number::Millionths;
use keizoku_base::{AccountId, Day, Micros, Partition};
use keizoku_convert::timestamp;
use keizoku_proto::ingestion as proto;
use keizoku_proto::ingestion::ChangeKind;
use keizoku_proto::ingestion::change::State;
use keizoku_proto::types;
use keizoku_storage::feed::Draft;
use prost::Message as _;

use super::{actor, draft, number};
use crate::app::context::Context;
use crate::app::metrics::Metric;
use crate::domain::coverage::Span;
use crate::domain::metric::{Absence, Aggregation, Label};
use crate::domain::set::NumberSet;

/// A day of an account's metrics as it is told.
#[derive(Debug)]
pub(crate) struct ToldDay<'a> {
    /// The account.
    pub(crate) account: AccountId,
    /// The day.
    pub(crate) day: Day,
    /// The latest time at which a source knew one of the inputs.
    pub(crate) known_at: Micros,
    /// Every metric with data that day.
    pub(crate) values: Vec<ToldValue<'a>>,
    /// The traceparent of a call that brought one of the inputs; empty: none was traced.
    pub(crate) trace_parent: &'a str,
}

/// What one metric came to on a day.
#[derive(Debug)]
pub(crate) struct ToldValue<'a> {
    /// The metric's key.
    pub(crate) key: &'a str,
    /// The version of its definition.
    pub(crate) version: i32,
    /// The value.
    pub(crate) value: Millionths,
    /// Who they were, where users are counted.
    pub(crate) users: Option<&'a NumberSet>,
}

/// A definition in force.
pub(crate) fn metric_definition(context: &Context, metric: &Metric) -> Draft {
    let key = metric.definition.key.as_str();
    let state = State::MetricDefinition(metric_message(metric));
    draft(context, partition_of(key), ChangeKind::MetricDefinition, key.as_bytes().to_vec(), state)
}

/// A day of an account's metrics.
pub(crate) fn metric_day(context: &Context, told: ToldDay<'_>) -> Draft {
    let value = |told: ToldValue<'_>| proto::MetricValue {
        key: told.key.to_owned(),
        version: told.version,
        value_millionths: told.value.0,
        users: told.users.map(NumberSet::to_bytes).unwrap_or_default().into(),
    };
    let mut key = told.account.0.as_bytes().to_vec();
    key.extend_from_slice(&told.day.0.to_be_bytes());
    let state = proto::MetricDay {
        account_id: told.account.to_string(),
        day: told.day.0,
        values: told.values.into_iter().map(value).collect(),
        known_at_micros: told.known_at.0,
    };
    let body = proto::Change {
        seq: 0,
        written_at_micros: 0,
        kind: ChangeKind::MetricDay.into(),
        key: key.clone().into(),
        trace_parent: told.trace_parent.to_owned(),
        actor: Some(actor(&context.actor)),
        known_at_micros: told.known_at.0,
        state: Some(State::MetricDay(state)),
    };
    let partition = told.account.partition();
    Draft { partition, kind: number(ChangeKind::MetricDay), key, body: body.encode_to_vec() }
}

/// How far a source covers an account.
pub(crate) fn account_source(context: &Context, account: AccountId, source: &str, span: Span) -> Draft {
    let mut key = account.0.as_bytes().to_vec();
    key.extend_from_slice(source.as_bytes());
    let state = State::AccountSource(proto::AccountSource {
        account_id: account.to_string(),
        source: source.to_owned(),
        first_day: span.first.0,
        last_day: span.last.0,
    });
    draft(context, account.partition(), ChangeKind::AccountSource, key, state)
}

/// The days a source delivered, as far as a partition knows.
pub(crate) fn source_days(context: &Context, partition: Partition, source: &str, days: &NumberSet) -> Draft {
    let state = State::SourceDays(proto::SourceDays { source: source.to_owned(), days: days.to_bytes().into() });
    draft(context, partition, ChangeKind::SourceDays, source.as_bytes().to_vec(), state)
}

/// How far a partition's events are counted.
pub(crate) fn watermark(context: &Context, partition: Partition, events_seq: i64) -> Draft {
    let number = partition.number();
    let state = State::Watermark(proto::Watermark { partition: i32::from(number), events_seq });
    draft(context, partition, ChangeKind::Watermark, vec![number], state)
}

/// The partition of what has a name and no id.
pub(crate) fn partition_of(name: &str) -> Partition {
    let first = blake3::hash(name.as_bytes()).as_bytes()[0];
    Partition::new(first % Partition::COUNT).unwrap_or_else(|| panic!("the rest is below the count"))
}

/// A definition as its message.
pub(crate) fn metric_message(metric: &Metric) -> proto::MetricDefinition {
    use proto::metric_definition::{Absence as WireAbsence, Aggregation as WireAggregation};
    let definition = &metric.definition;
    let label = |label: &Label| Some(types::Label { en: label.en.clone(), ja: label.ja.clone() });
    let aggregation = match definition.aggregation {
        Aggregation::Count => WireAggregation::Count,
        Aggregation::Sum => WireAggregation::Sum,
        Aggregation::Max => WireAggregation::Max,
        Aggregation::Last => WireAggregation::Last,
        Aggregation::DistinctUsers => WireAggregation::DistinctUsers,
    };
    let absence = match definition.absence {
        Absence::ZeroWhenSourceAlive => WireAbsence::ZeroWhenSourceAlive,
        Absence::Missing => WireAbsence::Missing,
    };
    let state = if metric.remaining == 0 { proto::backfill::State::Done } else { proto::backfill::State::Running };
    proto::MetricDefinition {
        key: definition.key.as_str().to_owned(),
        version: metric.version,
        label: label(&definition.label),
        unit: label(&definition.unit),
        event_names: definition.event_names.iter().map(|name| name.as_str().to_owned()).collect(),
        source: definition.source.as_ref().map(|source| source.as_str().to_owned()).unwrap_or_default(),
        measurement: definition.measurement,
        filter: definition.filter.clone().unwrap_or_default(),
        aggregation: aggregation.into(),
        field: definition.field.as_ref().map(|field| field.as_str().to_owned()).unwrap_or_default(),
        absence: absence.into(),
        stale_after_days: i32::from(definition.stale_after_days),
        created_at: Some(timestamp(metric.created_at)),
        backfill: Some(proto::Backfill { state: state.into(), remaining_event_count: metric.remaining }),
    }
}
