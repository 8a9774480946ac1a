//! A running scoring and an ingestion that says what a test tells it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use keizoku_base::clock::MockClock;
use keizoku_base::id::KeyId;
use keizoku_base::money::Currency;
use keizoku_base::{AccountId, Clock, Day, Micros, Partition, WorkspaceId, Zone};
use keizoku_control::{KeyRow, Kind, UnknownAccount, Workspace, key_message, secret, workspace_message};
use keizoku_convert::Position;
use keizoku_proto::FILE_DESCRIPTOR_SET;
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::{self as told, Change, ChangeKind};
use keizoku_proto::scoring::model_service_client::ModelServiceClient;
use keizoku_proto::scoring::score_service_client::ScoreServiceClient;
use keizoku_proto::scoring::{self as proto, HealthModel};
use keizoku_proto::types::{self, AccountRef, ExternalId, account_ref, value};
use keizoku_runtime::config::{Secret, TimeSpan};
use keizoku_runtime::node::NodeFault;
use keizoku_runtime::{Authenticator, Client, ClientSettings, Credential, Exit, Node, NodeSettings, Tasks, Telemetry};
use keizoku_scoring::CacheChoice;
use keizoku_scoring::app::App;
use keizoku_scoring::config::ScoringSettings;
use keizoku_storage::feed::{
    Batch, FeedEpoch, FeedFault, FeedRow, Follow, Followed, Head, Partitions, Segment, SnapshotPage, Source,
};
use keizoku_testkit::TestDb;
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic_types::StatusExt as _;

/// How long a test waits for what comes by itself.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// 2024-05-01, 09:00 in Tokyo.
pub(crate) const START: Micros = Micros(1_714_521_600 * Micros::SECOND);

type Log = BTreeMap<(WorkspaceId, Partition), Vec<FeedRow>>;

/// Ingestion's feed, in memory.
pub(crate) struct Ingestion {
    log: Mutex<Log>,
    grown: watch::Sender<()>,
}

impl Ingestion {
    fn push(&self, workspace: WorkspaceId, partition: Partition, kind: ChangeKind, key: &[u8], state: State) -> i64 {
        let mut log = self.log.lock().expect("whole");
        let rows = log.entry((workspace, partition)).or_default();
        let seq = i64::try_from(rows.len()).expect("few") + 1;
        let change =
            Change { seq, kind: kind.into(), key: key.to_vec().into(), state: Some(state), ..Change::default() };
        let bytes = Bytes::from(change.encode_to_vec());
        let kind = i16::try_from(i32::from(kind)).expect("small");
        rows.push(FeedRow { seq, kind, key: change.key, commit_at: START, bytes });
        drop(log);
        self.grown.send_replace(());
        seq
    }

    /// What lies beyond the positions, of one workspace.
    fn next(&self, reached: &mut BTreeMap<(WorkspaceId, Partition), i64>, partitions: Partitions) -> Option<Batch> {
        let log = self.log.lock().expect("whole");
        let mut found: Option<Batch> = None;
        for ((workspace, partition), rows) in log.iter().filter(|((_, partition), _)| partitions.contains(*partition)) {
            let after = reached.get(&(*workspace, *partition)).copied().unwrap_or(0);
            let fresh = &rows[usize::try_from(after).expect("small")..];
            if fresh.is_empty() || found.as_ref().is_some_and(|batch| batch.workspace != *workspace) {
                continue;
            }
            let through = after + i64::try_from(fresh.len()).expect("few");
            reached.insert((*workspace, *partition), through);
            let segment = Segment { partition: *partition, after, through, generation: 0, rows: fresh.to_vec() };
            let empty = || Batch { workspace: *workspace, snapshot: false, segments: Vec::new() };
            found.get_or_insert_with(empty).segments.push(segment);
        }
        found
    }
}

/// The feed as scoring follows it.
struct Feed(Arc<Ingestion>);

#[async_trait]
impl Source for Feed {
    fn name(&self) -> &'static str {
        "ingestion"
    }

    async fn epoch(&self) -> Result<FeedEpoch, FeedFault> {
        Ok(FeedEpoch::from_bytes(&[3; 16]).expect("16 bytes"))
    }

    async fn heads(&self, partitions: Partitions) -> Result<Vec<Head>, FeedFault> {
        let log = self.0.log.lock().expect("whole");
        let wanted = log.iter().filter(|((_, partition), _)| partitions.contains(*partition));
        Ok(wanted
            .map(|((workspace, partition), rows)| Head {
                workspace: *workspace,
                partition: *partition,
                last_seq: i64::try_from(rows.len()).expect("few"),
                trimmed_seq: 0,
            })
            .collect())
    }

    fn follow(&self, wanted: Follow) -> BoxStream<'static, Result<Followed, FeedFault>> {
        let reached: BTreeMap<_, _> =
            wanted.cursors.iter().map(|cursor| ((cursor.workspace, cursor.partition), cursor.seq)).collect();
        let (ingestion, grown) = (Arc::clone(&self.0), self.0.grown.subscribe());
        stream::unfold(
            (ingestion, grown, reached, false),
            move |(ingestion, mut grown, mut reached, mut told)| async move {
                loop {
                    grown.borrow_and_update();
                    if let Some(batch) = ingestion.next(&mut reached, wanted.partitions) {
                        return Some((Ok(Followed::Batch(batch)), (ingestion, grown, reached, false)));
                    }
                    if !std::mem::replace(&mut told, true) {
                        return Some((Ok(Followed::CaughtUp), (ingestion, grown, reached, told)));
                    }
                    grown.changed().await.ok()?;
                }
            },
        )
        .boxed()
    }

    async fn snapshot(&self, _: WorkspaceId, _: Partitions, _: Option<Vec<u8>>) -> Result<SnapshotPage, FeedFault> {
        Ok(SnapshotPage::default())
    }
}

/// A node with scoring alone. Its workspace is a TEST one in Asia/Tokyo; the world's clock stands at [`START`].
pub(crate) struct World {
    pub(crate) clock: Arc<MockClock>,
    pub(crate) app: Arc<App>,
    pub(crate) workspace: WorkspaceId,
    address: SocketAddr,
    secret: String,
    _running: JoinHandle<Result<Exit, NodeFault>>,
    ingestion: Arc<Ingestion>,
    events: Mutex<i64>,
    // Last, so that what uses it is gone first.
    _database: TestDb,
}

impl World {
    /// A node that keeps its cache itself.
    pub(crate) async fn start() -> Self {
        Self::with_cache("").await
    }

    /// A node whose cache is in Redis; without an address it keeps it itself.
    pub(crate) async fn with_cache(redis_url: &str) -> Self {
        let database = TestDb::new().await;
        let clock = Arc::new(MockClock::new(START));
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut node = NodeSettings { listen: free, admin: free, ..NodeSettings::default() };
        node.stop.notice = TimeSpan::milliseconds(1);
        let telemetry = Telemetry::quiet().expect("telemetry");
        let mut node = Node::bind(node, FILE_DESCRIPTOR_SET, &telemetry).await.expect("a node");
        keizoku_scoring::prepare(database.config()).await.expect("tables");
        let ingestion = Arc::new(Ingestion { log: Mutex::default(), grown: watch::Sender::new(()) });
        let world: Arc<dyn Clock> = Arc::<MockClock>::clone(&clock);
        let cache = CacheChoice { redis_url: Secret::new(redis_url), entries: 10_000 };
        let source = Arc::new(Feed(Arc::clone(&ingestion)));
        let settings = ScoringSettings::default();
        let app = keizoku_scoring::start_from(&mut node, database.config(), world, source, &cache, &settings)
            .await
            .expect("scoring");
        let address = node.address().expect("an address");
        let control: Arc<dyn Authenticator> = Arc::<keizoku_control::ControlPlane>::clone(&app.control);
        let _running = Tasks::new().once(node.run(control));
        let workspace = WorkspaceId::generate(START);
        let secret = secret::generate(workspace);
        let events = Mutex::new(0);
        let world = Self { clock, app, workspace, address, secret, _running, ingestion, events, _database: database };
        world.open().await;
        world
    }

    /// Tells of the workspace and its key, and waits until the key opens it.
    async fn open(&self) {
        let workspace = Workspace {
            id: self.workspace,
            display_name: "world".to_owned(),
            kind: Kind::Test,
            zone: Zone::parse("Asia/Tokyo").expect("a zone"),
            unknown_account: UnknownAccount::CreateStub,
            reporting_currency: Currency::parse("USD").expect("a currency"),
            rates: Vec::new(),
            clock_set_to: None,
            synthetic: false,
            created_at: START,
            version: 1,
        };
        let partition = Partition::of(self.workspace.0);
        let state = State::Workspace(workspace_message(&workspace));
        self.ingestion.push(self.workspace, partition, ChangeKind::Workspace, b"workspace", state);
        let key = KeyRow {
            workspace_id: self.workspace.0,
            key_id: KeyId::generate(START).0,
            display_name: "key".to_owned(),
            scopes: "*".to_owned(),
            secret_hash: secret::hash(&self.secret).to_vec(),
            created_at: START.0,
            expires_at: None,
            revoked_at: None,
        };
        let state = State::ApiKey(key_message(&key, true));
        self.ingestion.push(self.workspace, partition, ChangeKind::Key, b"key", state);
        let reading = async || {
            let request = proto::ListScoresRequest { model: "none".to_owned(), ..Default::default() };
            let answer = self.scores().list_scores(request).await;
            answer.is_err_and(|status| status.code() == tonic::Code::NotFound)
        };
        keizoku_testkit::eventually(SOON, reading).await;
    }

    pub(crate) fn scores(&self) -> ScoreServiceClient<Client> {
        ScoreServiceClient::new(self.channel())
    }

    pub(crate) fn models(&self) -> ModelServiceClient<Client> {
        ModelServiceClient::new(self.channel())
    }

    fn channel(&self) -> Client {
        let settings = ClientSettings { address: format!("http://{}", self.address), ..ClientSettings::default() };
        Client::new(&settings, &Credential::Bearer(Secret::new(self.secret.as_str()))).expect("a client")
    }

    /// The day it is.
    pub(crate) fn today(&self) -> Day {
        Zone::parse("Asia/Tokyo").expect("a zone").day_of(self.clock.now())
    }

    /// Puts a model in force.
    pub(crate) async fn apply(&self, model: HealthModel) -> HealthModel {
        // Before the copy of the control plane is confirmed for the first time it vouches for readers only.
        keizoku_testkit::eventually(SOON, async || {
            let request = proto::ApplyModelRequest { model: Some(model.clone()), ..Default::default() };
            match self.models().apply_model(request).await {
                Ok(answer) => answer.into_inner().model,
                Err(status) if reason(&status) == "CREDENTIALS_STALE" => None,
                Err(status) => panic!("not applied: {status:?}"),
            }
        })
        .await
    }

    /// Tells of an account as it is now.
    pub(crate) fn tell(&self, account: AccountId, company: &Company) -> Position {
        let message = told::Account {
            id: account.to_string(),
            external_ids: vec![external(company.name)],
            display_name: company.name.to_owned(),
            attributes: company.attributes(),
            ..Default::default()
        };
        let key = account.0.as_bytes().as_slice();
        let (partition, kind) = (account.partition(), ChangeKind::Account);
        let seq = self.ingestion.push(self.workspace, partition, kind, key, State::Account(message));
        self.counted(partition, seq)
    }

    /// Tells of a change of an account's partition.
    pub(crate) fn say(&self, account: AccountId, kind: ChangeKind, key: &[u8], state: State) -> Position {
        let seq = self.ingestion.push(self.workspace, account.partition(), kind, key, state);
        self.counted(account.partition(), seq)
    }

    /// A new account.
    pub(crate) fn add(&self, company: &Company) -> (AccountId, Position) {
        let account = AccountId::generate(START);
        let position = self.tell(account, company);
        (account, position)
    }

    fn counted(&self, partition: Partition, seq: i64) -> Position {
        let mut events = self.events.lock().expect("whole");
        *events += 1;
        let mark = told::Watermark { partition: i32::from(partition.number()), events_seq: *events };
        let state = State::Watermark(mark);
        let last = self.ingestion.push(self.workspace, partition, ChangeKind::Watermark, &[partition.number()], state);
        Position { changes: vec![(partition, last.max(seq))], events: vec![(partition, *events)] }
    }

    /// The score of an account once it contains what was written at a position.
    pub(crate) async fn score_at(&self, account: AccountId, position: &Position) -> proto::Score {
        let consistency = proto::get_score_request::Consistency::AtLeast(position.encode().into());
        let view = proto::ScoreView::Explained.into();
        let request = proto::GetScoreRequest {
            account: Some(by_id(account)),
            view,
            consistency: Some(consistency),
            ..Default::default()
        };
        let answer = self.scores().get_score(request).await.expect("a score").into_inner();
        answer.score.expect("a score")
    }

    /// The present score of an account, once its value is this.
    pub(crate) async fn settled(&self, account: AccountId, value_millis: i32) -> proto::Score {
        keizoku_testkit::eventually(SOON, async || {
            let request = proto::GetScoreRequest { account: Some(by_id(account)), ..Default::default() };
            let score = self.scores().get_score(request).await.ok()?.into_inner().score?;
            (value_of(&score) == Some(value_millis)).then_some(score)
        })
        .await
    }
}

/// What ingestion tells of a company.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Company {
    pub(crate) name: &'static str,
    /// What the model makes its score of; `None`: not known.
    pub(crate) points: Option<i64>,
    pub(crate) stage: &'static str,
}

impl Company {
    pub(crate) fn new(name: &'static str, points: i64, stage: &'static str) -> Self {
        Self { name, points: Some(points), stage }
    }

    fn attributes(&self) -> Vec<types::Attribute> {
        let attribute = |key: &str, kind| types::Attribute {
            key: key.to_owned(),
            value: Some(types::Value { kind: Some(kind) }),
            known_at: None,
        };
        let mut found = vec![attribute("stage", value::Kind::Text(self.stage.to_owned()))];
        found.extend(self.points.map(|points| attribute("points", value::Kind::Integer(points))));
        found
    }
}

/// A model whose score is the account's points: good from 70, normal from 40, else bad; stages by the account's own.
pub(crate) fn model(key: &str) -> HealthModel {
    let band = |key: &str, polarity: proto::Polarity, when: &str| proto::Band {
        key: key.to_owned(),
        polarity: polarity.into(),
        when: when.to_owned(),
        ..Default::default()
    };
    let stage = |key: &str| proto::Stage {
        key: key.to_owned(),
        when: format!("account.stage == \"{key}\""),
        ..Default::default()
    };
    HealthModel {
        key: key.to_owned(),
        applies_to: "account.stage != \"internal\"".to_owned(),
        measures: vec![proto::Measure {
            key: "points".to_owned(),
            weight: 1.0,
            input: Some(proto::measure::Input::Expression("account.points".to_owned())),
            scale: [(0.0, 0.0), (100.0, 100.0)].map(|(value, points)| proto::ScalePoint { value, points }).to_vec(),
            ..Default::default()
        }],
        bands: vec![
            band("good", proto::Polarity::Good, "score.value >= 70"),
            band("normal", proto::Polarity::Neutral, "score.value >= 40"),
            band("bad", proto::Polarity::Bad, ""),
        ],
        levels: vec![proto::Level {
            key: "high".to_owned(),
            when: "account.points >= 90".to_owned(),
            ..Default::default()
        }],
        stages: ["trial", "onboarding", "adopted"].map(stage).to_vec(),
        ..Default::default()
    }
}

/// An account named by its id.
pub(crate) fn by_id(account: AccountId) -> AccountRef {
    AccountRef { r#ref: Some(account_ref::Ref::Id(account.to_string())) }
}

/// An account named by the id another system gives it.
pub(crate) fn by_name(name: &str) -> AccountRef {
    AccountRef { r#ref: Some(account_ref::Ref::External(external(name))) }
}

fn external(name: &str) -> ExternalId {
    ExternalId { source: "crm".to_owned(), id: name.to_owned() }
}

/// The points of a score.
pub(crate) fn value_of(score: &proto::Score) -> Option<i32> {
    scored(score).map(|scored| scored.value_millis)
}

/// What a score says where it is one.
pub(crate) fn scored(score: &proto::Score) -> Option<&proto::Scored> {
    match score.result.as_ref()? {
        proto::score::Result::Scored(scored) => Some(scored),
        proto::score::Result::Unscored(_) => None,
    }
}

/// Why there is no score.
pub(crate) fn unscored(score: &proto::Score) -> Option<proto::unscored::Reason> {
    match score.result.as_ref()? {
        proto::score::Result::Scored(_) => None,
        proto::score::Result::Unscored(unscored) => Some(unscored.reason()),
    }
}

/// The reason of a status of ours.
pub(crate) fn reason(status: &Status) -> String {
    keizoku_runtime::status::reason(status).unwrap_or_default()
}

/// The fields that a status finds wrong.
pub(crate) fn wrong(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request();
    bad.into_iter().flat_map(|bad| bad.field_violations).map(|one| one.field).collect()
}
