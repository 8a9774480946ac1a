//! Changes that could not be handled: set aside so that the others go on, kept so that they can be replayed.

use bytes::Bytes;
use keizoku_base::{Micros, Partition, WorkspaceId};
use uuid::Uuid;

use super::append::partition_of;
use super::cursor::Key;
use super::types::{Batch, FeedRow, Partitions, Segment};
use crate::dialect::SqlType;
use crate::fault::DbFault;
use crate::row::Row;
use crate::tx::Tx;

/// Names one quarantined change of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineKey {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The partition.
    pub partition: Partition,
    /// The change's position; of a snapshot's row, the head it was listed at.
    pub seq: i64,
    /// The kind of resource.
    pub kind: i16,
    /// Names the resource within its kind.
    pub key: Bytes,
}

/// A change that could not be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name.
    pub at: QuarantineKey,
    /// When it was committed at the source.
    pub commit_at: Micros,
    /// Whether it was listed by a bootstrap.
    pub snapshot: bool,
    /// The encoded `Change`.
    pub bytes: Bytes,
    /// The last failure.
    pub error: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was set aside.
    pub since: Micros,
}

impl Quarantined {
    /// A batch of this change alone.
    pub(crate) fn batch(&self, generation: i64) -> Batch {
        let row = FeedRow {
            seq: self.at.seq,
            kind: self.at.kind,
            key: self.at.key.clone(),
            commit_at: self.commit_at,
            bytes: self.bytes.clone(),
        };
        let after = if self.snapshot { self.at.seq } else { self.at.seq - 1 };
        let segment =
            Segment { partition: self.at.partition, after, through: self.at.seq, generation, rows: vec![row] };
        Batch { workspace: self.at.workspace, snapshot: self.snapshot, segments: vec![segment] }
    }
}

const COLUMNS: &str = "workspace_id, partition, seq, kind, key, state, commit_at, snapshot, error, attempts, since";

const IS: &str = "workspace_id = $1 AND consumer = $2 AND source = $3 AND partition = $4 AND seq = $5 AND kind = $6
    AND key = $7";

/// Sets a change aside.
pub(crate) async fn put(tx: &Tx, key: Key, change: &Quarantined) -> Result<(), DbFault> {
    let sql =
        "INSERT INTO feed_quarantine (workspace_id, consumer, source, partition, seq, kind, key, state, commit_at,
            snapshot, error, attempts, since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (workspace_id, consumer, source, partition, seq, kind, key) DO UPDATE SET
            state = excluded.state, error = excluded.error, attempts = feed_quarantine.attempts + excluded.attempts";
    let mut args = name(key, &change.at);
    args.extend(crate::args![
        change.bytes.to_vec(),
        change.commit_at,
        change.snapshot,
        change.error.as_str(),
        change.attempts,
        change.since
    ]);
    tx.execute(sql, args).await?;
    Ok(())
}

/// A page of what a consumer could not handle, of one workspace or of all, in the order of the keys; the next page
/// begins after the last key of this one.
pub(crate) async fn list(
    tx: &Tx,
    key: Key,
    workspace: Option<WorkspaceId>,
    after: Option<&QuarantineKey>,
    limit: u32,
) -> Result<Vec<Quarantined>, DbFault> {
    let order = "workspace_id, partition, seq, kind, key";
    let mut args = crate::args![key.consumer, key.source, i64::from(limit)];
    let mut sql = format!("SELECT {COLUMNS} FROM feed_quarantine WHERE consumer = $1 AND source = $2");
    if let Some(last) = after {
        sql.push_str(" AND (workspace_id, partition, seq, kind, key) > ($4, $5, $6, $7, $8)");
        args.extend(crate::args![last.workspace, last.partition, last.seq, last.kind, last.key.to_vec()]);
    }
    if let Some(only) = workspace {
        args.extend(crate::args![only]);
        sql.push_str(&format!(" AND workspace_id = ${}", args.len()));
    }
    sql.push_str(&format!(" ORDER BY {order} LIMIT $3"));
    tx.fetch_all(&sql, args).await?.iter().map(quarantined_of).collect()
}

/// How many changes a consumer could not handle.
pub(crate) async fn count(tx: &Tx, key: Key) -> Result<u64, DbFault> {
    let sql = "SELECT count(*) AS count FROM feed_quarantine WHERE consumer = $1 AND source = $2";
    let row = tx.fetch_one(sql, crate::args![key.consumer, key.source]).await?;
    Ok(row.get::<i64, _>("count")?.cast_unsigned())
}

/// One change, locked.
pub(crate) async fn find(tx: &Tx, key: Key, at: &QuarantineKey) -> Result<Option<Quarantined>, DbFault> {
    let sql = format!("SELECT {COLUMNS} FROM feed_quarantine WHERE {IS}{}", tx.dialect().for_update());
    tx.fetch_optional(&sql, name(key, at)).await?.as_ref().map(quarantined_of).transpose()
}

/// Takes a change out.
pub(crate) async fn delete(tx: &Tx, key: Key, at: &QuarantineKey) -> Result<bool, DbFault> {
    let sql = format!("DELETE FROM feed_quarantine WHERE {IS}");
    Ok(tx.execute(&sql, name(key, at)).await? > 0)
}

/// Notes that a replay failed.
pub(crate) async fn failed_again(tx: &Tx, key: Key, at: &QuarantineKey, error: &str) -> Result<(), DbFault> {
    let sql = format!("UPDATE feed_quarantine SET attempts = attempts + 1, error = $8 WHERE {IS}");
    let mut args = name(key, at);
    args.extend(crate::args![error]);
    tx.execute(&sql, args).await?;
    Ok(())
}

/// Forgets what was set aside of partitions that are listed anew.
pub(crate) async fn clear(tx: &Tx, key: Key, workspace: WorkspaceId, partitions: Partitions) -> Result<(), DbFault> {
    let sql = format!(
        "DELETE FROM feed_quarantine WHERE workspace_id = $1 AND consumer = $2 AND source = $3 AND {}",
        tx.dialect().any("partition", "$4", SqlType::SmallInt)
    );
    tx.execute(&sql, crate::args![workspace, key.consumer, key.source, partitions.numbers()]).await?;
    Ok(())
}

fn name(key: Key, at: &QuarantineKey) -> Vec<crate::Arg> {
    crate::args![at.workspace, key.consumer, key.source, at.partition, at.seq, at.kind, at.key.to_vec()]
}

fn quarantined_of(row: &Row) -> Result<Quarantined, DbFault> {
    Ok(Quarantined {
        at: QuarantineKey {
            workspace: WorkspaceId(row.get::<Uuid, _>("workspace_id")?),
            partition: partition_of(row, "partition")?,
            seq: row.get("seq")?,
            kind: row.get("kind")?,
            key: Bytes::from(row.get::<Vec<u8>, _>("key")?),
        },
        commit_at: Micros(row.get("commit_at")?),
        snapshot: row.get("snapshot")?,
        bytes: Bytes::from(row.get::<Vec<u8>, _>("state")?),
        error: row.get("error")?,
        attempts: row.get("attempts")?,
        since: Micros(row.get("since")?),
    })
}
