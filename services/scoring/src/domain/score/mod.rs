//! The score of an account: always computed whole from its integers, so any order, split or replay gives the same bits.
//!
//! value = Σ weight · points ÷ Σ weight over the measures that count, rounded once, half to even, to thousandths of a point.
//! The contributions are rounded together by largest remainder, so that they add up to the value exactly; band, level and
//! persona are decided on the published value.

#[cfg(test)]
mod tests;

use keizoku_base::number::{MilliPoints, Millionths, divide_half_even};
use keizoku_statistics::{Rounded, apportion, round_together};

use crate::domain::evaluate::Availability;
use crate::domain::inputs::AccountInputs;
use crate::domain::model::{Band, CompiledModel, Condition, Measure, Polarity, Treatment};
use crate::domain::month::Key;
use crate::domain::plan::{Evaluation, Plan};
use crate::domain::ratio::Ratio;

/// Why there is no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The workspace has no such model.
    NoModel,
    /// No source covers enough of what the model asks.
    NotCovered,
    /// The sources have covered the account for too short a time.
    TooShort,
    /// Its first score is being computed.
    NotYetComputed,
    /// The model does not apply to it.
    Excluded,
}

impl Reason {
    /// Its number in stored rows, from 0.
    pub fn code(self) -> u8 {
        match self {
            Self::NoModel => 0,
            Self::NotCovered => 1,
            Self::TooShort => 2,
            Self::NotYetComputed => 3,
            Self::Excluded => 4,
        }
    }

    /// The reason with that number.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::NoModel, Self::NotCovered, Self::TooShort, Self::NotYetComputed, Self::Excluded]
            .into_iter()
            .find(|reason| reason.code() == code)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoModel => "NO_MODEL",
            Self::NotCovered => "NOT_COVERED",
            Self::TooShort => "TOO_SHORT",
            Self::NotYetComputed => "NOT_YET_COMPUTED",
            Self::Excluded => "EXCLUDED",
        }
    }
}

/// What a model says of an account at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The stage of the customer's way; `None` where no stage's condition holds or the model does not apply.
    pub stage: Option<Key>,
    /// The health, or why there is none.
    pub health: Health,
}

/// The health, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// There is a score.
    Scored(Scored),
    /// There is none.
    Unscored {
        /// Why.
        reason: Reason,
        /// The measures without a value, in the model's order.
        missing: Vec<(Key, Availability)>,
    },
}

/// A score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Thousandths of a point, 0 to 100,000.
    pub value: MilliPoints,
    /// The band; `None` where no band's condition holds.
    pub band: Option<Key>,
    /// Whether the band is good news.
    pub polarity: Option<Polarity>,
    /// The level of use.
    pub level: Option<Key>,
    /// The persona.
    pub persona: Option<Key>,
    /// What it is made of, one for every measure in the model's order. They add up to the value.
    pub contributions: Vec<Contribution>,
    /// How much of the weight had a value, in millionths.
    pub covered_weight_micros: i32,
}

/// What one measure adds to a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// The measure's key.
    pub measure: Key,
    /// Its value, or why there is none.
    pub value: Result<Ratio, Availability>,
    /// The points for it.
    pub points: MilliPoints,
    /// Its share of the weight that counted, in millionths; 0 where it does not count.
    pub weight_share_micros: i32,
    /// What it adds, in thousandths of a point.
    pub contribution_millis: i32,
    /// What would be gained if the target were reached and all else stayed, in thousandths of a point; never below 0.
    pub gain_at_target_millis: i32,
}

impl Outcome {
    /// The measures whose source stopped delivering, in the model's order.
    pub fn stale_measures(&self) -> Vec<&Key> {
        let is_stale = |why: Option<&Availability>| why == Some(&Availability::Stale);
        match &self.health {
            Health::Scored(scored) => {
                let stale = scored.contributions.iter().filter(|part| is_stale(part.value.as_ref().err()));
                stale.map(|part| &part.measure).collect()
            }
            Health::Unscored { missing, .. } => {
                missing.iter().filter(|(_, why)| is_stale(Some(why))).map(|(measure, _)| measure).collect()
            }
        }
    }
}

impl Plan {
    /// Scores an account. Its inputs must hold the plan's days, and the sets of its distinct metrics.
    ///
    /// # Panics
    /// Where the inputs were made with another [`Workspace`](crate::domain::workspace::Workspace) than the plan.
    pub fn score(&self, inputs: &AccountInputs) -> Outcome {
        let (model, evaluation) = (self.model().as_ref(), Evaluation::new(self, inputs));
        if !evaluation.holds(model.applies_to.as_ref()) {
            return Outcome { stage: None, health: Health::Unscored { reason: Reason::Excluded, missing: Vec::new() } };
        }
        let stage = first_holding(&evaluation, &model.stages);
        let values: Vec<_> = model.measures.iter().map(|measure| evaluation.measure(measure)).collect();
        let health = match Weighed::new(model, &values) {
            Some(weighed) => Health::Scored(scored(model, &evaluation, &values, &weighed)),
            None => unscored(model, &values),
        };
        Outcome { stage, health }
    }
}

type Values = [Result<Ratio, Availability>];

/// The measures that count, and their mean.
struct Weighed {
    /// For every measure its points; `None` where it does not count.
    points: Vec<Option<MilliPoints>>,
    /// The weight of what counts, above 0.
    weight: i128,
    /// Σ weight · points of what counts.
    sum: i128,
    rounded: Rounded,
    covered_weight_micros: i32,
}

impl Weighed {
    /// `None` where the model gives no score for these values.
    fn new(model: &CompiledModel, values: &Values) -> Option<Self> {
        let rule = &model.missing;
        let pairs = || model.measures.iter().zip(values);
        let total: i128 = model.measures.iter().map(|measure| i128::from(measure.weight)).sum();
        let covered: i128 =
            pairs().filter(|(_, value)| value.is_ok()).map(|(measure, _)| i128::from(measure.weight)).sum();
        let one = i128::from(Millionths::ONE);
        let is_enough = covered > 0 && covered * one >= i128::from(rule.minimum_covered_weight) * total;
        if !is_enough || (rule.treatment == Treatment::Unscored && covered < total) {
            return None;
        }
        let points: Vec<Option<MilliPoints>> = pairs()
            .map(|(measure, value)| match value {
                Ok(value) => Some(value.points_on(&measure.scale)),
                Err(_) => (rule.treatment == Treatment::FixedPoints).then_some(rule.points),
            })
            .collect();
        let parts: Vec<i128> =
            model.measures.iter().zip(&points).map(|(measure, points)| part(measure, *points)).collect();
        let counted = model.measures.iter().zip(&points).filter(|(_, points)| points.is_some());
        let weight = counted.map(|(measure, _)| i128::from(measure.weight)).sum();
        let rounded = round_together(&parts, weight)?;
        let covered_weight_micros = i32::try_from(divide_half_even(covered * one, total)).ok()?;
        Some(Self { points, weight, sum: parts.iter().sum(), rounded, covered_weight_micros })
    }

    /// The points of the whole, were a measure that counts at `points` instead of its own.
    fn instead(&self, measure: &Measure, own: MilliPoints, points: MilliPoints) -> i64 {
        let sum = self.sum - part(measure, Some(own)) + part(measure, Some(points));
        i64::try_from(divide_half_even(sum, self.weight)).unwrap_or(self.rounded.total)
    }
}

fn part(measure: &Measure, points: Option<MilliPoints>) -> i128 {
    points.map_or(0, |points| i128::from(measure.weight) * i128::from(points.0))
}

fn scored(model: &CompiledModel, evaluation: &Evaluation<'_>, values: &Values, weighed: &Weighed) -> Scored {
    let value = MilliPoints(i32::try_from(weighed.rounded.total).unwrap_or(0));
    evaluation.publish(value);
    let band = model.bands.iter().find(|band| evaluation.holds(band.when.as_ref()));
    Scored {
        value,
        band: band.map(|band| band.key.clone()),
        polarity: band.map(|band: &Band| band.polarity),
        level: first_holding(evaluation, &model.levels),
        persona: first_holding(evaluation, &model.personas),
        contributions: contributions(model, values, weighed),
        covered_weight_micros: weighed.covered_weight_micros,
    }
}

fn contributions(model: &CompiledModel, values: &Values, weighed: &Weighed) -> Vec<Contribution> {
    let weights: Vec<i128> = model
        .measures
        .iter()
        .zip(&weighed.points)
        .map(|(measure, points)| points.map_or(0, |_| i128::from(measure.weight)))
        .collect();
    let shares = apportion(Millionths::ONE, &weights).unwrap_or_default();
    let small = |list: &[i64], place: usize| list.get(place).and_then(|part| i32::try_from(*part).ok()).unwrap_or(0);
    let pairs = model.measures.iter().zip(values).zip(&weighed.points).enumerate();
    pairs
        .map(|(place, ((measure, value), points))| {
            let gain = points.map_or(0, |own| {
                let at_target = Ratio::millionths(i128::from(measure.target.0)).points_on(&measure.scale);
                weighed.instead(measure, own, at_target) - weighed.rounded.total
            });
            Contribution {
                measure: measure.key.clone(),
                value: *value,
                points: points.unwrap_or_default(),
                weight_share_micros: small(&shares, place),
                contribution_millis: small(&weighed.rounded.parts, place),
                gain_at_target_millis: i32::try_from(gain.max(0)).unwrap_or(0),
            }
        })
        .collect()
}

/// Too short where waiting is all it takes: nothing has a value and something will have one, or all that is missing will.
fn unscored(model: &CompiledModel, values: &Values) -> Health {
    let missing: Vec<(Key, Availability)> = model
        .measures
        .iter()
        .zip(values)
        .filter_map(|(measure, value)| Some((measure.key.clone(), value.err()?)))
        .collect();
    let is_short = |why: &(Key, Availability)| why.1 == Availability::TooShort;
    let nothing_covered = missing.len() == values.len();
    let waits = if nothing_covered { missing.iter().any(is_short) } else { missing.iter().all(is_short) };
    let reason = if waits { Reason::TooShort } else { Reason::NotCovered };
    Health::Unscored { reason, missing }
}

fn first_holding(evaluation: &Evaluation<'_>, conditions: &[Condition]) -> Option<Key> {
    conditions.iter().find(|condition| evaluation.holds(condition.when.as_ref())).map(|condition| condition.key.clone())
}
