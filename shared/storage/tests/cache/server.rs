//! A Redis of the test's own, to be killed and started again.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use keizoku_testkit::{TempDir, eventually};
use tokio::process::{Child, Command};

use crate::rig::SOON;

/// A Redis on a free port of loopback that keeps its snapshots in a folder.
pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    process: Option<Child>,
}

impl Server {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self { port, folder: TempDir::new(), options, process: None };
        server.restart().await;
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Ends it as a crash does: nothing is written any more.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("running");
        process.kill().await.expect("killed");
    }

    /// Starts it on the same port, with what its last snapshot holds.
    pub(crate) async fn restart(&mut self) {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(PathBuf::from(self.folder.path()))
            .args(&self.options)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|fault| {
                panic!("redis-server cannot be started ({fault}): install it (Debian: redis-server)")
            });
        self.process = Some(process);
        eventually(SOON, || async { self.ask("PING", &[]).await.map(drop) }).await;
    }

    /// Runs one command on a connection of its own.
    pub(crate) async fn ask(&self, command: &str, arguments: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(command).arg(arguments).query_async(&mut connection).await
    }
}
