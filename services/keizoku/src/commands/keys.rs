//! `keizoku keys`.

use clap::{Args, Subcommand};
use keizoku_proto::ingestion::{CreateKeyRequest, Key, ListKeysRequest, RevokeKeyRequest};

use crate::client::moment::{self, Moment};
use crate::client::pages::RowArgs;
use crate::client::{Common, Session, methods, reflect, request_id};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Table, Text, Tone, number};
use crate::shell::Shell;

/// API keys of the workspace
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key; its secret is shown this once
    #[command(after_help = "Examples:\n  keizoku keys create crm-sync --scope events:write --scope accounts:write\n  \
                      keizoku keys create dashboard --scope scores:read --expires 2027-01-01")]
    Create {
        /// Its name
        name: String,
        /// What it may do: `resource:verb`, or * for all; may be given again
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<String>,
        /// When it ends by itself
        #[arg(long, value_name = "DATE|INSTANT")]
        expires: Option<Moment>,
    },
    /// The keys, oldest first, revoked ones included
    #[command(after_help = "Examples:\n  keizoku keys list\n  keizoku keys list -o jsonl --all")]
    List(RowArgs),
    /// End a key within a second
    #[command(after_help = "Examples:\n  keizoku keys revoke key_01j9z3k8v4e7m2n5p6q7r8s9t0")]
    Revoke {
        /// Its id, `key_…`
        #[arg(value_name = "KEY_ID")]
        id: String,
    },
}

impl Keys {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        match self.command {
            Action::Create { name, scopes, expires } => create(&mut session, name, scopes, expires).await,
            Action::List(rows) => list(&mut session, &rows).await,
            Action::Revoke { id } => {
                let answer = session.call(&methods::REVOKE_KEY, RevokeKeyRequest { key_id: id }).await?;
                let key = answer.key.unwrap_or_default();
                let json = reflect::json("keizoku.ingestion.v1.Key", &key)?;
                session.print(&Answer::one(json, vec![Block::Facts(facts(&key))]))
            }
        }
    }
}

async fn create(
    session: &mut Session<'_>,
    name: String,
    scopes: Vec<String>,
    expires: Option<Moment>,
) -> Result<(), Failure> {
    let expires_at = match expires {
        None => None,
        Some(at) => Some(at.instant(moment::zone(&session.who_am_i().await?)?)),
    };
    let request = CreateKeyRequest { request_id: request_id(), display_name: name, scopes, expires_at };
    let answer = session.call(&methods::CREATE_KEY, request).await?;
    let json = reflect::json("keizoku.ingestion.v1.CreateKeyResponse", &answer)?;
    let mut facts = facts(&answer.key.unwrap_or_default());
    let secret = Cell::new(answer.secret).tone(Tone::Strong);
    facts.push((Column::left("secret", Text::new("Secret, shown this once", "シークレット（一度のみ表示）")), secret));
    session.print(&Answer::one(json, vec![Block::Facts(facts)]))
}

async fn list(session: &mut Session<'_>, wanted: &RowArgs) -> Result<(), Failure> {
    let found = session
        .pages(
            &methods::LIST_KEYS,
            ListKeysRequest::default(),
            wanted,
            |request, size, token| (request.page_size, request.page_token) = (size, token),
            |answer| (answer.keys, answer.next_page_token),
        )
        .await?;
    let mut table = Table::new(vec![
        Column::left("id", Text::new("Id", "ID")),
        Column::left("display_name", Text::new("Name", "名前")),
        Column::left("scopes", Text::new("May", "権限")),
        Column::left("created_at", Text::new("Created", "作成日時")),
        Column::left("expires_at", Text::new("Ends", "期限")).optional(),
        Column::left("revoked_at", Text::new("Revoked", "失効日時")).optional(),
    ]);
    for key in &found.rows {
        let tone = if key.revoked_at.is_some() { Tone::Quiet } else { Tone::Plain };
        let ended =
            |at: &Option<prost_types::Timestamp>| Cell::new(at.as_ref().map(number::instant).unwrap_or_default());
        table.add(vec![
            Cell::new(&key.id).tone(tone),
            Cell::new(&key.display_name).tone(tone),
            Cell::new(key.scopes.join(" ")).tone(tone),
            number::instant_cell(key.created_at.as_ref()).tone(tone),
            ended(&key.expires_at).tone(tone),
            ended(&key.revoked_at).tone(tone),
        ]);
    }
    let json = reflect::list("keizoku.ingestion.v1.Key", &found.rows)?;
    session.print_rows(&Answer::list(json, table), found.more())
}

fn facts(key: &Key) -> Vec<(Column, Cell)> {
    let ended = |at: &Option<prost_types::Timestamp>| Cell::new(at.as_ref().map(number::instant).unwrap_or_default());
    vec![
        (Column::left("id", Text::new("Key", "キー")), Cell::new(&key.id)),
        (Column::left("display_name", Text::new("Name", "名前")), Cell::new(&key.display_name)),
        (Column::left("scopes", Text::new("May", "権限")), Cell::new(key.scopes.join(" "))),
        (Column::left("expires_at", Text::new("Ends", "期限")).optional(), ended(&key.expires_at)),
        (Column::left("revoked_at", Text::new("Revoked", "失効日時")).optional(), ended(&key.revoked_at)),
    ]
}
