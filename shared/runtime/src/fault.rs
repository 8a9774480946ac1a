//! What the layers and the client themselves answer with.

use std::time::Duration;

use keizoku_base::{Fault, FaultKind};
use tonic::Code;

/// A call that was not carried out, or not to its end, for a reason that has nothing to do with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    /// As many calls are in work as may be.
    #[error("the service is at its limit of {limit} calls in work; repeat after a pause")]
    Overloaded {
        /// How many may be.
        limit: usize,
    },
    /// As many streams are open as may be.
    #[error("the service is at its limit of {limit} open streams; repeat after a pause")]
    TooManyStreams {
        /// How many may be.
        limit: usize,
    },
    /// The key has used up its rate.
    #[error("this key is limited to {per_second} calls per second; repeat after a pause")]
    RateLimited {
        /// The sustained rate.
        per_second: u32,
        /// When the next call will be let in.
        wait: Duration,
    },
    /// The deadline passed before there was an answer.
    #[error("the deadline passed before there was an answer")]
    DeadlineExceeded,
    /// A message is longer than is accepted or sent.
    #[error("the message has {found} bytes; the limit is {limit} bytes")]
    MessageTooLong {
        /// Its length; compressed messages are cut at the limit, so theirs is not known.
        found: String,
        /// The most that is accepted or sent.
        limit: String,
    },
    /// A stream on which nothing moved for too long.
    #[error("nothing moved on this stream for {} seconds, so it was ended", idle.as_secs())]
    StreamIdle {
        /// How long a stream may be silent.
        idle: Duration,
    },
    /// The server closes the connection: it has reached its age, or the process stops.
    #[error("the server closes this connection; open another")]
    Closing,
    /// The handler panicked.
    #[error("internal error")]
    Panicked,
    /// The peer cannot be reached.
    #[error("the service {peer} cannot be reached")]
    Unreachable {
        /// What was called.
        peer: String,
    },
}

impl Fault for CallFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Overloaded { .. }
            | Self::TooManyStreams { .. }
            | Self::RateLimited { .. }
            | Self::MessageTooLong { .. } => FaultKind::Exhausted,
            Self::DeadlineExceeded => FaultKind::Deadline,
            Self::StreamIdle { .. } | Self::Closing | Self::Unreachable { .. } => FaultKind::Unavailable,
            Self::Panicked => FaultKind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } => "OVERLOADED",
            Self::TooManyStreams { .. } => "TOO_MANY_STREAMS",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::MessageTooLong { .. } => "MESSAGE_TOO_LONG",
            Self::StreamIdle { .. } => "STREAM_IDLE",
            Self::Closing => "SERVER_CLOSING",
            Self::Panicked => "INTERNAL",
            Self::Unreachable { .. } => "UNREACHABLE",
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Overloaded { limit } | Self::TooManyStreams { limit } => vec![("limit", limit.to_string())],
            Self::RateLimited { per_second, .. } => vec![("limit_per_second", per_second.to_string())],
            Self::MessageTooLong { limit, .. } => vec![("limit_bytes", limit.clone())],
            Self::StreamIdle { idle } => vec![("idle_seconds", idle.as_secs().to_string())],
            Self::Unreachable { peer } => vec![("service", peer.clone())],
            Self::DeadlineExceeded | Self::Closing | Self::Panicked => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { .. } => Some(Duration::from_millis(200)),
            Self::TooManyStreams { .. } | Self::Unreachable { .. } => Some(Duration::from_secs(1)),
            Self::RateLimited { wait, .. } => Some(*wait),
            Self::StreamIdle { .. } | Self::Closing => Some(Duration::ZERO),
            Self::DeadlineExceeded | Self::MessageTooLong { .. } | Self::Panicked => None,
        }
    }
}

/// A call to another service that did not bring what this call needs. What the peer said is logged, not shown.
#[derive(Debug, thiserror::Error)]
#[error("a service that this call needs did not answer")]
pub struct PeerFault {
    source: tonic::Status,
}

impl From<tonic::Status> for PeerFault {
    fn from(source: tonic::Status) -> Self {
        Self { source }
    }
}

impl PeerFault {
    /// What the peer said.
    pub fn status(&self) -> &tonic::Status {
        &self.source
    }
}

impl Fault for PeerFault {
    fn kind(&self) -> FaultKind {
        match self.source.code() {
            Code::DeadlineExceeded => FaultKind::Deadline,
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => FaultKind::Unavailable,
            Code::Ok
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => FaultKind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self.kind() {
            FaultKind::Deadline => "DEADLINE_EXCEEDED",
            FaultKind::Unavailable => "PEER_UNAVAILABLE",
            FaultKind::Invalid
            | FaultKind::Unauthenticated
            | FaultKind::Denied
            | FaultKind::NotFound
            | FaultKind::AlreadyExists
            | FaultKind::Precondition
            | FaultKind::Aborted
            | FaultKind::OutOfRange
            | FaultKind::Exhausted
            | FaultKind::Internal => "PEER_FAILED",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        (self.kind() == FaultKind::Unavailable).then_some(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::into_status;

    #[test]
    fn what_a_peer_says_is_not_shown() {
        let answer = into_status(PeerFault::from(tonic::Status::unavailable("10.0.0.7 refused")));
        assert_eq!(
            (answer.code(), answer.message()),
            (Code::Unavailable, "a service that this call needs did not answer")
        );
        assert!(!format!("{answer:?}").contains("10.0.0.7"));
        let wrong = PeerFault::from(tonic::Status::invalid_argument("bad id"));
        assert_eq!((wrong.kind(), wrong.reason()), (FaultKind::Internal, "PEER_FAILED"));
    }
}
