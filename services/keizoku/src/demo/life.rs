//! One invented customer from its first day to the present: how much it is taken with the product, and what it signed.

use keizoku_base::Day;

use super::random::Random;
use super::words::{self, Tongue};

/// How long a story goes back when it is first told: 18 months.
pub(super) const STORY_DAYS: i32 = 548;
/// The most people of one customer whose use is told.
const MOST_USERS: i64 = 10;

// Which stream of randomness is for what.
const TRAITS: u64 = 1;
const MOODS: u64 = 2;
const RENEWALS: u64 = 3;
pub(super) const DAYS: u64 = 4;
pub(super) const TALKS: u64 = 5;
pub(super) const PEOPLE: u64 = 6;

/// What does not change about a customer.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    /// Its number.
    pub(super) place: u32,
    /// Its id.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// Its line of business.
    pub(super) business: &'static str,
    /// The language it writes in.
    pub(super) tongue: Tongue,
    /// The seats it bought first.
    pub(super) seats: i64,
    /// How many people use the product.
    pub(super) users: u32,
    /// Whether it signs for a year; else for a month.
    pub(super) yearly: bool,
    /// The first day of the first contract or trial.
    pub(super) began: Day,
    /// Whether it began with a trial.
    pub(super) trial: bool,
    level: f64,
    trend: f64,
}

/// One signed term.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    /// How many came before it; the trial isn't counted.
    pub(super) ordinal: i32,
    /// Whether it is the trial.
    pub(super) trial: bool,
    /// The day it was signed.
    pub(super) signed: Day,
    /// The first day covered.
    pub(super) start: Day,
    /// The first day no longer covered.
    pub(super) end: Day,
    /// The seats bought.
    pub(super) seats: i64,
}

/// What happened to a customer until a day.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Its terms, the earliest first.
    pub(super) terms: Vec<Term>,
    /// The first day no longer covered, where it decided to leave.
    pub(super) leaves: Option<Day>,
    /// The day it decided that.
    decided: Option<Day>,
    /// The day on which the person who drove it left.
    pub(super) champion_left: Option<Day>,
    began: Day,
    moods: Vec<f64>,
}

impl Customer {
    /// The customer of that number, in a story that began on `anchor`.
    pub(super) fn new(seed: u64, place: u32, anchor: Day) -> Self {
        let mut random = Random::of(seed, &[TRAITS, u64::from(place)]);
        let (id, name, business, tongue) = words::company(place);
        let seats = *random.one(&[3, 5, 5, 10, 10, 15, 20, 30]);
        let most = (seats / 2 + 2).min(MOST_USERS);
        let users = u32::try_from(random.between(2, most)).unwrap_or(2);
        let yearly = random.happens(0.7);
        // A good half were customers before the story begins, the others come during it.
        let old = place == 0 || random.happens(0.55);
        let began =
            if old { anchor.plus(-days(random.between(30, 700))) } else { anchor.plus(days(random.between(0, 540))) };
        let (level, trend) = (0.35 + 0.95 * random.normal(), 0.0016 * random.normal());
        Self { place, id, name, business, tongue, seats, users, yearly, began, trial: !old, level, trend }
    }

    /// What happened to it until `today`, in a story that began on `anchor`.
    pub(super) fn live(&self, seed: u64, anchor: Day, today: Day) -> Life {
        let (moods, champion_left) = self.moods(seed, anchor, today);
        let began = self.began.max(anchor);
        let mut life = Life { terms: Vec::new(), leaves: None, decided: None, champion_left, began, moods };
        self.sign(seed, anchor, today, &mut life);
        life
    }

    /// How taken it is with the product on each day from the first of the story: a level, a slow trend, a memory of good
    /// and bad weeks, and now and then a shock.
    fn moods(&self, seed: u64, anchor: Day, today: Day) -> (Vec<f64>, Option<Day>) {
        let first = self.began.max(anchor);
        let (mut drift, mut lasting, mut passing, mut champion_left) = (0.0, 0.0, 0.0, None);
        let mut moods = Vec::new();
        for day in first.0..=today.0 {
            let mut random = Random::of(seed, &[MOODS, u64::from(self.place), number(day)]);
            drift = 0.97 * drift + 0.07 * random.normal();
            passing *= 0.9;
            let age = f64::from(day - self.began.0);
            match random.below(1_000) {
                0..=1 if champion_left.is_none() && age > 90.0 => {
                    champion_left = Some(Day(day));
                    lasting -= 1.1;
                }
                2..=4 => lasting += 0.5,
                5..=7 => passing -= 1.2,
                _ => {}
            }
            let told = f64::from(day - first.0);
            // Nobody uses everything in the first weeks.
            let learning = if self.trial { (age / 45.0).min(1.0) * 0.8 - 0.8 } else { 0.0 };
            moods.push(self.level + self.trend * told + drift + lasting + passing + learning);
        }
        (moods, champion_left)
    }

    /// Trial, first term, renewals, until it leaves or the story has no more to tell.
    fn sign(&self, seed: u64, anchor: Day, today: Day, life: &mut Life) {
        let mut random = Random::of(seed, &[RENEWALS, u64::from(self.place)]);
        let (mut start, mut seats, mut ordinal) = (self.began, self.seats, 0);
        if self.trial {
            let end = start.plus(30);
            life.terms.push(Term { ordinal: 0, trial: true, signed: start, start, end, seats });
            if !self.goes_on(life, end, 5, 0.55, today, &mut random) {
                return;
            }
            start = end;
        }
        while start <= today.plus(20) {
            let end = self.end_of(start);
            let signed = if ordinal == 0 { start } else { start.plus(if self.yearly { -20 } else { -3 }) };
            if signed > today {
                return;
            }
            // What ended before the story is only counted.
            if end > anchor {
                life.terms.push(Term { ordinal, trial: false, signed, start, end, seats });
            }
            let (notice, weight) = if self.yearly { (30, 0.8) } else { (5, 0.09) };
            if !self.goes_on(life, end, notice, weight, today, &mut random) {
                return;
            }
            if self.yearly || ordinal % 6 == 5 {
                seats = match life.share(end.plus(-notice)) {
                    share if share > 0.7 => (seats + seats / 4).min(400),
                    share if share < 0.4 => (seats - seats / 4).max(2),
                    _ => seats,
                };
            }
            (start, ordinal) = (end, ordinal + 1);
        }
    }

    /// Whether it goes on after a term; where that is decided and it does not, it leaves.
    fn goes_on(&self, life: &mut Life, end: Day, notice: i32, weight: f64, today: Day, random: &mut Random) -> bool {
        let decided = end.plus(-notice);
        let draw = random.share();
        if decided < life.began {
            return true;
        }
        if decided > today {
            return false;
        }
        let mood = (0..60).map(|back| life.share(decided.plus(-back))).sum::<f64>() / 60.0;
        let unlikely = (0.95 - 1.25 * mood).clamp(0.02, 0.9) * weight;
        if draw < unlikely {
            (life.leaves, life.decided) = (Some(end), Some(decided));
        }
        life.leaves.is_none()
    }

    fn end_of(&self, start: Day) -> Day {
        let (year, month, day) = start.ymd();
        let months = if self.yearly { 12 } else { 1 };
        let ahead = Day::from_ymd(year, month, 1).unwrap_or(start).month().plus(months);
        ahead.first().plus((i32::try_from(day).unwrap_or(1) - 1).min(ahead.days() - 1))
    }
}

impl Life {
    /// The days of the story on which the customer is one, up to `today`.
    pub(super) fn days(&self, today: Day) -> impl Iterator<Item = Day> + use<> {
        let covered = self.terms.last().map_or(self.began, |term| term.end);
        let last = covered.plus(-1).min(today);
        (self.began.0..=last.0).map(Day)
    }

    /// How taken the customer is with the product on a day, 0 to 1.
    pub(super) fn share(&self, day: Day) -> f64 {
        let place = usize::try_from((day.0 - self.began.0).max(0)).unwrap_or(0);
        let mood = self.moods.get(place).or_else(|| self.moods.last()).copied().unwrap_or_default();
        // Who has decided to leave stops before the last day. What came before the decision stays as it was told.
        let mood = if self.decided.is_some_and(|decided| day >= decided) { mood - 1.0 } else { mood };
        0.5 + 0.5 * mood / (1.0 + mood.abs())
    }
}

/// A small number of days.
pub(super) fn days(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(0)
}

/// A day as a label of randomness.
pub(super) fn number(day: i32) -> u64 {
    u64::try_from(day).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: Day = Day(19_000);
    const TODAY: Day = Day(19_000 + STORY_DAYS);

    fn lives(count: u32) -> Vec<(Customer, Life)> {
        (0..count)
            .map(|place| Customer::new(7, place, ANCHOR))
            .map(|customer| (customer.clone(), customer.live(7, ANCHOR, TODAY)))
            .collect()
    }

    #[test]
    fn terms_follow_one_another_without_gaps() {
        for (customer, life) in lives(300) {
            assert!(life.terms.windows(2).all(|pair| pair[0].end == pair[1].start), "{}", customer.id);
            assert!(life.terms.iter().all(|term| term.start < term.end && term.signed <= TODAY && term.seats > 0));
            assert!(life.leaves.is_none_or(|leaves| life.terms.last().is_none_or(|term| term.end == leaves)));
        }
    }

    #[test]
    fn some_leave_and_they_were_less_taken_before() {
        let lives = lives(600);
        let mean = |gone: bool| {
            let chosen: Vec<f64> = lives
                .iter()
                .filter(|(_, life)| life.leaves.is_some() == gone)
                .filter_map(|(_, life)| Some(life.share(life.terms.last()?.end.plus(-90).min(TODAY))))
                .collect();
            (chosen.len(), chosen.iter().sum::<f64>() / f64::from(u32::try_from(chosen.len()).unwrap_or(1)))
        };
        let ((left, gone), (stayed, here)) = (mean(true), mean(false));
        assert!((40..300).contains(&left) && stayed > 250, "{left} left, {stayed} stayed");
        assert!(gone + 0.1 < here, "{gone} {here}");
    }
}
