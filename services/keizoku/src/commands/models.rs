//! `keizoku models`.

use clap::{Args, Subcommand};
use keizoku_proto::scoring::measure::Input;
use keizoku_proto::scoring::metric_window::{Aggregation, Bucket};
use keizoku_proto::scoring::{GetModelRequest, HealthModel, ListModelsRequest, Measure, MetricWindow};

use crate::client::pages::RowArgs;
use crate::client::{Common, Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone, number, words};
use crate::shell::Shell;

/// Health models: what health means
#[derive(Debug, Args)]
pub(crate) struct Models {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All versions of all models
    #[command(after_help = "Examples:\n  keizoku models list\n  keizoku models list -o json --all")]
    List(RowArgs),
    /// One model: measures, bands, stages
    #[command(after_help = "Examples:\n  keizoku models get\n  keizoku models get main --version 2\n  \
                      keizoku models get main -o json")]
    Get {
        /// Its key; else the primary one
        #[arg(default_value = "", hide_default_value = true)]
        model: String,
        /// Its version; else the latest
        #[arg(
            id = "model_version",
            long = "version",
            value_name = "N",
            default_value_t = 0,
            hide_default_value = true
        )]
        version: i32,
    },
}

impl Models {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        match self.command {
            Action::List(rows) => list(&mut session, &rows).await,
            Action::Get { model, version } => {
                let answer = session.call(&methods::GET_MODEL, GetModelRequest { key: model, version }).await?;
                let model = answer.model.ok_or(Failure::Incomplete { what: "model" })?;
                let view = view(&model, session.language())?;
                session.print(&view)
            }
        }
    }
}

async fn list(session: &mut Session<'_>, wanted: &RowArgs) -> Result<(), Failure> {
    let found = session
        .pages(
            &methods::LIST_MODELS,
            ListModelsRequest::default(),
            wanted,
            |request, size, token| (request.page_size, request.page_token) = (size, token),
            |answer| (answer.models, answer.next_page_token),
        )
        .await?;
    let language = session.language();
    let columns = vec![
        Column::left("key", Text::new("Model", "モデル")),
        Column::right("version", Text::new("Version", "版")),
        Column::left("label", Text::new("Label", "ラベル")),
        Column::left("in_force", Text::new("In force", "有効")),
        Column::left("primary", Text::new("Primary", "主")),
        Column::left("effective_from", Text::new("From", "適用開始")),
        Column::right("measures", Text::new("Measures", "指標数")),
        Column::left("bands", Text::new("Bands", "バンド")),
    ];
    let table = Table::new(columns).with(found.rows.iter().map(|model| {
        let tone = if model.in_force { Tone::Plain } else { Tone::Quiet };
        let mark = |holds: bool| Cell::new(if holds { "✓" } else { "" }).raw(holds.to_string());
        vec![
            Cell::new(&model.key).tone(tone),
            Cell::new(model.version.to_string()).tone(tone),
            Cell::new(language.label(model.label.as_ref(), &model.key)).tone(tone),
            mark(model.in_force),
            mark(model.primary),
            number::date_cell(model.effective_from.as_ref()).tone(tone),
            Cell::new(model.measures.len().to_string()).tone(tone),
            Cell::new(model.bands.iter().map(|band| band.key.as_str()).collect::<Vec<_>>().join(" ")).tone(tone),
        ]
    }));
    let json = reflect::list("keizoku.scoring.v1.HealthModel", &found.rows)?;
    session.print_rows(&Answer::list(json, table), found.more())
}

fn view(model: &HealthModel, language: Language) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.scoring.v1.HealthModel", model)?;
    let version = format!(
        "{}{}",
        model.version,
        if model.in_force { Text::new(", in force", "、有効").of(language) } else { "" },
    );
    let facts = vec![
        (
            Column::left("key", Text::new("Model", "モデル")),
            Cell::new(format!("{} ({})", language.label(model.label.as_ref(), &model.key), model.key))
                .raw(&model.key)
                .tone(Tone::Strong),
        ),
        (Column::left("version", Text::new("Version", "版")), Cell::new(version).raw(model.version.to_string())),
        (
            Column::left("effective_from", Text::new("From", "適用開始")),
            number::date_cell(model.effective_from.as_ref()),
        ),
        (Column::left("applies_to", Text::new("Applies to", "対象")).optional(), Cell::new(&model.applies_to)),
    ];
    let mut blocks = vec![
        Block::Facts(facts),
        Block::Table(measures(&model.measures, language)),
        Block::Aside(bands(model, language)),
    ];
    if !model.stages.is_empty() {
        blocks.push(Block::Aside(stages(model, language)));
    }
    Ok(Answer::one(json, blocks))
}

fn measures(measures: &[Measure], language: Language) -> Table {
    let columns = vec![
        Column::left("measure", Text::new("Measure", "指標")),
        Column::left("label", Text::new("Label", "ラベル")),
        Column::right("weight", Text::new("Weight", "重み")),
        Column::left("input", Text::new("From", "入力")),
        Column::left("scale", Text::new("Points", "点数換算")),
    ];
    Table::new(columns).with(measures.iter().map(|measure| {
        let input = match &measure.input {
            Some(Input::Window(found)) => window(found),
            Some(Input::Expression(text)) => text.clone(),
            None => "—".to_owned(),
        };
        let scale =
            measure.scale.iter().map(|one| format!("{}→{}", number::decimal(one.value), number::decimal(one.points)));
        vec![
            Cell::new(&measure.key),
            Cell::new(language.label(measure.label.as_ref(), &measure.key)),
            Cell::new(number::decimal(measure.weight)),
            Cell::new(input),
            Cell::new(scale.collect::<Vec<_>>().join(" ")),
        ]
    }))
}

/// A window as rules write it, `logins.sum_28d`.
fn window(window: &MetricWindow) -> String {
    let aggregation = match window.aggregation() {
        Aggregation::Unspecified => "—",
        Aggregation::Sum => "sum",
        Aggregation::Mean => "mean",
        Aggregation::Max => "max",
        Aggregation::Last => "last",
        Aggregation::DistinctUsers => "distinct_users",
        Aggregation::ActiveDays => "active_days",
        Aggregation::DaysSinceLast => "days_since_last",
        Aggregation::TrendPercent => "trend_percent",
    };
    let bucket = match window.bucket() {
        Bucket::Unspecified => "",
        Bucket::Day => "d",
        Bucket::Week => "w",
        Bucket::Month => "m",
    };
    let ago = if window.offset > 0 { format!("_ago{}", window.offset) } else { String::new() };
    let open = if window.include_open { "_open" } else { "" };
    format!("{}.{aggregation}_{}{bucket}{ago}{open}", window.metric, window.length)
}

fn bands(model: &HealthModel, language: Language) -> Table {
    let columns = vec![
        Column::left("band", Text::new("Band", "バンド")),
        Column::left("label", Text::new("Label", "ラベル")),
        Column::left("polarity", Text::new("News", "良否")),
        Column::left("when", Text::new("When", "条件")),
    ];
    Table::new(columns).with(model.bands.iter().map(|band| {
        vec![
            Cell::new(&band.key).tone(words::polarity_tone(band.polarity())),
            Cell::new(language.label(band.label.as_ref(), &band.key)),
            Cell::new(words::polarity(band.polarity(), language)),
            Cell::new(&band.when),
        ]
    }))
}

fn stages(model: &HealthModel, language: Language) -> Table {
    let columns = vec![
        Column::left("stage", Text::new("Stage", "ステージ")),
        Column::left("label", Text::new("Label", "ラベル")),
        Column::left("when", Text::new("When", "条件")),
    ];
    Table::new(columns).with(model.stages.iter().map(|stage| {
        vec![Cell::new(&stage.key), Cell::new(language.label(stage.label.as_ref(), &stage.key)), Cell::new(&stage.when)]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reads_as_in_rules() {
        let found = MetricWindow {
            metric: "logins".to_owned(),
            aggregation: Aggregation::Mean.into(),
            bucket: Bucket::Week.into(),
            length: 4,
            offset: 4,
            include_open: false,
        };
        assert_eq!(window(&found), "logins.mean_4w_ago4");
    }
}
