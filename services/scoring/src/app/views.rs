//! Scores as they are answered: built once when they are computed, kept encoded, and passed on as they are.

mod answer;

pub(crate) use answer::{composition, composition_message, is_yet_to_come, point, unscored};

use keizoku_base::number::MilliPoints;
use keizoku_base::{AccountId, Day, Micros};
use keizoku_convert::{date, day, money, timestamp};
use keizoku_proto::scoring::score::Result as Outcome_;
use keizoku_proto::scoring::{self as proto, unscored::Reason as WireReason};
use keizoku_proto::types;
use prost::Message as _;

use crate::domain::evaluate::Availability;
use crate::domain::history::{Basis, Close, Closed};
use crate::domain::inputs::AccountInputs;
use crate::domain::model::{CompiledModel, Label, Polarity};
use crate::domain::month::Key;
use crate::domain::publish::{Published, PublishedState};
use crate::domain::ratio::Ratio;
use crate::domain::score::{Contribution, Health, Outcome, Reason};
use crate::error::ScoringFault;

/// Everything that a score tells.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Whose.
    pub account: AccountId,
    /// Its name; empty for a stub.
    pub name: &'a str,
    /// By which model.
    pub model: &'a CompiledModel,
    /// What it came to.
    pub outcome: &'a Outcome,
    /// What is told of it.
    pub published: &'a Published,
    /// The measures' values 28 days before, in the model's order.
    pub previous: &'a [Result<Ratio, Availability>],
    /// What it was computed from.
    pub inputs: &'a AccountInputs,
    /// The day it speaks of.
    pub day: Day,
    /// When it was computed.
    pub computed_at: Micros,
    /// Grows with every change.
    pub score_version: i64,
    /// Whether it was believed on the day.
    pub basis: Basis,
}

/// A score with its contributions.
#[derive(Debug, Clone, PartialEq)]
pub struct View(proto::Score);

impl View {
    /// The view of a score.
    pub fn of(seen: &Seen<'_>) -> Self {
        let stale = seen.outcome.stale_measures();
        Self(proto::Score {
            account_id: seen.account.to_string(),
            model: seen.model.key().to_string(),
            model_version: seen.published.model_version,
            result: Some(result(seen)),
            day: Some(date(seen.day)),
            computed_at: Some(timestamp(seen.computed_at)),
            score_version: seen.score_version,
            stage: text(seen.published.stage.as_ref()),
            inputs: freshness(seen.inputs),
            stale: !stale.is_empty(),
            stale_reason: stale_reason(&stale),
            basis: match seen.basis {
                Basis::AsBelieved => proto::Basis::AsBelieved.into(),
                Basis::Recomputed => proto::Basis::Recomputed.into(),
            },
            account_name: seen.name.to_owned(),
            monthly_revenue: seen.published.monthly_revenue.iter().map(money).collect(),
            next_renewal_on: seen.published.next_renewal_on.map(date),
        })
    }

    /// Reads a kept score.
    ///
    /// # Errors
    /// [`ScoringFault::Corrupt`] where the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, ScoringFault> {
        proto::Score::decode(bytes).map(Self).map_err(|_| ScoringFault::Corrupt("a score"))
    }

    /// The message, with contributions.
    pub fn message(&self) -> &proto::Score {
        &self.0
    }

    /// The encoded score with contributions.
    pub fn explained(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// The encoded score without contributions.
    pub fn basic(&self) -> Vec<u8> {
        let mut basic = self.0.clone();
        if let Some(Outcome_::Scored(scored)) = &mut basic.result {
            scored.contributions.clear();
        }
        basic.encode_to_vec()
    }

    /// Grows with every change of the score.
    pub(crate) fn version(&self) -> i64 {
        self.0.score_version
    }

    /// Its place among the changes of the score.
    pub(crate) fn set_version(&mut self, version: i64) {
        self.0.score_version = version;
    }

    /// Whether both tell the same of their day, whenever that is and whenever they were computed.
    pub(crate) fn tells_the_same(&self, other: &Self) -> bool {
        let timeless =
            |score: &proto::Score| proto::Score { day: None, computed_at: None, score_version: 0, ..score.clone() };
        timeless(&self.0) == timeless(&other.0)
    }

    /// What each measure adds, in thousandths of a point.
    pub(crate) fn contributions(&self) -> Vec<(Key, i32)> {
        let Some(Outcome_::Scored(scored)) = &self.0.result else { return Vec::new() };
        let part = |part: &proto::Contribution| (part.measure.as_str().into(), part.contribution_millis);
        scored.contributions.iter().map(part).collect()
    }

    /// It as the close of the day it speaks of.
    pub(crate) fn close(&self, basis: Basis) -> Option<Close> {
        let day_of = self.0.day.as_ref().and_then(day)?;
        let result = match self.0.result.as_ref()? {
            Outcome_::Scored(scored) => Closed::Scored {
                value: MilliPoints(scored.value_millis),
                band: key(&scored.band),
                band_since: scored.band_since.as_ref().and_then(day).unwrap_or(day_of),
                level: key(&scored.level),
                persona: key(&scored.persona),
            },
            Outcome_::Unscored(unscored) => Closed::Unscored(reason(unscored.reason())?),
        };
        let (model_version, stage) = (self.0.model_version, key(&self.0.stage));
        Some(Close { day: day_of, basis, model_version, stage, result })
    }
}

/// The reason as stored.
pub(crate) fn reason(wire: WireReason) -> Option<Reason> {
    match wire {
        WireReason::Unspecified => None,
        WireReason::NoModel => Some(Reason::NoModel),
        WireReason::NotCovered => Some(Reason::NotCovered),
        WireReason::TooShort => Some(Reason::TooShort),
        WireReason::NotYetComputed => Some(Reason::NotYetComputed),
        WireReason::Excluded => Some(Reason::Excluded),
    }
}

/// The reason on the wire.
pub(crate) fn wire_reason(reason: Reason) -> WireReason {
    match reason {
        Reason::NoModel => WireReason::NoModel,
        Reason::NotCovered => WireReason::NotCovered,
        Reason::TooShort => WireReason::TooShort,
        Reason::NotYetComputed => WireReason::NotYetComputed,
        Reason::Excluded => WireReason::Excluded,
    }
}

fn result(seen: &Seen<'_>) -> Outcome_ {
    match &seen.published.state {
        PublishedState::Scored {
            value,
            band,
            polarity,
            level,
            persona,
            band_since,
            change_7d_millis,
            change_28d_millis,
            covered_weight_micros,
        } => Outcome_::Scored(proto::Scored {
            value_millis: value.0,
            band: text(band.as_ref()),
            polarity: polarity.map(Polarity::name).unwrap_or_default().to_owned(),
            level: text(level.as_ref()),
            persona: text(persona.as_ref()),
            band_since: Some(date(*band_since)),
            change_7d_millis: *change_7d_millis,
            change_28d_millis: *change_28d_millis,
            contributions: contributions(seen),
            covered_weight_micros: *covered_weight_micros,
        }),
        PublishedState::Unscored { reason, missing } => Outcome_::Unscored(proto::Unscored {
            reason: wire_reason(*reason).into(),
            missing_measures: missing.iter().map(ToString::to_string).collect(),
        }),
    }
}

fn contributions(seen: &Seen<'_>) -> Vec<proto::Contribution> {
    let Health::Scored(scored) = &seen.outcome.health else { return Vec::new() };
    let parts = seen.model.measures().iter().zip(&scored.contributions);
    let previous = seen.previous.iter().map(Some).chain(std::iter::repeat(None));
    parts
        .zip(previous)
        .map(|((measure, part), previous)| proto::Contribution {
            measure: measure.key.to_string(),
            label: label(&measure.label),
            unit: label(&measure.unit),
            input: Some(input(part)),
            previous_value: previous.and_then(|value| value.as_ref().ok()).map(|value| value.to_f64()),
            target: Some(measure.target.to_f64()),
            points_millis: part.points.0,
            weight_share_micros: part.weight_share_micros,
            contribution_millis: part.contribution_millis,
            gain_at_target_millis: part.gain_at_target_millis,
        })
        .collect()
}

fn input(part: &Contribution) -> proto::contribution::Input {
    use proto::contribution::Input;
    let missing = match part.value {
        Ok(value) => return Input::Value(value.to_f64()),
        Err(Availability::NotCovered) => types::Availability::NotCovered,
        Err(Availability::TooShort) => types::Availability::TooShort,
        Err(Availability::Undefined) => types::Availability::Undefined,
        Err(Availability::Stale) => types::Availability::Stale,
    };
    Input::Missing(missing.into())
}

fn freshness(inputs: &AccountInputs) -> Vec<proto::InputFreshness> {
    let mut found: Vec<_> = inputs.coverage().collect();
    found.sort_by(|left, right| left.source.cmp(&right.source));
    let fresh = |covered: &crate::domain::inputs::Coverage| proto::InputFreshness {
        source: covered.source.to_string(),
        oldest_on: Some(date(covered.first)),
        newest_on: Some(date(covered.last)),
    };
    found.into_iter().map(fresh).collect()
}

fn stale_reason(stale: &[&Key]) -> String {
    if stale.is_empty() {
        return String::new();
    }
    let measures: Vec<&str> = stale.iter().map(|measure| measure.as_ref()).collect();
    format!("no source has delivered lately for: {}", measures.join(", "))
}

fn label(label: &Label) -> Option<types::Label> {
    let told = !label.en.is_empty() || !label.ja.is_empty();
    told.then(|| types::Label { en: label.en.clone(), ja: label.ja.clone() })
}

fn text(key: Option<&Key>) -> String {
    key.map(ToString::to_string).unwrap_or_default()
}

fn key(text: &str) -> Option<Key> {
    (!text.is_empty()).then(|| text.into())
}
