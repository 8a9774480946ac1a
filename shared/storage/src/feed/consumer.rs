//! The driver of every feed consumer: leases, cursors, bootstrap, following, status.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::{Clock, Partition, WorkspaceId};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::apply::{Break, Interrupt};
use super::cursor::{self, Key};
use super::fault::{FeedFault, HandleFault, Verdict};
use super::lease::{Held, Leases};
use super::quarantine::{self, QuarantineKey, Quarantined};
use super::session::session;
use super::source::Source;
use super::status::{Activity, Board, Status, seconds};
use super::types::{Batch, Partitions};
use crate::db::Db;
use crate::dialect::Dialect;
use crate::fault::DbFault;
use crate::tx::{Scope, Tx};

/// What is done with the changes of a feed.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The consumer's name, stable for ever: cursors, leases and the transaction's metrics carry it.
    fn name(&self) -> &'static str;

    /// The version of what is derived. Raised, everything is listed and derived anew.
    fn schema(&self) -> i32 {
        1
    }

    /// The kinds it wants; empty means all. With a further kind comes a greater schema: its earlier changes are past.
    fn kinds(&self) -> Vec<i16> {
        Vec::new()
    }

    /// Applies the changes of a batch in `tx`, whose scope is the batch's workspace and which commits them together
    /// with the cursors: no effect outside of it. State is locked in key order, [`super::append()`] comes last. A row
    /// of the state keeps its segment's generation and its change's seq, and is left alone by a change that is not
    /// greater. May be called again with the same batch or with parts of it.
    ///
    /// # Errors
    /// [`HandleFault`] says whether the changes are to blame.
    async fn handle(&self, tx: &Tx, batch: &Batch) -> Result<(), HandleFault>;

    /// After a bootstrap: deletes rows of a partition that are of an older generation, in a bounded number; answers
    /// whether there are more.
    ///
    /// # Errors
    /// Any [`HandleFault`]: it is tried again.
    async fn sweep(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partition: Partition,
        generation: i64,
    ) -> Result<bool, HandleFault>;

    /// Told after a batch's commit. Never promised: the process may end in between.
    fn after_commit(&self, _batch: &Batch) {}
}

/// A consumer's patience.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerSettings {
    /// How long a dead replica keeps its partitions (PostgreSQL). Renewed three times in it.
    pub lease_ttl: Duration,
    /// The first pause after a failure.
    pub shortest_pause: Duration,
    /// The longest pause between tries.
    pub longest_pause: Duration,
    /// After this many tries a change that cannot be handled is set aside.
    pub tries: i32,
    /// How long positions over changes of other kinds may stay uncommitted.
    pub flush_after: Duration,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(15),
            shortest_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            tries: 5,
            flush_after: Duration::from_secs(5),
        }
    }
}

/// One handler fed by one source, its state in one database. Clones are the same replica.
#[derive(Clone)]
pub struct Consumer {
    core: Arc<Core>,
    held: watch::Sender<Held>,
}

pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: Key,
    pub(crate) settings: ConsumerSettings,
    pub(crate) board: Board,
    owner: String,
    /// Asks for the leases to be looked at now.
    doubt: Notify,
}

impl Consumer {
    /// A consumer whose state lies in `db`. The clock only dates quarantine and measures lag.
    pub fn new(
        db: Db,
        source: Arc<dyn Source>,
        handler: Arc<dyn Handler>,
        clock: Arc<dyn Clock>,
        settings: ConsumerSettings,
    ) -> Self {
        let key = Key { consumer: handler.name(), source: source.name() };
        let board = Board::new(key.consumer, key.source);
        let owner = Leases::owner_name();
        let core = Core { db, source, handler, clock, key, settings, board, owner, doubt: Notify::new() };
        Self { core: Arc::new(core), held: watch::Sender::new(Held::default()) }
    }

    /// Applies the feed until `cancel`, then finishes the batch at hand and gives its leases back. Failures are
    /// retried and shown in [`Consumer::status`].
    pub async fn run(&self, cancel: CancellationToken) {
        let since = self.core.clock.now();
        self.core.board.note(|facts| facts.behind_since = Some(since));
        match self.core.db.dialect() {
            Dialect::Sqlite => {
                self.held.send_replace(Held::unleased());
                self.work(&cancel).await;
            }
            Dialect::Postgres => {
                let leases = self.leases();
                tokio::select! {
                    () = self.work(&cancel) => {}
                    never = self.keep(&leases) => match never {},
                }
                if let Err(fault) = leases.release().await {
                    tracing::warn!(consumer = self.core.key.consumer, %fault, "leases were not given back; they will end");
                }
            }
        }
        self.held.send_replace(Held::default());
        if self.core.board.facts().activity == Activity::Outdated {
            cancel.cancelled().await;
        }
        self.core.board.note(|facts| {
            facts.activity = Activity::Stopped;
            facts.partitions = Partitions::NONE;
        });
    }

    /// What it is doing.
    ///
    /// # Errors
    /// A fault of the store, which counts the quarantined changes.
    pub async fn status(&self) -> Result<Status, DbFault> {
        let tx = self.core.db.read("feed.status", Scope::System).await?;
        let quarantined = quarantine::count(&tx, self.core.key).await?;
        let facts = self.core.board.facts();
        let now = self.core.clock.now();
        Ok(Status {
            consumer: self.core.key.consumer,
            source: self.core.key.source,
            activity: facts.activity,
            partitions: facts.partitions,
            last_position: facts.last_position,
            last_applied_at: facts.last_applied_at,
            lag_seconds: facts.behind_since.map_or(0.0, |since| seconds(now.since(since))),
            applied: facts.applied,
            quarantined,
            trouble: facts.trouble,
        })
    }

    /// The partitions that this replica works on.
    pub fn partitions(&self) -> Partitions {
        self.held.borrow().partitions()
    }

    /// The names of the consumer and of its source, as its cursors carry them.
    pub(crate) fn names(&self) -> (&'static str, &'static str) {
        (self.core.key.consumer, self.core.key.source)
    }

    /// Locks the cursors of some partitions until `tx` ends and answers the generation of those that are this
    /// replica's: what else changes the derived state (a day close) takes this lock first, so that no batch and no
    /// other owner comes between.
    ///
    /// # Errors
    /// Any fault of the store.
    pub async fn hold(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partitions: Partitions,
    ) -> Result<HashMap<Partition, i64>, DbFault> {
        let held = self.held.borrow().clone();
        Ok(cursor::hold(tx, self.core.key, workspace, &held, partitions).await?.into_iter().collect())
    }

    /// A page of what could not be handled, of one workspace or of all, ascending by key; the next page begins after
    /// the last key of this one.
    ///
    /// # Errors
    /// Any fault of the store.
    pub async fn quarantined(
        &self,
        workspace: Option<WorkspaceId>,
        after: Option<&QuarantineKey>,
        limit: u32,
    ) -> Result<Vec<Quarantined>, DbFault> {
        let scope = workspace.map_or(Scope::System, Scope::Workspace);
        let tx = self.core.db.read("feed.quarantined", scope).await?;
        quarantine::list(&tx, self.core.key, workspace, after, limit).await
    }

    /// Handles a quarantined change again and takes it out, in one transaction; any replica may do it. If it fails
    /// again it stays, with the new error.
    ///
    /// # Errors
    /// [`FeedFault::NotQuarantined`], [`FeedFault::StillFailing`], or a fault of the store.
    pub async fn replay(&self, at: &QuarantineKey) -> Result<(), FeedFault> {
        let (core, scope) = (&self.core, Scope::Workspace(at.workspace));
        let tx = core.db.begin("feed.replay", scope).await?;
        let cursor = cursor::lock_one(&tx, core.key, at.workspace, at.partition).await?;
        let change = quarantine::find(&tx, core.key, at).await?;
        let (Some(cursor), Some(change)) = (cursor, change) else { return Err(FeedFault::NotQuarantined) };
        let batch = change.batch(cursor.generation);
        let handled = core.handle(&tx, &batch).await;
        if let Err(fault) = handled {
            tx.rollback().await?;
            if fault.verdict() != Verdict::Poison {
                return Err(FeedFault::Unavailable(fault.into_source()));
            }
            let tx = core.db.begin("feed.replay_failed", scope).await?;
            quarantine::failed_again(&tx, core.key, at, &fault.describe(1000)).await?;
            tx.commit().await?;
            return Err(FeedFault::StillFailing(fault.into_source()));
        }
        quarantine::delete(&tx, core.key, at).await?;
        tx.commit().await?;
        core.handler.after_commit(&batch);
        Ok(())
    }

    fn leases(&self) -> Leases {
        Leases {
            db: self.core.db.clone(),
            consumer: self.core.key.consumer,
            owner: self.core.owner.clone(),
            ttl: self.core.settings.lease_ttl,
        }
    }

    /// Renews the leases for ever.
    async fn keep(&self, leases: &Leases) -> Infallible {
        let mut prepared = false;
        loop {
            let tick = async {
                if !prepared {
                    leases.prepare().await?;
                    prepared = true;
                }
                leases.tick().await
            };
            match tick.await {
                Ok(now) => {
                    self.held.send_if_modified(|held| {
                        let changed = *held != now;
                        *held = now;
                        changed
                    });
                }
                // What was held stays so until another takes it: the fence tells.
                Err(fault) => tracing::warn!(consumer = self.core.key.consumer, %fault, "leases were not renewed"),
            }
            tokio::select! {
                () = tokio::time::sleep(self.core.settings.lease_ttl / 3) => {}
                () = self.core.doubt.notified() => {}
            }
        }
    }

    /// Works with one set of leases after another.
    async fn work(&self, cancel: &CancellationToken) {
        let core = &self.core;
        let mut interrupt = Interrupt { cancel: cancel.clone(), held: self.held.subscribe() };
        let (mut heads_moved, mut pauses) = (false, core.patience());
        loop {
            let held = interrupt.held.borrow_and_update().clone();
            let partitions = held.partitions();
            core.board.note(|facts| {
                facts.partitions = partitions;
                facts.activity = if partitions.is_empty() { Activity::Waiting } else { facts.activity };
            });
            let started = Instant::now();
            let why = if held.is_empty() {
                interrupt.raised().await
            } else {
                let own = Interrupt { cancel: cancel.clone(), held: interrupt.held.clone() };
                // Boxed: it is large, and callers hold it inside of theirs.
                let Err(why) = Box::pin(session(Arc::clone(core), held, own, &mut heads_moved)).await;
                why
            };
            if started.elapsed() > core.settings.longest_pause {
                pauses = core.patience();
            }
            match why {
                Break::Cancelled => return,
                Break::HeldChanged => continue,
                Break::Fenced => core.doubt.notify_one(),
                Break::Fault(FeedFault::NewerConsumer) => {
                    tracing::error!(consumer = core.key.consumer, "a newer version consumes this feed; this one waits");
                    core.board.note(|facts| facts.activity = Activity::Outdated);
                    return;
                }
                Break::Fault(fault) => {
                    heads_moved |= fault.asks_for_bootstrap();
                    core.report(&fault);
                }
            }
            if let Err(Break::Cancelled) = interrupt.pause(pauses.next().unwrap_or(core.settings.longest_pause)).await {
                return;
            }
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Consumer")
            .field("consumer", &self.core.key.consumer)
            .field("source", &self.core.key.source)
            .finish_non_exhaustive()
    }
}

impl Core {
    fn report(&self, fault: &FeedFault) {
        let (consumer, source) = (self.key.consumer, self.key.source);
        if let FeedFault::Gap { workspace, partition, expected, found } = fault {
            self.board.gap();
            let partition = partition.number();
            tracing::error!(consumer, source, %workspace, partition, expected, found, "a change is missing from the feed");
        } else if fault.asks_for_bootstrap() {
            tracing::info!(consumer, source, %fault, "the cursors cannot go on");
        } else {
            let cause = std::error::Error::source(fault).map(ToString::to_string);
            // Once is a peer that stopped or moved; somebody should know only where it stays so.
            if self.board.facts().activity == Activity::Retrying {
                tracing::warn!(consumer, source, %fault, cause, "the feed still cannot be followed");
            } else {
                tracing::info!(consumer, source, %fault, cause, "the feed cannot be followed now");
            }
        }
        let (text, now) = (fault.to_string(), self.clock.now());
        self.board.note(|facts| {
            facts.activity = Activity::Retrying;
            facts.trouble = Some(text);
            facts.behind_since.get_or_insert(now);
        });
    }
}
