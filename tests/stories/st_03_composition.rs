//! ST-03, the composition: how many are in which band and stage, Good% − Bad%, and what pulls it down.

use keizoku_proto::ingestion::{
    Measurement, MetricDefinition, RecordMeasurementsRequest, measurement, metric_definition,
};
use keizoku_proto::scoring::metric_window::{Aggregation, Bucket};
use keizoku_proto::scoring::{Composition, CompositionGroup, HealthModel, ListCompositionSnapshotsRequest};
use keizoku_tests::make::{account, account_item, bands, date, label, stages, windowed};
use keizoku_tests::{Sandbox, User};

/// Stage, and how many of its customers are good, normal and bad.
type Spread = [(&'static str, [usize; 3]); 3];

const WEEK_1: Spread = [("trial", [2, 3, 5]), ("onboarding", [3, 5, 4]), ("adopted", [13, 4, 1])];
const POINTS: [(&str, f64); 3] = [("good", 80.0), ("normal", 50.0), ("bad", 20.0)];

#[tokio::test(flavor = "multi_thread")]
async fn the_index_rises_although_good_falls() {
    let sandbox = Sandbox::start().await;
    let mut user = User::new(&sandbox.client());
    user.set_day("2024-06-02").await.expect("a Sunday");
    prepare(&mut user).await;

    let customers = customers();
    let mut position = measure(&mut user, "2024-06-02", &customers).await;
    settle(&mut user, &customers, &position).await;
    let week_1 = user.composition(None).await.expect("a composition");
    check_week_1(&week_1);

    // Four trial customers rise from bad to normal, one adopted customer falls from good to normal.
    user.set_day("2024-06-05").await.expect("forward");
    let mut moved: Vec<(String, usize)> =
        customers.iter().filter(|(name, band)| name.starts_with("trial") && *band == 2).take(4).cloned().collect();
    moved.extend(customers.iter().find(|(name, band)| name.starts_with("adopted") && *band == 0).cloned());
    let moved: Vec<(String, usize)> = moved.into_iter().map(|(name, _)| (name, 1)).collect();
    position = measure(&mut user, "2024-06-05", &moved).await;
    settle(&mut user, &moved, &position).await;
    let week_2 = user.composition(None).await.expect("a composition");
    check_week_2(&week_2);

    let kept = snapshot(&mut user).await;
    assert_eq!(kept.day, Some(date("2024-06-02")));
    check_week_1(&kept);
}

fn check_week_1(composition: &Composition) {
    let total = composition.total.as_ref().expect("a total");
    assert_eq!((counts(total), total.account_count), (vec![18, 12, 10], 40));
    assert_eq!(shares(total), ["45.0", "30.0", "25.0"]);
    assert_eq!(total.index_millis, Some(20_000));
    let index = |stage: &str| group(composition, stage).index_millis;
    assert_eq!(index("trial"), Some(-30_000));
    assert_eq!(index("onboarding"), Some(-8_333));
    assert_eq!(index("adopted"), Some(66_667));
    assert_eq!(composition.bottleneck_stage, "trial");
    assert_eq!(group(composition, "trial").pull_millis, Some(-7_500));
    assert_eq!(group(composition, "onboarding").pull_millis, Some(-2_500));
    assert_eq!(composition.unscored.iter().map(|unscored| unscored.account_count).sum::<i64>(), 2);
}

fn check_week_2(composition: &Composition) {
    let total = composition.total.as_ref().expect("a total");
    assert_eq!((counts(total), total.account_count), (vec![17, 17, 6], 40));
    assert_eq!(shares(total), ["42.5", "42.5", "15.0"]);
    assert_eq!(total.index_millis, Some(27_500));
    let good = total.good.as_ref().expect("an estimate");
    assert_eq!((good.numerator, good.denominator), (17, 40));
    assert_eq!(composition.unscored.iter().map(|unscored| unscored.account_count).sum::<i64>(), 2);
}

async fn prepare(user: &mut User) {
    let mut items: Vec<_> = customers()
        .iter()
        .map(|(name, _)| account_item(name, &[("stage", name.split('-').next().unwrap_or_default())]))
        .collect();
    items.extend(["silent-1", "silent-2"].map(|name| account_item(name, &[("stage", "adopted")])));
    user.put_accounts(items).await.expect("accounts");
    user.put_metric(MetricDefinition {
        key: "rating".to_owned(),
        event_names: vec!["rating".to_owned()],
        measurement: true,
        aggregation: metric_definition::Aggregation::Last.into(),
        absence: metric_definition::Absence::Missing.into(),
        stale_after_days: 60,
        ..MetricDefinition::default()
    })
    .await
    .expect("a metric");
    let mut rating =
        windowed("rating", "rating", (Aggregation::Last, Bucket::Day, 28), 1.0, &[(0.0, 0.0), (100.0, 100.0)]);
    if let Some(keizoku_proto::scoring::measure::Input::Window(window)) = &mut rating.input {
        window.include_open = true;
    }
    user.apply(HealthModel {
        key: "health".to_owned(),
        label: Some(label("Health")),
        measures: vec![rating],
        bands: bands(),
        stages: stages(&["trial", "onboarding", "adopted"]),
        primary: true,
        ..HealthModel::default()
    })
    .await
    .expect("a model");
}

/// The customers of week 1 by name, with the place of their band.
fn customers() -> Vec<(String, usize)> {
    let mut customers = Vec::new();
    for (stage, spread) in WEEK_1 {
        for (band, count) in spread.into_iter().enumerate() {
            customers.extend((0..count).map(|number| (format!("{stage}-{}-{number}", POINTS[band].0), band)));
        }
    }
    customers
}

async fn measure(user: &mut User, day: &str, customers: &[(String, usize)]) -> Vec<u8> {
    let rate = |(name, band): &(String, usize)| Measurement {
        id: format!("{name}-{day}"),
        account: Some(account(name)),
        name: "rating".to_owned(),
        when: Some(measurement::When::OccurredOn(date(day))),
        value: Some(POINTS[*band].1),
        known_at: None,
    };
    let request = RecordMeasurementsRequest {
        source: "meeting".to_owned(),
        measurements: customers.iter().map(rate).collect(),
        validate_only: false,
    };
    let answer = user.events.record_measurements(request).await.expect("stored").into_inner();
    assert_eq!(usize::try_from(answer.stored_count).expect("a count"), customers.len());
    answer.position.to_vec()
}

async fn settle(user: &mut User, customers: &[(String, usize)], position: &[u8]) {
    for (name, _) in customers {
        user.score_at_least(name, position.to_vec()).await.expect("counted");
    }
}

/// The snapshot of week 1, once the week is closed.
async fn snapshot(user: &mut User) -> Composition {
    keizoku_testkit::eventually(std::time::Duration::from_secs(20), || {
        let mut user = user.clone();
        async move {
            let request = ListCompositionSnapshotsRequest::default();
            let answer = user.scores.list_composition_snapshots(request).await.ok()?.into_inner();
            answer.compositions.into_iter().next()
        }
    })
    .await
}

fn group<'a>(composition: &'a Composition, stage: &str) -> &'a CompositionGroup {
    composition.stages.iter().find(|group| group.stage == stage).expect("a stage of the model")
}

fn counts(group: &CompositionGroup) -> Vec<i64> {
    group.bands.iter().map(|band| band.account_count).collect()
}

fn shares(group: &CompositionGroup) -> Vec<String> {
    let share = |band: &keizoku_proto::scoring::BandCount| {
        let value = band.share.as_ref().and_then(|share| share.value).expect("a share");
        format!("{:.1}", value * 100.0)
    };
    group.bands.iter().map(share).collect()
}
