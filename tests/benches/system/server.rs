//! The real binary as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use keizoku_base::{Clock as _, SystemClock, WorkspaceId};
use keizoku_control::secret;
use keizoku_runtime::auth::INTERNAL_PREFIX;
use keizoku_tests::{binary, free_port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::database::Database;
use super::proc;

/// How long a process may take to serve or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server keeps its data.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Store<'a> {
    /// A database on the PostgreSQL server.
    Postgres(&'a Database),
    /// Files in a folder.
    Sqlite(&'a Path),
}

/// How a server is to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    /// Where its data are.
    pub(crate) store: Store<'a>,
    /// Its services, comma-separated; empty: all.
    pub(crate) services: &'a str,
    /// Further settings, `KEIZOKU__…` and value.
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

/// Who may come in: the same for all servers on one store.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// Opens the workspace.
    pub(crate) bearer: String,
    /// Opens the feed.
    pub(crate) internal: String,
}

impl Keys {
    /// New ones, for a new workspace.
    pub(crate) fn generate() -> Self {
        let workspace = WorkspaceId::generate(SystemClock.now());
        let internal = format!("{INTERNAL_PREFIX}{}", secret::generate(workspace));
        Self { bearer: secret::generate(workspace), internal }
    }
}

/// A process of ours, ended when the value is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it, with its output in `log`.
    pub(crate) fn spawn(command: &mut Command, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(Self { child: command.spawn().context("the process cannot be started")?, log })
    }

    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until its admin port says that it serves.
    pub(crate) async fn serves(&mut self, admin: u16) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !ready(admin).await {
            let ended = self.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("the server does not serve ({ended:?}); its log:\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg(self.pid().to_string()).status()?;
        let begun = Instant::now();
        while asked.success() && begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("the server stopped with {status}");
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the server does not stop");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that has ended already cannot be killed any more, which is as well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `keizoku serve` on a store.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    listen: u16,
}

impl Server {
    /// Starts it and waits until it serves.
    pub(crate) async fn start(folder: &Path, keys: &Keys, options: Options<'_>) -> anyhow::Result<Self> {
        let (listen, admin) = (free_port(), free_port());
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .env("KEIZOKU__NODE__LISTEN", format!("127.0.0.1:{listen}"))
            .env("KEIZOKU__NODE__ADMIN", format!("127.0.0.1:{admin}"))
            .env("KEIZOKU__NODE__STOP__NOTICE", "0s")
            .env("KEIZOKU__NODE__INTERNAL_TOKEN", &keys.internal)
            .env("KEIZOKU__INGESTION__BOOTSTRAP_KEY", &keys.bearer)
            .envs(options.settings.iter().copied());
        if !options.services.is_empty() {
            command.args(["--services", options.services]);
        }
        match options.store {
            Store::Postgres(database) => command
                .env("KEIZOKU__DATABASE__URL", database.app_url())
                .env("KEIZOKU__DATABASE__OWNER_URL", database.owner_url()),
            Store::Sqlite(folder) => command.env("KEIZOKU__DATABASE__URL", format!("sqlite:{}", folder.display())),
        };
        let mut process = Process::spawn(&mut command, folder.join(format!("server-{listen}.log")))?;
        process.serves(admin).await?;
        Ok(Self { process, listen })
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.listen)
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The processor time it has used so far.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        proc::processor_time(self.process.pid())
    }

    /// Stops it as an operator would, so that what it holds is free at once.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

async fn ready(admin: u16) -> bool {
    let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", admin)).await else { return false };
    let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200")
}
