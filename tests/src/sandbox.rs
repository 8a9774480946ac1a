//! A running product: the real binary on a store and ports of its own, killed and started again at will.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keizoku_base::{Clock as _, SystemClock, WorkspaceId};
use keizoku_control::secret;
use keizoku_runtime::config::Secret;
use keizoku_runtime::{Client, ClientSettings, Credential};
use keizoku_testkit::{Store, TempDir, TestDb, eventually};

use crate::binary;

/// How long the binary may take to serve, debug builds and a busy machine included.
const START: Duration = Duration::from_secs(60);

/// How a sandbox begins.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone of its workspace.
    pub zone: &'static str,
    /// Whether its workspace is a TEST one.
    pub test: bool,
    /// Further variables of the process.
    pub variables: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { zone: "Asia/Tokyo", test: true, variables: Vec::new() }
    }
}

/// The product as one process, with one workspace and a key that may do everything in it.
pub struct Sandbox {
    database: TestDb,
    folder: TempDir,
    options: Options,
    key: String,
    listen: u16,
    admin: u16,
    process: Option<Child>,
}

impl Sandbox {
    /// Starts the product on the chosen store.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts it as the options say.
    pub async fn start_with(options: Options) -> Self {
        let workspace = WorkspaceId::generate(SystemClock.now());
        let mut sandbox = Self {
            database: TestDb::new().await,
            folder: TempDir::new(),
            options,
            key: secret::generate(workspace),
            listen: free_port(),
            admin: free_port(),
            process: None,
        };
        sandbox.restart().await;
        sandbox
    }

    /// Starts the process again after it ended, and waits until it serves.
    ///
    /// # Panics
    /// It does not serve in time; its log is shown.
    pub async fn restart(&mut self) {
        self.process = Some(self.spawn());
        let admin = format!("127.0.0.1:{}", self.admin);
        for _ in 0..START.as_secs() * 20 {
            if ready(&admin).await {
                return;
            }
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            assert!(ended.is_none(), "the process ended: {ended:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the process does not serve\n{}", self.log());
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a process of ours");
            process.wait().expect("a process of ours");
        }
    }

    /// Asks the process to stop (SIGTERM) and waits for its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let mut process = self.process.take()?;
        let status = Command::new("kill").arg(process.id().to_string()).status().expect("kill is on every machine");
        assert!(status.success());
        eventually(Duration::from_secs(30), || {
            let ended = process.try_wait().expect("a process of ours");
            async move { ended }
        })
        .await
        .code()
    }

    /// A channel that shows the workspace's key.
    pub fn client(&self) -> Client {
        self.client_with(&self.key)
    }

    /// A channel that shows another key.
    pub fn client_with(&self, key: &str) -> Client {
        let settings = ClientSettings { address: self.endpoint(), timeout: long(), ..ClientSettings::default() };
        Client::new(&settings, &Credential::Bearer(Secret::new(key))).expect("an address of ours")
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.listen)
    }

    /// The key of its workspace.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The id of its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running process").id()
    }

    /// Runs the command line of the product against it: standard output, standard error, exit code.
    ///
    /// # Panics
    /// The binary cannot be run.
    pub fn run(&self, arguments: &[&str]) -> (String, String, i32) {
        let home = self.folder.path();
        let output = Command::new(binary())
            .args(arguments)
            .env("KEIZOKU_ENDPOINT", self.endpoint())
            .env("KEIZOKU_API_KEY", &self.key)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_STATE_HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("NO_COLOR", "1")
            .env("LANG", "en_US.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
    }

    /// What the process logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn spawn(&self) -> Child {
        let config = self.database.config();
        let log = File::options().create(true).append(true).open(self.folder.join("log")).expect("a folder of ours");
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .env("KEIZOKU__NODE__LISTEN", format!("127.0.0.1:{}", self.listen))
            .env("KEIZOKU__NODE__ADMIN", format!("127.0.0.1:{}", self.admin))
            .env("KEIZOKU__NODE__STOP__NOTICE", "0s")
            .env("KEIZOKU__DATABASE__URL", &config.url)
            .env("KEIZOKU__DATABASE__CONNECTIONS", "8")
            .env("KEIZOKU__INGESTION__BOOTSTRAP_KEY", &self.key)
            .env("KEIZOKU__INGESTION__BOOTSTRAP_ZONE", self.options.zone)
            .env("KEIZOKU__INGESTION__BOOTSTRAP_KIND", if self.options.test { "test" } else { "live" })
            .envs(self.options.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file of ours"))
            .stderr(log);
        if let Some(owner) = &config.owner_url {
            command.env("KEIZOKU__DATABASE__OWNER_URL", owner);
        }
        if self.database.store() == Store::Postgres {
            command.env("KEIZOKU__CACHE__REDIS_URL", keizoku_testkit::redis_url());
        }
        command.spawn().expect("the binary runs")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            // Best effort: the panic that is under way matters more.
            let _shown = std::io::stderr().write_all(self.log().as_bytes());
        }
    }
}

/// A port that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket").port()
}

fn long() -> keizoku_runtime::config::TimeSpan {
    keizoku_runtime::config::TimeSpan::seconds(60)
}

async fn ready(admin: &str) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Ok(mut stream) = tokio::net::TcpStream::connect(admin).await else { return false };
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200")
}
