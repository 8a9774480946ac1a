//! Somebody who uses the product through its RPCs.

use keizoku_proto::google::Date;
use keizoku_proto::ingestion::account_service_client::AccountServiceClient;
use keizoku_proto::ingestion::control_service_client::ControlServiceClient;
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::{
    AccountItem, CreateWorkspaceRequest, Event, GetCoverageRequest, GetCoverageResponse, IngestEventsRequest,
    IngestEventsResponse, MetricDefinition, PutAccountsRequest, PutMetricRequest, SetClockRequest, workspace,
};
use keizoku_proto::scoring::get_score_request::Consistency;
use keizoku_proto::scoring::model_service_client::ModelServiceClient;
use keizoku_proto::scoring::score_service_client::ScoreServiceClient;
use keizoku_proto::scoring::{
    ApplyModelRequest, Composition, GetCompositionRequest, GetScoreRequest, HealthModel, Score, ScoreView,
};
use keizoku_runtime::Client;
use prost_types::Timestamp;
use tonic::Status;

use crate::make;

/// A user with a channel that shows a key.
#[derive(Clone)]
pub struct User {
    /// What customers do.
    pub events: EventServiceClient<Client>,
    /// Who they are.
    pub accounts: AccountServiceClient<Client>,
    /// The control plane.
    pub control: ControlServiceClient<Client>,
    /// What health means.
    pub models: ModelServiceClient<Client>,
    /// How customers are.
    pub scores: ScoreServiceClient<Client>,
}

impl User {
    /// A user of that channel.
    pub fn new(client: &Client) -> Self {
        const MOST: usize = 16 << 20;
        Self {
            events: EventServiceClient::new(client.clone()).max_decoding_message_size(MOST),
            accounts: AccountServiceClient::new(client.clone()).max_decoding_message_size(MOST),
            control: ControlServiceClient::new(client.clone()),
            models: ModelServiceClient::new(client.clone()),
            scores: ScoreServiceClient::new(client.clone()).max_decoding_message_size(MOST),
        }
    }

    /// Makes a workspace; answers its first key.
    ///
    /// # Errors
    /// As the server.
    pub async fn create_workspace(&mut self, name: &str, kind: workspace::Kind) -> Result<String, Status> {
        let request = CreateWorkspaceRequest {
            display_name: name.to_owned(),
            kind: kind.into(),
            time_zone: "Asia/Tokyo".to_owned(),
            ..CreateWorkspaceRequest::default()
        };
        Ok(self.control.create_workspace(request).await?.into_inner().secret)
    }

    /// Sets the clock of a TEST workspace to noon of a day in UTC.
    ///
    /// # Errors
    /// As the server.
    pub async fn set_day(&mut self, day: &str) -> Result<(), Status> {
        let noon = keizoku_base::Day::parse(day).expect("a day").0;
        let now = Timestamp { seconds: i64::from(noon) * 86_400 + 6 * 3600, nanos: 0 };
        self.control.set_clock(SetClockRequest { now: Some(now) }).await?;
        Ok(())
    }

    /// Adds accounts.
    ///
    /// # Errors
    /// As the server.
    pub async fn put_accounts(&mut self, items: Vec<AccountItem>) -> Result<Vec<u8>, Status> {
        let request = PutAccountsRequest { items, ..PutAccountsRequest::default() };
        let answer = self.accounts.put_accounts(request).await?.into_inner();
        for result in &answer.results {
            assert_eq!(result.status, None, "an account was rejected");
        }
        Ok(answer.position.to_vec())
    }

    /// Sends a batch of events.
    ///
    /// # Errors
    /// As the server.
    pub async fn send(&mut self, source: &str, events: Vec<Event>) -> Result<IngestEventsResponse, Status> {
        let request = IngestEventsRequest { source: source.to_owned(), events, validate_only: false };
        Ok(self.events.ingest_events(request).await?.into_inner())
    }

    /// Defines a metric.
    ///
    /// # Errors
    /// As the server.
    pub async fn put_metric(&mut self, metric: MetricDefinition) -> Result<Vec<u8>, Status> {
        let request = PutMetricRequest { metric: Some(metric), ..PutMetricRequest::default() };
        Ok(self.events.put_metric(request).await?.into_inner().position.to_vec())
    }

    /// Applies a model; answers its version.
    ///
    /// # Errors
    /// As the server.
    pub async fn apply(&mut self, model: HealthModel) -> Result<i32, Status> {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        // Scoring may not have heard of the workspace or of its metrics yet, which it says.
        let applied = loop {
            let request = ApplyModelRequest { model: Some(model.clone()), ..ApplyModelRequest::default() };
            match self.models.apply_model(request).await {
                Ok(applied) => break applied.into_inner(),
                Err(status) if is_early(&status) && std::time::Instant::now() < until => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                Err(status) => return Err(status),
            }
        };
        Ok(applied.model.expect("a model").version)
    }

    /// What has arrived.
    ///
    /// # Errors
    /// As the server.
    pub async fn coverage(&mut self) -> Result<GetCoverageResponse, Status> {
        Ok(self.accounts.get_coverage(GetCoverageRequest::default()).await?.into_inner())
    }

    /// An explained score at the close of a day, by a version of the primary model (0: the one in force).
    ///
    /// # Errors
    /// As the server.
    pub async fn score_on(&mut self, account: &str, day: &str, model_version: i32) -> Result<Score, Status> {
        self.score(account, Some(make::date(day)), model_version, None).await
    }

    /// The explained score of now that contains what was written at a position.
    ///
    /// # Errors
    /// As the server.
    pub async fn score_at_least(&mut self, account: &str, position: Vec<u8>) -> Result<Score, Status> {
        self.score(account, None, 0, Some(Consistency::AtLeast(position.into()))).await
    }

    /// The composition, at the close of a day or now.
    ///
    /// # Errors
    /// As the server.
    pub async fn composition(&mut self, day: Option<&str>) -> Result<Composition, Status> {
        let request = GetCompositionRequest { as_of: day.map(make::date), ..GetCompositionRequest::default() };
        Ok(self.scores.get_composition(request).await?.into_inner().composition.expect("a composition"))
    }

    async fn score(
        &mut self,
        account: &str,
        as_of: Option<Date>,
        model_version: i32,
        consistency: Option<Consistency>,
    ) -> Result<Score, Status> {
        let request = GetScoreRequest {
            account: Some(make::account(account)),
            model_version,
            view: ScoreView::Explained.into(),
            as_of,
            consistency,
            ..GetScoreRequest::default()
        };
        let answer = self.scores.get_score(request).await?.into_inner();
        Ok(answer.score.expect("a score"))
    }
}

/// Whether a refusal only says that something written a moment ago has not arrived yet.
fn is_early(status: &Status) -> bool {
    let text = status.message();
    status.code() == tonic::Code::Unavailable
        || (status.code() == tonic::Code::InvalidArgument && text.contains("metric"))
}
