//! How the accounts are spread over the bands, and which stage pulls the whole down.
//!
//! The index is Good% − Bad% of the scored accounts. A group's pull is its share of the accounts times its own index, so
//! that the pulls of all stages add up to the index exactly. Unscored accounts are in no share; they stand apart.

use std::collections::BTreeMap;

use keizoku_base::estimate::{Design, Estimate};
use keizoku_base::number::divide_half_even;
use keizoku_statistics::{Counts, round_together, share};

use super::model::{CompiledModel, Polarity};
use super::month::Key;
use super::score::Reason;

/// The confidence of the shares' intervals.
const LEVEL: f64 = 0.95;
/// Thousandths of a percentage point in a whole.
const WHOLE: i128 = 100_000;

/// The bands and stages to count by, in the model's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The version of the model.
    pub model_version: i32,
    /// The bands, the best first.
    pub bands: Vec<(Key, Polarity)>,
    /// The stages.
    pub stages: Vec<Key>,
}

impl Layout {
    /// The layout of a model.
    pub fn of(model: &CompiledModel, model_version: i32) -> Self {
        Self {
            model_version,
            bands: model.bands().map(|band| (band.key.clone(), band.polarity)).collect(),
            stages: model.stages().map(|stage| stage.key.clone()).collect(),
        }
    }
}

/// Counts accounts by stage and band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    layout: Layout,
    /// By stage, accounts without one last; then by band, accounts in none of the model's bands last.
    counts: Vec<Vec<i64>>,
    unscored: BTreeMap<Reason, i64>,
}

/// The spread of the accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Composition {
    /// All scored accounts together.
    pub total: Group,
    /// By stage, in the model's order; accounts without a stage last, where there are any.
    pub stages: Vec<Group>,
    /// Unscored accounts by reason, in the order of the wire.
    pub unscored: Vec<(Reason, i64)>,
    /// The stage that pulls the index down most; ties go to the earlier stage. `None` where none does.
    pub bottleneck: Option<Key>,
}

/// The spread of one group of accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The stage; `None` for all, or for accounts without one.
    pub stage: Option<Key>,
    /// How many scored accounts it has.
    pub account_count: i64,
    /// By band, in the model's order.
    pub bands: Vec<BandCount>,
    /// The share of accounts in bands that are good news.
    pub good: Estimate,
    /// The share of accounts in bands that are bad news.
    pub bad: Estimate,
    /// Good% − Bad% in thousandths of a percentage point, half to even; `None` where there is no account.
    pub index_millis: Option<i32>,
    /// What the group adds to the index of all, in thousandths; `None` where there is no account at all. Pulls are rounded
    /// together, so that they add up.
    pub pull_millis: Option<i32>,
}

/// How many accounts are in a band.
#[derive(Debug, Clone, PartialEq)]
pub struct BandCount {
    /// The band.
    pub band: Key,
    /// How many.
    pub account_count: i64,
    /// Of the group's scored accounts.
    pub share: Estimate,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(layout: Layout) -> Self {
        let counts = vec![vec![0; layout.bands.len() + 1]; layout.stages.len() + 1];
        Self { layout, counts, unscored: BTreeMap::new() }
    }

    /// Counts one scored account. A stage or band that the model does not have counts as none.
    pub fn add_scored(&mut self, stage: Option<&str>, band: Option<&str>) {
        self.add_many(stage, band, 1);
    }

    /// Counts many scored accounts of one stage and band.
    pub fn add_many(&mut self, stage: Option<&str>, band: Option<&str>, account_count: i64) {
        let layout = &self.layout;
        let none = layout.stages.len();
        let stage = layout.stages.iter().position(|known| Some(known.as_ref()) == stage).unwrap_or(none);
        let none = layout.bands.len();
        let band = layout.bands.iter().position(|(known, _)| Some(known.as_ref()) == band).unwrap_or(none);
        if let Some(count) = self.counts.get_mut(stage).and_then(|bands| bands.get_mut(band)) {
            *count += account_count;
        }
    }

    /// Counts unscored accounts.
    pub fn add_unscored(&mut self, reason: Reason, account_count: i64) {
        *self.unscored.entry(reason).or_default() += account_count;
    }

    /// The composition of what was counted.
    pub fn finish(&self) -> Composition {
        let count = self.layout.bands.len() + 1;
        let all: Vec<i64> =
            (0..count).map(|band| self.counts.iter().filter_map(|bands| bands.get(band)).sum()).collect();
        let account_count: i64 = all.iter().sum();
        let balances: Vec<i128> = self.counts.iter().map(|bands| i128::from(self.balance(bands))).collect();
        let pulls = self.pulls(&balances, account_count);
        let keys = self.layout.stages.iter().map(Some).chain([None]);
        let stages = keys.zip(&self.counts).zip(pulls).map(|((stage, bands), pull)| self.group(stage, bands, pull));
        let worst = self.layout.stages.iter().zip(&balances).filter(|(_, balance)| **balance < 0);
        Composition {
            total: Group { pull_millis: self.index(&all), ..self.group(None, &all, None) },
            stages: stages.filter(|group| group.stage.is_some() || group.account_count > 0).collect(),
            unscored: self
                .unscored
                .iter()
                .filter(|(_, count)| **count != 0)
                .map(|(key, count)| (*key, *count))
                .collect(),
            // The first of several least ones.
            bottleneck: worst.min_by_key(|(_, balance)| **balance).map(|(stage, _)| stage.clone()),
        }
    }

    fn group(&self, stage: Option<&Key>, bands: &[i64], pull_millis: Option<i32>) -> Group {
        let account_count: i64 = bands.iter().sum();
        let estimate = |numerator| {
            let (undecided, missing, lost) = (0, 0, 0);
            let definition_version = u32::try_from(self.layout.model_version).unwrap_or(0);
            let design = Design::Association;
            let denominator = account_count;
            share(&Counts { numerator, denominator, undecided, missing, lost, definition_version, design }, LEVEL)
        };
        let of = |wanted: Polarity| self.in_polarity(bands, wanted);
        let by_band = self.layout.bands.iter().zip(bands).map(|((band, _), count)| BandCount {
            band: band.clone(),
            account_count: *count,
            share: estimate(*count),
        });
        Group {
            stage: stage.cloned(),
            account_count,
            bands: by_band.collect(),
            good: estimate(of(Polarity::Good)),
            bad: estimate(of(Polarity::Bad)),
            index_millis: self.index(bands),
            pull_millis,
        }
    }

    /// What each stage adds to the index, rounded so that the sum is the index.
    fn pulls(&self, balances: &[i128], account_count: i64) -> Vec<Option<i32>> {
        let numerators: Vec<i128> = balances.iter().map(|balance| balance * WHOLE).collect();
        match round_together(&numerators, i128::from(account_count)) {
            Some(rounded) => rounded.parts.into_iter().map(|part| i32::try_from(part).ok()).collect(),
            None => vec![None; balances.len()],
        }
    }

    fn index(&self, bands: &[i64]) -> Option<i32> {
        let account_count: i64 = bands.iter().sum();
        let exact = (account_count > 0)
            .then(|| divide_half_even(i128::from(self.balance(bands)) * WHOLE, i128::from(account_count)))?;
        i32::try_from(exact).ok()
    }

    /// Accounts in good bands less accounts in bad ones.
    fn balance(&self, bands: &[i64]) -> i64 {
        self.in_polarity(bands, Polarity::Good) - self.in_polarity(bands, Polarity::Bad)
    }

    fn in_polarity(&self, bands: &[i64], wanted: Polarity) -> i64 {
        let known = self.layout.bands.iter().zip(bands);
        known.filter(|((_, polarity), _)| *polarity == wanted).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, prop, prop_assert_eq, proptest};

    const BANDS: [(&str, Polarity); 3] =
        [("good", Polarity::Good), ("normal", Polarity::Neutral), ("bad", Polarity::Bad)];
    const STAGES: [&str; 3] = ["trial", "onboarding", "adopted"];

    fn layout() -> Layout {
        Layout {
            model_version: 3,
            bands: BANDS.into_iter().map(|(key, polarity)| (key.into(), polarity)).collect(),
            stages: STAGES.into_iter().map(Key::from).collect(),
        }
    }

    fn week(counts: [[i64; 3]; 3]) -> Composition {
        let mut tally = Tally::new(layout());
        for (stage, bands) in STAGES.into_iter().zip(counts) {
            for ((band, _), count) in BANDS.into_iter().zip(bands) {
                tally.add_many(Some(stage), Some(band), count);
            }
        }
        tally.add_unscored(Reason::NotCovered, 2);
        tally.finish()
    }

    fn counts(group: &Group) -> Vec<i64> {
        group.bands.iter().map(|band| band.account_count).collect()
    }

    #[test]
    fn the_first_week_of_the_weekly_meeting() {
        let found = week([[2, 3, 5], [3, 5, 4], [13, 4, 1]]);
        assert_eq!((found.total.account_count, counts(&found.total)), (40, vec![18, 12, 10]));
        let shares: Vec<_> = found.total.bands.iter().map(|band| band.share.value).collect();
        assert_eq!(shares, [Some(0.45), Some(0.30), Some(0.25)]);
        assert_eq!((found.total.index_millis, found.total.pull_millis), (Some(20_000), Some(20_000)));
        let indices: Vec<_> = found.stages.iter().map(|stage| stage.index_millis).collect();
        assert_eq!(indices, [Some(-30_000), Some(-8_333), Some(66_667)]);
        let pulls: Vec<_> = found.stages.iter().map(|stage| stage.pull_millis).collect();
        assert_eq!(pulls, [Some(-7_500), Some(-2_500), Some(30_000)]);
        assert_eq!(found.bottleneck.as_deref(), Some("trial"));
        assert_eq!(found.unscored, [(Reason::NotCovered, 2)]);
        assert_eq!((found.total.good.numerator, found.total.bad.numerator), (18, 10));
        assert_eq!(found.total.good.definition_version, 3);
    }

    #[test]
    fn the_second_week_of_the_weekly_meeting() {
        let found = week([[2, 7, 1], [3, 5, 4], [12, 5, 1]]);
        assert_eq!((found.total.account_count, counts(&found.total)), (40, vec![17, 17, 6]));
        let shares: Vec<_> = found.total.bands.iter().map(|band| band.share.value).collect();
        assert_eq!(shares, [Some(0.425), Some(0.425), Some(0.15)]);
        assert_eq!(found.total.index_millis, Some(27_500));
    }

    #[test]
    fn nobody_has_no_index_and_no_bottleneck() {
        let found = week([[0; 3]; 3]);
        assert_eq!((found.total.index_millis, found.total.pull_millis, found.bottleneck), (None, None, None));
        assert_eq!(found.total.good.value, None);
        assert_eq!(found.stages.len(), 3);
        assert!(found.stages.iter().all(|stage| stage.index_millis.is_none() && stage.pull_millis.is_none()));
    }

    #[test]
    fn ties_go_to_the_earlier_stage_and_accounts_without_one_are_no_bottleneck() {
        let mut tally = Tally::new(layout());
        for (stage, count) in [(Some("onboarding"), 2), (Some("adopted"), 2), (None, 9), (Some("unheard_of"), 1)] {
            tally.add_many(stage, Some("bad"), count);
        }
        tally.add_scored(Some("trial"), None);
        let found = tally.finish();
        assert_eq!(found.bottleneck.as_deref(), Some("onboarding"));
        assert_eq!(found.stages.last().map(|stage| (stage.stage.clone(), stage.account_count)), Some((None, 10)));
        assert_eq!(found.stages.first().and_then(|stage| stage.index_millis), Some(0));
    }

    type Account = Result<(Option<usize>, Option<usize>), u8>;

    fn any_accounts() -> impl Strategy<Value = Vec<Account>> {
        let place = (prop::option::of(0_usize..3), prop::option::of(0_usize..3));
        prop::collection::vec(
            (place, 0_u8..5, prop::bool::ANY).prop_map(
                |(place, code, is_scored)| {
                    if is_scored { Ok(place) } else { Err(code) }
                },
            ),
            0..200,
        )
    }

    fn composed(accounts: &[Account]) -> Composition {
        let mut tally = Tally::new(layout());
        for account in accounts {
            match account {
                Ok((stage, band)) => {
                    tally.add_scored(stage.map(|place| STAGES[place]), band.map(|place| BANDS[place].0));
                }
                Err(code) => tally.add_unscored(Reason::from_code(*code).expect("a code"), 1),
            }
        }
        tally.finish()
    }

    proptest! {
        #[test]
        fn every_account_is_counted_once_and_pulls_add_up(accounts in any_accounts()) {
            let found = composed(&accounts);
            let unscored: i64 = found.unscored.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(usize::try_from(found.total.account_count + unscored).ok(), Some(accounts.len()));
            prop_assert_eq!(found.stages.iter().map(|stage| stage.account_count).sum::<i64>(), found.total.account_count);
            for place in 0..BANDS.len() {
                let of_stages: i64 = found.stages.iter().map(|stage| counts(stage)[place]).sum();
                prop_assert_eq!(of_stages, counts(&found.total)[place]);
            }
            let pulls: i32 = found.stages.iter().filter_map(|stage| stage.pull_millis).sum();
            prop_assert_eq!(pulls, found.total.index_millis.unwrap_or(0));
        }

        #[test]
        fn the_order_of_the_accounts_does_not_matter(
            (accounts, shuffled) in any_accounts().prop_flat_map(|accounts| (Just(accounts.clone()), Just(accounts).prop_shuffle())),
        ) {
            prop_assert_eq!(composed(&accounts), composed(&shuffled));
        }
    }
}
