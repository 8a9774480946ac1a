//! Days and instants on the command line.

use std::str::FromStr;

use keizoku_base::{Day, Micros, Zone};
use keizoku_convert::{date, timestamp};
use keizoku_proto::google::Date;
use keizoku_proto::ingestion::WhoAmIResponse;
use prost_types::Timestamp;

use crate::failure::Failure;

/// A day, `2024-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayArg(pub(crate) Day);

/// A day, or an instant such as `2024-12-31T09:30:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A day of the workspace.
    Day(Day),
    /// An instant.
    Instant(Micros),
}

impl FromStr for DayArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a day from 1970 to 2199 as 2024-12-31".to_owned();
        Day::parse(text).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(day) = Day::parse(text) {
            return Ok(Self::Day(day));
        }
        let at = chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| Micros(at.timestamp_micros()));
        let at = at.filter(|at| (Micros::MIN..Micros::END).contains(at));
        at.map(Self::Instant)
            .ok_or_else(|| "write a day as 2024-12-31, or an instant as 2024-12-31T09:30:00Z".to_owned())
    }
}

impl DayArg {
    /// The day as its message.
    pub(crate) fn message(self) -> Date {
        date(self.0)
    }
}

impl Moment {
    /// The instant; of a day its first one in the zone.
    pub(crate) fn instant(self, zone: Zone) -> Timestamp {
        match self {
            Self::Day(day) => timestamp(zone.start_of(day)),
            Self::Instant(at) => timestamp(at),
        }
    }

    /// The instant; of a day its last second in the zone, when all that happens on it has happened.
    pub(crate) fn end(self, zone: Zone) -> Timestamp {
        match self {
            Self::Day(day) => timestamp(zone.start_of(day.plus(1)).plus(-Micros::SECOND)),
            Self::Instant(at) => timestamp(at),
        }
    }
}

/// The zone of the caller's workspace.
///
/// # Errors
/// The server's answer does not say it.
pub(crate) fn zone(answer: &WhoAmIResponse) -> Result<Zone, Failure> {
    let name = answer.workspace.as_ref().map(|workspace| workspace.time_zone.as_str());
    name.and_then(Zone::parse).ok_or(Failure::Incomplete { what: "time zone" })
}

/// The day it is in the caller's workspace.
///
/// # Errors
/// The server's answer does not say it.
pub(crate) fn today(answer: &WhoAmIResponse) -> Result<Day, Failure> {
    let now = answer.now.as_ref().ok_or(Failure::Incomplete { what: "present time" })?;
    Ok(zone(answer)?.day_of(keizoku_convert::instant(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_in_the_workspaces_zone_and_an_instant_is_itself() {
        let zone = Zone::parse("Asia/Tokyo").expect("a zone");
        let seconds = |text: &str| text.parse::<Moment>().expect("a moment").instant(zone).seconds;
        assert_eq!(seconds("2024-04-01"), 1_711_897_200);
        assert_eq!(seconds("2024-04-01T00:00:00+09:00"), 1_711_897_200);
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for wrong in ["2024-02-30", "tomorrow", "9999-01-01", "2024-01-01 10:00", "1969-12-31T23:59:59Z"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
            assert!(wrong.parse::<DayArg>().is_err(), "{wrong}");
        }
    }
}
