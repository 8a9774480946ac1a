use std::collections::BTreeMap;
use std::sync::Arc;

use keizoku_base::Partition;
use keizoku_proto::ingestion as proto;
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::feed_service_client::FeedServiceClient;
use keizoku_proto::ingestion::metric_definition::Aggregation;
use keizoku_proto::types::FeedCursor;
use keizoku_runtime::client::streaming;
use keizoku_runtime::config::Secret;
use keizoku_runtime::{Client, Credential};
use keizoku_testkit::eventually;
use tonic::{Code, Status};

use crate::rig::{INTERNAL, Rig, SOON, reason};
use crate::sender::{by_user, days, days_become, define, login, metric, received, send, store, tokyo, with_property};

fn feed(rig: &Rig) -> FeedServiceClient<Client> {
    FeedServiceClient::new(rig.channel_with(Credential::Internal(Secret::new(INTERNAL))))
}

fn partitions() -> Vec<i32> {
    Partition::all().map(|partition| i32::from(partition.number())).collect()
}

/// What a follower knows: the newest change of each thing, and how far it has read.
#[derive(Default)]
struct Follower {
    known: BTreeMap<(i32, Vec<u8>, i32), proto::Change>,
    reached: BTreeMap<i32, i64>,
    seen: Vec<proto::Change>,
}

impl Follower {
    /// Follows until everything that is written by now is read; checks that nothing is missing in between.
    async fn catch_up(&mut self, rig: &Rig) {
        let heads = feed(rig).get_heads(proto::GetHeadsRequest::default()).await.expect("heads").into_inner();
        let cursor = |(partition, seq): (&i32, &i64)| FeedCursor {
            workspace_id: rig.workspace.to_string(),
            partition: *partition,
            seq: *seq,
        };
        let request = proto::FollowRequest {
            partitions: partitions(),
            cursors: self.reached.iter().map(cursor).collect(),
            kinds: Vec::new(),
            epoch: heads.epoch,
        };
        let mut pages = feed(rig).follow(streaming(request)).await.expect("a stream").into_inner();
        while heads.heads.iter().any(|head| self.reached.get(&head.partition).unwrap_or(&0) < &head.last_seq) {
            let page = pages.message().await.expect("a page").expect("no end");
            assert!(page.segments.iter().map(|segment| segment.changes.len()).sum::<usize>() <= 500);
            page.segments.into_iter().for_each(|segment| self.take(segment));
        }
    }

    fn take(&mut self, segment: proto::FeedSegment) {
        let reached = self.reached.entry(segment.partition).or_default();
        assert_eq!(*reached, segment.after_seq, "partition {}", segment.partition);
        for (expected, change) in (segment.after_seq + 1..).zip(segment.changes) {
            assert_eq!(change.seq, expected);
            assert!(change.written_at_micros > 0);
            self.seen.push(change.clone());
            self.known.insert((change.kind, change.key.to_vec(), segment.partition), change);
        }
        *reached = segment.through_seq;
    }

    /// The states of all things that are not gone.
    fn states(&self) -> BTreeMap<(i32, Vec<u8>, i32), State> {
        let state = |(key, change): (&(i32, Vec<u8>, i32), &proto::Change)| Some((key.clone(), change.state.clone()?));
        self.known.iter().filter_map(state).filter(|(_, state)| !matches!(state, State::Tombstone(_))).collect()
    }
}

/// The present state, page by page.
async fn listed(rig: &Rig) -> BTreeMap<(i32, Vec<u8>, i32), State> {
    let (mut found, mut token) = (BTreeMap::new(), bytes::Bytes::new());
    loop {
        let request = proto::ListStateRequest {
            workspace_id: rig.workspace.to_string(),
            partitions: partitions(),
            page_token: token,
        };
        let page = feed(rig).list_state(request).await.expect("a page").into_inner();
        for segment in page.segments {
            for change in segment.changes {
                assert_eq!(change.seq, 0);
                let key = (change.kind, change.key.to_vec(), segment.partition);
                assert!(found.insert(key, change.state.expect("a state")).is_none(), "it was listed before");
            }
        }
        token = page.next_page_token;
        if token.is_empty() {
            return found;
        }
    }
}

async fn rolled(rig: &Rig, account: &str, count: f64) {
    eventually(SOON, || async {
        let sum: f64 = days(rig, "logins", account).await.iter().map(|(_, value)| value).sum();
        if sum == count { Ok(()) } else { Err(sum) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_gets_every_change_while_many_write() {
    let rig = Arc::new(Rig::start().await);
    define(&rig, metric("logins", Aggregation::Count)).await;
    define(&rig, metric("users", Aggregation::DistinctUsers)).await;
    let writers = (0..6).map(|writer| {
        let rig = Arc::clone(&rig);
        async move {
            for round in 0..8 {
                let sent = (0..40_i64).map(|number| {
                    let at = tokyo(4, 20, 0).plus((number % 12) * keizoku_base::Micros::DAY);
                    let event = login(format!("{writer}-{round}-{number}"), &format!("a{}", number % 20), at);
                    let plan = keizoku_proto::types::value::Kind::Integer(number);
                    by_user(with_property(event, "plan", plan), &format!("u{}", number % 7))
                });
                store(&rig, sent.collect()).await;
            }
        }
    });
    let writing = futures::future::join_all(writers);
    let mut follower = Follower::default();
    let following = async {
        for _ in 0..10 {
            follower.catch_up(&rig).await;
        }
    };
    futures::future::join(writing, following).await;
    for account in 0..20 {
        rolled(&rig, &format!("a{account}"), 96.0).await;
    }
    follower.catch_up(&rig).await;
    let kinds = |kind: proto::ChangeKind| follower.states().keys().filter(|key| key.0 == i32::from(kind)).count();
    assert_eq!(kinds(proto::ChangeKind::Account), 20);
    assert_eq!(kinds(proto::ChangeKind::MetricDefinition), 2);
    assert_eq!(kinds(proto::ChangeKind::AccountSource), 20);
    assert!(kinds(proto::ChangeKind::MetricDay) >= 20 && kinds(proto::ChangeKind::Watermark) > 0);
    let told = follower.states();
    assert_eq!(listed(&rig).await, told);
}

#[tokio::test]
async fn a_day_is_told_whole_with_its_trace() {
    let rig = Rig::start().await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    define(&rig, metric("users", Aggregation::DistinctUsers)).await;
    let at = tokyo(4, 30, 8);
    let sent = proto::IngestEventsRequest {
        source: "app".to_owned(),
        events: vec![by_user(login("1", "acme", at), "u1"), by_user(login("2", "acme", at), "u2")],
        validate_only: false,
    };
    let mut request = tonic::Request::new(sent);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", parent.parse().expect("a header"));
    crate::sender::events(&rig).ingest_events(request).await.expect("stored");
    days_become(&rig, "users", "acme", &[("04-30", 2.0)]).await;
    let mut follower = Follower::default();
    follower.catch_up(&rig).await;
    let days = follower.seen.iter().filter(|change| change.kind() == proto::ChangeKind::MetricDay);
    let told: Vec<_> = days.collect();
    let Some(State::MetricDay(day)) = &told[0].state else { panic!("a day: {told:?}") };
    let values: Vec<_> =
        day.values.iter().map(|value| (value.key.as_str(), value.version, value.value_millionths)).collect();
    assert_eq!(values, [("logins", 1, 2_000_000), ("users", 1, 2_000_000)]);
    assert!(day.values[0].users.is_empty() && !day.values[1].users.is_empty());
    assert_eq!((told.len(), day.known_at_micros), (1, 1_714_521_600_000_000));
    assert!(told[0].trace_parent.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{:?}", told[0].trace_parent);
    assert!(follower.states().values().any(|state| matches!(state, State::SourceDays(days) if days.source == "app")));
}

#[tokio::test]
async fn only_services_follow_and_another_epoch_begins_anew() {
    let rig = Rig::start().await;
    let status = FeedServiceClient::new(rig.channel()).get_heads(proto::GetHeadsRequest::default()).await;
    assert_eq!(status.expect_err("a key").code(), Code::PermissionDenied);
    let request = proto::FollowRequest { partitions: vec![0], epoch: vec![7; 16].into(), ..Default::default() };
    let mut pages = feed(&rig).follow(streaming(request)).await.expect("a stream").into_inner();
    let status: Status = pages.message().await.expect_err("another epoch");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "FEED_EPOCH_CHANGED"));
    let request = proto::FollowRequest { partitions: vec![64, -1], ..Default::default() };
    let status = feed(&rig).follow(streaming(request)).await.expect_err("no partitions");
    assert_eq!(crate::rig::violations(&status).len(), 2);
}

#[tokio::test]
async fn a_reset_workspace_counts_afresh() {
    let rig = Rig::start().await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    store(
        &rig,
        (0..50).map(|number| login(format!("{number}"), &format!("a{}", number % 5), tokyo(4, 30, 8))).collect(),
    )
    .await;
    days_become(&rig, "logins", "a0", &[("04-30", 10.0)]).await;
    let mut follower = Follower::default();
    follower.catch_up(&rig).await;
    for round in 1..4 {
        let request = proto::ResetWorkspaceRequest { confirm_display_name: "rig".to_owned() };
        rig.control().reset_workspace(request).await.expect("a reset");
        // At once, while the roller still stands where the log ended.
        let first = send(&rig, vec![login("0", "a0", tokyo(4, 30, 8))]).await.expect("an answer");
        assert_eq!(first.stored_count, 1, "round {round}");
        define(&rig, metric("logins", Aggregation::Count)).await;
        store(&rig, (1..4).map(|number| login(format!("{number}"), "a0", tokyo(4, 30, 8))).collect()).await;
        days_become(&rig, "logins", "a0", &[("04-30", 4.0)]).await;
        assert_eq!(received(&rig).await, [4, 4, 0, 0]);
    }
    let cursor = |(partition, seq): (&i32, &i64)| FeedCursor {
        workspace_id: rig.workspace.to_string(),
        partition: *partition,
        seq: *seq,
    };
    let request = proto::FollowRequest {
        partitions: partitions(),
        cursors: follower.reached.iter().map(cursor).collect(),
        ..Default::default()
    };
    let mut pages = feed(&rig).follow(streaming(request)).await.expect("a stream").into_inner();
    let status = loop {
        if let Err(status) = pages.message().await {
            break status;
        }
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "FEED_TRIMMED"));
    let listed = listed(&rig).await;
    let accounts = listed.keys().filter(|key| key.0 == i32::from(proto::ChangeKind::Account)).count();
    assert_eq!(accounts, 1);
}
