//! A workspace and an account to test with, told day by day.

use std::collections::BTreeMap;
use std::sync::Arc;

use keizoku_base::Day;
use keizoku_base::number::Millionths;
use keizoku_base::time::Month;
use roaring::RoaringBitmap;

use super::facts::AccountFacts;
use super::inputs::{AccountInputs, Coverage};
use super::model::{
    BandDraft, CompiledModel, ConditionDraft, InputDraft, KnownMetric, MeasureDraft, ModelDraft, Polarity, WindowDraft,
};
use super::month::{AccountMonth, DayState, DayValue, Key, MetricRef};
use super::plan::Plan;
use super::score::{Health, Outcome, Scored};
use super::window::{AsOf, Window};
use super::workspace::{Absence, MetricDefinition, Workspace};

/// A date.
pub(super) fn day(text: &str) -> Day {
    Day::parse(text).expect("a date")
}

/// The first version of a metric.
pub(super) fn metric(key: &str) -> MetricRef {
    MetricRef { key: key.into(), version: 1 }
}

/// One account of one workspace. All metrics come from the source `app` unless said otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) definitions: Vec<MetricDefinition>,
    pub(super) delivered: BTreeMap<Key, RoaringBitmap>,
    pub(super) coverage: Vec<Coverage>,
    pub(super) days: BTreeMap<Day, DayState>,
    pub(super) facts: AccountFacts,
}

impl Told {
    /// A metric of events.
    pub(super) fn metric(self, key: &str) -> Self {
        self.metric_of(key, "app", Absence::ZeroWhenSourceAlive, false)
    }

    /// Any metric.
    pub(super) fn metric_of(mut self, key: &str, source: &str, absence: Absence, distinct: bool) -> Self {
        let source = Some(source.into());
        self.definitions.push(MetricDefinition { metric: metric(key), source, absence, stale_after_days: 3, distinct });
        self
    }

    /// A source delivered something for somebody on each of these days, and covers the account from the first.
    pub(super) fn covered(mut self, source: &str, first: &str, last: &str) -> Self {
        let (first, last) = (day(first), day(last));
        self = self.alive(source, first, last);
        self.coverage.push(Coverage { source: source.into(), first, last });
        self
    }

    /// A source delivered something for somebody on each of these days.
    pub(super) fn alive(mut self, source: &str, first: Day, last: Day) -> Self {
        let days = (first.0..=last.0).map(|day| u32::try_from(day).expect("after 1970"));
        self.delivered.entry(source.into()).or_default().extend(days);
        self
    }

    /// What a metric came to on a day.
    pub(super) fn value(mut self, key: &str, on: Day, value: i64) -> Self {
        let value = Millionths(value * Millionths::ONE);
        self.days.entry(on).or_default().insert(metric(key), DayValue { value, users: None });
        self
    }

    /// Who used the product on a day.
    pub(super) fn users(mut self, key: &str, on: Day, users: impl IntoIterator<Item = u32>) -> Self {
        let users: RoaringBitmap = users.into_iter().collect();
        let value = Millionths(i64::try_from(users.len()).expect("small") * Millionths::ONE);
        self.days.entry(on).or_default().insert(metric(key), DayValue { value, users: Some(users) });
        self
    }

    pub(super) fn workspace(&self) -> Arc<Workspace> {
        Arc::new(Workspace::new(self.definitions.clone(), self.delivered.clone()))
    }

    pub(super) fn inputs(&self, workspace: &Arc<Workspace>) -> AccountInputs {
        let mut months: BTreeMap<Month, AccountMonth> = BTreeMap::new();
        for (day, state) in &self.days {
            months.entry(day.month()).or_insert_with(|| AccountMonth::new(day.month())).set_day(*day, state);
        }
        let mut inputs = AccountInputs::new(workspace, self.facts.clone(), self.coverage.clone());
        months.values().for_each(|month| inputs.add_month(month).expect("its own bytes"));
        inputs
    }

    /// The metrics as models know them.
    pub(super) fn known(&self) -> Vec<KnownMetric> {
        let known = self.definitions.iter();
        known.map(|known| KnownMetric { key: known.metric.key.clone(), distinct: known.distinct }).collect()
    }

    /// What a model says of the account.
    pub(super) fn outcome(&self, draft: &ModelDraft, at: AsOf) -> Outcome {
        let model = Arc::new(CompiledModel::compile(draft, &self.known()).expect("a valid model"));
        let workspace = self.workspace();
        Plan::new(&model, &workspace, at).score(&self.inputs(&workspace))
    }

    /// The score a model gives the account.
    pub(super) fn scored(&self, draft: &ModelDraft, at: AsOf) -> Scored {
        match self.outcome(draft, at).health {
            Health::Scored(scored) => scored,
            Health::Unscored { reason, missing } => panic!("unscored: {reason:?} {missing:?}"),
        }
    }
}

/// A measure of a metric over a named window.
pub(super) fn measure(key: &str, window: &str, weight: f64, scale: &[(f64, f64)]) -> MeasureDraft {
    let Window { aggregation, bucket, length, offset, include_open } = Window::parse(window).expect("a window");
    let input = WindowDraft {
        metric: key.to_owned(),
        aggregation: Some(aggregation),
        bucket: Some(bucket),
        length: i32::from(length),
        offset: i32::from(offset),
        include_open,
    };
    let (key, scale) = (key.to_owned(), scale.to_vec());
    MeasureDraft { key, weight, input: Some(InputDraft::Window(input)), scale, ..MeasureDraft::default() }
}

/// A measure of a formula.
pub(super) fn formula(key: &str, source: &str, weight: f64, scale: &[(f64, f64)]) -> MeasureDraft {
    let input = Some(InputDraft::Expression(source.to_owned()));
    MeasureDraft { key: key.to_owned(), weight, input, scale: scale.to_vec(), ..MeasureDraft::default() }
}

/// A level, persona or stage.
pub(super) fn condition(key: &str, when: &str) -> ConditionDraft {
    ConditionDraft { key: key.to_owned(), when: when.to_owned(), ..ConditionDraft::default() }
}

/// Good from 70, Normal from 40, else Bad.
pub(super) fn model(measures: Vec<MeasureDraft>) -> ModelDraft {
    let band = |key: &str, polarity, when: &str| BandDraft {
        key: key.to_owned(),
        polarity: Some(polarity),
        when: when.to_owned(),
        ..BandDraft::default()
    };
    ModelDraft {
        key: "health".to_owned(),
        measures,
        bands: vec![
            band("good", Polarity::Good, "score.value >= 70"),
            band("normal", Polarity::Neutral, "score.value >= 40"),
            band("bad", Polarity::Bad, ""),
        ],
        primary: true,
        ..ModelDraft::default()
    }
}
