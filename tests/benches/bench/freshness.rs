//! `freshness`: from an event to the changed score, all services in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use keizoku_base::{Clock as _, SystemClock};
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::{Event, IngestEventsRequest};
use keizoku_proto::scoring::score_service_client::ScoreServiceClient;

use crate::data::{Accounts, Events, SOURCE, Times, account_ref};
use crate::figure::Figure;
use crate::load::{self, Call, Latencies};
use crate::run::Run;
use crate::system::channel::{self, Wire};
use crate::system::database::Database;
use crate::system::server::{Keys, Options, Server, Store};
use crate::system::{model, setup};

const NAME: &str = "freshness";
/// Batches a second that carry the load.
const BATCHES: f64 = 50.0;
/// Single events a second by which the lag of a load is told.
const LOOKS: f64 = 20.0;
/// How far apart the rates are that are tried.
const STEP: f64 = 1.25;
/// The first rate that is tried, in events a second.
const FIRST: f64 = 1_000.0;
/// Beyond this the load could not be made any more.
const LAST: f64 = 100_000.0;
/// The lag that the rate must keep to.
const LAG: Duration = Duration::from_secs(1);
/// How long a call may take where nothing else is said; what is refused counts as that.
const PATIENCE: Duration = Duration::from_secs(60);
/// Accounts that only probes write to, so that it is known what their scores must hold.
const PROBED: usize = 200;

/// The product as it is measured, with two connections: events go over one, scores come over the other.
struct Subject {
    server: Server,
    accounts: Accounts,
    writer: Wire,
    reader: Wire,
    series: AtomicU64,
    probed: Arc<[AtomicU64]>,
}

/// The rate that is sustained, then the time to a changed score at half of it.
pub(crate) async fn measure(run: &Run) -> anyhow::Result<()> {
    let folder = run.fresh_folder(NAME)?;
    let keys = Keys::generate();
    let database = Database::create(run.postgres()).await?;
    let options = Options { store: Store::Postgres(&database), services: "", settings: &[] };
    let server = Server::start(&folder, &keys, options).await?;
    let accounts = Accounts::new(run.pick(10_000, 500));
    let writer = channel::connect(&server.endpoint(), &keys.bearer).await?;
    let reader = channel::connect(&server.endpoint(), &keys.bearer).await?;
    setup::workspace(&writer, &accounts).await?;
    model::apply(&writer).await?;
    let (known, events) = (accounts.count() + PROBED, run.pick(300_000, 15_000));
    setup::fill(&server, &keys, &accounts, known, events, |text| run.note(NAME, text)).await?;
    let probed = (0..PROBED).map(|_| AtomicU64::new(0)).collect();
    let subject = Subject { server, accounts, writer, reader, series: AtomicU64::new(0), probed };
    subject.settle().await?;

    let sustained = sustained(run, &subject).await?;
    let half = sustained.median() / 2.0;
    subject.settle().await?;
    let mut figures = vec![sustained];
    figures.extend(latency(run, &subject, half).await?);
    run.report(&figures)
}

/// The highest rate of a ladder at which every score comes in time; each round begins where the one before ended.
async fn sustained(run: &Run, subject: &Subject) -> anyhow::Result<Figure> {
    let time = run.pick(20.0, 2.0);
    let mut figure = Figure::new(NAME, "sustained_events_per_s", "events/s");
    // Steps of two come near; steps of a quarter then decide.
    let mut rate = subject.climb(run, FIRST, 2.0, time).await?;
    for _ in 0..run.rounds() {
        rate = subject.climb(run, rate, STEP, time).await?;
        figure.add(rate);
    }
    Ok(figure)
}

/// Sent, acknowledged, read by another connection, at `rate` events a second.
async fn latency(run: &Run, subject: &Subject, rate: f64) -> anyhow::Result<Vec<Figure>> {
    let calls = run.pick(20_000.0, 500.0);
    let mut tail = Figure::new(NAME, "p99_ms", "ms");
    let mut middle = Figure::new(NAME, "p50_ms", "ms");
    let mut processor = Figure::new(NAME, "server_cpu_us", "µs/event");
    for round in 0..run.rounds() {
        let alone = rate.min((rate / 5.0).clamp(100.0, 400.0));
        let time = calls / alone;
        let before = subject.server.processor_time()?;
        let probes = subject.mix(rate, alone, time, PATIENCE).await?;
        let probes = probes.context("at half of the rate that held, a score took longer than a minute")?;
        let used = subject.server.processor_time()?.saturating_sub(before);
        let (p50, p99) = (probes.percentile_ms(50.0), probes.percentile_ms(99.0));
        middle.add(p50);
        tail.add(p99);
        processor.add(used.as_secs_f64() * 1e6 / (rate * time));
        run.note(NAME, &format!("round {}: at {rate:.0} events/s p50 {p50:.1} ms, p99 {p99:.1} ms", round + 1));
    }
    Ok(vec![tail, middle, processor])
}

impl Subject {
    /// The highest rate that holds, in steps up or down from `rate`.
    async fn climb(&self, run: &Run, mut rate: f64, step: f64, time: f64) -> anyhow::Result<f64> {
        if self.holds(run, rate, time).await? {
            while rate * step <= LAST && self.holds(run, rate * step, time).await? {
                rate *= step;
            }
            return Ok(rate);
        }
        while rate > 1.0 {
            rate /= step;
            if self.holds(run, rate, time).await? {
                return Ok(rate);
            }
        }
        bail!("not even one event a second becomes a score in time")
    }

    /// Whether at this rate, for so many seconds, every score was there in time.
    async fn holds(&self, run: &Run, rate: f64, time: f64) -> anyhow::Result<bool> {
        let Some(probes) = self.mix(rate, LOOKS.min(rate), time, LAG).await? else {
            run.note(NAME, &format!("{rate:.0} events/s do not hold"));
            self.settle().await?;
            return Ok(false);
        };
        run.note(NAME, &format!("{rate:.0} events/s hold: the longest lag was {:.0} ms", probes.longest_ms()));
        Ok(true)
    }

    /// Events at this rate, for so many seconds, `alone` of them a second one by one and the others in batches; answers how
    /// long it took until the single ones were in their scores. `None`, and at once, where one took longer than `limit`.
    async fn mix(&self, rate: f64, alone: f64, time: f64, limit: Duration) -> anyhow::Result<Option<Latencies>> {
        let probes = (alone * time).ceil() as u64;
        let (batches, calls) = self.batches(rate - alone, time);
        let load = load::open(BATCHES, calls, limit, self.load(batches));
        let (load, probes) = futures::try_join!(load, load::open(alone, probes, limit, self.probe(probes)))?;
        Ok(load.and(probes))
    }

    /// Waits until nothing is left to do: single events, one after the other, are in their scores soon.
    async fn settle(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut in_time = 0;
        let (most, enough) = (10_000, 16);
        let probe = self.probe(most);
        for number in 0..most {
            ensure!(begun.elapsed() < PATIENCE, "scoring does not catch up");
            let sent = Instant::now();
            probe(number).await?;
            in_time = if sent.elapsed() < LAG / 4 { in_time + 1 } else { 0 };
            if in_time == enough {
                return Ok(());
            }
        }
        bail!("scoring does not keep up with single events")
    }

    /// The batches of a load, made before it begins.
    fn batches(&self, rate: f64, time: f64) -> (Arc<[Vec<Event>]>, u64) {
        let series = self.series.fetch_add(1, Ordering::Relaxed);
        let mut events = Events::new(&self.accounts, format!("load{series}"));
        let times = Times::Now(SystemClock.now());
        let calls = (BATCHES * time).ceil() as u64;
        // What does not come out even is spread over the batches; there may be nothing to send in some.
        let upto = |number: u64| (number as f64 * rate / BATCHES).round() as u64;
        let batch = |number| (upto(number)..upto(number + 1)).map(|_| events.next(times)).collect();
        ((0..calls).map(batch).collect(), calls)
    }

    /// Sends a batch.
    fn load(&self, batches: Arc<[Vec<Event>]>) -> impl Call + use<> {
        let writer = self.writer.clone();
        move |number| {
            let sent = sent(writer.clone(), batches[number as usize].clone());
            async move { sent.await.map(|_| ()) }
        }
    }

    /// Sends one event of an account that only probes write to, reads its score and sees that the event is in it.
    fn probe(&self, calls: u64) -> impl Call + use<> {
        let series = self.series.fetch_add(1, Ordering::Relaxed);
        let mut events = Events::new(&self.accounts, format!("probe{series}"));
        let first = self.accounts.count();
        let place = |number: u64| number as usize % PROBED;
        let times = Times::Now(SystemClock.now());
        let events: Arc<[Event]> = (0..calls).map(|number| events.of(first + place(number), times)).collect();
        let (writer, reader, probed) = (self.writer.clone(), self.reader.clone(), Arc::clone(&self.probed));
        move |number| {
            let event = events[number as usize].clone();
            let (writer, reader, probed) = (writer.clone(), reader.clone(), Arc::clone(&probed));
            async move {
                let seen = &probed[place(number)];
                // What earlier probes have seen stays, and this one adds its own.
                let least = seen.load(Ordering::Relaxed) + 1;
                let Some(found) = sent_and_read(writer, reader, first + place(number), event).await? else {
                    return Ok(());
                };
                ensure!(found >= least as f64, "a score holds {found} actions, of which {least} were acknowledged");
                seen.fetch_max(found as u64, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// Sends events; answers where they stand, nothing where there was nothing to send.
async fn sent(writer: Wire, events: Vec<Event>) -> anyhow::Result<Option<Bytes>> {
    if events.is_empty() {
        return Ok(None);
    }
    let request = IngestEventsRequest { source: SOURCE.to_owned(), events, ..IngestEventsRequest::default() };
    let Some(taken) = or_late(EventServiceClient::new(writer).ingest_events(request).await).await? else {
        return Ok(None);
    };
    ensure!(taken.rejections.is_empty(), "an event was rejected: {:?}", taken.rejections.first());
    Ok(Some(taken.position))
}

/// Sends an event, and reads the score of its account as far as the event goes; answers the actions it counts.
async fn sent_and_read(writer: Wire, reader: Wire, account: usize, event: Event) -> anyhow::Result<Option<f64>> {
    let Some(position) = sent(writer, vec![event]).await? else { return Ok(None) };
    let question = model::question(account_ref(account), Some(position));
    let score = or_late(ScoreServiceClient::new(reader).get_score(question).await).await?;
    score.map(|score| model::counted_actions(&score)).transpose()
}

/// What was answered; `None` where it was refused as too much, and so late that it counts as such.
async fn or_late<M>(answer: Result<tonic::Response<M>, tonic::Status>) -> anyhow::Result<Option<M>> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if model::behind(&status) => {
            tokio::time::sleep(PATIENCE).await;
            Ok(None)
        }
        Err(status) => Err(status.into()),
    }
}
