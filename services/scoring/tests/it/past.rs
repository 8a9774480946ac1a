//! Scores of days that are over, by other versions, and history.

use keizoku_base::{AccountId, Day, Micros};
use keizoku_convert::{Position, date};
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::{self as told, ChangeKind};
use keizoku_proto::scoring::{self as proto, Basis};
use tonic::Code;

use crate::world::{Company, SOON, World, by_id, model, reason, scored, value_of, wrong};

async fn get(world: &World, account: AccountId, day: Option<Day>, version: i32) -> Result<proto::Score, tonic::Status> {
    let request = proto::GetScoreRequest {
        account: Some(by_id(account)),
        view: proto::ScoreView::Explained.into(),
        as_of: day.map(date),
        model_version: version,
        ..Default::default()
    };
    Ok(world.scores().get_score(request).await?.into_inner().score.expect("a score"))
}

async fn history(world: &World, account: AccountId, from: Day, until: Day) -> Vec<(Day, Option<i32>, Basis)> {
    let request = proto::GetHistoryRequest {
        account: Some(by_id(account)),
        from: Some(date(from)),
        until: Some(date(until)),
        ..Default::default()
    };
    let points = world.scores().get_history(request).await.expect("a history").into_inner().points;
    let day = |point: &proto::HistoryPoint| keizoku_convert::day(point.day.as_ref().expect("a day")).expect("a day");
    points.iter().map(|point| (day(point), point.value_millis, point.basis())).collect()
}

/// Moves the world's clock on by whole days and waits until the present score is of that day.
async fn wait_days(world: &World, account: AccountId, days: i64) {
    world.clock.advance(days * Micros::DAY);
    let today = world.today();
    keizoku_testkit::eventually(SOON, async || {
        let score = get(world, account, None, 0).await.expect("a score");
        score.day == Some(date(today))
    })
    .await;
}

#[tokio::test]
async fn a_day_is_as_it_was_believed_whatever_came_later() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let (acme, position) = world.add(&Company::new("acme", 30, "trial"));
    world.score_at(acme, &position).await;
    let first = world.today();
    wait_days(&world, acme, 1).await;
    let position = world.tell(acme, &Company::new("acme", 80, "adopted"));
    world.score_at(acme, &position).await;
    wait_days(&world, acme, 1).await;

    let then = get(&world, acme, Some(first), 0).await.expect("a score");
    let told = scored(&then).expect("scored");
    assert_eq!((told.value_millis, told.band.as_str(), told.polarity.as_str()), (30_000, "bad", "bad"));
    assert_eq!((then.basis(), then.day, then.stage.as_str()), (Basis::AsBelieved, Some(date(first)), "trial"));
    let next = get(&world, acme, Some(first.plus(1)), 0).await.expect("a score");
    let told = scored(&next).expect("scored");
    assert_eq!((told.value_millis, next.basis()), (80_000, Basis::AsBelieved));
    assert_eq!(told.contributions.iter().map(|part| part.contribution_millis).sum::<i32>(), 80_000);
    let now = get(&world, acme, Some(world.today()), 0).await.expect("a score");
    assert_eq!((value_of(&now), now.basis()), (Some(80_000), Basis::AsBelieved));

    let believed = |days: i32, value| (first.plus(days), Some(value), Basis::AsBelieved);
    let points = history(&world, acme, first.plus(-5), first.plus(10)).await;
    assert_eq!(points, [believed(0, 30_000), believed(1, 80_000), believed(2, 80_000)]);
    let points = history(&world, acme, first.plus(1), first.plus(2)).await;
    assert_eq!(points, [believed(1, 80_000)]);
}

/// A model whose score is the day's logins.
fn logins() -> proto::HealthModel {
    let window = proto::MetricWindow {
        metric: "logins".to_owned(),
        aggregation: proto::metric_window::Aggregation::Sum.into(),
        bucket: proto::metric_window::Bucket::Day.into(),
        length: 1,
        include_open: true,
        ..Default::default()
    };
    let mut logins = model("health");
    logins.measures[0].input = Some(proto::measure::Input::Window(window));
    logins
}

fn counted(world: &World, account: AccountId, day: Day, logins: i64) -> Position {
    let value = told::MetricValue {
        key: "logins".to_owned(),
        version: 1,
        value_millionths: logins * 1_000_000,
        ..Default::default()
    };
    let day_of =
        told::MetricDay { account_id: account.to_string(), day: day.0, values: vec![value], known_at_micros: 0 };
    let key = [account.0.as_bytes().as_slice(), &day.0.to_be_bytes()].concat();
    world.say(account, ChangeKind::MetricDay, &key, State::MetricDay(day_of))
}

#[tokio::test]
async fn what_became_known_later_is_told_apart_from_what_was_believed() {
    let world = World::start().await;
    let first = world.today();
    let (acme, _) = world.add(&Company::new("acme", 0, "trial"));
    let definition = told::MetricDefinition {
        key: "logins".to_owned(),
        version: 1,
        event_names: vec!["login".to_owned()],
        source: "app".to_owned(),
        aggregation: told::metric_definition::Aggregation::Count.into(),
        ..Default::default()
    };
    world.say(acme, ChangeKind::MetricDefinition, b"logins", State::MetricDefinition(definition));
    let (source, first_day, last_day) = ("app".to_owned(), first.0, first.0);
    let covered = told::AccountSource { account_id: acme.to_string(), source, first_day, last_day };
    world.say(acme, ChangeKind::AccountSource, b"app", State::AccountSource(covered));
    let position = counted(&world, acme, first, 30);
    world.score_at(acme, &position).await;
    world.apply(logins()).await;
    world.settled(acme, 30_000).await;
    wait_days(&world, acme, 1).await;
    let position = counted(&world, acme, first, 50);
    world.score_at(acme, &position).await;

    let then = get(&world, acme, Some(first), 0).await.expect("a score");
    let told = scored(&then).expect("scored");
    assert_eq!((told.value_millis, then.basis()), (30_000, Basis::AsBelieved));
    let contributions: Vec<_> = told.contributions.iter().map(|part| part.contribution_millis).collect();
    assert_eq!(contributions, [30_000], "from the inputs as they were known then");
    let points = history(&world, acme, first, first.plus(1)).await;
    assert_eq!(points, [(first, Some(30_000), Basis::AsBelieved), (first, Some(50_000), Basis::Recomputed)]);
}

#[tokio::test]
async fn another_version_is_computed_for_the_answer_and_labelled() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let (acme, position) = world.add(&Company::new("acme", 30, "trial"));
    world.score_at(acme, &position).await;
    let mut halved = model("health");
    halved.measures[0].scale[1].points = 50.0;
    assert_eq!(world.apply(halved).await.version, 2);
    let present = world.settled(acme, 15_000).await;
    assert_eq!((present.model_version, present.basis()), (2, Basis::AsBelieved));

    let old = get(&world, acme, None, 1).await.expect("a score");
    assert_eq!((value_of(&old), old.model_version, old.basis()), (Some(30_000), 1, Basis::Recomputed));
    let named = get(&world, acme, None, 2).await.expect("a score");
    assert_eq!((value_of(&named), named.basis()), (Some(15_000), Basis::AsBelieved));
    let status = get(&world, acme, None, 9).await.expect_err("no such version");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "MODEL_UNKNOWN"));
    let before = get(&world, acme, Some(world.today().plus(-1)), 0).await.expect("a score");
    assert_eq!(crate::world::unscored(&before), Some(proto::unscored::Reason::NoModel), "no version counted then");
}

#[tokio::test]
async fn the_span_of_a_history_is_bounded() {
    let world = World::start().await;
    let request = |from: Day, until: Day| proto::GetHistoryRequest {
        from: Some(date(from)),
        until: Some(date(until)),
        ..Default::default()
    };
    let today = world.today();
    for (from, until) in [(today, today), (today, today.plus(1101))] {
        let status = world.scores().get_history(request(from, until)).await.expect_err("wrong");
        assert_eq!(wrong(&status), ["account", "until"]);
    }
    let request =
        proto::GetHistoryRequest { account: Some(by_id(AccountId::generate(Micros(1)))), ..Default::default() };
    assert_eq!(reason(&world.scores().get_history(request).await.expect_err("unknown")), "ACCOUNT_UNKNOWN");
}
