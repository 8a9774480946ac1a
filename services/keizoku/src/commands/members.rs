//! `keizoku members`.

use clap::{Args, Subcommand};
use keizoku_proto::ingestion::{ListMembersRequest, Member, PutMemberRequest};

use crate::client::moment::{self, Moment};
use crate::client::pages::RowArgs;
use crate::client::{Common, Session, methods, reflect, request_id};
use crate::failure::Failure;
use crate::output::{Answer, Cell, Column, Table, Text, number};
use crate::shell::Shell;

/// The workspace's staff
#[derive(Debug, Args)]
pub(crate) struct Members {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a member, or change the one with that mail address
    #[command(after_help = "Examples:\n  keizoku members put aiko@example.com --name 'Aiko'\n  \
                      keizoku members put aiko@example.com --name 'Aiko' --left 2026-03-31")]
    Put {
        /// The mail address, which identifies the member
        email: String,
        /// The name
        #[arg(long)]
        name: String,
        /// When the member left
        #[arg(long, value_name = "DATE|INSTANT")]
        left: Option<Moment>,
    },
    /// The staff, oldest first, those who left included
    #[command(after_help = "Examples:\n  keizoku members list\n  keizoku members list -o csv --all")]
    List(RowArgs),
}

impl Members {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        match self.command {
            Action::Put { email, name, left } => {
                let left_at = match left {
                    None => None,
                    Some(at) => Some(at.instant(moment::zone(&session.who_am_i().await?)?)),
                };
                let request = PutMemberRequest { request_id: request_id(), email, display_name: name, left_at };
                let answer = session.call(&methods::PUT_MEMBER, request).await?;
                let members = [answer.member.unwrap_or_default()];
                let json = reflect::json("keizoku.ingestion.v1.Member", &members[0])?;
                session.print(&Answer::one(json, Vec::new()).and(crate::output::Block::Table(table(&members))))
            }
            Action::List(rows) => list(&mut session, &rows).await,
        }
    }
}

async fn list(session: &mut Session<'_>, wanted: &RowArgs) -> Result<(), Failure> {
    let found = session
        .pages(
            &methods::LIST_MEMBERS,
            ListMembersRequest::default(),
            wanted,
            |request, size, token| (request.page_size, request.page_token) = (size, token),
            |answer| (answer.members, answer.next_page_token),
        )
        .await?;
    let json = reflect::list("keizoku.ingestion.v1.Member", &found.rows)?;
    session.print_rows(&Answer::list(json, table(&found.rows)), found.more())
}

fn table(members: &[Member]) -> Table {
    let columns = vec![
        Column::left("id", Text::new("Id", "ID")),
        Column::left("display_name", Text::new("Name", "名前")),
        Column::left("email", Text::new("Mail", "メール")),
        Column::left("created_at", Text::new("Added", "追加日時")),
        Column::left("left_at", Text::new("Left", "退職日時")).optional(),
    ];
    Table::new(columns).with(members.iter().map(|member| {
        vec![
            Cell::new(&member.id),
            Cell::new(&member.display_name),
            Cell::new(&member.email),
            number::instant_cell(member.created_at.as_ref()),
            Cell::new(member.left_at.as_ref().map(number::instant).unwrap_or_default()),
        ]
    }))
}
