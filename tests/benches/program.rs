//! The measurements by name, and what the words of the command line ask for.

use std::io::Write as _;

use crate::run::{self, Run};
use crate::{bench, yardstick};
use futures::future::BoxFuture;

/// A measurement by its name.
struct Bench {
    name: &'static str,
    measure: for<'r> fn(&'r Run) -> BoxFuture<'r, anyhow::Result<()>>,
}

/// Every measurement, in the order in which all are run.
const BENCHES: &[Bench] = &[
    Bench { name: "idle", measure: |run| Box::pin(bench::idle::measure(run)) },
    Bench { name: "ingest", measure: |run| Box::pin(bench::ingest::measure(run)) },
    Bench { name: "ingest-sqlite", measure: |run| Box::pin(bench::ingest_sqlite::measure(run)) },
    Bench { name: "score-read", measure: |run| Box::pin(bench::score_read::measure(run)) },
    Bench { name: "freshness", measure: |run| Box::pin(bench::freshness::measure(run)) },
];

/// Does what the words say; answers the exit code.
pub(crate) fn run(words: impl Iterator<Item = String>) -> u8 {
    // Cargo adds `--bench` to what the caller said.
    let arguments: Vec<String> = words.filter(|argument| argument != "--bench").collect();
    if let [flag, file] = arguments.as_slice()
        && flag == yardstick::echo::FLAG
    {
        return finish(on_runtime(yardstick::echo::serve(file.into())));
    }
    if arguments == ["--names"] {
        return finish(names());
    }
    match chosen(&arguments) {
        Ok(benches) => finish(on_runtime(run_all(benches))),
        Err(unknown) => {
            run::say(&format!("no measurement is called {unknown:?}; there are {}", known().join(", ")));
            2
        }
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Bench>, String> {
    if names.is_empty() {
        return Ok(BENCHES.iter().collect());
    }
    names.iter().map(|name| BENCHES.iter().find(|bench| bench.name == name).ok_or_else(|| name.clone())).collect()
}

fn known() -> Vec<&'static str> {
    BENCHES.iter().map(|bench| bench.name).collect()
}

fn names() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for name in known() {
        writeln!(out, "{name}")?;
    }
    Ok(())
}

async fn run_all(benches: Vec<&'static Bench>) -> anyhow::Result<()> {
    let run = Run::from_environment().await?;
    for bench in benches {
        let begun = std::time::Instant::now();
        let measured = (bench.measure)(&run).await;
        let cleared = run.clear().await;
        measured.and(cleared).map_err(|fault| fault.context(bench.name))?;
        run.note(bench.name, &format!("took {:.0} s", begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// The runtime that `keizoku` itself runs on: all cores, with the defaults.
fn on_runtime(work: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(work)
}

fn finish(result: anyhow::Result<()>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(fault) => {
            run::say(&format!("{fault:#}"));
            1
        }
    }
}
