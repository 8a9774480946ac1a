//! Reading the log: heads, pages, the epoch. Each is a short query of its own; nothing stays open between pages.

use std::collections::BTreeMap;

use bytes::Bytes;
use keizoku_base::{Micros, Partition, WorkspaceId};
use uuid::Uuid;

use super::append::partition_of;
use super::fault::FeedFault;
use super::types::{FeedEpoch, FeedRow, Head, Log, Partitions, Segment, number};
use crate::dialect::{Dialect, SqlType};
use crate::fault::DbFault;
use crate::row::Row;
use crate::tx::Tx;

/// How much one page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// At most this many changes; at least 64, so that each partition has room for one.
    pub changes: usize,
    /// The page ends with the change that reaches this many bytes.
    pub bytes: usize,
}

impl PageLimit {
    /// What one message of `Follow` holds: 500 changes or 1 MiB.
    pub const FOLLOW: Self = Self { changes: 500, bytes: 1 << 20 };
    /// What one local batch holds: 5,000 changes or 8 MiB.
    pub const LOCAL: Self = Self { changes: 5000, bytes: 8 << 20 };
}

/// A page of one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// What was found, ascending by partition, without partitions that had nothing.
    pub segments: Vec<Segment>,
    /// The partitions that may have more.
    pub more: Partitions,
}

/// The changes of one partition after `after`.
///
/// # Errors
/// [`FeedFault::Trimmed`], [`FeedFault::Ahead`], [`FeedFault::Gap`], or a fault of the store.
pub async fn page(
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    after: i64,
    limit: PageLimit,
) -> Result<Segment, FeedFault> {
    let found = pages(tx, workspace, &[(partition, after)], limit).await?;
    let empty = Segment { partition, after, through: after, generation: 0, rows: Vec::new() };
    Ok(found.segments.into_iter().next().unwrap_or(empty))
}

/// The changes of several partitions, each after its position, in one page. Each partition gets its share of the
/// page, so that none waits for another's backlog.
///
/// # Errors
/// Like [`page`].
pub async fn pages(
    tx: &Tx,
    workspace: WorkspaceId,
    wanted: &[(Partition, i64)],
    limit: PageLimit,
) -> Result<Page, FeedFault> {
    let wanted: BTreeMap<Partition, i64> = wanted.iter().copied().collect();
    if wanted.is_empty() {
        return Ok(Page::default());
    }
    let heads = heads_of(tx, Log::Changes, workspace, wanted.keys().copied().collect()).await?;
    let share = (limit.changes / wanted.len()).max(1);
    let mut news = BTreeMap::new();
    for (partition, after) in wanted {
        let head = heads.get(&partition).copied().unwrap_or(Head { workspace, partition, last_seq: 0, trimmed_seq: 0 });
        check_cursor(&head, after)?;
        if head.last_seq > after {
            news.insert(partition, (after, head.last_seq));
        }
    }
    let mut rows = match tx.dialect() {
        Dialect::Postgres => at_once(tx, workspace, &news, share, limit).await?,
        Dialect::Sqlite => one_by_one(tx, workspace, &news, share, limit).await?,
    };
    let mut found = Page::default();
    for (partition, (after, last_seq)) in news {
        let Some(rows) = rows.remove(&partition) else {
            found.more.insert(partition);
            continue;
        };
        let through = rows.last().map_or(after, |row| row.seq);
        let segment = Segment { partition, after, through, generation: 0, rows };
        if let Err(gap) = check_segment(workspace, &segment, last_seq) {
            // Trimmed between the two queries?
            let heads = heads_of(tx, Log::Changes, workspace, Partitions::from_iter([partition])).await?;
            heads.get(&partition).map_or(Ok(()), |head| check_cursor(head, after))?;
            return Err(gap);
        }
        if through < last_seq {
            found.more.insert(partition);
        }
        found.segments.push(segment);
    }
    Ok(found)
}

/// How far the partitions of a log have been written, in every workspace; `tx` has the scope of the system.
///
/// # Errors
/// Any fault of the store.
pub async fn heads(tx: &Tx, log: Log, partitions: Partitions) -> Result<Vec<Head>, DbFault> {
    let sql = "SELECT workspace_id, partition, last_seq, trimmed_seq FROM feed_head WHERE log = $1";
    let rows = tx.fetch_all(sql, crate::args![log.number()]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let head = head_of(row)?;
        if partitions.contains(head.partition) {
            found.push(head);
        }
    }
    Ok(found)
}

/// How far some partitions of one workspace have been written.
///
/// # Errors
/// Any fault of the store.
pub async fn heads_of(
    tx: &Tx,
    log: Log,
    workspace: WorkspaceId,
    partitions: Partitions,
) -> Result<BTreeMap<Partition, Head>, DbFault> {
    let sql = format!(
        "SELECT workspace_id, partition, last_seq, trimmed_seq FROM feed_head
         WHERE workspace_id = $1 AND log = $2 AND {}",
        tx.dialect().any("partition", "$3", SqlType::SmallInt)
    );
    let rows = tx.fetch_all(&sql, crate::args![workspace, log.number(), partitions.numbers()]).await?;
    rows.iter().map(|row| head_of(row).map(|head| (head.partition, head))).collect()
}

/// The life of the log.
///
/// # Errors
/// Any fault of the store.
pub async fn epoch(tx: &Tx) -> Result<FeedEpoch, DbFault> {
    let row = tx.fetch_one("SELECT epoch FROM feed_epoch WHERE id = 1", Vec::new()).await?;
    FeedEpoch::from_bytes(row.get("epoch")?).ok_or_else(|| DbFault::internal("the feed's epoch is not 16 bytes long"))
}

/// Begins another life of the log, after the database was restored: every consumer bootstraps.
///
/// # Errors
/// Any fault of the store.
pub async fn renew_epoch(tx: &Tx) -> Result<FeedEpoch, DbFault> {
    let sql = format!("UPDATE feed_epoch SET epoch = {} WHERE id = 1", tx.dialect().random_bytes());
    tx.execute(&sql, Vec::new()).await?;
    let doorbell = tx.doorbell().clone();
    tx.after_commit(move || doorbell.ring_all());
    epoch(tx).await
}

/// Whether a cursor can go on from `after`.
pub(crate) fn check_cursor(head: &Head, after: i64) -> Result<(), FeedFault> {
    if after < head.trimmed_seq {
        return Err(FeedFault::Trimmed);
    }
    if after > head.last_seq {
        return Err(FeedFault::Ahead);
    }
    Ok(())
}

/// Whether a segment's rows follow each other without a hole, and whether there are any where the head is further.
pub(crate) fn check_segment(workspace: WorkspaceId, segment: &Segment, last_seq: i64) -> Result<(), FeedFault> {
    let gap = |expected, found| FeedFault::Gap { workspace, partition: segment.partition, expected, found };
    if segment.rows.is_empty() && last_seq > segment.after {
        return Err(gap(segment.after + 1, last_seq));
    }
    for (expected, row) in (segment.after + 1..).zip(&segment.rows) {
        if row.seq != expected {
            return Err(gap(expected, row.seq));
        }
    }
    Ok(())
}

fn head_of(row: &Row) -> Result<Head, DbFault> {
    Ok(Head {
        workspace: WorkspaceId(row.get::<Uuid, _>("workspace_id")?),
        partition: partition_of(row, "partition")?,
        last_seq: row.get("last_seq")?,
        trimmed_seq: row.get("trimmed_seq")?,
    })
}

type Rows = BTreeMap<Partition, Vec<FeedRow>>;

/// One statement for all partitions. A partition that the byte limit left out is missing from the answer; one without
/// rows is there, empty.
async fn at_once(
    tx: &Tx,
    workspace: WorkspaceId,
    news: &BTreeMap<Partition, (i64, i64)>,
    share: usize,
    limit: PageLimit,
) -> Result<Rows, DbFault> {
    let sql = format!(
        "SELECT partition, seq, kind, key, state, commit_at FROM (
            SELECT wanted.c1 AS partition, seq, kind, key, state, commit_at,
                sum(octet_length(state)) OVER (ORDER BY wanted.c1, seq ROWS UNBOUNDED PRECEDING)
                    - octet_length(state) AS bytes_before
            FROM ({}) AS wanted LEFT JOIN LATERAL (
                SELECT seq, kind, key, state, commit_at FROM feed_change
                WHERE workspace_id = $1 AND partition = wanted.c1 AND seq > wanted.c2 ORDER BY seq LIMIT $4
            ) AS change ON true
        ) AS found WHERE bytes_before IS NULL OR bytes_before < $5 ORDER BY partition, seq",
        tx.dialect().columns(&[("$2", SqlType::SmallInt), ("$3", SqlType::BigInt)])
    );
    let numbers: Vec<i16> = news.keys().copied().map(number).collect();
    let afters: Vec<i64> = news.values().map(|(after, _)| *after).collect();
    let args = crate::args![workspace, numbers, afters, bound(share), bound(limit.bytes)];
    let mut found = Rows::new();
    for row in &tx.fetch_all(&sql, args).await? {
        let rows = found.entry(partition_of(row, "partition")?).or_default();
        if row.get::<Option<i64>, _>("seq")?.is_some() {
            rows.push(row_of(row)?);
        }
    }
    Ok(found)
}

/// The same on SQLite, which has no LATERAL but also no round trips: sizes first, so that no more is loaded than fits.
async fn one_by_one(
    tx: &Tx,
    workspace: WorkspaceId,
    news: &BTreeMap<Partition, (i64, i64)>,
    share: usize,
    limit: PageLimit,
) -> Result<Rows, DbFault> {
    let mut found = Rows::new();
    let mut bytes = 0_i64;
    for (partition, (after, _)) in news {
        if bytes >= bound(limit.bytes) {
            break;
        }
        let sql = "SELECT seq, length(state) AS size FROM feed_change
             WHERE workspace_id = $1 AND partition = $2 AND seq > $3 ORDER BY seq LIMIT $4";
        let sizes = tx.fetch_all(sql, crate::args![workspace, *partition, *after, bound(share)]).await?;
        let mut through = *after;
        for row in &sizes {
            if bytes >= bound(limit.bytes) {
                break;
            }
            bytes += row.get::<i64, _>("size")?;
            through = row.get("seq")?;
        }
        let sql = "SELECT seq, kind, key, state, commit_at FROM feed_change
             WHERE workspace_id = $1 AND partition = $2 AND seq > $3 AND seq <= $4 ORDER BY seq";
        let rows = tx.fetch_all(sql, crate::args![workspace, *partition, *after, through]).await?;
        found.insert(*partition, rows.iter().map(row_of).collect::<Result<_, _>>()?);
    }
    Ok(found)
}

fn row_of(row: &Row) -> Result<FeedRow, DbFault> {
    Ok(FeedRow {
        seq: row.get("seq")?,
        kind: row.get("kind")?,
        key: Bytes::from(row.get::<Vec<u8>, _>("key")?),
        commit_at: Micros(row.get("commit_at")?),
        bytes: Bytes::from(row.get::<Vec<u8>, _>("state")?),
    })
}

fn bound(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
