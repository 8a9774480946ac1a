//! ST-01: an engineer connects a product step by step, in a test workspace first, then for real.

use keizoku_proto::ingestion::{Event, workspace};
use keizoku_proto::scoring::contribution::Input;
use keizoku_proto::scoring::metric_window::Aggregation;
use keizoku_proto::scoring::score::Result as Health;
use keizoku_proto::scoring::{Basis, HealthModel, MissingRule, Score, Scored, missing_rule};
use keizoku_proto::types::Availability;
use keizoku_tests::make::{account_item, bands, count, date, event_on, label, monthly, property};
use keizoku_tests::{Sandbox, User};

/// Customers and on how many days of April and of May each logged in.
const CUSTOMERS: [(&str, u32); 5] = [("kaede", 15), ("aoi", 10), ("sumire", 20), ("hinata", 4), ("ren", 8)];

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_connects_a_product_step_by_step() {
    let sandbox = Sandbox::start().await;
    let mut trial = User::new(&sandbox.client());
    connect(&mut trial).await;

    let key = trial.create_workspace("live", workspace::Kind::Live).await.expect("the first key may");
    let mut live = User::new(&sandbox.client_with(&key));
    assert_eq!(live.coverage().await.expect("coverage").account_count, 0, "test data showed up in live counts");
    connect(&mut live).await;
    assert_eq!(logins(&mut live).await, logins(&mut trial).await);
    assert_eq!(logins(&mut live).await, (5, 57));

    for user in [&mut trial, &mut live] {
        score_april_and_may(user).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_believed_on_a_day_stays() {
    let sandbox = Sandbox::start().await;
    let mut user = User::new(&sandbox.client());
    user.set_day("2024-04-30").await.expect("a first setting");
    connect(&mut user).await;
    user.apply(version_1()).await.expect("a model");
    let sent = user.send("app", vec![event_on("late-april", "kaede", "ping", "2024-04-30")]).await.expect("stored");
    user.score_at_least("kaede", sent.position.to_vec()).await.expect("the score of the last day of April");
    user.set_day("2024-05-01").await.expect("forward");
    let april = keizoku_testkit::eventually(std::time::Duration::from_secs(20), || {
        let mut user = user.clone();
        async move {
            let score = user.score_on("kaede", "2024-04-30", 0).await.ok()?;
            // Until scoring has heard of the new day, April's last day is the present and its month not over.
            let over = matches!(score.result, Some(Health::Scored(_)));
            (over && score.basis() == Basis::AsBelieved).then_some(score)
        }
    })
    .await;
    assert_eq!(scored(&april).value_millis, 75_000);
}

/// The first step: accounts and logins, one record of which has a date that does not exist.
async fn connect(user: &mut User) {
    let accounts = CUSTOMERS.iter().map(|(name, _)| account_item(name, &[])).collect();
    user.put_accounts(accounts).await.expect("accounts");
    user.put_metric(count("logins", "login", "app")).await.expect("a metric");
    let mut events = logins_of("04");
    events.push(event_on("broken", "kaede", "login", "2024-13-01"));
    let first = user.send("app", events.clone()).await.expect("an answer");
    assert_eq!((first.stored_count, first.duplicate_count, first.rejected_count), (57, 0, 1));
    let rejection = &first.rejections[0];
    assert_eq!((rejection.index, rejection.id.as_str()), (57, "broken"));
    let status = rejection.status.clone().expect("a status");
    assert!(status.message.contains("occurred_on") && status.message.contains("2024-13-01"), "{}", status.message);
    // Two are sent again.
    let again = user.send("app", events[..2].to_vec()).await.expect("an answer");
    assert_eq!((again.stored_count, again.duplicate_count, again.rejected_count), (0, 2, 0));
}

async fn score_april_and_may(user: &mut User) {
    assert_eq!(user.apply(version_1()).await.expect("a model"), 1);
    let coverage = user.coverage().await.expect("coverage");
    let covered =
        |kind: &str| coverage.kinds.iter().find(|found| found.kind == kind).map(|found| found.covered_account_count);
    assert_eq!((coverage.account_count, covered("event"), covered("conversation")), (5, Some(5), Some(0)));
    assert!(coverage.events.iter().all(|event| event.name != "report_opened"), "reports: 0 of 5");
    expect(user, "2024-04-30", 0, 75_000, "good", 1).await;

    // From May on there are reports, with a field that nobody ever declared.
    user.put_metric(count("reports", "report_opened", "reporting")).await.expect("a metric");
    user.send("app", logins_of("05")).await.expect("stored");
    let sent = user.send("reporting", reports()).await.expect("stored");
    assert_eq!(sent.stored_count, 4);
    assert_eq!(user.apply(version_2()).await.expect("a model"), 2);
    user.score_at_least("kaede", sent.position.to_vec()).await.expect("counted");

    let may = expect(user, "2024-05-31", 0, 65_000, "normal", 2).await;
    let parts: Vec<i32> = scored(&may).contributions.iter().map(|part| part.contribution_millis).collect();
    assert_eq!(parts, [45_000, 20_000], "0.6 × 75 + 0.4 × 50");
    expect(user, "2024-04-30", 0, 75_000, "good", 1).await;
    expect(user, "2024-05-31", 1, 75_000, "good", 1).await;

    // Aoi's logins are covered and its reports are not: the rest is weighed anew, and nothing counts as 0.
    let aoi = user.score_on("aoi", "2024-05-31", 0).await.expect("a score");
    assert_eq!((scored(&aoi).value_millis, scored(&aoi).covered_weight_micros), (50_000, 600_000));
    let reports = scored(&aoi).contributions.iter().find(|part| part.measure == "reports").expect("a part");
    assert_eq!(reports.input, Some(Input::Missing(Availability::NotCovered.into())));

    let coverage = user.coverage().await.expect("coverage");
    let opened = coverage.events.iter().find(|event| event.name == "report_opened").expect("an event");
    assert_eq!((opened.covered_account_count, opened.event_count), (1, 4));
    assert_eq!(opened.properties.iter().map(|property| property.key.as_str()).collect::<Vec<_>>(), ["report_kind"]);
    let mut monthly_reports = count("monthly_reports", "report_opened", "reporting");
    "event.report_kind == \"monthly\"".clone_into(&mut monthly_reports.filter);
    user.put_metric(monthly_reports).await.expect("a property can be used without any declaration");
}

/// The score of Kaede at the close of a day.
async fn expect(user: &mut User, day: &str, asked: i32, value: i32, band: &str, version: i32) -> Score {
    let score = user.score_on("kaede", day, asked).await.expect("a score");
    let found = scored(&score);
    assert_eq!((found.value_millis, found.band.as_str(), score.model_version), (value, band, version), "{day}");
    score
}

async fn logins(user: &mut User) -> (i64, i64) {
    let sent = user.send("app", vec![event_on("settled", "kaede", "settled", "2024-04-30")]).await.expect("stored");
    user.score_at_least("kaede", sent.position.to_vec()).await.expect("counted");
    keizoku_testkit::eventually(std::time::Duration::from_secs(20), || {
        let mut user = user.clone();
        async move {
            let coverage = user.coverage().await.ok()?;
            let login = coverage.events.into_iter().find(|event| event.name == "login")?;
            (login.event_count == 57).then_some((login.covered_account_count, login.event_count))
        }
    })
    .await
}

fn logins_of(month: &str) -> Vec<Event> {
    let days = |(name, days): &(&'static str, u32)| {
        let name = *name;
        (1..=*days).map(move |day| (name, day))
    };
    let login = |(name, day): (&str, u32)| {
        event_on(&format!("{name}-{month}-{day}"), name, "login", &format!("2024-{month}-{day:02}"))
    };
    CUSTOMERS.iter().flat_map(days).map(login).collect()
}

fn reports() -> Vec<Event> {
    let report = |day: u32| Event {
        properties: vec![property("report_kind", "monthly")],
        ..event_on(&format!("report-{day}"), "kaede", "report_opened", &format!("2024-05-{day:02}"))
    };
    [3, 10, 17, 24].into_iter().map(report).collect()
}

fn version_1() -> HealthModel {
    HealthModel {
        key: "health".to_owned(),
        label: Some(label("Health")),
        measures: vec![monthly("logins", "logins", Aggregation::ActiveDays, 1.0, 20.0)],
        bands: bands(),
        effective_from: Some(date("2024-04-01")),
        primary: true,
        ..HealthModel::default()
    }
}

fn version_2() -> HealthModel {
    HealthModel {
        measures: vec![
            monthly("logins", "logins", Aggregation::ActiveDays, 0.6, 20.0),
            monthly("reports", "reports", Aggregation::Sum, 0.4, 8.0),
        ],
        missing: Some(MissingRule { treatment: missing_rule::Treatment::Reweight.into(), ..MissingRule::default() }),
        effective_from: Some(date("2024-05-01")),
        ..version_1()
    }
}

fn scored(score: &Score) -> &Scored {
    match score.result.as_ref().expect("a result") {
        Health::Scored(scored) => scored,
        Health::Unscored(unscored) => panic!("unscored: {unscored:?}"),
    }
}
