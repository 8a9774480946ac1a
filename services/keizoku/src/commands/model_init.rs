//! `keizoku model init`.

use clap::{Args, Subcommand};

use crate::client::{Common, Session, moment};
use crate::draft;
use crate::failure::Failure;
use crate::shell::Shell;

/// How many accounts are looked at.
const SAMPLE: usize = 200;

/// Begin with a health model
#[derive(Debug, Args)]
pub(crate) struct Model {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Draft a commented health model from what arrived, for you to change and apply
    #[command(
        after_help = "Examples:\n  keizoku model init > health.yaml\n  keizoku model init --sample 1000 > health.yaml"
    )]
    Init {
        /// How many accounts are looked at
        #[arg(long, value_name = "N", default_value_t = SAMPLE)]
        sample: usize,
    },
}

impl Model {
    /// Asks what arrived, and prints the draft.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        let Action::Init { sample } = self.command;
        let who = session.who_am_i().await?;
        let today = moment::today(&who)?;
        let readings = draft::read(&mut session, today, sample).await?;
        if !readings.iter().any(|reading| reading.covered > 0) {
            return Err(Failure::NotFound {
                what: "metric with data to draft a model from".to_owned(),
                next: "`keizoku coverage` shows what arrived; define metrics from it with `keizoku apply -f FILE`"
                    .to_owned(),
            });
        }
        let name = who.workspace.map(|workspace| workspace.display_name).unwrap_or_default();
        session.shell.print(&draft::write(&name, today, &readings))?;
        if !session.shell.terminal {
            session.shell.note("read it, change it, then: keizoku apply -f FILE");
        }
        Ok(())
    }
}
