//! Decides which calls are traced, before anything is spent on them. The standard samplers by `OTEL_TRACES_SAMPLER`.

use std::collections::BTreeMap;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SamplingDecision, SamplingResult, ShouldSample};
use tracing::Metadata;
use tracing::subscriber::Interest;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context as LayerContext, Filter};

use super::TelemetryFault;
use crate::context::{self, Trace};

/// Targets whose spans and events would trace the exporting itself, or drown what matters.
const NOISE: [&str; 5] = ["h2", "hyper", "tonic", "tower", "opentelemetry"];

/// Which traces are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// Whether the caller's decision stands, where there is one.
    follows_parent: bool,
    /// Of 2⁶³ possible trace ids, how many are sampled.
    bound: u64,
}

impl Sampler {
    /// Reads `OTEL_TRACES_SAMPLER` and its argument.
    pub(crate) fn read(environment: &BTreeMap<String, String>) -> Result<Self, TelemetryFault> {
        let name = environment.get("OTEL_TRACES_SAMPLER").map_or("parentbased_always_on", String::as_str);
        let follows_parent = name.starts_with("parentbased_");
        let ratio = match name.trim_start_matches("parentbased_") {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio(environment.get("OTEL_TRACES_SAMPLER_ARG").map_or("1.0", String::as_str))?,
            _ => {
                let hint = "always_on, always_off, traceidratio are, each also as parentbased_…";
                return Err(TelemetryFault::Unsupported {
                    variable: "OTEL_TRACES_SAMPLER",
                    value: name.to_owned(),
                    hint,
                });
            }
        };
        Ok(Self::with_ratio(follows_parent, ratio))
    }

    fn with_ratio(follows_parent: bool, ratio: f64) -> Self {
        Self { follows_parent, bound: (ratio * (1_u64 << 63) as f64) as u64 }
    }

    /// Whether a call with that parent is sampled.
    pub(crate) fn samples(self, parent: Option<Trace>) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.sampled,
            Some(parent) => self.samples_id(parent.trace_id),
            None => self.samples_id(RandomIdGenerator::default().new_trace_id()),
        }
    }

    fn samples_id(self, trace_id: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g, h] = trace_id.to_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 < self.bound
    }
}

/// A server span is made only after its call was chosen; what else begins a trace (background work) is chosen here.
impl ShouldSample for Sampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        _name: &str,
        span_kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let parent = parent_context.filter(|context| context.has_active_span()).map(|context| context.span());
        let parent = parent.as_ref().map(|span| span.span_context());
        let sampled = match parent {
            _ if *span_kind == SpanKind::Server => true,
            Some(parent) => parent.is_sampled(),
            None => self.samples_id(trace_id),
        };
        SamplingResult {
            decision: if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent.map_or_else(TraceState::default, |parent| parent.trace_state().clone()),
        }
    }
}

/// Keeps from the exporting layer what belongs to a call that is not sampled, and what is noise.
pub(super) fn filter<S>() -> impl Filter<S> {
    // The level again: a callsite that was met before there was a subscriber asks here without having asked below.
    let sampled = || context::trace().is_none_or(|trace| trace.sampled);
    let is_kept = move |metadata: &Metadata<'_>| *metadata.level() <= tracing::Level::INFO && sampled();
    dynamic_filter_fn(move |metadata: &Metadata<'_>, _: &LayerContext<'_, S>| is_kept(metadata))
        .with_max_level_hint(LevelFilter::INFO)
        .with_callsite_filter(|metadata| if wanted(metadata) { Interest::sometimes() } else { Interest::never() })
}

fn wanted(metadata: &Metadata<'_>) -> bool {
    let noise = |name: &str| {
        let rest = metadata.target().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('_'))
    };
    *metadata.level() <= tracing::Level::INFO && !NOISE.iter().any(|name| noise(name))
}

fn ratio(text: &str) -> Result<f64, TelemetryFault> {
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| TelemetryFault::Unsupported {
        variable: "OTEL_TRACES_SAMPLER_ARG",
        value: text.to_owned(),
        hint: "a number between 0 and 1 is",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(name: &str, argument: &str) -> Result<Sampler, TelemetryFault> {
        let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        Sampler::read(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    fn parent(sampled: bool) -> Option<Trace> {
        Some(Trace { sampled, ..Trace::begin() })
    }

    #[test]
    fn follows_the_caller_unless_told_otherwise() {
        let sampler_of = |name| sampler(name, "0.5").expect("a sampler");
        assert!(sampler_of("parentbased_always_off").samples(parent(true)));
        assert!(!sampler_of("parentbased_always_on").samples(parent(false)));
        assert!(sampler_of("always_on").samples(parent(false)));
        assert!(!sampler_of("always_off").samples(parent(true)));
        assert!(!sampler_of("parentbased_always_off").samples(None));
        assert!(Sampler::read(&BTreeMap::new()).expect("the default").samples(None));
    }

    #[test]
    fn a_ratio_samples_that_share_of_traces() {
        let sampler = sampler("parentbased_traceidratio", "0.25").expect("a sampler");
        let sampled = (0..4_000).filter(|_| sampler.samples(None)).count();
        assert!((850..1_150).contains(&sampled), "{sampled} of 4000");
    }

    #[test]
    fn unknown_samplers_and_ratios_are_refused() {
        assert!(sampler("sometimes", "").is_err());
        assert!(sampler("traceidratio", "2").is_err());
    }
}
