//! The cache in front of scores: right answers from it, without it, and while it is gone.

use std::time::Duration;

use keizoku_base::AccountId;
use keizoku_proto::scoring as proto;
use keizoku_proto::scoring::get_score_request::Consistency;
use keizoku_testkit::{FaultProxy, Store, eventually};

use crate::world::{Company, SOON, World, by_id, model, value_of};

async fn read(world: &World, account: AccountId) -> proto::GetScoreResponse {
    let request = proto::GetScoreRequest { account: Some(by_id(account)), ..Default::default() };
    world.scores().get_score(request).await.expect("an answer").into_inner()
}

/// Changes an account many times; after each change no read is older than a second.
async fn follows(world: &World, account: AccountId, values: impl Iterator<Item = i64>) {
    for points in values {
        let position = world.tell(account, &Company::new("acme", points, "trial"));
        world.score_at(account, &position).await;
        let wanted = Some(i32::try_from(points).expect("small") * 1000);
        eventually(Duration::from_secs(2), async || {
            value_of(&read(world, account).await.score.expect("one")) == wanted
        })
        .await;
    }
}

async fn is_cached(world: &World, account: AccountId) -> bool {
    // What comes from the database is confirmed when it is asked; what is cached was confirmed before.
    let (first, second) = (read(world, account).await.confirmed_at, read(world, account).await.confirmed_at);
    first == second
}

#[tokio::test]
async fn a_cache_of_the_process_is_filled_and_never_older_than_a_second() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let (acme, position) = world.add(&Company::new("acme", 30, "trial"));
    world.score_at(acme, &position).await;
    eventually(SOON, async || is_cached(&world, acme).await).await;
    follows(&world, acme, 31..40).await;
    eventually(SOON, async || is_cached(&world, acme).await).await;
    let answer = read(&world, acme).await;
    assert!(!answer.caught_up_to.is_empty());

    let nanos = 1_000_000;
    let consistency = Some(Consistency::MaxStaleness(prost_types::Duration { seconds: 0, nanos }));
    let request = proto::GetScoreRequest { account: Some(by_id(acme)), consistency, ..Default::default() };
    let fresh = world.scores().get_score(request).await.expect("an answer").into_inner();
    assert_eq!(value_of(&fresh.score.expect("a score")), Some(39_000));
}

#[tokio::test]
async fn redis_gone_and_back_changes_no_answer() {
    // Redis stands beside PostgreSQL only.
    if Store::chosen() == Store::Sqlite {
        return;
    }
    let url = keizoku_testkit::redis_url();
    let target = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
    let proxy = FaultProxy::start(target).await;
    let world = World::with_cache(&format!("redis://{}", proxy.address())).await;
    world.apply(model("health")).await;
    let (acme, position) = world.add(&Company::new("acme", 30, "trial"));
    world.score_at(acme, &position).await;
    eventually(SOON, async || is_cached(&world, acme).await).await;
    follows(&world, acme, 31..34).await;
    proxy.cut();
    follows(&world, acme, 40..44).await;
    proxy.restore();
    eventually(SOON, async || is_cached(&world, acme).await).await;
    follows(&world, acme, 50..54).await;
}
