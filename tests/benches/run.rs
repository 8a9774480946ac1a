//! What all measurements share: how much to measure, and on what.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use keizoku_runtime::config;

use crate::figure::Figure;
use crate::system::database;

/// The measurement of one call of the program.
#[derive(Debug)]
pub(crate) struct Run {
    quick: bool,
    postgres: String,
    redis: String,
    folder: PathBuf,
}

impl Run {
    /// Reads the settings and sees that PostgreSQL keeps its promises.
    pub(crate) async fn from_environment() -> anyhow::Result<Self> {
        let environment = config::environment();
        let required = |name: &str| {
            let missing = || format!("{name} is not set: scripts/bench brings up the services and sets it");
            environment.get(name).cloned().with_context(missing)
        };
        let quick = environment.get("QUICK").is_some_and(|value| !value.is_empty() && value != "0");
        let postgres = required("KEIZOKU_TEST_POSTGRES_URL")?;
        let redis = required("KEIZOKU_TEST_REDIS_URL")?;
        say(&format!("{} on {}", keizoku_tests::binary().display(), machine()));
        say(&database::promises(&postgres).await?);
        let folder = keizoku_tests::root().join(format!("target/bench/run-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { quick, postgres, redis, folder })
    }

    /// How often each side is measured.
    pub(crate) fn rounds(&self) -> usize {
        self.pick(5, 3)
    }

    /// `full`, or `quick` where the run is to be quick.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The PostgreSQL server, as its superuser.
    pub(crate) fn postgres(&self) -> &str {
        &self.postgres
    }

    /// The Redis server.
    pub(crate) fn redis(&self) -> &str {
        &self.redis
    }

    /// A fresh folder on the disk of the checkout, for data and logs; gone at the end of the run.
    pub(crate) fn fresh_folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Removes what a measurement has left, so that the next one begins on an idle machine.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        database::clear(&self.postgres).await
    }

    /// Tells how far a measurement is.
    pub(crate) fn note(&self, bench: &str, text: &str) {
        say(&format!("{bench}: {text}"));
    }

    /// Writes the figures, a line each.
    pub(crate) fn report(&self, figures: &[Figure]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        for figure in figures {
            writeln!(out, "{}", figure.line())?;
        }
        out.flush()?;
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What stays behind is in target/, which nobody keeps.
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// A line on standard error, so that standard output holds figures only.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// Cores, memory and processor of this machine.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let first = |file: &str, key: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    format!("{cores} cores, {}, {} of memory", first("/proc/cpuinfo", "model name"), first("/proc/meminfo", "MemTotal"))
}
