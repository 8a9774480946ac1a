use std::sync::Arc;

use keizoku_base::Micros;
use keizoku_ingestion::app::retention::Kept;
use keizoku_proto::google::Date;
use keizoku_proto::ingestion as proto;
use keizoku_proto::ingestion::event::When;
use keizoku_proto::ingestion::metric_definition::Aggregation;
use keizoku_proto::types::value::Kind;
use prost::Message as _;
use prost_types::Timestamp;
use tonic::{Code, Request};

use crate::rig::{Rig, reason, violations};
use crate::sender::{
    APP, backfilled, by_user, crm, days_become, define, events, login, metric, received, send, store, tokyo,
    with_property, with_value,
};

#[tokio::test]
async fn what_is_acknowledged_is_counted() {
    let rig = Rig::start().await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    let at = tokyo(4, 30, 10);
    let answer = send(&rig, (0..7).map(|number| login(format!("e{number}"), "acme", at)).collect()).await;
    let answer = answer.expect("an answer");
    assert_eq!((answer.stored_count, answer.duplicate_count, answer.rejected_count), (7, 0, 0));
    assert!(!answer.position.is_empty());
    days_become(&rig, "logins", "acme", &[("04-30", 7.0)]).await;
    assert_eq!(received(&rig).await, [7, 7, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_events_from_many_senders_count_once() {
    let rig = Arc::new(Rig::start().await);
    define(&rig, metric("logins", Aggregation::Count)).await;
    let batch: Vec<_> =
        (0..300).map(|number| login(format!("e{number}"), &format!("a{}", number % 3), tokyo(5, 1, 8))).collect();
    let senders = (0..8).map(|sender: usize| {
        let (rig, mut batch) = (Arc::clone(&rig), batch.clone());
        batch.rotate_left(sender * 37);
        async move {
            let mut counts = (0, 0);
            for part in batch.chunks(70) {
                let answer = send(&rig, part.to_vec()).await.expect("an answer");
                assert_eq!(answer.rejections, Vec::new());
                counts = (counts.0 + answer.stored_count, counts.1 + answer.duplicate_count);
            }
            counts
        }
    });
    let counts = futures::future::join_all(senders).await;
    let sum = counts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    assert_eq!(sum, (300, 7 * 300));
    for account in ["a0", "a1", "a2"] {
        days_become(&rig, "logins", account, &[("05-01", 100.0)]).await;
    }
    assert_eq!(received(&rig).await, [2400, 300, 2100, 0]);
}

#[tokio::test]
async fn an_id_used_for_something_else_is_rejected() {
    let rig = Rig::start().await;
    let first = login("e1", "acme", tokyo(5, 1, 8));
    store(&rig, vec![first.clone()]).await;
    let other = with_value(first.clone(), 2.0);
    let answer = send(&rig, vec![first, other.clone(), login("e2", "acme", tokyo(5, 1, 8))]).await.expect("an answer");
    assert_eq!((answer.stored_count, answer.duplicate_count, answer.rejected_count), (1, 1, 1));
    let rejection = &answer.rejections[0];
    assert_eq!((rejection.index, rejection.id.as_str()), (1, "e1"));
    let status = rejection.status.clone().expect("a status");
    assert_eq!(status.code, i32::from(Code::AlreadyExists));
    let status =
        tonic::Status::with_details(Code::AlreadyExists, status.message.clone(), status.encode_to_vec().into());
    assert_eq!(reason(&status), "EVENT_ID_REUSED");
    assert_eq!(received(&rig).await, [4, 2, 1, 1]);
    // The same id of another source is another event.
    let request = proto::IngestEventsRequest { source: "web".to_owned(), events: vec![other], validate_only: false };
    assert_eq!(events(&rig).ingest_events(request).await.expect("an answer").into_inner().stored_count, 1);
}

#[tokio::test]
async fn bad_items_are_named_and_the_others_stored() {
    let rig = Rig::start().await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    let good = |id: &str| login(id, "acme", tokyo(5, 1, 8));
    let on = |year, month, day| Some(When::OccurredOn(Date { year, month, day }));
    let batch = vec![
        good("ok1"),
        with_value(good("nan"), f64::NAN),
        proto::Event { when: on(0, 1, 1), ..good("year0") },
        proto::Event { when: on(9999, 12, 31), ..good("year9999") },
        proto::Event { when: Some(When::OccurredAt(Timestamp { seconds: i64::MAX, nanos: -1 })), ..good("late") },
        with_property(good("long"), "text", Kind::Text("x".repeat(5_000_000))),
        proto::Event { account: None, name: "Login".to_owned(), ..good("two") },
        good(""),
        proto::Event { when: on(2024, 4, 30), ..good("ok2") },
    ];
    let answer = send(&rig, batch).await.expect("an answer");
    assert_eq!((answer.stored_count, answer.duplicate_count, answer.rejected_count), (2, 0, 7));
    let named: Vec<_> = answer
        .rejections
        .iter()
        .map(|rejection| {
            let status = rejection.status.clone().expect("a status");
            assert_eq!(status.code, i32::from(Code::InvalidArgument));
            let whole = tonic::Status::with_details(Code::InvalidArgument, "", status.encode_to_vec().into());
            let fields: Vec<String> = violations(&whole).into_iter().map(|(field, _)| field).collect();
            (rejection.index, rejection.id.clone(), reason(&whole), fields.join(" "))
        })
        .collect();
    let expected = [
        (1, "nan", "NOT_A_NUMBER", "value"),
        (2, "year0", "DATE_DOES_NOT_EXIST", "occurred_on"),
        (3, "year9999", "OUT_OF_RANGE", "occurred_on"),
        (4, "late", "OUT_OF_RANGE", "occurred_at"),
        (5, "long", "TOO_LONG", "properties[0].value.text"),
        (6, "two", "INVALID_ITEM", "account name"),
        (7, "", "REQUIRED", "id"),
    ];
    let expected =
        expected.map(|(index, id, reason, fields)| (index, id.to_owned(), reason.to_owned(), fields.to_owned()));
    assert_eq!(named, expected);
    assert_eq!(received(&rig).await, [9, 2, 0, 7]);
    days_become(&rig, "logins", "acme", &[("04-30", 1.0), ("05-01", 1.0)]).await;
}

#[tokio::test]
async fn a_batch_past_a_limit_is_refused_whole() {
    let rig = Rig::start().await;
    let many = (0..10_001).map(|number| login(format!("e{number}"), "acme", tokyo(5, 1, 8))).collect();
    let status = send(&rig, many).await.expect_err("too many");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(violations(&status), [("events".to_owned(), "TOO_MANY".to_owned())]);

    let long = with_property(login("e", "acme", tokyo(5, 1, 8)), "text", Kind::Text("x".repeat(9 << 20)));
    let status = send(&rig, vec![long]).await.expect_err("too long");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LONG"));

    let nothing = proto::IngestEventsRequest { source: "App".to_owned(), ..Default::default() };
    let status = events(&rig).ingest_events(nothing).await.expect_err("empty");
    let fields: Vec<_> = violations(&status).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["source", "events"]);
    assert_eq!(received(&rig).await, [0, 0, 0, 0]);
}

/// A request whose text is any bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct RawRequest {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(message, repeated, tag = "2")]
    events: Vec<RawEvent>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawEvent {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
}

#[tokio::test]
async fn text_that_is_no_utf8_refuses_the_request() {
    let rig = Rig::start().await;
    let raw = RawRequest { source: APP.to_owned(), events: vec![RawEvent { id: vec![0xc3, 0x28] }] };
    let mut grpc = tonic::client::Grpc::new(rig.channel());
    grpc.ready().await.expect("a channel");
    let path = http::uri::PathAndQuery::from_static("/keizoku.ingestion.v1.EventService/IngestEvents");
    let codec = tonic_prost::ProstCodec::<RawRequest, proto::IngestEventsResponse>::default();
    let status = grpc.unary(Request::new(raw), path, codec).await.expect_err("no UTF-8");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "MALFORMED_MESSAGE"));
    assert_eq!(violations(&status)[0].0, "events.id");
}

#[tokio::test]
async fn a_check_stores_nothing_and_makes_nobody() {
    let rig = Rig::start().await;
    store(&rig, vec![login("e1", "acme", tokyo(5, 1, 8))]).await;
    let batch = vec![
        login("e1", "acme", tokyo(5, 1, 8)),
        login("e1", "acme", tokyo(5, 1, 9)),
        by_user(login("e2", "new", tokyo(5, 1, 8)), "u1"),
    ];
    let check = || proto::IngestEventsRequest { source: APP.to_owned(), events: batch.clone(), validate_only: true };
    for _ in 0..2 {
        let answer = events(&rig).ingest_events(check()).await.expect("an answer").into_inner();
        assert_eq!((answer.stored_count, answer.duplicate_count, answer.rejected_count), (1, 1, 1));
    }
    assert_eq!(received(&rig).await, [1, 1, 0, 0]);
    let request = proto::GetAccountRequest { account: Some(crm("new")) };
    assert_eq!(rig.accounts().get_account(request).await.expect_err("nobody").code(), Code::NotFound);
}

fn batch(number: i64, source: &str, events: Vec<proto::Event>) -> proto::StreamEventsRequest {
    proto::StreamEventsRequest { batch: number, source: source.to_owned(), events }
}

#[tokio::test]
async fn a_stream_acknowledges_every_batch_in_its_turn() {
    let rig = Rig::start().await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    let made = |number: i64| {
        let mut sent: Vec<_> =
            (0..50).map(|place| login(format!("{number}-{place}"), "acme", tokyo(5, 1, 8))).collect();
        if number == 7 {
            sent[3].name.clear();
        }
        batch(number, if number == 1 { APP } else { "" }, sent)
    };
    let batches = futures::stream::iter((1..=20).map(made));
    let request = keizoku_runtime::client::streaming(batches);
    let mut answers = events(&rig).stream_events(request).await.expect("a stream").into_inner();
    let (mut last, mut stored, mut rejected) = (0, 0, Vec::new());
    while let Some(answer) = answers.message().await.expect("an acknowledgement") {
        assert!(answer.acknowledged_batch > last);
        last = answer.acknowledged_batch;
        let result = answer.result.expect("a result");
        stored += result.stored_count;
        rejected.extend(result.rejections.iter().map(|rejection| (last, rejection.index, rejection.id.clone())));
    }
    assert_eq!((last, stored, rejected), (20, 999, vec![(7, 3, "7-3".to_owned())]));
    days_become(&rig, "logins", "acme", &[("05-01", 999.0)]).await;
    assert_eq!(received(&rig).await, [1000, 999, 0, 1]);
}

#[tokio::test]
async fn a_stream_that_breaks_a_rule_ends_after_what_was_good() {
    let rig = Rig::start().await;
    let good = |number| batch(number, APP, vec![login(format!("g{number}"), "acme", tokyo(5, 1, 8))]);
    let many = (0..10_001).map(|number| login(format!("e{number}"), "acme", Micros(0))).collect();
    let table = [
        (good(1), "batch"),
        (batch(5, APP, many), "events"),
        (batch(5, "App", good(5).events), "source"),
        (batch(5, APP, Vec::new()), "events"),
    ];
    for (wrong, field) in table {
        let request = keizoku_runtime::client::streaming(futures::stream::iter([good(1), good(2), wrong, good(9)]));
        let mut answers = events(&rig).stream_events(request).await.expect("a stream").into_inner();
        let mut last = 0;
        let status = loop {
            match answers.message().await {
                Ok(Some(answer)) => last = answer.acknowledged_batch,
                Ok(None) => panic!("{field}: it ended well"),
                Err(status) => break status,
            }
        };
        assert_eq!((last, status.code(), violations(&status)[0].0.as_str()), (2, Code::InvalidArgument, field));
    }
}

#[tokio::test]
async fn a_heartbeat_says_that_silence_is_zero() {
    let rig = Rig::start().await;
    let day = |day| Some(Date { year: 2024, month: 4, day });
    let beat = proto::HeartbeatRequest { source: APP.to_owned(), from: day(28), until: day(30) };
    let answer = events(&rig).heartbeat(beat.clone()).await.expect("a beat").into_inner();
    assert!(!answer.position.is_empty());
    assert!(events(&rig).heartbeat(beat).await.expect("a beat").into_inner().position.is_empty());
    let wrong = proto::HeartbeatRequest {
        source: String::new(),
        from: Some(Date { year: 2022, month: 1, day: 1 }),
        until: Some(Date { year: 2024, month: 5, day: 2 }),
    };
    let status = events(&rig).heartbeat(wrong).await.expect_err("refused");
    let fields: Vec<_> = violations(&status).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["source", "until", "until"]);
}

#[tokio::test]
async fn old_events_go_and_what_was_counted_from_them_stays() {
    let rig = Rig::start().await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    store(&rig, (0..20).map(|number| login(format!("{number}"), "acme", tokyo(4, 30, 8))).collect()).await;
    days_become(&rig, "logins", "acme", &[("04-30", 20.0)]).await;
    rig.clock.advance(100 * Micros::DAY);
    keizoku_ingestion::app::retention::make_room(&rig.app).await.expect("room");
    store(&rig, vec![login("new", "acme", tokyo(4, 30, 8))]).await;
    let kept = Kept { changes: 14 * Micros::DAY, events: 60 * Micros::DAY };
    keizoku_ingestion::app::retention::expire(&rig.app, kept).await.expect("retention");
    days_become(&rig, "logins", "acme", &[("04-30", 21.0)]).await;
    // What is defined now can only count what is still there; an id stays used for ever.
    define(&rig, metric("later", Aggregation::Count)).await;
    backfilled(&rig).await;
    days_become(&rig, "later", "acme", &[("04-30", 1.0)]).await;
    let again = send(&rig, vec![login("0", "acme", tokyo(4, 30, 8))]).await.expect("an answer");
    assert_eq!((again.stored_count, again.duplicate_count), (0, 1));
    assert!(!again.position.is_empty());
}
