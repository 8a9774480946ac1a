//! The parts of the measurements that can be wrong without anybody noticing.

mod bench;
mod data;
mod figure;
mod load;
mod program;
mod run;
mod system;
mod yardstick;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::{BufMut as _, Bytes, BytesMut};
use keizoku_base::Micros;
use keizoku_proto::scoring::score_service_client::ScoreServiceClient;
use keizoku_proto::scoring::{GetScoreRequest, GetScoreResponse, Score};
use prost::Message as _;

use bench::taking_in::with_duplicates;
use data::{Accounts, Events, Random, Times};
use figure::{Figure, rounded};
use system::{channel, proc};
use yardstick::copy::{data_of, tuples};
use yardstick::echo;

const LONG: Duration = Duration::from_secs(30);
const NOW: Micros = Micros(1_700_000_000 * Micros::SECOND);

fn figure(samples: &[f64]) -> Figure {
    let mut figure = Figure::new("score-read", "l1_ratio", "ratio");
    samples.iter().for_each(|sample| figure.add(*sample));
    figure
}

#[test]
fn a_name_nobody_knows_is_refused() {
    assert_eq!(program::run(["ingest".to_owned(), "nonsense".to_owned()].into_iter()), 2);
}

#[test]
fn a_line_holds_median_spread_and_rounds() {
    assert_eq!(
        figure(&[0.8, 0.7, 0.743_21]).line(),
        r#"{"bench":"score-read","figure":"l1_ratio","value":0.7432,"min":0.7,"max":0.8,"rounds":3,"noisy":false,"unit":"ratio"}"#
    );
}

#[test]
fn more_than_30_percent_between_the_ends_is_noisy() {
    assert!(!figure(&[0.86, 1.0, 1.15]).line().contains("true"));
    assert!(figure(&[0.84, 1.0, 1.15]).line().contains(r#""noisy":true"#));
    assert!(!figure(&[3.0]).line().contains("true"));
}

#[test]
fn the_median_of_an_even_number_lies_between_the_two() {
    assert_eq!(figure(&[4.0, 1.0, 2.0, 3.0]).median().to_bits(), 2.5_f64.to_bits());
}

#[test]
fn numbers_keep_four_digits() {
    let table = [(0.0, "0"), (12_345.6, "12346"), (1.5, "1.5"), (0.012_345_6, "0.01235"), (f64::NAN, "null")];
    for (value, expected) in table {
        assert_eq!(rounded(value), expected);
    }
}

#[test]
fn the_first_account_is_n_times_as_frequent_as_the_nth() {
    let accounts = Accounts::new(10_000);
    let mut random = Random::new(1);
    let mut counts = vec![0_u32; accounts.count()];
    for _ in 0..200_000 {
        counts[accounts.draw(&mut random)] += 1;
    }
    for rank in [2_u32, 5, 10] {
        let ratio = f64::from(counts[0]) / f64::from(counts[rank as usize - 1]);
        assert!((ratio / f64::from(rank) - 1.0).abs() < 0.15, "{rank}: {ratio}");
    }
    let first = f64::from(counts[0]) / 200_000.0;
    assert!((first - 1.0 / 9.787_6).abs() < 0.005, "{first}");
}

#[test]
fn one_event_in_a_hundred_was_sent_by_an_earlier_batch() {
    let accounts = Accounts::new(100);
    let batches = Events::new(&accounts, "s").batches(20, 500, Times::Now(NOW));
    let mut seen: HashSet<String> = HashSet::new();
    let mut duplicates = 0;
    for batch in &batches {
        let ids: Vec<String> = batch.events.iter().map(|event| event.id.clone()).collect();
        duplicates += ids.iter().filter(|id| seen.contains(*id)).count();
        seen.extend(ids);
    }
    let sent: usize = batches.iter().map(|batch| batch.events.len()).sum();
    assert_eq!((sent, seen.len() + duplicates, duplicates), (10_000, 10_000, 95));
}

#[test]
fn every_user_is_introduced_before_any_comes_again() {
    let accounts = Accounts::new(3);
    let mut events = Events::new(&accounts, "s").introducing(4);
    let users: Vec<String> = (0..80).map(|_| events.next(Times::Now(NOW)).user_id).collect();
    assert_eq!((users.first().map(String::as_str), users.last().map(String::as_str)), (Some("u0-0"), Some("u3-19")));
    assert_eq!(users.iter().collect::<HashSet<_>>().len(), 80);
}

#[test]
fn the_same_series_gives_the_same_events_and_another_one_others() {
    let accounts = Accounts::new(100);
    let events = |series: &str| Events::new(&accounts, series).batches(2, 10, Times::Before(NOW, 7));
    assert_eq!(events("a"), events("a"));
    assert_ne!(events("a")[0].events[0].user_id, events("b")[0].events[0].user_id);
}

#[test]
fn duplicates_come_after_what_they_repeat() {
    let all = with_duplicates((0..990).collect(), 10);
    assert_eq!(all.len(), 1000);
    let once: HashSet<u32> = all.iter().copied().collect();
    assert_eq!(once.len(), 990);
    assert!(once.iter().all(|row| all.iter().position(|other| other == row) <= Some(*row as usize + 10)));
    assert_eq!(with_duplicates(vec![1, 2], 0), [1, 2]);
}

fn row(values: &[Option<&[u8]>]) -> Bytes {
    let mut row = BytesMut::new();
    row.put_i16(i16::try_from(values.len()).expect("few"));
    for value in values {
        row.put_i32(value.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("short")));
        row.extend_from_slice(value.unwrap_or_default());
    }
    row.freeze()
}

#[test]
fn copied_rows_are_cut_apart_and_put_together_again() {
    let rows = vec![row(&[Some(b"ab"), None]), row(&[Some(b""), Some(b"xyz")])];
    assert_eq!(tuples(data_of(&rows)).expect("rows"), rows);
    assert_eq!(tuples(data_of(&[])).expect("rows"), Vec::<Bytes>::new());
    assert!(tuples(data_of(&rows).slice(..30)).is_err());
}

#[test]
fn processor_time_is_read_behind_any_name() {
    assert_eq!(proc::ticks("42 (a) b) S 1 2 3 4 5 6 7 8 9 10 700 33 1 1 20 0"), Some(733));
    assert_eq!(proc::ticks("42 (a"), None);
    assert!(proc::processor_time(std::process::id()).is_ok());
    assert!(proc::resident_mib(std::process::id()).expect("a running process") > 0.5);
}

#[tokio::test]
async fn a_slow_answer_delays_no_later_call_and_counts_from_when_it_was_due() {
    let begun = Instant::now();
    let slow_once = |number| async move {
        tokio::time::sleep(Duration::from_millis(if number == 10 { 400 } else { 1 })).await;
        Ok(())
    };
    let latencies = load::open(1000.0, 100, LONG, slow_once).await.expect("no call fails").expect("no call is late");
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    assert!(latencies.longest_ms() >= 399.0, "{}", latencies.longest_ms());
    assert!(latencies.percentile_ms(50.0) < 300.0, "{}", latencies.percentile_ms(50.0));

    let late = load::open(1000.0, 1_000_000, Duration::from_millis(100), slow_once).await.expect("no call fails");
    assert!(late.is_none());
}

#[tokio::test]
async fn the_first_failure_ends_a_load() {
    let failing = |number| async move { if number == 3 { bail!("no") } else { Ok(()) } };
    assert!(load::open(10_000.0, 100, LONG, failing).await.is_err());
    assert!(load::closed(2, Duration::from_secs(5), failing).await.is_err());
}

#[tokio::test]
async fn the_echo_gives_the_answers_it_was_given_in_turn() {
    let answers = [1, 2].map(|version| GetScoreResponse {
        score: Some(Score { model: "bench".to_owned(), score_version: version, ..Score::default() }),
        ..GetScoreResponse::default()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket"));
    let encoded = answers.iter().map(|answer| answer.encode_to_vec().into()).collect();
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(echo::answer(listener, encoded, std::future::pending()));
    let wire = channel::connect(&endpoint, "kz_a_b").await.expect("the echo listens");
    let mut service = ScoreServiceClient::new(wire);
    for expected in [&answers[0], &answers[1], &answers[0]] {
        let answer = service.get_score(GetScoreRequest::default()).await.expect("an answer").into_inner();
        assert_eq!(answer, *expected);
    }
}
