//! The least that taking in events takes on SQLite: prepared INSERTs of many rows into the very tables that the product
//! writes, on one connection with the product's settings.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _, Sqlite};

/// Rows of a statement: with more, binding costs more than it saves.
const STATEMENT: usize = 100;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// A whole number.
    Integer(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

/// The row of an event, and the row of its key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EventRow {
    event: Vec<Cell>,
    key: Vec<Cell>,
}

/// The events that the product stored after `mark` (a time of arrival), in the order of their arrival.
pub(crate) async fn rows_after(folder: &Path, mark: i64) -> anyhow::Result<Vec<EventRow>> {
    let mut connection = open(folder).await?;
    let events = columns(&mut connection, "event").await?;
    let keys = columns(&mut connection, "event_key").await?;
    let query = "SELECT e.*, k.* FROM event e
         JOIN event_key k ON k.workspace_id = e.workspace_id AND k.id_hash = e.id_hash
         WHERE e.received_at > ? ORDER BY e.received_at, e.partition, e.seq";
    let rows = sqlx::query(query).bind(mark).fetch_all(&mut connection).await?;
    rows.iter()
        .map(|row| Ok(EventRow { event: cells(row, 0, &events)?, key: cells(row, events.len(), &keys)? }))
        .collect()
}

/// The latest time of arrival.
pub(crate) async fn mark(folder: &Path) -> anyhow::Result<i64> {
    let row = open(folder).await?.fetch_one("SELECT coalesce(max(received_at), 0) FROM event").await?;
    Ok(row.try_get(0)?)
}

/// The yardstick on a file that has the product's tables.
#[derive(Debug)]
pub(crate) struct Inserting {
    connection: SqliteConnection,
    event: Insert,
    key: Insert,
    transaction: usize,
}

/// An INSERT into one table.
#[derive(Debug, Clone)]
struct Insert {
    head: String,
    row: String,
    full: Arc<str>,
}

impl Inserting {
    /// On the file in `folder`, so many rows in a transaction.
    pub(crate) async fn new(folder: &Path, transaction: usize) -> anyhow::Result<Self> {
        let mut connection = open(folder).await?;
        let event = Insert::into(&mut connection, "event").await?;
        let key = Insert::into(&mut connection, "event_key").await?;
        Ok(Self { connection, event, key, transaction })
    }

    /// Stores the rows, of which `fresh` are new; answers how long that took.
    pub(crate) async fn store(&mut self, rows: &[EventRow], fresh: usize) -> anyhow::Result<Duration> {
        let before = self.count().await?;
        let begun = Instant::now();
        for batch in rows.chunks(self.transaction) {
            self.connection.execute("BEGIN IMMEDIATE").await?;
            for rows in batch.chunks(STATEMENT) {
                self.key.run(&mut self.connection, rows.iter().map(|row| row.key.as_slice())).await?;
                self.event.run(&mut self.connection, rows.iter().map(|row| row.event.as_slice())).await?;
            }
            self.connection.execute("COMMIT").await?;
        }
        let took = begun.elapsed();
        let stored = self.count().await? - before;
        ensure!(usize::try_from(stored)? == fresh, "the yardstick stored {stored} events, the product {fresh}");
        Ok(took)
    }

    async fn count(&mut self) -> anyhow::Result<i64> {
        Ok(self.connection.fetch_one("SELECT count(*) FROM event").await?.try_get(0)?)
    }
}

impl Insert {
    async fn into(connection: &mut SqliteConnection, table: &str) -> anyhow::Result<Self> {
        let columns = columns(connection, table).await?;
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let head = format!("INSERT INTO {table} ({}) VALUES ", names.join(", "));
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let full = statement(&head, &row, STATEMENT).into();
        Ok(Self { head, row, full })
    }

    async fn run<'r>(
        &self,
        connection: &mut SqliteConnection,
        rows: impl ExactSizeIterator<Item = &'r [Cell]>,
    ) -> anyhow::Result<()> {
        let full = rows.len() == STATEMENT;
        let sql = if full { Arc::clone(&self.full) } else { statement(&self.head, &self.row, rows.len()).into() };
        let query = rows.flatten().fold(sqlx::query(AssertSqlSafe(sql)), bind);
        query.persistent(full).execute(connection).await?;
        Ok(())
    }
}

fn statement(head: &str, row: &str, rows: usize) -> String {
    format!("{head}{} ON CONFLICT DO NOTHING", vec![row; rows].join(", "))
}

fn bind<'q>(query: Query<'q, Sqlite, SqliteArguments>, cell: &Cell) -> Query<'q, Sqlite, SqliteArguments> {
    match cell {
        Cell::Integer(value) => query.bind(*value),
        Cell::Text(value) => query.bind(value.clone()),
        Cell::Bytes(value) => query.bind(value.clone()),
    }
}

async fn open(folder: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("ingestion.db"))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536")
        .disable_statement_logging();
    Ok(options.connect().await?)
}

/// Names and types of a table's columns.
async fn columns(connection: &mut SqliteConnection, table: &str) -> anyhow::Result<Vec<(String, String)>> {
    let query = "SELECT name, type FROM pragma_table_info(?) ORDER BY cid";
    let rows = sqlx::query(query).bind(table.to_owned()).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn cells(row: &SqliteRow, first: usize, columns: &[(String, String)]) -> anyhow::Result<Vec<Cell>> {
    let cell = |(place, (_, kind)): (usize, &(String, String))| {
        Ok(match kind.as_str() {
            "TEXT" => Cell::Text(row.try_get_unchecked(first + place)?),
            "BLOB" => Cell::Bytes(row.try_get_unchecked(first + place)?),
            _ => Cell::Integer(row.try_get_unchecked(first + place)?),
        })
    };
    columns.iter().enumerate().map(cell).collect()
}
