//! Who calls, and what they may do. The control plane says who a credential belongs to; the auth layer asks it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::id::KeyId;
use keizoku_base::{Fault, FaultKind, WorkspaceId};

/// The scope of methods anybody may call without a credential.
pub const PUBLIC_SCOPE: &str = "public";

/// The scope of methods anybody with a valid credential may call.
pub const ANY_SCOPE: &str = "any";

/// The scope of methods only other services may call.
pub const INTERNAL_SCOPE: &str = "internal";

/// What an internal token begins with in `authorization: Bearer …`.
pub const INTERNAL_PREFIX: &str = "kzi_";

/// Metadata: the workspace an internal call is about, `ws_…`.
pub const WORKSPACE_HEADER: &str = "keizoku-workspace";

/// Metadata: for whom an internal call is made, as the audit shows it.
pub const ACTOR_HEADER: &str = "keizoku-actor";

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The workspace of the credential; `None` only for internal calls about no workspace.
    pub workspace: Option<WorkspaceId>,
    /// Who acts, as the audit shows it.
    pub actor: String,
    /// What the credential allows.
    pub scopes: Vec<String>,
    /// Whether another service calls. It needs no scopes.
    pub internal: bool,
    /// The key that was shown, if it was a key.
    pub key: Option<KeyId>,
}

impl Caller {
    /// Whether a method of that scope may be called.
    pub fn may(&self, scope: &str) -> bool {
        // What reaches past the workspace is never part of "all".
        let all = !scope.ends_with(":admin");
        let holds = || scope == ANY_SCOPE || self.scopes.iter().any(|held| held == scope || (all && held == "*"));
        self.internal || (scope != INTERNAL_SCOPE && holds())
    }
}

/// Says who a credential belongs to.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The owner of the credential that stands after `Bearer `, and that it is still good.
    async fn authenticate(&self, bearer: &str) -> Result<Arc<Caller>, AuthFault>;

    /// Whether what it knows is fresh enough to let a credential use this scope.
    fn vouches_for(&self, _scope: &str) -> bool {
        true
    }
}

/// Why a caller is not let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthFault {
    /// There is no credential.
    #[error("this call needs a credential: authorization: Bearer …")]
    Missing,
    /// It is unknown, revoked, expired or malformed. Which of these is nobody's business.
    #[error("the credential is not valid")]
    Invalid,
    /// The caller is known, but not allowed.
    #[error("the credential lacks the scope {scope}")]
    ScopeMissing {
        /// What is needed.
        scope: String,
    },
    /// An internal call names no workspace.
    #[error("the internal call names no workspace in {WORKSPACE_HEADER}")]
    WorkspaceMissing,
    /// An internal call names something that is no workspace.
    #[error("{WORKSPACE_HEADER} is not the id of a workspace")]
    WorkspaceMalformed,
    /// What is known of keys and revocations is too old to decide on.
    #[error("credentials cannot be checked for this scope at the moment")]
    Stale,
    /// Credentials cannot be looked up.
    #[error("credentials cannot be checked at the moment")]
    Unavailable {
        /// Why not.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl Fault for AuthFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Missing | Self::Invalid => FaultKind::Unauthenticated,
            Self::ScopeMissing { .. } => FaultKind::Denied,
            Self::WorkspaceMissing | Self::WorkspaceMalformed => FaultKind::Invalid,
            Self::Stale | Self::Unavailable { .. } => FaultKind::Unavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "CREDENTIAL_MISSING",
            Self::Invalid => "CREDENTIAL_INVALID",
            Self::ScopeMissing { .. } => "SCOPE_MISSING",
            Self::WorkspaceMissing => "WORKSPACE_MISSING",
            Self::WorkspaceMalformed => "WORKSPACE_MALFORMED",
            Self::Stale => "CREDENTIALS_STALE",
            Self::Unavailable { .. } => "CREDENTIALS_UNAVAILABLE",
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::ScopeMissing { scope } => vec![("scope", scope.clone())],
            Self::Missing
            | Self::Invalid
            | Self::WorkspaceMissing
            | Self::WorkspaceMalformed
            | Self::Stale
            | Self::Unavailable { .. } => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Stale | Self::Unavailable { .. }).then_some(Duration::from_secs(1))
    }
}
