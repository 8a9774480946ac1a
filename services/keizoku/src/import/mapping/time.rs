//! Days and instants in the shapes that foreign files write them.

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{Datelike, NaiveDate, Timelike};
use keizoku_base::{Day, Micros, Zone};

/// A shape of a date or a time.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// As `strftime` writes it; a number may have fewer digits than its place.
    Letters(Vec<Item<'static>>),
    /// RFC 3339, with its offset.
    Rfc3339,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
}

impl Shape {
    /// The shape a mapping names: `rfc3339`, `unix`, `unix_ms` or letters such as `%Y-%m-%d %H:%M`.
    ///
    /// # Errors
    /// A sentence where it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix" => Ok(Self::Unix),
            "unix_ms" => Ok(Self::UnixMillis),
            letters => match StrftimeItems::new(letters).parse_to_owned() {
                Ok(items) if letters.contains('%') => Ok(Self::Letters(items)),
                _ => Err(format!(
                    "{text:?} is no shape of a date: write rfc3339, unix, unix_ms or letters like %Y-%m-%d"
                )),
            },
        }
    }

    fn day(&self, text: &str) -> Option<Day> {
        match self {
            Self::Letters(items) => {
                let mut parsed = Parsed::new();
                parse(&mut parsed, text, items.iter()).ok()?;
                day_of(parsed.to_naive_date().ok()?)
            }
            Self::Rfc3339 | Self::Unix | Self::UnixMillis => None,
        }
    }

    fn instant(&self, text: &str, zone: Zone) -> Option<Micros> {
        let found = match self {
            Self::Letters(items) => {
                let mut parsed = Parsed::new();
                parse(&mut parsed, text, items.iter()).ok()?;
                local(&parsed, zone)?
            }
            Self::Rfc3339 => Micros(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()),
            Self::Unix => Micros(text.parse::<i64>().ok()?.checked_mul(Micros::SECOND)?),
            Self::UnixMillis => Micros(text.parse::<i64>().ok()?.checked_mul(1000)?),
        };
        (Micros::MIN..Micros::END).contains(&found).then_some(found)
    }
}

/// A day in the first shape that fits.
pub(super) fn day(text: &str, shapes: &[Shape]) -> Option<Day> {
    shapes.iter().find_map(|shape| shape.day(text))
}

/// An instant in the first shape that fits. A time without an offset is taken on the clocks of `zone`, a day alone as
/// its first instant.
pub(super) fn instant(text: &str, shapes: &[Shape], zone: Zone) -> Option<Micros> {
    shapes.iter().find_map(|shape| shape.instant(text, zone))
}

fn local(parsed: &Parsed, zone: Zone) -> Option<Micros> {
    if parsed.offset().is_some() {
        return Some(Micros(parsed.to_datetime().ok()?.timestamp_micros()));
    }
    let day = day_of(parsed.to_naive_date().ok()?)?;
    if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() {
        return Some(zone.start_of(day));
    }
    let time = parsed.to_naive_time().ok()?;
    let second = zone.at(day, time.num_seconds_from_midnight())?;
    Some(second.plus(i64::from(time.nanosecond() / 1000)))
}

fn day_of(date: NaiveDate) -> Option<Day> {
    Day::from_ymd(date.year(), date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(texts: &[&str]) -> Vec<Shape> {
        texts.iter().map(|text| Shape::parse(text).expect("a shape")).collect()
    }

    #[test]
    fn hours_of_one_digit_and_days_without_a_time_are_read() {
        let shapes = shapes(&["%Y-%m-%d %H:%M", "%Y-%m-%d"]);
        let at = |text: &str| instant(text, &shapes, Zone::UTC).map(|at| at.to_string());
        assert_eq!(at("2021-03-04 5:06").as_deref(), Some("2021-03-04T05:06:00Z"));
        assert_eq!(at("2021-03-04 15:06").as_deref(), Some("2021-03-04T15:06:00Z"));
        assert_eq!(at("2021-03-04").as_deref(), Some("2021-03-04T00:00:00Z"));
        for wrong in
            ["2021-03-04 25:06", "2021-02-30", "04.03.2021", "2021-03-04 5:06 pm", "", "0000-01-01", "9999-12-31"]
        {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_without_an_offset_stands_on_the_zones_clocks() {
        let tokyo = Zone::parse("Asia/Tokyo").expect("a zone");
        let at = |text: &str, shape: &str| instant(text, &shapes(&[shape]), tokyo).map(|at| at.to_string());
        assert_eq!(at("2021-03-04 05:06:07", "%Y-%m-%d %H:%M:%S").as_deref(), Some("2021-03-03T20:06:07Z"));
        assert_eq!(at("2021-03-04", "%Y-%m-%d").as_deref(), Some("2021-03-03T15:00:00Z"));
        assert_eq!(at("2021-03-04T05:06:07+01:00", "rfc3339").as_deref(), Some("2021-03-04T04:06:07Z"));
        assert_eq!(at("04/Mar/2021 5:06 PM -0500", "%d/%b/%Y %I:%M %p %z").as_deref(), Some("2021-03-04T22:06:00Z"));
        assert_eq!(at("1614834367", "unix").as_deref(), Some("2021-03-04T05:06:07Z"));
        assert_eq!(at("1614834367250", "unix_ms").as_deref(), Some("2021-03-04T05:06:07.250Z"));
        assert_eq!(at("99999999999999", "unix"), None);
    }

    #[test]
    fn days_in_other_orders_are_read_and_impossible_ones_are_not() {
        let shapes = shapes(&["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"]);
        for (text, expected) in [("2021-03-04", true), ("4.3.2021", true), ("3/4/2021", true), ("13/13/2021", false)] {
            assert_eq!(day(text, &shapes).is_some(), expected, "{text}");
        }
        assert_eq!(day("4.3.2021", &shapes), day("2021-03-04", &shapes));
    }

    #[test]
    fn a_shape_without_meaning_is_refused() {
        for wrong in ["", "yyyy-mm-dd", "%Q"] {
            assert!(Shape::parse(wrong).is_err(), "{wrong}");
        }
    }
}
