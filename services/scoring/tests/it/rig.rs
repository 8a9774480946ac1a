//! A running scoring and what is needed to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keizoku_base::clock::MockClock;
use keizoku_base::{AccountId, Clock, Day, Micros, Partition, WorkspaceId, Zone};
use keizoku_control::{Workspace, store as control};
use keizoku_proto::FILE_DESCRIPTOR_SET;
use keizoku_proto::scoring::feed_service_client::FeedServiceClient;
use keizoku_proto::scoring::model_service_client::ModelServiceClient;
use keizoku_proto::scoring::score_service_client::ScoreServiceClient;
use keizoku_proto::scoring::{
    AccountHealth, ApplyModelRequest, ApplyModelResponse, Change, HealthModel, Score, Scored, change, score,
};
use keizoku_runtime::config::{Secret, TimeSpan};
use keizoku_runtime::node::{NodeFault, Stop};
use keizoku_runtime::{
    Authenticator, Client, ClientSettings, Credential, Exit, Node, NodeSettings, Tasks, Telemetry, client,
};
use keizoku_scoring::CacheChoice;
use keizoku_scoring::app::App;
use keizoku_scoring::config::ScoringSettings;
use keizoku_storage::{Row, Scope, args};
use keizoku_testkit::{TestDb, eventually};
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic::{Request, Status};

use crate::source::Told;
use crate::told;

/// How long a test waits for what comes by itself.
pub(crate) const SOON: Duration = Duration::from_secs(30);
const INTERNAL: &str = "kzi_0123456789abcdef0123456789abcdef";

/// A node with scoring alone, following a feed told by hand. Its workspace is in Asia/Tokyo; the world's clock stands at
/// 2024-05-01, 09:00 there.
pub(crate) struct Rig {
    pub(crate) clock: Arc<MockClock>,
    pub(crate) app: Arc<App>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) feed: Told,
    address: SocketAddr,
    stop: Stop,
    running: JoinHandle<Result<Exit, NodeFault>>,
    // Last, so that what uses it is gone first.
    _database: TestDb,
}

impl Rig {
    /// A node that knows its workspace.
    pub(crate) async fn start() -> Self {
        let rig = Self::empty(500).await;
        rig.feed.tell([told::workspace(rig.workspace, None, 1)]);
        rig.settle().await;
        rig
    }

    /// A node that knows nothing yet and reads batches of at most so many changes.
    pub(crate) async fn empty(page: usize) -> Self {
        let now = Zone::parse("Asia/Tokyo").expect("a zone").at(told::day("2024-05-01"), 9 * 3600).expect("an instant");
        let clock = Arc::new(MockClock::new(now));
        let workspace = WorkspaceId::seeded(now, [3; 10]);
        let feed = Told::new(workspace, page);
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut node = NodeSettings { listen: free, admin: free, ..NodeSettings::default() };
        node.internal_token = Secret::new(INTERNAL);
        node.stop.notice = TimeSpan::milliseconds(1);
        node.stop.limit = TimeSpan::seconds(10);
        let telemetry = Telemetry::quiet().expect("telemetry");
        let mut node = Node::bind(node, FILE_DESCRIPTOR_SET, &telemetry).await.expect("a node");
        let database = TestDb::new().await;
        keizoku_scoring::prepare(database.config()).await.expect("tables");
        let world: Arc<dyn Clock> = Arc::<MockClock>::clone(&clock);
        let cache = CacheChoice { redis_url: Secret::default(), entries: 1000 };
        let settings = ScoringSettings::default();
        let source = Arc::new(feed.clone());
        let app = keizoku_scoring::start_from(&mut node, database.config(), world, source, &cache, &settings)
            .await
            .expect("scoring");
        let (address, stop) = (node.address().expect("an address"), node.stop());
        let control: Arc<dyn Authenticator> = Arc::<keizoku_control::ControlPlane>::clone(&app.control);
        let running = Tasks::new().once(node.run(control));
        Self { clock, app, workspace, feed, address, stop, running, _database: database }
    }

    /// Stops the node.
    pub(crate) async fn stop(self) {
        self.stop.ask();
        assert_eq!(self.running.await.expect("no panic").expect("it ran"), Exit::Clean);
    }

    /// Adds changes to the feed and waits until everything that follows from them is done.
    pub(crate) async fn tell(&self, changes: impl IntoIterator<Item = told::Placed>) {
        self.feed.tell(changes);
        self.settle().await;
    }

    /// Moves the world's clock to 09:00 of a day and waits until the days before are closed.
    pub(crate) async fn morning_of(&self, day: &str) {
        let zone = Zone::parse("Asia/Tokyo").expect("a zone");
        self.clock.set(zone.at(told::day(day), 9 * 3600).expect("an instant"));
        self.app.turned.notify_one();
        self.settle().await;
    }

    /// Waits until everything told is applied, nothing waits to be scored again, and all days that are over are closed.
    pub(crate) async fn settle(&self) {
        self.app.turned.notify_one();
        eventually(SOON, || self.unsettled()).await;
    }

    /// The same, once the scores are as they should be: where positions say nothing, as after a bootstrap.
    pub(crate) async fn settle_after(&self, check: impl Fn(&[Score]) -> bool) {
        eventually(SOON, || async {
            let scores = self.scores().await;
            if check(&scores) { Ok(()) } else { Err(format!("{} scores", scores.len())) }
        })
        .await;
        self.settle().await;
    }

    async fn unsettled(&self) -> Result<(), String> {
        for (partition, head) in self.feed.heads() {
            let reached = self.watermark(partition).await.1;
            if reached != head {
                return Err(format!("partition {} at {reached} of {head}", partition.number()));
            }
        }
        if !self.rows("SELECT partition FROM rescore").await.is_empty() {
            self.app.rescore.notify_one();
            return Err("accounts wait to be scored again".to_owned());
        }
        let tx = self.app.db.read("test", Scope::System).await.map_err(|fault| fault.to_string())?;
        let Some(row) = control::workspace(&tx, self.workspace).await.map_err(|fault| fault.to_string())? else {
            return Ok(());
        };
        drop(tx);
        let closed = self.rows("SELECT min(closed_through) FROM day_close").await;
        let closed: Option<i32> = closed.first().and_then(|row| row.get(0).expect("a day"));
        let over = Workspace::from_row(&row).today(self.clock.as_ref()).plus(-1);
        if closed != Some(over.0) { Err(format!("days are closed through {closed:?} of {over}")) } else { Ok(()) }
    }

    /// How far a partition is followed: in the log of events, in that of changes.
    pub(crate) async fn watermark(&self, partition: Partition) -> (i64, i64) {
        let tx = self.app.db.read("test", Scope::System).await.expect("a transaction");
        let sql = "SELECT events_seq, changes_seq FROM watermark WHERE partition = $1";
        let row = tx.fetch_optional(sql, args![partition]).await.expect("a query");
        row.map_or((0, 0), |row| (row.get(0).expect("a number"), row.get(1).expect("a number")))
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<Row> {
        let tx = self.app.db.read("test", Scope::System).await.expect("a transaction");
        tx.fetch_all(sql, Vec::new()).await.expect("a query")
    }

    /// All scores as they are kept, without when and as which version: what must not depend on the order of things.
    pub(crate) async fn scores(&self) -> Vec<Score> {
        let rows = self.rows("SELECT explained FROM score ORDER BY model, account_id").await;
        let read = |row: &Row| {
            let score = Score::decode(row.get::<Vec<u8>, _>(0).expect("bytes").as_slice()).expect("a score");
            Score { computed_at: None, score_version: 0, ..score }
        };
        rows.iter().map(read).collect()
    }

    /// The present score of an account by a model, as it is kept.
    pub(crate) async fn score_by(&self, account: AccountId, model: &str) -> Option<Score> {
        let tx = self.app.db.read("test", Scope::System).await.expect("a transaction");
        let sql = "SELECT explained FROM score WHERE account_id = $1 AND model = $2";
        let row = tx.fetch_optional(sql, args![account.0, model]).await.expect("a query");
        row.map(|row| Score::decode(row.get::<Vec<u8>, _>(0).expect("bytes").as_slice()).expect("a score"))
    }

    /// The present score of an account by the model `health`.
    pub(crate) async fn score(&self, account: AccountId) -> Score {
        self.score_by(account, "health").await.expect("a score")
    }

    /// The same where it has one.
    pub(crate) async fn scored(&self, account: AccountId) -> Scored {
        match self.score(account).await.result {
            Some(score::Result::Scored(scored)) => scored,
            other => panic!("no score: {other:?}"),
        }
    }

    /// What the feed said of accounts, in its order within each partition.
    pub(crate) async fn told_health(&self) -> Vec<(Change, AccountHealth)> {
        let rows = self.rows("SELECT state FROM feed_change ORDER BY partition, seq").await;
        let changes = rows.iter().map(|row| Change::decode(row.get::<Vec<u8>, _>(0).expect("bytes").as_slice()));
        let health = |change: Change| match change.state.clone() {
            Some(change::State::AccountHealth(health)) => Some((change, health)),
            _ => None,
        };
        changes.filter_map(|change| health(change.expect("a change"))).collect()
    }

    fn channel(&self) -> Client {
        let settings = ClientSettings { address: format!("http://{}", self.address), ..ClientSettings::default() };
        Client::new(&settings, &Credential::Internal(Secret::new(INTERNAL))).expect("a client")
    }

    /// A request as another service makes it for the workspace.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        client::on_behalf(Request::new(message), self.workspace, "test")
    }

    pub(crate) fn models(&self) -> ModelServiceClient<Client> {
        ModelServiceClient::new(self.channel())
    }

    pub(crate) fn feed_client(&self) -> FeedServiceClient<Client> {
        FeedServiceClient::new(self.channel())
    }

    pub(crate) fn reader(&self) -> ScoreServiceClient<Client> {
        ScoreServiceClient::new(self.channel())
    }

    /// Applies a model and waits until all accounts are scored by it.
    pub(crate) async fn apply(&self, model: HealthModel) -> ApplyModelResponse {
        let answer = self.try_apply(model).await.expect("a valid model");
        self.settle().await;
        answer
    }

    pub(crate) async fn try_apply(&self, model: HealthModel) -> Result<ApplyModelResponse, Status> {
        let message = ApplyModelRequest { model: Some(model), ..ApplyModelRequest::default() };
        Ok(self.models().apply_model(self.request(message)).await?.into_inner())
    }

    /// Today in the workspace.
    pub(crate) fn today(&self) -> Day {
        Zone::parse("Asia/Tokyo").expect("a zone").day_of(self.clock.now())
    }

    /// Moves the world's clock forward.
    pub(crate) fn pass(&self, micros: i64) {
        self.clock.set(Micros(self.clock.now().0 + micros));
    }
}
