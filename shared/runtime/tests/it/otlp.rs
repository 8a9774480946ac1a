use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keizoku_runtime::{Exit, Tasks, Telemetry, TelemetrySettings};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::echo::{Echo, say, words};
use crate::sandbox::Sandbox;

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
        self.spans.lock().expect("spans").extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let metrics = resources.flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics);
        self.metrics.lock().expect("metrics").extend(metrics.map(|metric| metric.name));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        drop(Tasks::new().once(serving));
        (collector, address)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sampled_calls_are_exported_whole_and_others_not_at_all() {
    let (collector, endpoint) = Collector::start().await;
    let variables = BTreeMap::from([("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint)]);
    let telemetry = Telemetry::start(&TelemetrySettings::default(), &variables).expect("telemetry");
    let sandbox = Sandbox::serving(|_| {}, telemetry, |_| Echo::default()).await;
    let call = async |parent: String| {
        let mut request = Request::new(words("work"));
        request.metadata_mut().insert("traceparent", parent.parse().expect("a value"));
        say(sandbox.reader(), request).await.expect("an answer");
    };
    call(format!("00-{}-00f067aa0ba902b7-01", "a".repeat(32))).await;
    call(format!("00-{}-00f067aa0ba902b7-00", "b".repeat(32))).await;
    sandbox.stop.ask();
    let (exit, telemetry) = sandbox.ended_with_telemetry().await;
    assert_eq!(exit, Exit::Clean);
    telemetry.stop().await;

    let spans = collector.spans.lock().expect("spans").clone();
    let rpc = spans.iter().find(|span| span.name == "keizoku.test.v1.EchoService/Say").expect("the call");
    assert_eq!((rpc.trace_id.as_slice(), rpc.kind), ([0xaa; 16].as_slice(), 2));
    assert_eq!(rpc.parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    assert!(rpc.attributes.iter().any(|attribute| attribute.key == "rpc.grpc.status_code"), "{rpc:?}");
    let inside = spans.iter().find(|span| span.name == "work inside").expect("what the handler did");
    assert_eq!(inside.parent_span_id, rpc.span_id);
    assert_eq!(spans.len(), 2, "nothing of the call that is not sampled, nothing of the exporting: {spans:?}");
    assert!(collector.metrics.lock().expect("metrics").contains(&"rpc.server.duration".to_owned()));
}
