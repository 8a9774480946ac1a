//! A metric over a window of time becomes an exact number, or the reason why there is none.

use keizoku_base::Day;
use keizoku_base::number::Millionths;

use super::inputs::{AccountInputs, Series, Sources};
use super::ratio::Ratio;
use super::window::{Aggregation, AsOf, Days, Resolved, Window};
use super::workspace::{Absence, MetricDefinition, MetricIndex};

/// Why a value is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Availability {
    /// No source that could know it covers the account.
    NotCovered,
    /// A source covers the account, but for too short a time to say.
    TooShort,
    /// The question has no answer, such as a change against nothing.
    Undefined,
    /// The source stopped delivering; its last value is too old.
    Stale,
}

impl Availability {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotCovered => "NOT_COVERED",
            Self::TooShort => "TOO_SHORT",
            Self::Undefined => "UNDEFINED",
            Self::Stale => "STALE",
        }
    }
}

/// A window with its days worked out for one moment.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) aggregation: Aggregation,
    pub(super) resolved: Resolved,
    pub(super) days: Days,
    /// The day that decides whether the source is alive: one that is still going on never makes it stale.
    judged: Day,
}

impl Planned {
    pub(super) fn new(window: &Window, at: AsOf) -> Self {
        let resolved = window.resolve(at);
        let days = resolved.days();
        Self { aggregation: window.aggregation, resolved, days, judged: days.last().min(at.last_closed()) }
    }
}

/// One metric of one account, a cell for each day of a span: its value, or [`MISSING`].
#[derive(Debug)]
pub(super) struct Cells<'a> {
    start: Day,
    cells: Vec<i64>,
    sources: Sources<'a>,
    since: Option<Day>,
    definition: &'a MetricDefinition,
    series: &'a Series,
}

/// No value: past every value that is accepted.
const MISSING: i64 = i64::MIN;

impl<'a> Cells<'a> {
    /// Lays out the days of `span`. Days without data are 0 where the metric says so, the account was covered and its
    /// source alive; else they are missing.
    pub(super) fn lay_out(inputs: &'a AccountInputs, metric: MetricIndex, span: Days, at: AsOf) -> Option<Self> {
        let definition = inputs.workspace().definition(metric)?;
        let series = inputs.series(metric)?;
        let sources = inputs.sources_of(metric);
        let since = sources.covered_since();
        let mut cells = vec![MISSING; usize::try_from(span.count()).unwrap_or(0)];
        if let (Absence::ZeroWhenSourceAlive, Some(since)) = (definition.absence, since) {
            for (day, cell) in (span.start.0..).map(Day).zip(&mut cells).skip_while(|(day, _)| *day < since) {
                let is_zero = alive(&sources, definition, day, day.min(at.last_closed()));
                *cell = if is_zero { 0 } else { MISSING };
            }
        }
        let from = series.values.partition_point(|(day, _)| *day < span.start);
        for (day, value) in series.values.iter().skip(from).take_while(|(day, _)| *day < span.end) {
            if let Some(cell) = usize::try_from(day.0 - span.start.0).ok().and_then(|place| cells.get_mut(place)) {
                *cell = *value;
            }
        }
        Some(Self { start: span.start, cells, sources, since, definition, series })
    }

    /// The value over a window that lies inside of the span.
    pub(super) fn value(&self, window: &Planned, minimum_days: u16) -> Result<Ratio, Availability> {
        let since = self.since.ok_or(Availability::NotCovered)?;
        if window.days.end.0 - since.0 < i32::from(minimum_days.max(1)) {
            return Err(Availability::TooShort);
        }
        if !alive(&self.sources, self.definition, window.days.last(), window.judged) {
            return Err(Availability::Stale);
        }
        match window.aggregation {
            Aggregation::Sum => self.sum(window),
            Aggregation::Mean => mean(self.buckets(window)).and_then(|(sum, count)| Ratio::of(sum, count)),
            Aggregation::Max => self.buckets(window).max().map(Ratio::millionths),
            Aggregation::Last => self.buckets(window).next_back().map(Ratio::millionths),
            Aggregation::DistinctUsers if !self.definition.distinct => return Err(Availability::Undefined),
            Aggregation::DistinctUsers => {
                self.any_known(window.days).then(|| Ratio::millionths(self.users(window.days)))
            }
            Aggregation::ActiveDays => {
                let active = self.known(window.days).filter(|(_, value)| *value > 0).count();
                self.any_known(window.days).then(|| Ratio::whole(active as i128)).flatten()
            }
            Aggregation::DaysSinceLast => {
                let last = self.known(window.days).rev().find(|(_, value)| *value > 0).map(|(day, _)| day);
                let days = last.map_or_else(|| window.days.count(), |day| window.days.last().0 - day.0);
                self.any_known(window.days).then(|| Ratio::whole(i128::from(days))).flatten()
            }
            Aggregation::TrendPercent => return self.trend(window, since),
        }
        .ok_or_else(|| self.nothing())
    }

    /// Buckets of numbers add up to the sum of all days; buckets of users have to be united first.
    fn sum(&self, window: &Planned) -> Option<Ratio> {
        let sum = if self.definition.distinct {
            self.buckets(window).reduce(|sum, value| sum + value)
        } else {
            self.bucket(window.days)
        };
        sum.map(Ratio::millionths)
    }

    /// 100 · (later − earlier) ÷ |earlier|: a rise is positive even from below 0.
    fn trend(&self, window: &Planned, since: Day) -> Result<Ratio, Availability> {
        let half = window.resolved.buckets().len() / 2;
        let values = |range: &mut dyn Iterator<Item = Days>| mean(range.filter_map(|bucket| self.bucket(bucket)));
        let earlier = values(&mut window.resolved.buckets().take(half));
        let later = values(&mut window.resolved.buckets().skip(half));
        let (Some((earlier, earlier_count)), Some((later, later_count))) = (earlier, later) else {
            let middle = window.resolved.buckets().nth(half).map(|bucket| bucket.start);
            return Err(if middle <= Some(since) { Availability::TooShort } else { self.nothing() });
        };
        let rise = later * earlier_count - earlier * later_count;
        let percent = 100 * i128::from(Millionths::ONE);
        rise.checked_mul(percent)
            .and_then(|rise| Ratio::of(rise, (earlier * later_count).abs()))
            .ok_or(Availability::Undefined)
    }

    /// The values of the buckets that have one, the earliest first.
    fn buckets(&self, window: &Planned) -> impl DoubleEndedIterator<Item = i128> {
        window.resolved.buckets().filter_map(|bucket| self.bucket(bucket))
    }

    /// The sum of a bucket's days, or its different users; `None` where no day of it is known.
    fn bucket(&self, days: Days) -> Option<i128> {
        match self.inside(days) {
            [] => None,
            [only] => (*only != MISSING).then_some(i128::from(*only)),
            _ if self.definition.distinct => self.any_known(days).then(|| self.users(days)),
            cells => {
                let known = cells.iter().filter(|cell| **cell != MISSING).map(|cell| i128::from(*cell));
                known.reduce(|sum, value| sum + value)
            }
        }
    }

    /// How many different users there were, in millionths.
    fn users(&self, days: Days) -> i128 {
        let sets = &self.series.sets;
        let from = sets.partition_point(|(day, _)| *day < days.start);
        let mut inside = sets.iter().skip(from).take_while(|(day, _)| *day < days.end).map(|(_, users)| users);
        let count = match (inside.next(), inside.next()) {
            (None, _) => 0,
            (Some(only), None) => only.len(),
            (Some(first), Some(second)) => inside.fold(first | second, |all, users| all | users).len(),
        };
        i128::from(count) * i128::from(Millionths::ONE)
    }

    fn any_known(&self, days: Days) -> bool {
        self.inside(days).iter().any(|cell| *cell != MISSING)
    }

    /// The days that are known, with their values.
    fn known(&self, days: Days) -> impl DoubleEndedIterator<Item = (Day, i64)> {
        let cells = self.inside(days);
        let numbered = (days.start.0..days.end.0).map(Day).zip(cells.iter().copied());
        numbered.filter(|(_, cell)| *cell != MISSING)
    }

    /// The cells of days that lie inside of the span.
    fn inside(&self, days: Days) -> &[i64] {
        let place = |day: Day| usize::try_from(day.0 - self.start.0).unwrap_or(usize::MAX);
        self.cells.get(place(days.start)..place(days.end)).unwrap_or_default()
    }

    /// Why a window of an account that is covered holds no value at all.
    fn nothing(&self) -> Availability {
        match self.definition.absence {
            // The days would be 0, were the source not silent.
            Absence::ZeroWhenSourceAlive => Availability::Stale,
            Absence::Missing => Availability::NotCovered,
        }
    }
}

/// Whether a source of the metric delivered up to `day`, and not longer before `judged` than it may be silent.
fn alive(sources: &Sources<'_>, definition: &MetricDefinition, day: Day, judged: Day) -> bool {
    let silent = sources.last_alive(day).map(|delivered| judged.0 - delivered.0);
    silent.is_some_and(|days| days <= i32::from(definition.stale_after_days))
}

/// Sum and count; `None` where there is nothing to divide by.
fn mean(values: impl Iterator<Item = i128>) -> Option<(i128, i128)> {
    let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then_some((sum, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{Told, day};

    fn value(told: &Told, metric: &str, window: &str, at: AsOf, minimum_days: u16) -> Result<Ratio, Availability> {
        let workspace = told.workspace();
        let (inputs, metric) = (told.inputs(&workspace), workspace.metric(metric).expect("a metric"));
        let planned = Planned::new(&Window::parse(window).expect("a window"), at);
        // A wider span must not change anything.
        let span = Days { start: planned.days.start.plus(-9), end: planned.days.end.plus(9) };
        Cells::lay_out(&inputs, metric, span, at).expect("cells").value(&planned, minimum_days)
    }

    fn whole(number: i128) -> Result<Ratio, Availability> {
        Ok(Ratio::whole(number).expect("fits"))
    }

    /// Covered all through 2024; logins on the first ten days of March: 1, 2, … 10.
    fn logins() -> Told {
        let told = Told::default().metric("logins").covered("app", "2024-01-01", "2024-03-31");
        (1..=10).fold(told, |told, number| told.value("logins", day("2024-03-01").plus(number - 1), i64::from(number)))
    }

    #[test]
    fn every_aggregation_of_days() {
        let at = AsOf::close_of(day("2024-03-12"));
        for (window, wanted) in [
            ("sum_12d", 55),
            ("sum_5d", 27),
            ("max_12d", 10),
            ("max_2d", 0),
            ("last_12d", 0),
            ("last_1d_ago2", 10),
            ("mean_4d", 4 + 1),
            ("active_days_12d", 10),
            ("active_days_366d", 10),
            ("days_since_last_12d", 2),
            ("days_since_last_1d_ago2", 0),
            ("days_since_last_10d_ago20", 10),
            ("trend_percent_4d", -100),
            ("trend_percent_4d_ago2", 4),
        ] {
            let found = value(&logins(), "logins", window, at, 1);
            let wanted = match window {
                // 9 and 10 against 7 and 8: 19 ÷ 15 = +26.666… %.
                "trend_percent_4d_ago2" => Ok(Ratio::of(400_000_000, 15).expect("a ratio")),
                // 9, 10, 0, 0.
                "mean_4d" => Ok(Ratio::of(19_000_000, 4).expect("a ratio")),
                _ => whole(wanted),
            };
            assert_eq!(found, wanted, "{window}");
        }
    }

    #[test]
    fn buckets_of_weeks_and_months_are_sums_of_their_days() {
        let at = AsOf::close_of(day("2024-03-31"));
        assert_eq!(value(&logins(), "logins", "sum_1m", at, 1), whole(55));
        assert_eq!(value(&logins(), "logins", "max_3m", at, 1), whole(55));
        // 26 Feb to 3 March: 1 + 2 + 3; 4 to 10 March: 49.
        assert_eq!(value(&logins(), "logins", "max_4w_ago1", at, 1), whole(49));
        assert_eq!(value(&logins(), "logins", "mean_2w_ago3", at, 1), Ok(Ratio::of(55_000_000, 2).expect("a ratio")));
        assert_eq!(value(&logins(), "logins", "last_2w_ago3", at, 1), whole(49));
    }

    #[test]
    fn users_are_counted_once_per_bucket_or_window() {
        let told = Told::default()
            .metric_of("users", "app", Absence::ZeroWhenSourceAlive, true)
            .covered("app", "2024-03-01", "2024-03-31")
            .users("users", day("2024-03-05"), [1, 2, 3])
            .users("users", day("2024-03-06"), [2, 3, 4])
            .users("users", day("2024-03-13"), [4]);
        let at = AsOf::close_of(day("2024-03-17"));
        for (window, wanted) in [
            ("distinct_users_2w", 4),
            ("distinct_users_1w", 1),
            ("distinct_users_14d", 4),
            ("sum_14d", 7),
            ("sum_2w", 5),
            ("max_2w", 4),
            ("sum_1m_open", 4),
            ("active_days_14d", 3),
        ] {
            assert_eq!(value(&told, "users", window, at, 1), whole(wanted), "{window}");
        }
        assert_eq!(value(&told, "users", "mean_2w", at, 1), Ok(Ratio::of(5_000_000, 2).expect("a ratio")));
        assert_eq!(value(&logins(), "logins", "distinct_users_7d", at, 1), Err(Availability::Undefined));
    }

    #[test]
    fn thirty_percent_less_is_thirty_percent_exactly() {
        // Weekly active users of the morning story: 40,40,40,40 | 36,32,26,18, and the week before that.
        let weekly = [40, 40, 40, 40, 40, 36, 32, 26, 18];
        let told = Told::default().metric_of("users", "app", Absence::ZeroWhenSourceAlive, true).covered(
            "app",
            "2024-01-01",
            "2024-03-03",
        );
        let told = (0..)
            .zip(weekly)
            .fold(told, |told, (week, users)| told.users("users", day("2024-01-03").plus(7 * week), 0..users));
        let trend = |on: &str| value(&told, "users", "trend_percent_8w", AsOf::during(day(on)), 1);
        assert_eq!(trend("2024-02-26"), Ok(Ratio::millionths(-16_250_000)));
        assert_eq!(trend("2024-03-04"), whole(-30));
        let mean = |window| value(&told, "users", window, AsOf::during(day("2024-03-04")), 1);
        assert_eq!((mean("mean_4w"), mean("mean_4w_ago4")), (whole(28), whole(40)));
    }

    #[test]
    fn a_source_that_never_covered_the_account_gives_no_value() {
        let told = logins().metric_of("reports", "reporting", Absence::ZeroWhenSourceAlive, false);
        let at = AsOf::close_of(day("2024-03-12"));
        assert_eq!(value(&told, "reports", "sum_7d", at, 1), Err(Availability::NotCovered));
        // Others have it: still nothing of this account.
        let told = told.alive("reporting", day("2024-01-01"), day("2024-03-31"));
        assert_eq!(value(&told, "reports", "sum_7d", at, 1), Err(Availability::NotCovered));
    }

    #[test]
    fn too_few_covered_days_are_too_short() {
        let told = Told::default().metric("logins").covered("app", "2024-03-06", "2024-03-31");
        let on = |text: &str, minimum| value(&told, "logins", "sum_7d", AsOf::close_of(day(text)), minimum);
        assert_eq!(on("2024-03-05", 0), Err(Availability::TooShort));
        assert_eq!(on("2024-03-06", 0), whole(0));
        assert_eq!(on("2024-03-12", 8), Err(Availability::TooShort));
        assert_eq!(on("2024-03-13", 8), whole(0));
        let trend = value(&told, "logins", "trend_percent_8d", AsOf::close_of(day("2024-03-09")), 1);
        assert_eq!(trend, Err(Availability::TooShort));
    }

    #[test]
    fn silence_of_the_account_is_zero_and_silence_of_the_source_is_not() {
        let told = logins();
        let sum = |on: &str, open| value(&told, "logins", "sum_7d", AsOf { day: day(on), open }, 1);
        assert_eq!(sum("2024-03-31", false), whole(0));
        // The source was last heard of on 31 March.
        assert_eq!(sum("2024-04-03", false), whole(0));
        assert_eq!(sum("2024-04-04", false), Err(Availability::Stale));
        // The fourth of April is not over: it does not make the source stale.
        assert_eq!(sum("2024-04-04", true), whole(0));
        assert_eq!(sum("2024-04-05", true), Err(Availability::Stale));
        let open = value(&told, "logins", "sum_1d_open", AsOf::during(day("2024-04-04")), 1);
        assert_eq!(open, whole(0));
    }

    #[test]
    fn days_in_which_the_source_was_silent_are_missing() {
        let told = Told::default()
            .metric("logins")
            .covered("app", "2024-03-01", "2024-03-10")
            .alive("app", day("2024-03-20"), day("2024-03-31"))
            .value("logins", day("2024-03-05"), 6)
            .value("logins", day("2024-03-21"), 6);
        let at = AsOf::close_of(day("2024-03-21"));
        // 1 to 13 March and 20, 21 are known: twelve over fifteen days; the rest is no zero.
        assert_eq!(value(&told, "logins", "mean_21d", at, 1), Ok(Ratio::of(12_000_000, 15).expect("a ratio")));
        let inside = value(&told, "logins", "sum_5d", AsOf::close_of(day("2024-03-18")), 1);
        assert_eq!(inside, Err(Availability::Stale));
        // Weeks without a known day are left out.
        assert_eq!(value(&told, "logins", "mean_3w_open", at, 1), Ok(Ratio::millionths(4_000_000)));
    }

    #[test]
    fn measurements_have_no_zeros() {
        let told = Told::default()
            .metric_of("nps", "survey", Absence::Missing, false)
            .covered("survey", "2024-03-01", "2024-03-31")
            .value("nps", day("2024-03-05"), -20)
            .value("nps", day("2024-03-09"), 40);
        let at = AsOf::close_of(day("2024-03-20"));
        for (window, wanted) in [("mean_20d", whole(10)), ("last_20d", whole(40)), ("max_15d_ago12", whole(-20))] {
            assert_eq!(value(&told, "nps", window, at, 1), wanted, "{window}");
        }
        assert_eq!(value(&told, "nps", "mean_5d", at, 1), Err(Availability::NotCovered));
        // From −20 up to 40: a rise, though the base is below 0.
        let trend = value(&told, "nps", "trend_percent_8d", AsOf::close_of(day("2024-03-10")), 1);
        assert_eq!(trend, whole(300));
        assert_eq!(value(&told, "nps", "trend_percent_8d", at, 1), Err(Availability::NotCovered));
    }

    #[test]
    fn a_change_against_nothing_is_undefined() {
        let at = AsOf::close_of(day("2024-03-02"));
        assert_eq!(value(&logins(), "logins", "trend_percent_4d", at, 1), Err(Availability::Undefined));
    }

    #[test]
    fn a_metric_of_any_source_lives_while_one_of_them_does() {
        let mut told = logins().covered("crm", "2024-02-01", "2024-04-30");
        let at = AsOf::close_of(day("2024-04-20"));
        assert_eq!(value(&told, "logins", "sum_7d", at, 1), Err(Availability::Stale));
        told.definitions[0].source = None;
        assert_eq!(value(&told, "logins", "sum_7d", at, 1), whole(0));
    }
}
