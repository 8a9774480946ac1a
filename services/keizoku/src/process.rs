//! The server half of the binary: its settings, and the services that one process runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use keizoku_base::{Clock, SystemClock};
use keizoku_ingestion::config::IngestionSettings;
use keizoku_proto::FILE_DESCRIPTOR_SET;
use keizoku_runtime::auth::INTERNAL_PREFIX;
use keizoku_runtime::config::{Faults, Secret, TimeSpan};
use keizoku_runtime::{
    Authenticator, Client, ClientSettings, Credential, Exit, Node, NodeSettings, Telemetry, TelemetrySettings,
};
use keizoku_scoring::config::ScoringSettings;
use keizoku_storage::DatabaseConfig;

keizoku_runtime::settings! {
    /// Everything that can be set, as a file and as variables.
    pub(crate) struct Settings {
        /// Ports, bounds, encryption, how the process stops.
        node: NodeSettings,
        /// Logs.
        telemetry: TelemetrySettings,
        /// Where data are kept.
        database: DatabaseSettings,
        /// The cache that replicas share.
        cache: CacheSettings,
        /// What customers do.
        ingestion: IngestionSettings,
        /// How customers are.
        scoring: ScoringSettings,
        /// How ingestion is reached; without an address it runs in this process.
        ingestion_client: ClientSettings,
    }
}

keizoku_runtime::settings! {
    /// Where data are kept.
    pub(crate) struct DatabaseSettings {
        /// `sqlite:FOLDER` or `postgres://user:password@host/database`.
        url: Secret = Secret::default(),
        /// PostgreSQL: the URL of the tables' owner, for migrations; without it the other one serves for both.
        owner_url: Secret = Secret::default(),
        /// PostgreSQL: the role taken on for serving, where the URL logs in as another one.
        app_role: Option<String> = None,
        /// Connections at the same time, for each service.
        connections: u32 = 16,
        /// How long a call may wait for a connection.
        acquire_timeout: TimeSpan = TimeSpan::seconds(5),
        /// How long a statement may run.
        statement_timeout: TimeSpan = TimeSpan::seconds(30),
    }
}

keizoku_runtime::settings! {
    /// The cache that replicas share.
    pub(crate) struct CacheSettings {
        /// `redis://host:6379`; without it each process keeps its own.
        redis_url: Secret = Secret::default(),
        /// Entries that a process keeps at the most.
        entries: u32 = 200_000,
    }
}

/// A service of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub(crate) enum Service {
    /// What customers do.
    Ingestion,
    /// How customers are.
    Scoring,
}

impl Service {
    /// Every service that exists so far.
    pub(crate) const ALL: [Self; 2] = [Self::Ingestion, Self::Scoring];
}

impl Settings {
    /// Checks what single values cannot tell.
    pub(crate) fn check(&self, services: &BTreeSet<Service>, faults: &mut Faults) {
        self.node.check("node", faults);
        if self.database.url.is_empty() {
            faults.add("database.url", "is needed: sqlite:FOLDER or postgres://…");
        }
        if !services.contains(&Service::Ingestion) && self.ingestion_client.address.is_empty() {
            faults.add("ingestion_client.address", "is needed where ingestion does not run in this process");
        }
    }

    /// The settings of the store.
    pub(crate) fn database(&self) -> DatabaseConfig {
        let settings = &self.database;
        let owner = settings.owner_url.reveal();
        DatabaseConfig {
            owner_url: (!owner.is_empty()).then(|| owner.to_owned()),
            app_role: settings.app_role.clone(),
            max_connections: settings.connections,
            acquire_timeout: settings.acquire_timeout.get(),
            statement_timeout: settings.statement_timeout.get(),
            ..DatabaseConfig::new(settings.url.reveal())
        }
    }
}

/// Brings the tables of the services up to date.
///
/// # Errors
/// As the database.
pub(crate) async fn migrate(settings: &Settings, services: &BTreeSet<Service>) -> anyhow::Result<()> {
    let database = settings.database();
    for service in services {
        match service {
            Service::Ingestion => keizoku_ingestion::prepare(&database).await?,
            Service::Scoring => keizoku_scoring::prepare(&database).await?,
        }
    }
    Ok(())
}

/// A process that has its ports and its services, and answers from [`Process::run`] on.
pub(crate) struct Process {
    node: Node,
    authenticator: Arc<dyn Authenticator>,
}

impl Process {
    /// Opens the ports, brings the tables up to date and starts the services.
    ///
    /// # Errors
    /// A port taken, a store that cannot be used, settings without meaning.
    pub(crate) async fn start(
        mut settings: Settings,
        services: &BTreeSet<Service>,
        telemetry: &Telemetry,
    ) -> anyhow::Result<Self> {
        if settings.node.internal_token.is_empty() && services.len() == Service::ALL.len() {
            settings.node.internal_token = Secret::new(internal_token());
        }
        let mut node = Node::bind(settings.node.clone(), FILE_DESCRIPTOR_SET, telemetry).await?;
        migrate(&settings, services).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let database = settings.database();
        let mut authenticator: Option<Arc<dyn Authenticator>> = None;
        if services.contains(&Service::Ingestion) {
            let app = keizoku_ingestion::start(&mut node, &database, Arc::clone(&clock), &settings.ingestion).await?;
            authenticator = Some(Arc::clone(&app.control) as Arc<dyn Authenticator>);
        }
        if services.contains(&Service::Scoring) {
            let ingestion = client(&node, &settings)?;
            let cache = keizoku_scoring::CacheChoice {
                redis_url: settings.cache.redis_url.clone(),
                entries: settings.cache.entries as usize,
            };
            let app = keizoku_scoring::start(&mut node, &database, clock, ingestion, &cache, &settings.scoring).await?;
            authenticator.get_or_insert_with(|| Arc::clone(&app.control) as Arc<dyn Authenticator>);
        }
        Ok(Self { node, authenticator: authenticator.context("no service was named")? })
    }

    /// The node, whose addresses a person wants to know.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Serves until it is asked to stop.
    ///
    /// # Errors
    /// What the node finds before its first call.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        Ok(self.node.run(self.authenticator).await?)
    }
}

fn client(node: &Node, settings: &Settings) -> anyhow::Result<Client> {
    let mut reach = settings.ingestion_client.clone();
    if reach.address.is_empty() {
        reach.address = format!("http://{}", node.own_address()?);
    }
    let token = &settings.node.internal_token;
    let credential = if token.is_empty() { Credential::None } else { Credential::Internal(token.clone()) };
    Ok(Client::new(&reach, &credential)?)
}

/// A token that lives as long as the process.
fn internal_token() -> String {
    let id = keizoku_base::WorkspaceId::generate(SystemClock.now());
    format!("{INTERNAL_PREFIX}{}", keizoku_control::secret::generate(id))
}
