//! Checks a draft and compiles it: everything that is wrong is found at once.

use std::collections::BTreeSet;

use keizoku_base::Violations;
use keizoku_base::number::{MilliPoints, Millionths};
use keizoku_rules::{Catalogue, Rule, Type, Wanted};
use keizoku_statistics::Scale;

use super::{
    Band, BandDraft, CompiledModel, Condition, ConditionDraft, Input, InputDraft, KnownMetric, Label, Measure,
    MeasureDraft, MetricWindow, MissingDraft, MissingRule, ModelDraft, Treatment, WindowDraft,
};
use crate::domain::facts::{account_names, with_people};
use crate::domain::window::{Aggregation, Window};

/// The most points, in thousandths.
const MOST_POINTS: i32 = 100_000;
/// The longest label in one language, in characters.
const LABEL_LETTERS: usize = 255;
/// The largest weight: fifty of them, times the points of a scale, stay far inside of 128 bits.
const MOST_WEIGHT: f64 = 1_000_000.0;
/// The most of each list; rules past it are named by their count alone and never compiled.
const MOST_MEASURES: usize = 50;
const MOST_BANDS: usize = 10;
const MOST_CONDITIONS: usize = 20;

impl CompiledModel {
    /// Checks and compiles a draft for a workspace with these metrics.
    ///
    /// # Errors
    /// Everything that is wrong with it, the fields named as on the wire.
    pub fn compile(draft: &ModelDraft, metrics: &[KnownMetric]) -> Result<Self, Violations> {
        Checker::new(Some(metrics)).model(draft)
    }

    /// Compiles a draft that was accepted before. Metrics may have changed since: what they no longer allow has no value.
    ///
    /// # Errors
    /// Everything that is wrong with it apart from its metrics; nothing, for a draft that [`CompiledModel::compile`] took.
    pub fn revive(draft: &ModelDraft) -> Result<Self, Violations> {
        Checker::new(None).model(draft)
    }
}

/// Which names a rule may use.
#[derive(Clone, Copy)]
enum Names {
    /// Accounts and contracts.
    Account,
    /// Those, people and metrics.
    Measure,
    /// Those and the score.
    Score,
}

struct Checker<'a> {
    metrics: Option<&'a [KnownMetric]>,
    /// The keys of the metrics, for suggestions.
    metric_names: Catalogue,
    account: Catalogue,
    measure: Catalogue,
    score: Catalogue,
    violations: Violations,
    windows: Vec<MetricWindow>,
    named: Vec<(String, usize)>,
}

impl<'a> Checker<'a> {
    fn new(metrics: Option<&'a [KnownMetric]>) -> Self {
        let measure = with_people(account_names());
        let measure = match metrics {
            Some(metrics) => metrics
                .iter()
                .fold(measure, |names, metric| names.with_open(format!("metric.{}", metric.key), Type::Number)),
            None => measure.with_open("metric", Type::Number),
        };
        let metric_names = metrics
            .into_iter()
            .flatten()
            .fold(Catalogue::new(), |names, metric| names.with(metric.key.as_ref(), Type::Number));
        Self {
            metrics,
            metric_names,
            account: account_names(),
            score: measure.clone().with("score.value", Type::Number),
            measure,
            violations: Violations::new(),
            windows: Vec::new(),
            named: Vec::new(),
        }
    }

    fn model(mut self, draft: &ModelDraft) -> Result<CompiledModel, Violations> {
        self.key("key", &draft.key);
        let applies_to = self.rule("applies_to", &draft.applies_to, Names::Account, Wanted::Bool);
        self.count("measures", draft.measures.len(), 1, MOST_MEASURES);
        self.unique("measures", draft.measures.iter().map(|measure| measure.key.as_str()));
        let measures: Vec<_> =
            (0..MOST_MEASURES).zip(&draft.measures).map(|(place, measure)| self.measure(place, measure)).collect();
        let missing = self.missing(&draft.missing);
        self.count("bands", draft.bands.len(), 1, MOST_BANDS);
        self.unique("bands", draft.bands.iter().map(|band| band.key.as_str()));
        let last = draft.bands.len().saturating_sub(1);
        let bands: Vec<_> =
            (0..MOST_BANDS).zip(&draft.bands).map(|(place, band)| self.band(place, band, place == last)).collect();
        let levels = self.conditions("levels", &draft.levels, Names::Score);
        let personas = self.conditions("personas", &draft.personas, Names::Score);
        let stages = self.conditions("stages", &draft.stages, Names::Account);
        self.named.sort();
        self.violations.or(())?;
        Ok(CompiledModel {
            key: draft.key.as_str().into(),
            applies_to,
            // Whatever is missing has left a violation.
            measures: measures.into_iter().flatten().collect(),
            missing,
            bands: bands.into_iter().flatten().collect(),
            levels,
            personas,
            stages,
            windows: self.windows,
            named: self.named,
            effective_from: draft.effective_from,
            primary: draft.primary,
        })
    }

    fn measure(&mut self, place: usize, draft: &MeasureDraft) -> Option<Measure> {
        let field = |name: &str| format!("measures[{place}].{name}");
        self.key(&field("key"), &draft.key);
        self.label(&field("label"), &draft.label);
        self.label(&field("unit"), &draft.unit);
        let weight = Millionths::from_f64(draft.weight).filter(|weight| weight.0 > 0 && draft.weight <= MOST_WEIGHT);
        if weight.is_none() {
            self.violations.add(field("weight"), "NUMBER_OUT_OF_RANGE", "must be above 0 and at most 1,000,000");
        }
        let scale = self.scale(&field("scale"), &draft.scale);
        let target = match draft.target {
            None => scale.as_ref().and_then(best_of),
            Some(target) => Millionths::from_f64(target),
        };
        if target.is_none() && draft.target.is_some() {
            self.violations.add(field("target"), "NUMBER_OUT_OF_RANGE", "must be a number of at most 9·10¹²");
        }
        let minimum_days = u16::try_from(draft.minimum_days).ok().filter(|days| *days <= 366);
        if minimum_days.is_none() {
            self.violations.add(field("minimum_days"), "NUMBER_OUT_OF_RANGE", "must be 0 to 366");
        }
        let input = match &draft.input {
            Some(InputDraft::Window(window)) => self.window(&field("window"), window).map(Input::Window),
            Some(InputDraft::Expression(source)) => {
                if source.trim().is_empty() {
                    self.violations.add(field("expression"), "CONDITION_EMPTY", "must be a formula");
                }
                self.rule(&field("expression"), source, Names::Measure, Wanted::Number).map(Input::Expression)
            }
            None => {
                self.violations.add(field("input"), "INPUT_MISSING", "needs a window or an expression");
                None
            }
        };
        Some(Measure {
            key: draft.key.as_str().into(),
            label: draft.label.clone(),
            unit: draft.unit.clone(),
            weight: weight?.0,
            scale: scale?,
            target: target?,
            minimum_days: minimum_days?.max(1),
            input: input?,
        })
    }

    fn scale(&mut self, field: &str, points: &[(f64, f64)]) -> Option<Scale> {
        let mut kept = Vec::with_capacity(points.len());
        for (place, (value, points)) in points.iter().enumerate() {
            let value = Millionths::from_f64(*value);
            if value.is_none() {
                let path = format!("{field}[{place}].value");
                self.violations.add(path, "NUMBER_OUT_OF_RANGE", "must be a number of at most 9·10¹²");
            }
            let points = self.points(format!("{field}[{place}].points"), *points);
            kept.extend(value.zip(points));
        }
        if kept.len() < points.len() {
            return None;
        }
        match Scale::new(kept) {
            Ok(scale) => Some(scale),
            Err(wrong) => {
                for violation in wrong.iter() {
                    // The scale calls its list `points`, which on the wire is the field itself.
                    let path = violation.field.replacen("points", field, 1);
                    self.violations.add(path, violation.reason, violation.description.clone());
                }
                None
            }
        }
    }

    fn points(&mut self, field: String, points: f64) -> Option<MilliPoints> {
        let found = thousandths(points).filter(|points| (0..=MOST_POINTS).contains(points)).map(MilliPoints);
        if found.is_none() {
            self.violations.add(field, "NUMBER_OUT_OF_RANGE", "must be 0 to 100");
        }
        found
    }

    fn window(&mut self, field: &str, draft: &WindowDraft) -> Option<usize> {
        if draft.aggregation.is_none() {
            self.violations.add(format!("{field}.aggregation"), "ENUM_UNSPECIFIED", "must be stated");
        }
        if draft.bucket.is_none() {
            self.violations.add(format!("{field}.bucket"), "ENUM_UNSPECIFIED", "must be stated");
        }
        self.metric(&format!("{field}.metric"), &draft.metric, draft.aggregation);
        let sizes = u16::try_from(draft.length).ok().zip(u16::try_from(draft.offset).ok());
        let (aggregation, bucket) = (draft.aggregation?, draft.bucket?);
        // Numbers that do not even fit are out of range like a length of 0.
        let (length, offset) = sizes.unwrap_or((0, 0));
        let window = Window { aggregation, bucket, length, offset, include_open: draft.include_open };
        if let Some((reason, sentence)) = window.fault() {
            self.violations.add(format!("{field}.length"), reason, sentence);
        }
        Some(self.place(&draft.metric, window))
    }

    /// The metric must be known, and count users where users are counted.
    fn metric(&mut self, field: &str, key: &str, aggregation: Option<Aggregation>) {
        let Some(metrics) = self.metrics else { return };
        match metrics.iter().find(|metric| metric.key.as_ref() == key) {
            None => {
                let hint = self.metric_names.suggestion(key).map(|near| format!("; did you mean {near}?"));
                let sentence = format!("the workspace has no metric of that key{}", hint.unwrap_or_default());
                self.violations.add(field, "METRIC_UNKNOWN", sentence);
            }
            Some(metric) if !metric.distinct && aggregation == Some(Aggregation::DistinctUsers) => {
                let sentence = "only a metric of distinct users has users to count";
                self.violations.add(field, "METRIC_NOT_DISTINCT", sentence);
            }
            Some(_) => {}
        }
    }

    fn place(&mut self, metric: &str, window: Window) -> usize {
        let wanted = MetricWindow { metric: metric.into(), window };
        self.windows.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.windows.push(wanted);
            self.windows.len() - 1
        })
    }

    fn missing(&mut self, draft: &MissingDraft) -> MissingRule {
        let points = match draft.treatment {
            Treatment::FixedPoints => self.points("missing.points".to_owned(), draft.points),
            Treatment::Reweight | Treatment::Unscored => None,
        };
        let share = Some(draft.minimum_covered_weight).filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.violations.add("missing.minimum_covered_weight", "NUMBER_OUT_OF_RANGE", "must be 0 to 1");
        }
        MissingRule {
            treatment: draft.treatment,
            points: points.unwrap_or_default(),
            minimum_covered_weight: share.and_then(Millionths::from_f64).unwrap_or_default().0,
        }
    }

    fn band(&mut self, place: usize, draft: &BandDraft, is_last: bool) -> Option<Band> {
        let field = |name: &str| format!("bands[{place}].{name}");
        self.key(&field("key"), &draft.key);
        self.label(&field("label"), &draft.label);
        if draft.polarity.is_none() {
            self.violations.add(field("polarity"), "ENUM_UNSPECIFIED", "must be stated: good, neutral or bad");
        }
        let when = self.when(&field("when"), &draft.when, Names::Score, is_last);
        Some(Band { key: draft.key.as_str().into(), label: draft.label.clone(), polarity: draft.polarity?, when })
    }

    fn conditions(&mut self, list: &str, drafts: &[ConditionDraft], names: Names) -> Vec<Condition> {
        self.count(list, drafts.len(), 0, MOST_CONDITIONS);
        self.unique(list, drafts.iter().map(|draft| draft.key.as_str()));
        let last = drafts.len().saturating_sub(1);
        let checked = (0..MOST_CONDITIONS).zip(drafts).map(|(place, draft)| {
            self.key(&format!("{list}[{place}].key"), &draft.key);
            self.label(&format!("{list}[{place}].label"), &draft.label);
            let when = self.when(&format!("{list}[{place}].when"), &draft.when, names, place == last);
            Condition { key: draft.key.as_str().into(), label: draft.label.clone(), when }
        });
        checked.collect()
    }

    /// A condition; only the last of a list may be empty, or those after it could never hold.
    fn when(&mut self, field: &str, source: &str, names: Names, is_last: bool) -> Option<Rule> {
        if source.trim().is_empty() && !is_last {
            self.violations.add(field, "CONDITION_EMPTY", "only the last one of the list may hold always");
        }
        self.rule(field, source, names, Wanted::Bool)
    }

    /// `None` for an empty source and for one that left a violation.
    fn rule(&mut self, field: &str, source: &str, names: Names, wanted: Wanted) -> Option<Rule> {
        if source.trim().is_empty() {
            return None;
        }
        let catalogue = match names {
            Names::Account => &self.account,
            Names::Measure => &self.measure,
            Names::Score => &self.score,
        };
        match Rule::compile(source, catalogue, wanted) {
            Ok(rule) => {
                rule.names().for_each(|name| self.named_window(field, name));
                Some(rule)
            }
            Err(wrong) => {
                let wrong = wrong.of_field(field);
                wrong
                    .iter()
                    .for_each(|one| self.violations.add(one.field.clone(), one.reason, one.description.clone()));
                None
            }
        }
    }

    /// Keeps the window of a name such as `metric.logins.sum_28d`.
    fn named_window(&mut self, field: &str, name: &str) {
        let Some((metric, window)) = name.strip_prefix("metric.").and_then(|rest| rest.split_once('.')) else { return };
        if self.named.iter().any(|(known, _)| known == name) {
            return;
        }
        let Some(window) = Window::parse(window) else {
            let sentence = format!(
                "{name} names no window: write the aggregation and the length, such as sum_28d or mean_4w_ago4"
            );
            return self.violations.add(field, "WINDOW_UNKNOWN", sentence);
        };
        if let Some((reason, sentence)) = window.fault() {
            self.violations.add(field, reason, format!("{name}: {sentence}"));
        }
        self.metric(field, metric, Some(window.aggregation));
        let place = self.place(metric, window);
        self.named.push((name.to_owned(), place));
    }

    fn key(&mut self, field: &str, key: &str) {
        let letters = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !letters || key.len() > 63 || !key.starts_with(|first: char| first.is_ascii_lowercase()) {
            let sentence = "must be 1 to 63 small letters, digits and _, beginning with a letter";
            self.violations.add(field, "KEY_MALFORMED", sentence);
        }
    }

    fn label(&mut self, field: &str, label: &Label) {
        for (language, text) in [("en", &label.en), ("ja", &label.ja)] {
            if text.chars().count() > LABEL_LETTERS {
                let sentence = format!("must be at most {LABEL_LETTERS} characters");
                self.violations.add(format!("{field}.{language}"), "TEXT_TOO_LONG", sentence);
            }
        }
    }

    fn count(&mut self, field: &str, count: usize, fewest: usize, most: usize) {
        if !(fewest..=most).contains(&count) {
            let sentence = format!("must have {fewest} to {most} entries, this one has {count}");
            self.violations.add(field, "COUNT_OUT_OF_RANGE", sentence);
        }
    }

    fn unique<'k>(&mut self, list: &str, keys: impl Iterator<Item = &'k str>) {
        let mut seen = BTreeSet::new();
        for (place, key) in keys.enumerate() {
            if !seen.insert(key) {
                let sentence = format!("{key} stands there already");
                self.violations.add(format!("{list}[{place}].key"), "KEY_REPEATED", sentence);
            }
        }
    }
}

/// The first value of the scale with the most points.
fn best_of(scale: &Scale) -> Option<Millionths> {
    let most = scale.points().iter().map(|(_, points)| *points).max()?;
    scale.points().iter().find(|(_, points)| *points == most).map(|(value, _)| *value)
}

/// The nearest thousandth, half to even; `None` for what is no number or far too large.
fn thousandths(value: f64) -> Option<i32> {
    let scaled = (value * 1000.0).round_ties_even();
    #[expect(clippy::cast_possible_truncation, reason = "held within the range")]
    (scaled.abs() < 1e9).then_some(scaled as i32)
}
