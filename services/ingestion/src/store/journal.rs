//! The log of events as the roller and backfills read it: pages of packed rows, by partition.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use keizoku_base::number::Millionths;
use keizoku_base::{AccountId, Micros, Partition, WorkspaceId, Zone};
use keizoku_storage::feed::{self, FeedFault, FeedRow, Head, Journal, Log, Page, Partitions, Segment, SnapshotPage};
use keizoku_storage::{DbFault, Dialect, Row, SqlType, Tx, args};
use uuid::Uuid;

use crate::domain::event::RecordedEvent;
use crate::domain::pack::{Corrupt, Digest, Packer, Unpacker};
use crate::domain::value::Properties;

/// How many events one page holds: the more, the fewer times each account is written while the roller catches up.
const PAGE_MOST: usize = 10_000;
/// How many bytes of properties one page holds.
const PAGE_MOST_BYTES: usize = 8 << 20;

const COLUMNS: &str = "partition, seq, account_id, source, name, measurement, occurred_at, known_at, received_at,
    id_hash, user_ordinal, value, properties, trace_parent";

/// The log of events. What is counted from it is all the state there is, so nothing can be listed anew: whoever lost
/// his place goes on where the log begins.
#[derive(Debug)]
pub(crate) struct EventJournal;

#[async_trait]
impl Journal for EventJournal {
    fn log(&self) -> Log {
        Log::Events
    }

    async fn page(&self, tx: &Tx, workspace: WorkspaceId, wanted: &[(Partition, i64)]) -> Result<Page, FeedFault> {
        page(tx, workspace, wanted, PAGE_MOST).await
    }

    async fn snapshot(
        &self,
        _tx: &Tx,
        _workspace: WorkspaceId,
        _partitions: Partitions,
        _token: Option<&[u8]>,
    ) -> Result<SnapshotPage, FeedFault> {
        Ok(SnapshotPage::default())
    }
}

/// At most `most` events after each partition's position, shared out evenly.
///
/// # Errors
/// [`FeedFault::Trimmed`], [`FeedFault::Ahead`], [`FeedFault::Gap`], or as the database.
pub(crate) async fn page(
    tx: &Tx,
    workspace: WorkspaceId,
    wanted: &[(Partition, i64)],
    most: usize,
) -> Result<Page, FeedFault> {
    let partitions: Partitions = wanted.iter().map(|(partition, _)| *partition).collect();
    let heads = feed::heads_of(tx, Log::Events, workspace, partitions).await?;
    let mut news: BTreeMap<Partition, (i64, i64)> = BTreeMap::new();
    for (partition, after) in wanted {
        let none = Head { workspace, partition: *partition, last_seq: 0, trimmed_seq: 0 };
        let head = heads.get(partition).copied().unwrap_or(none);
        if *after < head.trimmed_seq {
            return Err(FeedFault::Trimmed);
        }
        if *after > head.last_seq {
            return Err(FeedFault::Ahead);
        }
        if head.last_seq > *after {
            news.insert(*partition, (*after, head.last_seq));
        }
    }
    let mut found = Page::default();
    if news.is_empty() {
        return Ok(found);
    }
    let share = Share::of(most, news.len());
    let mut rows = match tx.dialect() {
        Dialect::Postgres => at_once(tx, workspace, &news, share).await?,
        Dialect::Sqlite => one_by_one(tx, workspace, &news, share).await?,
    };
    for (partition, (after, last_seq)) in news {
        let rows = rows.remove(&partition).unwrap_or_default();
        let Some(through) = rows.last().map(|row| row.seq) else {
            // Dropped between the two queries, or there is a hole.
            return Err(FeedFault::Gap { workspace, partition, expected: after + 1, found: last_seq });
        };
        if through < last_seq {
            found.more.insert(partition);
        }
        found.segments.push(Segment { partition, after, through, generation: 0, rows });
    }
    Ok(found)
}

/// An event of the log with the traceparent of the call that brought it, which may be empty.
///
/// # Errors
/// [`Corrupt`] where the row is none of this log.
pub(crate) fn read(row: &FeedRow, zone: Zone) -> Result<(RecordedEvent, String), Corrupt> {
    let mut packed = Unpacker::new(&row.bytes);
    let account = AccountId(Uuid::from_bytes(packed.digest()?.0));
    let key = packed.digest()?;
    let measurement = packed.byte()? == 1;
    let (source, name) = (packed.text()?.to_owned(), packed.text()?.to_owned());
    let (occurred_at, known_at) = (Micros(packed.signed()?), Micros(packed.signed()?));
    let user = packed.optional(Unpacker::unsigned)?;
    let value = packed.optional(Unpacker::signed)?.map(Millionths);
    let trace_parent = packed.text()?.to_owned();
    let properties = Properties::from_stored(packed.bytes()?.to_vec());
    let event = RecordedEvent {
        account,
        source,
        name,
        measurement,
        key,
        seq: row.seq,
        occurred_at,
        day: zone.day_of(occurred_at),
        known_at,
        user,
        value,
        properties,
    };
    Ok((event, trace_parent))
}

/// What one partition may take of a page.
#[derive(Debug, Clone, Copy)]
struct Share {
    events: i64,
    bytes: i64,
}

impl Share {
    fn of(most: usize, partitions: usize) -> Self {
        let share = |whole: usize| i64::try_from((whole / partitions).max(1)).unwrap_or(i64::MAX);
        Self { events: share(most), bytes: share(PAGE_MOST_BYTES) }
    }
}

type Rows = BTreeMap<Partition, Vec<FeedRow>>;

async fn at_once(
    tx: &Tx,
    workspace: WorkspaceId,
    news: &BTreeMap<Partition, (i64, i64)>,
    share: Share,
) -> Result<Rows, DbFault> {
    let sql = format!(
        "SELECT oldest.* FROM ({}) AS wanted JOIN LATERAL ({}) AS oldest ON true",
        tx.dialect().columns(&[("$2", SqlType::SmallInt), ("$3", SqlType::BigInt)]),
        oldest("wanted.c1", "wanted.c2", "$4", "$5")
    );
    let numbers: Vec<i16> = news.keys().map(|partition| i16::from(partition.number())).collect();
    let afters: Vec<i64> = news.values().map(|(after, _)| *after).collect();
    let rows = tx.fetch_all(&sql, args![workspace, numbers, afters, share.events, share.bytes]).await?;
    let mut found = Rows::new();
    for row in &rows {
        let number: i16 = row.get(0)?;
        let partition = u8::try_from(number).ok().and_then(Partition::new);
        let partition = partition.ok_or_else(|| DbFault::internal(format!("an event names partition {number}")))?;
        found.entry(partition).or_default().push(pack(row)?);
    }
    found.values_mut().for_each(|rows| rows.sort_by_key(|row| row.seq));
    Ok(found)
}

async fn one_by_one(
    tx: &Tx,
    workspace: WorkspaceId,
    news: &BTreeMap<Partition, (i64, i64)>,
    share: Share,
) -> Result<Rows, DbFault> {
    let sql = format!("{} ORDER BY seq", oldest("$2", "$3", "$4", "$5"));
    let mut found = Rows::new();
    for (partition, (after, _)) in news {
        let rows = tx.fetch_all(&sql, args![workspace, *partition, *after, share.events, share.bytes]).await?;
        found.insert(*partition, rows.iter().map(pack).collect::<Result<_, _>>()?);
    }
    Ok(found)
}

/// The events of a partition after a position: as many as its share holds, at least one.
fn oldest(partition: &str, after: &str, events: &str, bytes: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM (
            SELECT {COLUMNS}, sum(octet_length(properties)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING)
                - octet_length(properties) AS bytes_before
            FROM (SELECT {COLUMNS} FROM event WHERE workspace_id = $1 AND partition = {partition} AND seq > {after}
                ORDER BY seq LIMIT {events}) AS first
        ) AS sized WHERE bytes_before < {bytes}"
    )
}

fn pack(row: &Row) -> Result<FeedRow, DbFault> {
    let (account, key): (Uuid, &[u8]) = (row.get(2)?, row.get(9)?);
    let mut packer = Packer::new();
    packer.raw(account.as_bytes());
    packer.raw(&digest(key)?.0);
    packer.byte(u8::from(row.get::<bool, _>(5)?));
    packer.text(row.get(3)?);
    packer.text(row.get(4)?);
    packer.signed(row.get::<i64, _>(6)?);
    packer.signed(row.get::<i64, _>(7)?);
    let user = row.get::<Option<i64>, _>(10)?.map(u32::try_from).transpose().map_err(DbFault::internal)?;
    packer.optional(user, |packer, user| packer.unsigned(user));
    packer.optional(row.get::<Option<i64>, _>(11)?, |packer, value| packer.signed(value));
    packer.text(row.get(13)?);
    packer.bytes(row.get(12)?);
    Ok(FeedRow {
        seq: row.get(1)?,
        kind: 0,
        key: Bytes::copy_from_slice(key),
        commit_at: Micros(row.get(8)?),
        bytes: Bytes::from(packer.into_bytes()),
    })
}

fn digest(bytes: &[u8]) -> Result<Digest, DbFault> {
    bytes.try_into().map(Digest).map_err(|_| DbFault::internal("an event's key has not 16 bytes"))
}
