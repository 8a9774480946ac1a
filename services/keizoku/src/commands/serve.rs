//! `keizoku serve`, `keizoku migrate`, `keizoku config`: the server half, as platform engineers run it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use keizoku_runtime::config::{self, Sources};
use keizoku_runtime::{Exit, Telemetry};

use crate::failure::Failure;
use crate::process::{self, Process, Service, Settings};
use crate::shell::Shell;

/// Run services until asked to stop
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  keizoku serve --config keizoku.toml
  KEIZOKU__DATABASE__URL=postgres://… keizoku serve --services ingestion")]
pub(crate) struct Serve {
    #[command(flatten)]
    server: ServerArgs,
}

/// Bring the tables up to date and end
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keizoku migrate --config keizoku.toml")]
pub(crate) struct Migrate {
    #[command(flatten)]
    server: ServerArgs,
}

/// Show the settings in force, secrets hidden
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keizoku config --config keizoku.toml\n  keizoku config --document")]
pub(crate) struct Config {
    #[command(flatten)]
    server: ServerArgs,
    /// Show every setting with its default and meaning instead, as Markdown.
    #[arg(long)]
    document: bool,
}

/// What the commands of the server half share.
#[derive(Debug, Args)]
struct ServerArgs {
    /// TOML file of settings; variables `KEIZOKU__A__B` go before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which services: all by default.
    #[arg(long, value_delimiter = ',', value_name = "SERVICE")]
    services: Vec<Service>,
}

impl ServerArgs {
    fn services(&self) -> BTreeSet<Service> {
        if self.services.is_empty() { Service::ALL.into() } else { self.services.iter().copied().collect() }
    }

    fn load(&self) -> anyhow::Result<Settings> {
        load(&Sources::of_process(self.config.clone()), &self.services())
    }
}

impl Serve {
    /// Serves until it is asked to stop.
    pub(crate) async fn run(self, _shell: &mut Shell) -> Result<(), Failure> {
        let exit = serve(&self.server).await.map_err(Failure::Server)?;
        if exit == Exit::Clean { Ok(()) } else { Err(Failure::Cut(exit)) }
    }
}

impl Migrate {
    /// Brings the tables up to date.
    pub(crate) async fn run(self, _shell: &mut Shell) -> Result<(), Failure> {
        let migrated = async {
            process::migrate(&self.server.load()?, &self.server.services())
                .await
                .context("the tables were not brought up to date")
        };
        migrated.await.map_err(Failure::Server)
    }
}

impl Config {
    /// Prints the settings.
    pub(crate) fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        if self.document {
            return shell.print(&config::document::<Settings>());
        }
        let settings = self.server.load().map_err(Failure::Server)?;
        shell.print(&config::effective(&settings))
    }
}

/// Reads the settings, naming everything that is wrong with them.
pub(crate) fn load(sources: &Sources, services: &BTreeSet<Service>) -> anyhow::Result<Settings> {
    config::load(sources, |settings: &Settings, faults| settings.check(services, faults)).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
        anyhow::anyhow!("the settings cannot be used:\n{}", lines.join("\n"))
    })
}

async fn serve(server: &ServerArgs) -> anyhow::Result<Exit> {
    let settings = server.load()?;
    let telemetry = Telemetry::start(&settings.telemetry, &config::environment())?;
    let process = Process::start(settings, &server.services(), &telemetry).await?;
    let exit = process.run().await?;
    telemetry.stop().await;
    Ok(exit)
}
