//! `keizoku scores`.

mod explain;
mod history;
mod list;
mod watch;

use clap::{Args, Subcommand};
use keizoku_proto::scoring::{GetScoreRequest, GetScoreResponse, ScoreFilter, ScoreView, get_score_request};
use keizoku_runtime::config::TimeSpan;

use crate::client::account::AccountArgs;
use crate::client::moment::DayArg;
use crate::client::{Common, Session, methods};
use crate::failure::Failure;
use crate::shell::Shell;

/// How customers are, and why
#[derive(Debug, Args)]
pub(crate) struct Scores {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The scores of all accounts
    #[command(after_help = "Examples:\n  keizoku scores list\n  keizoku scores list --worst --limit 10\n  \
                      keizoku scores list --band critical --stage onboarding -o csv --all")]
    List(list::List),
    /// The score of one account
    #[command(after_help = "Examples:\n  keizoku scores get crm:42\n  keizoku scores get 42 --source crm -o json\n  \
                      keizoku scores get crm:42 --as-of 2024-12-31\n  keizoku scores get crm:42 --show-request")]
    Get(Get),
    /// Why the score is what it is: every measure with its part
    #[command(after_help = "Examples:\n  keizoku scores explain crm:42\n  keizoku scores explain crm:42 --lang ja\n  \
                      keizoku scores explain crm:42 --customer-safe -o json\n\n\
                      What reaching a target would add is arithmetic, not advice.")]
    Explain(Explain),
    /// What the score was, day by day
    #[command(after_help = "Examples:\n  keizoku scores history crm:42\n  \
                      keizoku scores history crm:42 --from 2024-01-01 -o csv --all")]
    History(history::History),
    /// The scores of now and then every change, until interrupted
    #[command(
        after_help = "Examples:\n  keizoku scores watch --on band\n  keizoku scores watch --moved 5 -o jsonl\n  \
                      keizoku scores watch --band critical --changes-only --limit 1"
    )]
    Watch(watch::Watch),
}

/// Which accounts are wanted.
#[derive(Debug, Clone, Args)]
struct FilterArgs {
    /// Only accounts in this band; may be given again
    #[arg(long = "band", value_name = "BAND")]
    bands: Vec<String>,
    /// Only accounts in this stage; may be given again
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<String>,
}

/// Which score of an account is wanted.
#[derive(Debug, Args)]
struct Get {
    #[command(flatten)]
    account: AccountArgs,
    /// By this model; else the primary one
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    model: String,
    /// By this version of it, recomputed; else the one in force
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    model_version: i32,
    /// At the close of this day; else now
    #[arg(long, value_name = "DATE")]
    as_of: Option<DayArg>,
    /// Not older than this
    #[arg(long, value_name = "TIME", conflicts_with = "at_least")]
    max_staleness: Option<TimeSpan>,
    /// Not before this position of an earlier answer, in base64
    #[arg(long, value_name = "POSITION")]
    at_least: Option<String>,
}

#[derive(Debug, Args)]
struct Explain {
    #[command(flatten)]
    get: Get,
    /// Only what the customer itself may see
    #[arg(long)]
    customer_safe: bool,
}

impl Scores {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        match self.command {
            Action::List(args) => args.run(&mut session).await,
            Action::Get(args) => {
                let answer = args.ask(&mut session, ScoreView::Basic).await?;
                let view = explain::view(&answer, session.language())?;
                session.print(&view)
            }
            Action::Explain(args) => {
                let view = if args.customer_safe { ScoreView::CustomerSafe } else { ScoreView::Explained };
                let answer = args.get.ask(&mut session, view).await?;
                let view = explain::view(&answer, session.language())?;
                session.print(&view)
            }
            Action::History(args) => args.run(&mut session).await,
            Action::Watch(args) => args.run(&mut session).await,
        }
    }
}

impl FilterArgs {
    fn message(self, scored: Option<bool>) -> Option<ScoreFilter> {
        let said = !self.bands.is_empty() || !self.stages.is_empty() || scored.is_some();
        said.then_some(ScoreFilter { bands: self.bands, stages: self.stages, scored })
    }
}

impl Get {
    async fn ask(self, session: &mut Session<'_>, view: ScoreView) -> Result<GetScoreResponse, Failure> {
        let request = GetScoreRequest {
            account: Some(self.account.reference()?),
            consistency: self.consistency()?,
            model: self.model,
            model_version: self.model_version,
            view: view.into(),
            as_of: self.as_of.map(DayArg::message),
        };
        session.call(&methods::GET_SCORE, request).await
    }

    fn consistency(&self) -> Result<Option<get_score_request::Consistency>, Failure> {
        use get_score_request::Consistency;
        if let Some(span) = self.max_staleness {
            let span = prost_types::Duration::try_from(span.get());
            return Ok(span.ok().map(Consistency::MaxStaleness));
        }
        let Some(text) = &self.at_least else { return Ok(None) };
        match data_encoding::BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Some(Consistency::AtLeast(bytes.into()))),
            Err(_) => Err(Failure::Usage {
                problem: "--at-least is no position".to_owned(),
                next: "take the text of `position` from an answer of `-o json`".to_owned(),
            }),
        }
    }
}
