//! Models: applied, refused, promoted.

use keizoku_convert::date;
use keizoku_proto::ingestion::metric_definition::Aggregation as Counting;
use keizoku_proto::scoring::{
    ApplyModelRequest, Band, GetModelRequest, HealthModel, ListModelsRequest, Measure, MetricWindow, MissingRule,
    Polarity, ScalePoint, measure, metric_window,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::rig::Rig;
use crate::told::{account, account_id, counted, covered, day, days, delivered, metric};

/// A measure of a metric over a window.
pub(crate) fn window(
    key: &str,
    weight: f64,
    aggregation: metric_window::Aggregation,
    (bucket, length): (metric_window::Bucket, i32),
    best: f64,
) -> Measure {
    let window = MetricWindow {
        metric: key.to_owned(),
        aggregation: aggregation.into(),
        bucket: bucket.into(),
        length,
        offset: 0,
        include_open: false,
    };
    Measure {
        key: key.to_owned(),
        weight,
        input: Some(measure::Input::Window(window)),
        scale: vec![ScalePoint { value: 0.0, points: 0.0 }, ScalePoint { value: best, points: 100.0 }],
        ..Measure::default()
    }
}

/// Good from 70, normal from 40, else bad.
pub(crate) fn model(measures: Vec<Measure>) -> HealthModel {
    let band = |key: &str, polarity: Polarity, when: &str| Band {
        key: key.to_owned(),
        polarity: polarity.into(),
        when: when.to_owned(),
        ..Band::default()
    };
    HealthModel {
        key: "health".to_owned(),
        measures,
        bands: vec![
            band("good", Polarity::Good, "score.value >= 70"),
            band("normal", Polarity::Neutral, "score.value >= 40"),
            band("bad", Polarity::Bad, ""),
        ],
        primary: true,
        effective_from: Some(date(day("2024-01-01"))),
        ..HealthModel::default()
    }
}

/// The sum of the last seven closed days, 70 being the best.
pub(crate) fn weekly() -> HealthModel {
    use metric_window::{Aggregation, Bucket};
    model(vec![window("logins", 1.0, Aggregation::Sum, (Bucket::Day, 7), 70.0)])
}

/// One account with ten logins on every day of April, and what they are counted by.
pub(crate) async fn with_logins(rig: &Rig) {
    let id = account_id(1);
    rig.tell([metric("logins", "app", 1, Counting::Count), account(id, &[])]).await;
    let april = days("2024-04-01", "2024-04-30");
    rig.tell(april.clone().map(|on| counted(id, on, &[("logins", 10)]))).await;
    let (first, last) = (day("2024-04-01"), day("2024-04-30"));
    rig.tell([covered(id, "app", first, last), delivered(id.partition(), "app", april)]).await;
}

#[tokio::test]
async fn another_document_is_the_next_version_and_the_same_one_is_not() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    let first = rig.apply(weekly()).await;
    assert!(first.changed && first.previous.is_none());
    assert_eq!(first.model.as_ref().map(|model| (model.version, model.in_force, model.primary)), Some((1, true, true)));
    let again = rig.apply(weekly()).await;
    assert!(!again.changed);
    assert_eq!(again.model, first.model);
    assert_eq!(rig.scored(account_id(1)).await.value_millis, 100_000);

    let from = Some(date(day("2024-05-03")));
    let mut later = HealthModel { effective_from: from, ..weekly() };
    later.measures[0].scale[1].value = 140.0;
    let second = rig.apply(later).await;
    assert_eq!(second.model.as_ref().map(|model| (model.version, model.in_force)), Some((2, false)));
    assert_eq!(second.previous.as_ref().map(|model| model.version), Some(1));
    assert_eq!(
        (rig.score(account_id(1)).await.model_version, rig.scored(account_id(1)).await.value_millis),
        (1, 100_000)
    );
    rig.morning_of("2024-05-03").await;
    // Five closed days with ten logins each, two with none but a source that is not silent for too long.
    assert_eq!(
        (rig.score(account_id(1)).await.model_version, rig.scored(account_id(1)).await.value_millis),
        (2, 35_714)
    );
    let listed =
        rig.models().list_models(rig.request(ListModelsRequest::default())).await.expect("models").into_inner();
    let versions: Vec<_> = listed.models.iter().map(|model| (model.version, model.in_force)).collect();
    assert_eq!(versions, [(2, true), (1, false)]);
    let asked = GetModelRequest { key: String::new(), version: 1 };
    let old = rig.models().get_model(rig.request(asked)).await.expect("a model").into_inner().model.expect("a model");
    assert_eq!(old.effective_from, Some(date(day("2024-01-01"))));
    rig.stop().await;
}

#[tokio::test]
async fn two_models_score_the_same_account_and_one_is_primary() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    let other = HealthModel { key: "other".to_owned(), primary: false, ..weekly() };
    let applied = rig.apply(other.clone()).await;
    assert_eq!(applied.model.map(|model| model.primary), Some(false));
    let primaries = |rows: Vec<keizoku_storage::Row>| -> Vec<(String, bool)> {
        rows.iter().map(|row| (row.get(0).expect("a key"), row.get(1).expect("a flag"))).collect()
    };
    let sql = "SELECT model, is_primary FROM score ORDER BY model";
    assert_eq!(primaries(rig.rows(sql).await), [("health".to_owned(), true), ("other".to_owned(), false)]);
    let takes_over = rig.apply(HealthModel { primary: true, ..other }).await;
    assert!(takes_over.changed);
    assert_eq!(primaries(rig.rows(sql).await), [("health".to_owned(), false), ("other".to_owned(), true)]);
    let told = rig.told_health().await;
    let last = |model: &str| told.iter().rfind(|(_, health)| health.model == model).expect("told").1.primary;
    assert_eq!((last("health"), last("other")), (false, true));
    rig.stop().await;
}

#[tokio::test]
async fn a_model_that_names_an_unknown_metric_is_refused_with_what_was_meant() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    let mut wrong = weekly();
    let Some(measure::Input::Window(window)) = &mut wrong.measures[0].input else { panic!("a window") };
    window.metric = "login".to_owned();
    let refused = rig.try_apply(wrong).await.expect_err("no such metric");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = refused.get_details_bad_request().expect("violations").field_violations;
    let named = &violations[0];
    assert_eq!((violations.len(), named.field.as_str()), (1, "model.measures[0].window.metric"));
    assert!(named.description.contains("logins"), "{}", named.description);
    assert!(rig.rows("SELECT key FROM model").await.is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn a_metric_may_arrive_while_the_model_waits() {
    let rig = Rig::start().await;
    let applied = rig.try_apply(weekly());
    let told = async {
        tokio::task::yield_now().await;
        rig.feed.tell([metric("logins", "app", 1, Counting::Count)]);
    };
    let (applied, ()) = tokio::join!(applied, told);
    assert!(applied.expect("it arrived").changed);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_id_gives_the_first_answer_again_and_refuses_another_body() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    let message = ApplyModelRequest { request_id: "r1".to_owned(), model: Some(weekly()), validate_only: false };
    let first = rig.models().apply_model(rig.request(message.clone())).await.expect("applied").into_inner();
    let again = rig.models().apply_model(rig.request(message.clone())).await.expect("repeated").into_inner();
    assert!(first.changed && again == first);
    let other = ApplyModelRequest { model: Some(HealthModel { applies_to: "true".to_owned(), ..weekly() }), ..message };
    let refused = rig.models().apply_model(rig.request(other)).await.expect_err("another body");
    assert_eq!(refused.code(), Code::AlreadyExists);
    let only = ApplyModelRequest {
        request_id: String::new(),
        model: Some(HealthModel { applies_to: "contract.active".to_owned(), ..weekly() }),
        validate_only: true,
    };
    let compared = rig.models().apply_model(rig.request(only)).await.expect("valid").into_inner();
    assert!(compared.changed);
    assert_eq!(rig.rows("SELECT version FROM model").await.len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_measure_without_a_value_follows_the_missing_value_rule() {
    use keizoku_proto::scoring::missing_rule::Treatment;
    use metric_window::{Aggregation, Bucket};
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.tell([metric("reports", "reporting", 1, Counting::Count)]).await;
    let measures = vec![
        window("logins", 0.6, Aggregation::Sum, (Bucket::Day, 7), 140.0),
        window("reports", 0.4, Aggregation::Sum, (Bucket::Day, 7), 8.0),
    ];
    let with = |missing: Option<MissingRule>| HealthModel { missing, ..model(measures.clone()) };
    rig.apply(with(None)).await;
    let scored = rig.scored(account_id(1)).await;
    assert_eq!((scored.value_millis, scored.covered_weight_micros), (50_000, 600_000));
    let rule = |treatment: Treatment, points, minimum_covered_weight| {
        Some(MissingRule { treatment: treatment.into(), points, minimum_covered_weight })
    };
    rig.apply(with(rule(Treatment::FixedPoints, 25.0, 0.0))).await;
    assert_eq!(rig.scored(account_id(1)).await.value_millis, 40_000);
    rig.apply(with(rule(Treatment::Reweight, 0.0, 0.7))).await;
    let unscored = rig.score(account_id(1)).await;
    let Some(keizoku_proto::scoring::score::Result::Unscored(why)) = unscored.result else { panic!("too little") };
    assert_eq!(why.reason(), keizoku_proto::scoring::unscored::Reason::NotCovered);
    assert_eq!(why.missing_measures, ["reports"]);
    rig.stop().await;
}

#[tokio::test]
async fn eight_callers_at_once_make_eight_versions_and_one_primary_model() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    let calls = (1..=8_i32).map(|number| {
        let mut document = weekly();
        document.measures[0].scale[1].value = f64::from(number * 10);
        document.key = if number % 2 == 0 { "even".to_owned() } else { "odd".to_owned() };
        rig.try_apply(document)
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.changed)), "{answers:?}");
    let rows = rig.rows("SELECT key, version FROM model ORDER BY key, version").await;
    let versions: Vec<(String, i32)> =
        rows.iter().map(|row| (row.get(0).expect("a key"), row.get(1).expect("a version"))).collect();
    let wanted = ["even", "odd"].into_iter().flat_map(|key| (1..=4).map(move |version| (key.to_owned(), version)));
    assert_eq!(versions, wanted.collect::<Vec<_>>());
    rig.settle().await;
    let primary = rig.rows("SELECT DISTINCT key FROM model WHERE is_primary").await;
    assert_eq!(primary.len(), 1);
    rig.stop().await;
}
