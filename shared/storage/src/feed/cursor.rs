//! How far a consumer is, and the fence: a cursor moves only from where its mover left it, by the newest lease.

use std::collections::BTreeMap;

use keizoku_base::{Partition, WorkspaceId};
use uuid::Uuid;

use super::append::partition_of;
use super::lease::{self, Held};
use super::quarantine;
use super::types::{FeedEpoch, Log, Partitions, number};
use crate::db::Db;
use crate::dialect::{Dialect, SqlType};
use crate::fault::DbFault;
use crate::row::Row;
use crate::tx::{Scope, Tx};

/// Whose cursors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) consumer: &'static str,
    pub(crate) source: &'static str,
}

/// A cursor as stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) workspace: WorkspaceId,
    pub(crate) partition: Partition,
    pub(crate) seq: i64,
    pub(crate) lease_epoch: i64,
    pub(crate) schema: i32,
    pub(crate) feed_epoch: Option<FeedEpoch>,
    pub(crate) generation: i64,
    pub(crate) token: Option<Vec<u8>>,
}

/// What new and bootstrapped cursors belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) epoch: FeedEpoch,
    pub(crate) schema: i32,
}

const COLUMNS: &str = "workspace_id, partition, seq, lease_epoch, schema, feed_epoch, generation, token";

/// Marks the cursors of the held partitions as ours and answers them. From then on no earlier owner can move them;
/// one that is about to commit is waited for.
pub(crate) async fn adopt(db: &Db, key: Key, held: &Held) -> Result<Vec<Stored>, DbFault> {
    let tx = db.begin("feed.adopt", Scope::System).await?;
    let columns = tx.dialect().columns(&[("$3", SqlType::SmallInt), ("$4", SqlType::BigInt)]);
    // Locked in the order in which batches lock theirs.
    let sql = format!(
        "WITH older AS (
            SELECT workspace_id, partition, mine.c2 AS epoch FROM feed_cursor JOIN ({columns}) AS mine
                ON mine.c1 = feed_cursor.partition
            WHERE consumer = $1 AND source = $2 AND lease_epoch < mine.c2 ORDER BY partition, workspace_id{}
         )
         UPDATE feed_cursor SET lease_epoch = older.epoch FROM older
         WHERE feed_cursor.consumer = $1 AND feed_cursor.source = $2 AND feed_cursor.partition = older.partition
            AND feed_cursor.workspace_id = older.workspace_id AND feed_cursor.lease_epoch < older.epoch",
        match tx.dialect() {
            Dialect::Postgres => " FOR UPDATE OF feed_cursor",
            Dialect::Sqlite => "",
        }
    );
    let (partitions, epochs) = held.arrays();
    tx.execute(&sql, crate::args![key.consumer, key.source, partitions.clone(), epochs]).await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM feed_cursor WHERE consumer = $1 AND source = $2 AND {}",
        tx.dialect().any("partition", "$3", SqlType::SmallInt)
    );
    let rows = tx.fetch_all(&sql, crate::args![key.consumer, key.source, partitions]).await?;
    let stored = rows.iter().map(stored_of).collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(stored)
}

/// Makes the missing cursors of a workspace at 0, one for each held partition, and answers all of them; `None` where
/// a lease is no longer ours.
pub(crate) async fn create(
    db: &Db,
    key: Key,
    workspace: WorkspaceId,
    held: &Held,
    life: Life,
) -> Result<Option<Vec<Stored>>, DbFault> {
    let tx = db.begin("feed.create_cursors", Scope::Workspace(workspace)).await?;
    // Otherwise an earlier owner could make a cursor that its successor did not adopt.
    if tx.dialect() == Dialect::Postgres && !lease::confirm(&tx, key.consumer, held).await? {
        return Ok(None);
    }
    let sql = format!(
        "INSERT INTO feed_cursor (workspace_id, consumer, source, partition, seq, lease_epoch, schema, feed_epoch,
            generation, token)
         SELECT $1, $2, $3, c1, 0, c2, $6, $7, 0, NULL FROM ({}) AS mine WHERE true ORDER BY c1
         ON CONFLICT (workspace_id, consumer, source, partition) DO UPDATE SET lease_epoch = excluded.lease_epoch
            WHERE feed_cursor.lease_epoch < excluded.lease_epoch",
        tx.dialect().columns(&[("$4", SqlType::SmallInt), ("$5", SqlType::BigInt)])
    );
    let (partitions, epochs) = held.arrays();
    let epoch = *life.epoch.as_bytes();
    let args = crate::args![workspace, key.consumer, key.source, partitions.clone(), epochs, life.schema, epoch];
    tx.execute(&sql, args).await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM feed_cursor WHERE workspace_id = $1 AND consumer = $2 AND source = $3 AND {}",
        tx.dialect().any("partition", "$4", SqlType::SmallInt)
    );
    let rows = tx.fetch_all(&sql, crate::args![workspace, key.consumer, key.source, partitions]).await?;
    let stored = rows.iter().map(stored_of).collect::<Result<Vec<_>, _>>()?;
    tx.commit().await?;
    let fenced = stored.iter().any(|cursor| held.epoch(cursor.partition) != Some(cursor.lease_epoch));
    Ok((!fenced).then_some(stored))
}

/// One cursor's move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) partition: Partition,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Moves cursors of a workspace, all or (answering false) not to be committed. First in its transaction.
pub(crate) async fn advance(
    tx: &Tx,
    key: Key,
    workspace: WorkspaceId,
    held: &Held,
    moves: &[Move],
) -> Result<bool, DbFault> {
    let (mut partitions, mut from, mut to, mut epochs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for step in moves {
        let Some(epoch) = held.epoch(step.partition) else { return Ok(false) };
        partitions.push(number(step.partition));
        from.push(step.from);
        to.push(step.to);
        epochs.push(epoch);
    }
    let columns = tx.dialect().columns(&[
        ("$4", SqlType::SmallInt),
        ("$5", SqlType::BigInt),
        ("$6", SqlType::BigInt),
        ("$7", SqlType::BigInt),
    ]);
    let sql = format!(
        "{} UPDATE feed_cursor SET seq = step.c3 FROM locked JOIN ({columns}) AS step ON step.c1 = locked.partition
         WHERE feed_cursor.workspace_id = $1 AND feed_cursor.consumer = $2 AND feed_cursor.source = $3
            AND feed_cursor.partition = locked.partition AND feed_cursor.seq = step.c2
            AND feed_cursor.lease_epoch = step.c4",
        locked(tx.dialect())
    );
    let args = crate::args![workspace, key.consumer, key.source, partitions, from, to, epochs];
    Ok(tx.execute(&sql, args).await? == moves.len().try_into().unwrap_or(u64::MAX))
}

/// Begins a bootstrap: the cursors stand at the heads, in a new generation; answers that of each partition, or `None`
/// where the fence is closed.
pub(crate) async fn rewind(
    tx: &Tx,
    key: Key,
    workspace: WorkspaceId,
    held: &Held,
    life: Life,
    heads: &BTreeMap<Partition, i64>,
    token: &[u8],
) -> Result<Option<BTreeMap<Partition, i64>>, DbFault> {
    let columns = tx.dialect().columns(&[("$4", SqlType::SmallInt), ("$5", SqlType::BigInt), ("$6", SqlType::BigInt)]);
    let sql = format!(
        "{} UPDATE feed_cursor SET seq = step.c2, generation = feed_cursor.generation + 1, feed_epoch = $7,
            schema = $8, token = $9
         FROM locked JOIN ({columns}) AS step ON step.c1 = locked.partition
         WHERE feed_cursor.workspace_id = $1 AND feed_cursor.consumer = $2 AND feed_cursor.source = $3
            AND feed_cursor.partition = locked.partition AND feed_cursor.lease_epoch = step.c3
         RETURNING feed_cursor.partition, feed_cursor.generation",
        locked(tx.dialect())
    );
    let partitions: Vec<i16> = heads.keys().copied().map(number).collect();
    let seqs: Vec<i64> = heads.values().copied().collect();
    let epochs: Vec<i64> = heads.keys().map(|partition| held.epoch(*partition).unwrap_or(-1)).collect();
    let args = crate::args![
        workspace,
        key.consumer,
        key.source,
        partitions,
        seqs,
        epochs,
        *life.epoch.as_bytes(),
        life.schema,
        token
    ];
    let rows = tx.fetch_all(&sql, args).await?;
    let generations: BTreeMap<Partition, i64> = rows
        .iter()
        .map(|row| Ok((partition_of(row, "partition")?, row.get("generation")?)))
        .collect::<Result<_, DbFault>>()?;
    Ok((generations.len() == heads.len()).then_some(generations))
}

/// Moves a bootstrap on from one place to the next, for all `partitions` or (answering false) not to be committed.
pub(crate) async fn step(
    tx: &Tx,
    key: Key,
    workspace: WorkspaceId,
    held: &Held,
    partitions: Partitions,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<bool, DbFault> {
    let columns = tx.dialect().columns(&[("$4", SqlType::SmallInt), ("$5", SqlType::BigInt)]);
    let sql = format!(
        "{} UPDATE feed_cursor SET token = $7 FROM locked JOIN ({columns}) AS step ON step.c1 = locked.partition
         WHERE feed_cursor.workspace_id = $1 AND feed_cursor.consumer = $2 AND feed_cursor.source = $3
            AND feed_cursor.partition = locked.partition AND feed_cursor.lease_epoch = step.c2
            AND feed_cursor.token = $6",
        locked(tx.dialect())
    );
    let epochs: Vec<i64> = partitions.iter().map(|partition| held.epoch(partition).unwrap_or(-1)).collect();
    let to = to.map(<[u8]>::to_vec);
    let args = crate::args![workspace, key.consumer, key.source, partitions.numbers(), epochs, from, to];
    Ok(tx.execute(&sql, args).await? == partitions.len().try_into().unwrap_or(u64::MAX))
}

/// Locks cursors until the transaction ends; answers the generation of those that are ours.
pub(crate) async fn hold(
    tx: &Tx,
    key: Key,
    workspace: WorkspaceId,
    held: &Held,
    partitions: Partitions,
) -> Result<BTreeMap<Partition, i64>, DbFault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM feed_cursor WHERE workspace_id = $1 AND consumer = $2 AND source = $3 AND {}
         ORDER BY partition{}",
        tx.dialect().any("partition", "$4", SqlType::SmallInt),
        tx.dialect().for_update()
    );
    let rows = tx.fetch_all(&sql, crate::args![workspace, key.consumer, key.source, partitions.numbers()]).await?;
    let stored = rows.iter().map(stored_of).collect::<Result<Vec<_>, _>>()?;
    let ours = stored.into_iter().filter(|cursor| held.epoch(cursor.partition) == Some(cursor.lease_epoch));
    Ok(ours.map(|cursor| (cursor.partition, cursor.generation)).collect())
}

/// Up to where a consumer has applied a source's changes, for each of the partitions of a workspace; 0 where it has
/// applied none yet or is listing the state anew. For reads that wait until a position was applied.
///
/// # Errors
/// Any fault of the store.
pub async fn applied(
    tx: &Tx,
    consumer: &str,
    source: &str,
    workspace: WorkspaceId,
    partitions: Partitions,
) -> Result<BTreeMap<Partition, i64>, DbFault> {
    let sql = format!(
        "SELECT partition, seq FROM feed_cursor
         WHERE workspace_id = $1 AND consumer = $2 AND source = $3 AND token IS NULL AND {}",
        tx.dialect().any("partition", "$4", SqlType::SmallInt)
    );
    let rows = tx.fetch_all(&sql, crate::args![workspace, consumer, source, partitions.numbers()]).await?;
    let mut found: BTreeMap<Partition, i64> = partitions.iter().map(|partition| (partition, 0)).collect();
    for row in &rows {
        found.insert(partition_of(row, "partition")?, row.get("seq")?);
    }
    Ok(found)
}

/// A consumer whose cursors lie beside the log it reads, as those name it who change what it derives.
#[derive(Debug, Clone, Copy)]
pub struct Pinned {
    /// The consumer's name.
    pub consumer: &'static str,
    /// The source's name.
    pub source: &'static str,
    /// The log behind the source.
    pub log: Log,
    /// The consumer's schema.
    pub schema: i32,
    /// The epoch that the source tells.
    pub epoch: FeedEpoch,
}

/// Locks a consumer's cursors of a workspace until the transaction ends, whoever owns them, and answers where they
/// stand. Those that are missing are made at the log's floor. First in its transaction, as the fence of a batch is.
///
/// # Errors
/// Any fault of the store.
pub async fn pin(
    tx: &Tx,
    of: &Pinned,
    workspace: WorkspaceId,
    partitions: Partitions,
) -> Result<BTreeMap<Partition, i64>, DbFault> {
    let sql = format!(
        "INSERT INTO feed_cursor (workspace_id, consumer, source, partition, seq, lease_epoch, schema, feed_epoch,
            generation, token)
         SELECT $1, $2, $3, value, COALESCE((SELECT trimmed_seq FROM feed_head
                WHERE workspace_id = $1 AND log = $7 AND feed_head.partition = value), 0), 0, $5, $6, 0, NULL
         FROM ({}) AS wanted WHERE true ORDER BY value ON CONFLICT DO NOTHING",
        tx.dialect().elements("$4", SqlType::SmallInt)
    );
    let epoch = *of.epoch.as_bytes();
    let numbers = partitions.numbers();
    let args = crate::args![workspace, of.consumer, of.source, numbers.clone(), of.schema, epoch, of.log.number()];
    tx.execute(&sql, args).await?;
    let sql = format!(
        "SELECT partition, seq FROM feed_cursor WHERE workspace_id = $1 AND consumer = $2 AND source = $3 AND {}
         ORDER BY partition{}",
        tx.dialect().any("partition", "$4", SqlType::SmallInt),
        tx.dialect().for_update()
    );
    let rows = tx.fetch_all(&sql, crate::args![workspace, of.consumer, of.source, numbers]).await?;
    rows.iter().map(|row| Ok((partition_of(row, "partition")?, row.get("seq")?))).collect()
}

/// Moves all cursors of a workspace that [`pin`] locked to the floor of their log, after it was forgotten: what comes
/// then is applied, and what was set aside before is gone with the rest.
///
/// # Errors
/// Any fault of the store.
pub async fn skip_to_floor(tx: &Tx, of: &Pinned, workspace: WorkspaceId) -> Result<(), DbFault> {
    let sql = "UPDATE feed_cursor SET seq = feed_head.trimmed_seq, token = NULL FROM feed_head
         WHERE feed_cursor.workspace_id = $1 AND feed_cursor.consumer = $2 AND feed_cursor.source = $3
            AND feed_head.workspace_id = $1 AND feed_head.log = $4 AND feed_head.partition = feed_cursor.partition
            AND feed_cursor.seq < feed_head.trimmed_seq";
    tx.execute(sql, crate::args![workspace, of.consumer, of.source, of.log.number()]).await?;
    let key = Key { consumer: of.consumer, source: of.source };
    quarantine::clear(tx, key, workspace, Partitions::ALL).await
}

/// The cursor of one partition, locked until the transaction ends, whoever owns it.
pub(crate) async fn lock_one(
    tx: &Tx,
    key: Key,
    workspace: WorkspaceId,
    partition: Partition,
) -> Result<Option<Stored>, DbFault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM feed_cursor WHERE workspace_id = $1 AND consumer = $2 AND source = $3
            AND partition = $4{}",
        tx.dialect().for_update()
    );
    let row = tx.fetch_optional(&sql, crate::args![workspace, key.consumer, key.source, partition]).await?;
    row.as_ref().map(stored_of).transpose()
}

/// The cursors of `$4` of a workspace, locked in ascending order before anything of them is changed.
fn locked(dialect: Dialect) -> String {
    format!(
        "WITH locked AS (
            SELECT partition FROM feed_cursor WHERE workspace_id = $1 AND consumer = $2 AND source = $3 AND {}
            ORDER BY partition{}
        )",
        dialect.any("partition", "$4", SqlType::SmallInt),
        dialect.for_update()
    )
}

fn stored_of(row: &Row) -> Result<Stored, DbFault> {
    Ok(Stored {
        workspace: WorkspaceId(row.get::<Uuid, _>("workspace_id")?),
        partition: partition_of(row, "partition")?,
        seq: row.get("seq")?,
        lease_epoch: row.get("lease_epoch")?,
        schema: row.get("schema")?,
        feed_epoch: FeedEpoch::from_bytes(row.get("feed_epoch")?),
        generation: row.get("generation")?,
        token: row.get("token")?,
    })
}
