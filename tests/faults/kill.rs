//! `kill -9` in the middle of a stream, again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use keizoku_proto::ingestion::{Event, GetMetricDaysRequest, GetReceiptRequest, StreamEventsRequest};
use keizoku_runtime::client::streaming;
use keizoku_testkit::eventually;
use keizoku_tests::make::{account, account_item, count, date, event_on};
use keizoku_tests::{Sandbox, User};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How often the process is killed.
const KILLS: u64 = 20;
/// Events of a batch.
const BATCH: u64 = 40;
/// Customers they are of.
const CUSTOMERS: u64 = 7;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_mid_stream_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let mut sandbox = Sandbox::start().await;
    let mut user = User::new(&sandbox.client());
    let items = (0..CUSTOMERS).map(|number| account_item(&format!("customer-{number}"), &[])).collect();
    user.put_accounts(items).await.expect("accounts");
    user.put_metric(count("clicks", "click", "app")).await.expect("a metric");

    let mut acknowledged = 0;
    let mut begun = 0;
    for round in 0..KILLS {
        let life = Duration::from_millis(60 + 37 * (round * 7 % KILLS));
        let (last, sent) = stream_until_killed(&mut sandbox, acknowledged, life).await;
        acknowledged = last;
        begun = sent.max(begun);
        sandbox.restart().await;
    }
    assert!(acknowledged > 0, "no batch was ever acknowledged, so nothing was tested");

    // What was not acknowledged is sent again, as a sender does.
    let mut user = User::new(&sandbox.client());
    for batch in acknowledged + 1..=begun {
        let answer = user.send("app", events(batch)).await.expect("stored");
        assert_eq!(answer.stored_count + answer.duplicate_count, i32::try_from(BATCH).expect("small"));
    }
    let total = i64::try_from(begun * BATCH).expect("small");
    let counted = eventually(Duration::from_secs(60), || {
        let user = user.clone();
        async move {
            let counted = counts(user).await?;
            (counted.values().sum::<i64>() >= total).then_some(counted)
        }
    })
    .await;
    assert_eq!(counted, expected(begun), "the metric counts every event once");
    assert_eq!(stored(&mut user).await, total, "the receipt counts every event once");
}

/// Streams batches after `acknowledged` and kills the process after `life`; answers the last batch that was
/// acknowledged and the last one that was begun.
#[expect(clippy::disallowed_methods, reason = "a test's own sender and reader, which it awaits")]
async fn stream_until_killed(sandbox: &mut Sandbox, acknowledged: u64, life: Duration) -> (u64, u64) {
    let (sender, receiver) = mpsc::channel(2);
    let mut events_client = User::new(&sandbox.client()).events;
    let sending = tokio::task::spawn({
        async move {
            let mut batch = acknowledged;
            loop {
                batch += 1;
                let number = i64::try_from(batch).expect("small");
                let request = StreamEventsRequest { batch: number, source: "app".to_owned(), events: events(batch) };
                if sender.send(request).await.is_err() {
                    return batch;
                }
            }
        }
    });
    let reading = tokio::task::spawn(async move {
        let mut last = acknowledged;
        let Ok(answers) = events_client.stream_events(streaming(ReceiverStream::new(receiver))).await else {
            return last;
        };
        let mut answers = answers.into_inner();
        while let Ok(Some(answer)) = answers.message().await {
            last = u64::try_from(answer.acknowledged_batch).expect("a batch of ours");
        }
        last
    });
    tokio::time::sleep(life).await;
    sandbox.kill();
    let last = reading.await.expect("a reader");
    (last, sending.await.expect("a sender"))
}

fn events(batch: u64) -> Vec<Event> {
    let event = |number: u64| {
        let customer = format!("customer-{}", (batch + number) % CUSTOMERS);
        event_on(&format!("{batch}-{number}"), &customer, "click", "2024-05-05")
    };
    (0..BATCH).map(event).collect()
}

fn expected(batches: u64) -> BTreeMap<String, i64> {
    let mut expected = BTreeMap::new();
    for batch in 1..=batches {
        for number in 0..BATCH {
            *expected.entry(format!("customer-{}", (batch + number) % CUSTOMERS)).or_default() += 1;
        }
    }
    expected
}

async fn counts(mut user: User) -> Option<BTreeMap<String, i64>> {
    let mut counts = BTreeMap::new();
    for number in 0..CUSTOMERS {
        let customer = format!("customer-{number}");
        let request = GetMetricDaysRequest {
            key: "clicks".to_owned(),
            account: Some(account(&customer)),
            from: Some(date("2024-05-01")),
            until: Some(date("2024-06-01")),
            known_at: None,
        };
        let days = user.events.get_metric_days(request).await.ok()?.into_inner().days;
        #[expect(clippy::cast_possible_truncation, reason = "a count of a test")]
        counts.insert(customer, days.iter().map(|day| day.value as i64).sum());
    }
    Some(counts)
}

async fn stored(user: &mut User) -> i64 {
    let request = GetReceiptRequest { source: "app".to_owned(), ..GetReceiptRequest::default() };
    let total = user.events.get_receipt(request).await.expect("a receipt").into_inner().total.expect("a sum");
    assert_eq!(total.sent_count, total.stored_count + total.duplicate_count + total.rejected_count);
    total.stored_count
}
