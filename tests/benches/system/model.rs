//! The health model of the measurements, and reads by it.

use anyhow::{Context as _, bail};
use keizoku_proto::scoring::get_score_request::Consistency;
use keizoku_proto::scoring::measure::Input;
use keizoku_proto::scoring::metric_window::{Aggregation, Bucket};
use keizoku_proto::scoring::missing_rule::Treatment;
use keizoku_proto::scoring::model_service_client::ModelServiceClient;
use keizoku_proto::scoring::score::Result as Outcome;
use keizoku_proto::scoring::score_service_client::ScoreServiceClient;
use keizoku_proto::scoring::{
    ApplyModelRequest, Band, GetScoreRequest, GetScoreResponse, HealthModel, Measure, MetricWindow, MissingRule,
    Polarity, ScalePoint, ScoreView, contribution,
};
use keizoku_proto::types::{AccountRef, Label};
use tonic::Code;

use super::channel::Wire;

/// The measure that every event moves.
const ACTIONS: &str = "actions";

/// Puts the model in force: five measures, one for each metric.
pub(crate) async fn apply(wire: &Wire) -> anyhow::Result<()> {
    let request = ApplyModelRequest { model: Some(model()), ..ApplyModelRequest::default() };
    ModelServiceClient::new(wire.clone()).apply_model(request).await?;
    Ok(())
}

/// Asks for a score with its contributions; with a position, for one that contains everything up to there.
pub(crate) fn question(account: AccountRef, at_least: Option<bytes::Bytes>) -> GetScoreRequest {
    GetScoreRequest {
        account: Some(account),
        view: ScoreView::Explained.into(),
        consistency: at_least.map(Consistency::AtLeast),
        ..GetScoreRequest::default()
    }
}

/// Asks until there is a score.
pub(crate) async fn scored(wire: &Wire, question: &GetScoreRequest) -> anyhow::Result<GetScoreResponse> {
    let mut service = ScoreServiceClient::new(wire.clone());
    for _ in 0..600 {
        match service.get_score(question.clone()).await {
            Ok(answer) if actions(answer.get_ref()).is_some() => return Ok(answer.into_inner()),
            Err(status) if !behind(&status) && status.code() != Code::NotFound => return Err(status.into()),
            Ok(_) | Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
    bail!("{:?} has no score after a minute", question.account)
}

/// Whether the answer only says that scoring has not come so far, or that there is too much to do.
pub(crate) fn behind(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled)
}

/// How many actions of the last seven days a score counts; `None` where there is no score.
pub(crate) fn actions(answer: &GetScoreResponse) -> Option<f64> {
    let Some(Outcome::Scored(scored)) = &answer.score.as_ref()?.result else { return None };
    let contribution = scored.contributions.iter().find(|contribution| contribution.measure == ACTIONS)?;
    match contribution.input.as_ref()? {
        contribution::Input::Value(value) => Some(*value),
        contribution::Input::Missing(_) => None,
    }
}

/// The actions of an answer that must have them.
pub(crate) fn counted_actions(answer: &GetScoreResponse) -> anyhow::Result<f64> {
    actions(answer).context("a score that was there is there no more")
}

fn model() -> HealthModel {
    HealthModel {
        key: "bench".to_owned(),
        label: label("Bench"),
        primary: true,
        missing: Some(MissingRule { treatment: Treatment::Reweight.into(), ..MissingRule::default() }),
        measures: vec![
            measure(ACTIONS, 4.0, window("actions", Aggregation::Sum, 7), 10_000.0),
            measure("active_users", 2.0, window("active_users", Aggregation::DistinctUsers, 7), 20.0),
            measure("revenue", 1.0, window("revenue", Aggregation::Mean, 28), 5_000.0),
            measure("mobile_days", 1.0, window("mobile_actions", Aggregation::ActiveDays, 28), 28.0),
            measure("longest_export", 1.0, window("longest_export", Aggregation::Max, 28), 60_000.0),
        ],
        bands: vec![
            band("good", Polarity::Good, "score.value >= 60"),
            band("fair", Polarity::Neutral, "score.value >= 30"),
            band("poor", Polarity::Bad, ""),
        ],
        ..HealthModel::default()
    }
}

fn measure(key: &str, weight: f64, window: MetricWindow, full: f64) -> Measure {
    Measure {
        key: key.to_owned(),
        label: label(key),
        unit: label("per window"),
        weight,
        input: Some(Input::Window(window)),
        scale: vec![ScalePoint { value: 0.0, points: 0.0 }, ScalePoint { value: full, points: 100.0 }],
        ..Measure::default()
    }
}

/// The last `days` days, today included: what happens now moves the score now.
fn window(metric: &str, aggregation: Aggregation, days: i32) -> MetricWindow {
    MetricWindow {
        metric: metric.to_owned(),
        aggregation: aggregation.into(),
        bucket: Bucket::Day.into(),
        length: days,
        include_open: true,
        ..MetricWindow::default()
    }
}

fn band(key: &str, polarity: Polarity, when: &str) -> Band {
    Band { key: key.to_owned(), label: label(key), polarity: polarity.into(), when: when.to_owned() }
}

fn label(text: &str) -> Option<Label> {
    Some(Label { en: text.to_owned(), ja: text.to_owned() })
}
