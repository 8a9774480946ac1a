//! Ingestion's feed, told by a test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use keizoku_base::{Micros, Partition, WorkspaceId};
use keizoku_proto::ingestion::Change;
use keizoku_proto::ingestion::change::State;
use keizoku_storage::feed::{
    Batch, FeedEpoch, FeedFault, FeedRow, Follow, Followed, Head, Partitions, Segment, SnapshotPage, Source,
};
use prost::Message as _;
use tokio::sync::watch;

/// The log of one workspace, in memory.
#[derive(Debug, Clone)]
pub(crate) struct Told(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workspace: WorkspaceId,
    log: Mutex<Log>,
    /// Changes of one batch at the most.
    page: usize,
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Log {
    epoch: [u8; 16],
    partitions: BTreeMap<Partition, Vec<Change>>,
}

impl Told {
    pub(crate) fn new(workspace: WorkspaceId, page: usize) -> Self {
        let log = Mutex::new(Log { epoch: [1; 16], partitions: BTreeMap::new() });
        Self(Arc::new(Inner { workspace, log, page, news: watch::Sender::new(0) }))
    }

    /// Adds changes to the log.
    pub(crate) fn tell(&self, changes: impl IntoIterator<Item = (Partition, Change)>) {
        self.change(|log| {
            for (partition, change) in changes {
                log.add(partition, change);
            }
        });
    }

    /// Begins another life of the log, with these things only.
    pub(crate) fn restore(&self, changes: impl IntoIterator<Item = (Partition, Change)>) {
        self.change(|log| {
            log.epoch[0] += 1;
            log.partitions.clear();
            for (partition, change) in changes {
                log.add(partition, change);
            }
        });
    }

    /// The last position of every partition that has one.
    pub(crate) fn heads(&self) -> BTreeMap<Partition, i64> {
        let log = self.log();
        log.partitions.iter().map(|(partition, rows)| (*partition, rows.len() as i64)).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log());
        self.0.news.send_modify(|count| *count += 1);
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page of what lies after the positions, and the positions after it.
    fn page(&self, wanted: &Follow, places: &mut BTreeMap<Partition, i64>) -> Result<Option<Batch>, FeedFault> {
        let log = self.log();
        if &log.epoch != wanted.epoch.as_bytes() {
            return Err(FeedFault::EpochChanged);
        }
        let (mut room, mut segments) = (self.0.page, Vec::new());
        for (partition, rows) in &log.partitions {
            let after = places.get(partition).copied().unwrap_or(0);
            let found: Vec<FeedRow> = rows.iter().skip(after as usize).take(room).map(row).collect();
            if found.is_empty() || !wanted.partitions.contains(*partition) {
                continue;
            }
            room -= found.len();
            let through = after + found.len() as i64;
            places.insert(*partition, through);
            segments.push(Segment { partition: *partition, after, through, generation: 0, rows: found });
        }
        let batch = Batch { workspace: self.0.workspace, snapshot: false, segments };
        Ok((!batch.segments.is_empty()).then_some(batch))
    }
}

impl Log {
    fn add(&mut self, partition: Partition, change: Change) {
        let rows = self.partitions.entry(partition).or_default();
        let seq = rows.len() as i64 + 1;
        rows.push(Change { seq, written_at_micros: seq, ..change });
    }
}

fn row(change: &Change) -> FeedRow {
    FeedRow {
        seq: change.seq,
        kind: change.kind as i16,
        key: change.key.clone(),
        commit_at: Micros(change.written_at_micros),
        bytes: Bytes::from(change.encode_to_vec()),
    }
}

#[async_trait]
impl Source for Told {
    fn name(&self) -> &'static str {
        "ingestion"
    }

    async fn epoch(&self) -> Result<FeedEpoch, FeedFault> {
        Ok(FeedEpoch::from_bytes(&self.log().epoch).expect("16 bytes"))
    }

    async fn heads(&self, partitions: Partitions) -> Result<Vec<Head>, FeedFault> {
        let heads = Self::heads(self).into_iter().filter(|(partition, _)| partitions.contains(*partition));
        let workspace = self.0.workspace;
        Ok(heads.map(|(partition, last_seq)| Head { workspace, partition, last_seq, trimmed_seq: 0 }).collect())
    }

    fn follow(&self, wanted: Follow) -> BoxStream<'static, Result<Followed, FeedFault>> {
        let places: BTreeMap<Partition, i64> =
            wanted.cursors.iter().map(|cursor| (cursor.partition, cursor.seq)).collect();
        let news = self.0.news.subscribe();
        stream::unfold(
            (self.clone(), wanted, places, news, false),
            |(told, wanted, mut places, mut news, quiet)| async move {
                let mut quiet = quiet;
                loop {
                    news.borrow_and_update();
                    let found = match told.page(&wanted, &mut places) {
                        Ok(Some(batch)) => Some(Ok(Followed::Batch(batch))),
                        Ok(None) if !quiet => Some(Ok(Followed::CaughtUp)),
                        Ok(None) => None,
                        Err(fault) => Some(Err(fault)),
                    };
                    if let Some(found) = found {
                        quiet = matches!(found, Ok(Followed::CaughtUp));
                        return Some((found, (told, wanted, places, news, quiet)));
                    }
                    news.changed().await.ok()?;
                }
            },
        )
        .boxed()
    }

    async fn snapshot(
        &self,
        _: WorkspaceId,
        partitions: Partitions,
        _: Option<Vec<u8>>,
    ) -> Result<SnapshotPage, FeedFault> {
        let log = self.log();
        let mut latest: BTreeMap<(Partition, i32, Vec<u8>), &Change> = BTreeMap::new();
        for (partition, rows) in log.partitions.iter().filter(|(partition, _)| partitions.contains(**partition)) {
            for change in rows {
                latest.insert((*partition, change.kind, change.key.to_vec()), change);
            }
        }
        let there = latest.into_iter().filter(|(_, change)| !matches!(change.state, Some(State::Tombstone(_))));
        Ok(SnapshotPage { rows: there.map(|((partition, ..), change)| (partition, row(change))).collect(), next: None })
    }
}
