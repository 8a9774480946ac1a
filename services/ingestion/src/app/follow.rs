//! Serving the feed: changes after cursors, the heads, the present state for those who begin.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use keizoku_base::{Micros, Partition, WorkspaceId};
use keizoku_storage::feed::{
    self, Batch, Cursor, FeedEpoch, FeedFault, FeedRow, Follow, Followed, Journal, Log, PageLimit, Partitions,
    SAFETY_POLL, SnapshotPage,
};
use keizoku_storage::{Scope, Tx};

use super::{App, state};
use crate::error::IngestionFault;

/// What a follower asks for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The partitions, of every workspace.
    pub partitions: Vec<Partition>,
    /// How far each is read.
    pub cursors: Vec<(WorkspaceId, Partition, i64)>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<i16>,
    /// The life of the log that the cursors belong to; `None`: the present one.
    pub epoch: Option<FeedEpoch>,
}

/// Changes of one partition, encoded as they were stored.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The partition.
    pub partition: Partition,
    /// The position before the first one.
    pub after: i64,
    /// The position reached.
    pub through: i64,
    /// The changes.
    pub changes: Vec<Bytes>,
}

/// What a follower gets.
#[derive(Debug, Clone)]
pub enum Served {
    /// Changes of one workspace.
    Changes(WorkspaceId, Vec<Stretch>),
    /// There was nothing more a moment ago.
    CaughtUp,
}

/// How far one partition of one workspace is written.
#[derive(Debug, Clone, Copy)]
pub struct WrittenTo {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The partition.
    pub partition: Partition,
    /// The last position.
    pub last_seq: i64,
    /// Everything up to here may be gone.
    pub trimmed_seq: i64,
}

/// The life of the log.
///
/// # Errors
/// As the database.
pub async fn epoch(app: &App) -> Result<FeedEpoch, IngestionFault> {
    let tx = app.db.read("feed.epoch", Scope::System).await?;
    Ok(feed::epoch(&tx).await?)
}

/// Reads the 16 bytes of an epoch.
pub fn parse_epoch(bytes: &[u8]) -> Option<FeedEpoch> {
    FeedEpoch::from_bytes(bytes)
}

/// Sends what comes after the cursors, for ever. Each page is read when it is asked for.
pub fn follow(app: &Arc<App>, epoch: FeedEpoch, asked: &Asked) -> BoxStream<'static, Result<Served, IngestionFault>> {
    let cursor = |(workspace, partition, seq): &(WorkspaceId, Partition, i64)| Cursor {
        workspace: *workspace,
        partition: *partition,
        seq: *seq,
    };
    let wanted = Follow {
        epoch: asked.epoch.unwrap_or(epoch),
        cursors: asked.cursors.iter().map(cursor).collect(),
        partitions: asked.partitions.iter().copied().collect(),
        workspace: None,
        kinds: asked.kinds.clone(),
    };
    let journal = Arc::new(ChangeJournal(Arc::clone(app)));
    feed::follow(app.db.clone(), journal, wanted, SAFETY_POLL).map_ok(served).map_err(IngestionFault::from).boxed()
}

/// How far every partition that has changes is written.
///
/// # Errors
/// As the database.
pub async fn heads(app: &App, partitions: &[Partition]) -> Result<Vec<WrittenTo>, IngestionFault> {
    let tx = app.db.read("feed.heads", Scope::System).await?;
    let heads = feed::heads(&tx, Log::Changes, partitions.iter().copied().collect()).await?;
    let written = |head: &feed::Head| WrittenTo {
        workspace: head.workspace,
        partition: head.partition,
        last_seq: head.last_seq,
        trimmed_seq: head.trimmed_seq,
    };
    Ok(heads.iter().map(written).collect())
}

fn served(followed: Followed) -> Served {
    let Followed::Batch(Batch { workspace, segments, .. }) = followed else { return Served::CaughtUp };
    let stretch = |segment: feed::Segment| Stretch {
        partition: segment.partition,
        after: segment.after,
        through: segment.through,
        changes: segment.rows.into_iter().map(|row| row.bytes).collect(),
    };
    Served::Changes(workspace, segments.into_iter().map(stretch).collect())
}

/// The log of changes.
struct ChangeJournal(Arc<App>);

#[async_trait]
impl Journal for ChangeJournal {
    fn log(&self) -> Log {
        Log::Changes
    }

    async fn page(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        wanted: &[(Partition, i64)],
    ) -> Result<feed::Page, FeedFault> {
        feed::pages(tx, workspace, wanted, PageLimit::FOLLOW).await
    }

    async fn snapshot(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<&[u8]>,
    ) -> Result<SnapshotPage, FeedFault> {
        let unavailable = |fault: IngestionFault| FeedFault::Unavailable(Arc::new(fault));
        let context = self.0.background(workspace).await.map_err(unavailable)?;
        let page = state::page_in(tx, &context, partitions, token.unwrap_or_default()).await.map_err(unavailable)?;
        let row = |draft: feed::Draft| {
            let bytes = Bytes::from(feed::stamp(0, Micros(0), &draft.body));
            (draft.partition, FeedRow { seq: 0, kind: draft.kind, key: draft.key.into(), commit_at: Micros(0), bytes })
        };
        Ok(SnapshotPage { rows: page.drafts.into_iter().map(row).collect(), next: page.next })
    }
}
