//! Writing: seqs are given by the one head statement, last in the transaction.

use std::collections::BTreeMap;

use keizoku_base::{Micros, Partition, WorkspaceId};

use super::doorbell::Ring;
use super::types::{Draft, Log, Partitions, number};
use super::wire;
use crate::arg::Arg;
use crate::bulk::{OnConflict, bulk_insert};
use crate::dialect::SqlType;
use crate::fault::DbFault;
use crate::row::Row;
use crate::tx::Tx;

const CHANGE_COLUMNS: [&str; 7] = ["workspace_id", "partition", "seq", "kind", "key", "state", "commit_at"];

/// Takes `counts` further positions of each partition of a log; answers the first of each, ascending by partition.
///
/// The heads stay locked until the end of the transaction, so that seq order is commit order and a rollback leaves no
/// hole: call it after all other work, once a log, [`Log::Events`] before [`Log::Changes`]. Readers are woken after
/// the commit.
///
/// # Errors
/// Any [`DbFault`] of the statement.
pub async fn claim(
    tx: &Tx,
    workspace: WorkspaceId,
    log: Log,
    counts: &[(Partition, u32)],
) -> Result<Vec<(Partition, i64)>, DbFault> {
    let mut wanted: BTreeMap<Partition, i64> = BTreeMap::new();
    for (partition, count) in counts.iter().filter(|(_, count)| *count > 0) {
        *wanted.entry(*partition).or_default() += i64::from(*count);
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // One statement that inserts in ascending order also locks in that order. "WHERE true" parts the SELECT from ON
    // CONFLICT for SQLite's parser.
    let sql = format!(
        "INSERT INTO feed_head (workspace_id, log, partition, last_seq, trimmed_seq)
         SELECT $1, $2, c1, c2, 0 FROM ({}) AS wanted WHERE true ORDER BY c1
         ON CONFLICT (workspace_id, log, partition) DO UPDATE SET last_seq = feed_head.last_seq + excluded.last_seq
         RETURNING partition, last_seq",
        tx.dialect().columns(&[("$3", SqlType::SmallInt), ("$4", SqlType::BigInt)])
    );
    let numbers: Vec<i16> = wanted.keys().copied().map(number).collect();
    let added: Vec<i64> = wanted.values().copied().collect();
    let rows = tx.fetch_all(&sql, crate::args![workspace, log.number(), numbers, added]).await?;
    let mut last: BTreeMap<Partition, i64> = BTreeMap::new();
    for row in &rows {
        last.insert(partition_of(row, "partition")?, row.get("last_seq")?);
    }
    let (doorbell, partitions) = (tx.doorbell().clone(), wanted.keys().copied().collect::<Partitions>());
    tx.after_commit(move || doorbell.ring(Ring { log, workspace, partitions }));
    Ok(wanted
        .into_iter()
        .map(|(partition, count)| (partition, last.get(&partition).copied().unwrap_or_default() - count + 1))
        .collect())
}

/// Appends `drafts` to the change log, in their order within each partition; answers the last position of each
/// partition they touch. Call it once, after all other work of the transaction: it locks the heads.
///
/// # Errors
/// Any [`DbFault`] of a statement.
pub async fn append(
    tx: &Tx,
    workspace: WorkspaceId,
    mut drafts: Vec<Draft>,
    now: Micros,
) -> Result<Vec<(Partition, i64)>, DbFault> {
    // Stable: the order within a partition stays.
    drafts.sort_by_key(|draft| draft.partition);
    let counts: Vec<(Partition, u32)> = drafts.iter().map(|draft| (draft.partition, 1)).collect();
    let mut next: BTreeMap<Partition, i64> = claim(tx, workspace, Log::Changes, &counts).await?.into_iter().collect();
    let mut rows = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let seq = next.entry(draft.partition).or_default();
        let state = wire::stamp(*seq, now, &draft.body);
        rows.push(crate::args![workspace, draft.partition, *seq, draft.kind, draft.key, state, now]);
        *seq += 1;
    }
    bulk_insert(tx, "feed_change", &CHANGE_COLUMNS, rows, OnConflict::Fail).await?;
    Ok(next.into_iter().map(|(partition, after)| (partition, after - 1)).collect())
}

/// Makes every consumer list the workspace's state again: after a TEST workspace was reset. The positions go on, the
/// changes are gone.
///
/// # Errors
/// Any [`DbFault`] of a statement.
pub async fn forget(tx: &Tx, workspace: WorkspaceId, log: Log) -> Result<(), DbFault> {
    let counts: Vec<(Partition, u32)> = Partition::all().map(|partition| (partition, 1)).collect();
    claim(tx, workspace, log, &counts).await?;
    let keys: Vec<Arg> = crate::args![workspace, log.number()];
    tx.execute("UPDATE feed_head SET trimmed_seq = last_seq WHERE workspace_id = $1 AND log = $2", keys).await?;
    if log == Log::Changes {
        tx.execute("DELETE FROM feed_change WHERE workspace_id = $1", crate::args![workspace]).await?;
    }
    Ok(())
}

/// The partition that a row names.
pub(crate) fn partition_of(row: &Row, column: &str) -> Result<Partition, DbFault> {
    let found: i16 = row.get(column)?;
    u8::try_from(found)
        .ok()
        .and_then(Partition::new)
        .ok_or_else(|| DbFault::internal(format!("a row names partition {found}")))
}
