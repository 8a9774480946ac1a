//! Scores follow their inputs, whatever the order in which these come.

use keizoku_base::Partition;
use keizoku_convert::date;
use keizoku_proto::ingestion::Change;
use keizoku_proto::ingestion::metric_definition::Aggregation as Counting;
use keizoku_proto::scoring::{HealthModel, Measure, Stage, metric_window, score};

use crate::models::{model, weekly, window, with_logins};
use crate::rig::Rig;
use crate::told::{
    Placed, account, account_id, contract, counted, covered, day, days, delivered, gone, metric, used, watermark,
    workspace,
};

#[tokio::test]
async fn a_day_of_metrics_changes_the_score_and_the_feed_says_so_once() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    let id = account_id(1);
    let before = rig.scored(id).await;
    assert_eq!((before.value_millis, before.band.as_str()), (100_000, "good"));
    assert_eq!(before.band_since, Some(date(day("2024-04-05"))), "the fifth closed day makes 50 of 70");

    rig.tell([counted(id, day("2024-04-30"), &[("logins", 0)]), counted(id, day("2024-04-29"), &[("logins", 0)])])
        .await;
    let after = rig.score(id).await;
    let Some(score::Result::Scored(scored)) = &after.result else { panic!("no score") };
    assert_eq!((scored.value_millis, scored.band.as_str()), (71_429, "good"));
    assert_eq!(scored.change_7d_millis, Some(71_429 - 100_000));
    assert_eq!(scored.contributions[0].previous_value, Some(30.0), "on 2024-04-03 there were three closed days");
    assert_eq!(scored.contributions[0].contribution_millis, 71_429);
    assert_eq!((after.account_name.as_str(), after.day), ("Account 1", Some(date(day("2024-05-01")))));

    let told = rig.told_health().await;
    let values: Vec<_> = told.iter().map(|(_, health)| (health.value_millis, health.score_version)).collect();
    assert_eq!(values, [(Some(100_000), 1), (Some(71_429), 2)]);
    rig.tell([counted(id, day("2024-04-30"), &[("logins", 0)])]).await;
    assert_eq!(rig.told_health().await.len(), 2, "the same again is no news");
    let causes = rig.rows("SELECT causes FROM score_change ORDER BY score_version").await;
    let causes: Vec<String> = causes.iter().map(|row| row.get(0).expect("a text")).collect();
    assert_eq!(causes, ["logins", "logins"]);
    rig.stop().await;
}

#[tokio::test]
async fn an_older_change_is_ignored() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    let id = account_id(1);
    let before = rig.scores().await;
    let tx = rig.app.db.read("test", keizoku_storage::Scope::System).await.expect("a transaction");
    let marks = tx.fetch_all("SELECT marks FROM metric_block", Vec::new()).await.expect("rows");
    assert_eq!(marks.len(), 1);
    drop(tx);
    // The same life of the feed lists its state again: what it lists is not older, what is gone from it is swept away.
    let april = days("2024-04-01", "2024-04-30");
    let mut state: Vec<Placed> = vec![
        workspace(rig.workspace, None, 1),
        metric("logins", "app", 1, Counting::Count),
        account(id, &[]),
        covered(id, "app", day("2024-04-01"), day("2024-04-30")),
        delivered(id.partition(), "app", april.clone()),
    ];
    state.extend(april.clone().map(|on| counted(id, on, &[("logins", 10)])));
    rig.feed.restore(state.clone());
    rig.settle().await;
    assert_eq!(rig.scores().await, before);

    // Without the last two days and with another account.
    state.truncate(state.len() - 2);
    let other = account_id(65);
    state.push(account(other, &[]));
    rig.feed.restore(state.clone());
    rig.settle_after(|scores| scores.len() == 2).await;
    assert_eq!(rig.scored(id).await.value_millis, 71_429);

    // And without the first account.
    let of_first = |placed: &Placed| placed.1.key.starts_with(id.0.as_bytes());
    state.retain(|placed| !of_first(placed));
    rig.feed.restore(state);
    rig.settle_after(|scores| scores.len() == 1).await;
    assert!(rig.score_by(id, "health").await.is_none());
    for table in ["metric_block", "score_month", "score_change"] {
        let left = rig.rows(&format!("SELECT account_id FROM {table}")).await;
        let of_id = left.iter().filter(|row| row.get::<uuid::Uuid, _>(0).expect("an id") == id.0).count();
        assert_eq!(of_id, 0, "{table}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn contracts_and_attributes_change_scores_too() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    let stage = |key: &str, when: &str| Stage { key: key.to_owned(), when: when.to_owned(), ..Stage::default() };
    let stages = vec![stage("paying", "contract.active"), stage("trial", "")];
    let applies_to = "account.segment != \"internal\"".to_owned();
    let id = account_id(1);
    rig.tell([account(id, &[("segment", "smb")])]).await;
    rig.apply(HealthModel { stages, applies_to, ..weekly() }).await;
    assert_eq!(rig.score(id).await.stage, "trial");

    let signed = contract(id, 1, 50_000, day("2024-04-01"), Some(day("2025-04-01")));
    rig.tell([signed.clone()]).await;
    let paying = rig.score(id).await;
    assert_eq!((paying.stage.as_str(), paying.next_renewal_on), ("paying", Some(date(day("2025-04-01")))));
    assert_eq!(paying.monthly_revenue.iter().map(|money| money.minor_units).collect::<Vec<_>>(), [50_000]);
    let health = rig.told_health().await.pop().expect("told").1;
    assert_eq!((health.stage.as_str(), health.monthly_revenue.len()), ("paying", 1));

    rig.tell([gone(&signed)]).await;
    assert_eq!(rig.score(id).await.stage, "trial");
    rig.tell([account(id, &[("segment", "internal")])]).await;
    let Some(score::Result::Unscored(why)) = rig.score(id).await.result else { panic!("it is excluded") };
    assert_eq!(why.reason(), keizoku_proto::scoring::unscored::Reason::Excluded);
    rig.tell([gone(&account(id, &[]))]).await;
    assert!(rig.score_by(id, "health").await.is_none());
    rig.stop().await;
}

/// What three accounts did, each partition in its order.
fn history() -> Vec<Placed> {
    let mut told =
        vec![metric("logins", "app", 1, Counting::Count), metric("users", "app", 1, Counting::DistinctUsers)];
    for number in [1_u8, 2, 65] {
        let id = account_id(number);
        told.push(account(id, &[("segment", "smb")]));
        for (place, on) in days("2024-03-01", "2024-05-01").enumerate() {
            let users = [1, 2, 3 + place as u32 % 7];
            match (place + usize::from(number)) % 5 {
                0 => {}
                1 => told.push(used(id, on, "users", &users)),
                _ => told.push(counted(id, on, &[("logins", place as i64 % 9)])),
            }
            if place % 3 == 0 {
                told.push(covered(id, "app", day("2024-03-01"), on));
            }
            if number == 1 || place % 2 == 0 {
                told.push(delivered(id.partition(), "app", days("2024-03-01", &on.to_string())));
            }
        }
        told.push(covered(id, "app", day("2024-03-01"), day("2024-05-01")));
    }
    told
}

fn mixed() -> HealthModel {
    use metric_window::{Aggregation, Bucket};
    model(vec![
        window("logins", 0.5, Aggregation::Mean, (Bucket::Day, 10), 9.0),
        window("users", 0.3, Aggregation::DistinctUsers, (Bucket::Week, 4), 9.0),
        Measure {
            key: "trend".to_owned(),
            ..window("logins", 0.2, Aggregation::TrendPercent, (Bucket::Week, 4), 50.0)
        },
    ])
}

#[tokio::test]
async fn step_by_step_in_any_split_equals_all_at_once_bit_for_bit() {
    let all_at_once = Rig::empty(5000).await;
    all_at_once.feed.tell([workspace(all_at_once.workspace, None, 1)]);
    all_at_once.tell(history()).await;
    all_at_once.apply(mixed()).await;
    let wanted = all_at_once.scores().await;
    assert_eq!(wanted.len(), 3);
    assert!(wanted.iter().all(|score| matches!(score.result, Some(score::Result::Scored(_)))));

    // The model first; then every change in a batch of seven, the partitions taking turns in another order.
    let step_by_step = Rig::empty(7).await;
    let (definitions, mut rest): (Vec<Placed>, Vec<Placed>) =
        history().into_iter().partition(|(_, change)| change.kind == 10);
    step_by_step.feed.tell([workspace(step_by_step.workspace, None, 1)]);
    step_by_step.tell(definitions).await;
    step_by_step.apply(mixed()).await;
    rest.sort_by_key(|(partition, _)| std::cmp::Reverse(*partition));
    step_by_step.feed.tell(rest.clone());
    step_by_step.settle().await;
    assert_eq!(step_by_step.scores().await, wanted);

    // Everything that lies in the past told a second time, the days backwards, then as it is.
    let mut backwards = rest.clone();
    backwards.reverse();
    step_by_step.tell(backwards).await;
    step_by_step.tell(rest).await;
    assert_eq!(step_by_step.scores().await, wanted);

    // And all of it scored again.
    let versions = step_by_step.rows("SELECT max(score_version) FROM score").await;
    step_by_step.apply(HealthModel { label: Some(Default::default()), ..mixed() }).await;
    let again: Vec<_> = step_by_step.scores().await.into_iter().map(|score| score.result).collect();
    assert_eq!(again, wanted.into_iter().map(|score| score.result).collect::<Vec<_>>());
    assert_eq!(versions.len(), 1);
    all_at_once.stop().await;
    step_by_step.stop().await;
}

#[tokio::test]
async fn accounts_that_come_before_their_workspace_are_scored_when_it_is_there() {
    let rig = Rig::empty(500).await;
    let id = account_id(1);
    rig.feed.tell([metric("logins", "app", 1, Counting::Count), account(id, &[])]);
    rig.feed.tell(days("2024-04-01", "2024-04-30").map(|on| counted(id, on, &[("logins", 10)])));
    rig.feed.tell([
        covered(id, "app", day("2024-04-01"), day("2024-04-30")),
        delivered(id.partition(), "app", days("2024-04-01", "2024-04-30")),
    ]);
    rig.feed.tell([workspace(rig.workspace, None, 1)]);
    rig.settle().await;
    rig.apply(weekly()).await;
    assert_eq!(rig.scored(id).await.value_millis, 100_000);
    rig.stop().await;
}

#[tokio::test]
async fn a_silent_account_is_scored_again_when_its_source_comes_back() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    rig.morning_of("2024-05-10").await;
    let silent = rig.score(account_id(1)).await;
    let Some(score::Result::Unscored(_)) = silent.result else { panic!("nine days of silence are too long") };
    assert!(silent.stale && silent.stale_reason.contains("logins"), "{}", silent.stale_reason);
    // Another account of another partition hears from the source.
    let other = Partition::new(9).expect("a partition");
    rig.tell([delivered(other, "app", days("2024-05-01", "2024-05-09"))]).await;
    let back = rig.score(account_id(1)).await;
    let Some(score::Result::Scored(scored)) = back.result else { panic!("zeros are values") };
    assert_eq!((scored.value_millis, back.stale), (0, false));
    rig.stop().await;
}

#[tokio::test]
async fn positions_of_both_logs_are_reached() {
    let rig = Rig::start().await;
    let partition = Partition::new(1).expect("a partition");
    rig.tell([watermark(partition, 41), watermark(partition, 40)]).await;
    assert_eq!(rig.watermark(partition).await, (41, 2));
    rig.stop().await;
}

#[tokio::test]
async fn what_a_traced_change_causes_belongs_to_its_trace() {
    let rig = Rig::start().await;
    with_logins(&rig).await;
    rig.apply(weekly()).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (partition, change) = counted(account_id(1), day("2024-04-30"), &[("logins", 1)]);
    rig.tell([(partition, Change { trace_parent: parent.to_owned(), ..change })]).await;
    let told = rig.told_health().await.pop().expect("told").0;
    assert_eq!(told.trace_parent.get(3..35), parent.get(3..35), "{}", told.trace_parent);
    rig.stop().await;
}
