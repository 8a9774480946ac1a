//! A model made ready for one moment in one workspace: every name and every day is resolved once, for all accounts.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use keizoku_base::number::MilliPoints;
use keizoku_rules::{Facts, NoAnswer, Rule, Value};

use super::evaluate::{Availability, Cells, Planned};
use super::inputs::AccountInputs;
use super::model::{CompiledModel, Input, Measure};
use super::month::MetricRef;
use super::ratio::Ratio;
use super::window::{AsOf, Bucket, Days};
use super::workspace::{MetricIndex, Workspace};

/// A model made ready for one moment. Scoring an account with it looks up no metric and works out no calendar.
#[derive(Debug, Clone)]
pub struct Plan {
    model: Arc<CompiledModel>,
    workspace: Arc<Workspace>,
    at: AsOf,
    /// In the order of the model's windows.
    windows: Vec<PlannedWindow>,
    /// The metrics that are read, with the days that are laid out of each.
    metrics: Vec<(MetricIndex, Days)>,
}

#[derive(Debug, Clone)]
struct PlannedWindow {
    /// The place among the plan's metrics; `None`: the workspace has no such metric.
    metric: Option<usize>,
    planned: Planned,
}

impl Plan {
    /// Makes a model ready.
    pub fn new(model: &Arc<CompiledModel>, workspace: &Arc<Workspace>, at: AsOf) -> Self {
        let mut metrics: Vec<(MetricIndex, Days)> = Vec::new();
        let windows = model.windows().iter().map(|wanted| {
            let planned = Planned::new(&wanted.window, at);
            let metric = workspace.metric(&wanted.metric).map(|index| {
                let place = metrics.iter().position(|(known, _)| *known == index).unwrap_or_else(|| {
                    metrics.push((index, planned.days));
                    metrics.len() - 1
                });
                if let Some((_, days)) = metrics.get_mut(place) {
                    *days = days.join(planned.days);
                }
                place
            });
            PlannedWindow { metric, planned }
        });
        let windows = windows.collect();
        Self { model: Arc::clone(model), workspace: Arc::clone(workspace), at, windows, metrics }
    }

    /// The model.
    pub fn model(&self) -> &Arc<CompiledModel> {
        &self.model
    }

    /// The moment.
    pub fn at(&self) -> AsOf {
        self.at
    }

    /// The days whose values it reads; `None` where it reads no metric.
    pub fn days(&self) -> Option<Days> {
        self.metrics.iter().map(|(_, days)| *days).reduce(Days::join)
    }

    /// The distinct metrics whose sets of users it reads, with the days; of all others the values are enough.
    pub fn set_metrics(&self) -> Vec<(&MetricRef, Days)> {
        let mut found: Vec<(&MetricRef, Days)> = Vec::new();
        for (window, planned) in self.model.windows().iter().zip(&self.windows) {
            let unites = window.window.aggregation == super::window::Aggregation::DistinctUsers
                || window.window.bucket != Bucket::Day;
            let metric = self.workspace.metric(&window.metric).and_then(|metric| self.workspace.definition(metric));
            let Some(definition) = metric.filter(|definition| unites && definition.distinct) else { continue };
            match found.iter_mut().find(|(known, _)| **known == definition.metric) {
                Some((_, days)) => *days = days.join(planned.planned.days),
                None => found.push((&definition.metric, planned.planned.days)),
            }
        }
        found
    }

    /// The value of every measure, in the model's order, or why there is none.
    ///
    /// # Panics
    /// Where the inputs were made with another [`Workspace`] than the plan.
    pub fn values(&self, inputs: &AccountInputs) -> Vec<Result<Ratio, Availability>> {
        let evaluation = Evaluation::new(self, inputs);
        self.model.measures().iter().map(|measure| evaluation.measure(measure)).collect()
    }
}

/// One account under a plan. Metrics are laid out when they are first asked for.
#[derive(Debug)]
pub(super) struct Evaluation<'a> {
    plan: &'a Plan,
    inputs: &'a AccountInputs,
    cells: Vec<OnceCell<Option<Cells<'a>>>>,
    score: Cell<Option<MilliPoints>>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(plan: &'a Plan, inputs: &'a AccountInputs) -> Self {
        let is_ours = Arc::ptr_eq(&plan.workspace, inputs.workspace());
        assert!(is_ours, "metrics are known by their place, which means nothing in another workspace");
        let cells = plan.metrics.iter().map(|_| OnceCell::new()).collect();
        Self { plan, inputs, cells, score: Cell::new(None) }
    }

    /// Lets rules see the published score from here on.
    pub(super) fn publish(&self, score: MilliPoints) {
        self.score.set(Some(score));
    }

    /// Whether a condition holds. Without data it does not.
    pub(super) fn holds(&self, when: Option<&Rule>) -> bool {
        when.is_none_or(|rule| rule.holds(self).unwrap_or(false))
    }

    pub(super) fn measure(&self, measure: &Measure) -> Result<Ratio, Availability> {
        match &measure.input {
            Input::Window(place) => self.window(*place, measure.minimum_days),
            Input::Expression(rule) => match rule.number(self) {
                Ok(number) => {
                    let value = number.to_millionths().ok_or(Availability::Undefined)?;
                    Ok(Ratio::millionths(i128::from(value.0)))
                }
                Err(NoAnswer::NoData { name }) => Err(self.why_no_data(&name)),
                Err(NoAnswer::Failed(_)) => Err(Availability::Undefined),
            },
        }
    }

    fn window(&self, place: usize, minimum_days: u16) -> Result<Ratio, Availability> {
        let window = self.plan.windows.get(place).ok_or(Availability::NotCovered)?;
        let slot = window.metric.ok_or(Availability::NotCovered)?;
        let (metric, days) = *self.plan.metrics.get(slot).ok_or(Availability::NotCovered)?;
        let lay_out = || Cells::lay_out(self.inputs, metric, days, self.plan.at);
        let cells = self.cells.get(slot).and_then(|cells| cells.get_or_init(lay_out).as_ref());
        cells.ok_or(Availability::NotCovered)?.value(&window.planned, minimum_days)
    }

    fn named_window(&self, name: &str) -> Option<usize> {
        let named = &self.plan.model.named;
        let place = named.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        named.get(place).map(|(_, window)| *window)
    }

    fn why_no_data(&self, name: &str) -> Availability {
        let why = self.named_window(name).and_then(|window| self.window(window, 1).err());
        why.unwrap_or(Availability::NotCovered)
    }
}

impl Facts for Evaluation<'_> {
    fn fact(&self, name: &str) -> Option<Value<'_>> {
        if name == "score.value" {
            return self.score.get().map(Value::from);
        }
        match self.named_window(name) {
            Some(window) => self.window(window, 1).ok().map(|value| Value::Number(value.number())),
            None => self.inputs.facts().fact(name, self.plan.at.day),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{Told, day, formula, measure, metric, model};
    use crate::domain::inputs::AccountInputs;
    use crate::domain::model::ModelDraft;
    use crate::domain::month::{AccountMonth, DayState, DayValue};
    use crate::domain::workspace::Absence;
    use keizoku_base::Day;
    use keizoku_base::number::Millionths;
    use keizoku_base::time::Month;
    use proptest::prelude::{Just, Strategy, prop, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    const SCALE: [(f64, f64); 3] = [(-100.0, 0.0), (7.0, 33.3), (100.0, 100.0)];

    fn told() -> Told {
        Told::default()
            .metric("logins")
            .metric_of("users", "app", Absence::ZeroWhenSourceAlive, true)
            .metric_of("nps", "survey", Absence::Missing, false)
            .covered("app", "2024-01-10", "2024-03-20")
            .covered("survey", "2024-02-01", "2024-03-20")
    }

    fn draft() -> ModelDraft {
        model(vec![
            measure("logins", "mean_10d", 0.3, &SCALE),
            measure("users", "trend_percent_4w", 0.4, &SCALE),
            measure("nps", "last_60d_open", 0.2, &SCALE),
            formula("load", "metric.logins.sum_28d / metric.users.distinct_users_28d", 0.1, &SCALE),
        ])
    }

    fn plan(told: &Told, on: &str) -> Plan {
        let model = Arc::new(CompiledModel::compile(&draft(), &told.known()).expect("valid"));
        Plan::new(&model, &told.workspace(), AsOf::close_of(day(on)))
    }

    #[test]
    fn names_the_days_and_the_sets_it_reads() {
        let told = told();
        let plan = plan(&told, "2024-03-20");
        let text = |days: Days| format!("{}..{}", days.start, days.end);
        assert_eq!(plan.days().map(text), Some("2024-01-21..2024-03-21".to_owned()));
        let sets: Vec<_> = plan.set_metrics().into_iter().map(|(metric, days)| (metric.clone(), text(days))).collect();
        assert_eq!(sets, [(metric("users"), "2024-02-19..2024-03-21".to_owned())]);
    }

    #[test]
    fn a_workspace_without_the_metric_gives_no_value() {
        let (told, empty) = (told(), Told::default());
        let model = Arc::new(CompiledModel::compile(&draft(), &told.known()).expect("valid"));
        let workspace = empty.workspace();
        let plan = Plan::new(&model, &workspace, AsOf::during(day("2024-03-20")));
        assert_eq!(plan.days(), None);
        assert_eq!(plan.values(&empty.inputs(&workspace)), [Err(Availability::NotCovered); 4]);
    }

    fn any_state() -> impl Strategy<Value = DayState> {
        let logins = prop::option::of(0_i64..9_000_000);
        let users = prop::option::of(prop::collection::btree_set(0_u32..30, 0..6));
        let nps = prop::option::weighted(0.2, -100_i64..100);
        (logins, users, nps).prop_map(|(logins, users, nps)| {
            let value = |value: i64| DayValue { value: Millionths(value), users: None };
            let whole = |number: usize| Millionths::from_whole(i64::try_from(number).expect("small")).expect("fits");
            let logins = logins.map(|logins| (metric("logins"), value(logins)));
            let users = users.map(|users| {
                (metric("users"), DayValue { value: whole(users.len()), users: Some(users.into_iter().collect()) })
            });
            let nps = nps.map(|nps| (metric("nps"), value(nps * Millionths::ONE)));
            [logins, users, nps].into_iter().flatten().collect()
        })
    }

    fn any_changes() -> impl Strategy<Value = Vec<(Day, DayState)>> {
        let on = (0..75).prop_map(|number| day("2024-01-08").plus(number));
        prop::collection::vec((on, any_state()), 0..120)
    }

    /// The account as it stands after these changes, its months read in this order.
    fn inputs(told: &Told, workspace: &Arc<Workspace>, changes: &[(Day, DayState)], descending: bool) -> AccountInputs {
        let mut months: BTreeMap<Month, AccountMonth> = BTreeMap::new();
        for (on, state) in changes {
            months.entry(on.month()).or_insert_with(|| AccountMonth::new(on.month())).set_day(*on, state);
        }
        let mut months: Vec<AccountMonth> = months.into_values().collect();
        if descending {
            months.reverse();
        }
        let mut inputs = AccountInputs::new(workspace, told.facts.clone(), told.coverage.clone());
        months.iter().for_each(|month| inputs.add_month(month).expect("its own bytes"));
        inputs
    }

    proptest! {
        #[test]
        fn step_by_step_equals_all_at_once_in_any_order(
            (changes, last, descending) in any_changes().prop_flat_map(|changes| {
                let last: BTreeMap<Day, DayState> = changes.iter().cloned().collect();
                let last: Vec<_> = last.into_iter().collect();
                (Just(changes), Just(last).prop_shuffle(), prop::bool::ANY)
            }),
            on in 0..90_i32,
        ) {
            let told = told();
            let model = Arc::new(CompiledModel::compile(&draft(), &told.known()).expect("valid"));
            let workspace = told.workspace();
            let plan = Plan::new(&model, &workspace, AsOf::close_of(day("2024-01-10").plus(on)));
            let step_by_step = plan.score(&inputs(&told, &workspace, &changes, false));
            prop_assert_eq!(&step_by_step, &plan.score(&inputs(&told, &workspace, &last, descending)));
            let twice: Vec<_> = changes.iter().flat_map(|change| [change.clone(), change.clone()]).collect();
            prop_assert_eq!(&step_by_step, &plan.score(&inputs(&told, &workspace, &twice, descending)));
        }
    }
}
