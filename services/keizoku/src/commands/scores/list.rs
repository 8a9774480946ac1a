//! `keizoku scores list`.

use clap::Args;
use keizoku_proto::scoring::list_scores_request::Order;
use keizoku_proto::scoring::score::Result as Outcome;
use keizoku_proto::scoring::{ListScoresRequest, Score};

use super::FilterArgs;
use crate::client::pages::RowArgs;
use crate::client::{Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Cell, Column, Language, Table, Text, Tone, number, words};

/// Flags of the command.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The worst first, unscored accounts last
    #[arg(long)]
    worst: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only accounts with a score
    #[arg(long, conflicts_with = "unscored")]
    scored: bool,
    /// Only accounts without a score
    #[arg(long)]
    unscored: bool,
    /// By this model; else the primary one
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    model: String,
    #[command(flatten)]
    rows: RowArgs,
}

impl List {
    /// Asks, and prints the answer.
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let scored = (self.scored || self.unscored).then_some(self.scored);
        let order = if self.worst { Order::ValueAscending } else { Order::Unspecified };
        let request = ListScoresRequest {
            model: self.model,
            filter: self.filter.message(scored),
            order: order.into(),
            ..ListScoresRequest::default()
        };
        let found = session
            .pages(
                &methods::LIST_SCORES,
                request,
                &self.rows,
                |request, size, token| (request.page_size, request.page_token) = (size, token),
                |answer| (answer.scores, answer.next_page_token),
            )
            .await?;
        let json = reflect::list("keizoku.scoring.v1.Score", &found.rows)?;
        let table = table(&found.rows, session.language());
        session.print_rows(&Answer::list(json, table), found.more())
    }
}

fn table(scores: &[Score], language: Language) -> Table {
    let columns = vec![
        Column::left("account", Text::new("Account", "顧客")),
        Column::left("account_id", Text::new("Id", "ID")),
        Column::right("score", Text::new("Score", "スコア")),
        Column::left("band", Text::new("Band", "バンド")),
        Column::left("band_since", Text::new("Since", "開始日")).extra(),
        Column::right("change_7d", Text::new("7 days", "7日")),
        Column::right("change_28d", Text::new("28 days", "28日")).extra(),
        Column::left("stage", Text::new("Stage", "ステージ")).extra(),
        Column::right("monthly_revenue", Text::new("Revenue", "月次売上")).extra(),
        Column::left("next_renewal_on", Text::new("Renews", "次回更新")).extra(),
        Column::left("unscored_reason", Text::new("No score because", "スコアなしの理由")).optional(),
        Column::left("stale", Text::new("Stale", "古い入力")).optional(),
    ];
    Table::new(columns).with(scores.iter().map(|score| row(score, language)))
}

fn row(score: &Score, language: Language) -> Vec<Cell> {
    let mut cells = vec![Cell::new(&score.account_name), Cell::new(&score.account_id)];
    let mut reason = Cell::new("");
    match &score.result {
        Some(Outcome::Scored(scored)) => cells.extend([
            Cell::new(number::thousandths(scored.value_millis)),
            Cell::new(&scored.band).tone(words::tone(&scored.polarity)),
            number::date_cell(scored.band_since.as_ref()),
            number::change_cell(scored.change_7d_millis),
            number::change_cell(scored.change_28d_millis),
        ]),
        Some(Outcome::Unscored(unscored)) => {
            cells.extend([(); 5].map(|()| Cell::missing()));
            let found = unscored.reason();
            reason = Cell::new(words::unscored(found, language)).raw(words::reason_name(found)).tone(Tone::Warning);
        }
        None => cells.extend([(); 5].map(|()| Cell::missing())),
    }
    let stale = if score.stale { score.stale_reason.as_str() } else { "" };
    cells.extend([
        Cell::new(&score.stage),
        number::money_cell(&score.monthly_revenue, language),
        number::date_cell(score.next_renewal_on.as_ref()),
        reason,
        Cell::new(stale).tone(Tone::Warning),
    ]);
    cells
}

#[cfg(test)]
mod tests {
    use keizoku_proto::scoring::unscored::Reason;
    use keizoku_proto::scoring::{Scored, Unscored};

    use super::*;
    use crate::output::{Format, Style};

    fn rendered(format: Format) -> String {
        let scored =
            Scored { value_millis: 0, band: "bad".to_owned(), polarity: "bad".to_owned(), ..Scored::default() };
        let unscored = Unscored { reason: Reason::TooShort.into(), missing_measures: Vec::new() };
        let of = |name: &str, result| Score { account_name: name.to_owned(), result: Some(result), ..Score::default() };
        let scores = [of("Zero", Outcome::Scored(scored)), of("New", Outcome::Unscored(unscored))];
        let style = Style { format, language: Language::English, colour: false, terminal: false };
        Answer::list(Vec::new(), table(&scores, Language::English)).render(&style).expect("a table")
    }

    #[test]
    fn an_account_without_a_score_is_no_zero() {
        let text = rendered(Format::Table);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains(" 0.000 "), "{}", lines[1]);
        assert!(lines[2].contains('—') && !lines[2].contains('0'), "{}", lines[2]);
        assert!(lines[2].ends_with("data for too short a time"), "{}", lines[2]);
    }

    #[test]
    fn programs_get_the_reason_by_its_name_and_empty_values() {
        let text = rendered(Format::Csv);
        assert_eq!(text.lines().nth(2), Some("New,,,,,,,,,,TOO_SHORT,"));
    }
}
