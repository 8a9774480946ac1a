//! How the accounts are spread: the weekly meeting.

use keizoku_base::{AccountId, Day, Micros};
use keizoku_convert::date;
use keizoku_proto::scoring as proto;

use crate::world::{Company, SOON, World, model, reason, wrong};

const STAGES: [&str; 3] = ["trial", "onboarding", "adopted"];
const POINTS: [i64; 3] = [80, 50, 20];

async fn composition(world: &World, day: Option<Day>) -> proto::Composition {
    let request = proto::GetCompositionRequest { as_of: day.map(date), ..Default::default() };
    let answer = world.scores().get_composition(request).await.expect("a composition").into_inner();
    answer.composition.expect("a composition")
}

fn counts(group: &proto::CompositionGroup) -> Vec<i64> {
    group.bands.iter().map(|band| band.account_count).collect()
}

/// 40 scored accounts by stage and band, and two without a score.
fn meet(world: &World, week: [[i64; 3]; 3]) -> Vec<(AccountId, Company)> {
    let mut found = Vec::new();
    for (stage, bands) in STAGES.into_iter().zip(week) {
        for (points, count) in POINTS.into_iter().zip(bands) {
            for _ in 0..count {
                found.push(Company {
                    name: Box::leak(format!("c{}", found.len()).into_boxed_str()),
                    points: Some(points),
                    stage,
                });
            }
        }
    }
    for name in ["silent", "new"] {
        found.push(Company { name, points: None, stage: "trial" });
    }
    found.into_iter().map(|company| (world.add(&company).0, company)).collect()
}

#[tokio::test]
async fn the_weekly_meeting_sees_shares_index_and_bottleneck_and_a_week_stays_as_it_was() {
    let world = World::start().await;
    world.apply(model("health")).await;
    let companies = meet(&world, [[2, 3, 5], [3, 5, 4], [13, 4, 1]]);
    keizoku_testkit::eventually(SOON, async || {
        let found = composition(&world, None).await;
        let unscored: i64 = found.unscored.iter().map(|one| one.account_count).sum();
        found.total.expect("all").account_count + unscored == 42
    })
    .await;
    let found = composition(&world, None).await;
    first_week(&found);

    // On Sunday the week is over: 2024-05-01 was a Wednesday.
    let sunday = world.today().plus(4);
    world.clock.advance(5 * Micros::DAY);
    let snapshots = async || {
        let request = proto::ListCompositionSnapshotsRequest::default();
        let answer = world.scores().list_composition_snapshots(request).await.expect("snapshots");
        answer.into_inner().compositions
    };
    let kept = keizoku_testkit::eventually(SOON, async || snapshots().await.first().cloned()).await;
    assert_eq!(kept.day, Some(date(sunday)));
    first_week(&kept);

    // Four trial customers rise from bad to normal, one adopted falls from good to normal.
    let mut moving: Vec<(AccountId, Company)> = Vec::new();
    let bad = companies.iter().filter(|(_, company)| company.stage == "trial" && company.points == Some(20));
    moving.extend(bad.take(4).map(|(account, company)| (*account, Company { points: Some(50), ..*company })));
    let good = companies.iter().filter(|(_, company)| company.stage == "adopted" && company.points == Some(80));
    moving.extend(good.take(1).map(|(account, company)| (*account, Company { points: Some(50), ..*company })));
    for (account, company) in moving {
        let position = world.tell(account, &company);
        world.score_at(account, &position).await;
    }
    let second = composition(&world, None).await;
    let total = second.total.as_ref().expect("all");
    assert_eq!((counts(total), total.index_millis), (vec![17, 17, 6], Some(27_500)));
    first_week(&snapshots().await[0]);
    // What was believed on the day of the meeting stands as well.
    first_week(&composition(&world, Some(sunday.plus(-4))).await);
}

fn first_week(found: &proto::Composition) {
    let total = found.total.as_ref().expect("all");
    assert_eq!((total.account_count, counts(total)), (40, vec![18, 12, 10]));
    let shares: Vec<_> = total.bands.iter().map(|band| band.share.as_ref().and_then(|share| share.value)).collect();
    assert_eq!(shares, [Some(0.45), Some(0.30), Some(0.25)]);
    assert_eq!(total.index_millis, Some(20_000));
    let stages: Vec<_> =
        found.stages.iter().map(|group| (group.stage.as_str(), group.index_millis, group.pull_millis)).collect();
    let wanted = [
        ("trial", Some(-30_000), Some(-7_500)),
        ("onboarding", Some(-8_333), Some(-2_500)),
        ("adopted", Some(66_667), Some(30_000)),
    ];
    assert_eq!(stages, wanted);
    assert_eq!(found.bottleneck_stage, "trial");
    assert_eq!((found.unscored.len(), found.unscored[0].account_count), (1, 2));
    assert_eq!((found.model.as_str(), found.model_version), ("health", 1));
}

#[tokio::test]
async fn without_a_model_there_is_no_composition_and_the_future_is_refused() {
    let world = World::start().await;
    let request = proto::GetCompositionRequest::default();
    assert_eq!(reason(&world.scores().get_composition(request).await.expect_err("none")), "MODEL_UNKNOWN");
    let request = proto::GetCompositionRequest { as_of: Some(date(world.today().plus(1))), ..Default::default() };
    assert_eq!(wrong(&world.scores().get_composition(request).await.expect_err("the future")), ["as_of"]);
}
