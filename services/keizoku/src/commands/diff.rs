//! `keizoku diff`.

use std::path::PathBuf;

use clap::Args;

use crate::client::{Common, Session};
use crate::failure::Failure;
use crate::manifest::{self, work};
use crate::shell::Shell;

/// What `apply` would change; ends with exit code 7 where there is anything
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keizoku diff -f model.yaml\n  keizoku diff -f metrics.yaml -f model.yaml -o json")]
pub(crate) struct Diff {
    #[command(flatten)]
    common: Common,
    /// A file; may be given again; - for standard input
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl Diff {
    /// Compares the files with what is in force, and prints the differences.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let documents = manifest::read(shell, &self.files)?;
        let mut session = Session::open(shell, &self.common)?;
        let steps = work::check(&mut session, &documents).await?;
        session.print(&work::view(&steps, session.language()))?;
        if steps.iter().any(work::Step::is_change) { Err(Failure::Different) } else { Ok(()) }
    }
}
