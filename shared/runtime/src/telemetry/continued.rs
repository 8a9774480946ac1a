//! Work that goes on with the trace of a call that is long over: a consumer of a log, a day's end.

use std::collections::HashMap;

use opentelemetry::global;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::context::Trace;

/// A span `name` of work caused by the call whose `traceparent` is `parent`, and the `traceparent` that what this work causes
/// carries on. Where the trace is not sampled there is no span and no `traceparent`; where nothing is exported here, the
/// parent's is handed on.
pub fn continued(parent: &str, name: &'static str) -> (Span, String) {
    if !Trace::parse(parent).is_some_and(|trace| trace.sampled) {
        return (Span::none(), String::new());
    }
    let span = tracing::info_span!(target: "keizoku::work", "work", otel.name = name, otel.kind = "consumer");
    let headers = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
    let remote = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
    // Without an exporting layer there is no parent to set.
    span.set_parent(remote).ok();
    let context = span.context();
    let own = context.span().span_context().clone();
    let trace = Trace { trace_id: own.trace_id(), span_id: own.span_id(), sampled: own.is_sampled() };
    let carried = if own.is_valid() { trace.to_string() } else { parent.to_owned() };
    (span, carried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_on_what_is_sampled_and_nothing_else() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(continued(parent, "test").1, parent, "nothing is exported in this test");
        assert_eq!(continued(&parent.replace("-01", "-00"), "test").1, "");
        assert_eq!(continued("", "test").1, "");
    }
}
