//! Sending events and reading what became of them.

use keizoku_base::{Day, Micros};
use keizoku_convert::{date, timestamp};
use keizoku_proto::ingestion as proto;
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::metric_definition::Aggregation;
use keizoku_proto::types::{AccountRef, Value, value};
use keizoku_runtime::Client;
use keizoku_testkit::eventually;
use tonic::Status;

use crate::rig::{Rig, SOON, account};

/// The source of all events here.
pub(crate) const APP: &str = "app";

pub(crate) fn events(rig: &Rig) -> EventServiceClient<Client> {
    EventServiceClient::new(rig.channel()).max_decoding_message_size(8 << 20).max_encoding_message_size(16 << 20)
}

/// The account `id` of the CRM.
pub(crate) fn crm(id: &str) -> AccountRef {
    account("crm", id)
}

/// A login of somebody at that account.
pub(crate) fn login(id: impl Into<String>, account: &str, at: Micros) -> proto::Event {
    proto::Event {
        id: id.into(),
        account: Some(crm(account)),
        name: "login".to_owned(),
        when: Some(proto::event::When::OccurredAt(timestamp(at))),
        ..Default::default()
    }
}

pub(crate) fn by_user(event: proto::Event, user: &str) -> proto::Event {
    proto::Event { user_id: user.to_owned(), ..event }
}

pub(crate) fn with_value(event: proto::Event, value: f64) -> proto::Event {
    proto::Event { value: Some(value), ..event }
}

pub(crate) fn with_property(mut event: proto::Event, key: &str, kind: value::Kind) -> proto::Event {
    event.properties.push(proto::Property { key: key.to_owned(), value: Some(Value { kind: Some(kind) }) });
    event
}

pub(crate) async fn send(rig: &Rig, batch: Vec<proto::Event>) -> Result<proto::IngestEventsResponse, Status> {
    let request = proto::IngestEventsRequest { source: APP.to_owned(), events: batch, validate_only: false };
    Ok(events(rig).ingest_events(request).await?.into_inner())
}

/// Sends a batch that is to be stored as a whole.
pub(crate) async fn store(rig: &Rig, batch: Vec<proto::Event>) {
    let count = i32::try_from(batch.len()).expect("a batch");
    let answer = send(rig, batch).await.expect("an answer");
    assert_eq!((answer.stored_count, answer.rejections), (count, Vec::new()));
}

/// A definition that takes logins.
pub(crate) fn metric(key: &str, aggregation: Aggregation) -> proto::MetricDefinition {
    proto::MetricDefinition {
        key: key.to_owned(),
        event_names: vec!["login".to_owned()],
        aggregation: aggregation.into(),
        ..Default::default()
    }
}

pub(crate) async fn define(rig: &Rig, metric: proto::MetricDefinition) -> proto::MetricDefinition {
    let request = proto::PutMetricRequest { metric: Some(metric), ..Default::default() };
    let answer = events(rig).put_metric(request).await.expect("a metric").into_inner();
    answer.metric.expect("the metric")
}

/// The days of a metric of 2024 as they are known at a time, `05-01` and value.
pub(crate) async fn days_known(rig: &Rig, key: &str, account: &str, known_at: Option<Micros>) -> Vec<(String, f64)> {
    let request = proto::GetMetricDaysRequest {
        key: key.to_owned(),
        account: Some(crm(account)),
        from: Some(date(Day::parse("2024-01-01").expect("a day"))),
        until: Some(date(Day::parse("2025-01-01").expect("a day"))),
        known_at: known_at.map(timestamp),
    };
    let answer = events(rig).get_metric_days(request).await.expect("days").into_inner();
    let day = |day: &proto::MetricDayValue| {
        let on = day.day.expect("a day");
        (format!("{:02}-{:02}", on.month, on.day), day.value)
    };
    answer.days.iter().map(day).collect()
}

pub(crate) async fn days(rig: &Rig, key: &str, account: &str) -> Vec<(String, f64)> {
    days_known(rig, key, account, None).await
}

/// Waits until the days of a metric are these.
pub(crate) async fn days_become(rig: &Rig, key: &str, account: &str, expected: &[(&str, f64)]) {
    let expected: Vec<(String, f64)> = expected.iter().map(|(day, value)| ((*day).to_owned(), *value)).collect();
    eventually(SOON, || async {
        let found = days(rig, key, account).await;
        if found == expected { Ok(()) } else { Err(found) }
    })
    .await;
}

pub(crate) async fn metrics(rig: &Rig) -> Vec<proto::MetricDefinition> {
    let request = proto::ListMetricsRequest { page_size: 1000, ..Default::default() };
    events(rig).list_metrics(request).await.expect("metrics").into_inner().metrics
}

/// Waits until everything from before the definitions is counted in.
pub(crate) async fn backfilled(rig: &Rig) {
    eventually(SOON, || async {
        let left: Vec<_> = metrics(rig)
            .await
            .into_iter()
            .filter_map(|metric| metric.backfill.filter(|backfill| backfill.remaining_event_count > 0))
            .collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Sent, stored, duplicate and rejected in the last hours, after checking that each hour adds up.
pub(crate) async fn received(rig: &Rig) -> [i64; 4] {
    let request = proto::GetReceiptRequest { source: APP.to_owned(), ..Default::default() };
    let answer = events(rig).get_receipt(request).await.expect("a receipt").into_inner();
    let counts = |receipt: &proto::Receipt| {
        let parts = [receipt.stored_count, receipt.duplicate_count, receipt.rejected_count];
        assert_eq!(receipt.sent_count, parts.iter().sum::<i64>());
        [receipt.sent_count, parts[0], parts[1], parts[2]]
    };
    let total = counts(&answer.total.expect("a sum"));
    let hours = answer.hours.iter().map(counts);
    let sum = hours.fold([0; 4], |sum, hour| std::array::from_fn(|place| sum[place] + hour[place]));
    assert_eq!(total, sum);
    total
}

/// An instant of 2024 in Tokyo, where the workspace is: month, day, hour.
pub(crate) fn tokyo(month: u32, day: u32, hour: i64) -> Micros {
    let zone = keizoku_base::Zone::parse("Asia/Tokyo").expect("a zone");
    zone.start_of(Day::from_ymd(2024, month, day).expect("a day")).plus(hour * 3600 * Micros::SECOND)
}
