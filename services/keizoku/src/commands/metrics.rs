//! `keizoku metrics`.

use clap::{Args, Subcommand};
use keizoku_base::Zone;
use keizoku_proto::ingestion::backfill::State;
use keizoku_proto::ingestion::metric_definition::Absence;
use keizoku_proto::ingestion::{GetMetricDaysRequest, ListMetricsRequest, MetricDefinition};

use crate::client::account::AccountArgs;
use crate::client::moment::{self, DayArg, Moment};
use crate::client::pages::RowArgs;
use crate::client::{Common, Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Cell, Column, Language, Table, Text, Tone, number, words};
use crate::shell::Shell;

/// What is counted, per account and day
#[derive(Debug, Args)]
pub(crate) struct Metrics {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The metrics in force
    #[command(after_help = "Examples:\n  keizoku metrics list\n  keizoku metrics list --lang ja")]
    List(RowArgs),
    /// What a metric came to, day by day, for one account
    #[command(after_help = "Examples:\n  keizoku metrics days logins crm:42\n  \
                      keizoku metrics days logins crm:42 --from 2024-12-01 --until 2025-01-01 -o csv\n\n\
                      Days without data are left out: they are not zero.")]
    Days(Days),
}

#[derive(Debug, Args)]
struct Days {
    /// The metric's key
    #[arg(value_name = "METRIC")]
    metric: String,
    #[command(flatten)]
    account: AccountArgs,
    /// The first day; else 30 days before the last
    #[arg(long, value_name = "DATE")]
    from: Option<DayArg>,
    /// The first day no longer wanted; else tomorrow
    #[arg(long, value_name = "DATE")]
    until: Option<DayArg>,
    /// As it was known then; else as it is known now
    #[arg(long, value_name = "DATE|INSTANT")]
    known_at: Option<Moment>,
}

impl Metrics {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        match self.command {
            Action::List(rows) => list(&mut session, &rows).await,
            Action::Days(args) => days(&mut session, args).await,
        }
    }
}

async fn list(session: &mut Session<'_>, wanted: &RowArgs) -> Result<(), Failure> {
    let found = session
        .pages(
            &methods::LIST_METRICS,
            ListMetricsRequest::default(),
            wanted,
            |request, size, token| (request.page_size, request.page_token) = (size, token),
            |answer| (answer.metrics, answer.next_page_token),
        )
        .await?;
    let json = reflect::list("keizoku.ingestion.v1.MetricDefinition", &found.rows)?;
    let table = table(&found.rows, session.language());
    session.print_rows(&Answer::list(json, table), found.more())
}

fn table(metrics: &[MetricDefinition], language: Language) -> Table {
    let columns = vec![
        Column::left("key", Text::new("Metric", "指標")),
        Column::right("version", Text::new("Version", "版")),
        Column::left("label", Text::new("Label", "ラベル")),
        Column::left("aggregation", Text::new("Per day", "日次集計")),
        Column::left("event_names", Text::new("Of", "対象")),
        Column::left("filter", Text::new("Where", "条件")).optional(),
        Column::left("absence", Text::new("No data means", "データなし")),
        Column::left("backfill", Text::new("Backfill", "過去分集計")).optional(),
    ];
    Table::new(columns).with(metrics.iter().map(|metric| {
        let field = if metric.field.is_empty() { String::new() } else { format!(" ({})", metric.field) };
        let absence = match metric.absence() {
            Absence::ZeroWhenSourceAlive => Text::new("zero while the source lives", "データ源稼働中は0"),
            Absence::Missing => Text::new("missing", "欠測"),
            Absence::Unspecified => Text::new("—", "—"),
        };
        vec![
            Cell::new(&metric.key),
            Cell::new(metric.version.to_string()),
            Cell::new(language.label(metric.label.as_ref(), &metric.key)),
            Cell::new(format!("{}{field}", words::aggregation(metric.aggregation(), language))),
            Cell::new(metric.event_names.join(" ")),
            Cell::new(&metric.filter),
            Cell::new(absence.of(language)),
            backfill(metric, language),
        ]
    }))
}

fn backfill(metric: &MetricDefinition, language: Language) -> Cell {
    match &metric.backfill {
        Some(found) if found.state() == State::Running => {
            let left = Text::new("to go", "件残り").of(language);
            Cell::new(format!("{} {left}", number::count(found.remaining_event_count))).tone(Tone::Warning)
        }
        Some(_) | None => Cell::new(""),
    }
}

async fn days(session: &mut Session<'_>, args: Days) -> Result<(), Failure> {
    let (until, known_at) = match (args.until, args.known_at) {
        // All is said, so nothing has to be asked first.
        (Some(until), None) => (until.0, None),
        (Some(until), Some(at @ Moment::Instant(_))) => (until.0, Some(at.instant(Zone::UTC))),
        (until, at) => {
            let now = session.who_am_i().await?;
            let tomorrow = moment::today(&now)?.plus(1);
            let zone = moment::zone(&now)?;
            (until.map_or(tomorrow, |day| day.0), at.map(|at| at.instant(zone)))
        }
    };
    let from = args.from.map_or_else(|| until.plus(-30), |day| day.0);
    let request = GetMetricDaysRequest {
        key: args.metric,
        account: Some(args.account.reference()?),
        from: Some(DayArg(from).message()),
        until: Some(DayArg(until).message()),
        known_at,
    };
    let answer = session.call(&methods::GET_METRIC_DAYS, request).await?;
    let json = reflect::list("keizoku.ingestion.v1.MetricDayValue", &answer.days)?;
    let columns = vec![Column::left("day", Text::new("Day", "日付")), Column::right("value", Text::new("Value", "値"))];
    let table = Table::new(columns).with(
        answer.days.iter().map(|day| vec![number::date_cell(day.day.as_ref()), Cell::new(number::decimal(day.value))]),
    );
    session.print(&Answer::list(json, table))
}
