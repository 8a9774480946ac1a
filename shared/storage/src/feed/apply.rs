//! Applying batches: state and cursors in one transaction, again after failures that say nothing about the data,
//! halved down to one change after those that do.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::FutureExt as _;
use keizoku_base::{Partition, WorkspaceId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::consumer::Core;
use super::cursor::{self, Life, Move, Stored};
use super::fault::{FeedFault, HandleFault, Verdict};
use super::lease::Held;
use super::quarantine::{self, QuarantineKey, Quarantined};
use super::status::Activity;
use super::types::{Batch, Partitions, Segment};
use crate::fault::DbFault;
use crate::tx::{Scope, Tx};

/// The longest error text that is kept.
const MOST_ERROR: usize = 1000;

/// Why a lane ends.
#[derive(Debug)]
pub(crate) enum Break {
    /// The consumer is to stop.
    Cancelled,
    /// Other partitions are held now.
    HeldChanged,
    /// A cursor is not where this lane left it: another owner moved it, or a commit succeeded unseen.
    Fenced,
    /// The source or the store failed.
    Fault(FeedFault),
}

impl<F: Into<FeedFault>> From<F> for Break {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}

/// What may end a wait.
#[derive(Debug)]
pub(crate) struct Interrupt {
    pub(crate) cancel: CancellationToken,
    pub(crate) held: watch::Receiver<Held>,
}

impl Interrupt {
    /// Waits until something happens.
    pub(crate) async fn raised(&mut self) -> Break {
        tokio::select! {
            () = self.cancel.cancelled() => Break::Cancelled,
            changed = self.held.changed() => match changed {
                Ok(()) => Break::HeldChanged,
                // Whoever handed out leases is gone.
                Err(_) => Break::Cancelled,
            },
        }
    }

    /// Waits for `pause`.
    pub(crate) async fn pause(&mut self, pause: Duration) -> Result<(), Break> {
        tokio::select! {
            biased;
            why = self.raised() => Err(why),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

/// Where one cursor is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// In the database.
    pub(crate) committed: i64,
    /// Read so far; further than `committed` where the changes between were of kinds not asked for.
    pub(crate) seen: i64,
    pub(crate) generation: i64,
}

/// A batch and how its fence moves.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) batch: Batch,
    /// Of a bootstrap's page: the place it moves on from and to.
    pub(crate) page: Option<PageMove>,
}

/// A bootstrap's move from page to page.
#[derive(Debug, Clone)]
pub(crate) struct PageMove {
    pub(crate) partitions: Partitions,
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
}

/// A consumer at work with one set of leases.
pub(crate) struct Lane {
    pub(crate) core: Arc<Core>,
    pub(crate) held: Held,
    pub(crate) life: Life,
    pub(crate) places: HashMap<(WorkspaceId, Partition), Place>,
    /// Workspaces with places that were seen but not committed.
    pub(crate) dirty: HashSet<WorkspaceId>,
    pub(crate) interrupt: Interrupt,
}

enum Attempt {
    Done,
    Fenced,
    Failed(HandleFault),
}

enum Settled {
    Done,
    /// It must be halved.
    Halve,
}

impl Lane {
    /// Takes over cursors as they are stored.
    pub(crate) fn take_over(&mut self, stored: &[Stored]) {
        for cursor in stored {
            let place = Place { committed: cursor.seq, seen: cursor.seq, generation: cursor.generation };
            self.places.insert((cursor.workspace, cursor.partition), place);
        }
    }

    /// Applies a batch as the source sent it.
    pub(crate) async fn accept(&mut self, mut batch: Batch) -> Result<(), Break> {
        let workspace = batch.workspace;
        if batch.segments.iter().any(|segment| !self.places.contains_key(&(workspace, segment.partition))) {
            self.create(workspace).await?;
        }
        for segment in &mut batch.segments {
            match self.places.get_mut(&(workspace, segment.partition)) {
                Some(place) if place.seen == segment.after => {
                    segment.generation = place.generation;
                    place.seen = segment.through;
                }
                _ => return Err(Break::Fenced),
            }
        }
        if batch.is_empty() {
            self.dirty.insert(workspace);
            return Ok(());
        }
        let since = batch.oldest();
        self.core.board.note(|facts| facts.behind_since = since.or(facts.behind_since));
        self.apply(Work { batch, page: None }).await
    }

    /// Makes the cursors of a workspace that is new here.
    pub(crate) async fn create(&mut self, workspace: WorkspaceId) -> Result<(), Break> {
        let created = cursor::create(&self.core.db, self.core.key, workspace, &self.held, self.life).await?;
        let Some(stored) = created else { return Err(Break::Fenced) };
        let current = |cursor: &Stored| {
            cursor.token.is_none() && cursor.schema == self.life.schema && cursor.feed_epoch == Some(self.life.epoch)
        };
        if !stored.iter().all(current) {
            return Err(Break::Fenced);
        }
        let new: Vec<Stored> =
            stored.into_iter().filter(|cursor| !self.places.contains_key(&(workspace, cursor.partition))).collect();
        self.take_over(&new);
        Ok(())
    }

    /// Commits positions over which there was nothing to handle.
    pub(crate) async fn flush(&mut self) -> Result<(), Break> {
        for workspace in std::mem::take(&mut self.dirty) {
            let mut segments: Vec<Segment> = self
                .places
                .iter()
                .filter(|((owner, _), place)| *owner == workspace && place.committed < place.seen)
                .map(|((_, partition), place)| Segment {
                    partition: *partition,
                    after: place.committed,
                    through: place.seen,
                    generation: place.generation,
                    rows: Vec::new(),
                })
                .collect();
            segments.sort_by_key(|segment| segment.partition);
            if !segments.is_empty() {
                self.apply(Work { batch: Batch { workspace, snapshot: false, segments }, page: None }).await?;
            }
        }
        Ok(())
    }

    /// Applies a batch, in as many parts as its bad changes make necessary.
    pub(crate) async fn apply(&mut self, work: Work) -> Result<(), Break> {
        let mut parts = vec![work];
        while let Some(part) = parts.pop() {
            match self.settle(&part).await? {
                Settled::Done => self.moved(&part),
                Settled::Halve => {
                    parts.extend(part.split().map_or_else(|| vec![part], |(first, second)| vec![second, first]))
                }
            }
        }
        Ok(())
    }

    async fn settle(&mut self, work: &Work) -> Result<Settled, Break> {
        let (mut tries, changes) = (0, work.batch.len());
        let (mut again, mut soon) = (self.core.patience(), self.core.poison_pauses());
        loop {
            let fault = match self.attempt(work).await {
                Attempt::Done => return Ok(Settled::Done),
                Attempt::Fenced => return Err(Break::Fenced),
                Attempt::Failed(fault) => fault,
            };
            let pause = match fault.verdict() {
                Verdict::Poison | Verdict::TooMuch if changes > 1 => return Ok(Settled::Halve),
                Verdict::Poison if changes == 1 => {
                    tries += 1;
                    if tries >= self.core.settings.tries {
                        self.quarantine(work, &fault, tries).await?;
                        return Ok(Settled::Done);
                    }
                    soon.next()
                }
                Verdict::Again | Verdict::TooMuch | Verdict::Poison => again.next(),
            };
            self.trouble(&fault);
            self.interrupt.pause(pause.unwrap_or(self.core.settings.longest_pause)).await?;
        }
    }

    /// One transaction: the fence first, then the state, and the heads that the handler may append to last.
    async fn attempt(&self, work: &Work) -> Attempt {
        let core = &self.core;
        let tx = match core.db.begin(core.key.consumer, Scope::Workspace(work.batch.workspace)).await {
            Ok(tx) => tx,
            Err(fault) => return Attempt::Failed(HandleFault::again(fault)),
        };
        match self.pass_fence(&tx, work).await {
            Ok(true) => {}
            Ok(false) => return Attempt::Fenced,
            Err(fault) => return Attempt::Failed(HandleFault::again(fault)),
        }
        if !work.batch.is_empty()
            && let Err(fault) = core.handle(&tx, &work.batch).await
        {
            return Attempt::Failed(fault);
        }
        match tx.commit().await {
            Ok(()) => Attempt::Done,
            Err(fault) => Attempt::Failed(fault.into()),
        }
    }

    async fn pass_fence(&self, tx: &Tx, work: &Work) -> Result<bool, DbFault> {
        let (core, workspace) = (&self.core, work.batch.workspace);
        if let Some(page) = &work.page {
            return cursor::step(tx, core.key, workspace, &self.held, page.partitions, &page.from, Some(&page.to))
                .await;
        }
        let mut moves = Vec::with_capacity(work.batch.segments.len());
        for segment in &work.batch.segments {
            let Some(place) = self.places.get(&(workspace, segment.partition)) else { return Ok(false) };
            moves.push(Move { partition: segment.partition, from: place.committed, to: segment.through });
        }
        cursor::advance(tx, core.key, workspace, &self.held, &moves).await
    }

    async fn quarantine(&mut self, work: &Work, fault: &HandleFault, attempts: i32) -> Result<(), Break> {
        let Some((segment, row)) = work.batch.rows().next() else { return Ok(()) };
        let change = Quarantined {
            at: QuarantineKey {
                workspace: work.batch.workspace,
                partition: segment.partition,
                seq: row.seq,
                kind: row.kind,
                key: row.key.clone(),
            },
            commit_at: row.commit_at,
            snapshot: work.batch.snapshot,
            bytes: row.bytes.clone(),
            error: fault.describe(MOST_ERROR),
            attempts,
            since: self.core.clock.now(),
        };
        tracing::error!(
            consumer = self.core.key.consumer, source = self.core.key.source, workspace = %change.at.workspace,
            partition = change.at.partition.number(), seq = change.at.seq, kind = change.at.kind, error = change.error,
            "a change cannot be handled and was set aside; mend the cause and replay it"
        );
        let mut pauses = self.core.patience();
        loop {
            match self.set_aside(work, &change).await {
                Ok(true) => break,
                Ok(false) => return Err(Break::Fenced),
                Err(fault) => self.trouble(&HandleFault::again(fault)),
            }
            self.interrupt.pause(pauses.next().unwrap_or(self.core.settings.longest_pause)).await?;
        }
        self.core.board.quarantined();
        Ok(())
    }

    async fn set_aside(&self, work: &Work, change: &Quarantined) -> Result<bool, DbFault> {
        let tx = self.core.db.begin("feed.quarantine", Scope::Workspace(work.batch.workspace)).await?;
        if !self.pass_fence(&tx, work).await? {
            return Ok(false);
        }
        quarantine::put(&tx, self.core.key, change).await?;
        tx.commit().await?;
        Ok(true)
    }

    fn moved(&mut self, work: &Work) {
        if work.page.is_none() {
            for segment in &work.batch.segments {
                if let Some(place) = self.places.get_mut(&(work.batch.workspace, segment.partition)) {
                    place.committed = segment.through;
                }
            }
        }
        self.core.board.applied(&work.batch, self.core.clock.now());
        if !work.batch.is_empty() {
            self.core.handler.after_commit(&work.batch);
        }
    }

    pub(crate) fn trouble(&self, fault: &HandleFault) {
        let text = fault.describe(MOST_ERROR);
        tracing::warn!(consumer = self.core.key.consumer, source = self.core.key.source, error = text, "{fault}");
        self.core.board.note(|facts| {
            facts.trouble = Some(text);
            if facts.activity == Activity::Following {
                facts.activity = Activity::Retrying;
            }
        });
    }
}

impl Core {
    /// The handler's answer; a panic is a bad change and not the end of the consumer.
    pub(crate) async fn handle(&self, tx: &Tx, batch: &Batch) -> Result<(), HandleFault> {
        let handled = self.handler.handle(tx, batch).instrument(tx.span().clone());
        match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(handled) => handled,
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Err(HandleFault::poison(format!("the handler panicked: {text}")))
            }
        }
    }

    /// Pauses between tries that are never given up.
    pub(crate) fn patience(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.settings.shortest_pause)
            .with_max_delay(self.settings.longest_pause)
            .with_max_times(16)
            .with_jitter()
            .build()
    }

    /// Pauses between the tries of one bad change.
    fn poison_pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.settings.shortest_pause / 2)
            .with_max_delay(self.settings.longest_pause)
            .with_max_times(16)
            .build()
    }
}

impl Work {
    fn split(&self) -> Option<(Self, Self)> {
        let (first, second) = self.batch.split()?;
        let stay = self.page.clone().map(|page| PageMove { to: page.from.clone(), ..page });
        Some((Self { batch: first, page: stay }, Self { batch: second, page: self.page.clone() }))
    }
}
