//! Instants as epoch microseconds, days as a count since 1970 in a zone, calendar weeks and months.
//!
//! All conversions between instants and days go through a [`Zone`], so daylight saving and month ends are decided here
//! and nowhere else.

use std::fmt;

use chrono::{Datelike, NaiveDate, TimeZone};

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

impl Micros {
    /// Microseconds in a second.
    pub const SECOND: i64 = 1_000_000;
    /// Microseconds in a day of 24 hours.
    pub const DAY: i64 = 86_400 * Self::SECOND;
    /// The first instant accepted from outside: 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// The first instant too late to be accepted from outside: 2200-01-01T00:00:00Z.
    pub const END: Self = Self(7_258_118_400 * Self::SECOND);

    /// This instant moved by `micros`, held at the ends of the range.
    #[must_use]
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to here.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Micros {
    /// RFC 3339 in UTC with as many digits of a second as needed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_micros(self.0) {
            Some(at) => write!(formatter, "{}", at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            None => write!(formatter, "{} µs since 1970", self.0),
        }
    }
}

/// A calendar day of a workspace: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);

/// A calendar month: months since 1970-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Month(pub i32);

const EPOCH: NaiveDate = match NaiveDate::from_ymd_opt(1970, 1, 1) {
    Some(day) => day,
    None => panic!("1970-01-01 exists"),
};

impl Day {
    /// The first day accepted from outside: 1970-01-01.
    pub const MIN: Self = Self(0);
    /// The first day too late to be accepted from outside: 2200-01-01.
    pub const END: Self = Self(84_006);

    /// The day of a calendar date; `None` where there is no such date or it is outside [`Day::MIN`]..[`Day::END`].
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        let found = Self(i32::try_from(date.signed_duration_since(EPOCH).num_days()).ok()?);
        (Self::MIN..Self::END).contains(&found).then_some(found)
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Self::from_ymd(date.year(), date.month(), date.day())
    }

    /// Year, month 1–12, day 1–31.
    pub fn ymd(self) -> (i32, u32, u32) {
        let date = self.date();
        (date.year(), date.month(), date.day())
    }

    /// This day moved by `days`.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The calendar month it lies in.
    pub fn month(self) -> Month {
        let (year, month, _) = self.ymd();
        Month((year - 1970) * 12 + i32::try_from(month).unwrap_or(1) - 1)
    }

    /// The Monday of its week.
    pub fn week_start(self) -> Self {
        // 1970-01-01 was a Thursday, three days after a Monday.
        Self(self.0 - (self.0 + 3).rem_euclid(7))
    }

    fn date(self) -> NaiveDate {
        EPOCH.checked_add_signed(chrono::Duration::days(i64::from(self.0))).unwrap_or(EPOCH)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.date().format("%Y-%m-%d"))
    }
}

impl Month {
    /// Its first day.
    pub fn first(self) -> Day {
        let (year, month) = (1970 + self.0.div_euclid(12), self.0.rem_euclid(12) + 1);
        let date = NaiveDate::from_ymd_opt(year, u32::try_from(month).unwrap_or(1), 1).unwrap_or(EPOCH);
        Day(i32::try_from(date.signed_duration_since(EPOCH).num_days()).unwrap_or(0))
    }

    /// This month moved by `months`.
    #[must_use]
    pub fn plus(self, months: i32) -> Self {
        Self(self.0.saturating_add(months))
    }

    /// How many days it has.
    pub fn days(self) -> i32 {
        self.plus(1).first().0 - self.first().0
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(chrono_tz::Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// The zone of that name (`Asia/Tokyo`).
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day an instant falls on here.
    pub fn day_of(self, at: Micros) -> Day {
        let Some(utc) = chrono::DateTime::from_timestamp_micros(at.0) else { return Day(0) };
        let date = utc.with_timezone(&self.0).date_naive();
        Day(i32::try_from(date.signed_duration_since(EPOCH).num_days()).unwrap_or(0))
    }

    /// The first instant of a day here. Where midnight is skipped by daylight saving, the first instant after the gap;
    /// where it happens twice, the earlier.
    pub fn start_of(self, day: Day) -> Micros {
        let midnight = day.date().and_time(chrono::NaiveTime::MIN);
        self.instant(midnight).unwrap_or_else(|| Micros(i64::from(day.0) * Micros::DAY))
    }

    /// A wall-clock time of a day here, `seconds` after midnight on the clock's face.
    pub fn at(self, day: Day, seconds: u32) -> Option<Micros> {
        let time = chrono::NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0)?;
        self.instant(day.date().and_time(time))
    }

    fn instant(self, wall: chrono::NaiveDateTime) -> Option<Micros> {
        // A gap is at most a day long (zones that crossed the date line), in steps of quarter hours.
        (0..=96_i64).find_map(|quarters| {
            let shifted = wall.checked_add_signed(chrono::Duration::minutes(15 * quarters))?;
            self.0.from_local_datetime(&shifted).earliest().map(|at| Micros(at.timestamp_micros()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    #[test]
    fn refuses_dates_that_do_not_exist_or_lie_out_of_range() {
        for wrong in ["2024-13-01", "2023-02-29", "0000-01-01", "9999-12-31", "1969-12-31", "2200-01-01", "x"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Day::parse("2199-12-31"), Some(Day(84_005)));
    }

    #[test]
    fn weeks_begin_on_monday() {
        assert_eq!(day("2024-01-07").week_start(), day("2024-01-01"));
        assert_eq!(day("2024-01-08").week_start(), day("2024-01-08"));
    }

    #[test]
    fn months_know_their_length() {
        assert_eq!(day("2024-02-29").month().days(), 29);
        assert_eq!(day("2023-12-31").month().plus(1).first(), day("2024-01-01"));
    }

    #[test]
    fn midnight_skipped_by_daylight_saving_begins_after_the_gap() {
        let zone = Zone::parse("America/Sao_Paulo").expect("a zone");
        let start = zone.start_of(day("2018-11-04"));
        assert_eq!(start.to_string(), "2018-11-04T03:00:00Z");
        assert_eq!(zone.day_of(start), day("2018-11-04"));
        assert_eq!(zone.day_of(start.plus(-1)), day("2018-11-03"));
    }

    #[test]
    fn a_day_that_never_was_starts_with_the_next() {
        let zone = Zone::parse("Pacific/Apia").expect("a zone");
        assert_eq!(zone.start_of(day("2011-12-30")), zone.start_of(day("2011-12-31")));
    }

    #[test]
    fn tokyo_is_nine_hours_ahead() {
        let zone = Zone::parse("Asia/Tokyo").expect("a zone");
        assert_eq!(zone.start_of(day("2024-04-01")).to_string(), "2024-03-31T15:00:00Z");
        assert_eq!(zone.at(day("2024-04-01"), 3600).map(|at| at.to_string()), Some("2024-03-31T16:00:00Z".to_owned()));
    }
}
