//! The use cases: load, decide, save, tell. Each is one named transaction.

use std::sync::Arc;

use keizoku_base::{Clock, Day, WorkspaceId};
use keizoku_control::ControlPlane;
use keizoku_storage::Db;
use tokio::sync::Notify;

use self::context::Context;
use crate::error::ScoringFault;

pub(crate) mod account;
pub mod cached;
pub mod changes;
pub mod composition;
pub mod context;
pub(crate) mod days;
pub(crate) mod follow;
pub(crate) mod inputs;
pub mod list;
pub mod models;
pub mod past;
pub mod read;
pub(crate) mod rescore;
pub(crate) mod round;
pub(crate) mod scoring;
pub mod serve;
pub mod shared;
pub mod upkeep;
pub mod views;
pub mod watch;

/// Of how many workspaces it is remembered that a week was kept.
const WEEKS_OF: u64 = 10_000;

/// The whole state of the service.
pub struct App {
    /// The store.
    pub db: Db,
    /// Workspaces, keys and their clocks: a copy of ingestion's.
    pub control: Arc<ControlPlane>,
    /// The world's time; a workspace's own is in its [`context::Context`].
    pub clock: Arc<dyn Clock>,
    /// Models made ready.
    pub models: models::Compiled,
    /// What all accounts of a workspace share.
    pub shared: shared::Remembered,
    /// Scores as they are read.
    pub scores: cached::ScoreCache,
    /// Up to which closed day the compositions of weeks were looked after.
    pub(crate) weeks: moka::sync::Cache<WorkspaceId, Day>,
    /// Rung after every batch that was applied, for those who wait for a position.
    pub applied: Notify,
    /// Rung when accounts are to be scored again.
    pub rescore: Notify,
    /// Rung when a workspace's clock may have moved.
    pub turned: Notify,
    /// Rung when there may be much that is past its time.
    pub upkeep: Notify,
}

impl App {
    /// A service over its store.
    pub fn new(db: Db, control: Arc<ControlPlane>, clock: Arc<dyn Clock>, scores: cached::ScoreCache) -> Self {
        Self {
            db,
            control,
            clock,
            models: models::Compiled::default(),
            shared: shared::Remembered::default(),
            scores,
            weeks: moka::sync::Cache::new(WEEKS_OF),
            applied: Notify::new(),
            rescore: Notify::new(),
            turned: Notify::new(),
            upkeep: Notify::new(),
        }
    }

    /// A workspace at its present moment.
    ///
    /// # Errors
    /// As the control plane.
    pub(crate) async fn context(&self, workspace: WorkspaceId) -> Result<Context, ScoringFault> {
        let workspace = self.control.workspace(workspace).await?;
        let now = workspace.now(self.clock.as_ref());
        Ok(Context { workspace, actor: None, now })
    }

    /// Forgets what may have changed with a batch of a workspace.
    pub(crate) fn forget(&self, workspace: WorkspaceId) {
        self.shared.forget(workspace);
    }
}
