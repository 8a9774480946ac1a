//! Who asks, for which workspace, at what time.

use std::sync::Arc;

use keizoku_base::{Clock, Day, Micros, WorkspaceId};
use keizoku_control::{Workspace, store as control};
use keizoku_storage::Tx;

use crate::error::ScoringFault;

/// A workspace at a moment of its own clock.
#[derive(Debug, Clone)]
pub struct Context {
    /// The workspace.
    pub workspace: Arc<Workspace>,
    /// Who acts; `None`: the service itself.
    pub actor: Option<Actor>,
    /// The workspace's time.
    pub now: Micros,
}

/// Who acts, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Whether it is another service.
    pub service: bool,
    /// Its id.
    pub id: String,
    /// For whom; empty: for itself.
    pub on_behalf_of: String,
}

impl Context {
    /// The workspace's id.
    pub fn id(&self) -> WorkspaceId {
        self.workspace.id
    }

    /// The day it is in the workspace.
    pub fn today(&self) -> Day {
        self.workspace.zone.day_of(self.now)
    }

    /// A workspace as the transaction sees it, for the service's own work; `None` where its copy has not arrived.
    pub(crate) async fn load(tx: &Tx, clock: &dyn Clock, id: WorkspaceId) -> Result<Option<Self>, ScoringFault> {
        let row = control::workspace(tx, id).await?;
        Ok(row.map(|row| {
            let workspace = Workspace::from_row(&row);
            let now = workspace.now(clock);
            Self { workspace: Arc::new(workspace), actor: None, now }
        }))
    }
}
