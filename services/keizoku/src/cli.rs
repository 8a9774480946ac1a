//! The command line: every command, and how each is started.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands;
use crate::failure::{EXIT_CODES, Failure};
use crate::shell::Shell;

/// Keizoku: which customers will stay, why, what they say, and what to do about it
#[derive(Debug, Parser)]
#[command(name = "keizoku", version, max_term_width = 120, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Every command. A new one is a file under `commands`, a line here and a line in [`Command::run`].
#[derive(Debug, Subcommand)]
enum Command {
    Dev(commands::dev::Dev),
    Serve(commands::serve::Serve),
    Migrate(commands::serve::Migrate),
    Config(commands::serve::Config),
    Whoami(commands::whoami::Whoami),
    Workspaces(commands::workspaces::Workspaces),
    Keys(commands::keys::Keys),
    Members(commands::members::Members),
    Accounts(commands::accounts::Accounts),
    Coverage(commands::coverage::Coverage),
    Receipts(commands::receipts::Receipts),
    Events(commands::events::Events),
    Measurements(commands::measurements::Measurements),
    Metrics(commands::metrics::Metrics),
    Models(commands::models::Models),
    Scores(commands::scores::Scores),
    Report(commands::report::Report),
    Import(commands::import::Import),
    Model(commands::model_init::Model),
    Apply(commands::apply::Apply),
    Diff(commands::diff::Diff),
    Demo(commands::demo::Demo),
    Context(commands::context::ContextCommand),
    ExitCodes(commands::exit_codes::ExitCodes),
    Commands(commands::listing::Commands),
}

impl Command {
    async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        match self {
            Self::Dev(command) => Box::pin(command.run(shell)).await,
            Self::Serve(command) => Box::pin(command.run(shell)).await,
            Self::Migrate(command) => command.run(shell).await,
            Self::Config(command) => command.run(shell),
            Self::Whoami(command) => command.run(shell).await,
            Self::Workspaces(command) => command.run(shell).await,
            Self::Keys(command) => command.run(shell).await,
            Self::Members(command) => command.run(shell).await,
            Self::Accounts(command) => command.run(shell).await,
            Self::Coverage(command) => command.run(shell).await,
            Self::Receipts(command) => command.run(shell).await,
            Self::Events(command) => command.run(shell).await,
            Self::Measurements(command) => command.run(shell).await,
            Self::Metrics(command) => command.run(shell).await,
            Self::Models(command) => command.run(shell).await,
            Self::Scores(command) => command.run(shell).await,
            Self::Report(command) => command.run(shell).await,
            Self::Import(command) => command.run(shell).await,
            Self::Model(command) => command.run(shell).await,
            Self::Apply(command) => command.run(shell).await,
            Self::Diff(command) => command.run(shell).await,
            Self::Demo(command) => command.run(shell).await,
            Self::Context(command) => command.run(shell),
            Self::ExitCodes(command) => command.run(shell),
            Self::Commands(command) => command.run(shell),
        }
    }
}

/// Runs the program with these words, the first of which is its own name, and says with which code it ends.
pub(crate) async fn run(words: impl IntoIterator<Item = impl Into<OsString> + Clone>, shell: &mut Shell) -> u8 {
    let parsed = definition().try_get_matches_from(words).and_then(|found| Cli::from_arg_matches(&found));
    let outcome = match parsed {
        Ok(cli) => Box::pin(cli.command.run(shell)).await,
        Err(told) => return tell(&told, shell),
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            failure.report(shell);
            failure.exit_code()
        }
    }
}

/// The definition of the whole command line.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

/// Help and version are answers; anything else is a mistake in the words.
fn tell(told: &clap::Error, shell: &mut Shell) -> u8 {
    let text = told.render();
    if told.use_stderr() {
        let colour = shell.colour(shell.notes_terminal);
        let text = if colour { text.ansi().to_string() } else { text.to_string() };
        shell.note(text.trim_end());
    } else {
        let text = if shell.colour(shell.terminal) { text.ansi().to_string() } else { text.to_string() };
        // Help that nobody reads to its end is no failure.
        let _unread = shell.print(&text);
    }
    u8::try_from(told.exit_code()).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Folder, run_here};

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        for inner in command.get_subcommands() {
            let path = format!("{path} {}", inner.get_name());
            if inner.has_subcommands() {
                leaves(inner, &path, found);
            } else {
                found.push((path, inner.clone()));
            }
        }
    }

    #[test]
    fn the_definition_holds_together() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        let mut found = Vec::new();
        leaves(&definition(), "keizoku", &mut found);
        for (path, command) in found.into_iter().filter(|(_, command)| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help.lines().map(str::trim).filter(|line| line.starts_with("keizoku ")).collect();
            assert!(help.starts_with("Examples:") && !examples.is_empty(), "`{path}` has no examples");
            assert!(examples.iter().any(|line| line.starts_with(&path)), "`{path}` has no example of its own");
            for example in examples {
                let words = example.split(" | ").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
                let words = words.split_whitespace().map(|word| word.trim_matches('\''));
                let parsed = definition().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{example}: {}", parsed.err().map(|told| told.to_string()).unwrap_or_default());
            }
        }
    }

    #[tokio::test]
    async fn help_of_exit_codes_lists_them() {
        let told = run_here(&Folder::new(), &["help", "exit-codes"]).await;
        assert_eq!((told.code, told.output.contains("7  `diff` found differences")), (0, true));
        let told = run_here(&Folder::new(), &["exit-codes"]).await;
        assert_eq!((told.code, told.output.contains("3  what was asked for does not exist")), (0, true));
    }

    #[tokio::test]
    async fn every_command_is_listed_by_its_path() {
        let told = run_here(&Folder::new(), &["commands"]).await;
        let lines: Vec<&str> = told.output.lines().collect();
        assert!(lines.contains(&"scores explain") && lines.contains(&"scores") && lines.contains(&"whoami"));
        assert!(!lines.contains(&"commands"));
    }

    #[tokio::test]
    async fn words_without_meaning_are_told_on_standard_error() {
        let told = run_here(&Folder::new(), &["scores", "lsit"]).await;
        assert_eq!((told.code, told.output.as_str()), (2, ""));
        assert!(told.notes.contains("list"), "{}", told.notes);
    }
}
