//! A running node and what is needed to talk to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::WorkspaceId;
use keizoku_base::id::KeyId;
use keizoku_runtime::config::{Secret, TimeSpan};
use keizoku_runtime::node::{NodeFault, Stop};
use keizoku_runtime::{
    AuthFault, Authenticator, Caller, Client, ClientSettings, Credential, Exit, Node, NodeSettings, Tasks, Telemetry,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::echo::Echo;

pub(crate) const INTERNAL: &str = "kzi_0123456789abcdef0123456789abcdef";

pub(crate) fn some_workspace() -> WorkspaceId {
    WorkspaceId::seeded(keizoku_base::Micros(1_700_000_000_000_000), [7; 10])
}

/// Knows three keys: of a reader, of somebody without scopes, and one that it cannot look up.
struct Doorkeeper;

#[async_trait]
impl Authenticator for Doorkeeper {
    async fn authenticate(&self, bearer: &str) -> Result<Arc<Caller>, AuthFault> {
        let scopes = match bearer {
            "kz_reader" | "kz_other" => vec!["echo:read".to_owned()],
            "kz_pretender" => vec!["echo:read".to_owned(), "internal".to_owned()],
            "kz_nobody" => Vec::new(),
            "kz_broken" => {
                return Err(AuthFault::Unavailable { source: Arc::new(std::io::Error::other("table keys is locked")) });
            }
            _ => return Err(AuthFault::Invalid),
        };
        let mut key = [0; 10];
        key[..3].copy_from_slice(&bearer.as_bytes()[3..6]);
        Ok(Arc::new(Caller {
            workspace: Some(some_workspace()),
            actor: bearer.to_owned(),
            scopes,
            internal: false,
            key: Some(KeyId::seeded(keizoku_base::Micros(0), key)),
        }))
    }
}

/// The descriptors of the test's protos, options kept.
pub(crate) fn descriptors() -> &'static [u8] {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut compiler = protox::Compiler::new([folder]).expect("a compiler");
    compiler.include_imports(true).open_file("echo.proto").expect("valid protos");
    Vec::leak(compiler.encode_file_descriptor_set())
}

pub(crate) fn settings() -> NodeSettings {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = NodeSettings { listen: free, admin: free, ..NodeSettings::default() };
    settings.internal_token = Secret::new(INTERNAL);
    settings.stop.notice = TimeSpan::milliseconds(1);
    settings.stop.limit = TimeSpan::seconds(10);
    settings
}

pub(crate) struct Sandbox {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) echo: Echo,
    pub(crate) stop: Stop,
    pub(crate) tasks: Tasks,
    pub(crate) telemetry: Telemetry,
    running: JoinHandle<Result<Exit, NodeFault>>,
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut NodeSettings)) -> Self {
        Self::serving(change, Telemetry::quiet().expect("telemetry"), |_| Echo::default()).await
    }

    /// A node whose Echo asks the node itself when it is told to relay.
    pub(crate) async fn relaying() -> Self {
        let next = |address| Echo {
            next: Some(client(address, Credential::Internal(Secret::new(INTERNAL)))),
            ..Echo::default()
        };
        Self::serving(|_| {}, Telemetry::quiet().expect("telemetry"), next).await
    }

    pub(crate) async fn serving(
        change: impl FnOnce(&mut NodeSettings),
        telemetry: Telemetry,
        echo: impl FnOnce(SocketAddr) -> Echo,
    ) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let mut node = Node::bind(settings, descriptors(), &telemetry).await.expect("a node");
        let echo = echo(node.own_address().expect("an address"));
        node.mount(echo.clone()).await;
        let (address, admin) = (node.address().expect("an address"), node.admin_address().expect("an address"));
        let (stop, tasks) = (node.stop(), node.tasks().clone());
        let running = Tasks::new().once(node.run(Arc::new(Doorkeeper)));
        let sandbox = Self { address, admin, echo, stop, tasks, telemetry, running };
        sandbox.until_ready().await;
        sandbox
    }

    pub(crate) fn reader(&self) -> Client {
        self.client(Credential::Bearer(Secret::new("kz_reader")))
    }

    pub(crate) fn client(&self, credential: Credential) -> Client {
        client(self.address, credential)
    }

    pub(crate) async fn ended(self) -> Exit {
        self.ended_with_telemetry().await.0
    }

    pub(crate) async fn ended_with_telemetry(self) -> (Exit, Telemetry) {
        (self.running.await.expect("it does not panic").expect("it runs"), self.telemetry)
    }

    /// Status and body of a page of the admin port.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(self.admin).await.expect("the admin port");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    async fn until_ready(&self) {
        eventually("ready", async || self.get("/readyz").await.0 == 200).await;
    }
}

pub(crate) fn client(address: SocketAddr, credential: Credential) -> Client {
    let settings = ClientSettings { address: format!("http://{address}"), ..ClientSettings::default() };
    Client::new(&settings, &credential).expect("a client")
}

/// Waits until `condition` holds, ten seconds at the most.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {what}");
}
