//! Who asks, for which workspace, at what time.

use std::sync::Arc;

use keizoku_base::{Day, Micros, WorkspaceId};
use keizoku_control::Workspace;

/// What every use case knows of its call.
#[derive(Debug, Clone)]
pub struct Context {
    /// The workspace.
    pub workspace: Arc<Workspace>,
    /// Who acts.
    pub actor: Actor,
    /// The workspace's time.
    pub now: Micros,
    /// The world's time, by which what is written is dated.
    pub written_at: Micros,
    /// W3C traceparent of the call; empty where it is not traced.
    pub trace_parent: String,
}

/// Who acts, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What it is.
    pub kind: ActorKind,
    /// Its id.
    pub id: String,
    /// For whom; empty: for itself.
    pub on_behalf_of: String,
}

/// What kind of actor it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// An API key.
    Key,
    /// A service.
    Service,
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

    /// The same call, acting for somebody.
    #[must_use]
    pub fn on_behalf_of(mut self, whom: &str) -> Self {
        whom.clone_into(&mut self.actor.on_behalf_of);
        self
    }
}

/// The traceparent of the call this code works for, where its spans are exported; else empty.
pub fn trace_parent() -> String {
    keizoku_runtime::context::trace().filter(|trace| trace.sampled).map(|trace| trace.to_string()).unwrap_or_default()
}
