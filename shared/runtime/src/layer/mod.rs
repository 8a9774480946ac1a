//! The layers around each call, outermost first in [`stack`].
//!
//! A layer is a [`Handler`] around the next one. All borrow the one [`Call`], so a call costs no box and no copy per
//! layer; what must outlive the handler (permit, measurement, watch) is left in the call's [`Tail`] and goes on in the body.

mod admission;
mod auth;
mod body;
mod catch_panic;
mod deadline;
mod dispatch;
mod method;
mod metrics;
mod overlong;
mod rate_limit;
mod stream;
mod trace;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Request};
use keizoku_base::Fault;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::auth::{Authenticator, Caller};
use crate::config::Secret;
use crate::node::settings::{LimitSettings, RateSettings};
use crate::status::status;
use crate::telemetry::Sampler;

pub(crate) use admission::Admission;
pub(crate) use body::CallBody;
pub(crate) use deadline::{TIMEOUT_HEADER, asked};
pub use method::MethodFault;
pub(crate) use method::{Method, Methods, Mounted};
pub(crate) use rate_limit::Rates;

/// Names a call in logs and reports; echoed where the caller sends one.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer whose body is not yet wrapped.
pub(crate) type Response = http::Response<Body>;

/// What a connection tells the calls on it.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Whether it showed a certificate of the authority that only services have certificates of.
    pub(crate) trusted: bool,
    /// Cancelled when streams should end.
    pub(crate) closing: CancellationToken,
}

/// One call on its way through the layers.
pub(crate) struct Call {
    pub(crate) method: Arc<Method>,
    pub(crate) request: Request<Body>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) arrived: Instant,
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) tail: Tail,
}

/// What a call leaves to its body.
#[derive(Default)]
pub(crate) struct Tail {
    pub(crate) trace: Option<crate::context::Trace>,
    pub(crate) span: Option<tracing::Span>,
    pub(crate) measure: Option<metrics::Measure>,
    pub(crate) permit: Option<tokio::sync::OwnedSemaphorePermit>,
    pub(crate) watch: Option<stream::Watch>,
}

/// One layer, or the service itself.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers the call.
    fn handle(&self, call: &mut Call) -> impl Future<Output = Response> + Send;
}

/// What the layers are made of.
pub(crate) struct Parts {
    pub(crate) sampler: Option<Sampler>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) internal_token: Secret,
    pub(crate) limits: LimitSettings,
    pub(crate) rate: RateSettings,
}

/// The layers, outermost first, and the counters of the rate limit (for whoever sweeps them).
pub(crate) fn stack(parts: Parts) -> (impl Handler, Option<Arc<Rates>>) {
    let rates = Rates::new(&parts.rate).map(Arc::new);
    let handler = dispatch::Dispatch;
    // Next to the handler, so that every layer sees the code that is sent.
    let handler = overlong::Overlong { next: handler };
    // Needs to know the key, and spends nothing of it on calls that may not be made.
    let handler = rate_limit::RateLimited { rates: rates.clone(), next: handler };
    // Looking up a credential takes time, which counts against the deadline.
    let handler = auth::Authenticated::new(parts.authenticator, &parts.internal_token, handler);
    // Inside of admission, so that a call that is over gives its permit back.
    let handler = deadline::Timed { cap: parts.limits.deadline.get(), next: handler };
    let handler = stream::Watched { idle: parts.limits.stream_idle.get(), next: handler };
    // Refuses before any work is done, credentials included; there is no queue to wait in.
    let handler = admission::Admitted { next: handler };
    // Outside of all that can refuse, so that refusals are counted; a dropped call counts as cancelled.
    let handler = metrics::Measured { next: handler };
    // Everything that is logged or called below belongs to the trace.
    let handler = trace::Traced { sampler: parts.sampler, next: handler };
    // Outermost: whatever panics below, the caller gets an answer and the connection lives on.
    (catch_panic::CatchPanic { next: handler }, rates)
}

/// Takes a call from a connection through the layers.
pub(crate) async fn answer<H: Handler>(
    handler: &H,
    method: Arc<Method>,
    peer: Arc<Peer>,
    request: Request<Body>,
) -> http::Response<CallBody> {
    let asked = request.headers().get(REQUEST_ID).filter(|id| id.len() <= 128).cloned();
    let tail = Tail::default();
    let mut call = Call { method, request, peer, arrived: Instant::now(), caller: None, tail };
    let mut response = handler.handle(&mut call).await;
    let failed = response.headers().contains_key(tonic::Status::GRPC_STATUS);
    let made = || call.tail.trace.and_then(|trace| HeaderValue::from_str(&trace.trace_id.to_string()).ok());
    if let Some(id) = asked.or_else(|| failed.then(made).flatten()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.map(|body| CallBody::new(body, call.tail))
}

/// The answer that says `fault`.
pub(crate) fn refuse(fault: &dyn Fault) -> Response {
    status(fault).into_http()
}
