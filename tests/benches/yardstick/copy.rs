//! The least that taking in events takes on PostgreSQL: COPY into a temporary table, then INSERT … ON CONFLICT from it
//! into the very tables that the product writes.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};
use tokio::task::JoinSet;

use crate::system::database::Database;

/// Rows of a transaction.
const TRANSACTION: usize = 5000;

/// The beginning of binary COPY data: signature, flags, length of the extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The rows of events with the hash of their content, as the product stored them after `mark` (a time of arrival), in
/// the order of their arrival, each as binary COPY data.
pub(crate) async fn rows_after(database: &Database, mark: i64) -> anyhow::Result<Vec<Bytes>> {
    let mut connection = database.connect().await?;
    let statement = format!(
        "COPY (SELECT e.*, k.content_hash FROM ingestion.event e
         JOIN ingestion.event_key k ON k.workspace_id = e.workspace_id AND k.id_hash = e.id_hash
         WHERE e.received_at > {mark} ORDER BY e.received_at, e.partition, e.seq) TO STDOUT (FORMAT binary)"
    );
    let mut data = BytesMut::new();
    let mut chunks = connection.copy_out_raw(&statement).await?;
    while let Some(chunk) = chunks.try_next().await? {
        data.extend_from_slice(&chunk);
    }
    tuples(data.freeze())
}

/// The latest time of arrival.
pub(crate) async fn mark(database: &Database) -> anyhow::Result<i64> {
    let mut connection = database.connect().await?;
    let row = connection.fetch_one("SELECT coalesce(max(received_at), 0) FROM ingestion.event").await?;
    Ok(row.try_get(0)?)
}

/// The yardstick on a database that has the product's tables.
#[derive(Debug)]
pub(crate) struct Copying {
    connections: Vec<PgConnection>,
    insert: String,
}

impl Copying {
    /// Sets up so many connections.
    pub(crate) async fn new(database: &Database, connections: usize) -> anyhow::Result<Self> {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut connection = database.connect().await?;
            connection
                .execute(
                    "CREATE TEMPORARY TABLE incoming ON COMMIT DELETE ROWS AS SELECT e.*, k.content_hash
                     FROM ingestion.event e, ingestion.event_key k WITH NO DATA",
                )
                .await?;
            opened.push(connection);
        }
        let columns: String = opened[0]
            .fetch_one(
                "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
                 FROM information_schema.columns WHERE table_schema = 'ingestion' AND table_name = 'event'",
            )
            .await?
            .try_get(0)?;
        // Sorted keys touch the pages of the index in order, and two connections wait for each other in one order only.
        let insert = format!(
            "INSERT INTO ingestion.event_key (workspace_id, id_hash, content_hash)
             SELECT workspace_id, id_hash, content_hash FROM incoming ORDER BY id_hash ON CONFLICT DO NOTHING;
             INSERT INTO ingestion.event ({columns}) SELECT {columns} FROM incoming ON CONFLICT DO NOTHING;
             COMMIT"
        );
        Ok(Self { connections: opened, insert })
    }

    /// Stores the rows, of which `fresh` are new; answers how long that took.
    pub(crate) async fn store(&mut self, rows: &[Bytes], fresh: usize) -> anyhow::Result<Duration> {
        let before = self.count().await?;
        let transactions: Vec<Bytes> = rows.chunks(TRANSACTION).map(data_of).collect();
        let lanes = self.connections.len();
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for (lane, mut connection) in self.connections.drain(..).enumerate() {
            let mine: Vec<Bytes> = transactions.iter().skip(lane).step_by(lanes).cloned().collect();
            let insert = self.insert.clone();
            tasks.spawn(async move {
                for data in mine {
                    transaction(&mut connection, &data, &insert).await?;
                }
                anyhow::Ok(connection)
            });
        }
        while let Some(done) = tasks.join_next().await {
            self.connections.push(done??);
        }
        let took = begun.elapsed();
        let stored = self.count().await? - before;
        ensure!(usize::try_from(stored)? == fresh, "the yardstick stored {stored} events, the product {fresh}");
        Ok(took)
    }

    async fn count(&mut self) -> anyhow::Result<i64> {
        Ok(self.connections[0].fetch_one("SELECT count(*) FROM ingestion.event").await?.try_get(0)?)
    }
}

async fn transaction(connection: &mut PgConnection, data: &[u8], insert: &str) -> anyhow::Result<()> {
    connection.execute("BEGIN").await?;
    let mut copy = connection.copy_in_raw("COPY incoming FROM STDIN (FORMAT binary)").await?;
    copy.send(data).await?;
    copy.finish().await?;
    connection.execute(AssertSqlSafe(insert)).await?;
    Ok(())
}

/// Binary COPY data of these rows.
pub(crate) fn data_of(rows: &[Bytes]) -> Bytes {
    let mut data = BytesMut::from(HEADER);
    for row in rows {
        data.extend_from_slice(row);
    }
    data.put_i16(-1);
    data.freeze()
}

/// The rows in binary COPY data.
pub(crate) fn tuples(mut data: Bytes) -> anyhow::Result<Vec<Bytes>> {
    ensure!(data.starts_with(HEADER), "this is no binary COPY data");
    data.advance(HEADER.len());
    let mut rows = Vec::new();
    loop {
        let fields = data.clone().try_get_i16()?;
        if fields < 0 {
            return Ok(rows);
        }
        let mut rest = data.slice(2..);
        for _ in 0..fields {
            // A length of −1 stands for NULL, which has no bytes.
            let length = usize::try_from(rest.try_get_i32()?).unwrap_or(0);
            ensure!(rest.len() >= length, "a row is cut off");
            rest.advance(length);
        }
        rows.push(data.split_to(data.len() - rest.len()));
    }
}
