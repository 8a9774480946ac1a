//! `keizoku whoami`.

use clap::Args;
use keizoku_proto::ingestion::{WhoAmIRequest, WhoAmIResponse};

use crate::client::{Common, Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Text, Tone, number, words};
use crate::shell::Shell;

/// Whom the key belongs to, and what it may do
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keizoku whoami\n  keizoku whoami -o json\n  keizoku whoami --context prod")]
pub(crate) struct Whoami {
    #[command(flatten)]
    common: Common,
}

impl Whoami {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        let answer = session.call(&methods::WHO_AM_I, WhoAmIRequest {}).await?;
        let answer = view(&answer)?;
        session.print(&answer)
    }
}

fn view(answer: &WhoAmIResponse) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.ingestion.v1.WhoAmIResponse", answer)?;
    let workspace = answer.workspace.clone().unwrap_or_default();
    let synthetic = if workspace.synthetic { " · synthetic" } else { "" };
    let kind = format!("{}{synthetic}", words::workspace_kind(workspace.kind()));
    let facts = vec![
        (
            Column::left("workspace", Text::new("Workspace", "ワークスペース")),
            Cell::new(&workspace.display_name).tone(Tone::Strong),
        ),
        (Column::left("workspace_id", Text::new("Id", "ID")), Cell::new(&workspace.id)),
        (Column::left("kind", Text::new("Kind", "種別")), Cell::new(kind)),
        (Column::left("time_zone", Text::new("Time zone", "タイムゾーン")), Cell::new(&workspace.time_zone)),
        (Column::left("now", Text::new("Now", "現在時刻")), number::instant_cell(answer.now.as_ref())),
        (Column::left("key_id", Text::new("Key", "キー")), Cell::new(&answer.key_id)),
        (Column::left("scopes", Text::new("May", "権限")), Cell::new(answer.scopes.join(" "))),
    ];
    Ok(Answer::one(json, vec![Block::Facts(facts)]))
}
