//! What a watcher is told: which scores it wants to see, and which of their changes are news to it.

use std::collections::{BTreeSet, HashMap};

use keizoku_base::AccountId;
use keizoku_base::number::MilliPoints;

use super::month::Key;

/// Which scores are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these bands; empty: all.
    pub bands: BTreeSet<String>,
    /// Only these stages; empty: all.
    pub stages: BTreeSet<String>,
    /// Only scored or only unscored accounts; `None`: both.
    pub scored: Option<bool>,
}

/// When a change is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// At every change.
    Any,
    /// When the band changes.
    Band,
    /// When the level changes.
    Level,
    /// When the value moved by at least this many thousandths of a point since it was last told.
    Moved(u32),
}

/// The score of an account as far as watchers tell states apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The account.
    pub account: AccountId,
    /// Grows with every change; 0 where the account has no score any more.
    pub version: i64,
    /// Thousandths of a point; `None`: unscored.
    pub value: Option<MilliPoints>,
    /// The band's key; empty: none.
    pub band: String,
    /// The level's key; empty: none.
    pub level: String,
    /// The stage's key; empty: none.
    pub stage: String,
}

impl Filter {
    /// Whether a score is wanted.
    pub fn holds(&self, state: &State) -> bool {
        let wanted = |keys: &BTreeSet<String>, key: &str| keys.is_empty() || keys.contains(key);
        wanted(&self.bands, &state.band)
            && wanted(&self.stages, &state.stage)
            && self.scored.is_none_or(|scored| scored == state.value.is_some())
    }
}

/// What one watcher was told of each account it can see.
#[derive(Debug)]
pub struct Memory {
    filter: Filter,
    trigger: Trigger,
    told: HashMap<AccountId, Told>,
    /// Every band and level once: accounts share them.
    keys: BTreeSet<Key>,
}

#[derive(Debug)]
struct Told {
    /// The newest version looked at, whether it was told or not.
    version: i64,
    value: Option<MilliPoints>,
    band: Key,
    level: Key,
}

impl Memory {
    /// A watcher that was told nothing yet.
    pub fn new(filter: Filter, trigger: Trigger) -> Self {
        Self { filter, trigger, told: HashMap::new(), keys: BTreeSet::new() }
    }

    /// Whether anything is remembered of an account.
    pub fn knows(&self, account: AccountId) -> bool {
        self.told.contains_key(&account)
    }

    /// Takes a state as told, without telling it: what a watcher learnt before it came back.
    pub fn recall(&mut self, state: &State) {
        if self.filter.holds(state) {
            self.tell(state);
        }
    }

    /// Whether a state is news. A wanted account that becomes unwanted is told once more, so that the watcher learns that it
    /// left; what it was told already, and older states, are not.
    pub fn is_news(&mut self, state: &State) -> bool {
        if state.version == 0 {
            return self.told.remove(&state.account).is_some();
        }
        let wanted = self.filter.holds(state);
        let Some(known) = self.told.get_mut(&state.account) else {
            if wanted {
                self.tell(state);
            }
            return wanted;
        };
        if state.version <= known.version {
            return false;
        }
        if !wanted {
            self.told.remove(&state.account);
            return true;
        }
        known.version = state.version;
        let fires = fires(self.trigger, known, state);
        if fires {
            self.tell(state);
        }
        fires
    }

    fn tell(&mut self, state: &State) {
        let (band, level) = (self.key(&state.band), self.key(&state.level));
        self.told.insert(state.account, Told { version: state.version, value: state.value, band, level });
    }

    fn key(&mut self, text: &str) -> Key {
        if let Some(known) = self.keys.get(text) {
            return known.clone();
        }
        let key = Key::from(text);
        self.keys.insert(key.clone());
        key
    }
}

fn fires(trigger: Trigger, known: &Told, state: &State) -> bool {
    let scored_changed = known.value.is_some() != state.value.is_some();
    match trigger {
        Trigger::Any => true,
        Trigger::Band => scored_changed || *known.band != *state.band,
        Trigger::Level => scored_changed || *known.level != *state.level,
        Trigger::Moved(least) => {
            let moved = known.value.zip(state.value).map_or(0, |(then, now)| then.0.abs_diff(now.0));
            scored_changed || moved >= least
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keizoku_base::Micros;

    fn state(version: i64, value: i32, band: &str) -> State {
        State {
            account: AccountId::seeded(Micros(0), [1; 10]),
            version,
            value: Some(MilliPoints(value)),
            band: band.to_owned(),
            level: "high".to_owned(),
            stage: "adopted".to_owned(),
        }
    }

    fn told(trigger: Trigger, states: &[State]) -> Vec<i64> {
        let mut memory = Memory::new(Filter::default(), trigger);
        states.iter().filter(|state| memory.is_news(state)).map(|state| state.version).collect()
    }

    #[test]
    fn each_trigger_fires_for_its_own_changes() {
        let unscored = State { value: None, band: String::new(), ..state(5, 0, "") };
        let lower = State { level: "low".to_owned(), ..state(6, 50_000, "normal") };
        let states = [
            state(1, 70_000, "good"),
            state(2, 70_400, "good"),
            state(3, 69_999, "normal"),
            state(4, 69_500, "normal"),
            unscored,
            lower,
        ];
        assert_eq!(told(Trigger::Any, &states), [1, 2, 3, 4, 5, 6]);
        assert_eq!(told(Trigger::Band, &states), [1, 3, 5, 6]);
        assert_eq!(told(Trigger::Level, &states), [1, 5, 6]);
        assert_eq!(told(Trigger::Moved(500), &states), [1, 4, 5, 6], "since it was last told");
    }

    #[test]
    fn the_same_and_older_versions_are_no_news() {
        assert_eq!(told(Trigger::Any, &[state(3, 1, "bad"), state(3, 1, "bad"), state(2, 2, "bad")]), [3]);
        let quiet = [state(1, 70_000, "good"), state(3, 70_000, "good"), state(2, 10, "bad")];
        assert_eq!(told(Trigger::Band, &quiet), [1], "an older state does not undo a newer one");
    }

    #[test]
    fn who_leaves_the_filter_is_told_once_more_and_who_enters_it_too() {
        let filter = Filter { bands: BTreeSet::from(["bad".to_owned()]), ..Filter::default() };
        let mut memory = Memory::new(filter, Trigger::Band);
        assert!(!memory.is_news(&state(1, 70_000, "good")), "never wanted");
        assert!(memory.is_news(&state(2, 10_000, "bad")));
        assert!(memory.is_news(&state(3, 70_000, "good")), "it left");
        assert!(!memory.is_news(&state(4, 71_000, "good")));
        assert!(memory.is_news(&state(5, 10_000, "bad")));
    }

    #[test]
    fn what_was_told_before_a_break_is_not_told_again() {
        let mut memory = Memory::new(Filter::default(), Trigger::Band);
        memory.recall(&state(1, 70_000, "good"));
        assert!(memory.knows(state(1, 0, "").account));
        assert!(!memory.is_news(&state(2, 71_000, "good")));
        assert!(memory.is_news(&state(3, 60_000, "normal")));
    }

    #[test]
    fn an_account_whose_score_is_gone_is_told_once() {
        let mut memory = Memory::new(Filter::default(), Trigger::Moved(1_000));
        assert!(memory.is_news(&state(7, 1, "bad")));
        let gone = State { value: None, band: String::new(), ..state(0, 0, "") };
        assert!(memory.is_news(&gone));
        assert!(!memory.is_news(&gone));
        assert!(!memory.knows(gone.account));
    }

    #[test]
    fn filters_by_band_stage_and_whether_there_is_a_score() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        let scored = state(1, 1, "bad");
        let unscored = State { value: None, band: String::new(), ..scored.clone() };
        let filter =
            |bands: &[&str], stages: &[&str], scored| Filter { bands: keys(bands), stages: keys(stages), scored };
        for (filter, wanted) in [
            (filter(&[], &[], None), (true, true)),
            (filter(&["bad", "normal"], &[], None), (true, false)),
            (filter(&["good"], &[], None), (false, false)),
            (filter(&[], &["adopted"], None), (true, true)),
            (filter(&[], &["trial"], None), (false, false)),
            (filter(&[], &[], Some(true)), (true, false)),
            (filter(&[], &[], Some(false)), (false, true)),
        ] {
            assert_eq!((filter.holds(&scored), filter.holds(&unscored)), wanted, "{filter:?}");
        }
    }
}
