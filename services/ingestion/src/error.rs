//! Everything that can go wrong in ingestion, as things a caller can act on.

use std::time::Duration;

use keizoku_base::{Fault, FaultKind, Violations};
use keizoku_control::ControlFault;
use keizoku_storage::request_log::RecallFault;
use keizoku_storage::{DbFault, RetryableTx};

use crate::domain::block::BlockFault;
use crate::domain::pack::Corrupt;

/// Why ingestion did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IngestionFault {
    /// The request is wrong whatever the state.
    #[error("the request is not valid: {0}")]
    Invalid(Violations),
    /// The account is not known.
    #[error("the account {0} is not known")]
    AccountUnknown(String),
    /// The key is not known.
    #[error("the key {0} is not known")]
    KeyUnknown(String),
    /// The metric is not known.
    #[error("the metric {0} is not known")]
    MetricUnknown(String),
    /// The call asks for a workspace and the credential names none.
    #[error("an internal call names its workspace in the metadata keizoku-workspace")]
    WorkspaceMissing,
    /// Somebody changed it since it was read.
    #[error("it was changed by somebody else; read it again")]
    EtagMismatch,
    /// The request id was used for another request.
    #[error("the request id was used with another body")]
    RequestReused,
    /// Only a TEST workspace allows it.
    #[error("only a TEST workspace can be reset or have its clock set")]
    NotATestWorkspace,
    /// A clock only moves forward.
    #[error("the clock of a workspace only moves forward; it stands at {0}")]
    ClockBackward(String),
    /// The safeguard does not match.
    #[error("the name given is not the workspace's")]
    NameNotConfirmed,
    /// A key cannot give what it lacks.
    #[error("the caller's key lacks the scope {0}, so it cannot give it")]
    ScopeNotHeld(String),
    /// Too much is waiting to be stored.
    #[error("too many items are waiting to be stored")]
    Overloaded,
    /// The workspace has as many metrics as it may have.
    #[error("a workspace has at most {} metrics", crate::app::metrics::METRICS_MOST)]
    TooManyMetrics,
    /// Something cannot be counted.
    #[error(transparent)]
    Block(#[from] BlockFault),
    /// A batch came to no known end. Our fault; sending it again is safe.
    #[error("the items may not have been stored; send them again")]
    Lost,
    /// As the control plane.
    #[error(transparent)]
    Control(#[from] ControlFault),
    /// As the feed.
    #[error(transparent)]
    Feed(#[from] keizoku_storage::feed::FeedFault),
    /// As the database.
    #[error(transparent)]
    Database(#[from] DbFault),
}

impl IngestionFault {
    /// Something that was stored cannot be read back.
    pub(crate) fn unreadable(fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Database(DbFault::internal(fault))
    }
}

impl Fault for IngestionFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) | Self::WorkspaceMissing => FaultKind::Invalid,
            Self::AccountUnknown(_) | Self::KeyUnknown(_) | Self::MetricUnknown(_) => FaultKind::NotFound,
            Self::EtagMismatch => FaultKind::Aborted,
            Self::RequestReused => FaultKind::AlreadyExists,
            Self::NotATestWorkspace | Self::ClockBackward(_) | Self::NameNotConfirmed => FaultKind::Precondition,
            Self::ScopeNotHeld(_) => FaultKind::Denied,
            Self::Overloaded | Self::TooManyMetrics => FaultKind::Exhausted,
            Self::Block(fault) => fault.kind(),
            Self::Lost => FaultKind::Unavailable,
            Self::Control(fault) => fault.kind(),
            Self::Feed(fault) => fault.kind(),
            Self::Database(fault) => fault.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_REQUEST",
            Self::AccountUnknown(_) => "ACCOUNT_UNKNOWN",
            Self::KeyUnknown(_) => "KEY_UNKNOWN",
            Self::MetricUnknown(_) => "METRIC_UNKNOWN",
            Self::WorkspaceMissing => "WORKSPACE_MISSING",
            Self::EtagMismatch => "ETAG_MISMATCH",
            Self::RequestReused => "REQUEST_ID_REUSED",
            Self::NotATestWorkspace => "NOT_A_TEST_WORKSPACE",
            Self::ClockBackward(_) => "CLOCK_BACKWARD",
            Self::NameNotConfirmed => "NAME_NOT_CONFIRMED",
            Self::ScopeNotHeld(_) => "SCOPE_NOT_HELD",
            Self::Overloaded => "TOO_MANY_WAITING",
            Self::TooManyMetrics => "TOO_MANY_METRICS",
            Self::Block(fault) => fault.reason(),
            Self::Lost => "BATCH_LOST",
            Self::Control(fault) => fault.reason(),
            Self::Feed(fault) => fault.reason(),
            Self::Database(fault) => fault.reason(),
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::AccountUnknown(account) => vec![("account", account.clone())],
            Self::KeyUnknown(key) => vec![("key", key.clone())],
            Self::MetricUnknown(metric) => vec![("metric", metric.clone())],
            Self::ClockBackward(now) => vec![("now", now.clone())],
            Self::ScopeNotHeld(scope) => vec![("scope", scope.clone())],
            Self::Control(fault) => fault.metadata(),
            Self::Feed(fault) => fault.metadata(),
            Self::Database(fault) => fault.metadata(),
            Self::Invalid(_)
            | Self::WorkspaceMissing
            | Self::EtagMismatch
            | Self::RequestReused
            | Self::NotATestWorkspace
            | Self::NameNotConfirmed
            | Self::Overloaded
            | Self::TooManyMetrics
            | Self::Block(_)
            | Self::Lost => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded | Self::Lost => Some(Duration::from_millis(200)),
            Self::Control(fault) => fault.retry_after(),
            Self::Feed(fault) => fault.retry_after(),
            Self::Database(fault) => fault.retry_after(),
            Self::Invalid(_)
            | Self::AccountUnknown(_)
            | Self::KeyUnknown(_)
            | Self::MetricUnknown(_)
            | Self::WorkspaceMissing
            | Self::EtagMismatch
            | Self::RequestReused
            | Self::NotATestWorkspace
            | Self::ClockBackward(_)
            | Self::NameNotConfirmed
            | Self::TooManyMetrics
            | Self::Block(_)
            | Self::ScopeNotHeld(_) => None,
        }
    }

    fn violations(&self) -> Option<&Violations> {
        if let Self::Invalid(violations) = self { Some(violations) } else { None }
    }
}

impl RetryableTx for IngestionFault {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Database(fault) if fault.is_contention())
            || matches!(self, Self::Feed(fault) if fault.is_contention())
    }
}

impl From<RecallFault> for IngestionFault {
    fn from(fault: RecallFault) -> Self {
        match fault {
            RecallFault::Reused => Self::RequestReused,
            RecallFault::Store(fault) => Self::Database(fault),
        }
    }
}

impl From<Corrupt> for IngestionFault {
    fn from(fault: Corrupt) -> Self {
        Self::Block(BlockFault::Corrupt(fault))
    }
}

impl From<Violations> for IngestionFault {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}
