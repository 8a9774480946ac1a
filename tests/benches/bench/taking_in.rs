//! What `ingest` and `ingest-sqlite` share: the product and its yardsticks take in the same events in turn.

use std::path::Path;
use std::time::{Duration, Instant};

use keizoku_base::{Clock as _, SystemClock};

use crate::data::{Accounts, Events, Times};
use crate::figure::Figure;
use crate::run::Run;
use crate::system::channel;
use crate::system::feed::Counted;
use crate::system::server::{Keys, Options, Server, Store};
use crate::system::setup::{self, loads};

/// Where product and yardsticks store, each in tables of its own that were filled alike.
pub(crate) trait Ground {
    /// A stored event, ready for the yardsticks.
    type Row: Clone;

    /// Where the product stores.
    fn store(&self) -> Store<'_>;
    /// Gives the yardsticks what the product has now. The product does not run.
    async fn share(&mut self) -> anyhow::Result<()>;
    /// Brings what is still to be written to disk, so that every measurement begins even.
    async fn settle(&self) -> anyhow::Result<()>;
    /// A mark after everything that the product has stored.
    async fn mark(&self) -> anyhow::Result<i64>;
    /// What it has stored after a mark, in the order of its arrival.
    async fn rows_after(&self, mark: i64) -> anyhow::Result<Vec<Self::Row>>;
    /// How many yardsticks there are.
    fn yardsticks(&self) -> usize;
    /// Lets a yardstick store rows of which `fresh` are new; answers how long that took.
    async fn measure(&mut self, yardstick: usize, rows: &[Self::Row], fresh: usize) -> anyhow::Result<Duration>;
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    accounts: u32,
    /// Events that are there before.
    before: usize,
    /// Events of a round.
    round: usize,
}

impl Sizes {
    /// As the run asks for.
    pub(crate) fn of(run: &Run) -> Self {
        let full = Self { accounts: 10_000, before: 1_000_000, round: 200_000 };
        run.pick(full, Self { accounts: 1_000, before: 60_000, round: 20_000 })
    }
}

/// What a round came to.
#[derive(Debug, Clone, Copy)]
struct Round {
    events: f64,
    acknowledged: Duration,
    counted: Duration,
    processor: Duration,
    best: Duration,
}

/// Measures on this ground and reports.
pub(crate) async fn contest<G: Ground>(
    run: &Run,
    name: &'static str,
    folder: &Path,
    mut ground: G,
) -> anyhow::Result<()> {
    let sizes = Sizes::of(run);
    let keys = Keys::generate();
    let accounts = Accounts::new(sizes.accounts);
    let settings = [];
    let server = start(folder, &keys, &ground, &settings).await?;
    setup::workspace(&channel::connect(&server.endpoint(), &keys.bearer).await?, &accounts).await?;
    setup::fill(&server, &keys, &accounts, accounts.count(), sizes.before, |text| run.note(name, text)).await?;
    server.stop().await?;
    ground.share().await?;

    let server = start(folder, &keys, &ground, &settings).await?;
    let mut counted = Counted::follow(&server, &keys).await?;
    let mut rounds = Vec::new();
    for number in 0..=run.rounds() {
        // The round before the first one warms both sides up and does not count.
        let count = if number == 0 { sizes.round / 4 } else { sizes.round };
        let mut events = Events::new(&accounts, format!("round{number}"));
        let round = round(&server, &keys, &mut ground, &mut counted, &mut events, count).await?;
        if number > 0 {
            run.note(name, &told(number, &round));
            rounds.push(round);
        }
    }
    server.stop().await?;
    run.report(&figures(name, &rounds))
}

async fn start<G: Ground>(folder: &Path, keys: &Keys, ground: &G, settings: &[(&str, &str)]) -> anyhow::Result<Server> {
    let options = Options { store: ground.store(), services: "ingestion", settings };
    Server::start(folder, keys, options).await
}

async fn round<G: Ground>(
    server: &Server,
    keys: &Keys,
    ground: &mut G,
    counted: &mut Counted,
    events: &mut Events<'_>,
    count: usize,
) -> anyhow::Result<Round> {
    let mark = ground.mark().await?;
    let loads = loads(events, count, Times::Now(SystemClock.now()));
    let sent: usize = loads.iter().flatten().map(|batch| batch.events.len()).sum();
    ground.settle().await?;
    let before = server.processor_time()?;
    let begun = Instant::now();
    let taken = setup::send(server, keys, loads).await?;
    counted.reach(&taken.places).await?;
    let till_counted = begun.elapsed();
    let processor = server.processor_time()?.saturating_sub(before);

    let rows = with_duplicates(ground.rows_after(mark).await?, taken.duplicate);
    let mut best = Duration::MAX;
    for yardstick in 0..ground.yardsticks() {
        ground.settle().await?;
        best = best.min(ground.measure(yardstick, &rows, taken.stored).await?);
    }
    Ok(Round { events: sent as f64, acknowledged: taken.at - begun, counted: till_counted, processor, best })
}

/// The rows with `count` of them once more, each some time after its first appearance.
pub(crate) fn with_duplicates<R: Clone>(rows: Vec<R>, count: usize) -> Vec<R> {
    let every = rows.len() / count.max(1);
    let mut all = Vec::with_capacity(rows.len() + count);
    for (place, row) in rows.into_iter().enumerate() {
        all.push(row);
        if (place + 1) % every.max(1) == 0 && (place + 1) / every.max(1) <= count {
            all.push(all[all.len() / 2].clone());
        }
    }
    all
}

fn told(number: usize, round: &Round) -> String {
    let rate = |time: Duration| round.events / time.as_secs_f64();
    format!(
        "round {number}: {:.0} events/s counted, {:.0} acknowledged, {:.0} by the best yardstick",
        rate(round.counted),
        rate(round.acknowledged),
        rate(round.best)
    )
}

fn figures(name: &'static str, rounds: &[Round]) -> Vec<Figure> {
    let of = |figure, unit, sample: fn(&Round) -> f64| {
        let mut figure = Figure::new(name, figure, unit);
        rounds.iter().for_each(|round| figure.add(sample(round)));
        figure
    };
    vec![
        of("ratio", "ratio", |round| round.best.as_secs_f64() / round.counted.as_secs_f64()),
        of("ack_ratio", "ratio", |round| round.best.as_secs_f64() / round.acknowledged.as_secs_f64()),
        of("events_per_s", "events/s", |round| round.events / round.counted.as_secs_f64()),
        of("yardstick_events_per_s", "events/s", |round| round.events / round.best.as_secs_f64()),
        of("server_cpu_us", "µs/event", |round| round.processor.as_secs_f64() * 1e6 / round.events),
    ]
}
