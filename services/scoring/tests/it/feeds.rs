//! The service's own feed, as others follow it.

use std::time::Duration;

use futures::StreamExt as _;
use keizoku_proto::scoring::change::State;
use keizoku_proto::scoring::{Change, ChangeKind, FollowRequest, FollowResponse, GetHeadsRequest, ListStateRequest};
use keizoku_proto::types::FeedCursor;
use tonic::{Code, Request};

use crate::models::{weekly, with_logins};
use crate::rig::{Rig, SOON};
use crate::told::{account_id, counted, day};

fn everything() -> FollowRequest {
    FollowRequest { partitions: (0..64).collect(), ..FollowRequest::default() }
}

/// Changes until there are so many.
async fn follow(rig: &Rig, request: FollowRequest, count: usize) -> (Vec<Change>, FollowResponse) {
    let pages = rig.feed_client().follow(Request::new(request)).await.expect("a stream").into_inner();
    let read = async {
        let mut found = Vec::new();
        let mut pages = pages;
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            found.extend(page.segments.iter().flat_map(|segment| segment.changes.clone()));
            if found.len() >= count && page.caught_up {
                return (found, page);
            }
        }
        panic!("the stream ended with {} changes", found.len());
    };
    tokio::time::timeout(SOON, read).await.expect("in time")
}

#[tokio::test]
async fn the_feed_tells_models_and_health_in_order_and_lists_what_is_there() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    rig.tell([counted(account_id(1), day("2024-04-30"), &[("logins", 0)])]).await;
    let (changes, last) = follow(&rig, everything(), 3).await;
    let kinds: Vec<_> = changes.iter().map(|change| change.kind()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == ChangeKind::Model).count(), 1);
    let values: Vec<_> = changes
        .iter()
        .filter_map(|change| match &change.state {
            Some(State::AccountHealth(health)) => Some((health.value_millis, health.score_version)),
            _ => None,
        })
        .collect();
    assert_eq!(values, [(Some(100_000), 1), (Some(85_714), 2)]);

    let heads =
        rig.feed_client().get_heads(Request::new(GetHeadsRequest::default())).await.expect("heads").into_inner();
    assert_eq!((heads.heads.iter().map(|head| head.last_seq).sum::<i64>(), &heads.epoch), (3, &last.epoch));
    let health = heads.heads.iter().find(|head| head.partition == i32::from(account_id(1).partition().number()));
    let seq = health.expect("a head").last_seq;
    let cursor =
        |seq| FeedCursor { workspace_id: rig.workspace.to_string(), partition: health.expect("one").partition, seq };
    let after = FollowRequest { cursors: vec![cursor(seq - 1)], epoch: heads.epoch.clone(), ..everything() };
    let wanted = FollowRequest { kinds: vec![ChangeKind::AccountHealth.into()], ..after };
    let (changes, _) = follow(&rig, wanted, 1).await;
    assert_eq!(changes.iter().map(|change| change.seq).collect::<Vec<_>>(), [seq]);

    let asked = ListStateRequest {
        workspace_id: rig.workspace.to_string(),
        partitions: (0..64).collect(),
        page_token: Default::default(),
    };
    let state = rig.feed_client().list_state(Request::new(asked)).await.expect("the state").into_inner();
    let listed: Vec<_> = state.segments.iter().flat_map(|segment| &segment.changes).collect();
    assert_eq!((listed.len(), state.next_page_token.is_empty()), (2, true));
    assert!(listed.iter().all(|change| change.seq == 0));
    let value = listed.iter().find_map(|change| match &change.state {
        Some(State::AccountHealth(health)) => Some((health.value_millis, health.primary)),
        _ => None,
    });
    assert_eq!(value, Some((Some(85_714), true)));
    rig.stop().await;
}

#[tokio::test]
async fn a_cursor_of_another_life_is_out_of_range_and_a_wrong_request_names_everything() {
    let rig = Rig::start().await;
    let other = FollowRequest { epoch: vec![9; 16].into(), ..everything() };
    let refused = rig.feed_client().follow(Request::new(other)).await.expect_err("another life");
    assert_eq!(
        (refused.code(), keizoku_runtime::status::reason(&refused).as_deref()),
        (Code::OutOfRange, Some("FEED_EPOCH_CHANGED"))
    );
    let wrong =
        FollowRequest { partitions: vec![64], cursors: vec![FeedCursor::default()], ..FollowRequest::default() };
    let refused = rig.feed_client().follow(Request::new(wrong)).await.expect_err("wrong");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = crate::world::wrong(&refused);
    assert_eq!(violations.len(), 2, "{violations:?}");
    tokio::time::timeout(Duration::from_secs(30), rig.stop()).await.expect("it stops");
}
