//! Windows of time: which days a metric is read over when an account is judged.
//!
//! A window ends with the latest bucket (or `offset` buckets before it) and goes back `length` buckets. Buckets are days,
//! weeks from Monday to Sunday, or calendar months, always whole at their beginning. Without `include_open` the latest
//! bucket is the last one that is over; with it the one that holds the day itself, cut off after that day.

use std::fmt;

use keizoku_base::Day;

/// The moment an account is judged at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AsOf {
    /// The day.
    pub day: Day,
    /// Whether the day is still going on. At its close it is over, and so is a week or month that ends with it.
    pub open: bool,
}

impl AsOf {
    /// During `day`.
    pub fn during(day: Day) -> Self {
        Self { day, open: true }
    }

    /// At the close of `day`.
    pub fn close_of(day: Day) -> Self {
        Self { day, open: false }
    }

    /// The last day that is over.
    pub fn last_closed(self) -> Day {
        if self.open { self.day.plus(-1) } else { self.day }
    }
}

/// Days from `start` up to and without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Days {
    /// The first day.
    pub start: Day,
    /// The first day no longer in it.
    pub end: Day,
}

impl Days {
    /// How many days.
    pub fn count(self) -> i32 {
        (self.end.0 - self.start.0).max(0)
    }

    /// The last day.
    pub fn last(self) -> Day {
        self.end.plus(-1)
    }

    /// The fewest days that hold both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// How the buckets become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aggregation {
    /// Their sum.
    Sum,
    /// Their mean; buckets without a value are left out.
    Mean,
    /// The largest.
    Max,
    /// The last one with a value.
    Last,
    /// How many different users over the whole window.
    DistinctUsers,
    /// On how many days the value was above 0.
    ActiveDays,
    /// Days since the last day with a value above 0, at most the window's days.
    DaysSinceLast,
    /// Change of the mean of the later half against that of the earlier half, in percent.
    TrendPercent,
}

impl Aggregation {
    /// All, in the order of the wire.
    pub const ALL: [Self; 8] = [
        Self::Sum,
        Self::Mean,
        Self::Max,
        Self::Last,
        Self::DistinctUsers,
        Self::ActiveDays,
        Self::DaysSinceLast,
        Self::TrendPercent,
    ];

    /// Its name in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Last => "last",
            Self::DistinctUsers => "distinct_users",
            Self::ActiveDays => "active_days",
            Self::DaysSinceLast => "days_since_last",
            Self::TrendPercent => "trend_percent",
        }
    }
}

/// What a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// A day.
    Day,
    /// A week, Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

impl Bucket {
    /// The most buckets a window may reach back, its offset included.
    pub fn most(self) -> u16 {
        match self {
            Self::Day => 366,
            Self::Week => 53,
            Self::Month => 24,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Day => 'd',
            Self::Week => 'w',
            Self::Month => 'm',
        }
    }

    /// The first day of the bucket that holds `day`.
    fn start_of(self, day: Day) -> Day {
        match self {
            Self::Day => day,
            Self::Week => day.week_start(),
            Self::Month => day.month().first(),
        }
    }

    /// The first day of the bucket `by` buckets away from the one that begins on `start`.
    fn shift(self, start: Day, by: i32) -> Day {
        match self {
            Self::Day => start.plus(by),
            Self::Week => start.plus(by.saturating_mul(7)),
            Self::Month => start.month().plus(by).first(),
        }
    }
}

/// Which buckets are read, and how they become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// How the buckets become one number.
    pub aggregation: Aggregation,
    /// What a bucket is.
    pub bucket: Bucket,
    /// How many buckets, from 1.
    pub length: u16,
    /// How many buckets the window ends before the latest one.
    pub offset: u16,
    /// Whether the bucket that is not over yet counts as the latest one.
    pub include_open: bool,
}

impl Window {
    /// Reads a name as rules write it: aggregation, length with `d`, `w` or `m`, then `_ago` with the offset and `_open`
    /// where they apply: `sum_28d`, `mean_4w_ago4`, `active_days_1m_open`.
    pub fn parse(name: &str) -> Option<Self> {
        let (name, include_open) = name.strip_suffix("_open").map_or((name, false), |rest| (rest, true));
        let (name, offset) = match name.rsplit_once("_ago") {
            Some((rest, offset)) => (rest, number(offset)?),
            None => (name, 0),
        };
        let (aggregation, size) = name.rsplit_once('_')?;
        let aggregation = Aggregation::ALL.into_iter().find(|known| known.name() == aggregation)?;
        let bucket =
            [Bucket::Day, Bucket::Week, Bucket::Month].into_iter().find(|known| size.ends_with(known.letter()))?;
        let length = number(size.strip_suffix(bucket.letter())?)?;
        Some(Self { aggregation, bucket, length, offset, include_open })
    }

    /// What is wrong with its numbers, as a reason and a sentence.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let most = self.bucket.most();
        if self.length == 0 || u32::from(self.length) + u32::from(self.offset) > u32::from(most) {
            let sentence = format!("must reach back 1 to {most} buckets, the offset included");
            return Some(("WINDOW_OUT_OF_RANGE", sentence));
        }
        (self.aggregation == Aggregation::TrendPercent && !self.length.is_multiple_of(2))
            .then(|| ("WINDOW_LENGTH_ODD", "a trend compares two halves, so its length must be even".to_owned()))
    }

    /// The days of the window for a judgement at `at`.
    pub fn resolve(&self, at: AsOf) -> Resolved {
        let latest = self.latest(at);
        let back = i32::from(self.offset) + i32::from(self.length) - 1;
        let starts = (0..=i32::from(self.length)).map(|index| self.bucket.shift(latest, index - back));
        // Only a bucket that is still open reaches past the day.
        Resolved { bounds: starts.map(|start| start.min(at.day.plus(1))).collect() }
    }

    fn latest(&self, at: AsOf) -> Day {
        if self.include_open {
            return self.bucket.start_of(at.day);
        }
        let start = self.bucket.start_of(at.last_closed());
        let is_over = self.bucket.shift(start, 1) <= at.last_closed().plus(1);
        if is_over { start } else { self.bucket.shift(start, -1) }
    }
}

impl fmt::Display for Window {
    /// The name that [`Window::parse`] reads.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}{}", self.aggregation.name(), self.length, self.bucket.letter())?;
        if self.offset > 0 {
            write!(formatter, "_ago{}", self.offset)?;
        }
        formatter.write_str(if self.include_open { "_open" } else { "" })
    }
}

/// A window's buckets as days, ascending and without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The start of every bucket and the end of the last one.
    bounds: Vec<Day>,
}

impl Resolved {
    /// All its days.
    pub fn days(&self) -> Days {
        let bound = |day: Option<&Day>| day.copied().unwrap_or_default();
        Days { start: bound(self.bounds.first()), end: bound(self.bounds.last()) }
    }

    /// Its buckets, the earliest first.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Days> + ExactSizeIterator {
        self.bounds.windows(2).map(|pair| match pair {
            [start, end] => Days { start: *start, end: *end },
            _ => Days { start: Day(0), end: Day(0) },
        })
    }
}

/// Plain digits without a leading zero.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    fn window(name: &str) -> Window {
        Window::parse(name).expect("a window")
    }

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    fn days(name: &str, at: AsOf) -> String {
        let days = window(name).resolve(at).days();
        format!("{}..{}", days.start, days.end)
    }

    #[test]
    fn only_closed_buckets_count_unless_said() {
        let noon = AsOf::during(day("2024-05-15"));
        for (name, wanted) in [
            ("sum_1d", "2024-05-14..2024-05-15"),
            ("sum_1d_open", "2024-05-15..2024-05-16"),
            ("sum_28d", "2024-04-17..2024-05-15"),
            ("mean_4w", "2024-04-15..2024-05-13"),
            ("mean_4w_open", "2024-04-22..2024-05-16"),
            ("sum_1m", "2024-04-01..2024-05-01"),
            ("sum_2m_open", "2024-04-01..2024-05-16"),
        ] {
            assert_eq!(days(name, noon), wanted, "{name}");
        }
    }

    #[test]
    fn a_bucket_is_over_at_the_close_of_its_last_day() {
        let last = day("2024-04-30");
        assert_eq!(days("sum_1m", AsOf::during(last)), "2024-03-01..2024-04-01");
        assert_eq!(days("sum_1m", AsOf::close_of(last)), "2024-04-01..2024-05-01");
        assert_eq!(days("sum_1m", AsOf::during(last.plus(1))), "2024-04-01..2024-05-01");
        let sunday = day("2024-03-03");
        assert_eq!(days("sum_1w", AsOf::during(sunday)), "2024-02-19..2024-02-26");
        assert_eq!(days("sum_1w", AsOf::close_of(sunday)), "2024-02-26..2024-03-04");
        assert_eq!(days("sum_1d", AsOf::close_of(sunday)), "2024-03-03..2024-03-04");
        assert_eq!(days("sum_1w_open", AsOf::close_of(sunday)), "2024-02-26..2024-03-04");
    }

    #[test]
    fn knows_leap_days_and_short_months() {
        assert_eq!(days("sum_1m", AsOf::close_of(day("2024-02-28"))), "2024-01-01..2024-02-01");
        assert_eq!(days("sum_1m", AsOf::close_of(day("2024-02-29"))), "2024-02-01..2024-03-01");
        assert_eq!(days("sum_1m", AsOf::close_of(day("2023-02-28"))), "2023-02-01..2023-03-01");
        assert_eq!(days("sum_2m_ago1", AsOf::during(day("2024-03-31"))), "2023-12-01..2024-02-01");
        assert_eq!(days("sum_366d", AsOf::close_of(day("2024-12-31"))), "2024-01-01..2025-01-01");
    }

    #[test]
    fn an_offset_ends_the_window_earlier() {
        let monday = AsOf::during(day("2024-03-04"));
        assert_eq!(days("mean_4w", monday), "2024-02-05..2024-03-04");
        assert_eq!(days("mean_4w_ago4", monday), "2024-01-08..2024-02-05");
        assert_eq!(days("sum_1m_ago2_open", monday), "2024-01-01..2024-02-01");
    }

    #[test]
    fn splits_into_its_buckets() {
        let buckets: Vec<String> = window("mean_3m_open")
            .resolve(AsOf::during(day("2024-03-05")))
            .buckets()
            .map(|days| format!("{}+{}", days.start, days.count()))
            .collect();
        assert_eq!(buckets, ["2024-01-01+31", "2024-02-01+29", "2024-03-01+5"]);
    }

    #[test]
    fn refuses_names_and_numbers_that_mean_nothing() {
        for wrong in
            ["", "sum", "sum_", "sum_d", "sum_0d", "sum_07d", "total_7d", "sum_7y", "sum_7d_ago", "sum_-7d", "_7d"]
        {
            assert_eq!(Window::parse(wrong), None, "{wrong}");
        }
        for (name, reason) in [
            ("sum_367d", Some("WINDOW_OUT_OF_RANGE")),
            ("sum_366d", None),
            ("sum_50w_ago4", Some("WINDOW_OUT_OF_RANGE")),
            ("sum_25m", Some("WINDOW_OUT_OF_RANGE")),
            ("trend_percent_7d", Some("WINDOW_LENGTH_ODD")),
            ("trend_percent_8w", None),
        ] {
            assert_eq!(window(name).fault().map(|(reason, _)| reason), reason, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_is_written(
            aggregation in 0_usize..8, bucket in 0_usize..3, length in 1_u16..366, offset in 0_u16..99, open in prop::bool::ANY,
        ) {
            let window = Window {
                aggregation: Aggregation::ALL[aggregation],
                bucket: [Bucket::Day, Bucket::Week, Bucket::Month][bucket],
                length,
                offset,
                include_open: open,
            };
            prop_assert_eq!(Window::parse(&window.to_string()), Some(window));
        }

        #[test]
        fn buckets_follow_each_other_and_end_by_the_day(at in 100_i32..30_000, open in prop::bool::ANY, kind in 0_usize..6) {
            let name = ["sum_9d", "sum_5w_ago2", "sum_7m", "sum_9d_open", "sum_5w_open", "sum_7m_ago3_open"][kind];
            let at = AsOf { day: Day(at), open };
            let resolved = window(name).resolve(at);
            let buckets: Vec<Days> = resolved.buckets().collect();
            prop_assert!(buckets.windows(2).all(|pair| pair[0].end == pair[1].start));
            prop_assert!(buckets.iter().all(|bucket| bucket.count() > 0));
            let reached = if name.ends_with("open") { at.day } else { at.last_closed() };
            prop_assert!(resolved.days().last() <= reached);
        }
    }
}
