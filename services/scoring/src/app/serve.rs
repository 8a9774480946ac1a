//! The service's own feed as it is served to others.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use keizoku_base::{Partition, WorkspaceId};
use keizoku_storage::Scope;
use keizoku_storage::feed::{self, Cursor, FeedEpoch, FeedFault, Follow, Followed, Head, Log, SAFETY_POLL, Segment};

use super::{App, follow as own};
use crate::error::ScoringFault;

/// What a reader asks for.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Which partitions.
    pub partitions: Vec<Partition>,
    /// How far each is read.
    pub cursors: Vec<(WorkspaceId, Partition, i64)>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<i16>,
    /// The life of the log that the cursors belong to; `None`: there are none.
    pub epoch: Option<[u8; 16]>,
}

/// Consecutive changes of one partition, encoded.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The partition.
    pub partition: Partition,
    /// The position before the first.
    pub after: i64,
    /// The position reached.
    pub through: i64,
    /// The changes.
    pub changes: Vec<Bytes>,
}

/// What a reader hears.
#[derive(Debug, Clone)]
pub enum News {
    /// Changes of a workspace.
    Page(WorkspaceId, Vec<Stretch>),
    /// There was nothing more a moment ago.
    CaughtUp,
}

/// Everything after the cursors, for ever, and the epoch of the log.
///
/// # Errors
/// [`FeedFault::EpochChanged`] where the cursors are of another life; as the database.
pub async fn follow(
    app: &App,
    reading: Reading,
) -> Result<(BoxStream<'static, Result<News, ScoringFault>>, [u8; 16]), ScoringFault> {
    let tx = app.db.read("feed.epoch", Scope::System).await?;
    let epoch = feed::epoch(&tx).await?;
    drop(tx);
    if reading.epoch.is_some_and(|asked| FeedEpoch::from_bytes(&asked) != Some(epoch)) {
        return Err(FeedFault::EpochChanged.into());
    }
    let cursor = |(workspace, partition, seq): (WorkspaceId, Partition, i64)| Cursor { workspace, partition, seq };
    let wanted = Follow {
        epoch,
        cursors: reading.cursors.into_iter().map(cursor).collect(),
        partitions: reading.partitions.into_iter().collect(),
        workspace: None,
        kinds: reading.kinds,
    };
    let news = feed::follow(app.db.clone(), own::journal(), wanted, SAFETY_POLL).map(|followed| match followed? {
        Followed::Batch(batch) => Ok(News::Page(batch.workspace, batch.segments.into_iter().map(stretch).collect())),
        Followed::CaughtUp => Ok(News::CaughtUp),
    });
    Ok((news.boxed(), *epoch.as_bytes()))
}

/// A page of the present state, by partition, and where the next one begins.
///
/// # Errors
/// As the database.
pub async fn state(
    app: &App,
    workspace: WorkspaceId,
    partitions: &[Partition],
    token: Option<&[u8]>,
) -> Result<(Vec<Stretch>, Option<Vec<u8>>), ScoringFault> {
    let tx = app.db.read("feed.state", Scope::Workspace(workspace)).await?;
    let page = own::journal().snapshot(&tx, workspace, partitions.iter().copied().collect(), token).await?;
    let mut found: Vec<Stretch> = Vec::new();
    let mut rows = page.rows;
    rows.sort_by_key(|(partition, _)| *partition);
    for (partition, row) in rows {
        match found.last_mut().filter(|last| last.partition == partition) {
            Some(last) => last.changes.push(row.bytes),
            None => found.push(Stretch { partition, after: 0, through: 0, changes: vec![row.bytes] }),
        }
    }
    Ok((found, page.next))
}

/// How far partitions are written, in every workspace, and the epoch of the log.
///
/// # Errors
/// As the database.
pub async fn heads(app: &App, partitions: &[Partition]) -> Result<(Vec<Head>, [u8; 16]), ScoringFault> {
    let tx = app.db.read("feed.heads", Scope::System).await?;
    let heads = feed::heads(&tx, Log::Changes, partitions.iter().copied().collect()).await?;
    Ok((heads, *feed::epoch(&tx).await?.as_bytes()))
}

fn stretch(segment: Segment) -> Stretch {
    let changes = segment.rows.into_iter().map(|row| row.bytes).collect();
    Stretch { partition: segment.partition, after: segment.after, through: segment.through, changes }
}
