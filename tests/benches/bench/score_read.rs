//! `score-read`: GetScore with contributions and login, against a bare tonic server that sends bytes of the same size.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use keizoku_proto::scoring::GetScoreRequest;
use keizoku_proto::scoring::score_service_client::ScoreServiceClient;
use prost::Message as _;

use crate::data::{Accounts, account_ref};
use crate::figure::Figure;
use crate::load::{self, Call};
use crate::run::Run;
use crate::system::channel::{self, Wire};
use crate::system::database::Database;
use crate::system::server::{Keys, Options, Server, Store};
use crate::system::{model, proc, setup};
use crate::yardstick::echo::Echo;

const NAME: &str = "score-read";
/// Calls in work at the same time.
const LANES: usize = 64;
/// Connections that they share.
const CONNECTIONS: usize = 8;
/// Accounts that are asked for: few enough to stay in the first cache.
const HOT: usize = 256;
/// Bounds of ours that a stall of the machine must not run into.
const BOUNDS: [(&str, &str); 2] =
    [("KEIZOKU__NODE__LIMITS__CALLS", "16384"), ("KEIZOKU__NODE__LIMITS__CONNECTION_STREAMS", "4096")];

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A side of the comparison: who answers, and how much processor time that takes.
struct Side {
    label: &'static str,
    wires: Arc<[Wire]>,
    pid: u32,
}

/// Throughput in a closed loop, then the 99th percentile at half of each side's own peak.
pub(crate) async fn measure(run: &Run) -> anyhow::Result<()> {
    let folder = run.fresh_folder(NAME)?;
    let keys = Keys::generate();
    let database = Database::create(run.postgres()).await?;
    let accounts = Accounts::new(run.pick(10_000, 1_000));
    let server = start(&folder, &keys, &database, &[]).await?;
    let wire = channel::connect(&server.endpoint(), &keys.bearer).await?;
    setup::workspace(&wire, &accounts).await?;
    model::apply(&wire).await?;
    let events = run.pick(300_000, 30_000);
    setup::fill(&server, &keys, &accounts, accounts.count(), events, |text| run.note(NAME, text)).await?;
    let questions: Arc<[GetScoreRequest]> =
        (0..HOT).map(|account| model::question(account_ref(account), None)).collect();
    let mut answers = Vec::with_capacity(HOT);
    for question in &*questions {
        answers.push(model::scored(&wire, question).await?.encode_to_vec());
    }
    server.stop().await?;

    // Each has a database of its own, or the two would share the work of filling caches.
    let copy = database.copy().await?;
    let first_level = start(&folder, &keys, &database, &[]).await?;
    let second_level = [("KEIZOKU__CACHE__ENTRIES", "0"), ("KEIZOKU__CACHE__REDIS_URL", run.redis())];
    let redis = start(&folder, &keys, &copy, &second_level).await?;
    let echo = Echo::start(&folder, &answers)?;
    let sides = [
        Side::new("echo", echo.endpoint(), &keys, echo.pid()).await?,
        Side::new("l1", &first_level.endpoint(), &keys, first_level.pid()).await?,
        Side::new("redis", &redis.endpoint(), &keys, redis.pid()).await?,
    ];
    run.note(NAME, &format!("answers of {} bytes", answers.iter().map(Vec::len).sum::<usize>() / HOT));
    let mut figures = throughput(run, &sides, &questions).await?;
    let peaks = [figures[0].median(), figures[1].median()];
    figures.extend(latency(run, &sides, peaks, &questions).await?);
    run.report(&figures)
}

impl Side {
    async fn new(label: &'static str, endpoint: &str, keys: &Keys, pid: u32) -> anyhow::Result<Self> {
        let wires = channel::connect_many(endpoint, &keys.bearer, CONNECTIONS).await?.into();
        Ok(Self { label, wires, pid })
    }

    /// Asks one of the questions over one of the connections.
    fn call(&self, questions: &Arc<[GetScoreRequest]>) -> impl Call + use<> {
        let (wires, questions) = (Arc::clone(&self.wires), Arc::clone(questions));
        move |number| {
            let place = number as usize;
            let mut service = ScoreServiceClient::new(wires[place % wires.len()].clone());
            // Another account with every call, and another pairing with connections in every pass.
            let question = questions[(place + place / questions.len()) % questions.len()].clone();
            async move {
                let answer = service.get_score(question).await?.into_inner();
                model::counted_actions(&answer)?;
                Ok(())
            }
        }
    }
}

async fn start(folder: &Path, keys: &Keys, database: &Database, settings: &[(&str, &str)]) -> anyhow::Result<Server> {
    let settings: Vec<_> = BOUNDS.into_iter().chain(settings.iter().copied()).collect();
    let options = Options { store: Store::Postgres(database), services: "", settings: &settings };
    Server::start(folder, keys, options).await
}

async fn throughput(run: &Run, sides: &[Side; 3], questions: &Arc<[GetScoreRequest]>) -> anyhow::Result<Vec<Figure>> {
    let time = run.pick(Duration::from_secs(5), Duration::from_millis(1200));
    let mut rates = [
        Figure::new(NAME, "echo_calls_per_s", "calls/s"),
        Figure::new(NAME, "l1_calls_per_s", "calls/s"),
        Figure::new(NAME, "redis_calls_per_s", "calls/s"),
    ];
    let mut ratios = [Figure::new(NAME, "l1_ratio", "ratio"), Figure::new(NAME, "redis_ratio", "ratio")];
    let mut processor = [
        Figure::new(NAME, "echo_cpu_us", "µs/call"),
        Figure::new(NAME, "l1_cpu_us", "µs/call"),
        Figure::new(NAME, "redis_cpu_us", "µs/call"),
    ];
    for round in 0..run.rounds() {
        let mut rate = [0.0; 3];
        for turn in 0..sides.len() {
            // Nobody is always first.
            let place = (turn + round) % sides.len();
            let side = &sides[place];
            load::closed(LANES, time / 5, side.call(questions)).await?;
            let before = proc::processor_time(side.pid)?;
            let done = load::closed(LANES, time, side.call(questions)).await?;
            let used = proc::processor_time(side.pid)?.saturating_sub(before);
            rate[place] = done.per_second;
            rates[place].add(done.per_second);
            processor[place].add(used.as_secs_f64() * 1e6 / done.calls as f64);
            run.note(NAME, &format!("round {}: {} {:.0} calls/s", round + 1, side.label, done.per_second));
        }
        ratios[0].add(rate[1] / rate[0]);
        ratios[1].add(rate[2] / rate[0]);
    }
    Ok(rates.into_iter().chain(ratios).chain(processor).collect())
}

async fn latency(
    run: &Run,
    sides: &[Side; 3],
    peaks: [f64; 2],
    questions: &Arc<[GetScoreRequest]>,
) -> anyhow::Result<Vec<Figure>> {
    let calls = run.pick(20_000, 4_000);
    let mut ratio = Figure::new(NAME, "p99_ratio", "ratio");
    let mut tails = [Figure::new(NAME, "echo_p99_ms", "ms"), Figure::new(NAME, "l1_p99_ms", "ms")];
    for round in 0..run.rounds() {
        let mut tail = [0.0; 2];
        for turn in 0..tail.len() {
            let place = (turn + round) % tail.len();
            let side = &sides[place];
            let rate = peaks[place] / 2.0;
            load::open(rate, calls / 10, PATIENCE, side.call(questions)).await?;
            let latencies = load::open(rate, calls, PATIENCE, side.call(questions)).await?;
            let latencies = latencies.context("a score took longer than a minute")?;
            tail[place] = latencies.percentile_ms(99.0);
            tails[place].add(tail[place]);
            run.note(NAME, &format!("round {}: {} p99 {:.2} ms", round + 1, side.label, tail[place]));
        }
        ratio.add(tail[1] / tail[0]);
    }
    let [echo, first_level] = tails;
    Ok(vec![ratio, echo, first_level])
}
