//! `keizoku workspaces`.

use clap::{Args, Subcommand, ValueEnum};
use keizoku_proto::ingestion::workspace::Kind;
use keizoku_proto::ingestion::workspace_settings::UnknownAccount;
use keizoku_proto::ingestion::{
    CreateWorkspaceRequest, CreateWorkspaceResponse, ListWorkspacesRequest, ResetWorkspaceRequest, SetClockRequest,
    UpdateWorkspaceRequest, Workspace, WorkspaceSettings,
};
use prost_types::FieldMask;
use serde_json::Value as Json;

use crate::client::contexts::{self, Context};
use crate::client::moment::{self, Moment};
use crate::client::pages::RowArgs;
use crate::client::{Common, Session, methods, reflect, request_id};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Table, Text, Tone, number, words};
use crate::shell::Shell;

/// Workspaces: each is the wall around one company's data
#[derive(Debug, Args)]
pub(crate) struct Workspaces {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All workspaces
    #[command(after_help = "Examples:\n  keizoku workspaces list\n  keizoku workspaces list -o json --all")]
    List(RowArgs),
    /// Make a workspace and its first key, whose secret is shown this once
    #[command(after_help = "Examples:\n  keizoku workspaces create Acme --zone Asia/Tokyo --currency JPY\n  \
                      keizoku workspaces create Trial --kind test --save-context trial")]
    Create(Create),
    /// Change the name or the settings of the key's own workspace
    #[command(after_help = "Examples:\n  keizoku workspaces update --unknown-account reject\n  \
                      keizoku workspaces update --name Acme --currency EUR")]
    Update(Update),
    /// Set the clock of a TEST workspace, forward only; it then stands still
    #[command(after_help = "Examples:\n  keizoku workspaces set-clock 2024-12-31\n  \
                      keizoku workspaces set-clock 2024-12-31T18:00:00+09:00\n\n\
                      A day means its last second in the workspace's zone.")]
    SetClock {
        /// The new time: a day, or an instant
        #[arg(value_name = "DATE|INSTANT")]
        at: Moment,
    },
    /// Empty a TEST workspace: its data go, it and its keys and staff stay
    #[command(after_help = "Examples:\n  keizoku workspaces reset --confirm Trial")]
    Reset {
        /// The workspace's name, as a safeguard
        #[arg(long, value_name = "NAME")]
        confirm: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Its name
    name: String,
    /// Whether its data are real
    #[arg(long, value_enum, default_value = "live")]
    kind: KindArg,
    /// IANA zone that its days are taken in; fixed for ever
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    #[command(flatten)]
    settings: Settings,
    /// Keep the new key as a context of this name
    #[arg(long, value_name = "NAME")]
    save_context: Option<String>,
}

#[derive(Debug, Args)]
struct Update {
    /// The new name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Settings {
    /// What happens to data of an account nobody has told of
    #[arg(long, value_enum)]
    unknown_account: Option<UnknownArg>,
    /// The currency of sums over accounts, ISO 4217
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    /// Real data: cannot be reset
    Live,
    /// For trying out: can be reset, and its clock can be set
    Test,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnknownArg {
    /// An account with only its id is made
    Stub,
    /// The item is rejected
    Reject,
}

impl Workspaces {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        match self.command {
            Action::List(rows) => list(&mut session, &rows).await,
            Action::Create(args) => create(&mut session, args).await,
            Action::Update(args) => update(&mut session, args).await,
            Action::SetClock { at } => set_clock(&mut session, at).await,
            Action::Reset { confirm } => {
                let request = ResetWorkspaceRequest { confirm_display_name: confirm };
                let answer = session.call(&methods::RESET_WORKSPACE, request).await?;
                show(&mut session, &answer.workspace.unwrap_or_default())
            }
        }
    }
}

impl Settings {
    fn message(&self) -> WorkspaceSettings {
        let unknown = match self.unknown_account {
            None => UnknownAccount::Unspecified,
            Some(UnknownArg::Stub) => UnknownAccount::CreateStub,
            Some(UnknownArg::Reject) => UnknownAccount::Reject,
        };
        WorkspaceSettings {
            unknown_account: unknown.into(),
            reporting_currency: self.currency.clone().unwrap_or_default(),
            rates: Vec::new(),
        }
    }
}

async fn list(session: &mut Session<'_>, wanted: &RowArgs) -> Result<(), Failure> {
    let found = session
        .pages(
            &methods::LIST_WORKSPACES,
            ListWorkspacesRequest::default(),
            wanted,
            |request, size, token| (request.page_size, request.page_token) = (size, token),
            |answer| (answer.workspaces, answer.next_page_token),
        )
        .await?;
    let mut table = Table::new(vec![
        Column::left("id", Text::new("Id", "ID")),
        Column::left("display_name", Text::new("Name", "名前")),
        Column::left("kind", Text::new("Kind", "種別")),
        Column::left("time_zone", Text::new("Time zone", "タイムゾーン")),
        Column::left("clock_set_to", Text::new("Clock stands at", "時計の設定")).optional(),
        Column::left("created_at", Text::new("Created", "作成日時")),
    ]);
    for workspace in &found.rows {
        table.add(vec![
            Cell::new(&workspace.id),
            Cell::new(&workspace.display_name),
            Cell::new(words::workspace_kind(workspace.kind())),
            Cell::new(&workspace.time_zone),
            Cell::new(workspace.clock_set_to.as_ref().map(number::instant).unwrap_or_default()),
            number::instant_cell(workspace.created_at.as_ref()),
        ]);
    }
    let json = reflect::list("keizoku.ingestion.v1.Workspace", &found.rows)?;
    session.print_rows(&Answer::list(json, table), found.more())
}

async fn create(session: &mut Session<'_>, args: Create) -> Result<(), Failure> {
    let kind = match args.kind {
        KindArg::Live => Kind::Live,
        KindArg::Test => Kind::Test,
    };
    let request = CreateWorkspaceRequest {
        request_id: request_id(),
        display_name: args.name,
        kind: kind.into(),
        time_zone: args.zone,
        settings: Some(args.settings.message()),
        synthetic: false,
    };
    let answer = session.call(&methods::CREATE_WORKSPACE, request).await?;
    if let Some(name) = args.save_context {
        let context = Context { key: answer.secret.clone(), ..session.context() };
        let path = contexts::write(session.shell, &name, context)?;
        session.shell.note(&format!("kept in {}; {name} is the current context", path.display()));
    }
    let view = created(&answer)?;
    session.print(&view)
}

fn created(answer: &CreateWorkspaceResponse) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.ingestion.v1.CreateWorkspaceResponse", answer)?;
    let workspace = answer.workspace.clone().unwrap_or_default();
    let mut facts = facts(&workspace);
    let secret = Cell::new(&answer.secret).tone(Tone::Strong);
    facts.push((Column::left("secret", Text::new("Key, shown this once", "キー（一度のみ表示）")), secret));
    Ok(Answer::one(json, vec![Block::Facts(facts)]))
}

async fn update(session: &mut Session<'_>, args: Update) -> Result<(), Failure> {
    let mut paths = Vec::new();
    let mut mask = |said: bool, path: &str| paths.extend(said.then(|| path.to_owned()));
    mask(args.name.is_some(), "display_name");
    mask(args.settings.unknown_account.is_some(), "settings.unknown_account");
    mask(args.settings.currency.is_some(), "settings.reporting_currency");
    if paths.is_empty() {
        return Err(Failure::Usage {
            problem: "nothing to change was given".to_owned(),
            next: "give --name, --unknown-account or --currency; rates are set by `keizoku apply -f FILE`".to_owned(),
        });
    }
    let settings = Some(args.settings.message());
    let request = UpdateWorkspaceRequest {
        request_id: request_id(),
        workspace: Some(Workspace { display_name: args.name.unwrap_or_default(), settings, ..Workspace::default() }),
        update_mask: Some(FieldMask { paths }),
        etag: String::new(),
    };
    let answer = session.call(&methods::UPDATE_WORKSPACE, request).await?;
    show(session, &answer.workspace.unwrap_or_default())
}

async fn set_clock(session: &mut Session<'_>, at: Moment) -> Result<(), Failure> {
    let zone = match at {
        Moment::Day(_) => moment::zone(&session.who_am_i().await?)?,
        Moment::Instant(_) => keizoku_base::Zone::UTC,
    };
    let request = SetClockRequest { now: Some(at.end(zone)) };
    let answer = session.call(&methods::SET_CLOCK, request).await?;
    show(session, &answer.workspace.unwrap_or_default())
}

fn show(session: &mut Session<'_>, workspace: &Workspace) -> Result<(), Failure> {
    let json: Json = reflect::json("keizoku.ingestion.v1.Workspace", workspace)?;
    session.print(&Answer::one(json, vec![Block::Facts(facts(workspace))]))
}

fn facts(workspace: &Workspace) -> Vec<(Column, Cell)> {
    let settings = workspace.settings.clone().unwrap_or_default();
    let unknown = match settings.unknown_account() {
        UnknownAccount::Reject => "reject",
        UnknownAccount::CreateStub | UnknownAccount::Unspecified => "stub",
    };
    let clock = workspace.clock_set_to.as_ref().map(number::instant).unwrap_or_default();
    vec![
        (
            Column::left("display_name", Text::new("Workspace", "ワークスペース")),
            Cell::new(&workspace.display_name).tone(Tone::Strong),
        ),
        (Column::left("id", Text::new("Id", "ID")), Cell::new(&workspace.id)),
        (Column::left("kind", Text::new("Kind", "種別")), Cell::new(words::workspace_kind(workspace.kind()))),
        (Column::left("time_zone", Text::new("Time zone", "タイムゾーン")), Cell::new(&workspace.time_zone)),
        (Column::left("clock_set_to", Text::new("Clock stands at", "時計の設定")).optional(), Cell::new(clock)),
        (Column::left("unknown_account", Text::new("Unknown accounts", "未知の顧客")), Cell::new(unknown)),
        (
            Column::left("reporting_currency", Text::new("Currency", "集計通貨")),
            Cell::new(&settings.reporting_currency),
        ),
    ]
}
