//! `keizoku accounts`.

mod get;
mod timeline;

use clap::{Args, Subcommand};
use keizoku_proto::ingestion::{Account, ListAccountsRequest};

use crate::client::account::AccountArgs;
use crate::client::pages::RowArgs;
use crate::client::{Common, Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Cell, Column, Table, Text, Tone, number};
use crate::shell::Shell;

/// Customers: who they are, what they signed, what happened with them
#[derive(Debug, Args)]
pub(crate) struct Accounts {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All accounts
    #[command(after_help = "Examples:\n  keizoku accounts list\n  keizoku accounts list --name acme\n  \
                      keizoku accounts list --stubs -o csv --all")]
    List(List),
    /// One account with its contracts and contacts
    #[command(after_help = "Examples:\n  keizoku accounts get crm:42\n  keizoku accounts get 42 --source crm\n  \
                      keizoku accounts get crm:42 -o json")]
    Get(AccountArgs),
    /// What happened with a customer, newest first
    #[command(after_help = "Examples:\n  keizoku accounts timeline crm:42\n  \
                      keizoku accounts timeline crm:42 --from 2024-01-01 --contains refund")]
    Timeline(timeline::Timeline),
}

#[derive(Debug, Args)]
struct List {
    /// Only accounts whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name: String,
    /// Only accounts of which nothing but an external id is known
    #[arg(long, conflicts_with = "known")]
    stubs: bool,
    /// Only accounts of which more is known
    #[arg(long)]
    known: bool,
    #[command(flatten)]
    rows: RowArgs,
}

impl Accounts {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        match self.command {
            Action::List(args) => list(&mut session, args).await,
            Action::Get(account) => get::run(&mut session, &account).await,
            Action::Timeline(args) => args.run(&mut session).await,
        }
    }
}

async fn list(session: &mut Session<'_>, args: List) -> Result<(), Failure> {
    let stub = (args.stubs || args.known).then_some(args.stubs);
    let request = ListAccountsRequest { name_contains: args.name, stub, ..ListAccountsRequest::default() };
    let found = session
        .pages(
            &methods::LIST_ACCOUNTS,
            request,
            &args.rows,
            |request, size, token| (request.page_size, request.page_token) = (size, token),
            |answer| (answer.accounts, answer.next_page_token),
        )
        .await?;
    let json = reflect::list("keizoku.ingestion.v1.Account", &found.rows)?;
    session.print_rows(&Answer::list(json, table(&found.rows)), found.more())
}

fn table(accounts: &[Account]) -> Table {
    let columns = vec![
        Column::left("id", Text::new("Id", "ID")),
        Column::left("display_name", Text::new("Account", "顧客")),
        Column::left("external_ids", Text::new("External ids", "外部ID")),
        Column::right("attribute_count", Text::new("Attributes", "属性")),
        Column::left("updated_at", Text::new("Changed", "更新日時")),
    ];
    Table::new(columns).with(accounts.iter().map(|account| {
        vec![
            Cell::new(&account.id),
            name(account),
            Cell::new(external_ids(account)),
            number::count_cell(i64::try_from(account.attributes.len()).unwrap_or(i64::MAX)),
            number::instant_cell(account.updated_at.as_ref()),
        ]
    }))
}

/// The account's name; a stub has none yet.
fn name(account: &Account) -> Cell {
    if account.stub { Cell::new("(stub)").raw("").tone(Tone::Quiet) } else { Cell::new(&account.display_name) }
}

fn external_ids(account: &Account) -> String {
    account.external_ids.iter().map(|id| format!("{}:{}", id.source, id.id)).collect::<Vec<_>>().join(" ")
}
