//! Watching scores.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use keizoku_base::{AccountId, Partition};
use keizoku_proto::scoring::watch_scores_response::News as Wire;
use keizoku_proto::scoring::{self as proto, watch_scores_request::Trigger as WireTrigger};
use keizoku_scoring::app::watch::{self, News, Wanted, What};
use keizoku_scoring::domain::watch::{Filter, Trigger};
use keizoku_scoring::error::ScoringFault;
use keizoku_storage::{Scope, feed};
use prost::Message as _;
use tonic::{Code, Streaming};

use crate::world::{Company, World, model, reason, value_of, wrong};

async fn start() -> (World, AccountId, AccountId) {
    let world = World::start().await;
    world.apply(model("health")).await;
    let (acme, _) = world.add(&Company::new("acme", 30, "trial"));
    let (bolt, position) = world.add(&Company::new("bolt", 80, "adopted"));
    world.score_at(bolt, &position).await;
    world.settled(acme, 30_000).await;
    (world, acme, bolt)
}

async fn open(world: &World, request: proto::WatchScoresRequest) -> Streaming<proto::WatchScoresResponse> {
    world.scores().watch_scores(request).await.expect("a watch").into_inner()
}

async fn next(stream: &mut Streaming<proto::WatchScoresResponse>) -> proto::WatchScoresResponse {
    let next = tokio::time::timeout(crate::world::SOON, stream.next()).await.expect("in time");
    next.expect("not over").expect("a message")
}

fn change(response: &proto::WatchScoresResponse) -> (String, Option<i32>, Vec<String>) {
    let Some(Wire::Change(change)) = &response.news else { panic!("a change, not {response:?}") };
    let score = change.score.as_ref().expect("a score");
    (score.account_id.clone(), value_of(score), change.causes.clone())
}

fn is_caught_up(response: &proto::WatchScoresResponse) -> bool {
    matches!(response.news, Some(Wire::CaughtUp(_)))
}

#[tokio::test]
async fn tells_everything_then_a_mark_then_changes_with_their_causes() {
    let (world, acme, bolt) = start().await;
    let mut stream = open(&world, proto::WatchScoresRequest::default()).await;
    let mut snapshot = [change(&next(&mut stream).await), change(&next(&mut stream).await)];
    snapshot.sort_by_key(|(_, value, _)| *value);
    let none = Vec::<String>::new();
    assert_eq!(snapshot, [(acme.to_string(), Some(30_000), none.clone()), (bolt.to_string(), Some(80_000), none)]);
    assert!(is_caught_up(&next(&mut stream).await));
    world.tell(acme, &Company::new("acme", 45, "trial"));
    assert_eq!(change(&next(&mut stream).await), (acme.to_string(), Some(45_000), vec!["points".to_owned()]));
    let (coil, _) = world.add(&Company::new("coil", 10, "trial"));
    assert_eq!(change(&next(&mut stream).await).0, coil.to_string());
}

#[tokio::test]
async fn goes_on_where_it_was_and_refuses_tokens_of_other_watches_and_lives() {
    let (world, acme, bolt) = start().await;
    let banded = proto::WatchScoresRequest { trigger: WireTrigger::Band.into(), ..Default::default() };
    let mut stream = open(&world, banded.clone()).await;
    let first = next(&mut stream).await;
    next(&mut stream).await;
    let caught_up = next(&mut stream).await;
    assert!(is_caught_up(&caught_up));
    drop(stream);

    // From within the snapshot: what was not surely heard comes again.
    let request = proto::WatchScoresRequest { resume_token: first.resume_token, ..banded.clone() };
    let mut stream = open(&world, request).await;
    assert_eq!([change(&next(&mut stream).await).1, change(&next(&mut stream).await).1].iter().flatten().count(), 2);
    assert!(is_caught_up(&next(&mut stream).await));
    drop(stream);

    // Meanwhile one changed its band, the other did not.
    let position = world.tell(bolt, &Company::new("bolt", 81, "adopted"));
    world.score_at(bolt, &position).await;
    let position = world.tell(acme, &Company::new("acme", 71, "trial"));
    world.score_at(acme, &position).await;
    let request = proto::WatchScoresRequest { resume_token: caught_up.resume_token.clone(), ..banded.clone() };
    let mut stream = open(&world, request).await;
    assert!(is_caught_up(&next(&mut stream).await));
    assert_eq!(change(&next(&mut stream).await), (acme.to_string(), Some(71_000), vec!["points".to_owned()]));
    world.tell(bolt, &Company::new("bolt", 82, "adopted"));
    world.tell(bolt, &Company::new("bolt", 60, "adopted"));
    assert_eq!(change(&next(&mut stream).await).1, Some(60_000));

    let other = proto::WatchScoresRequest { resume_token: caught_up.resume_token.clone(), ..Default::default() };
    assert_eq!(wrong(&world.scores().watch_scores(other).await.expect_err("another watch")), ["resume_token"]);

    // The changes after the token are kept no longer.
    let scope = Scope::Workspace(world.workspace);
    let tx = world.app.db.begin("test.trim", scope).await.expect("a transaction");
    for partition in Partition::all() {
        feed::trim(&tx, world.workspace, partition, keizoku_base::Micros(i64::MAX)).await.expect("trimmed");
    }
    tx.commit().await.expect("committed");
    let old = proto::WatchScoresRequest { resume_token: caught_up.resume_token, ..banded };
    let status = world.scores().watch_scores(old).await.expect_err("too old");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "WATCH_TOKEN_EXPIRED"));
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let (world, acme, bolt) = start().await;
    let bands = vec!["bad".to_owned()];
    let filter = Some(proto::ScoreFilter { bands, ..Default::default() });
    let mut bad = open(&world, proto::WatchScoresRequest { filter, ..Default::default() }).await;
    let trigger = WireTrigger::Moved.into();
    let mut moved =
        open(&world, proto::WatchScoresRequest { trigger, moved_millis: 5_000, ..Default::default() }).await;
    assert_eq!(change(&next(&mut bad).await).0, acme.to_string());
    assert!(is_caught_up(&next(&mut bad).await));
    for _ in 0..3 {
        next(&mut moved).await;
    }
    for points in [82, 84, 85, 89] {
        let position = world.tell(bolt, &Company::new("bolt", points, "adopted"));
        world.score_at(bolt, &position).await;
    }
    assert_eq!(change(&next(&mut moved).await).1, Some(85_000), "five points since it was told last");
    let position = world.tell(acme, &Company::new("acme", 50, "trial"));
    world.score_at(acme, &position).await;
    assert_eq!(change(&next(&mut bad).await), (acme.to_string(), Some(50_000), vec!["points".to_owned()]), "it left");
    assert_eq!(change(&next(&mut moved).await).1, Some(50_000));

    let trigger = WireTrigger::Moved.into();
    let request = proto::WatchScoresRequest { trigger, ..Default::default() };
    assert_eq!(wrong(&world.scores().watch_scores(request).await.expect_err("no measure")), ["moved_millis"]);
}

type Told = Pin<Box<dyn Stream<Item = Result<News, ScoringFault>> + Send>>;

async fn told(world: &World, heartbeat: Duration) -> Told {
    let wanted = Wanted {
        model: None,
        filter: Filter::default(),
        trigger: Trigger::Any,
        resume: None,
        bound: [0; 8],
        heartbeat,
    };
    let stream = watch::watch(Arc::clone(&world.app), world.workspace, wanted).await.expect("a watch");
    Box::pin(stream)
}

async fn what(stream: &mut Told) -> What {
    let next = tokio::time::timeout(crate::world::SOON, stream.next()).await.expect("in time");
    next.expect("not over").expect("news").what
}

fn points(what: &What) -> Option<i32> {
    let What::Change { score, .. } = what else { return None };
    value_of(&proto::Score::decode(Bytes::clone(score)).expect("a score"))
}

#[tokio::test]
async fn who_reads_slowly_hears_the_last_state_only() {
    let (world, acme, _) = start().await;
    let mut stream = told(&world, Duration::from_secs(60)).await;
    while what(&mut stream).await != What::CaughtUp {}
    for value in [31, 32, 33, 34] {
        let position = world.tell(acme, &Company::new("acme", value, "trial"));
        world.score_at(acme, &position).await;
    }
    assert_eq!(points(&what(&mut stream).await), Some(34_000));
    world.tell(acme, &Company::new("acme", 35, "trial"));
    assert_eq!(points(&what(&mut stream).await), Some(35_000), "and nothing twice");
}

#[tokio::test]
async fn says_that_it_lives_while_nothing_happens() {
    let (world, ..) = start().await;
    let mut stream = told(&world, Duration::from_millis(50)).await;
    while what(&mut stream).await != What::CaughtUp {}
    for _ in 0..2 {
        assert!(matches!(what(&mut stream).await, What::Heartbeat(_)));
    }
}
