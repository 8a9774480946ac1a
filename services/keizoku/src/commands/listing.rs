//! `keizoku commands`: for tests that hold documents against the command line.

use clap::Args;

use crate::cli;
use crate::failure::Failure;
use crate::shell::Shell;

/// The path of every command, one a line
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Commands {}

impl Commands {
    /// Prints them.
    pub(crate) fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut paths = Vec::new();
        collect(&cli::definition(), "", &mut paths);
        shell.print(&(paths.join("\n") + "\n"))
    }
}

fn collect(command: &clap::Command, above: &str, paths: &mut Vec<String>) {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let path = format!("{above}{}", inner.get_name());
        paths.push(path.clone());
        collect(inner, &format!("{path} "), paths);
    }
}
