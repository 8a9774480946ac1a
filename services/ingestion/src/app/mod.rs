//! The use cases: load, decide, save, tell. Each is one named transaction.

use std::sync::Arc;

use keizoku_base::{Clock, WorkspaceId};
use keizoku_control::ControlPlane;
use keizoku_storage::{Batcher, Db};
use tokio::sync::Notify;

use crate::error::IngestionFault;

pub mod accounts;
pub mod arrivals;
pub mod backfill;
pub mod cancellations;
pub mod changes;
pub mod contacts;
pub mod context;
pub mod contracts;
pub mod conversations;
pub mod counting;
pub mod coverage;
pub mod days;
pub mod directory;
pub mod follow;
pub mod heartbeat;
pub mod ingest;
pub mod keys;
pub mod members;
pub mod metric_days;
pub mod metrics;
pub mod put;
pub mod receipts;
pub mod repeat;
pub mod retention;
pub mod roll;
pub mod state;
pub(crate) mod state_resources;
pub mod timeline;
pub mod users;
pub(crate) mod views;
pub mod workspaces;

/// The whole state of the service.
pub struct App {
    /// The store.
    pub db: Db,
    /// Workspaces, keys and their clocks.
    pub control: Arc<ControlPlane>,
    /// The world's time; a workspace's own is in its [`context::Context`].
    pub clock: Arc<dyn Clock>,
    /// Who is who.
    pub directory: directory::Directory,
    /// Gathers events of many callers into one transaction.
    pub events: Batcher<ingest::Item, ingest::Placed, IngestionFault>,
    /// This process among the writers of receipts.
    pub writer: i64,
    /// The metrics of workspaces, compiled.
    pub compiled: counting::Compiled,
    /// Wakes the backfill when there is something to count in.
    pub backfill: Notify,
}

impl App {
    /// What work that nobody asked for knows of its workspace.
    pub(crate) async fn background(&self, workspace: WorkspaceId) -> Result<context::Context, IngestionFault> {
        let workspace = self.control.workspace(workspace).await?;
        let now = workspace.now(self.clock.as_ref());
        let actor = context::Actor {
            kind: context::ActorKind::Service,
            id: "ingestion".to_owned(),
            on_behalf_of: String::new(),
        };
        let written_at = self.clock.now();
        Ok(context::Context { workspace, actor, now, written_at, trace_parent: String::new() })
    }

    /// Forgets who is who in a workspace that was emptied.
    pub(crate) fn forget_accounts(&self, workspace: WorkspaceId) {
        self.directory.forget(workspace);
    }
}
