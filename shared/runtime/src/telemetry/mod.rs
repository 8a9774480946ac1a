//! Logs, metrics and traces of the process.
//!
//! Metrics are always kept and read by Prometheus from the admin port; OTLP is spoken where the standard `OTEL_*` variables
//! name an endpoint, and nothing is done for traces where they do not. Workspace and account are never labels.

mod continued;
mod logs;
mod sampler;

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, registry};

pub use continued::continued;
pub(crate) use sampler::Sampler;

crate::choices! {
    /// How log lines are written.
    pub enum LogFormat {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// One readable line each.
        Text = "text",
        /// One JSON object each.
        Json = "json",
    }
}

crate::settings! {
    /// What the process tells of itself. Traces and metrics by OTLP follow the standard OTEL_* variables.
    pub struct TelemetrySettings {
        /// What is logged: a level, or levels per target as in `info,keizoku_storage=debug`.
        log: String = "info".to_owned(),
        /// How log lines are written.
        log_format: LogFormat = LogFormat::Auto,
    }
}

/// How long what is still to be exported may take at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryFault {
    /// The log filter has no meaning.
    #[error("telemetry.log: {0}")]
    Filter(String),
    /// A variable asks for what is not supported.
    #[error("{variable}={value} is not supported: {hint}")]
    Unsupported {
        /// The variable.
        variable: &'static str,
        /// What it says.
        value: String,
        /// What would do.
        hint: &'static str,
    },
    /// An exporter cannot be made.
    #[error("the exporter of {signal} cannot be made: {problem}")]
    Exporter {
        /// Traces or metrics.
        signal: &'static str,
        /// Why not.
        problem: String,
    },
}

/// The running telemetry. Stop it last, so that nothing is lost.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    sampler: Option<Sampler>,
    traces: Option<SdkTracerProvider>,
    metrics: SdkMeterProvider,
}

impl Telemetry {
    /// Starts logs, metrics and (where an endpoint is named) traces, for the whole process. Call it once, inside of the
    /// runtime, with the process's variables.
    ///
    /// # Errors
    /// A filter or a variable that has no meaning, or an exporter that cannot be made.
    pub fn start(settings: &TelemetrySettings, environment: &BTreeMap<String, String>) -> Result<Self, TelemetryFault> {
        let exports = Exports::read(environment)?;
        let filter = logs::filter(&settings.log)?;
        let resource = resource(environment);
        let (registry, metrics) = metrics(resource.clone(), exports.metrics.as_deref())?;
        let sampler = exports.traces.is_some().then(|| Sampler::read(environment)).transpose()?;
        let traces = match (&exports.traces, sampler) {
            (Some(endpoint), Some(sampler)) => Some(traces(resource, endpoint, sampler)?),
            (None, _) | (_, None) => None,
        };

        global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]));
        global::set_meter_provider(metrics.clone());
        let spans = traces.as_ref().map(|provider| {
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("keizoku"));
            layer.with_location(false).with_threads(false).with_filter(sampler::filter())
        });
        let lines = logs::layer(settings.log_format).with_filter(filter);
        // A second subscriber (in tests that share a process) is refused; the first goes on.
        registry::Registry::default().with(lines).with(spans).try_init().ok();
        logs::log_panics();
        Ok(Self { registry, sampler, traces, metrics })
    }

    /// Metrics only, kept by this value and exported nowhere: for tests and tools.
    ///
    /// # Errors
    /// As for [`Telemetry::start`].
    pub fn quiet() -> Result<Self, TelemetryFault> {
        let (registry, metrics) = metrics(Resource::builder_empty().build(), None)?;
        Ok(Self { registry, sampler: None, traces: None, metrics })
    }

    /// All metrics in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        text(&self.registry)
    }

    /// Sends what is not yet sent, within five seconds.
    pub async fn stop(self) {
        let flush = tokio::task::spawn_blocking(move || {
            let traces = self.traces.map_or(Ok(()), |traces| traces.shutdown_with_timeout(FLUSH));
            let metrics = self.metrics.shutdown_with_timeout(FLUSH);
            traces.and(metrics)
        });
        match tokio::time::timeout(FLUSH, flush).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(fault))) => tracing::warn!(%fault, "telemetry was not sent to its end"),
            Ok(Err(_)) | Err(_) => tracing::warn!("telemetry was not sent to its end"),
        }
    }

    pub(crate) fn sampler(&self) -> Option<Sampler> {
        self.sampler
    }

    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    pub(crate) fn meter(&self) -> opentelemetry::metrics::Meter {
        use opentelemetry::metrics::MeterProvider as _;
        self.metrics.meter("keizoku")
    }
}

/// All metrics of a registry in Prometheus' text format.
pub(crate) fn text(registry: &Registry) -> String {
    let mut bytes = Vec::new();
    if let Err(fault) = TextEncoder::new().encode(&registry.gather(), &mut bytes) {
        tracing::error!(%fault, "metrics cannot be written");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Which signals go out by OTLP, and where to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Exports {
    traces: Option<String>,
    metrics: Option<String>,
}

impl Exports {
    fn read(environment: &BTreeMap<String, String>) -> Result<Self, TelemetryFault> {
        let set = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Self::default());
        }
        let exports = |exporter, endpoint| match set(exporter) {
            Some("none") => Ok(None),
            None | Some("otlp") => Ok(set(endpoint).or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT")).map(str::to_owned)),
            Some(value) => {
                let hint = "otlp and none are; Prometheus reads the admin port in any case";
                Err(TelemetryFault::Unsupported { variable: exporter, value: value.to_owned(), hint })
            }
        };
        let found = Self {
            traces: exports("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")?,
            metrics: exports("OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")?,
        };
        let protocols = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", found.traces.is_some() || found.metrics.is_some()),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", found.traces.is_some()),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", found.metrics.is_some()),
        ];
        for (variable, used) in protocols {
            if let Some(value) = set(variable).filter(|value| used && *value != "grpc") {
                let hint = "only grpc is (port 4317 of a collector)";
                return Err(TelemetryFault::Unsupported { variable, value: value.to_owned(), hint });
            }
        }
        Ok(found)
    }
}

fn resource(environment: &BTreeMap<String, String>) -> Resource {
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let named = environment.contains_key("OTEL_SERVICE_NAME")
        || environment.get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains("service.name="));
    if named { builder.build() } else { builder.with_service_name("keizoku").build() }
}

fn metrics(resource: Resource, endpoint: Option<&str>) -> Result<(Registry, SdkMeterProvider), TelemetryFault> {
    let fault = |problem: String| TelemetryFault::Exporter { signal: "metrics", problem };
    let registry = Registry::new();
    let prometheus = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .map_err(|problem| fault(problem.to_string()))?;
    let mut builder = SdkMeterProvider::builder().with_resource(resource).with_reader(prometheus);
    if let Some(endpoint) = endpoint {
        let exporter = MetricExporter::builder().with_tonic().with_endpoint(endpoint).build();
        builder = builder.with_periodic_exporter(exporter.map_err(|problem| fault(problem.to_string()))?);
    }
    Ok((registry, builder.build()))
}

fn traces(resource: Resource, endpoint: &str, sampler: Sampler) -> Result<SdkTracerProvider, TelemetryFault> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|problem| TelemetryFault::Exporter { signal: "traces", problem: problem.to_string() })?;
    let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
    Ok(builder.with_batch_exporter(exporter).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Exports, TelemetryFault> {
        Exports::read(&variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn to(traces: Option<&str>, metrics: Option<&str>) -> Option<Exports> {
        Some(Exports { traces: traces.map(str::to_owned), metrics: metrics.map(str::to_owned) })
    }

    #[test]
    fn nothing_is_exported_without_an_endpoint() {
        assert_eq!(read(&[]).ok(), to(None, None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).ok(), to(None, None));
    }

    #[test]
    fn each_signal_can_be_chosen() {
        let (one, other) = ("http://127.0.0.1:4317", "http://127.0.0.1:5317");
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", one);
        assert_eq!(read(&[endpoint]).ok(), to(Some(one), Some(one)));
        assert_eq!(read(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]).ok(), to(Some(one), None));
        let metrics = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", other);
        assert_eq!(read(&[metrics]).ok(), to(None, Some(other)));
        assert_eq!(read(&[endpoint, metrics]).ok(), to(Some(one), Some(other)));
        assert_eq!(read(&[endpoint, ("OTEL_SDK_DISABLED", "true")]).ok(), to(None, None));
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert!(read(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).is_err());
        assert!(read(&[endpoint, ("OTEL_TRACES_EXPORTER", "zipkin")]).is_err());
        assert!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).is_ok());
    }

    #[test]
    fn prometheus_shows_what_was_counted() {
        let telemetry = Telemetry::quiet().expect("telemetry");
        telemetry.meter().u64_counter("feed.changes").build().add(3, &[KeyValue::new("kind", "account")]);
        assert!(
            telemetry.prometheus().contains("feed_changes_total{kind=\"account\"} 3"),
            "{}",
            telemetry.prometheus()
        );
    }
}
