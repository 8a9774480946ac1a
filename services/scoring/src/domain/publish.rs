//! Whether a new outcome is news: what is published is absolute, and only what differs from the last word is told.

use keizoku_base::Day;
use keizoku_base::money::Money;
use keizoku_base::number::MilliPoints;

use super::history::{Close, band_since, change};
use super::model::Polarity;
use super::month::Key;
use super::score::{Contribution, Health, Outcome, Reason};

/// An account's health by one model as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The version of the model.
    pub model_version: i32,
    /// Whether it is the workspace's primary model.
    pub primary: bool,
    /// The stage of the customer's way.
    pub stage: Option<Key>,
    /// The health, or why there is none.
    pub state: PublishedState,
    /// What it pays per month, per currency.
    pub monthly_revenue: Vec<Money>,
    /// The next day one of its contracts ends.
    pub next_renewal_on: Option<Day>,
}

/// The health as it is published, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishedState {
    /// There is a score.
    Scored {
        /// Thousandths of a point.
        value: MilliPoints,
        /// The band; `None`: none holds.
        band: Option<Key>,
        /// Whether the band is good news.
        polarity: Option<Polarity>,
        /// The level of use.
        level: Option<Key>,
        /// The persona.
        persona: Option<Key>,
        /// The first day of the present band.
        band_since: Day,
        /// Against 7 days ago, in thousandths; `None`: no score then.
        change_7d_millis: Option<i32>,
        /// Against 28 days ago, in thousandths; `None`: no score then.
        change_28d_millis: Option<i32>,
        /// How much of the weight had a value, in millionths.
        covered_weight_micros: i32,
    },
    /// There is none.
    Unscored {
        /// Why.
        reason: Reason,
        /// The measures without a value.
        missing: Vec<Key>,
    },
}

/// The closes that a new outcome is seen against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Past<'a> {
    /// The last close before the day.
    pub before: Option<&'a Close>,
    /// The close 7 days before it.
    pub week_ago: Option<&'a Close>,
    /// The close 28 days before it.
    pub four_weeks_ago: Option<&'a Close>,
}

impl PublishedState {
    /// An outcome of a day as it is published.
    pub fn of(outcome: &Outcome, day: Day, past: Past<'_>) -> Self {
        match &outcome.health {
            Health::Scored(scored) => Self::Scored {
                value: scored.value,
                band: scored.band.clone(),
                polarity: scored.polarity,
                level: scored.level.clone(),
                persona: scored.persona.clone(),
                band_since: band_since(scored.band.as_ref(), day, past.before),
                change_7d_millis: change(scored.value, past.week_ago),
                change_28d_millis: change(scored.value, past.four_weeks_ago),
                covered_weight_micros: scored.covered_weight_micros,
            },
            Health::Unscored { reason, missing } => Self::Unscored {
                reason: *reason,
                missing: missing.iter().map(|(measure, _)| measure.clone()).collect(),
            },
        }
    }
}

/// The version under which `new` is published; `None` where it says nothing new. The first version is 1.
pub fn next_version(stored: Option<(&Published, i64)>, new: &Published) -> Option<i64> {
    match stored {
        Some((before, _)) if before == new => None,
        Some((_, version)) => Some(version + 1),
        None => Some(1),
    }
}

/// The most causes that are named.
const MOST_CAUSES: usize = 3;

/// The measures whose contributions moved most, the largest first, ties in the model's order; at most 3. `before` holds the
/// contributions in thousandths by measure; a measure that was not there added nothing.
pub fn causes(before: &[(Key, i32)], after: &[Contribution]) -> Vec<Key> {
    let earlier = |measure: &Key| before.iter().find(|(known, _)| known == measure).map_or(0, |(_, millis)| *millis);
    let stayed = after.iter().map(|part| (&part.measure, part.contribution_millis - earlier(&part.measure)));
    let gone = before.iter().filter(|(known, _)| after.iter().all(|part| part.measure != *known));
    let mut moves: Vec<(&Key, i32)> = stayed.chain(gone.map(|(measure, millis)| (measure, -millis))).collect();
    moves.retain(|(_, moved)| *moved != 0);
    moves.sort_by_key(|(_, moved)| std::cmp::Reverse(moved.abs()));
    moves.into_iter().take(MOST_CAUSES).map(|(measure, _)| measure.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ratio::Ratio;

    fn published(value: i32) -> Published {
        Published {
            model_version: 1,
            primary: true,
            stage: None,
            state: PublishedState::Scored {
                value: MilliPoints(value),
                band: Some("good".into()),
                polarity: Some(Polarity::Good),
                level: None,
                persona: None,
                band_since: Day(19_000),
                change_7d_millis: None,
                change_28d_millis: None,
                covered_weight_micros: 1_000_000,
            },
            monthly_revenue: vec![],
            next_renewal_on: None,
        }
    }

    fn part(measure: &str, contribution_millis: i32) -> Contribution {
        Contribution {
            measure: measure.into(),
            value: Ok(Ratio::millionths(0)),
            points: MilliPoints(0),
            weight_share_micros: 0,
            contribution_millis,
            gain_at_target_millis: 0,
        }
    }

    #[test]
    fn only_what_differs_is_news() {
        let (same, other) = (published(75_000), published(74_999));
        assert_eq!(next_version(None, &same), Some(1));
        assert_eq!(next_version(Some((&same, 4)), &same), None);
        assert_eq!(next_version(Some((&same, 4)), &other), Some(5));
        let renewal = Published { next_renewal_on: Some(Day(20_000)), ..same.clone() };
        assert_eq!(next_version(Some((&same, 4)), &renewal), Some(5));
    }

    #[test]
    fn the_measures_that_moved_most_are_the_causes() {
        let before = [("a".into(), 10), ("b".into(), 20), ("gone".into(), 7), ("same".into(), 5)];
        let after = [part("a", 3), part("b", 40), part("same", 5), part("new", 1)];
        assert_eq!(causes(&before, &after), ["b", "a", "gone"].map(Key::from));
        assert_eq!(causes(&[], &[part("a", 0)]), Vec::<Key>::new());
    }
}
