//! `ingest-sqlite`: events taken in and counted on SQLite, against prepared INSERTs of the same rows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::taking_in::{Ground, contest};
use crate::run::Run;
use crate::system::server::Store;
use crate::yardstick::sqlite::{self, EventRow, Inserting};

const NAME: &str = "ingest-sqlite";
/// The yardsticks' rows in a transaction: as many as a client's batch, and as many as a transaction on PostgreSQL.
const TRANSACTIONS: [usize; 2] = [500, 5000];

/// Side by side, until the events are counted and until they are acknowledged.
pub(crate) async fn measure(run: &Run) -> anyhow::Result<()> {
    let folder = run.fresh_folder(NAME)?;
    let ground = Files { folder: folder.join("data"), yardsticks: Vec::new() };
    contest(run, NAME, &folder, ground).await
}

struct Files {
    folder: PathBuf,
    yardsticks: Vec<Inserting>,
}

impl Ground for Files {
    type Row = EventRow;

    fn store(&self) -> Store<'_> {
        Store::Sqlite(&self.folder)
    }

    async fn share(&mut self) -> anyhow::Result<()> {
        for rows in TRANSACTIONS {
            let folder = self.folder.with_extension(format!("yardstick-{rows}"));
            copy(&self.folder, &folder)?;
            self.yardsticks.push(Inserting::new(&folder, rows).await?);
        }
        Ok(())
    }

    async fn settle(&self) -> anyhow::Result<()> {
        let synced = tokio::process::Command::new("sync").status().await?;
        anyhow::ensure!(synced.success(), "sync failed");
        Ok(())
    }

    async fn mark(&self) -> anyhow::Result<i64> {
        sqlite::mark(&self.folder).await
    }

    async fn rows_after(&self, mark: i64) -> anyhow::Result<Vec<EventRow>> {
        sqlite::rows_after(&self.folder, mark).await
    }

    fn yardsticks(&self) -> usize {
        self.yardsticks.len()
    }

    async fn measure(&mut self, yardstick: usize, rows: &[EventRow], fresh: usize) -> anyhow::Result<Duration> {
        self.yardsticks.get_mut(yardstick).context("there is one for each number")?.store(rows, fresh).await
    }
}

/// Copies ingestion's file, and its log where it has one.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for name in ["ingestion.db", "ingestion.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name))?;
        }
    }
    Ok(())
}
