//! What a measurement needs before it begins: accounts, metrics, a model, events of the days before.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use keizoku_base::{Clock as _, SystemClock};
use keizoku_proto::ingestion::account_service_client::AccountServiceClient;
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::metric_definition::Aggregation;
use keizoku_proto::ingestion::{
    AccountItem, MetricDefinition, Outcome, PutAccountsRequest, PutMetricRequest, StreamEventsRequest,
};
use tokio::task::JoinSet;

use super::channel::{self, Wire};
use super::feed::{self, Counted, Places};
use super::server::{Keys, Server};
use crate::data::{Accounts, Events, Times, external};

/// Streams that send at the same time.
pub(crate) const STREAMS: usize = 4;
/// Events of a batch.
pub(crate) const BATCH: usize = 500;
/// Over how many days the events of before are spread.
const DAYS: i64 = 7;
/// Events that are made and sent at once while tables are filled.
const FILL: usize = 100_000;

/// What a load of events came to.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    /// Events that were new.
    pub(crate) stored: usize,
    /// Events that were there already.
    pub(crate) duplicate: usize,
    /// Where they stand.
    pub(crate) places: Places,
    /// When the last acknowledgement came.
    pub(crate) at: Instant,
}

/// Makes the accounts and the five metrics.
pub(crate) async fn workspace(wire: &Wire, accounts: &Accounts) -> anyhow::Result<()> {
    put_accounts(wire, accounts).await?;
    let mut events = EventServiceClient::new(wire.clone());
    for metric in metrics() {
        events.put_metric(PutMetricRequest { metric: Some(metric), ..PutMetricRequest::default() }).await?;
    }
    Ok(())
}

/// Sends `count` events of the last week and waits until they are counted. The first `known` accounts and all their users
/// are known then.
pub(crate) async fn fill(
    server: &Server,
    keys: &Keys,
    accounts: &Accounts,
    known: usize,
    count: usize,
    note: impl Fn(&str),
) -> anyhow::Result<Places> {
    let mut counted = Counted::follow(server, keys).await?;
    let mut events = Events::new(accounts, "fill").introducing(known);
    let mut places = Places::new();
    let mut sent = 0;
    while sent < count {
        let wanted = FILL.min(count - sent);
        let loads = loads(&mut events, wanted, Times::Before(SystemClock.now(), DAYS));
        let acknowledged = send(server, keys, loads).await?;
        feed::advance(&mut places, acknowledged.places);
        sent += wanted;
        note(&format!("{sent} of {count} events are there before it begins"));
    }
    counted.reach(&places).await?;
    Ok(places)
}

/// `count` events in batches, for the streams.
pub(crate) fn loads(events: &mut Events<'_>, count: usize, times: Times) -> Vec<Vec<StreamEventsRequest>> {
    let batches = count.div_ceil(STREAMS * BATCH);
    (0..STREAMS).map(|_| events.batches(batches, BATCH, times)).collect()
}

/// Sends each load over a stream and a connection of its own, all at the same time.
pub(crate) async fn send(
    server: &Server,
    keys: &Keys,
    loads: Vec<Vec<StreamEventsRequest>>,
) -> anyhow::Result<Acknowledged> {
    let wires = channel::connect_many(&server.endpoint(), &keys.bearer, loads.len()).await?;
    let sent: usize = loads.iter().flatten().map(|batch| batch.events.len()).sum();
    let mut streams = JoinSet::new();
    for (wire, load) in wires.into_iter().zip(loads) {
        streams.spawn(send_one(wire, load));
    }
    let mut all = Acknowledged { stored: 0, duplicate: 0, places: Places::new(), at: Instant::now() };
    while let Some(one) = streams.join_next().await {
        let one = one??;
        all.stored += one.stored;
        all.duplicate += one.duplicate;
        feed::advance(&mut all.places, one.places);
        all.at = all.at.max(one.at);
    }
    ensure!(all.stored + all.duplicate == sent, "{} + {} of {sent} were taken", all.stored, all.duplicate);
    Ok(all)
}

async fn send_one(wire: Wire, load: Vec<StreamEventsRequest>) -> anyhow::Result<Acknowledged> {
    let last = load.last().map_or(0, |batch| batch.batch);
    let mut acknowledgements =
        EventServiceClient::new(wire).stream_events(tokio_stream::iter(load)).await?.into_inner();
    let mut sum = Acknowledged { stored: 0, duplicate: 0, places: Places::new(), at: Instant::now() };
    let mut reached = 0;
    while let Some(acknowledgement) = acknowledgements.message().await? {
        reached = acknowledgement.acknowledged_batch;
        let result = acknowledgement.result.context("an acknowledgement says what became of the batch")?;
        if let Some(rejection) = result.rejections.first() {
            bail!("an event was rejected: {:?}", rejection.status);
        }
        sum.stored += usize::try_from(result.stored_count)?;
        sum.duplicate += usize::try_from(result.duplicate_count)?;
        feed::advance(&mut sum.places, feed::places(&result.position)?);
        sum.at = Instant::now();
    }
    ensure!(reached == last, "{reached} of {last} batches were acknowledged");
    Ok(sum)
}

async fn put_accounts(wire: &Wire, accounts: &Accounts) -> anyhow::Result<()> {
    let mut service = AccountServiceClient::new(wire.clone());
    let item = |account: usize| AccountItem {
        external_id: Some(external(account)),
        display_name: Some(format!("Account {account}")),
        ..AccountItem::default()
    };
    let all: Vec<usize> = (0..accounts.count()).collect();
    for chunk in all.chunks(1000) {
        let items = chunk.iter().copied().map(item).collect();
        let answer = service.put_accounts(PutAccountsRequest { items, ..PutAccountsRequest::default() }).await?;
        let outcomes: BTreeSet<i32> = answer.into_inner().results.iter().map(|result| result.outcome).collect();
        ensure!(outcomes == BTreeSet::from([Outcome::Stored.into()]), "accounts were not stored: {outcomes:?}");
    }
    Ok(())
}

/// Five metrics, one of distinct users, one with a CEL filter.
fn metrics() -> [MetricDefinition; 5] {
    let metric = |key: &str, names: &[&str], aggregation: Aggregation| MetricDefinition {
        key: key.to_owned(),
        event_names: names.iter().map(|name| (*name).to_owned()).collect(),
        aggregation: aggregation.into(),
        ..MetricDefinition::default()
    };
    let all = ["view", "edit", "login", "share", "export", "purchase"];
    [
        metric("actions", &all, Aggregation::Count),
        metric("active_users", &all, Aggregation::DistinctUsers),
        metric("revenue", &["purchase"], Aggregation::Sum),
        MetricDefinition {
            filter: "event.mobile == true && event.plan != 'free'".to_owned(),
            ..metric("mobile_actions", &["view", "edit", "share"], Aggregation::Count)
        },
        MetricDefinition { field: "duration_ms".to_owned(), ..metric("longest_export", &["export"], Aggregation::Max) },
    ]
}
