//! `keizoku coverage`.

use clap::Args;
use keizoku_proto::ingestion::{EventCoverage, GetCoverageRequest, GetCoverageResponse};

use crate::client::{Common, Session, account, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone, number};
use crate::shell::Shell;

/// Which sources and kinds of data have arrived, for how many accounts, how fresh
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  keizoku coverage\n  keizoku coverage crm:42\n  keizoku coverage -o csv > events.csv"
)]
pub(crate) struct Coverage {
    #[command(flatten)]
    common: Common,
    /// Only for this account: its id `acc_…`, or `SOURCE:ID` of another system
    account: Option<String>,
    /// Take ACCOUNT whole as the id of this system
    #[arg(long, value_name = "SOURCE", requires = "account")]
    source: Option<String>,
}

impl Coverage {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        let account =
            self.account.as_deref().map(|text| account::reference(text, self.source.as_deref())).transpose()?;
        let answer = session.call(&methods::GET_COVERAGE, GetCoverageRequest { account }).await?;
        let view = view(&answer, session.language())?;
        session.print(&view)
    }
}

fn view(answer: &GetCoverageResponse, language: Language) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.ingestion.v1.GetCoverageResponse", answer)?;
    let accounts = format!("{}: {}", Text::new("accounts", "顧客数").of(language), number::count(answer.account_count));
    Ok(Answer::one(
        json,
        vec![Block::Table(events(&answer.events)), Block::Line(accounts, Tone::Strong), Block::Aside(kinds(answer))],
    ))
}

fn events(events: &[EventCoverage]) -> Table {
    let columns = vec![
        Column::left("source", Text::new("Source", "データ源")),
        Column::left("name", Text::new("Event", "イベント")),
        Column::left("measurement", Text::new("Kind", "種別")),
        Column::right("covered_account_count", Text::new("Accounts", "顧客数")),
        Column::right("event_count", Text::new("Count", "件数")),
        Column::left("first_on", Text::new("First", "最初")),
        Column::left("last_on", Text::new("Last", "最後")),
        Column::left("properties", Text::new("Properties", "プロパティ")),
    ];
    Table::new(columns).with(events.iter().map(|event| {
        let properties: Vec<String> =
            event.properties.iter().map(|one| format!("{} ({})", one.key, one.kinds.join("|"))).collect();
        vec![
            Cell::new(&event.source),
            Cell::new(&event.name),
            Cell::new(if event.measurement { "measurement" } else { "event" }).raw(event.measurement.to_string()),
            number::count_cell(event.covered_account_count),
            number::count_cell(event.event_count),
            number::date_cell(event.first_on.as_ref()),
            number::date_cell(event.last_on.as_ref()),
            Cell::new(properties.join(", ")),
        ]
    }))
}

fn kinds(answer: &GetCoverageResponse) -> Table {
    let columns = vec![
        Column::left("kind", Text::new("Kind of data", "データ種別")),
        Column::right("covered_account_count", Text::new("Accounts", "顧客数")),
        Column::right("share", Text::new("Of all", "割合")),
    ];
    Table::new(columns).with(answer.kinds.iter().map(|kind| {
        let share = (answer.account_count > 0).then(|| {
            // Counts of accounts are far below 2⁵³.
            format!("{:.1} %", kind.covered_account_count as f64 * 100.0 / answer.account_count as f64)
        });
        let tone = if kind.covered_account_count == 0 { Tone::Quiet } else { Tone::Plain };
        vec![
            Cell::new(&kind.kind).tone(tone),
            number::count_cell(kind.covered_account_count).tone(tone),
            Cell::optional(share),
        ]
    }))
}
