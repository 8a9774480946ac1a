//! Gives the call its trace: the caller's, or a new one. A span is made only where one will be exported.

use http::HeaderMap;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{Call, Handler, Method, Response};
use crate::context::{self, Trace};
use crate::telemetry::Sampler;

pub(crate) struct Traced<H> {
    pub(crate) sampler: Option<Sampler>,
    pub(crate) next: H,
}

impl<H: Handler> Handler for Traced<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        let headers = call.request.headers();
        let parent = headers.get("traceparent").and_then(|value| Trace::parse(value.to_str().ok()?));
        let (trace, span) = match &self.sampler {
            Some(sampler) if sampler.samples(parent) => exported(&call.method, headers),
            Some(_) => (Trace { sampled: false, ..parent.unwrap_or_else(Trace::begin) }, Span::none()),
            // Nothing is exported here, but what is called from here may be, so the caller's decision is handed on.
            None => (parent.unwrap_or_else(Trace::begin), Span::none()),
        };
        call.tail.trace = Some(trace);
        if !span.is_none() {
            call.tail.span = Some(span.clone());
        }
        context::with_trace(trace, self.next.handle(call).instrument(span)).await
    }
}

fn exported(method: &Method, headers: &HeaderMap) -> (Trace, Span) {
    let span = tracing::info_span!(
        target: "keizoku::rpc",
        "rpc",
        otel.name = method.name(),
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.method = method.name(),
        rpc.grpc.status_code = tracing::field::Empty,
    );
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
    // Without an exporting layer there is no parent to set, and the span shows nowhere.
    span.set_parent(parent).ok();
    let context = span.context();
    let own = context.span().span_context().clone();
    let trace = Trace { trace_id: own.trace_id(), span_id: own.span_id(), sampled: own.is_sampled() };
    (if own.is_valid() { trace } else { Trace::begin() }, span)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
