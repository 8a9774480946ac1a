//! Scores in pages and as a stream.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use keizoku_base::AccountId;
use keizoku_proto::scoring as proto;
use keizoku_proto::scoring::list_scores_request::Order;

use crate::world::{Company, SOON, World, model, reason, value_of, wrong};

/// 23 accounts: values 0, 5, 10 … with ties, one in seven without a score.
async fn crowd() -> (World, Vec<AccountId>) {
    let world = World::start().await;
    world.apply(model("health")).await;
    let accounts: Vec<AccountId> = (0..23)
        .map(|number| {
            let stage = ["trial", "onboarding", "adopted"][number % 3];
            let points = (number % 7 != 0).then(|| i64::try_from(number / 2 * 10).expect("small").min(100));
            world.add(&Company { name: Box::leak(format!("c{number}").into_boxed_str()), points, stage }).0
        })
        .collect();
    keizoku_testkit::eventually(SOON, async || {
        let request = proto::ListScoresRequest { page_size: 1000, ..Default::default() };
        world.scores().list_scores(request).await.expect("a page").into_inner().scores.len() == 23
    })
    .await;
    (world, accounts)
}

async fn pages(world: &World, request: &proto::ListScoresRequest) -> Vec<Vec<proto::Score>> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListScoresRequest { page_token, ..request.clone() };
        let answer = world.scores().list_scores(request).await.expect("a page").into_inner();
        found.push(answer.scores);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

fn ids(scores: &[proto::Score]) -> Vec<&str> {
    scores.iter().map(|score| score.account_id.as_str()).collect()
}

#[tokio::test]
async fn pages_united_are_all_without_repeats_in_both_orders() {
    let (world, accounts) = crowd().await;
    let all: BTreeSet<String> = accounts.iter().map(ToString::to_string).collect();
    for order in [Order::Account, Order::ValueAscending] {
        for page_size in [1, 4, 19, 20, 22, 23, 24, 1000] {
            let request = proto::ListScoresRequest { order: order.into(), page_size, ..Default::default() };
            let found = pages(&world, &request).await;
            let size = usize::try_from(page_size).expect("small");
            assert!(found.iter().rev().skip(1).all(|page| page.len() == size), "only the last page is short");
            assert_eq!(found.len(), 23_usize.div_ceil(size), "{order:?} {page_size}");
            let united = found.concat();
            assert_eq!(united.len(), 23, "{order:?} {page_size}");
            assert_eq!(united.iter().map(|score| score.account_id.clone()).collect::<BTreeSet<_>>(), all);
            match order {
                Order::ValueAscending => {
                    let key = |score: &proto::Score| (value_of(score).unwrap_or(i32::MAX), score.account_id.clone());
                    assert!(united.is_sorted_by_key(key));
                }
                Order::Account | Order::Unspecified => {
                    assert!(united.is_sorted_by_key(|score| score.account_id.clone()))
                }
            }
        }
    }
}

#[tokio::test]
async fn filters_hold_for_lists_and_streams() {
    let (world, _) = crowd().await;
    let all = pages(&world, &proto::ListScoresRequest { page_size: 1000, ..Default::default() }).await.concat();
    let filter = |bands: &[&str], stages: &[&str], scored| proto::ScoreFilter {
        bands: bands.iter().map(|band| (*band).to_owned()).collect(),
        stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
        scored,
    };
    let band = |score: &proto::Score| crate::world::scored(score).map_or(String::new(), |scored| scored.band.clone());
    for filter in [
        filter(&["bad"], &[], None),
        filter(&["good", "normal"], &["trial"], None),
        filter(&[], &["adopted", "trial"], Some(false)),
        filter(&[], &[], Some(true)),
        filter(&["unheard_of"], &[], None),
    ] {
        let wanted: Vec<&proto::Score> = all
            .iter()
            .filter(|score| filter.bands.is_empty() || filter.bands.contains(&band(score)))
            .filter(|score| filter.stages.is_empty() || filter.stages.contains(&score.stage))
            .filter(|score| filter.scored.is_none_or(|scored| scored == value_of(score).is_some()))
            .collect();
        let wanted: Vec<&str> = wanted.iter().map(|score| score.account_id.as_str()).collect();
        for order in [Order::Account, Order::ValueAscending] {
            let request = proto::ListScoresRequest {
                filter: Some(filter.clone()),
                order: order.into(),
                page_size: 3,
                ..Default::default()
            };
            let found = pages(&world, &request).await.concat();
            let mut found = ids(&found);
            found.sort_unstable();
            assert_eq!(found, wanted, "{filter:?}");
        }
        let request = proto::StreamScoresRequest { filter: Some(filter.clone()), ..Default::default() };
        let mut stream = world.scores().stream_scores(request).await.expect("a stream").into_inner();
        let mut streamed = Vec::new();
        while let Some(message) = stream.next().await {
            streamed.extend(message.expect("a message").scores);
        }
        assert_eq!(ids(&streamed), wanted);
    }
}

#[tokio::test]
async fn a_token_belongs_to_its_question() {
    let (world, _) = crowd().await;
    let request = proto::ListScoresRequest { page_size: 2, ..Default::default() };
    let page_token = world.scores().list_scores(request).await.expect("a page").into_inner().next_page_token;
    let bands = vec!["bad".to_owned()];
    for other in [
        proto::ListScoresRequest { order: Order::ValueAscending.into(), ..Default::default() },
        proto::ListScoresRequest {
            filter: Some(proto::ScoreFilter { bands, ..Default::default() }),
            ..Default::default()
        },
        proto::ListScoresRequest { model: "health".to_owned(), ..Default::default() },
    ] {
        let request = proto::ListScoresRequest { page_token: page_token.clone(), ..other };
        assert_eq!(wrong(&world.scores().list_scores(request).await.expect_err("another question")), ["page_token"]);
    }
    let request = proto::ListScoresRequest {
        model: "no-key".to_owned(),
        filter: Some(proto::ScoreFilter { bands: vec!["No".to_owned()], ..Default::default() }),
        page_size: -1,
        ..Default::default()
    };
    let status = world.scores().list_scores(request).await.expect_err("wrong");
    assert_eq!(wrong(&status), ["model", "filter.bands[0]", "page_size"]);
    let request = proto::ListScoresRequest { model: "unheard_of".to_owned(), ..Default::default() };
    let status = world.scores().list_scores(request).await.expect_err("unknown");
    assert_eq!(reason(&status), "MODEL_UNKNOWN");
}
