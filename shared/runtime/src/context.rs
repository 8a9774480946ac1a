//! What a call knows of itself wherever its code runs: trace ids and deadline (carried by the task, so that clients and
//! logs find them unasked), and what handlers read from the request: caller, workspace, the end of the connection.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keizoku_base::WorkspaceId;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::{AuthFault, Caller};
use crate::layer::Peer;
use crate::status::status;

tokio::task_local! {
    static TRACE: Trace;
    static DEADLINE: Deadline;
}

/// The W3C trace context of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// The span that work done now is a child of.
    pub span_id: SpanId,
    /// Whether spans of this trace are exported.
    pub sampled: bool,
}

impl Trace {
    /// Reads a `traceparent` of version 00 (later versions by its rules).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 {
            return None;
        }
        let flags = u8::from_str_radix(flags.get(..2)?, 16).ok()?;
        let read = Self {
            trace_id: TraceId::from_hex(trace).ok()?,
            span_id: SpanId::from_hex(span).ok()?,
            sampled: flags & 1 == 1,
        };
        (read.trace_id != TraceId::INVALID && read.span_id != SpanId::INVALID).then_some(read)
    }

    /// A trace that begins here and is not sampled.
    pub(crate) fn begin() -> Self {
        let ids = RandomIdGenerator::default();
        Self { trace_id: ids.new_trace_id(), span_id: ids.new_span_id(), sampled: false }
    }
}

impl fmt::Display for Trace {
    /// As a `traceparent`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{}-{}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// The instant after which nobody waits for the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline at that instant.
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The deadline `span` from now.
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// When it is.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// The time left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The trace of the call this code works for, if it works for one.
pub fn trace() -> Option<Trace> {
    TRACE.try_with(|trace| *trace).ok()
}

/// The deadline of the call this code works for, if there is one.
pub fn deadline() -> Option<Deadline> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// Runs `work` for the call that spawns it: with its trace and its deadline.
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let (trace, deadline) = (trace(), deadline());
    async move {
        match (trace, deadline) {
            (Some(trace), Some(deadline)) => TRACE.scope(trace, DEADLINE.scope(deadline, work)).await,
            (Some(trace), None) => TRACE.scope(trace, work).await,
            (None, Some(deadline)) => DEADLINE.scope(deadline, work).await,
            (None, None) => work.await,
        }
    }
}

pub(crate) fn with_trace<F: Future>(trace: Trace, work: F) -> impl Future<Output = F::Output> {
    TRACE.scope(trace, work)
}

pub(crate) fn with_deadline<F: Future>(deadline: Deadline, work: F) -> impl Future<Output = F::Output> {
    DEADLINE.scope(deadline, work)
}

pub(crate) fn in_trace<T>(trace: Trace, work: impl FnOnce() -> T) -> T {
    TRACE.sync_scope(trace, work)
}

/// Says to the handler of a stream when to come to an end: the connection has reached its age, or the process stops.
///
/// What is committed is acknowledged, then the stream ends; a stream that goes on is cut.
#[derive(Debug, Clone)]
pub struct Closing(pub(crate) CancellationToken);

impl Closing {
    /// Returns when the stream should end.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// Whether the stream should end.
    pub fn is_due(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// What the layers leave in a request's extensions for its handler: one value, so that it costs one allocation.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) peer: Arc<Peer>,
}

/// Who calls.
///
/// # Errors
/// UNAUTHENTICATED where the method is open and so nobody was asked.
pub fn caller<M>(request: &tonic::Request<M>) -> Result<&Arc<Caller>, tonic::Status> {
    let admitted = request.extensions().get::<Admitted>();
    admitted.and_then(|admitted| admitted.caller.as_ref()).ok_or_else(|| status(&AuthFault::Missing))
}

/// The workspace the call is about: the credential's, or the one an internal call names.
///
/// # Errors
/// INVALID_ARGUMENT `WORKSPACE_MISSING` where an internal call names none; UNAUTHENTICATED as for [`caller`].
pub fn workspace<M>(request: &tonic::Request<M>) -> Result<WorkspaceId, tonic::Status> {
    caller(request)?.workspace.ok_or_else(|| status(&AuthFault::WorkspaceMissing))
}

/// When a stream should end. Outside of a node it never should.
pub fn closing<M>(request: &tonic::Request<M>) -> Closing {
    let admitted = request.extensions().get::<Admitted>();
    admitted.map_or_else(|| Closing(CancellationToken::new()), |admitted| Closing(admitted.peer.closing.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_and_writes_traceparents() {
        let trace = Trace::parse(PARENT).expect("a parent");
        assert!(trace.sampled);
        assert_eq!(trace.to_string(), PARENT);
        assert_eq!(Trace::parse(&PARENT.replace("-01", "-00")).map(|trace| trace.sampled), Some(false));
        assert!(Trace::parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
    }

    #[test]
    fn refuses_what_is_no_traceparent() {
        let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        for wrong in ["", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &PARENT[..50], &zero] {
            assert_eq!(Trace::parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn spawned_work_keeps_trace_and_deadline() {
        let (trace, deadline) = (Trace::begin(), Deadline::after(Duration::from_secs(9)));
        let (send, receive) = tokio::sync::oneshot::channel();
        let spawns = async {
            let spawned: futures::future::BoxFuture<'_, _> =
                Box::pin(carry(async { (super::trace(), super::deadline()) }));
            send.send(spawned).ok().expect("somebody waits");
        };
        with_trace(trace, with_deadline(deadline, spawns)).await;
        let spawned = receive.await.expect("what was spawned");
        assert_eq!(spawned.await, (Some(trace), Some(deadline)));
        assert_eq!(super::trace(), None);
    }
}
