use super::*;
use crate::domain::fixture::{condition, formula, measure, model};

fn known() -> Vec<KnownMetric> {
    [("logins", false), ("users", true)].map(|(key, distinct)| KnownMetric { key: key.into(), distinct }).to_vec()
}

const STRAIGHT: [(f64, f64); 2] = [(0.0, 0.0), (20.0, 100.0)];

fn valid() -> ModelDraft {
    model(vec![measure("logins", "active_days_1m", 0.6, &STRAIGHT)])
}

fn wrong(draft: &ModelDraft) -> Vec<(String, &'static str)> {
    let violations = CompiledModel::compile(draft, &known()).expect_err("invalid");
    violations.iter().map(|one| (one.field.clone(), one.reason)).collect()
}

fn sentence(draft: &ModelDraft) -> String {
    CompiledModel::compile(draft, &known()).expect_err("invalid").to_string()
}

#[test]
fn a_valid_document_keeps_its_numbers_exactly() {
    let mut draft = valid();
    draft.stages = vec![condition("trial", "contract.trial"), condition("customer", "")];
    draft.levels = vec![condition("heavy", "metric.users.mean_4w_ago4 > 10 && metric.logins.sum_28d > 3")];
    let compiled = CompiledModel::compile(&draft, &known()).expect("valid");
    let [measure] = compiled.measures() else { panic!("one measure") };
    assert_eq!((measure.weight, measure.target, measure.minimum_days), (600_000, Millionths(20_000_000), 1));
    let windows: Vec<String> =
        compiled.windows().iter().map(|window| format!("{}.{}", window.metric, window.window)).collect();
    assert_eq!(windows, ["logins.active_days_1m", "users.mean_4w_ago4", "logins.sum_28d"]);
    assert!(compiled.reads("users") && !compiled.reads("reports"));
    assert_eq!(compiled.band("bad").map(|band| band.polarity), Some(Polarity::Bad));
}

#[test]
fn the_target_is_the_first_value_with_the_most_points_unless_said() {
    let target = |scale: &[(f64, f64)], target| {
        let mut draft = valid();
        draft.measures = vec![measure("logins", "sum_7d", 1.0, scale)];
        draft.measures[0].target = target;
        CompiledModel::compile(&draft, &known()).expect("valid").measures()[0].target
    };
    assert_eq!(target(&[(0.0, 100.0), (3.0, 100.0), (9.0, 0.0)], None), Millionths(0));
    assert_eq!(target(&[(0.0, 0.0), (3.0, 80.0), (9.0, 80.0)], None), Millionths(3_000_000));
    assert_eq!(target(&STRAIGHT, Some(12.5)), Millionths(12_500_000));
}

#[test]
fn names_everything_that_is_wrong_at_once() {
    let mut draft = valid();
    draft.key = "Health".to_owned();
    draft.applies_to = "account.size >".to_owned();
    draft.measures.push(measure("logins", "trend_percent_7d", 0.0, &[(0.0, 0.0), (0.0, 101.0)]));
    draft.measures[1].minimum_days = 367;
    draft.measures[1].target = Some(f64::NAN);
    draft.measures.push(measure("reports", "distinct_users_7d", 1.0, &[(0.0, 0.0)]));
    draft.measures.push(MeasureDraft {
        key: "x".to_owned(),
        weight: 1.0,
        scale: STRAIGHT.to_vec(),
        ..MeasureDraft::default()
    });
    draft.missing = MissingDraft { treatment: Treatment::FixedPoints, points: -1.0, minimum_covered_weight: 1.1 };
    draft.bands[1].when = String::new();
    draft.bands[2].polarity = None;
    draft.levels = vec![condition("a", "score.value > 1"), condition("a", "score.value")];
    draft.stages = vec![condition("trial", "score.value > 1")];
    let expected = [
        ("key", "KEY_MALFORMED"),
        ("applies_to", "RULE_SYNTAX"),
        ("measures[1].key", "KEY_REPEATED"),
        ("measures[1].weight", "NUMBER_OUT_OF_RANGE"),
        ("measures[1].scale[1].points", "NUMBER_OUT_OF_RANGE"),
        ("measures[1].target", "NUMBER_OUT_OF_RANGE"),
        ("measures[1].minimum_days", "NUMBER_OUT_OF_RANGE"),
        ("measures[1].window.length", "WINDOW_LENGTH_ODD"),
        ("measures[2].scale", "SCALE_POINT_COUNT"),
        ("measures[2].window.metric", "METRIC_UNKNOWN"),
        ("measures[3].input", "INPUT_MISSING"),
        ("missing.points", "NUMBER_OUT_OF_RANGE"),
        ("missing.minimum_covered_weight", "NUMBER_OUT_OF_RANGE"),
        ("bands[2].polarity", "ENUM_UNSPECIFIED"),
        ("bands[1].when", "CONDITION_EMPTY"),
        ("levels[1].key", "KEY_REPEATED"),
        ("levels[1].when", "RULE_TYPE"),
        ("stages[0].when", "RULE_UNKNOWN_NAME"),
    ];
    let (mut found, mut expected) =
        (wrong(&draft), expected.map(|(field, reason)| (field.to_owned(), reason)).to_vec());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn an_empty_document_lacks_measures_and_bands() {
    let expected = [("key", "KEY_MALFORMED"), ("measures", "COUNT_OUT_OF_RANGE"), ("bands", "COUNT_OUT_OF_RANGE")];
    assert_eq!(wrong(&ModelDraft::default()), expected.map(|(field, reason)| (field.to_owned(), reason)));
}

#[test]
fn scales_must_rise_in_value() {
    let mut draft = valid();
    draft.measures[0].scale = vec![(1.0, 0.0), (2.0, 50.0), (2.0, 100.0)];
    assert_eq!(wrong(&draft), [("measures[0].scale[2]".to_owned(), "SCALE_NOT_ASCENDING")]);
    draft.measures[0].scale = vec![(1.0, 0.0), (f64::INFINITY, 50.0)];
    assert_eq!(wrong(&draft), [("measures[0].scale[1].value".to_owned(), "NUMBER_OUT_OF_RANGE")]);
}

#[test]
fn unknown_metrics_come_with_what_was_probably_meant() {
    let mut draft = valid();
    draft.measures = vec![measure("login", "sum_7d", 1.0, &STRAIGHT)];
    assert!(sentence(&draft).contains("did you mean logins?"), "{}", sentence(&draft));
    draft.measures = vec![formula("ratio", "metric.login.sum_7d / 2.0", 1.0, &STRAIGHT)];
    assert_eq!(wrong(&draft), [("measures[0].expression".to_owned(), "RULE_UNKNOWN_NAME")]);
    assert!(sentence(&draft).contains("metric.logins.sum_7d"), "{}", sentence(&draft));
}

#[test]
fn rules_name_windows_that_exist() {
    let mut draft = valid();
    for (source, reason) in [
        ("metric.logins.total_7d > 1", "WINDOW_UNKNOWN"),
        ("metric.logins.sum_7d.more > 1", "WINDOW_UNKNOWN"),
        ("metric.logins.sum_367d > 1", "WINDOW_OUT_OF_RANGE"),
        ("metric.logins.distinct_users_7d > 1", "METRIC_NOT_DISTINCT"),
    ] {
        draft.levels = vec![condition("heavy", source)];
        assert_eq!(wrong(&draft), [("levels[0].when".to_owned(), reason)], "{source}");
    }
    draft.levels = vec![condition("heavy", "metric.users.distinct_users_7d > 1")];
    assert!(CompiledModel::compile(&draft, &known()).is_ok());
}

#[test]
fn users_are_only_counted_where_there_are_some() {
    let mut draft = valid();
    draft.measures = vec![measure("logins", "distinct_users_7d", 1.0, &STRAIGHT)];
    assert_eq!(wrong(&draft), [("measures[0].window.metric".to_owned(), "METRIC_NOT_DISTINCT")]);
}

#[test]
fn a_stored_model_outlives_its_metrics() {
    let mut draft = valid();
    draft.levels = vec![condition("heavy", "metric.gone.sum_7d > 1")];
    draft.measures = vec![measure("gone", "distinct_users_7d", 1.0, &STRAIGHT)];
    assert!(CompiledModel::compile(&draft, &[]).is_err());
    assert!(CompiledModel::revive(&draft).is_ok());
}
