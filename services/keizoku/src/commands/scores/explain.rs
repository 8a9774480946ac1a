//! A score with what it is made of.

use keizoku_proto::scoring::contribution::Input;
use keizoku_proto::scoring::score::Result as Outcome;
use keizoku_proto::scoring::{Contribution, GetScoreResponse, InputFreshness, Score, Scored, Unscored};

use keizoku_proto::types::Availability;

use crate::client::reflect;
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone, number, words};

/// The answer to a question for one score.
pub(super) fn view(answer: &GetScoreResponse, language: Language) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.scoring.v1.GetScoreResponse", answer)?;
    let score = answer.score.as_ref().ok_or(Failure::Incomplete { what: "score" })?;
    let mut facts = head(score);
    let mut blocks = Vec::new();
    match &score.result {
        Some(Outcome::Scored(scored)) => {
            facts.extend(of_scored(scored));
            if !scored.contributions.is_empty() {
                blocks.push(Block::Table(contributions(&scored.contributions, language)));
                blocks.push(Block::Line(sum(scored, language), Tone::Strong));
            }
        }
        Some(Outcome::Unscored(unscored)) => facts.extend(of_unscored(unscored, language)),
        None => {}
    }
    facts.extend(tail(score, answer, language));
    blocks.insert(0, Block::Facts(facts));
    if !score.inputs.is_empty() {
        blocks.push(Block::Aside(freshness(&score.inputs)));
    }
    Ok(Answer::one(json, blocks))
}

fn head(score: &Score) -> Vec<(Column, Cell)> {
    vec![
        (
            Column::left("account", Text::new("Account", "顧客")).optional(),
            Cell::new(&score.account_name).tone(Tone::Strong),
        ),
        (Column::left("account_id", Text::new("Id", "ID")), Cell::new(&score.account_id)),
    ]
}

fn of_scored(scored: &Scored) -> Vec<(Column, Cell)> {
    let tone = words::tone(&scored.polarity);
    vec![
        (
            Column::right("score", Text::new("Score", "スコア")),
            Cell::new(number::thousandths(scored.value_millis)).tone(Tone::Strong),
        ),
        (Column::left("band", Text::new("Band", "バンド")).optional(), Cell::new(&scored.band).tone(tone)),
        (Column::left("band_since", Text::new("In it since", "開始日")), number::date_cell(scored.band_since.as_ref())),
        (
            Column::right("change_7d", Text::new("Against 7 days ago", "7日前との差")),
            number::change_cell(scored.change_7d_millis),
        ),
        (
            Column::right("change_28d", Text::new("Against 28 days ago", "28日前との差")),
            number::change_cell(scored.change_28d_millis),
        ),
        (Column::left("level", Text::new("Level", "利用レベル")).optional(), Cell::new(&scored.level)),
        (Column::left("persona", Text::new("Persona", "ペルソナ")).optional(), Cell::new(&scored.persona)),
        (
            Column::right("covered_weight", Text::new("Weight with data", "データのある重み")),
            Cell::new(number::share(scored.covered_weight_micros)).raw(scored.covered_weight_micros.to_string()),
        ),
    ]
}

fn of_unscored(unscored: &Unscored, language: Language) -> Vec<(Column, Cell)> {
    let reason = unscored.reason();
    vec![
        (Column::right("score", Text::new("Score", "スコア")), Cell::missing()),
        (
            Column::left("unscored_reason", Text::new("No score because", "スコアなしの理由")),
            Cell::new(words::unscored(reason, language)).raw(words::reason_name(reason)).tone(Tone::Warning),
        ),
        (
            Column::left("missing_measures", Text::new("Without a value", "値のない指標")).optional(),
            Cell::new(unscored.missing_measures.join(" ")),
        ),
    ]
}

fn tail(score: &Score, answer: &GetScoreResponse, language: Language) -> Vec<(Column, Cell)> {
    let model = format!("{} v{}", score.model, score.model_version);
    let stale = if score.stale { score.stale_reason.as_str() } else { "" };
    vec![
        (Column::left("stage", Text::new("Stage", "ステージ")).optional(), Cell::new(&score.stage)),
        (
            Column::left("monthly_revenue", Text::new("Revenue", "月次売上")),
            number::money_cell(&score.monthly_revenue, language),
        ),
        (
            Column::left("next_renewal_on", Text::new("Renews", "次回更新")),
            number::date_cell(score.next_renewal_on.as_ref()),
        ),
        (Column::left("day", Text::new("Day", "対象日")), number::date_cell(score.day.as_ref())),
        (Column::left("model", Text::new("Model", "モデル")), Cell::new(model)),
        (Column::left("basis", Text::new("Basis", "基準")), words::basis(score.basis(), language)),
        (
            Column::left("computed_at", Text::new("Computed", "計算日時")),
            number::instant_cell(score.computed_at.as_ref()),
        ),
        (
            Column::left("confirmed_at", Text::new("Confirmed", "確認日時")),
            number::instant_cell(answer.confirmed_at.as_ref()),
        ),
        (Column::left("stale", Text::new("Stale", "古い入力")).optional(), Cell::new(stale).tone(Tone::Warning)),
    ]
}

fn contributions(contributions: &[Contribution], language: Language) -> Table {
    let columns = vec![
        Column::left("measure", Text::new("Measure", "指標")),
        Column::right("value", Text::new("Value", "値")),
        Column::left("unit", Text::new("", "")).optional(),
        Column::right("previous_value", Text::new("28 days ago", "28日前")).extra(),
        Column::right("target", Text::new("Target", "目標")),
        Column::right("points", Text::new("Points", "点数")),
        Column::right("weight_share", Text::new("Weight", "重み")),
        Column::right("contribution", Text::new("Contribution", "寄与")),
        Column::right(
            "gain_at_target",
            Text::new("At target (arithmetic, not advice)", "目標達成時の増分（計算値であり助言ではない）"),
        ),
    ];
    Table::new(columns).with(contributions.iter().map(|one| contribution(one, language)))
}

fn contribution(one: &Contribution, language: Language) -> Vec<Cell> {
    let value = match &one.input {
        Some(Input::Value(value)) => Cell::new(number::decimal(*value)),
        Some(Input::Missing(why)) => {
            let why = Availability::try_from(*why).unwrap_or_default();
            Cell::new(words::availability(why, language)).raw("").tone(Tone::Warning)
        }
        None => Cell::missing(),
    };
    let has_value = matches!(one.input, Some(Input::Value(_)));
    // A measure without a value has points where the model gives it some in place of the value.
    let has_points = has_value || one.contribution_millis != 0;
    vec![
        Cell::new(language.label(one.label.as_ref(), &one.measure)).raw(&one.measure),
        value,
        Cell::new(language.label(one.unit.as_ref(), "")),
        Cell::optional(one.previous_value.map(number::decimal)),
        Cell::optional(one.target.map(number::decimal)),
        number::thousandths_cell(has_points.then_some(one.points_millis)),
        Cell::new(number::share(one.weight_share_micros)).raw(one.weight_share_micros.to_string()),
        Cell::new(number::thousandths(one.contribution_millis)),
        Cell::new(number::change(one.gain_at_target_millis)).raw(number::thousandths(one.gain_at_target_millis)),
    ]
}

/// The contributions add up to the score exactly; were they not to, it would be seen here.
fn sum(scored: &Scored, language: Language) -> String {
    let total: i32 = scored.contributions.iter().map(|one| one.contribution_millis).sum();
    let (sum, score) = (Text::new("sum of the contributions", "寄与の合計"), Text::new("the score", "スコア"));
    let sign = if total == scored.value_millis { "=" } else { "≠" };
    format!("{}: {} {sign} {}", sum.of(language), number::thousandths(total), score.of(language))
}

fn freshness(inputs: &[InputFreshness]) -> Table {
    let columns = vec![
        Column::left("source", Text::new("Source", "データ源")),
        Column::left("oldest_on", Text::new("Data from", "最古")),
        Column::left("newest_on", Text::new("Data until", "最新")),
    ];
    Table::new(columns).with(inputs.iter().map(|input| {
        vec![
            Cell::new(&input.source),
            number::date_cell(input.oldest_on.as_ref()),
            number::date_cell(input.newest_on.as_ref()),
        ]
    }))
}

#[cfg(test)]
mod tests {
    use keizoku_proto::scoring::unscored::Reason;

    use super::*;
    use crate::output::{Format, Style};

    const STYLE: Style = Style { format: Format::Table, language: Language::English, colour: false, terminal: false };

    fn text(result: Outcome) -> String {
        let score = Score { account_id: "acc_1".to_owned(), result: Some(result), ..Score::default() };
        let answer = GetScoreResponse { score: Some(score), ..GetScoreResponse::default() };
        view(&answer, Language::English).expect("an answer").render(&STYLE).expect("text")
    }

    #[test]
    fn an_explained_score_shows_each_part_and_that_they_add_up() {
        let part = |measure: &str, input, contribution_millis| Contribution {
            measure: measure.to_owned(),
            input: Some(input),
            points_millis: contribution_millis,
            contribution_millis,
            gain_at_target_millis: 1_000,
            ..Contribution::default()
        };
        let missing = Input::Missing(Availability::NotCovered.into());
        let contributions = vec![part("usage", Input::Value(12.5), 59_999), part("nps", missing, 0)];
        let told = text(Outcome::Scored(Scored { value_millis: 59_999, contributions, ..Scored::default() }));
        assert!(told.contains("arithmetic, not advice"), "{told}");
        assert!(told.contains("sum of the contributions: 59.999 = the score"), "{told}");
        let nps = told.lines().find(|line| line.starts_with("nps")).expect("a line");
        assert!(nps.contains("not covered") && nps.contains('—'), "{nps}");
    }

    #[test]
    fn an_unscored_account_shows_its_reason_and_what_is_missing() {
        let unscored = Unscored { reason: Reason::NotCovered.into(), missing_measures: vec!["usage".to_owned()] };
        let told = text(Outcome::Unscored(unscored));
        assert!(told.contains("not covered by a source"), "{told}");
        assert!(told.lines().any(|line| line.starts_with("Without a value") && line.ends_with("usage")), "{told}");
    }
}
