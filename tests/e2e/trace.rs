//! One trace from an event to the score it changed, as a real OTLP receiver sees it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keizoku_proto::ingestion::IngestEventsRequest;
use keizoku_proto::scoring::HealthModel;
use keizoku_proto::scoring::metric_window::{Aggregation, Bucket};
use keizoku_testkit::eventually;
use keizoku_tests::make::{account_item, bands, count, event_on, label, windowed};
use keizoku_tests::{Options, Sandbox, User};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Keeps every span it is sent.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().expect("a lock").extend(spans.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_event_to_the_score_it_changed() {
    let (collector, endpoint) = collect().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let sandbox = Sandbox::start_with(Options { variables, ..Options::default() }).await;
    let mut user = User::new(&sandbox.client());
    prepare(&mut user).await;

    let mut request = Request::new(IngestEventsRequest {
        source: "app".to_owned(),
        events: vec![event_on("traced", "kaede", "login", "2024-05-09")],
        validate_only: false,
    });
    let parent = format!("00-{TRACE}-{PARENT}-01");
    request.metadata_mut().insert("traceparent", parent.parse().expect("ASCII"));
    let sent = user.events.ingest_events(request).await.expect("stored").into_inner();
    user.score_at_least("kaede", sent.position.to_vec()).await.expect("counted");

    let path = eventually(Duration::from_secs(20), || {
        let spans = collector.0.lock().expect("a lock").clone();
        async move { path_to_the_score(&spans) }
    })
    .await;
    assert!(path[0].contains("IngestEvents"), "{path:?}");
    assert!(path.iter().any(|name| name.contains("roll")), "{path:?}");
    assert!(path.last().is_some_and(|name| name.contains("scoring")), "{path:?}");
}

/// The names of the spans from the caller's own down to the one that changed the score, if they are all there.
fn path_to_the_score(spans: &[Span]) -> Option<Vec<String>> {
    let ours: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    let mut span = *ours.iter().find(|span| span.name.starts_with("scoring"))?;
    let mut path = vec![span.name.clone()];
    while hex(&span.parent_span_id) != PARENT {
        span = ours.iter().find(|found| found.span_id == span.parent_span_id)?;
        path.insert(0, span.name.clone());
    }
    Some(path)
}

#[expect(clippy::disallowed_methods, reason = "the test's own collector, which ends with its runtime")]
async fn collect() -> (Collector, String) {
    let collector = Collector::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket"));
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    tokio::task::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (collector, endpoint)
}

async fn prepare(user: &mut User) {
    user.set_day("2024-05-10").await.expect("a first setting");
    user.put_accounts(vec![account_item("kaede", &[])]).await.expect("an account");
    user.put_metric(count("logins", "login", "app")).await.expect("a metric");
    let scale = [(0.0, 0.0), (10.0, 100.0)];
    let logins = windowed("logins", "logins", (Aggregation::Sum, Bucket::Day, 28), 1.0, &scale);
    user.apply(HealthModel {
        key: "health".to_owned(),
        label: Some(label("Health")),
        measures: vec![logins],
        bands: bands(),
        primary: true,
        ..HealthModel::default()
    })
    .await
    .expect("a model");
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
