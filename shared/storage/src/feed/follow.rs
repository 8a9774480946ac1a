//! Turns heads, a page query and the doorbell into a stream of batches. The local consumer and the server of `Follow`
//! read through the same code.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use keizoku_base::{Partition, WorkspaceId};
use tokio::time::Instant;

use super::doorbell::Bell;
use super::fault::FeedFault;
use super::read::{self, Page, check_cursor, check_segment};
use super::types::{Batch, Cursor, FeedEpoch, Log, Partitions, Segment};
use crate::db::Db;
use crate::tx::{Scope, Tx};

/// The rows of a log: the page query of a service, and its current state for those who bootstrap.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Whose heads count its rows.
    fn log(&self) -> Log;

    /// One page of a workspace: for each wanted partition the rows after its position, without holes, ascending. `tx`
    /// only reads, and only this workspace.
    ///
    /// # Errors
    /// Any [`FeedFault`].
    async fn page(&self, tx: &Tx, workspace: WorkspaceId, wanted: &[(Partition, i64)]) -> Result<Page, FeedFault>;

    /// One page of the current state of some partitions of a workspace. The token names a place in an order that does
    /// not depend on the partitions asked for; `None` begins.
    ///
    /// # Errors
    /// [`FeedFault::NoSnapshot`] where no state is kept; otherwise any [`FeedFault`].
    async fn snapshot(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<&[u8]>,
    ) -> Result<SnapshotPage, FeedFault>;
}

/// A page of current state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotPage {
    /// The resources with the partition of each; their seq is ignored.
    pub rows: Vec<(Partition, super::FeedRow)>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Vec<u8>>,
}

/// What a reader asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// The life of the log that the cursors belong to.
    pub epoch: FeedEpoch,
    /// Where it is. A partition that is not named begins at 0.
    pub cursors: Vec<Cursor>,
    /// The partitions it wants, of every workspace.
    pub partitions: Partitions,
    /// Only this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only these kinds; empty means all. Positions advance over the others.
    pub kinds: Vec<i16>,
}

/// What a follower learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// Changes of one workspace.
    Batch(Batch),
    /// There was nothing more a moment ago. Comes once after each run of batches, and once at the start where there
    /// are none.
    CaughtUp,
}

/// Follows a log of `db` from the asker's cursors, for ever. A batch is read when it is asked for, by a short query of
/// its own: between batches nothing is open and nothing is buffered. Workspaces take turns. After an error the stream
/// ends.
pub fn follow(
    db: Db,
    journal: Arc<dyn Journal>,
    wanted: Follow,
    safety_poll: Duration,
) -> BoxStream<'static, Result<Followed, FeedFault>> {
    let follower = Follower::new(db, journal, wanted, safety_poll);
    stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(followed) => Some((Ok(followed), Some(follower))),
            Err(fault) => Some((Err(fault), None)),
        }
    })
    .boxed()
}

struct Follower {
    db: Db,
    journal: Arc<dyn Journal>,
    wanted: Follow,
    bell: Bell,
    positions: HashMap<WorkspaceId, BTreeMap<Partition, i64>>,
    /// Workspaces that may have news, each once, in the order of their turns.
    turns: VecDeque<WorkspaceId>,
    due: HashMap<WorkspaceId, Due>,
    told_caught_up: bool,
    safety_poll: Duration,
    next_sweep: Instant,
}

/// The partitions of a workspace that may have news.
#[derive(Debug, Clone, Copy, Default)]
struct Due {
    /// To be read in its next turn.
    now: Partitions,
    /// To be read when the others have had theirs.
    later: Partitions,
}

impl Follower {
    fn new(db: Db, journal: Arc<dyn Journal>, wanted: Follow, safety_poll: Duration) -> Self {
        // Before the heads are read for the first time, so that no ring falls in between.
        let bell = db.doorbell().subscribe(journal.log());
        let mut positions: HashMap<WorkspaceId, BTreeMap<Partition, i64>> = HashMap::new();
        for cursor in &wanted.cursors {
            positions.entry(cursor.workspace).or_default().insert(cursor.partition, cursor.seq);
        }
        Self {
            db,
            journal,
            wanted,
            bell,
            positions,
            turns: VecDeque::new(),
            due: HashMap::new(),
            told_caught_up: false,
            safety_poll,
            next_sweep: Instant::now(),
        }
    }

    async fn next(&mut self) -> Result<Followed, FeedFault> {
        loop {
            if self.next_sweep <= Instant::now() {
                self.sweep().await?;
            }
            let rung = self.bell.take();
            for (workspace, partitions) in rung.some {
                self.mark(workspace, partitions);
            }
            if rung.all {
                self.sweep().await?;
            }
            if let Some(workspace) = self.turns.pop_front() {
                if let Some(batch) = self.turn(workspace).await? {
                    self.told_caught_up = false;
                    return Ok(Followed::Batch(batch));
                }
                continue;
            }
            if !std::mem::replace(&mut self.told_caught_up, true) {
                return Ok(Followed::CaughtUp);
            }
            tokio::select! {
                () = self.bell.wait() => {}
                () = tokio::time::sleep_until(self.next_sweep) => {}
            }
        }
    }

    /// Reads the epoch and all heads: at the start, when a ring says so, and now and then in case one was missed.
    async fn sweep(&mut self) -> Result<(), FeedFault> {
        let scope = self.wanted.workspace.map_or(Scope::System, Scope::Workspace);
        let tx = self.db.read("feed.heads", scope).await?;
        if read::epoch(&tx).await? != self.wanted.epoch {
            return Err(FeedFault::EpochChanged);
        }
        let log = self.journal.log();
        let heads = match self.wanted.workspace {
            Some(workspace) => {
                read::heads_of(&tx, log, workspace, self.wanted.partitions).await?.into_values().collect()
            }
            None => read::heads(&tx, log, self.wanted.partitions).await?,
        };
        drop(tx);
        for head in heads {
            let after = self.position(head.workspace, head.partition);
            check_cursor(&head, after)?;
            if head.last_seq > after {
                self.mark(head.workspace, Partitions::from_iter([head.partition]));
            }
        }
        self.next_sweep = Instant::now() + self.safety_poll;
        Ok(())
    }

    fn position(&self, workspace: WorkspaceId, partition: Partition) -> i64 {
        self.positions.get(&workspace).and_then(|known| known.get(&partition)).copied().unwrap_or(0)
    }

    fn mark(&mut self, workspace: WorkspaceId, partitions: Partitions) {
        let wanted = partitions.intersection(self.wanted.partitions);
        if wanted.is_empty() || self.wanted.workspace.is_some_and(|only| only != workspace) {
            return;
        }
        let due = self.due.entry(workspace).or_insert_with(|| {
            self.turns.push_back(workspace);
            Due::default()
        });
        due.now = due.now.union(wanted);
    }

    /// Reads one page of a workspace; `None` where there was nothing after all.
    async fn turn(&mut self, workspace: WorkspaceId) -> Result<Option<Batch>, FeedFault> {
        let Some(due) = self.due.remove(&workspace) else { return Ok(None) };
        let wanted: Vec<_> = due.now.iter().map(|partition| (partition, self.position(workspace, partition))).collect();
        let tx = self.db.read("feed.page", Scope::Workspace(workspace)).await?;
        let page = self.journal.page(&tx, workspace, &wanted).await?;
        drop(tx);
        let (mut served, mut segments) = (Partitions::NONE, Vec::with_capacity(page.segments.len()));
        for segment in page.segments {
            if segment.through <= segment.after {
                continue;
            }
            self.check(workspace, &segment).await?;
            served.insert(segment.partition);
            self.positions.entry(workspace).or_default().insert(segment.partition, segment.through);
            segments.push(self.asked_for(segment));
        }
        segments.sort_by_key(|segment: &Segment| segment.partition);
        self.wait_again(workspace, due, page.more, served);
        let batch = Batch { workspace, snapshot: false, segments };
        Ok((!batch.segments.is_empty()).then_some(batch))
    }

    /// A partition that had its share waits until those that had none had theirs.
    fn wait_again(&mut self, workspace: WorkspaceId, due: Due, more: Partitions, served: Partitions) {
        let unserved = Partitions::from_bits(more.bits() & !served.bits());
        let later = due.later.union(more.intersection(served));
        let next = if unserved.is_empty() {
            Due { now: later, later: Partitions::NONE }
        } else {
            Due { now: unserved, later }
        };
        if !next.now.is_empty() {
            self.due.insert(workspace, next);
            self.turns.push_back(workspace);
        }
    }

    async fn check(&mut self, workspace: WorkspaceId, segment: &Segment) -> Result<(), FeedFault> {
        let expected = self.position(workspace, segment.partition);
        let gap = FeedFault::Gap { workspace, partition: segment.partition, expected, found: segment.after };
        let found = if segment.after == expected { check_segment(workspace, segment, 0) } else { Err(gap) };
        if found.is_err() {
            // A hole where the log was trimmed meanwhile is none.
            self.sweep().await?;
        }
        found
    }

    fn asked_for(&self, mut segment: Segment) -> Segment {
        if !self.wanted.kinds.is_empty() {
            segment.rows.retain(|row| self.wanted.kinds.contains(&row.kind));
        }
        segment
    }
}
