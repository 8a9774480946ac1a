//! Instants and dates as they come over the wire, checked.

use keizoku_base::{Day, Micros, Zone};

use crate::domain::check::Wrong;
use crate::domain::reason;

/// A timestamp as it was sent: seconds since 1970 and the nanoseconds above them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InstantDraft {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds above them, 0 to 999,999,999.
    pub nanos: i32,
}

/// A calendar date as it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DateDraft {
    /// The year.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: i32,
    /// The day of the month, 1 to 31.
    pub day: i32,
}

/// An instant of 1970 to 2199, cut to the microsecond.
///
/// # Errors
/// OUT_OF_RANGE.
pub fn instant(draft: InstantDraft) -> Result<Micros, Wrong> {
    let wrong = || Wrong::new(reason::OUT_OF_RANGE, "must be a timestamp from 1970 to 2199");
    if !(0..1_000_000_000).contains(&draft.nanos) {
        return Err(wrong());
    }
    let micros =
        draft.seconds.checked_mul(Micros::SECOND).map(|micros| micros.saturating_add(i64::from(draft.nanos / 1000)));
    micros.map(Micros).filter(|at| (Micros::MIN..Micros::END).contains(at)).ok_or_else(wrong)
}

/// An instant as [`instant`], at most a day ahead of `now`.
///
/// # Errors
/// OUT_OF_RANGE or TOO_FAR_AHEAD.
pub fn past_instant(draft: InstantDraft, now: Micros) -> Result<Micros, Wrong> {
    instant(draft).and_then(|at| not_ahead(at, now))
}

/// A day of 1970 to 2199.
///
/// # Errors
/// DATE_DOES_NOT_EXIST or OUT_OF_RANGE.
pub fn date(draft: DateDraft) -> Result<Day, Wrong> {
    let exists = draft.year != 0 && (1..=12).contains(&draft.month) && (1..=31).contains(&draft.day);
    if exists && !(1970..2200).contains(&draft.year) {
        return Err(Wrong::new(reason::OUT_OF_RANGE, "must be a day from 1970-01-01 to 2199-12-31"));
    }
    let part = |number: i32| u32::try_from(number).unwrap_or_default();
    Day::from_ymd(draft.year, part(draft.month), part(draft.day))
        .ok_or_else(|| Wrong::new(reason::DATE_DOES_NOT_EXIST, format!("{} is no day of the calendar", shown(draft))))
}

fn shown(draft: DateDraft) -> String {
    format!("{:04}-{:02}-{:02}", draft.year, draft.month, draft.day)
}

/// The first instant of a day in the workspace's zone, at most a day ahead of `now`.
///
/// # Errors
/// As [`date`], DATE_DOES_NOT_EXIST where the zone skipped the day, TOO_FAR_AHEAD.
pub fn start_of_date(draft: DateDraft, zone: Zone, now: Micros) -> Result<Micros, Wrong> {
    let day = date(draft)?;
    let start = zone.start_of(day);
    if zone.day_of(start) != day {
        return Err(Wrong::new(reason::DATE_DOES_NOT_EXIST, "is a day that the workspace's zone skipped"));
    }
    not_ahead(start, now)
}

fn not_ahead(at: Micros, now: Micros) -> Result<Micros, Wrong> {
    if at > now.plus(Micros::DAY) {
        return Err(Wrong::new(reason::TOO_FAR_AHEAD, format!("must be at most a day after {now}")));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ymd(year: i32, month: i32, day: i32) -> DateDraft {
        DateDraft { year, month, day }
    }

    #[test]
    fn dates_outside_of_calendar_or_range_are_refused_with_the_reason() {
        let table = [
            (ymd(1970, 1, 1), Ok(Day(0))),
            (ymd(2199, 12, 31), Ok(Day(84_005))),
            (ymd(2024, 2, 29), Ok(Day(19_782))),
            (ymd(0, 0, 0), Err(reason::DATE_DOES_NOT_EXIST)),
            (ymd(0, 1, 1), Err(reason::DATE_DOES_NOT_EXIST)),
            (ymd(2024, 13, 1), Err(reason::DATE_DOES_NOT_EXIST)),
            (ymd(2024, 0, 1), Err(reason::DATE_DOES_NOT_EXIST)),
            (ymd(2023, 2, 29), Err(reason::DATE_DOES_NOT_EXIST)),
            (ymd(2024, 4, 31), Err(reason::DATE_DOES_NOT_EXIST)),
            (ymd(2024, -1, -1), Err(reason::DATE_DOES_NOT_EXIST)),
            (ymd(9999, 12, 31), Err(reason::OUT_OF_RANGE)),
            (ymd(1969, 12, 31), Err(reason::OUT_OF_RANGE)),
            (ymd(2200, 1, 1), Err(reason::OUT_OF_RANGE)),
            (ymd(i32::MIN, 1, 1), Err(reason::OUT_OF_RANGE)),
        ];
        for (draft, expected) in table {
            assert_eq!(date(draft).map_err(|wrong| wrong.reason), expected, "{draft:?}");
        }
    }

    #[test]
    fn instants_are_cut_to_the_microsecond_and_held_in_range() {
        let at = |seconds, nanos| instant(InstantDraft { seconds, nanos }).map_err(|wrong| wrong.reason);
        assert_eq!(at(0, 0), Ok(Micros(0)));
        assert_eq!(at(1, 1_999), Ok(Micros(1_000_001)));
        assert_eq!(at(7_258_118_399, 999_999_999), Ok(Micros(Micros::END.0 - 1)));
        for (seconds, nanos) in [(-1, 0), (7_258_118_400, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)]
        {
            assert_eq!(at(seconds, nanos), Err(reason::OUT_OF_RANGE), "{seconds} {nanos}");
        }
    }

    #[test]
    fn a_day_starts_where_the_zone_says() {
        let now = Micros::END;
        let start = |name: &str, draft| {
            let zone = Zone::parse(name).expect("a zone");
            start_of_date(draft, zone, now).map(|at| at.to_string()).map_err(|wrong| wrong.reason)
        };
        assert_eq!(start("Asia/Tokyo", ymd(2024, 3, 1)), Ok("2024-02-29T15:00:00Z".to_owned()));
        assert_eq!(start("America/Sao_Paulo", ymd(2018, 11, 4)), Ok("2018-11-04T03:00:00Z".to_owned()));
        assert_eq!(start("Europe/Berlin", ymd(2024, 3, 31)), Ok("2024-03-30T23:00:00Z".to_owned()));
        assert_eq!(start("America/Havana", ymd(2024, 11, 3)), Ok("2024-11-03T04:00:00Z".to_owned()));
        assert_eq!(start("Pacific/Apia", ymd(2011, 12, 30)), Err(reason::DATE_DOES_NOT_EXIST));
    }

    #[test]
    fn a_day_ahead_is_taken_and_a_microsecond_more_is_not() {
        let now = Micros(1_700_000_000 * Micros::SECOND);
        let at =
            |nanos| past_instant(InstantDraft { seconds: 1_700_086_400, nanos }, now).map_err(|wrong| wrong.reason);
        assert_eq!(at(0), Ok(now.plus(Micros::DAY)));
        assert_eq!(at(1_000), Err(reason::TOO_FAR_AHEAD));
    }
}
