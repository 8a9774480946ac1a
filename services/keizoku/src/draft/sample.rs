//! Asks what arrived.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use keizoku_base::Day;
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::{
    EventCoverage, GetCoverageRequest, GetCoverageResponse, GetMetricDaysRequest, ListAccountsRequest,
    ListMetricsRequest, MetricDefinition,
};
use keizoku_proto::types::AccountRef;
use keizoku_proto::types::account_ref::Ref;
use keizoku_runtime::Client;
use keizoku_runtime::client::repeatable;
use tonic::Status;

use crate::client::pages::RowArgs;
use crate::client::{Session, methods};
use crate::failure::Failure;

use super::{Over, is_zero_when_silent};

/// How many calls are made at the same time.
const AT_ONCE: usize = 8;
/// How far back is looked for any data at all: an account that was silent for longer is gone, and says nothing about what
/// is usual.
const REACH_DAYS: i32 = 90;

/// What is known of a metric.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The metric.
    pub(crate) metric: MetricDefinition,
    /// How many accounts have data for it at least.
    pub(crate) covered: i64,
    /// How many accounts there are.
    pub(crate) accounts: i64,
    /// How many accounts were looked at.
    pub(crate) sampled: usize,
    /// The last day of the window looked at.
    pub(crate) last: Day,
    /// The values of the window, of the accounts that have one.
    pub(crate) values: Vec<f64>,
}

/// Reads every metric for a sample of at most `most` accounts, as of the day before `today`.
///
/// # Errors
/// The server's refusal.
pub(crate) async fn read(session: &mut Session<'_>, today: Day, most: usize) -> Result<Vec<Reading>, Failure> {
    let coverage = session.call(&methods::GET_COVERAGE, GetCoverageRequest::default()).await?;
    let all = RowArgs { limit: 0, all: true };
    let metrics = session.pages(
        &methods::LIST_METRICS,
        ListMetricsRequest::default(),
        &all,
        |request, size, token| (request.page_size, request.page_token) = (size, token),
        |answer| (answer.metrics, answer.next_page_token),
    );
    let metrics = metrics.await?.rows;
    let accounts = session.pages(
        &methods::LIST_ACCOUNTS,
        ListAccountsRequest::default(),
        &all,
        |request, size, token| (request.page_size, request.page_token) = (size, token),
        |answer| (answer.accounts.into_iter().map(|account| account.id).collect(), answer.next_page_token),
    );
    let accounts = spread(accounts.await?.rows, most);
    let mut readings = Vec::new();
    for metric in metrics {
        let mut reading = covered(metric, &coverage, today);
        if reading.covered > 0 {
            let client = session.client();
            reading.values = values(&client, &reading, &accounts).await.map_err(|status| session.refused(status))?;
        }
        reading.sampled = accounts.len();
        readings.push(reading);
    }
    Ok(readings)
}

/// What the coverage says of a metric.
fn covered(metric: MetricDefinition, coverage: &GetCoverageResponse, today: Day) -> Reading {
    let takes = |event: &&EventCoverage| {
        event.measurement == metric.measurement
            && metric.event_names.contains(&event.name)
            && (metric.source.is_empty() || metric.source == event.source)
    };
    let events: Vec<&EventCoverage> = coverage.events.iter().filter(takes).collect();
    let last = events.iter().filter_map(|event| keizoku_convert::day(event.last_on.as_ref()?)).max();
    Reading {
        covered: events.iter().map(|event| event.covered_account_count).max().unwrap_or(0),
        accounts: coverage.account_count,
        sampled: 0,
        last: last.map_or(today, |last| last.min(today)).min(today.plus(-1)),
        values: Vec::new(),
        metric,
    }
}

async fn values(client: &Client, reading: &Reading, accounts: &[String]) -> Result<Vec<f64>, Status> {
    let over = Over::of(&reading.metric);
    let zero = is_zero_when_silent(&reading.metric);
    let ask = |id: &String| {
        let request = GetMetricDaysRequest {
            key: reading.metric.key.clone(),
            account: Some(AccountRef { r#ref: Some(Ref::Id(id.clone())) }),
            from: Some(keizoku_convert::date(reading.last.plus(1 - REACH_DAYS))),
            until: Some(keizoku_convert::date(reading.last.plus(1))),
            known_at: None,
        };
        let mut client = EventServiceClient::new(client.clone());
        async move {
            let answer = client.get_metric_days(repeatable(request)).await?.into_inner();
            let days =
                answer.days.iter().filter_map(|found| Some((keizoku_convert::day(found.day.as_ref()?)?, found.value)));
            Ok::<_, Status>(over.value(&days.collect::<Vec<_>>(), reading.last, zero))
        }
    };
    let asked: Vec<_> = accounts.iter().map(ask).collect();
    let found: Vec<Option<f64>> = stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// At most `most` of a list, evenly over it.
fn spread(all: Vec<String>, most: usize) -> Vec<String> {
    let count = all.len();
    if count <= most {
        return all;
    }
    let chosen = |place: &usize| place * most / count != (place + 1) * most / count;
    all.into_iter().enumerate().filter(|(place, _)| chosen(place)).map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_the_list() {
        let all: Vec<String> = (0..1_000).map(|number: i32| number.to_string()).collect();
        let some = spread(all.clone(), 200);
        assert_eq!((some.len(), some[0].as_str(), some[199].as_str()), (200, "4", "999"));
        assert_eq!(spread(all.clone(), 1_000), all);
        assert_eq!(spread(all, 7).len(), 7);
    }

    #[test]
    fn coverage_is_that_of_the_names_a_metric_takes() {
        let event = |name: &str, measurement, covered_account_count| EventCoverage {
            source: "s".to_owned(),
            name: name.to_owned(),
            measurement,
            covered_account_count,
            last_on: Some(keizoku_convert::date(Day(50))),
            ..EventCoverage::default()
        };
        let events = vec![event("a", false, 3), event("b", false, 5), event("a", true, 9)];
        let coverage = GetCoverageResponse { account_count: 10, events, ..GetCoverageResponse::default() };
        let metric = |source: &str| MetricDefinition {
            event_names: vec!["a".to_owned(), "b".to_owned()],
            source: source.to_owned(),
            ..MetricDefinition::default()
        };
        let found = covered(metric(""), &coverage, Day(100));
        assert_eq!((found.covered, found.accounts, found.last), (5, 10, Day(50)));
        assert_eq!(covered(metric("s"), &coverage, Day(30)).last, Day(29));
        assert_eq!(covered(metric("t"), &coverage, Day(30)).covered, 0);
    }
}
