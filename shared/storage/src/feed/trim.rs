//! Retention: what every reader had time to read is deleted, in bounded batches.

use std::collections::BTreeMap;

use keizoku_base::{Micros, Partition, WorkspaceId};

use super::read;
use super::types::{Log, Partitions};
use crate::db::Db;
use crate::fault::DbFault;
use crate::tx::{Scope, Tx};

/// At most this many changes are deleted in one transaction, for each partition.
const BATCH: i64 = 2000;

/// Deletes the oldest changes of a partition that were committed before `before`, at most 2,000; answers how many.
/// A cursor that is not past them gets [`super::FeedFault::Trimmed`].
///
/// # Errors
/// Any fault of the store.
pub async fn trim(tx: &Tx, workspace: WorkspaceId, partition: Partition, before: Micros) -> Result<u64, DbFault> {
    let Some((through, deleted)) = delete(tx, workspace, partition, before).await? else { return Ok(0) };
    raise_floor(tx, workspace, Log::Changes, partition, through).await?;
    Ok(deleted)
}

/// Declares that positions of a log up to `through` are no longer kept. [`trim`] does it for changes; a service does
/// it in the transaction that drops rows of its own log.
///
/// # Errors
/// Any fault of the store.
pub async fn raise_floor(
    tx: &Tx,
    workspace: WorkspaceId,
    log: Log,
    partition: Partition,
    through: i64,
) -> Result<(), DbFault> {
    let sql = "UPDATE feed_head SET trimmed_seq = $1
         WHERE workspace_id = $2 AND log = $3 AND partition = $4 AND trimmed_seq < $1";
    tx.execute(sql, crate::args![through, workspace, log.number(), partition]).await?;
    Ok(())
}

/// Deletes every change committed before `before`, a workspace at a time in bounded transactions; answers how many.
///
/// # Errors
/// The first fault of the store; what was deleted before it stays deleted.
pub async fn expire(db: &Db, before: Micros) -> Result<u64, DbFault> {
    let tx = db.read("feed.expire.heads", Scope::System).await?;
    let heads = read::heads(&tx, Log::Changes, Partitions::ALL).await?;
    drop(tx);
    let mut waiting: BTreeMap<WorkspaceId, Partitions> = BTreeMap::new();
    for head in heads.into_iter().filter(|head| head.last_seq > head.trimmed_seq) {
        waiting.entry(head.workspace).or_default().insert(head.partition);
    }
    let mut deleted = 0;
    for (workspace, mut partitions) in waiting {
        while !partitions.is_empty() {
            let (count, rest) = expire_once(db, workspace, partitions, before).await?;
            deleted += count;
            partitions = rest;
        }
    }
    Ok(deleted)
}

/// One transaction; the heads are locked last and in order, as writers do. Answers which partitions have more.
async fn expire_once(
    db: &Db,
    workspace: WorkspaceId,
    partitions: Partitions,
    before: Micros,
) -> Result<(u64, Partitions), DbFault> {
    let tx = db.begin("feed.expire", Scope::Workspace(workspace)).await?;
    let (mut total, mut rest, mut floors) = (0, Partitions::NONE, Vec::new());
    for partition in partitions.iter() {
        if let Some((through, count)) = delete(&tx, workspace, partition, before).await? {
            total += count;
            floors.push((partition, through));
            if count >= BATCH.cast_unsigned() {
                rest.insert(partition);
            }
        }
    }
    for (partition, through) in floors {
        raise_floor(&tx, workspace, Log::Changes, partition, through).await?;
    }
    tx.commit().await?;
    Ok((total, rest))
}

/// The last position deleted and how many were; `None` where nothing is old enough.
async fn delete(
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    before: Micros,
) -> Result<Option<(i64, u64)>, DbFault> {
    // The writers' clocks may differ a little: everything up to the last one that is old enough goes.
    let sql = "SELECT max(seq) AS through FROM (
            SELECT seq, commit_at FROM feed_change WHERE workspace_id = $1 AND partition = $2 ORDER BY seq LIMIT $3
        ) AS oldest WHERE commit_at < $4";
    let row = tx.fetch_one(sql, crate::args![workspace, partition, BATCH, before]).await?;
    let Some(through) = row.get::<Option<i64>, _>("through")? else { return Ok(None) };
    let sql = "DELETE FROM feed_change WHERE workspace_id = $1 AND partition = $2 AND seq <= $3";
    let deleted = tx.execute(sql, crate::args![workspace, partition, through]).await?;
    Ok(Some((through, deleted)))
}
