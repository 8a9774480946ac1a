//! Days end: what was believed is kept, missed days are computed, weeks leave their composition.

use keizoku_base::Day;
use keizoku_base::time::Month;
use keizoku_convert::date;
use keizoku_proto::scoring::Composition;
use keizoku_scoring::domain::history::{Basis, Close, HistoryMonth};
use prost::Message as _;

use crate::models::{weekly, with_logins};
use crate::rig::Rig;
use crate::told::{account_id, counted, day, days, delivered, workspace};

/// All closes of the account by the model `health`, ascending.
async fn closes(rig: &Rig) -> Vec<Close> {
    let rows = rig.rows("SELECT month, data FROM score_month WHERE model = 'health' ORDER BY month").await;
    let mut found = Vec::new();
    for row in rows {
        let (month, data): (i32, Vec<u8>) = (row.get(0).expect("a month"), row.get(1).expect("bytes"));
        found.extend(HistoryMonth::decode(Month(month), &data).expect("closes").closes().cloned());
    }
    found
}

fn told(closes: &[Close]) -> Vec<(Day, Basis, Option<i32>)> {
    closes.iter().map(|close| (close.day, close.basis, close.value().map(|value| value.0))).collect()
}

#[tokio::test]
async fn the_day_that_was_live_is_kept_as_it_was_believed() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    let (id, first) = (account_id(1), day("2024-05-01"));
    assert!(closes(&rig).await.is_empty());
    rig.morning_of("2024-05-02").await;
    let believed = [(first, Basis::AsBelieved, Some(85_714))];
    assert_eq!(told(&closes(&rig).await), believed, "at its close the day counts, with its zeros");
    assert_eq!(rig.scored(id).await.value_millis, 85_714);
    assert_eq!(rig.score(id).await.day, Some(date(day("2024-05-02"))));

    // What becomes known later changes no belief.
    rig.tell([counted(id, day("2024-04-28"), &[("logins", 0)])]).await;
    assert_eq!(told(&closes(&rig).await), believed);
    assert_eq!(rig.scored(id).await.value_millis, 71_429);
    let undone = rig.rows("SELECT data FROM metric_undo").await;
    assert_eq!(undone.len(), 1, "so that the first of May can still be explained");
    rig.stop().await;
}

#[tokio::test]
async fn a_batch_after_midnight_closes_the_day_before_it_changes_anything() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    // No reconciler is nudged: the batch comes first.
    rig.pass(24 * 3_600_000_000);
    rig.feed.tell([counted(account_id(1), day("2024-04-30"), &[("logins", 0)])]);
    rig.settle().await;
    assert_eq!(told(&closes(&rig).await), [(day("2024-05-01"), Basis::AsBelieved, Some(85_714))]);
    rig.stop().await;
}

#[tokio::test]
async fn a_clock_that_jumps_over_a_year_leaves_one_belief_and_computes_the_rest() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    let to = day("2024-05-01").plus(400);
    let zone = keizoku_base::Zone::parse("Asia/Tokyo").expect("a zone");
    rig.tell([workspace(rig.workspace, zone.at(to, 3600), 2)]).await;
    let closes = closes(&rig).await;
    let believed: Vec<_> = closes.iter().filter(|close| close.basis == Basis::AsBelieved).collect();
    assert_eq!(
        believed.iter().map(|close| (close.day, close.value().map(|value| value.0))).collect::<Vec<_>>(),
        [(day("2024-05-01"), Some(85_714))]
    );
    let computed: Vec<_> = closes.iter().filter(|close| close.basis == Basis::Recomputed).collect();
    assert_eq!((computed.len(), computed.first().map(|close| close.day)), (62, Some(to.plus(-62))));
    assert!(computed.iter().all(|close| close.value().is_none()), "nothing was delivered for a year");
    let score = rig.score(account_id(1)).await;
    assert!(score.stale && score.day == Some(date(to)));
    rig.stop().await;
}

#[tokio::test]
async fn a_band_goes_on_over_closes_and_begins_anew_when_it_changes() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    let id = account_id(1);
    for (on, wanted) in [
        ("2024-05-02", ("good", "2024-04-05")),
        ("2024-05-03", ("good", "2024-04-05")),
        ("2024-05-04", ("normal", "2024-05-03")),
    ] {
        rig.morning_of(on).await;
        let scored = rig.scored(id).await;
        assert_eq!((scored.band.as_str(), scored.band_since), (wanted.0, Some(date(day(wanted.1)))), "{on}");
    }
    // What becomes known now changes the value, not since when the band was believed.
    rig.tell([counted(id, day("2024-04-29"), &[("logins", 0)])]).await;
    let scored = rig.scored(id).await;
    assert_eq!((scored.value_millis, scored.band_since), (42_857, Some(date(day("2024-05-03")))));
    rig.stop().await;
}

#[tokio::test]
async fn a_week_leaves_a_composition_that_never_changes() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    rig.morning_of("2024-05-05").await;
    let id = account_id(1);
    rig.tell([delivered(id.partition(), "app", days("2024-04-01", "2024-05-04"))]).await;
    assert!(rig.rows("SELECT day FROM composition_snapshot").await.is_empty(), "the week ends with Sunday");
    rig.morning_of("2024-05-06").await;
    let kept = snapshots(&rig).await;
    assert_eq!(kept.len(), 1);
    let (on, composition) = &kept[0];
    assert_eq!((*on, composition.day), (day("2024-05-05"), Some(date(day("2024-05-05")))));
    let total = composition.total.as_ref().expect("a total");
    let bands: Vec<_> = total.bands.iter().map(|band| (band.band.as_str(), band.account_count)).collect();
    assert_eq!(bands, [("good", 0), ("normal", 0), ("bad", 1)]);
    rig.tell([counted(id, day("2024-05-01"), &[("logins", 70)])]).await;
    rig.morning_of("2024-05-14").await;
    let later = snapshots(&rig).await;
    assert_eq!(later.len(), 2);
    assert_eq!(later[0], kept[0]);
    rig.stop().await;
}

async fn snapshots(rig: &Rig) -> Vec<(Day, Composition)> {
    keizoku_testkit::eventually(crate::rig::SOON, || async {
        let over = rig.today().plus(-1);
        let last = over.plus(1).week_start().plus(-1);
        let rows = rig.rows("SELECT day, data FROM composition_snapshot ORDER BY day").await;
        let read = |row: &keizoku_storage::Row| {
            let data: Vec<u8> = row.get(1).expect("bytes");
            (Day(row.get(0).expect("a day")), Composition::decode(data.as_slice()).expect("a composition"))
        };
        let found: Vec<_> = rows.iter().map(read).collect();
        if found.last().is_some_and(|(day, _)| *day == last) { Ok(found) } else { Err(format!("not yet {last}")) }
    })
    .await
}
