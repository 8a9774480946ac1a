//! `keizoku scores history`.

use clap::Args;
use keizoku_proto::scoring::{GetHistoryRequest, HistoryPoint};

use crate::client::account::AccountArgs;
use crate::client::moment::DayArg;
use crate::client::pages::RowArgs;
use crate::client::{Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone, chart, number, words};

/// The width of the line of bars, in letters.
const WIDTH: usize = 60;

/// The best score, in thousandths.
const MOST: i32 = 100_000;

/// Flags of the command.
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    account: AccountArgs,
    /// By this model; else the primary one
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    model: String,
    /// The first day; else 90 days ago
    #[arg(long, value_name = "DATE")]
    from: Option<DayArg>,
    /// The first day no longer wanted; else tomorrow
    #[arg(long, value_name = "DATE")]
    until: Option<DayArg>,
    #[command(flatten)]
    rows: RowArgs,
}

impl History {
    /// Asks, and prints the answer.
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let request = GetHistoryRequest {
            account: Some(self.account.reference()?),
            model: self.model,
            from: self.from.map(DayArg::message),
            until: self.until.map(DayArg::message),
        };
        let answer = session.call(&methods::GET_HISTORY, request).await?;
        let line = sparkline(&answer.points);
        let shown = self.rows.last(answer.points);
        let json = reflect::list("keizoku.scoring.v1.HistoryPoint", &shown.rows)?;
        let mut view = Answer::list(json, table(&shown.rows, session.language()));
        if !line.trim().is_empty() {
            view = view.and(Block::Line(line, Tone::Strong));
        }
        session.print_rows(&view, shown.more())
    }
}

fn sparkline(points: &[HistoryPoint]) -> String {
    let values: Vec<Option<i32>> = points.iter().map(|point| point.value_millis).collect();
    let line = chart::sparkline(&values, MOST, WIDTH);
    let ends = |point: Option<&HistoryPoint>| point.and_then(|point| point.day.as_ref()).map(number::date);
    match (ends(points.first()), ends(points.last())) {
        (Some(first), Some(last)) => format!("{first} {line} {last}"),
        _ => line,
    }
}

fn table(points: &[HistoryPoint], language: Language) -> Table {
    let columns = vec![
        Column::left("day", Text::new("Day", "日付")),
        Column::right("score", Text::new("Score", "スコア")),
        Column::left("band", Text::new("Band", "バンド")),
        Column::left("level", Text::new("Level", "利用レベル")).optional(),
        Column::left("persona", Text::new("Persona", "ペルソナ")).optional(),
        Column::left("stage", Text::new("Stage", "ステージ")).optional(),
        Column::right("model_version", Text::new("Model", "モデル版")),
        Column::left("basis", Text::new("Basis", "基準")),
    ];
    Table::new(columns).with(points.iter().map(|point| {
        let band = if point.value_millis.is_some() {
            Cell::new(&point.band)
        } else {
            Cell::new(Text::new("unscored", "スコアなし").of(language)).raw("").tone(Tone::Quiet)
        };
        vec![
            number::date_cell(point.day.as_ref()),
            number::thousandths_cell(point.value_millis),
            band,
            Cell::new(&point.level),
            Cell::new(&point.persona),
            Cell::new(&point.stage),
            Cell::new(point.model_version.to_string()),
            words::basis(point.basis(), language),
        ]
    }))
}

#[cfg(test)]
mod tests {
    use keizoku_proto::google::Date;

    use super::*;

    #[test]
    fn an_unscored_day_is_a_gap_between_its_ends() {
        let point = |day, value_millis| HistoryPoint {
            day: Some(Date { year: 2024, month: 12, day }),
            value_millis,
            ..HistoryPoint::default()
        };
        let line = sparkline(&[point(1, Some(100_000)), point(2, None), point(3, Some(0))]);
        assert_eq!(line, "2024-12-01 █ ▁ 2024-12-03");
        assert_eq!(sparkline(&[]), "");
    }
}
