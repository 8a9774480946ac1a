//! Cached look-ups: who a caller is, what a workspace decided, what time it is there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::id::KeyId;
use keizoku_base::{Clock, Fault, FaultKind, Micros, WorkspaceId};
use keizoku_runtime::auth::{AuthFault, Authenticator, Caller};
use keizoku_storage::{Db, DbFault, Scope};

use crate::workspace::Workspace;
use crate::{secret, store};

/// How long an answer may be repeated without asking the database: a revoked key ends within a second.
const FRESH: Duration = Duration::from_millis(500);
/// How many keys and workspaces are remembered.
const REMEMBERED: u64 = 10_000;
/// Past this age a copy no longer vouches for callers who change or administer.
const COPY_MAX_AGE: i64 = 60 * Micros::SECOND;

/// Whether the rows are the originals or a copy kept by the feed.
#[derive(Debug, Clone)]
pub enum CopyOf {
    /// The originals: ingestion's.
    Nothing,
    /// A copy; the feed's consumer writes here when it was last up to date, epoch microseconds.
    Ingestion(Arc<AtomicI64>),
}

/// The control plane as a service asks it.
pub struct ControlPlane {
    db: Db,
    clock: Arc<dyn Clock>,
    copy_of: CopyOf,
    callers: moka::future::Cache<[u8; 32], Arc<Caller>>,
    workspaces: moka::future::Cache<WorkspaceId, Arc<Workspace>>,
}

/// Why the control plane gives no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ControlFault {
    /// There is no such workspace here.
    #[error("the workspace does not exist")]
    WorkspaceUnknown,
    /// The workspace exists, but this service has not heard of it yet.
    #[error("this service has not heard of the workspace yet")]
    WorkspaceNotHereYet,
    /// The database does not answer.
    #[error(transparent)]
    Database(#[from] DbFault),
}

impl Fault for ControlFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::WorkspaceUnknown => FaultKind::NotFound,
            Self::WorkspaceNotHereYet => FaultKind::Unavailable,
            Self::Database(fault) => fault.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::WorkspaceUnknown => "WORKSPACE_UNKNOWN",
            Self::WorkspaceNotHereYet => "WORKSPACE_NOT_HERE_YET",
            Self::Database(fault) => fault.reason(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::WorkspaceUnknown => None,
            Self::WorkspaceNotHereYet => Some(Duration::from_millis(200)),
            Self::Database(fault) => fault.retry_after(),
        }
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ControlPlane").field("copy_of", &self.copy_of).finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// A control plane over the rows in `db`.
    pub fn new(db: Db, clock: Arc<dyn Clock>, copy_of: CopyOf) -> Self {
        let callers = moka::future::Cache::builder().max_capacity(REMEMBERED).time_to_live(FRESH).build();
        let workspaces = moka::future::Cache::builder().max_capacity(REMEMBERED).time_to_live(FRESH).build();
        Self { db, clock, copy_of, callers, workspaces }
    }

    /// The workspace with this id.
    ///
    /// # Errors
    /// [`ControlFault::WorkspaceUnknown`] where there is none, else as the database.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Arc<Workspace>, ControlFault> {
        let load = async {
            let tx = self.db.read("control.workspace", Scope::Workspace(id)).await?;
            let row = store::workspace(&tx, id).await?.ok_or(match &self.copy_of {
                CopyOf::Nothing => ControlFault::WorkspaceUnknown,
                CopyOf::Ingestion(_) => ControlFault::WorkspaceNotHereYet,
            })?;
            Ok(Arc::new(Workspace::from_row(&row)))
        };
        self.workspaces.try_get_with(id, load).await.map_err(|fault: Arc<ControlFault>| (*fault).clone())
    }

    /// The time it is in the workspace.
    ///
    /// # Errors
    /// As [`ControlPlane::workspace`].
    pub async fn now(&self, id: WorkspaceId) -> Result<Micros, ControlFault> {
        Ok(self.workspace(id).await?.now(self.clock.as_ref()))
    }

    /// Forgets what was remembered of a workspace and of all callers, after a change in this process.
    pub async fn forget(&self, id: WorkspaceId) {
        self.workspaces.invalidate(&id).await;
        self.callers.invalidate_all();
    }

    async fn load_caller(&self, bearer: &str, hash: [u8; 32]) -> Result<Arc<Caller>, AuthFault> {
        let workspace = secret::workspace_of(bearer).ok_or(AuthFault::Invalid)?;
        let unavailable = |fault: DbFault| AuthFault::Unavailable { source: Arc::new(fault) };
        let tx = self.db.read("control.caller", Scope::Workspace(workspace)).await.map_err(unavailable)?;
        let row = store::key_by_hash(&tx, workspace, &hash).await.map_err(unavailable)?;
        let row = row.filter(|row| row.revoked_at.is_none()).ok_or(AuthFault::Invalid)?;
        if row.expires_at.is_some_and(|at| at <= self.clock.now().0) {
            return Err(AuthFault::Invalid);
        }
        let key = KeyId(row.key_id);
        Ok(Arc::new(Caller {
            workspace: Some(workspace),
            actor: key.to_string(),
            scopes: row.scopes.split_whitespace().map(str::to_owned).collect(),
            internal: false,
            key: Some(key),
        }))
    }

    /// Whether this copy is too old to vouch for more than reading.
    fn copy_is_old(&self) -> bool {
        match &self.copy_of {
            CopyOf::Nothing => false,
            CopyOf::Ingestion(confirmed_at) => {
                self.clock.now().0.saturating_sub(confirmed_at.load(Ordering::Relaxed)) > COPY_MAX_AGE
            }
        }
    }
}

#[async_trait]
impl Authenticator for ControlPlane {
    async fn authenticate(&self, bearer: &str) -> Result<Arc<Caller>, AuthFault> {
        let hash = secret::hash(bearer);
        self.callers
            .try_get_with(hash, self.load_caller(bearer, hash))
            .await
            .map_err(|fault: Arc<AuthFault>| (*fault).clone())
    }

    /// A copy that the feed has not confirmed for a minute may miss a revocation: it still lets readers read.
    fn vouches_for(&self, scope: &str) -> bool {
        scope.ends_with(":read") || scope == "any" || !self.copy_is_old()
    }
}
