//! Stories of the field, as far as they are scoring's.

use keizoku_convert::date;
use keizoku_proto::ingestion::metric_definition::Aggregation as Counting;
use keizoku_proto::scoring::{
    GetCompositionRequest, HealthModel, Measure, ScalePoint, Stage, measure, metric_window, score,
};

use crate::models::{model, window};
use crate::rig::Rig;
use crate::told::{account, account_id, counted, covered, day, days, delivered, metric};

#[tokio::test]
async fn a_step_by_step_connection_gives_75_and_then_65() {
    use metric_window::{Aggregation, Bucket};
    let rig = Rig::start().await;
    let (kaede, unreported) = (account_id(1), account_id(2));
    rig.tell([metric("logins", "app", 1, Counting::Count), account(kaede, &[]), account(unreported, &[])]).await;
    let logins = window("logins", 0.6, Aggregation::ActiveDays, (Bucket::Month, 1), 20.0);
    rig.apply(HealthModel { effective_from: Some(date(day("2024-04-01"))), ..model(vec![logins.clone()]) }).await;
    for id in [kaede, unreported] {
        rig.tell((3..18).map(|number| counted(id, day("2024-04-01").plus(number), &[("logins", 2)]))).await;
        rig.tell([covered(id, "app", day("2024-04-01"), day("2024-04-30"))]).await;
    }
    rig.tell([delivered(kaede.partition(), "app", days("2024-04-01", "2024-04-30"))]).await;
    let april = rig.scored(kaede).await;
    assert_eq!((april.value_millis, april.band.as_str()), (75_000, "good"));

    rig.tell([metric("reports", "reporting", 1, Counting::Count)]).await;
    let reports = window("reports", 0.4, Aggregation::Sum, (Bucket::Month, 1), 8.0);
    let second = HealthModel { effective_from: Some(date(day("2024-05-01"))), ..model(vec![logins, reports]) };
    assert_eq!(rig.apply(second).await.model.map(|model| model.version), Some(2));
    for id in [kaede, unreported] {
        rig.tell((1..16).map(|number| counted(id, day("2024-05-01").plus(number), &[("logins", 1)]))).await;
        rig.tell([covered(id, "app", day("2024-04-01"), day("2024-05-31"))]).await;
    }
    let both = |on: &str, reports| counted(kaede, day(on), &[("logins", 1), ("reports", reports)]);
    rig.tell([both("2024-05-07", 3), both("2024-05-15", 1)]).await;
    rig.tell([
        covered(kaede, "reporting", day("2024-05-01"), day("2024-05-31")),
        delivered(kaede.partition(), "app", days("2024-04-01", "2024-05-31")),
        delivered(kaede.partition(), "reporting", days("2024-05-01", "2024-05-31")),
    ])
    .await;
    rig.morning_of("2024-06-01").await;
    let may = rig.score(kaede).await;
    let Some(score::Result::Scored(scored)) = &may.result else { panic!("no score") };
    assert_eq!((may.model_version, scored.value_millis, scored.band.as_str()), (2, 65_000, "normal"));
    let parts: Vec<_> = scored
        .contributions
        .iter()
        .map(|part| (part.measure.as_str(), part.points_millis, part.contribution_millis))
        .collect();
    assert_eq!(parts, [("logins", 75_000, 45_000), ("reports", 50_000, 20_000)]);
    // Without a source of reports the rest counts for more, and the answer says so.
    let rest = rig.scored(unreported).await;
    assert_eq!((rest.value_millis, rest.covered_weight_micros), (75_000, 600_000));
    rig.stop().await;
}

/// Accounts by stage and band, as the weekly meeting looks at them.
const FIRST: [(&str, [u8; 3]); 3] = [("trial", [2, 3, 5]), ("onboarding", [3, 5, 4]), ("adopted", [13, 4, 1])];

#[tokio::test]
async fn the_weekly_meeting_sees_index_pulls_and_bottleneck() {
    let rig = Rig::start().await;
    let points = Measure {
        key: "points".to_owned(),
        weight: 1.0,
        input: Some(measure::Input::Expression(
            "account.band == \"good\" ? 80.0 : (account.band == \"normal\" ? 50.0 : 10.0)".to_owned(),
        )),
        scale: vec![ScalePoint { value: 0.0, points: 0.0 }, ScalePoint { value: 100.0, points: 100.0 }],
        ..Measure::default()
    };
    let stage =
        |key: &str| Stage { key: key.to_owned(), when: format!("account.stage == \"{key}\""), ..Stage::default() };
    let stages = ["trial", "onboarding", "adopted"].map(stage).to_vec();
    rig.apply(HealthModel { stages, ..model(vec![points]) }).await;
    let mut number = 0;
    let mut told = Vec::new();
    for (stage, counts) in FIRST {
        for (band, count) in ["good", "normal", "bad"].into_iter().zip(counts) {
            for _ in 0..count {
                number += 1;
                told.push(account(account_id(number), &[("stage", stage), ("band", band)]));
            }
        }
    }
    told.extend([account(account_id(101), &[("stage", "trial")]), account(account_id(102), &[("stage", "trial")])]);
    rig.tell(told).await;
    let asked = rig.request(GetCompositionRequest::default());
    let found = rig.reader().get_composition(asked).await.expect("a composition").into_inner().composition;
    let composition = found.expect("a composition");
    let total = composition.total.as_ref().expect("a total");
    assert_eq!((total.account_count, total.index_millis), (40, Some(20_000)));
    assert_eq!(total.bands.iter().map(|band| band.account_count).collect::<Vec<_>>(), [18, 12, 10]);
    let pulls: Vec<_> =
        composition.stages.iter().map(|stage| (stage.stage.as_str(), stage.index_millis, stage.pull_millis)).collect();
    assert_eq!(
        pulls,
        [
            ("trial", Some(-30_000), Some(-7_500)),
            ("onboarding", Some(-8_333), Some(-2_500)),
            ("adopted", Some(66_667), Some(30_000)),
        ]
    );
    assert_eq!(composition.bottleneck_stage, "trial");
    assert_eq!(composition.unscored.iter().map(|unscored| unscored.account_count).sum::<i64>(), 2);
    rig.stop().await;
}
