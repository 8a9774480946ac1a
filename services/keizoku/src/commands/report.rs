//! `keizoku report`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use keizoku_proto::scoring::{
    Composition, CompositionGroup, GetCompositionRequest, GetModelRequest, HealthModel,
    ListCompositionSnapshotsRequest, Polarity,
};

use crate::client::moment::DayArg;
use crate::client::pages::RowArgs;
use crate::client::{Common, Session, is_denied, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone, chart, number, table::painted, words};
use crate::shell::Shell;

/// The width of the bar of a group, in letters.
const WIDTH: usize = 24;

/// Reports over all accounts
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// How the accounts are spread over the bands, by stage, with Good% − Bad% and its parts
    #[command(
        after_help = "Examples:\n  keizoku report composition\n  keizoku report composition --as-of 2024-12-31\n  \
                      keizoku report composition --snapshots -o csv\n\n\
                      Unscored accounts are in no share; they are counted apart, by reason."
    )]
    Composition(CompositionArgs),
}

#[derive(Debug, Args)]
struct CompositionArgs {
    /// By this model; else the primary one
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    model: String,
    /// At the close of this day; else now
    #[arg(long, value_name = "DATE", conflicts_with = "snapshots")]
    as_of: Option<DayArg>,
    /// The weekly snapshots, newest first
    #[arg(long)]
    snapshots: bool,
    #[command(flatten)]
    rows: RowArgs,
}

/// What the model says of its bands and stages, where it may be read.
struct Names {
    polarities: BTreeMap<String, Polarity>,
    labels: BTreeMap<String, String>,
}

impl Report {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        let Action::Composition(args) = self.command;
        if args.snapshots { snapshots(&mut session, args).await } else { composition(&mut session, args).await }
    }
}

async fn composition(session: &mut Session<'_>, args: CompositionArgs) -> Result<(), Failure> {
    let request = GetCompositionRequest { model: args.model, as_of: args.as_of.map(DayArg::message) };
    let answer = session.call(&methods::GET_COMPOSITION, request).await?;
    let found = answer.composition.ok_or(Failure::Incomplete { what: "composition" })?;
    let names = Names::of(session, &found).await?;
    let view = view(&found, &names, session.language(), session.style.colour)?;
    session.print(&view)
}

async fn snapshots(session: &mut Session<'_>, args: CompositionArgs) -> Result<(), Failure> {
    let found = session
        .pages(
            &methods::LIST_COMPOSITION_SNAPSHOTS,
            ListCompositionSnapshotsRequest { model: args.model, ..ListCompositionSnapshotsRequest::default() },
            &args.rows,
            |request, size, token| (request.page_size, request.page_token) = (size, token),
            |answer| (answer.compositions, answer.next_page_token),
        )
        .await?;
    let language = session.language();
    let columns = vec![
        Column::left("day", Text::new("Day", "日付")),
        Column::right("model_version", Text::new("Model", "モデル版")),
        Column::right("scored", Text::new("Scored", "スコアあり")),
        Column::right("unscored", Text::new("Unscored", "スコアなし")),
        Column::right("good", Text::new("Good", "良好")),
        Column::right("bad", Text::new("Bad", "不良")),
        Column::right("index", Text::new("Good% − Bad%", "良好% − 不良%")),
        Column::left("bottleneck_stage", Text::new("Bottleneck", "ボトルネック")),
    ];
    let table = Table::new(columns).with(found.rows.iter().map(|week| {
        let total = week.total.clone().unwrap_or_default();
        vec![
            number::date_cell(week.day.as_ref()),
            Cell::new(week.model_version.to_string()),
            number::count_cell(total.account_count),
            number::count_cell(week.unscored.iter().map(|one| one.account_count).sum()),
            number::estimate_cell(total.good.as_ref(), language),
            number::estimate_cell(total.bad.as_ref(), language),
            number::change_cell(total.index_millis),
            Cell::new(&week.bottleneck_stage),
        ]
    }));
    let json = reflect::list("keizoku.scoring.v1.Composition", &found.rows)?;
    session.print_rows(&Answer::list(json, table), found.more())
}

impl Names {
    /// The names of the model's bands and stages. A key that may not read models still gets the report.
    async fn of(session: &mut Session<'_>, found: &Composition) -> Result<Self, Failure> {
        let request = GetModelRequest { key: found.model.clone(), version: found.model_version };
        let model = match session.look_up(&methods::GET_MODEL, request).await {
            Ok(answer) => answer.model.unwrap_or_default(),
            Err(failure) if is_denied(&failure) => HealthModel::default(),
            Err(failure) => return Err(failure),
        };
        Ok(Self::from_model(&model, session.language()))
    }

    fn from_model(model: &HealthModel, language: Language) -> Self {
        let bands = model.bands.iter().map(|band| (&band.key, band.label.as_ref()));
        let stages = model.stages.iter().map(|stage| (&stage.key, stage.label.as_ref()));
        Self {
            polarities: model.bands.iter().map(|band| (band.key.clone(), band.polarity())).collect(),
            labels: bands.chain(stages).map(|(key, label)| (key.clone(), language.label(label, key))).collect(),
        }
    }

    fn label(&self, key: &str) -> String {
        self.labels.get(key).cloned().unwrap_or_else(|| key.to_owned())
    }

    fn tone(&self, band: &str) -> Tone {
        self.polarities.get(band).map_or(Tone::Plain, |polarity| words::polarity_tone(*polarity))
    }
}

fn view(found: &Composition, names: &Names, language: Language, colour: bool) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.scoring.v1.Composition", found)?;
    let total = found.total.clone().unwrap_or_default();
    let mut blocks = vec![
        Block::Facts(head(found, &total, names, language)),
        Block::Table(groups(found, &total, names, language)),
        Block::Aside(bars(found, &total, names, language, colour)),
    ];
    if !found.unscored.is_empty() {
        blocks.push(Block::Aside(unscored(found, language)));
    }
    Ok(Answer::one(json, blocks))
}

fn head(found: &Composition, total: &CompositionGroup, names: &Names, language: Language) -> Vec<(Column, Cell)> {
    let share = |estimate: &Option<_>| {
        estimate.as_ref().map_or_else(|| "—".to_owned(), |found| number::estimate(found, language))
    };
    let index = total.index_millis.map_or_else(|| "—".to_owned(), number::change);
    let parts = format!("{index}  =  {} − {}", share(&total.good), share(&total.bad));
    let bottleneck = if found.bottleneck_stage.is_empty() {
        Cell::missing()
    } else {
        Cell::new(names.label(&found.bottleneck_stage)).tone(Tone::Warning)
    };
    vec![
        (
            Column::left("model", Text::new("Model", "モデル")),
            Cell::new(format!("{} v{}", found.model, found.model_version)),
        ),
        (Column::left("day", Text::new("Day", "対象日")), number::date_cell(found.day.as_ref())),
        (Column::left("index", Text::new("Good% − Bad%", "良好% − 不良%")), Cell::new(parts).tone(Tone::Strong)),
        (Column::left("bottleneck", Text::new("Bottleneck", "ボトルネック")), bottleneck),
    ]
}

fn groups(found: &Composition, total: &CompositionGroup, names: &Names, language: Language) -> Table {
    let mut columns = vec![
        Column::left("stage", Text::new("Stage", "ステージ")),
        Column::right("account_count", Text::new("Accounts", "顧客数")),
    ];
    columns.extend(total.bands.iter().map(|band| Column::named("band", names.label(&band.band))));
    columns.extend([
        Column::right("good", Text::new("Good", "良好")),
        Column::right("bad", Text::new("Bad", "不良")),
        Column::right("index", Text::new("Good% − Bad%", "良好% − 不良%")),
        Column::right("pull", Text::new("Pull", "寄与")),
    ]);
    let mut table = Table::new(columns);
    for group in found.stages.iter().chain([total]) {
        let is_total = std::ptr::eq(group, total);
        let tone = if is_total { Tone::Strong } else { Tone::Plain };
        let mut row = vec![
            Cell::new(stage(group, is_total, names, language)).tone(tone),
            number::count_cell(group.account_count).tone(tone),
        ];
        for band in &total.bands {
            let own = group.bands.iter().find(|own| own.band == band.band);
            row.push(number::count_cell(own.map_or(0, |own| own.account_count)).tone(names.tone(&band.band)));
        }
        row.extend([
            number::estimate_cell(group.good.as_ref(), language),
            number::estimate_cell(group.bad.as_ref(), language),
            number::change_cell(group.index_millis).tone(tone),
            number::change_cell(group.pull_millis).tone(tone),
        ]);
        table.add(row);
    }
    table
}

fn stage(group: &CompositionGroup, is_total: bool, names: &Names, language: Language) -> String {
    match (is_total, group.stage.as_str()) {
        (true, _) => Text::new("all", "全体").of(language).to_owned(),
        (false, "") => Text::new("(no stage)", "（ステージなし）").of(language).to_owned(),
        (false, key) => names.label(key),
    }
}

fn bars(found: &Composition, total: &CompositionGroup, names: &Names, language: Language, colour: bool) -> Table {
    const FILLS: [char; 4] = ['█', '▓', '▒', '░'];
    let columns = vec![
        Column::left("stage", Text::new("Stage", "ステージ")),
        Column::left("bar", Text::new("Bands", "バンド構成")),
    ];
    let mut table = Table::new(columns);
    for group in found.stages.iter().chain([total]) {
        let counts: Vec<i64> = group.bands.iter().map(|band| band.account_count).collect();
        let cells = chart::cells(&counts, WIDTH);
        let parts = group.bands.iter().zip(cells).enumerate().map(|(index, (band, cells))| {
            let part: String = std::iter::repeat_n(FILLS[index % FILLS.len()], cells).collect();
            if part.is_empty() { part } else { painted(&part, names.tone(&band.band), colour) }
        });
        table.add(vec![
            Cell::new(stage(group, std::ptr::eq(group, total), names, language)),
            Cell::new(parts.collect::<String>()),
        ]);
    }
    let legend = total.bands.iter().enumerate();
    let legend = legend.map(|(index, band)| format!("{} {}", FILLS[index % FILLS.len()], names.label(&band.band)));
    table.add(vec![Cell::new(""), Cell::new(legend.collect::<Vec<_>>().join("  ")).tone(Tone::Quiet)]);
    table
}

fn unscored(found: &Composition, language: Language) -> Table {
    let columns = vec![
        Column::left("reason", Text::new("No score because", "スコアなしの理由")),
        Column::right("account_count", Text::new("Accounts", "顧客数")),
    ];
    Table::new(columns).with(found.unscored.iter().map(|one| {
        vec![
            Cell::new(words::unscored_by_name(&one.reason, language)).raw(&one.reason),
            number::count_cell(one.account_count),
        ]
    }))
}

#[cfg(test)]
mod tests {
    use keizoku_proto::scoring::{Band, BandCount, UnscoredCount};
    use keizoku_proto::types::Census;
    use keizoku_proto::types::Estimate;
    use keizoku_proto::types::estimate::Uncertainty;

    use super::*;
    use crate::output::{Format, Style};

    fn group(stage: &str, good: i64, bad: i64, index: Option<i32>) -> CompositionGroup {
        let share = |numerator: i64| Estimate {
            value: (good + bad > 0).then(|| numerator as f64 / (good + bad) as f64),
            numerator,
            denominator: good + bad,
            uncertainty: Some(Uncertainty::Census(Census {})),
            ..Estimate::default()
        };
        let band =
            |key: &str, count| BandCount { band: key.to_owned(), account_count: count, share: Some(share(count)) };
        CompositionGroup {
            stage: stage.to_owned(),
            account_count: good + bad,
            bands: vec![band("green", good), band("red", bad)],
            good: Some(share(good)),
            bad: Some(share(bad)),
            index_millis: index,
            pull_millis: index,
        }
    }

    fn composition() -> Composition {
        Composition {
            model: "main".to_owned(),
            model_version: 2,
            total: Some(group("", 3, 1, Some(50_000))),
            stages: vec![group("adoption", 3, 1, Some(50_000)), group("renewal", 0, 0, None)],
            unscored: vec![UnscoredCount { reason: "TOO_SHORT".to_owned(), account_count: 7 }],
            bottleneck_stage: String::new(),
            ..Composition::default()
        }
    }

    fn rendered(format: Format) -> String {
        let band =
            |key: &str, polarity: Polarity| Band { key: key.to_owned(), polarity: polarity.into(), ..Band::default() };
        let model = HealthModel {
            bands: vec![band("green", Polarity::Good), band("red", Polarity::Bad)],
            ..HealthModel::default()
        };
        let names = Names::from_model(&model, Language::English);
        let style = Style { format, language: Language::English, colour: false, terminal: false };
        view(&composition(), &names, Language::English, false).expect("an answer").render(&style).expect("text")
    }

    #[test]
    fn the_index_stands_with_its_parts_and_unscored_accounts_apart() {
        let told = rendered(Format::Table);
        assert!(told.contains("+50.000  =  75.0 % (3/4, all counted) − 25.0 % (1/4, all counted)"), "{told}");
        assert!(
            told.lines().any(|line| line.starts_with("data for too short a time") && line.ends_with('7')),
            "{told}"
        );
        assert!(told.contains("██████████████████▓▓▓▓▓▓"), "{told}");
    }

    #[test]
    fn a_stage_without_accounts_has_no_index_of_zero() {
        let told = rendered(Format::Table);
        let line = told.lines().find(|line| line.starts_with("renewal")).expect("a line");
        assert!(line.contains("— (0/0)") && line.trim_end().ends_with('—'), "{line}");
    }

    #[test]
    fn programs_get_a_row_per_stage() {
        let told = rendered(Format::Csv);
        assert_eq!(told.lines().next(), Some("stage,account_count,green,red,good,bad,index,pull"));
        assert_eq!(told.lines().nth(1), Some("adoption,4,3,1,0.75,0.25,50.000,50.000"));
        assert_eq!(told.lines().count(), 4);
    }
}
