use keizoku_base::Micros;
use keizoku_proto::ingestion as proto;
use keizoku_proto::ingestion::metric_definition::Aggregation;
use keizoku_proto::types::value::Kind;
use tonic::Code;

use crate::rig::{Rig, reason, violations};
use crate::sender::{
    APP, backfilled, by_user, crm, days, days_become, days_known, define, events, login, metric, metrics, send, store,
    tokyo, with_property, with_value,
};

const ALL: [Aggregation; 5] =
    [Aggregation::Count, Aggregation::Sum, Aggregation::Max, Aggregation::Last, Aggregation::DistinctUsers];

async fn define_all(rig: &Rig, prefix: &str) {
    for aggregation in ALL {
        let filter = "event.plan == 'pro' || event.name == 'login'".to_owned();
        let key = format!("{prefix}_{}", aggregation.as_str_name().to_lowercase());
        define(rig, proto::MetricDefinition { filter, ..metric(&key, aggregation) }).await;
    }
}

/// Events over days and accounts, of which some come late, some twice.
async fn a_mixture(rig: &Rig, name: &str) {
    for round in 0_i64..4 {
        let sent = (0..120_i64).map(|number| {
            let at = tokyo(4, 25, 0).plus((number % 6) * Micros::DAY + number * 60 * Micros::SECOND);
            let event = login(format!("{name}{round}-{}", number % 110), &format!("a{}", number % 4), at);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let event = with_value(event, (number * 7 % 31) as f64 - 10.5);
            by_user(with_property(event, "plan", Kind::Text("pro".to_owned())), &format!("u{}", number % 9))
        });
        let answer = send(rig, sent.collect()).await.expect("an answer");
        assert_eq!(answer.stored_count, 110);
    }
}

async fn all_days(rig: &Rig, prefix: &str) -> Vec<Vec<(String, f64)>> {
    let mut found = Vec::new();
    for aggregation in ALL {
        for account in ["a0", "a1", "a2", "a3"] {
            found.push(days(rig, &format!("{prefix}_{}", aggregation.as_str_name().to_lowercase()), account).await);
        }
    }
    found
}

#[tokio::test]
async fn a_metric_comes_to_the_same_before_or_after_its_events() {
    let rig = Rig::start().await;
    define_all(&rig, "before").await;
    a_mixture(&rig, "x").await;
    define_all(&rig, "between").await;
    a_mixture(&rig, "y").await;
    define_all(&rig, "after").await;
    backfilled(&rig).await;
    let counted = || async { days(&rig, "before_aggregation_count", "a0").await.iter().map(|(_, value)| value).sum() };
    keizoku_testkit::eventually(crate::rig::SOON, || async {
        let sum: f64 = counted().await;
        if sum == 224.0 { Ok(()) } else { Err(sum) }
    })
    .await;
    let before = all_days(&rig, "before").await;
    assert!(before.iter().all(|days| !days.is_empty()));
    assert_eq!(all_days(&rig, "between").await, before);
    assert_eq!(all_days(&rig, "after").await, before);
    assert!(
        metrics(&rig)
            .await
            .iter()
            .all(|metric| { metric.backfill.is_some_and(|backfill| backfill.state() == proto::backfill::State::Done) })
    );
}

#[tokio::test]
async fn a_backfill_goes_on_where_a_stopped_process_left_it() {
    let rig = Rig::start().await;
    for part in 0..5 {
        let at = tokyo(4, 30, 1);
        store(
            &rig,
            (0..3000).map(|number| login(format!("{part}-{number}"), &format!("a{}", number % 3), at)).collect(),
        )
        .await;
    }
    define(&rig, metric("early", Aggregation::Count)).await;
    let settings = keizoku_ingestion::config::IngestionSettings::default();
    days_become(&rig, "early", "a0", &[("04-30", 5000.0)]).await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    let (secret, clock) = (rig.secret.clone(), std::sync::Arc::clone(&rig.clock));
    let database = rig.stopped().await;
    let rig = Rig::on(database, &settings, &secret, clock).await;
    backfilled(&rig).await;
    for account in ["a0", "a1", "a2"] {
        days_become(&rig, "logins", account, &[("04-30", 5000.0)]).await;
        days_become(&rig, "early", account, &[("04-30", 5000.0)]).await;
    }
}

#[tokio::test]
async fn different_users_are_counted_once_a_day() {
    let rig = Rig::start().await;
    define(&rig, metric("users", Aggregation::DistinctUsers)).await;
    let seen = |id: &str, user: &str, day: u32, hour: i64| by_user(login(id, "acme", tokyo(4, day, hour)), user);
    store(&rig, vec![seen("1", "u1", 29, 1), seen("2", "u1", 29, 2), seen("3", "u2", 29, 3)]).await;
    store(&rig, vec![seen("4", "u2", 29, 4), seen("5", "u1", 30, 1), login("6", "acme", tokyo(4, 30, 2))]).await;
    store(&rig, vec![by_user(login("7", "other", tokyo(4, 30, 1)), "u1")]).await;
    days_become(&rig, "users", "acme", &[("04-29", 2.0), ("04-30", 1.0)]).await;
    days_become(&rig, "users", "other", &[("04-30", 1.0)]).await;
}

#[tokio::test]
async fn late_events_change_a_closed_day_and_leave_what_was_known() {
    let rig = Rig::start().await;
    define(&rig, metric("logins", Aggregation::Count)).await;
    define(&rig, metric("users", Aggregation::DistinctUsers)).await;
    let at = tokyo(5, 1, 8);
    store(&rig, vec![by_user(login("1", "acme", at), "u1"), by_user(login("2", "acme", at), "u2")]).await;
    days_become(&rig, "logins", "acme", &[("05-01", 2.0)]).await;
    // Two days later an event of that day arrives, and one that its source knew the day before.
    rig.clock.advance(2 * Micros::DAY);
    let known = |day: u32| Some(keizoku_convert::timestamp(tokyo(5, day, 12)));
    let late = proto::Event { known_at: known(3), ..by_user(login("3", "acme", at), "u3") };
    let earlier = proto::Event { known_at: known(2), ..by_user(login("4", "acme", at), "u3") };
    rig.clock.advance(Micros::DAY / 2);
    store(&rig, vec![late]).await;
    days_become(&rig, "logins", "acme", &[("05-01", 3.0)]).await;
    store(&rig, vec![earlier]).await;
    days_become(&rig, "logins", "acme", &[("05-01", 4.0)]).await;
    days_become(&rig, "users", "acme", &[("05-01", 3.0)]).await;
    let day = |value| vec![("05-01".to_owned(), value)];
    for (at, logins, users) in [(tokyo(5, 2, 1), 2.0, 2.0), (tokyo(5, 2, 13), 3.0, 3.0), (tokyo(5, 3, 13), 4.0, 3.0)] {
        assert_eq!(days_known(&rig, "logins", "acme", Some(at)).await, day(logins), "{at}");
        assert_eq!(days_known(&rig, "users", "acme", Some(at)).await, day(users), "{at}");
    }
}

#[tokio::test]
async fn a_condition_without_its_property_does_not_hold() {
    let rig = Rig::start().await;
    let filter = |key: &str, filter: &str| proto::MetricDefinition {
        filter: filter.to_owned(),
        ..metric(key, Aggregation::Count)
    };
    define(&rig, filter("paying", "event.plan != 'free'")).await;
    define(&rig, filter("large", "event.seats >= 10 && event.source == 'app'")).await;
    let at = tokyo(5, 1, 8);
    let plan = |id: &str, plan: &str| with_property(login(id, "acme", at), "plan", Kind::Text(plan.to_owned()));
    let large = with_property(plan("4", "pro"), "seats", Kind::Integer(12));
    store(&rig, vec![login("1", "acme", at), plan("2", "free"), plan("3", "pro"), large]).await;
    days_become(&rig, "paying", "acme", &[("05-01", 2.0)]).await;
    days_become(&rig, "large", "acme", &[("05-01", 1.0)]).await;
}

#[tokio::test]
async fn measurements_have_metrics_of_their_own() {
    let rig = Rig::start().await;
    let taking = |key: &str, measurement| proto::MetricDefinition {
        event_names: vec!["seats".to_owned()],
        measurement,
        ..metric(key, Aggregation::Last)
    };
    define(&rig, taking("seats", true)).await;
    define(&rig, taking("events", false)).await;
    let measured = |id: &str, hour, value| proto::Measurement {
        id: id.to_owned(),
        account: Some(crm("acme")),
        name: "seats".to_owned(),
        when: Some(proto::measurement::When::OccurredAt(keizoku_convert::timestamp(tokyo(5, 1, hour)))),
        value,
        known_at: None,
    };
    let request = proto::RecordMeasurementsRequest {
        source: APP.to_owned(),
        measurements: vec![measured("2", 9, Some(12.25)), measured("1", 8, Some(10.0)), measured("3", 9, None)],
        validate_only: false,
    };
    let answer = events(&rig).record_measurements(request).await.expect("an answer").into_inner();
    assert_eq!((answer.stored_count, answer.rejected_count, answer.rejections[0].index), (2, 1, 2));
    days_become(&rig, "seats", "acme", &[("05-01", 12.25)]).await;
    assert_eq!(days(&rig, "events", "acme").await, []);
}

#[tokio::test]
async fn a_definition_has_versions_and_a_request_is_done_once() {
    let rig = Rig::start().await;
    store(&rig, vec![with_value(login("1", "acme", tokyo(5, 1, 8)), 4.0)]).await;
    let put = |id: &str, metric: proto::MetricDefinition| {
        let request = proto::PutMetricRequest { request_id: id.to_owned(), metric: Some(metric), validate_only: false };
        let mut client = events(&rig);
        async move { client.put_metric(request).await.map(tonic::Response::into_inner) }
    };
    let first = put("r1", metric("logins", Aggregation::Count)).await.expect("a metric");
    assert!(first.changed && !first.position.is_empty());
    assert_eq!(first.metric.as_ref().map(|metric| metric.version), Some(1));
    days_become(&rig, "logins", "acme", &[("05-01", 1.0)]).await;
    assert_eq!(put("r1", metric("logins", Aggregation::Count)).await.expect("the same answer"), first);
    let status = put("r1", metric("logins", Aggregation::Sum)).await.expect_err("another body");
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");
    assert!(!put("", metric("logins", Aggregation::Count)).await.expect("unchanged").changed);
    let second = put("r2", metric("logins", Aggregation::Sum)).await.expect("a version");
    assert_eq!((second.changed, second.metric.map(|metric| metric.version)), (true, Some(2)));
    days_become(&rig, "logins", "acme", &[("05-01", 4.0)]).await;
    assert_eq!(metrics(&rig).await.len(), 1);

    let only = proto::PutMetricRequest {
        metric: Some(metric("other", Aggregation::Max)),
        validate_only: true,
        ..Default::default()
    };
    assert!(events(&rig).put_metric(only).await.expect("a preview").into_inner().changed);
    assert_eq!(metrics(&rig).await.len(), 1);
    let wrong = proto::MetricDefinition { filter: "account.name == 1".to_owned(), ..Default::default() };
    let status = put("", wrong).await.expect_err("refused");
    let fields: Vec<_> = violations(&status).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["metric.key", "metric.event_names", "metric.filter", "metric.aggregation"]);
}

#[tokio::test]
async fn metrics_are_listed_page_by_page() {
    let rig = Rig::start().await;
    for key in ["c", "a", "b"] {
        define(&rig, metric(key, Aggregation::Count)).await;
    }
    let (mut token, mut keys) = (String::new(), Vec::new());
    loop {
        let request = proto::ListMetricsRequest { page_size: 2, page_token: token };
        let page = events(&rig).list_metrics(request).await.expect("a page").into_inner();
        keys.extend(page.metrics.into_iter().map(|metric| metric.key));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(keys, ["a", "b", "c"]);
    let request = proto::GetMetricDaysRequest { key: "A".to_owned(), ..Default::default() };
    let status = events(&rig).get_metric_days(request).await.expect_err("refused");
    assert_eq!((status.code(), violations(&status).len()), (Code::InvalidArgument, 4));
}
