//! `keizoku exit-codes`.

use clap::Args;

use crate::failure::{EXIT_CODES, Failure};
use crate::shell::Shell;

/// What the exit codes of all commands mean
#[derive(Debug, Args)]
#[command(long_about = EXIT_CODES, after_help = "Examples:\n  keizoku exit-codes")]
pub(crate) struct ExitCodes {}

impl ExitCodes {
    /// Prints them.
    pub(crate) fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        shell.print(&format!("{EXIT_CODES}\n"))
    }
}
