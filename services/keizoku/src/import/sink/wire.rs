//! The public API as a sink: the same calls that every other client makes.

use keizoku_proto::ingestion::MetricDefinition;
use keizoku_proto::ingestion::account_service_client::AccountServiceClient;
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::{
    PutAccountsRequest, PutCancellationsRequest, PutContactsRequest, PutContractsRequest, PutConversationsRequest,
    PutMetricRequest, PutUsersRequest, RecordMeasurementsRequest,
};
use keizoku_runtime::Client;
use keizoku_runtime::client::repeatable;
use tonic::Status;

use crate::failure::Failure;
use crate::import::target::{Item, Kind};

use super::retry::Attempts;
use super::stream::EventStream;
use super::{Answered, Batch, Sink, verdict};

/// A server.
pub(crate) struct Wire {
    client: Client,
    endpoint: String,
    events: EventStream,
}

impl Wire {
    /// A server at `endpoint`, reached through `client`.
    pub(crate) fn new(client: Client, endpoint: String) -> Self {
        Self { events: EventStream::new(client.clone()), client, endpoint }
    }

    /// Defines a metric; whether that changed anything.
    ///
    /// # Errors
    /// The server's refusal.
    pub(crate) async fn put_metric(&self, metric: MetricDefinition) -> Result<bool, Failure> {
        let mut client = EventServiceClient::new(self.client.clone());
        let mut attempts = Attempts::default();
        loop {
            let request = PutMetricRequest { metric: Some(metric.clone()), ..PutMetricRequest::default() };
            match client.put_metric(repeatable(request)).await {
                Ok(answer) => return Ok(answer.into_inner().changed),
                Err(status) => attempts.pause(status).await.map_err(|status| self.refused(status))?,
            }
        }
    }

    /// A status of the server as a failure.
    pub(crate) fn refused(&self, status: Status) -> Failure {
        Failure::Call { status: Box::new(status), endpoint: self.endpoint.clone() }
    }

    async fn put(&self, batch: &Batch) -> Result<Answered, Status> {
        let mut accounts = AccountServiceClient::new(self.client.clone());
        macro_rules! put {
            ($call:ident, $request:ident, $item:ident) => {{
                let items = batch
                    .items
                    .iter()
                    .filter_map(|item| if let Item::$item(item) = item { Some(item.clone()) } else { None });
                let request = $request { items: items.collect(), ..$request::default() };
                let answer = accounts.$call(repeatable(request)).await?.into_inner();
                Ok(verdict::of_items(batch, &answer.results))
            }};
        }
        match batch.kind {
            Kind::Accounts => put!(put_accounts, PutAccountsRequest, Account),
            Kind::Contacts => put!(put_contacts, PutContactsRequest, Contact),
            Kind::Users => put!(put_users, PutUsersRequest, User),
            Kind::Contracts => put!(put_contracts, PutContractsRequest, Contract),
            Kind::Cancellations => put!(put_cancellations, PutCancellationsRequest, Cancellation),
            Kind::Conversations => put!(put_conversations, PutConversationsRequest, Conversation),
            Kind::Measurements | Kind::Events => self.measure(batch).await,
        }
    }

    async fn measure(&self, batch: &Batch) -> Result<Answered, Status> {
        let measurements = batch
            .items
            .iter()
            .filter_map(|item| if let Item::Measurement(item) = item { Some(item.clone()) } else { None });
        let request = RecordMeasurementsRequest {
            source: batch.source.clone(),
            measurements: measurements.collect(),
            validate_only: false,
        };
        let mut client = EventServiceClient::new(self.client.clone());
        let answer = client.record_measurements(repeatable(request)).await?.into_inner();
        let counts = [answer.stored_count, answer.duplicate_count, answer.rejected_count];
        Ok(verdict::of_counts(std::slice::from_ref(batch), counts, &answer.rejections))
    }
}

impl Sink for Wire {
    async fn send(&mut self, batch: Batch) -> Result<Vec<Answered>, Failure> {
        if batch.kind == Kind::Events {
            return self.events.send(batch).await.map_err(|status| self.refused(status));
        }
        // One call after the other: a later row of the same id must win.
        let mut attempts = Attempts::default();
        loop {
            match self.put(&batch).await {
                Ok(answered) => return Ok(vec![answered]),
                Err(status) => attempts.pause(status).await.map_err(|status| self.refused(status))?,
            }
        }
    }

    async fn finish(&mut self) -> Result<Vec<Answered>, Failure> {
        self.events.finish().await.map_err(|status| self.refused(status))
    }
}
