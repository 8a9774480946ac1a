//! Events, measurements, heartbeats, receipts, metrics.

use std::sync::Arc;

use futures::stream::BoxStream;
use keizoku_base::number::Millionths;
use keizoku_base::page::Page;
use keizoku_base::{Day, Micros, Violations};
use keizoku_convert::{date, timestamp};
use keizoku_proto::ingestion as proto;
use keizoku_proto::server::ingestion::event_service_server::EventService;
use keizoku_runtime::closing;
use keizoku_runtime::status::into_status;
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::rejection::rejections;
use super::{binding, context, draft, page, repeat, stream, valid, value};
use crate::app::changes::counts::metric_message;
use crate::app::heartbeat::DAYS_MOST;
use crate::app::ingest::{self, Ingested};
use crate::app::metric_days::DaysQuery;
use crate::app::metrics::Defined;
use crate::app::receipts::{HOUR, Receipt};
use crate::app::repeat::Answered;
use crate::app::{App, heartbeat, metric_days, metrics, receipts};
use crate::domain::check::{Checks, Wrong};
use crate::domain::event::{BATCH_MOST, EventDraft};
use crate::domain::key::{Key, required_account_ref};
use crate::domain::metric::MetricDefinition;
use crate::domain::reason;
use crate::domain::time;

/// The longest time that one receipt or one reading of days covers.
const RECEIPT_MOST: i64 = 31 * Micros::DAY;
const METRIC_DAYS_MOST: i32 = 366;

/// The RPCs of events and metrics.
pub struct EventApi(pub Arc<App>);

#[tonic::async_trait]
impl EventService for EventApi {
    type StreamEventsStream = BoxStream<'static, Result<proto::StreamEventsResponse, Status>>;

    async fn ingest_events(
        &self,
        request: Request<proto::IngestEventsRequest>,
    ) -> Result<Response<proto::IngestEventsResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let source = parse_batch(message.source, "events", message.events.len(), &mut violations);
        let source = valid(violations, source)?;
        let drafts = message.events.into_iter().map(draft::event).collect();
        let ingested = ingest::ingest(&self.0, &context, &source, drafts, message.validate_only);
        Ok(Response::new(outcome(ingested.await.map_err(into_status)?)))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<proto::StreamEventsRequest>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let (context, closing) = (context(&self.0, &request).await?, closing(&request));
        let app = Arc::clone(&self.0);
        Ok(Response::new(stream::acknowledgements(app, context, closing, request.into_inner())))
    }

    async fn record_measurements(
        &self,
        request: Request<proto::RecordMeasurementsRequest>,
    ) -> Result<Response<proto::RecordMeasurementsResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let count = message.measurements.len();
        let source = parse_batch(message.source, "measurements", count, &mut violations);
        let source = valid(violations, source)?;
        let drafts: Vec<EventDraft> = message.measurements.into_iter().map(draft::measurement).collect();
        let ingested = ingest::ingest(&self.0, &context, &source, drafts, message.validate_only);
        let answer = outcome(ingested.await.map_err(into_status)?);
        Ok(Response::new(proto::RecordMeasurementsResponse {
            stored_count: answer.stored_count,
            duplicate_count: answer.duplicate_count,
            rejected_count: answer.rejected_count,
            rejections: answer.rejections,
            position: answer.position,
        }))
    }

    async fn heartbeat(
        &self,
        request: Request<proto::HeartbeatRequest>,
    ) -> Result<Response<proto::HeartbeatResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let beat = parse_heartbeat(request.into_inner(), context.today());
        let (source, first, last) = beat.map_err(invalid)?;
        let position = heartbeat::beat(&self.0, &context, &source, first, last).await.map_err(into_status)?;
        Ok(Response::new(proto::HeartbeatResponse { position: position.into() }))
    }

    async fn get_receipt(
        &self,
        request: Request<proto::GetReceiptRequest>,
    ) -> Result<Response<proto::GetReceiptResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let (source, from, until) = parse_receipt(request.into_inner(), context.now).map_err(invalid)?;
        let hours = receipts::read(&self.0, &context, &source, from, until).await.map_err(into_status)?;
        let total =
            hours.iter().fold(Receipt { hour: from, stored: 0, duplicate: 0, rejected: 0 }, |sum, hour| Receipt {
                stored: sum.stored + hour.stored,
                duplicate: sum.duplicate + hour.duplicate,
                rejected: sum.rejected + hour.rejected,
                ..sum
            });
        Ok(Response::new(proto::GetReceiptResponse {
            total: Some(proto::Receipt { hour: None, ..receipt_message(&total) }),
            hours: hours.iter().map(receipt_message).collect(),
        }))
    }

    async fn put_metric(
        &self,
        request: Request<proto::PutMetricRequest>,
    ) -> Result<Response<proto::PutMetricResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let mut message = request.into_inner();
        let id = std::mem::take(&mut message.request_id);
        let encode = |defined: &Defined| defined_message(defined).encode_to_vec();
        let again = repeat("PutMetric", &id, &message, &encode)?;
        let only = message.validate_only;
        let definition = parse_metric(message).map_err(invalid)?;
        let defined = if only {
            metrics::preview(&self.0, &context, &definition).await.map(Answered::First)
        } else {
            metrics::put(&self.0, &context, &definition, again.as_ref()).await
        };
        super::answer(defined.map_err(into_status)?, |defined| defined_message(&defined))
    }

    async fn list_metrics(
        &self,
        request: Request<proto::ListMetricsRequest>,
    ) -> Result<Response<proto::ListMetricsResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let bound = binding("ListMetrics", &context, &[]);
        let mut violations = Violations::new();
        let message = request.into_inner();
        let asked = page(message.page_size, &message.page_token, bound, &mut violations);
        let asked = valid(violations, asked)?;
        let after = String::from_utf8_lossy(&asked.after).into_owned();
        let found = metrics::list(&self.0, &context, &after, asked.size).await.map_err(into_status)?;
        let last = found.last().filter(|_| found.len() >= asked.size as usize);
        let token = last.map(|last| Page::token(bound, last.definition.key.as_str().as_bytes()));
        Ok(Response::new(proto::ListMetricsResponse {
            metrics: found.iter().map(metric_message).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }

    async fn get_metric_days(
        &self,
        request: Request<proto::GetMetricDaysRequest>,
    ) -> Result<Response<proto::GetMetricDaysResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let query = parse_days(request.into_inner()).map_err(invalid)?;
        let found = metric_days::read(&self.0, &context, &query).await.map_err(into_status)?;
        let day =
            |(day, value): &(Day, Millionths)| proto::MetricDayValue { day: Some(date(*day)), value: value.to_f64() };
        Ok(Response::new(proto::GetMetricDaysResponse {
            days: found.days.iter().map(day).collect(),
            version: found.version,
        }))
    }
}

/// What became of a batch.
pub(super) fn outcome(ingested: Ingested) -> proto::IngestEventsResponse {
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    proto::IngestEventsResponse {
        stored_count: count(ingested.stored),
        duplicate_count: count(ingested.duplicate),
        rejected_count: count(ingested.rejected.len()),
        position: ingested.position.encode().into(),
        rejections: rejections(ingested.rejected),
    }
}

/// The source of a batch with `count` items in `field`.
pub(super) fn parse_batch(source: String, field: &str, count: usize, violations: &mut Violations) -> Option<Key> {
    let source = Key::check(source).map_err(|wrong| violations.add("source", wrong.reason, wrong.description)).ok();
    check_count(field, count, violations);
    source
}

/// A batch has 1 to 10,000 items.
pub(super) fn check_count(field: &str, count: usize, violations: &mut Violations) {
    if count == 0 {
        violations.add(field, reason::REQUIRED, format!("must hold 1 to {BATCH_MOST} items"));
    }
    if count > BATCH_MOST {
        violations.add(field, reason::TOO_MANY, format!("holds {count} items; at most {BATCH_MOST}"));
    }
}

fn parse_heartbeat(message: proto::HeartbeatRequest, today: Day) -> Result<(Key, Day, Day), Violations> {
    let mut checks = Checks::new();
    let source = checks.take("source", Key::check(message.source));
    let day = |message: Option<_>| message.map_or(Ok(today), |day| time::date(value::date(day)));
    let first = checks.take("from", day(message.from));
    let last = checks.take("until", day(message.until));
    if let (Some(first), Some(last)) = (first, last) {
        if last > today {
            checks.add("until", Wrong::new(reason::TOO_FAR_AHEAD, format!("must not be after today, {today}")));
        }
        if last < first {
            checks.add("until", Wrong::new(reason::BEFORE_START, "must not be before from"));
        }
        if last.0 - first.0 > DAYS_MOST {
            let text = format!("must be at most {DAYS_MOST} days after from");
            checks.add("until", Wrong::new(reason::OUT_OF_RANGE, text));
        }
    }
    let beat = || Some((source?, first?, last?));
    let beat = beat();
    checks.finish(beat)
}

fn parse_receipt(message: proto::GetReceiptRequest, now: Micros) -> Result<(Key, Micros, Micros), Violations> {
    let mut checks = Checks::new();
    let source = checks.take("source", Key::check(message.source));
    let at = |message: Option<_>, default| message.map_or(Ok(default), |at| time::instant(value::instant(at)));
    let until = checks.take("until", at(message.until, now.plus(1)));
    let from = checks.take("from", at(message.from, now.plus(-24 * HOUR)));
    if let (Some(from), Some(until)) = (from, until) {
        if until < from {
            checks.add("until", Wrong::new(reason::BEFORE_START, "must not be before from"));
        }
        if until.since(from) > RECEIPT_MOST + 1 {
            checks.add("until", Wrong::new(reason::OUT_OF_RANGE, "must be at most 31 days after from"));
        }
    }
    let asked = || Some((source?, receipts::hour(from?), until?));
    let asked = asked();
    checks.finish(asked)
}

fn parse_metric(message: proto::PutMetricRequest) -> Result<MetricDefinition, Violations> {
    let mut checks = Checks::new();
    let definition = checks.required("metric", message.metric, Ok);
    let definition = checks.finish(definition)?;
    MetricDefinition::check(draft::metric(definition)).map_err(|inner| {
        let mut violations = Violations::new();
        violations.nest("metric", inner);
        violations
    })
}

fn parse_days(message: proto::GetMetricDaysRequest) -> Result<DaysQuery, Violations> {
    let mut checks = Checks::new();
    let key = checks.take("key", Key::check(message.key));
    let account = required_account_ref(&mut checks, "account", message.account.map(value::account));
    let from = checks.required("from", message.from, |day| time::date(value::date(day)));
    let until = checks.required("until", message.until, |day| time::date(value::date(day)));
    let known_at = checks.optional("known_at", message.known_at, |at| time::instant(value::instant(at)));
    if let (Some(from), Some(until)) = (from, until) {
        if until < from {
            checks.add("until", Wrong::new(reason::BEFORE_START, "must not be before from"));
        }
        if until.0 - from.0 > METRIC_DAYS_MOST {
            let text = format!("must be at most {METRIC_DAYS_MOST} days after from");
            checks.add("until", Wrong::new(reason::OUT_OF_RANGE, text));
        }
    }
    let query = || Some(DaysQuery { key: key?.into_string(), account: account?, from: from?, until: until?, known_at });
    let query = query();
    checks.finish(query)
}

fn invalid(violations: Violations) -> Status {
    into_status(crate::error::IngestionFault::Invalid(violations))
}

fn defined_message(defined: &Defined) -> proto::PutMetricResponse {
    proto::PutMetricResponse {
        metric: Some(metric_message(&defined.metric)),
        changed: defined.changed,
        position: defined.position.clone().into(),
    }
}

fn receipt_message(receipt: &Receipt) -> proto::Receipt {
    proto::Receipt {
        hour: Some(timestamp(receipt.hour)),
        sent_count: receipt.stored + receipt.duplicate + receipt.rejected,
        stored_count: receipt.stored,
        duplicate_count: receipt.duplicate,
        rejected_count: receipt.rejected,
    }
}
