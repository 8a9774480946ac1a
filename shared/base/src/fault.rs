//! What every error of every service can say about itself; the transport's status is derived from this alone.

use std::time::Duration;

use crate::violations::Violations;

/// What a caller can do about a fault. One kind is one gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The request is wrong whatever the state: INVALID_ARGUMENT.
    Invalid,
    /// No valid credential: UNAUTHENTICATED.
    Unauthenticated,
    /// The credential does not allow it: PERMISSION_DENIED.
    Denied,
    /// What was named does not exist: NOT_FOUND.
    NotFound,
    /// It exists already: ALREADY_EXISTS.
    AlreadyExists,
    /// The state does not allow it: FAILED_PRECONDITION.
    Precondition,
    /// Somebody else changed it first; read again and repeat: ABORTED.
    Aborted,
    /// A position or token lies outside of what is kept: OUT_OF_RANGE.
    OutOfRange,
    /// A limit is reached: RESOURCE_EXHAUSTED.
    Exhausted,
    /// Cannot be served now; a repeat may succeed: UNAVAILABLE.
    Unavailable,
    /// The deadline passed: DEADLINE_EXCEEDED.
    Deadline,
    /// Our fault; the text says nothing of the inside: INTERNAL.
    Internal,
}

/// An error that knows what its caller can do about it.
///
/// `Display` of the implementor is shown to clients, so it holds no internals; those go into `source()`.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// What the caller can do.
    fn kind(&self) -> FaultKind;

    /// A stable `UPPER_SNAKE_CASE` reason; each has a line in docs/errors.md.
    fn reason(&self) -> &'static str;

    /// Facts for machines: names and limits, never secrets or internals.
    fn metadata(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// How long to wait before a repeat, where a repeat makes sense.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Every violation of the request, for [`FaultKind::Invalid`].
    fn violations(&self) -> Option<&Violations> {
        None
    }
}
