use super::*;
use crate::domain::facts::{AccountFacts, FactValue};
use crate::domain::fixture::{Told, condition, day, formula, measure, model};
use crate::domain::model::{MeasureDraft, MissingDraft, ModelDraft};
use crate::domain::window::AsOf;
use keizoku_rules::Number;
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

const STRAIGHT: [(f64, f64); 2] = [(0.0, 0.0), (100.0, 100.0)];

/// The customer of the first story: 15 login days in April and in May, 4 uses of reports in May.
fn kaede() -> Told {
    let told = Told::default()
        .metric("logins")
        .metric_of("reports", "reporting", crate::domain::workspace::Absence::ZeroWhenSourceAlive, false)
        .covered("app", "2024-04-01", "2024-05-31");
    let told = (0..15).fold(told, |told, number| {
        told.value("logins", day("2024-04-03").plus(number), 2).value("logins", day("2024-05-02").plus(number), 1)
    });
    told.value("reports", day("2024-05-07"), 3).value("reports", day("2024-05-21"), 1)
}

fn with_reports() -> Told {
    kaede().covered("reporting", "2024-05-01", "2024-05-31")
}

fn logins() -> MeasureDraft {
    measure("logins", "active_days_1m", 0.6, &[(0.0, 0.0), (20.0, 100.0)])
}

fn first_version() -> ModelDraft {
    model(vec![logins()])
}

fn second_version() -> ModelDraft {
    model(vec![logins(), measure("reports", "sum_1m", 0.4, &[(0.0, 0.0), (8.0, 100.0)])])
}

fn april() -> AsOf {
    AsOf::close_of(day("2024-04-30"))
}

fn may() -> AsOf {
    AsOf::close_of(day("2024-05-31"))
}

/// One account whose attributes are the values of the measures.
fn attributes(values: &[(&str, f64)]) -> Told {
    let number = |value: f64| FactValue::Number(Number::from_f64(value).expect("a number"));
    let attributes = values.iter().map(|(key, value)| ((*key).to_owned(), number(*value))).collect();
    Told { facts: AccountFacts { attributes, ..AccountFacts::default() }, ..Told::default() }
}

fn by_attributes(weights: &[(&str, f64)]) -> ModelDraft {
    model(weights.iter().map(|(key, weight)| formula(key, &format!("account.{key}"), *weight, &STRAIGHT)).collect())
}

fn reason(told: &Told, draft: &ModelDraft, at: AsOf) -> (Reason, Vec<&'static str>) {
    match told.outcome(draft, at).health {
        Health::Unscored { reason, missing } => (reason, missing.iter().map(|(_, why)| why.name()).collect()),
        Health::Scored(scored) => panic!("scored: {scored:?}"),
    }
}

#[test]
fn fifteen_login_days_of_twenty_are_seventy_five() {
    let scored = kaede().scored(&first_version(), april());
    assert_eq!((scored.value, scored.band.as_deref()), (MilliPoints(75_000), Some("good")));
    assert_eq!((scored.polarity, scored.covered_weight_micros), (Some(Polarity::Good), 1_000_000));
    let [part] = scored.contributions.as_slice() else { panic!("one measure") };
    assert_eq!(part.value, Ok(Ratio::whole(15).expect("fits")));
    assert_eq!((part.points, part.contribution_millis), (MilliPoints(75_000), 75_000));
    assert_eq!((part.weight_share_micros, part.gain_at_target_millis), (1_000_000, 25_000));
}

#[test]
fn the_second_definition_makes_sixty_five_of_the_same_logins() {
    let scored = with_reports().scored(&second_version(), may());
    assert_eq!((scored.value, scored.band.as_deref()), (MilliPoints(65_000), Some("normal")));
    let parts: Vec<_> = scored
        .contributions
        .iter()
        .map(|part| (part.points.0, part.weight_share_micros, part.contribution_millis, part.gain_at_target_millis))
        .collect();
    assert_eq!(parts, [(75_000, 600_000, 45_000, 15_000), (50_000, 400_000, 20_000, 20_000)]);
    // The fall is due to the definition: under the first one May is what April was.
    assert_eq!(with_reports().scored(&first_version(), may()).value, MilliPoints(75_000));
    assert_eq!(with_reports().scored(&first_version(), april()).value, MilliPoints(75_000));
}

#[test]
fn what_is_not_covered_is_weighed_out_and_said() {
    let scored = kaede().scored(&second_version(), may());
    assert_eq!((scored.value, scored.covered_weight_micros), (MilliPoints(75_000), 600_000));
    let [logins, reports] = scored.contributions.as_slice() else { panic!("two measures") };
    assert_eq!((logins.contribution_millis, logins.weight_share_micros), (75_000, 1_000_000));
    assert_eq!(reports.value, Err(Availability::NotCovered));
    assert_eq!((reports.points, reports.contribution_millis, reports.weight_share_micros), (MilliPoints(0), 0, 0));
    assert_eq!(reports.gain_at_target_millis, 0);
}

#[test]
fn the_rule_for_missing_values_is_the_models() {
    let with = |missing: MissingDraft| ModelDraft { missing, ..second_version() };
    let fixed = MissingDraft { treatment: Treatment::FixedPoints, points: 50.0, minimum_covered_weight: 0.5 };
    let scored = kaede().scored(&with(fixed), may());
    assert_eq!((scored.value, scored.covered_weight_micros), (MilliPoints(65_000), 600_000));
    let none = MissingDraft { treatment: Treatment::Unscored, ..MissingDraft::default() };
    assert_eq!(reason(&kaede(), &with(none), may()), (Reason::NotCovered, vec!["NOT_COVERED"]));
    let enough = MissingDraft { minimum_covered_weight: 0.6, ..MissingDraft::default() };
    assert_eq!(kaede().scored(&with(enough), may()).value, MilliPoints(75_000));
    let more = MissingDraft { minimum_covered_weight: 0.600_001, ..MissingDraft::default() };
    assert_eq!(reason(&kaede(), &with(more), may()), (Reason::NotCovered, vec!["NOT_COVERED"]));
    let nothing = Told { coverage: vec![], ..kaede() };
    assert_eq!(reason(&nothing, &with(fixed), may()), (Reason::NotCovered, vec!["NOT_COVERED", "NOT_COVERED"]));
}

#[test]
fn too_short_is_what_waiting_will_mend() {
    let mut draft = second_version();
    draft.measures[0].minimum_days = 90;
    assert_eq!(reason(&kaede(), &draft, may()), (Reason::TooShort, vec!["TOO_SHORT", "NOT_COVERED"]));
    draft.missing.treatment = Treatment::Unscored;
    assert_eq!(reason(&with_reports(), &draft, may()), (Reason::TooShort, vec!["TOO_SHORT"]));
    let later = AsOf::close_of(day("2024-06-30"));
    assert_eq!(reason(&kaede(), &second_version(), later), (Reason::NotCovered, vec!["STALE", "NOT_COVERED"]));
    assert_eq!(kaede().outcome(&second_version(), later).stale_measures(), [&Key::from("logins")]);
}

#[test]
fn accounts_the_model_does_not_apply_to_are_excluded() {
    let draft = |applies_to: &str| ModelDraft { applies_to: applies_to.to_owned(), ..by_attributes(&[("a", 1.0)]) };
    let told = attributes(&[("a", 50.0)]);
    assert_eq!(told.scored(&draft("account.a > 49"), april()).value, MilliPoints(50_000));
    for applies_to in ["account.a > 50", "account.unknown > 1"] {
        assert_eq!(reason(&told, &draft(applies_to), april()), (Reason::Excluded, vec![]), "{applies_to}");
    }
}

#[test]
fn the_band_is_decided_on_the_published_value() {
    let draft = by_attributes(&[("a", 1.0), ("b", 1.0)]);
    let scored = |a, b| attributes(&[("a", a), ("b", b)]).scored(&draft, april());
    // 69.9995 is published as 70.000, the even neighbour.
    let above = scored(69.999, 70.0);
    assert_eq!((above.value, above.band.as_deref()), (MilliPoints(70_000), Some("good")));
    let parts: Vec<i32> = above.contributions.iter().map(|part| part.contribution_millis).collect();
    assert_eq!(parts, [35_000, 35_000]);
    let below = scored(69.998, 70.0);
    assert_eq!((below.value, below.band.as_deref()), (MilliPoints(69_999), Some("normal")));
}

#[test]
fn levels_personas_and_stages_are_the_first_whose_condition_holds() {
    let mut draft = by_attributes(&[("a", 1.0)]);
    draft.levels =
        vec![condition("heavy", "metric.logins.active_days_1m >= 15 && score.value > 10"), condition("light", "")];
    draft.personas = vec![condition("lonely", "people.contacts < 2"), condition("quiet", "account.a < 60")];
    draft.stages = vec![condition("trial", "contract.trial"), condition("early", "account.a < 60")];
    let told = Told { facts: attributes(&[("a", 50.0)]).facts, ..kaede() };
    let outcome = told.outcome(&draft, april());
    assert_eq!(outcome.stage.as_deref(), Some("early"));
    let scored = told.scored(&draft, april());
    assert_eq!((scored.level.as_deref(), scored.persona.as_deref()), (Some("heavy"), Some("quiet")));
    let march = told.scored(&draft, AsOf::close_of(day("2024-03-31")));
    assert_eq!(march.level.as_deref(), Some("light"), "no data is not reached");
}

#[test]
fn formulas_say_why_they_have_no_value() {
    let why = |source: &str| {
        let draft = model(vec![formula("x", source, 1.0, &STRAIGHT), formula("y", "account.a", 1.0, &STRAIGHT)]);
        let told = Told { facts: attributes(&[("a", 1.0)]).facts, ..kaede() };
        told.scored(&draft, may()).contributions[0].value
    };
    assert_eq!(why("metric.logins.sum_1m / 30.0"), Ok(Ratio::millionths(500_000)));
    assert_eq!(why("metric.reports.sum_1m + 1.0"), Err(Availability::NotCovered));
    assert_eq!(why("metric.logins.sum_1m_ago3"), Err(Availability::TooShort));
    assert_eq!(why("people.users * 2.0"), Err(Availability::NotCovered));
    assert_eq!(why("1.0 / (account.a - 1.0)"), Err(Availability::Undefined));
}

#[test]
fn a_target_that_is_passed_already_gains_nothing() {
    let mut draft = by_attributes(&[("a", 3.0), ("b", 1.0)]);
    draft.measures[0].target = Some(40.0);
    draft.measures[1].target = Some(70.0);
    let scored = attributes(&[("a", 50.0), ("b", 50.0)]).scored(&draft, april());
    let gains: Vec<i32> = scored.contributions.iter().map(|part| part.gain_at_target_millis).collect();
    assert_eq!(gains, [0, 5_000]);
}

fn any_account() -> impl Strategy<Value = Vec<(f64, Option<f64>)>> {
    let weight = (1_u32..2_000_000).prop_map(|weight| f64::from(weight) / 1_000_000.0);
    let value = prop::option::weighted(0.8, (0_u32..=100_000).prop_map(|value| f64::from(value) / 1000.0));
    prop::collection::vec((weight, value), 1..9)
}

const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn judged(account: &[(f64, Option<f64>)]) -> Health {
    let values: Vec<_> = KEYS.into_iter().zip(account).filter_map(|(key, (_, value))| Some((key, (*value)?))).collect();
    let weights: Vec<_> = KEYS.into_iter().zip(account).map(|(key, (weight, _))| (key, *weight)).collect();
    attributes(&values).outcome(&by_attributes(&weights), april()).health
}

proptest! {
    #[test]
    fn contributions_add_up_to_the_value(account in any_account()) {
        match judged(&account) {
            Health::Scored(scored) => {
                let sum: i32 = scored.contributions.iter().map(|part| part.contribution_millis).sum();
                prop_assert_eq!(sum, scored.value.0);
                let shares: i32 = scored.contributions.iter().map(|part| part.weight_share_micros).sum();
                prop_assert_eq!(shares, 1_000_000);
                prop_assert!((0..=100_000).contains(&scored.value.0));
                for part in &scored.contributions {
                    prop_assert!(part.value.is_ok() || part.contribution_millis == 0);
                    prop_assert!((0..=100_000 - scored.value.0).contains(&part.gain_at_target_millis));
                }
            }
            Health::Unscored { missing, .. } => prop_assert_eq!(missing.len(), account.len()),
        }
    }

    #[test]
    fn more_points_never_lower_the_score(account in any_account(), place in 0_usize..8, more in 0_u32..50_000) {
        let place = place % account.len();
        let mut better = account.clone();
        if let (Some(value), Health::Scored(before)) = (account[place].1, judged(&account)) {
            better[place].1 = Some((value + f64::from(more) / 1000.0).min(100.0));
            let Health::Scored(after) = judged(&better) else { panic!("scored") };
            prop_assert!(after.value >= before.value);
        }
    }
}
