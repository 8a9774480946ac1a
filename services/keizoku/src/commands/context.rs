//! `keizoku context`: which servers the program knows.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::contexts::{self, Context, Contexts};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, OutputArgs, Style, Table, Text, Tone};
use crate::shell::Shell;

/// Keeps addresses and keys of servers under names
#[derive(Debug, Args)]
pub(crate) struct ContextCommand {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The contexts, the current one marked
    #[command(after_help = "Examples:\n  keizoku context list\n  keizoku context list -o json")]
    List,
    /// Take this context where none is named
    #[command(after_help = "Examples:\n  keizoku context use dev")]
    Use {
        /// Its name
        name: String,
    },
    /// Where a context points; the current one if none is named
    #[command(after_help = "Examples:\n  keizoku context show\n  keizoku context show dev --reveal")]
    Show {
        /// Its name
        name: Option<String>,
        /// Show the key whole
        #[arg(long)]
        reveal: bool,
    },
    /// Keep a context, and make it the current one
    #[command(after_help = "Examples:\n  keizoku context set prod https://keizoku.example:7070\n  \
                      keizoku context set prod https://keizoku.example:7070 --ca /etc/keizoku/ca.pem\n\n\
                      The key is read from KEIZOKU_API_KEY, so that it stands in no history of a shell.")]
    Set {
        /// Its name
        name: String,
        /// The server's address
        url: String,
        /// PEM file of the authority that vouches for the server
        #[arg(long = "ca", value_name = "FILE")]
        ca: Option<PathBuf>,
    },
}

impl ContextCommand {
    /// Does it; no server is asked.
    pub(crate) fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        match self.command {
            Action::List => {
                let style = Style::new(&self.output, shell);
                let text = list(&contexts::read(shell)?).render(&style)?;
                shell.print(&text)
            }
            Action::Show { name, reveal } => {
                let style = Style::new(&self.output, shell);
                let contexts = contexts::read(shell)?;
                let name = name.unwrap_or_else(|| contexts.current.clone());
                let path = contexts::path(shell)?;
                let text = show(&name, contexts.get(&name)?, &path, reveal).render(&style)?;
                shell.print(&text)
            }
            Action::Use { name } => {
                contexts::choose(shell, &name)?;
                shell.note(&format!("{name} is the current context"));
                Ok(())
            }
            Action::Set { name, url, ca } => {
                let key = shell.variable("KEIZOKU_API_KEY").unwrap_or_default().to_owned();
                let path = contexts::write(shell, &name, Context { endpoint: url, key, ca_file: ca })?;
                shell.note(&format!("kept in {}; {name} is the current context", path.display()));
                Ok(())
            }
        }
    }
}

fn list(contexts: &Contexts) -> Answer {
    let mut table = Table::new(vec![
        Column::left("current", Text::new("", "")),
        Column::left("name", Text::new("Name", "名前")),
        Column::left("endpoint", Text::new("Endpoint", "接続先")),
        Column::left("key", Text::new("Key", "キー")),
    ]);
    let mut json = Vec::new();
    for (name, context) in &contexts.contexts {
        let current = *name == contexts.current;
        let mark = Cell::new(if current { "*" } else { "" }).raw(current.to_string()).tone(Tone::Good);
        table.add(vec![mark, Cell::new(name), Cell::new(&context.endpoint), Cell::new(masked(&context.key))]);
        json.push(json!({ "name": name, "endpoint": context.endpoint, "current": current }));
    }
    Answer::list(json, table)
}

fn show(name: &str, context: &Context, path: &std::path::Path, reveal: bool) -> Answer {
    let key = if reveal { context.key.clone() } else { masked(&context.key) };
    let authority = context.ca_file.as_ref().map(|path| path.display().to_string());
    let json = json!({ "name": name, "endpoint": context.endpoint, "key": key, "caFile": authority, "file": path });
    let facts = vec![
        (Column::left("name", Text::new("Context", "コンテキスト")), Cell::new(name).tone(Tone::Strong)),
        (Column::left("endpoint", Text::new("Endpoint", "接続先")), Cell::new(&context.endpoint)),
        (Column::left("key", Text::new("Key", "キー")), Cell::new(key)),
        (
            Column::left("ca_file", Text::new("Authority", "認証局")).optional(),
            Cell::new(authority.unwrap_or_default()),
        ),
        (Column::left("file", Text::new("File", "ファイル")), Cell::new(path.display().to_string())),
    ];
    Answer::one(json, vec![Block::Facts(facts)])
}

/// Enough of a key to tell it from others, and no more.
fn masked(key: &str) -> String {
    match key.rsplit_once('_') {
        Some((head, _)) => format!("{head}_…"),
        None if key.is_empty() => String::new(),
        None => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Folder, run_here};

    #[test]
    fn a_masked_key_shows_nothing_of_its_secret() {
        assert_eq!(masked("kz_01abc_topsecret"), "kz_01abc_…");
        assert_eq!((masked("secret"), masked("")), ("…".to_owned(), String::new()));
    }

    #[tokio::test]
    async fn contexts_are_set_chosen_and_listed() {
        let folder = Folder::new();
        for name in ["dev", "prod"] {
            let told = run_here(&folder, &["context", "set", name, "http://127.0.0.1:1"]).await;
            assert_eq!(told.code, 0, "{}", told.notes);
        }
        assert_eq!(run_here(&folder, &["context", "use", "dev"]).await.code, 0);
        let told = run_here(&folder, &["context", "list", "-o", "csv"]).await;
        assert_eq!(
            told.output,
            "current,name,endpoint,key\ntrue,dev,http://127.0.0.1:1,\nfalse,prod,http://127.0.0.1:1,\n"
        );
        assert_eq!(run_here(&folder, &["context", "show", "none"]).await.code, 2);
    }
}
