//! One score and many.

use keizoku_base::{AccountId, Micros};
use keizoku_convert::{Position, date};
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::{self as told, ChangeKind};
use keizoku_proto::scoring::get_score_request::Consistency;
use keizoku_proto::scoring::{self as proto, unscored::Reason};
use keizoku_proto::types::AccountRef;
use prost::Message as _;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::world::{Company, START, World, by_id, by_name, model, reason, scored, unscored, value_of, wrong};

async fn get(world: &World, request: proto::GetScoreRequest) -> Result<proto::GetScoreResponse, tonic::Status> {
    world.scores().get_score(request).await.map(tonic::Response::into_inner)
}

fn of(account: AccountRef) -> proto::GetScoreRequest {
    proto::GetScoreRequest { account: Some(account), ..Default::default() }
}

#[tokio::test]
async fn every_view_tells_what_it_may() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let (acme, position) = world.add(&Company::new("acme", 30, "trial"));
    let explained = world.score_at(acme, &position).await;
    let told = scored(&explained).expect("scored");
    assert_eq!((told.value_millis, told.band.as_str(), told.polarity.as_str()), (30_000, "bad", "bad"));
    assert_eq!((explained.account_name.as_str(), explained.stage.as_str()), ("acme", "trial"));
    assert_eq!(explained.day, Some(date(world.today())));
    assert_eq!(explained.basis(), proto::Basis::AsBelieved);
    let contributions: Vec<_> =
        told.contributions.iter().map(|part| (part.measure.as_str(), part.contribution_millis)).collect();
    assert_eq!(contributions, [("points", 30_000)]);

    for (account, view) in [(by_id(acme), proto::ScoreView::Basic), (by_name("acme"), proto::ScoreView::Unspecified)] {
        let answer = get(&world, proto::GetScoreRequest { view: view.into(), ..of(account) }).await.expect("an answer");
        let basic = answer.score.expect("a score");
        assert!(scored(&basic).expect("scored").contributions.is_empty());
        assert_eq!((basic.account_id.as_str(), value_of(&basic)), (acme.to_string().as_str(), Some(30_000)));
        assert!(answer.confirmed_at.is_some());
    }
    let request = proto::GetScoreRequest { view: proto::ScoreView::CustomerSafe.into(), ..of(by_id(acme)) };
    let safe = get(&world, request).await.expect("an answer").score.expect("a score");
    let told = scored(&safe).expect("scored");
    assert_eq!((told.value_millis, told.band.as_str(), told.polarity.as_str()), (30_000, "", ""));
    assert_eq!((safe.account_name.as_str(), safe.stage.as_str(), safe.monthly_revenue.len()), ("", "", 0));
    assert_eq!(told.contributions[0].target, Some(100.0));
}

#[tokio::test]
async fn no_score_is_an_answer_with_its_reason_and_no_account_is_not_found() {
    let world = World::start().await;
    let (acme, position) = world.add(&Company { name: "acme", points: None, stage: "trial" });
    assert_eq!(unscored(&world.score_at(acme, &position).await), Some(Reason::NoModel));
    let named = proto::GetScoreRequest { model: "unheard_of".to_owned(), ..of(by_id(acme)) };
    assert_eq!(unscored(&get(&world, named).await.expect("an answer").score.expect("one")), Some(Reason::NoModel));

    world.apply(model("health")).await;
    let (own, position) = world.add(&Company::new("own", 50, "internal"));
    assert_eq!(unscored(&world.score_at(own, &position).await), Some(Reason::Excluded));
    let position = world.tell(acme, &Company { name: "acme", points: None, stage: "trial" });
    let score = world.score_at(acme, &position).await;
    assert_eq!(unscored(&score), Some(Reason::NotCovered));
    let Some(proto::score::Result::Unscored(why)) = score.result else { panic!("unscored") };
    assert_eq!(why.missing_measures, ["points"]);

    let tomorrow = Some(date(world.today().plus(1)));
    world.apply(proto::HealthModel { effective_from: tomorrow, ..model("later") }).await;
    keizoku_testkit::eventually(crate::world::SOON, async || {
        let later = proto::GetScoreRequest { model: "later".to_owned(), ..of(by_id(acme)) };
        let score = get(&world, later).await.expect("an answer").score.expect("a score");
        unscored(&score) == Some(Reason::NotYetComputed)
    })
    .await;

    for unknown in [by_id(AccountId::generate(Micros(1))), by_name("nobody")] {
        let status = get(&world, of(unknown)).await.expect_err("unknown");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "ACCOUNT_UNKNOWN"));
    }
}

#[tokio::test]
async fn an_account_covered_for_too_short_a_time_says_so() {
    let world = World::start().await;
    let definition = told::MetricDefinition {
        key: "logins".to_owned(),
        version: 1,
        event_names: vec!["login".to_owned()],
        source: "app".to_owned(),
        aggregation: told::metric_definition::Aggregation::Count.into(),
        ..Default::default()
    };
    let (acme, _) = world.add(&Company::new("acme", 50, "trial"));
    let coverage = told::AccountSource {
        account_id: acme.to_string(),
        source: "app".to_owned(),
        first_day: world.today().0,
        last_day: world.today().0,
    };
    let state = State::MetricDefinition(definition);
    world.say(acme, ChangeKind::MetricDefinition, b"logins", state);
    let position = world.say(acme, ChangeKind::AccountSource, b"app", State::AccountSource(coverage));
    world.score_at(acme, &position).await;
    let window = proto::MetricWindow {
        metric: "logins".to_owned(),
        aggregation: proto::metric_window::Aggregation::Sum.into(),
        bucket: proto::metric_window::Bucket::Day.into(),
        length: 7,
        ..Default::default()
    };
    let mut usage = model("usage");
    usage.measures[0].input = Some(proto::measure::Input::Window(window));
    usage.measures[0].minimum_days = 7;
    world.apply(usage).await;
    keizoku_testkit::eventually(crate::world::SOON, async || {
        let request = proto::GetScoreRequest { model: "usage".to_owned(), ..of(by_id(acme)) };
        let score = get(&world, request).await.expect("an answer").score.expect("a score");
        unscored(&score) == Some(Reason::TooShort)
    })
    .await;
}

#[tokio::test]
async fn everything_wrong_with_a_request_is_named_at_once() {
    let world = World::start().await;
    let request = proto::GetScoreRequest {
        model: "Health".to_owned(),
        model_version: -1,
        consistency: Some(Consistency::MaxStaleness(prost_types::Duration { seconds: 0, nanos: 10 })),
        as_of: Some(keizoku_proto::google::Date { year: 2024, month: 2, day: 30 }),
        ..Default::default()
    };
    let status = get(&world, request).await.expect_err("wrong");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong(&status), ["account", "model", "model_version", "max_staleness", "as_of"]);

    let future = Some(date(world.today().plus(1)));
    let request = proto::GetScoreRequest { as_of: future, ..of(by_name("acme")) };
    assert_eq!(wrong(&get(&world, request).await.expect_err("the future")), ["as_of"]);
    let garbage = Some(Consistency::AtLeast(b"\xff\xff".as_slice().into()));
    let request = proto::GetScoreRequest { consistency: garbage, ..of(by_name("acme")) };
    assert_eq!(wrong(&get(&world, request).await.expect_err("garbage")), ["at_least"]);
}

#[tokio::test]
async fn a_position_that_does_not_arrive_in_time_is_not_caught_up() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let (acme, position) = world.add(&Company::new("acme", 30, "trial"));
    world.score_at(acme, &position).await;
    let mut future = position.clone();
    future.events[0].1 += 1;
    for account in [by_id(acme), by_name("acme"), by_name("nobody")] {
        let consistency = Some(Consistency::AtLeast(future.encode().into()));
        let mut request = tonic::Request::new(proto::GetScoreRequest { consistency, ..of(account) });
        request.set_timeout(std::time::Duration::from_secs(2));
        let status = world.scores().get_score(request).await.expect_err("not yet");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NOT_CAUGHT_UP"));
        assert!(status.get_details_retry_info().is_some());
    }
    // Another partition's position says nothing of this account.
    let elsewhere = keizoku_base::Partition::new((acme.partition().number() + 1) % 64).expect("below 64");
    let other = Position { changes: vec![(elsewhere, 1_000)], events: Vec::new() };
    assert_eq!(value_of(&world.score_at(acme, &other).await), Some(30_000));
}

#[tokio::test]
async fn a_read_at_a_position_contains_what_was_written_there_and_says_so() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let acme = AccountId::generate(START);
    for points in [10, 50, 90] {
        let position = world.tell(acme, &Company::new("acme", points, "trial"));
        let consistency = Some(Consistency::AtLeast(position.encode().into()));
        let answer =
            get(&world, proto::GetScoreRequest { consistency, ..of(by_name("acme")) }).await.expect("an answer");
        let score = answer.score.expect("a score");
        assert_eq!(value_of(&score), Some(i32::try_from(points).expect("small") * 1000));
        assert_eq!(answer.caught_up_to, position.encode());
    }
}

#[tokio::test]
async fn a_batch_answers_each_reference_in_order() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let (acme, _) = world.add(&Company::new("acme", 30, "trial"));
    let (bolt, position) = world.add(&Company::new("bolt", 80, "adopted"));
    world.score_at(bolt, &position).await;
    world.settled(acme, 30_000).await;
    let accounts = vec![
        by_name("bolt"),
        by_name("nobody"),
        by_id(acme),
        AccountRef { r#ref: None },
        by_id(AccountId::generate(Micros(1))),
        by_id(bolt),
    ];
    let request =
        proto::BatchGetScoresRequest { accounts, view: proto::ScoreView::CustomerSafe.into(), ..Default::default() };
    let answer = world.scores().batch_get_scores(request).await.expect("an answer").into_inner();
    let found: Vec<Result<i32, i32>> = answer
        .results
        .iter()
        .map(|one| match one.result.as_ref().expect("one") {
            proto::batch_score::Result::Score(score) => Ok(value_of(score).expect("scored")),
            proto::batch_score::Result::Status(status) => Err(status.code),
        })
        .collect();
    assert_eq!(found, [Ok(80_000), Err(5), Ok(30_000), Err(3), Err(5), Ok(80_000)]);
    let Some(proto::batch_score::Result::Status(status)) = &answer.results[3].result else { panic!("a status") };
    let details = tonic_types::pb::BadRequest::decode(
        status.details.iter().find(|any| any.type_url.ends_with("BadRequest")).expect("details").value.as_slice(),
    );
    assert_eq!(details.expect("details").field_violations[0].field, "accounts[3]");

    for count in [0, 1001] {
        let request = proto::BatchGetScoresRequest { accounts: vec![by_id(acme); count], ..Default::default() };
        assert_eq!(wrong(&world.scores().batch_get_scores(request).await.expect_err("a bound")), ["accounts"]);
    }
}
