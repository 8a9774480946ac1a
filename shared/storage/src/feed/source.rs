//! Where a consumer's changes come from, and the source that lies in the consumer's own database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use keizoku_base::WorkspaceId;

use super::fault::FeedFault;
use super::follow::{Follow, Followed, Journal, SnapshotPage, follow};
use super::read;
use super::types::{FeedEpoch, Head, Partitions};
use crate::db::Db;
use crate::tx::Scope;

/// How often heads are read although nothing rang.
pub const SAFETY_POLL: Duration = Duration::from_secs(5);

/// A feed: local, or another service's `Follow`.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Its name in cursors: stable for ever.
    fn name(&self) -> &'static str;

    /// The life of its log.
    ///
    /// # Errors
    /// [`FeedFault::Unavailable`] where it cannot be reached.
    async fn epoch(&self) -> Result<FeedEpoch, FeedFault>;

    /// How far it has been written, in every workspace.
    ///
    /// # Errors
    /// Like [`Source::epoch`].
    async fn heads(&self, partitions: Partitions) -> Result<Vec<Head>, FeedFault>;

    /// The changes after the cursors, for ever, in batches of one workspace with ascending partitions. Ends after an
    /// error: [`FeedFault::Trimmed`], [`FeedFault::EpochChanged`] or [`FeedFault::Ahead`] make the consumer bootstrap.
    fn follow(&self, wanted: Follow) -> BoxStream<'static, Result<Followed, FeedFault>>;

    /// One page of the current state, for a bootstrap; see [`Journal::snapshot`].
    ///
    /// # Errors
    /// [`FeedFault::NoSnapshot`] where it keeps none; otherwise any [`FeedFault`].
    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<Vec<u8>>,
    ) -> Result<SnapshotPage, FeedFault>;
}

/// A log in a database that this process can reach.
pub struct LocalSource {
    name: &'static str,
    db: Db,
    journal: Arc<dyn Journal>,
    safety_poll: Duration,
}

impl LocalSource {
    /// The source `name` that reads `journal` in `db`.
    pub fn new(name: &'static str, db: Db, journal: Arc<dyn Journal>) -> Self {
        Self { name, db, journal, safety_poll: SAFETY_POLL }
    }

    /// Reads the heads this often although nothing rang.
    #[must_use]
    pub fn with_safety_poll(self, safety_poll: Duration) -> Self {
        Self { safety_poll, ..self }
    }
}

impl std::fmt::Debug for LocalSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LocalSource").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for LocalSource {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn epoch(&self) -> Result<FeedEpoch, FeedFault> {
        let tx = self.db.read("feed.epoch", Scope::System).await?;
        Ok(read::epoch(&tx).await?)
    }

    async fn heads(&self, partitions: Partitions) -> Result<Vec<Head>, FeedFault> {
        let tx = self.db.read("feed.heads", Scope::System).await?;
        Ok(read::heads(&tx, self.journal.log(), partitions).await?)
    }

    fn follow(&self, wanted: Follow) -> BoxStream<'static, Result<Followed, FeedFault>> {
        follow(self.db.clone(), Arc::clone(&self.journal), wanted, self.safety_poll)
    }

    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<Vec<u8>>,
    ) -> Result<SnapshotPage, FeedFault> {
        let tx = self.db.read("feed.snapshot", Scope::Workspace(workspace)).await?;
        self.journal.snapshot(&tx, workspace, partitions, token.as_deref()).await
    }
}
