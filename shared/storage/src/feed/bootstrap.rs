//! Listing a source's state anew: heads first, then pages of current state in a new generation, then a sweep of what
//! the pages did not name. Afterwards the changes since the heads are followed. Where it is stands in the cursors, so
//! that another owner goes on from there.

use std::collections::BTreeMap;

use keizoku_base::{Partition, WorkspaceId};

use super::apply::{Break, Lane, PageMove, Work};
use super::cursor::{self, Stored};
use super::fault::{FeedFault, HandleFault};
use super::quarantine;
use super::status::Activity;
use super::types::{Batch, Head, Partitions, Segment};
use crate::fault::DbFault;
use crate::tx::Scope;

/// The first byte of a cursor's token: pages are being listed, the source's own token follows.
const LISTING: u8 = 0;
/// The first byte of a cursor's token: all pages are listed, older rows are being swept.
const SWEEPING: u8 = 1;

/// Partitions of one workspace that are at the same place of a bootstrap.
#[derive(Debug)]
struct Group {
    workspace: WorkspaceId,
    /// A segment without rows for each partition: at its head, in its generation.
    frames: BTreeMap<Partition, Segment>,
    token: Vec<u8>,
}

impl Group {
    fn new(workspace: WorkspaceId, token: Vec<u8>) -> Self {
        Self { workspace, frames: BTreeMap::new(), token }
    }

    fn add(&mut self, partition: Partition, head: i64, generation: i64) {
        let frame = Segment { partition, after: head, through: head, generation, rows: Vec::new() };
        self.frames.insert(partition, frame);
    }

    fn partitions(&self) -> Partitions {
        self.frames.keys().copied().collect()
    }
}

impl Lane {
    /// Bootstraps the cursors among `stored` that need it: those in the midst of one, of another life of the source,
    /// of an older schema, and, where `heads_moved`, those whose changes are gone.
    pub(crate) async fn bootstrap(&mut self, stored: &[Stored], heads_moved: bool) -> Result<(), Break> {
        let life = self.life;
        let same_life = |cursor: &Stored| cursor.feed_epoch == Some(life.epoch) && cursor.schema == life.schema;
        let (current, other): (Vec<_>, Vec<_>) = stored.iter().partition(|cursor: &&Stored| same_life(cursor));
        let mut groups: BTreeMap<(WorkspaceId, Vec<u8>), Group> = BTreeMap::new();
        for cursor in current.iter().filter(|cursor| cursor.token.is_some()) {
            let token = cursor.token.clone().unwrap_or_default();
            groups.entry((cursor.workspace, token.clone())).or_insert_with(|| Group::new(cursor.workspace, token)).add(
                cursor.partition,
                cursor.seq,
                cursor.generation,
            );
        }
        if !other.is_empty() || heads_moved {
            self.core.board.note(|facts| facts.activity = Activity::Bootstrapping);
            // Before the first page, so that nothing falls between the pages and the changes followed afterwards.
            let heads = self.core.source.heads(self.held.partitions()).await?;
            for (workspace, wanted) in self.to_rewind(&current, &other, &heads, heads_moved) {
                let group = self.rewind(workspace, wanted).await?;
                groups.insert((workspace, Vec::new()), group);
            }
        }
        for group in groups.into_values() {
            self.core.board.note(|facts| facts.activity = Activity::Bootstrapping);
            self.list(group).await?;
        }
        Ok(())
    }

    /// The head to begin at for each cursor that must begin anew.
    fn to_rewind(
        &self,
        current: &[&Stored],
        other: &[&Stored],
        heads: &[Head],
        heads_moved: bool,
    ) -> BTreeMap<WorkspaceId, BTreeMap<Partition, i64>> {
        let by_place: BTreeMap<_, _> = heads.iter().map(|head| ((head.workspace, head.partition), *head)).collect();
        // What the source has no head for, it has nothing of: listing it sweeps everything away.
        let head_of =
            |cursor: &Stored| by_place.get(&(cursor.workspace, cursor.partition)).map_or(0, |head| head.last_seq);
        let mut wanted: BTreeMap<WorkspaceId, BTreeMap<Partition, i64>> = BTreeMap::new();
        for cursor in other {
            wanted.entry(cursor.workspace).or_default().insert(cursor.partition, head_of(cursor));
        }
        if heads_moved {
            let floor_of = |cursor: &Stored| {
                by_place.get(&(cursor.workspace, cursor.partition)).map_or(0, |head| head.trimmed_seq)
            };
            let lost = |cursor: &&&Stored| cursor.seq < floor_of(cursor) || cursor.seq > head_of(cursor);
            for cursor in current.iter().filter(|cursor| cursor.token.is_none()).filter(lost) {
                wanted.entry(cursor.workspace).or_default().insert(cursor.partition, head_of(cursor));
            }
            let unknown = |head: &&Head| !self.places.contains_key(&(head.workspace, head.partition));
            for head in heads.iter().filter(|head| head.trimmed_seq > 0).filter(unknown) {
                wanted.entry(head.workspace).or_default().insert(head.partition, head.last_seq);
            }
        }
        wanted
    }

    async fn rewind(&mut self, workspace: WorkspaceId, heads: BTreeMap<Partition, i64>) -> Result<Group, Break> {
        if heads.keys().any(|partition| !self.places.contains_key(&(workspace, *partition))) {
            self.create(workspace).await?;
        }
        tracing::info!(
            consumer = self.core.key.consumer, source = self.core.key.source, %workspace, partitions = heads.len(),
            "listing the source's state anew"
        );
        let (core, mut group) = (&self.core, Group::new(workspace, vec![LISTING]));
        let tx = core.db.begin("feed.rewind", Scope::Workspace(workspace)).await?;
        let rewound = cursor::rewind(&tx, core.key, workspace, &self.held, self.life, &heads, &group.token).await?;
        let Some(generations) = rewound else { return Err(Break::Fenced) };
        for (partition, generation) in generations {
            group.add(partition, heads.get(&partition).copied().unwrap_or(0), generation);
        }
        quarantine::clear(&tx, core.key, workspace, group.partitions()).await?;
        tx.commit().await?;
        Ok(group)
    }

    async fn list(&mut self, mut group: Group) -> Result<(), Break> {
        while let Some((LISTING, place)) = group.token.split_first().map(|(mark, place)| (*mark, place.to_vec())) {
            if self.interrupt.cancel.is_cancelled() {
                return Err(Break::Cancelled);
            }
            let token = (!place.is_empty()).then_some(place);
            let page = self.core.source.snapshot(group.workspace, group.partitions(), token).await?;
            let to = match page.next {
                Some(next) if next.is_empty() => {
                    let wrong = std::io::Error::other("a page of a snapshot ends with an empty token");
                    return Err(Break::Fault(FeedFault::Malformed(std::sync::Arc::new(wrong))));
                }
                Some(next) => [&[LISTING], &next[..]].concat(),
                None => vec![SWEEPING],
            };
            let step = PageMove { partitions: group.partitions(), from: group.token, to: to.clone() };
            let batch = Batch::of_snapshot(group.workspace, &group.frames, page.rows);
            self.apply(Work { batch, page: Some(step) }).await?;
            group.token = to;
        }
        self.sweep(&group).await?;
        for frame in group.frames.values() {
            if let Some(place) = self.places.get_mut(&(group.workspace, frame.partition)) {
                (place.committed, place.seen, place.generation) = (frame.through, frame.through, frame.generation);
            }
        }
        Ok(())
    }

    /// Deletes what the pages did not name. There is no change to blame for a failure, so it is tried for ever.
    async fn sweep(&mut self, group: &Group) -> Result<(), Break> {
        let mut pauses = self.core.patience();
        loop {
            match self.sweep_once(group).await {
                Ok(Some(true)) => pauses = self.core.patience(),
                Ok(Some(false)) => return Ok(()),
                Ok(None) => return Err(Break::Fenced),
                Err(fault) => {
                    self.trouble(&fault);
                    self.interrupt.pause(pauses.next().unwrap_or(self.core.settings.longest_pause)).await?;
                }
            }
        }
    }

    /// One transaction; whether there is more, or `None` where the fence is closed.
    async fn sweep_once(&self, group: &Group) -> Result<Option<bool>, HandleFault> {
        let (core, workspace, partitions) = (&self.core, group.workspace, group.partitions());
        let tx = core.db.begin("feed.sweep", Scope::Workspace(workspace)).await?;
        if !cursor::step(&tx, core.key, workspace, &self.held, partitions, &group.token, Some(&group.token)).await? {
            return Ok(None);
        }
        let mut more = false;
        for frame in group.frames.values() {
            more |= core.handler.sweep(&tx, workspace, frame.partition, frame.generation).await?;
        }
        if !more && !cursor::step(&tx, core.key, workspace, &self.held, partitions, &group.token, None).await? {
            return Ok(None);
        }
        tx.commit().await.map_err(|fault: DbFault| HandleFault::from(fault))?;
        Ok(Some(more))
    }
}
