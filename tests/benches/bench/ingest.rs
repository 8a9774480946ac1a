//! `ingest`: events taken in and counted on PostgreSQL, against COPY and INSERT of the same rows.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;

use super::taking_in::{Ground, contest};
use crate::run::Run;
use crate::system::database::Database;
use crate::system::server::Store;
use crate::yardstick::copy::{self, Copying};

const NAME: &str = "ingest";
/// The yardsticks' connections.
const CONNECTIONS: [usize; 2] = [1, 2];

/// Side by side, until the events are counted and until they are acknowledged.
pub(crate) async fn measure(run: &Run) -> anyhow::Result<()> {
    let folder = run.fresh_folder(NAME)?;
    let ground = Postgres { database: Database::create(run.postgres()).await?, yardsticks: Vec::new() };
    contest(run, NAME, &folder, ground).await
}

struct Postgres {
    database: Database,
    yardsticks: Vec<Copying>,
}

impl Ground for Postgres {
    type Row = Bytes;

    fn store(&self) -> Store<'_> {
        Store::Postgres(&self.database)
    }

    async fn share(&mut self) -> anyhow::Result<()> {
        for connections in CONNECTIONS {
            let copy = self.database.copy().await?;
            self.yardsticks.push(Copying::new(&copy, connections).await?);
        }
        Ok(())
    }

    async fn settle(&self) -> anyhow::Result<()> {
        self.database.checkpoint().await
    }

    async fn mark(&self) -> anyhow::Result<i64> {
        copy::mark(&self.database).await
    }

    async fn rows_after(&self, mark: i64) -> anyhow::Result<Vec<Bytes>> {
        copy::rows_after(&self.database, mark).await
    }

    fn yardsticks(&self) -> usize {
        self.yardsticks.len()
    }

    async fn measure(&mut self, yardstick: usize, rows: &[Bytes], fresh: usize) -> anyhow::Result<Duration> {
        self.yardsticks.get_mut(yardstick).context("there is one for each number")?.store(rows, fresh).await
    }
}
