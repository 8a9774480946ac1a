//! Events: the keys that make each of them count once, and the log that they are read from.

use std::collections::HashMap;

use keizoku_base::{AccountId, Day, Micros, Partition, WorkspaceId};
use keizoku_storage::dialect::DAYS_PER_PIECE;
use keizoku_storage::{DbFault, Dialect, OnConflict, SqlType, Tx, args, bulk_insert, bulk_insert_returning};

use crate::domain::event::Identity;
use crate::domain::pack::Digest;

/// An event as its row has it.
#[derive(Debug, Clone)]
pub(crate) struct EventRow {
    /// The partition of the account.
    pub(crate) partition: Partition,
    /// Its place in it.
    pub(crate) seq: i64,
    /// The account.
    pub(crate) account: AccountId,
    /// Who sent it.
    pub(crate) source: String,
    /// What was done or measured.
    pub(crate) name: String,
    /// Whether it was measured.
    pub(crate) measurement: bool,
    /// When.
    pub(crate) occurred_at: Micros,
    /// When the source knew it.
    pub(crate) known_at: Micros,
    /// Whether that was only assumed.
    pub(crate) known_assumed: bool,
    /// When it came.
    pub(crate) received_at: Micros,
    /// Hash of source and id.
    pub(crate) id_hash: Digest,
    /// The workspace's number of the user.
    pub(crate) user: Option<u32>,
    /// The number it is about, millionths.
    pub(crate) value: Option<i64>,
    /// What else the source says, packed.
    pub(crate) properties: Vec<u8>,
    /// The traceparent of the call that brought it; empty where that is not traced.
    pub(crate) trace_parent: String,
}

const COLUMNS: [&str; 17] = [
    "workspace_id",
    "partition",
    "seq",
    "arrival_day",
    "account_id",
    "source",
    "name",
    "measurement",
    "occurred_at",
    "known_at",
    "known_assumed",
    "received_at",
    "id_hash",
    "user_ordinal",
    "value",
    "properties",
    "trace_parent",
];

/// Adds the keys, which are sorted and each there once; answers the contents of those that were there before.
///
/// # Errors
/// As the database.
pub(crate) async fn add_keys(
    tx: &Tx,
    workspace: WorkspaceId,
    keys: &[Identity],
) -> Result<HashMap<Digest, Digest>, DbFault> {
    let rows = keys.iter().map(|key| args![workspace, key.id.0, key.content.0]).collect();
    let columns = ["workspace_id", "id_hash", "content_hash"];
    let added = bulk_insert_returning(tx, "event_key", &columns, rows, OnConflict::Skip, "id_hash").await?;
    if added.len() == keys.len() {
        return Ok(HashMap::new());
    }
    let added: std::collections::HashSet<Digest> =
        added.iter().map(|row| digest(row.get(0)?)).collect::<Result<_, DbFault>>()?;
    let before: Vec<Vec<u8>> =
        keys.iter().filter(|key| !added.contains(&key.id)).map(|key| key.id.0.to_vec()).collect();
    contents(tx, workspace, before).await
}

/// The contents of those ids that are there.
///
/// # Errors
/// As the database.
pub(crate) async fn contents(
    tx: &Tx,
    workspace: WorkspaceId,
    ids: Vec<Vec<u8>>,
) -> Result<HashMap<Digest, Digest>, DbFault> {
    let sql = format!(
        "SELECT id_hash, content_hash FROM event_key WHERE workspace_id = $1 AND {}",
        tx.dialect().any("id_hash", "$2", SqlType::Bytes)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids]).await?;
    rows.iter().map(|row| Ok((digest(row.get(0)?)?, digest(row.get(1)?)?))).collect()
}

/// Appends events to the log.
///
/// # Errors
/// As the database.
pub(crate) async fn append(
    tx: &Tx,
    workspace: WorkspaceId,
    arrival_day: Day,
    events: Vec<EventRow>,
) -> Result<(), DbFault> {
    let row = |event: EventRow| {
        args![
            workspace,
            event.partition,
            event.seq,
            arrival_day,
            event.account.0,
            event.source,
            event.name,
            event.measurement,
            event.occurred_at,
            event.known_at,
            event.known_assumed,
            event.received_at,
            event.id_hash.0,
            event.user.map(i64::from),
            event.value,
            event.properties,
            event.trace_parent,
        ]
    };
    bulk_insert(tx, "event", &COLUMNS, events.into_iter().map(row).collect(), OnConflict::Fail).await?;
    Ok(())
}

/// What was received from a source in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Stored.
    pub(crate) stored: i64,
    /// There already.
    pub(crate) duplicate: i64,
    /// Rejected.
    pub(crate) rejected: i64,
}

/// Adds to the counts of an hour. Each writer has its own rows, so that writers never wait for each other.
///
/// # Errors
/// As the database.
pub(crate) async fn count(
    tx: &Tx,
    workspace: WorkspaceId,
    writer: i64,
    counts: &[(String, Micros, Counts)],
) -> Result<(), DbFault> {
    let row = |(source, hour, counts): &(String, Micros, Counts)| {
        args![workspace, source.as_str(), *hour, writer, counts.stored, counts.duplicate, counts.rejected]
    };
    let columns = ["workspace_id", "source", "hour", "writer", "stored", "duplicate", "rejected"];
    let add = "(workspace_id, source, hour, writer) DO UPDATE SET stored = receipt.stored + excluded.stored,
        duplicate = receipt.duplicate + excluded.duplicate, rejected = receipt.rejected + excluded.rejected";
    bulk_insert(tx, "receipt", &columns, counts.iter().map(row).collect(), OnConflict::Do(add)).await?;
    Ok(())
}

/// What was received from a source, hour by hour, ascending.
///
/// # Errors
/// As the database.
pub(crate) async fn receipts(
    tx: &Tx,
    workspace: WorkspaceId,
    source: &str,
    from: Micros,
    until: Micros,
) -> Result<Vec<(Micros, Counts)>, DbFault> {
    let rows = tx
        .fetch_all(
            "SELECT hour, CAST(SUM(stored) AS BIGINT), CAST(SUM(duplicate) AS BIGINT), CAST(SUM(rejected) AS BIGINT)
             FROM receipt WHERE workspace_id = $1 AND source = $2 AND hour >= $3 AND hour < $4
             GROUP BY hour ORDER BY hour",
            args![workspace, source, from, until],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let counts = Counts { stored: row.get(1)?, duplicate: row.get(2)?, rejected: row.get(3)? };
            Ok((Micros(row.get(0)?), counts))
        })
        .collect()
}

/// Makes room for the days from `first` to `last`, where the log lies in pieces. As its owner: whoever serves owns nothing.
///
/// # Errors
/// As the database.
pub(crate) async fn make_pieces(tx: &Tx, first: Day, last: Day) -> Result<(), DbFault> {
    match tx.dialect().make_day_pieces("event") {
        Some(sql) => tx.fetch_all(&sql, args![first, last]).await.map(drop),
        None => Ok(()),
    }
}

/// The first day whose events stay, where those of days before `day` are to go: pieces go as a whole.
pub(crate) fn first_kept(dialect: Dialect, day: Day) -> Day {
    match dialect {
        Dialect::Postgres => Day(day.0 - day.0.rem_euclid(DAYS_PER_PIECE)),
        Dialect::Sqlite => day,
    }
}

/// The last position of each partition among the events that came before `day`. The transaction has the scope of the
/// system.
///
/// # Errors
/// As the database.
pub(crate) async fn last_before(tx: &Tx, day: Day) -> Result<Vec<(WorkspaceId, Partition, i64)>, DbFault> {
    let sql =
        "SELECT workspace_id, partition, MAX(seq) FROM event WHERE arrival_day < $1 GROUP BY workspace_id, partition
         ORDER BY workspace_id, partition";
    let rows = tx.fetch_all(sql, args![day]).await?;
    rows.iter()
        .map(|row| {
            let partition = u8::try_from(row.get::<i16, _>(1)?).ok().and_then(Partition::new);
            let partition = partition.ok_or_else(|| DbFault::internal("an event names no partition"))?;
            Ok((WorkspaceId(row.get(0)?), partition, row.get(2)?))
        })
        .collect()
}

/// Deletes events that came before `day`: all of them where the log lies in pieces, else a bounded number. Whether there
/// may be more.
///
/// # Errors
/// As the database.
pub(crate) async fn drop_before(tx: &Tx, day: Day) -> Result<bool, DbFault> {
    let sql = tx.dialect().drop_days("event", "arrival_day");
    match tx.dialect() {
        Dialect::Postgres => tx.fetch_all(&sql, args![day]).await.map(|_| false),
        Dialect::Sqlite => Ok(tx.execute(&sql, args![day]).await? > 0),
    }
}

fn digest(bytes: Vec<u8>) -> Result<Digest, DbFault> {
    Ok(Digest(bytes.try_into().map_err(|_| DbFault::internal("a key's hash has not 16 bytes"))?))
}
