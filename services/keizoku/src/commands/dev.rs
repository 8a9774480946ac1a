//! `keizoku dev`: everything in one process on files, with a workspace full of invented customers to look at.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use keizoku_base::{Clock as _, SystemClock, WorkspaceId};
use keizoku_control::secret;
use keizoku_ingestion::config::BootstrapKind;
use keizoku_runtime::config::{self, Secret, Sources, TimeSpan};
use keizoku_runtime::{Client, ClientSettings, Credential, Exit, Telemetry};

use crate::client::contexts::{self, Context};
use crate::commands::serve;
use crate::demo;
use crate::failure::Failure;
use crate::process::{Process, Service, Settings};
use crate::shell::Shell;

/// How many accounts are invented where nobody says.
const ACCOUNTS: u32 = 60;

/// Start everything in one process on files, with invented customers to look at
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  keizoku dev
  keizoku dev --accounts 1500
  keizoku dev --empty --data ./scratch
  keizoku dev --reset")]
pub(crate) struct Dev {
    /// Where data are kept [default: keizoku/dev under XDG_DATA_HOME].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many customers to invent.
    #[arg(long, default_value_t = ACCOUNTS, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    accounts: u32,
    /// Invent nothing.
    #[arg(long, conflicts_with = "accounts")]
    empty: bool,
    /// Forget everything first.
    #[arg(long)]
    reset: bool,
    /// Address of the gRPC port, on this machine only.
    #[arg(long, default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Address of the admin port, on this machine only.
    #[arg(long, default_value = "127.0.0.1:7071")]
    admin: SocketAddr,
}

impl Dev {
    /// Runs until Ctrl-C.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let folder = self.folder(shell)?;
        let (process, telemetry, key) = self.start(&folder).await.map_err(Failure::Server)?;
        let addresses = || -> anyhow::Result<_> {
            let (grpc, admin) = (process.node().address()?, process.node().admin_address()?);
            Ok((format!("http://{grpc}"), format!("http://{admin}")))
        };
        let (endpoint, admin) = addresses().map_err(Failure::Server)?;
        let context = Context { endpoint: endpoint.clone(), key: key.clone(), ca_file: None };
        let context = contexts::write(shell, "dev", context)?;
        shell.print(&banner(&endpoint, &admin, &folder, &key, &context, self.empty))?;

        let running = process.run();
        tokio::pin!(running);
        let exit = tokio::select! {
            exit = &mut running => exit,
            seeded = self.seed(&folder, &endpoint, &key, shell) => {
                seeded?;
                running.await
            }
        };
        telemetry.stop().await;
        match exit.map_err(Failure::Server)? {
            Exit::Clean => Ok(()),
            cut @ (Exit::Cut | Exit::Broken) => Err(Failure::Cut(cut)),
        }
    }

    fn folder(&self, shell: &Shell) -> Result<PathBuf, Failure> {
        let named = self.data.clone();
        let of_user = || shell.variable("XDG_DATA_HOME").map(PathBuf::from);
        let of_home = || shell.variable("HOME").map(|home| Path::new(home).join(".local/share"));
        named.or_else(|| Some(of_user().or_else(of_home)?.join("keizoku/dev"))).ok_or_else(|| Failure::Usage {
            problem: "no home folder is known".to_owned(),
            next: "say where data are kept with --data DIR".to_owned(),
        })
    }

    /// Everything that can go wrong goes wrong here, before anything is announced.
    async fn start(&self, folder: &Path) -> anyhow::Result<(Process, Telemetry, String)> {
        for address in [self.listen, self.admin] {
            if !address.ip().is_loopback() {
                bail!("{address} is not an address of this machine alone; use `keizoku serve` with TLS for others");
            }
        }
        prepare(folder, self.reset)?;
        let key = key(folder)?;
        let settings = self.settings(folder, &key)?;
        let telemetry = Telemetry::start(&settings.telemetry, &config::environment())?;
        let process = Process::start(settings, &Service::ALL.into(), &telemetry).await?;
        Ok((process, telemetry, key))
    }

    fn settings(&self, folder: &Path, key: &str) -> anyhow::Result<Settings> {
        let services: BTreeSet<Service> = Service::ALL.into();
        let mut sources = Sources::of_process(None);
        sources.overrides = vec![
            ("database.url".to_owned(), format!("sqlite:{}", folder.display())),
            ("node.listen".to_owned(), self.listen.to_string()),
            ("node.admin".to_owned(), self.admin.to_string()),
            ("telemetry.log".to_owned(), "warn".to_owned()),
        ];
        let mut settings = serve::load(&sources, &services)?;
        settings.ingestion.bootstrap_key = Secret::new(key);
        if self.empty { "dev" } else { "demo" }.clone_into(&mut settings.ingestion.bootstrap_name);
        settings.ingestion.bootstrap_kind = BootstrapKind::Test;
        settings.ingestion.bootstrap_synthetic = !self.empty;
        "Asia/Tokyo".clone_into(&mut settings.ingestion.bootstrap_zone);
        // Nobody's load balancer looks at a laptop.
        settings.node.stop.notice = TimeSpan::milliseconds(0);
        Ok(settings)
    }

    /// Invents customers, once for a folder.
    async fn seed(&self, folder: &Path, endpoint: &str, key: &str, shell: &mut Shell) -> Result<(), Failure> {
        let mark = folder.join("dev.seeded");
        if self.empty || mark.exists() {
            return Ok(());
        }
        shell.print(&format!("  Inventing {} customers (their data are synthetic) …\n", self.accounts))?;
        let reach = ClientSettings {
            address: endpoint.to_owned(),
            timeout: TimeSpan::seconds(60),
            ..ClientSettings::default()
        };
        let client = Client::new(&reach, &Credential::Bearer(Secret::new(key)))?;
        let report =
            demo::seed(&client, self.accounts, demo::SEED, SystemClock.now()).await.map_err(Failure::Server)?;
        fs::write(&mark, format!("{}\n", self.accounts)).map_err(|source| Failure::File { path: mark, source })?;
        shell.print(&format!("  {report}\n"))
    }
}

/// Makes the folder, sees that it can be written, and forgets what is in it where that was asked for.
fn prepare(folder: &Path, reset: bool) -> anyhow::Result<()> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("the data folder {shown} cannot be made"))?;
    let probe = folder.join(".probe");
    let written = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    written.with_context(|| format!("the data folder {shown} cannot be written"))?;
    if !reset {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("the data folder {shown} cannot be read"))? {
        let path = entry?.path();
        if is_ours(&path) {
            fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    Ok(())
}

/// Whether a file is one that `dev` made, so that a folder named by mistake keeps the rest. The locks stay: whoever
/// holds one is told so by the start that follows.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let databases = ["ingestion.db", "scoring.db"].iter().any(|database| name.starts_with(database));
    databases || matches!(name, "dev.key" | "dev.seeded")
}

/// The key of the folder's workspace: the same at every start.
fn key(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("dev.key");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let key = text.trim().to_owned();
            secret::workspace_of(&key).with_context(|| format!("{} holds no key", file.display()))?;
            Ok(key)
        }
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
            let key = secret::generate(WorkspaceId::generate(SystemClock.now()));
            contexts::write_private(&file, &key).with_context(|| format!("{} cannot be written", file.display()))?;
            Ok(key)
        }
        Err(fault) => Err(fault).with_context(|| format!("{} cannot be read", file.display())),
    }
}

fn banner(endpoint: &str, admin: &str, folder: &Path, key: &str, context: &Path, empty: bool) -> String {
    let (folder, context) = (folder.display(), context.display());
    let try_these = if empty {
        "keizoku whoami\n    keizoku import --help\n    keizoku coverage"
    } else {
        "keizoku scores list --worst\n    keizoku scores explain demo:acme\n    keizoku report composition"
    };
    format!(
        "
  Keizoku is running.

    gRPC      {endpoint}
    admin     {admin}/metrics, /readyz
    data      {folder}
    API key   {key}
    context   {context} (the CLI finds it by itself)

  Three commands to try in another terminal:

    {try_these}

  Ctrl-C stops it; the data stay.

"
    )
}
