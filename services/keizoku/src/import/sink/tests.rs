//! The stream of events against a server that breaks it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use keizoku_proto::ingestion::{
    Event, GetMetricDaysRequest, GetMetricDaysResponse, GetReceiptRequest, GetReceiptResponse, HeartbeatRequest,
    HeartbeatResponse, IngestEventsRequest, IngestEventsResponse, ListMetricsRequest, ListMetricsResponse,
    PutMetricRequest, PutMetricResponse, RecordMeasurementsRequest, RecordMeasurementsResponse, Rejection,
    StreamEventsRequest, StreamEventsResponse,
};
use keizoku_proto::server::ingestion::event_service_server::{EventService, EventServiceServer};
use keizoku_runtime::{Client, ClientSettings, Credential};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::*;

/// Stores ids; every third batch of a stream breaks it, stored or not, before it is acknowledged. Batches are
/// acknowledged in pairs.
#[derive(Default, Clone)]
struct Brittle {
    stored: Arc<Mutex<BTreeSet<String>>>,
    streams: Arc<Mutex<u32>>,
}

impl Brittle {
    fn take(&self, batches: &[StreamEventsRequest]) -> IngestEventsResponse {
        let mut stored = self.stored.lock().expect("no test panicked here");
        let mut answer = IngestEventsResponse::default();
        for event in batches.iter().flat_map(|batch| &batch.events) {
            if event.id.ends_with("7") {
                answer.rejected_count += 1;
                answer.rejections.push(Rejection { index: -1, id: event.id.clone(), status: None });
            } else if stored.insert(event.id.clone()) {
                answer.stored_count += 1;
            } else {
                answer.duplicate_count += 1;
            }
        }
        answer
    }
}

type Answers<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl EventService for Brittle {
    type StreamEventsStream = BoxStream<'static, Result<StreamEventsResponse, Status>>;

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Answers<Self::StreamEventsStream> {
        *self.streams.lock().expect("no test panicked here") += 1;
        let pairs = request.into_inner().enumerate().ready_chunks(2);
        let server = self.clone();
        let answers = pairs.map(move |pair| {
            let breaks = pair.iter().any(|(place, _)| place % 3 == 2);
            let batches: Vec<_> = pair.into_iter().filter_map(|(_, batch)| batch.ok()).collect();
            let result = server.take(&batches);
            if breaks {
                return Err(Status::unavailable("broken"));
            }
            let last = batches.last().map_or(0, |batch| batch.batch);
            Ok(StreamEventsResponse { acknowledged_batch: last, result: Some(result) })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn ingest_events(&self, _: Request<IngestEventsRequest>) -> Answers<IngestEventsResponse> {
        Err(Status::unimplemented("only streams"))
    }

    async fn record_measurements(&self, _: Request<RecordMeasurementsRequest>) -> Answers<RecordMeasurementsResponse> {
        Err(Status::unimplemented("only streams"))
    }

    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Answers<HeartbeatResponse> {
        Err(Status::unimplemented("only streams"))
    }

    async fn get_receipt(&self, _: Request<GetReceiptRequest>) -> Answers<GetReceiptResponse> {
        Err(Status::unimplemented("only streams"))
    }

    async fn put_metric(&self, _: Request<PutMetricRequest>) -> Answers<PutMetricResponse> {
        Err(Status::unimplemented("only streams"))
    }

    async fn list_metrics(&self, _: Request<ListMetricsRequest>) -> Answers<ListMetricsResponse> {
        Err(Status::unimplemented("only streams"))
    }

    async fn get_metric_days(&self, _: Request<GetMetricDaysRequest>) -> Answers<GetMetricDaysResponse> {
        Err(Status::unimplemented("only streams"))
    }
}

fn batch(number: u64) -> Batch {
    let lines: Vec<u64> = (number * 10..number * 10 + 10).collect();
    let event = |line: &u64| Item::Event(Event { id: line.to_string(), ..Event::default() });
    let items = lines.iter().map(event).collect();
    Batch { kind: Kind::Events, source: "s".to_owned(), items, through: number * 10 + 9, lines }
}

#[tokio::test]
async fn a_stream_that_breaks_loses_nothing_and_counts_nothing_twice() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let server = Brittle::default();
    let serving = tonic::transport::Server::builder()
        .add_service(EventServiceServer::new(server.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let sending = async {
        let settings = ClientSettings { address: address.clone(), ..ClientSettings::default() };
        let mut wire = Wire::new(Client::new(&settings, &Credential::None).expect("a client"), address.clone());
        let mut answered = Vec::new();
        for number in 0..12 {
            answered.extend(wire.send(batch(number)).await.expect("sent"));
        }
        answered.extend(wire.finish().await.expect("acknowledged"));
        answered
    };
    let answered = tokio::select! {
        ended = serving => panic!("the server ended: {ended:?}"),
        answered = sending => answered,
    };
    let sum = |count: fn(&Answered) -> u64| answered.iter().map(count).sum::<u64>();
    assert_eq!(sum(|found| found.sent), 120);
    assert_eq!(sum(|found| found.stored + found.duplicate), 108);
    let refused: Vec<u64> = answered.iter().flat_map(|found| &found.refused).map(|refused| refused.line).collect();
    assert_eq!(refused, (0..12).map(|number| number * 10 + 7).collect::<Vec<_>>());
    assert!(
        answered.is_sorted_by_key(|found| found.through) && answered.last().is_some_and(|last| last.through == 119)
    );
    assert_eq!(server.stored.lock().expect("no test panicked here").len(), 108);
    assert!(*server.streams.lock().expect("no test panicked here") > 1, "the stream never broke");
}
