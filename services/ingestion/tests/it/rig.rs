//! A running ingestion and what is needed to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keizoku_base::clock::MockClock;
use keizoku_base::{Clock, Micros, WorkspaceId};
use keizoku_control::secret;
use keizoku_ingestion::app::App;
use keizoku_ingestion::config::{BootstrapKind, IngestionSettings};
use keizoku_proto::FILE_DESCRIPTOR_SET;
use keizoku_proto::ingestion::ItemResult;
use keizoku_proto::ingestion::account_service_client::AccountServiceClient;
use keizoku_proto::ingestion::control_service_client::ControlServiceClient;
use keizoku_proto::types::{AccountRef, ExternalId, account_ref};
use keizoku_runtime::config::{Secret, TimeSpan};
use keizoku_runtime::node::{NodeFault, Stop};
use keizoku_runtime::{Authenticator, Client, ClientSettings, Credential, Exit, Node, NodeSettings, Tasks, Telemetry};
use keizoku_testkit::TestDb;
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How long a test waits for what comes by itself.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// What services show each other.
pub(crate) const INTERNAL: &str = "kzi_0123456789abcdef0123456789abcdef";

/// A node with ingestion alone. Its workspace is a TEST one in Asia/Tokyo unless a test says otherwise; the world's clock
/// stands at 2024-05-01, 09:00 in Tokyo.
pub(crate) struct Rig {
    pub(crate) clock: Arc<MockClock>,
    pub(crate) app: Arc<App>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) address: SocketAddr,
    pub(crate) secret: String,
    pub(crate) stop: Stop,
    pub(crate) running: JoinHandle<Result<Exit, NodeFault>>,
    // Last, so that what uses it is gone first.
    pub(crate) database: TestDb,
}

impl Rig {
    /// A node on a database of its own.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// As [`Rig::start`], with settings changed.
    pub(crate) async fn with(change: impl FnOnce(&mut IngestionSettings)) -> Self {
        let now = Micros(1_714_521_600 * Micros::SECOND);
        let secret = secret::generate(WorkspaceId::generate(now));
        let mut settings = IngestionSettings {
            bootstrap_key: Secret::new(secret.clone()),
            bootstrap_zone: "Asia/Tokyo".to_owned(),
            bootstrap_name: "rig".to_owned(),
            bootstrap_kind: BootstrapKind::Test,
            ..IngestionSettings::default()
        };
        change(&mut settings);
        Self::on(TestDb::new().await, &settings, &secret, Arc::new(MockClock::new(now))).await
    }

    /// A node on a database that may have been used before.
    pub(crate) async fn on(
        database: TestDb,
        settings: &IngestionSettings,
        secret: &str,
        clock: Arc<MockClock>,
    ) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut node = NodeSettings { listen: free, admin: free, ..NodeSettings::default() };
        node.internal_token = Secret::new(INTERNAL);
        node.stop.notice = TimeSpan::milliseconds(1);
        node.stop.limit = TimeSpan::seconds(10);
        let telemetry = Telemetry::quiet().expect("telemetry");
        let mut node = Node::bind(node, FILE_DESCRIPTOR_SET, &telemetry).await.expect("a node");
        keizoku_ingestion::prepare(database.config()).await.expect("tables");
        let world: Arc<dyn Clock> = Arc::<MockClock>::clone(&clock);
        let app = keizoku_ingestion::start(&mut node, database.config(), world, settings).await.expect("ingestion");
        let (address, stop) = (node.address().expect("an address"), node.stop());
        let control: Arc<dyn Authenticator> = Arc::<keizoku_control::ControlPlane>::clone(&app.control);
        let running = Tasks::new().once(node.run(control));
        let workspace = secret::workspace_of(secret).expect("a workspace");
        Self { clock, app, workspace, address, secret: secret.to_owned(), stop, running, database }
    }

    /// Stops the node and hands its database on, for another node.
    pub(crate) async fn stopped(self) -> TestDb {
        self.stop.ask();
        let exit = self.running.await.expect("no panic").expect("it ran");
        assert_eq!(exit, Exit::Clean);
        self.database
    }

    /// A channel with the workspace's first key.
    pub(crate) fn channel(&self) -> Client {
        self.channel_of(&self.secret)
    }

    /// A channel with another key.
    pub(crate) fn channel_of(&self, secret: &str) -> Client {
        self.channel_with(Credential::Bearer(Secret::new(secret)))
    }

    /// A channel with any credential.
    pub(crate) fn channel_with(&self, credential: Credential) -> Client {
        let settings = ClientSettings { address: format!("http://{}", self.address), ..ClientSettings::default() };
        Client::new(&settings, &credential).expect("a client")
    }

    pub(crate) fn control(&self) -> ControlServiceClient<Client> {
        ControlServiceClient::new(self.channel())
    }

    pub(crate) fn accounts(&self) -> AccountServiceClient<Client> {
        AccountServiceClient::new(self.channel())
    }
}

/// An external id.
pub(crate) fn external(source: &str, id: &str) -> ExternalId {
    ExternalId { source: source.to_owned(), id: id.to_owned() }
}

/// An account named by an external id.
pub(crate) fn account(source: &str, id: &str) -> AccountRef {
    AccountRef { r#ref: Some(account_ref::Ref::External(external(source, id))) }
}

/// The reason of a status of ours.
pub(crate) fn reason(status: &Status) -> String {
    keizoku_runtime::status::reason(status).unwrap_or_default()
}

/// Field and reason of each violation that a status names.
pub(crate) fn violations(status: &Status) -> Vec<(String, String)> {
    let found = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    let reason = |text: &str| text.split_once(": ").map_or(text, |(reason, _)| reason).to_owned();
    found.into_iter().map(|one| (one.field, reason(&one.description))).collect()
}

/// Field and reason of each violation of an item, and the code of its status.
pub(crate) fn refusal(result: &ItemResult) -> (Code, Vec<(String, String)>) {
    let status = result.status.clone().expect("a refused item has a status");
    let code = Code::from(status.code);
    (code, violations(&Status::with_details(code, status.message.clone(), status.encode_to_vec().into())))
}
