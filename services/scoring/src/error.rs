//! Everything that can go wrong in scoring, as things a caller can act on.

use std::time::Duration;

use keizoku_base::{Fault, FaultKind, Violations};
use keizoku_control::ControlFault;
use keizoku_storage::feed::FeedFault;
use keizoku_storage::{DbFault, RetryableTx};

/// Why scoring did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScoringFault {
    /// The request is wrong whatever the state.
    #[error("the request is not valid: {0}")]
    Invalid(Violations),
    /// The account is not known.
    #[error("the account {0} is not known")]
    AccountUnknown(String),
    /// The model is not known.
    #[error("the model {0} is not known")]
    ModelUnknown(String),
    /// What was asked for has not arrived here yet.
    #[error("scoring has not caught up with the position asked for")]
    NotCaughtUp,
    /// The token of a watch is too old.
    #[error("the resume token is older than what is kept; start the watch without one")]
    WatchTokenExpired,
    /// The request id was used for another request.
    #[error("the request id was used with another body")]
    RequestReused,
    /// A stored document or block cannot be read: our fault.
    #[error("stored data of {0} cannot be read")]
    Corrupt(&'static str),
    /// The address of Redis has no meaning.
    #[error("cache.redis_url is not an address of Redis of the form redis://host:port")]
    CacheAddress,
    /// As the control plane.
    #[error(transparent)]
    Control(#[from] ControlFault),
    /// As the feed.
    #[error(transparent)]
    Feed(#[from] FeedFault),
    /// As the database.
    #[error(transparent)]
    Database(#[from] DbFault),
}

impl Fault for ScoringFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) => FaultKind::Invalid,
            Self::AccountUnknown(_) | Self::ModelUnknown(_) => FaultKind::NotFound,
            Self::NotCaughtUp => FaultKind::Unavailable,
            Self::WatchTokenExpired => FaultKind::OutOfRange,
            Self::RequestReused => FaultKind::AlreadyExists,
            Self::Corrupt(_) => FaultKind::Internal,
            Self::CacheAddress => FaultKind::Precondition,
            Self::Control(fault) => fault.kind(),
            Self::Feed(fault) => fault.kind(),
            Self::Database(fault) => fault.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_REQUEST",
            Self::AccountUnknown(_) => "ACCOUNT_UNKNOWN",
            Self::ModelUnknown(_) => "MODEL_UNKNOWN",
            Self::NotCaughtUp => "NOT_CAUGHT_UP",
            Self::WatchTokenExpired => "WATCH_TOKEN_EXPIRED",
            Self::RequestReused => "REQUEST_ID_REUSED",
            Self::Corrupt(_) => "DATA_CORRUPT",
            Self::CacheAddress => "CACHE_ADDRESS_WRONG",
            Self::Control(fault) => fault.reason(),
            Self::Feed(fault) => fault.reason(),
            Self::Database(fault) => fault.reason(),
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::AccountUnknown(account) => vec![("account", account.clone())],
            Self::ModelUnknown(model) => vec![("model", model.clone())],
            Self::Control(fault) => fault.metadata(),
            Self::Feed(fault) => fault.metadata(),
            Self::Database(fault) => fault.metadata(),
            Self::Invalid(_)
            | Self::NotCaughtUp
            | Self::WatchTokenExpired
            | Self::RequestReused
            | Self::CacheAddress
            | Self::Corrupt(_) => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotCaughtUp => Some(Duration::from_millis(100)),
            Self::Control(fault) => fault.retry_after(),
            Self::Feed(fault) => fault.retry_after(),
            Self::Database(fault) => fault.retry_after(),
            Self::Invalid(_)
            | Self::AccountUnknown(_)
            | Self::ModelUnknown(_)
            | Self::WatchTokenExpired
            | Self::RequestReused
            | Self::CacheAddress
            | Self::Corrupt(_) => None,
        }
    }

    fn violations(&self) -> Option<&Violations> {
        if let Self::Invalid(violations) = self { Some(violations) } else { None }
    }
}

impl RetryableTx for ScoringFault {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Database(fault) if fault.is_contention())
    }
}

impl From<Violations> for ScoringFault {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}
