//! `keizoku apply`.

use std::path::PathBuf;

use clap::Args;

use crate::client::{Common, Session};
use crate::failure::Failure;
use crate::manifest::{self, work};
use crate::shell::Shell;

/// Put metrics, health models and settings in force, as files say
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  keizoku apply -f model.yaml\n  keizoku apply -f metrics.yaml -f model.yaml --dry-run\n  \
                  keizoku apply -f - -o json\n\n\
                  A file holds YAML documents, each with `kind: HealthModel`, `Metric` or `WorkspaceSettings` and the\n\
                  fields of that message. Everything is checked before anything is changed; metrics go before models.\n\
                  What is in force already changes nothing."
)]
pub(crate) struct Apply {
    #[command(flatten)]
    common: Common,
    /// A file; may be given again; - for standard input
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Check and compare only, change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    /// Applies the files, and prints what changed.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let documents = manifest::read(shell, &self.files)?;
        let mut session = Session::open(shell, &self.common)?;
        let checked = work::check(&mut session, &documents).await?;
        let steps = if self.dry_run { checked } else { work::apply(&mut session, &documents, &checked).await? };
        session.print(&work::view(&steps, session.language()))
    }
}
