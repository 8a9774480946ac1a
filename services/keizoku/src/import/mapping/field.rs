//! Fields of a message: an expression, and how its text is read as a type.

use keizoku_base::money::{Currency, Money, Period};
use keizoku_base::{Day, Micros};

use super::expression::{Text, Wrong};
use super::row::Row;
use super::template::Template;
use super::time::{self, Shape};

/// How a text is read as a value.
pub(crate) trait Reading {
    /// The value.
    type Value;

    /// The value; `None` where a part of it is not known.
    fn read(&self, text: &str, row: &Row<'_>) -> Result<Option<Self::Value>, Wrong>;
}

/// A field of a message.
#[derive(Debug, Clone)]
pub(crate) struct Field<R> {
    /// Its path in the message.
    pub(super) path: String,
    /// What gives its text.
    pub(super) text: Text,
    /// How that is read.
    pub(super) reading: R,
}

/// As it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

/// Yes or no.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag;

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole;

/// A number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal;

/// A day, moved by some days.
#[derive(Debug, Clone)]
pub(crate) struct OnDay {
    pub(super) shapes: Vec<Shape>,
    pub(super) plus_days: Option<Template>,
}

/// An instant, moved by some minutes.
#[derive(Debug, Clone)]
pub(crate) struct AtInstant {
    pub(super) shapes: Vec<Shape>,
    pub(super) plus_minutes: Option<Template>,
}

/// An amount: the sum of its parts that are known.
#[derive(Debug, Clone)]
pub(crate) struct Amount {
    pub(super) path: String,
    pub(super) parts: Vec<Text>,
    pub(super) currency: Text,
    pub(super) period: Period,
}

/// What is wrong with a field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldWrong {
    /// Its path in the message.
    pub(crate) field: String,
    /// Why.
    pub(crate) wrong: Wrong,
}

/// Reads the fields of one row and gathers everything that is wrong with them.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    row: Row<'a>,
    wrongs: Vec<FieldWrong>,
}

impl<'a> Fields<'a> {
    /// Nothing is read yet.
    pub(crate) fn new(row: Row<'a>) -> Self {
        Self { row, wrongs: Vec::new() }
    }

    /// A field that may be absent.
    pub(crate) fn optional<R: Reading>(&mut self, field: Option<&Field<R>>) -> Option<R::Value> {
        let field = field?;
        self.take(&field.path, field.read(&self.row))
    }

    /// A field that must be there.
    pub(crate) fn required<R: Reading>(&mut self, field: &Field<R>) -> Option<R::Value> {
        let before = self.wrongs.len();
        let found = self.take(&field.path, field.read(&self.row));
        if found.is_none() && self.wrongs.len() == before {
            let text = format!("is required, and {} gives nothing", field.text.shown);
            self.wrongs.push(FieldWrong { field: field.path.clone(), wrong: Wrong::new("REQUIRED", text) });
        }
        found
    }

    /// An amount that may be absent.
    pub(crate) fn amount(&mut self, amount: Option<&Amount>) -> Option<Money> {
        let amount = amount?;
        self.take(&amount.path, amount.read(&self.row))
    }

    /// The message, or everything that is wrong with it.
    ///
    /// # Errors
    /// Every field that cannot be read.
    pub(crate) fn finish<T>(self, made: Option<T>) -> Result<T, Vec<FieldWrong>> {
        match made {
            Some(made) if self.wrongs.is_empty() => Ok(made),
            _ => Err(self.wrongs),
        }
    }

    fn take<T>(&mut self, path: &str, read: Result<Option<T>, Wrong>) -> Option<T> {
        read.unwrap_or_else(|wrong| {
            self.wrongs.push(FieldWrong { field: path.to_owned(), wrong });
            None
        })
    }
}

impl<R: Reading> Field<R> {
    fn read(&self, row: &Row<'_>) -> Result<Option<R::Value>, Wrong> {
        match self.text.read(row)? {
            Some(text) => self.reading.read(&text, row),
            None => Ok(None),
        }
    }
}

impl Reading for Plain {
    type Value = String;

    fn read(&self, text: &str, _: &Row<'_>) -> Result<Option<String>, Wrong> {
        Ok(Some(text.to_owned()))
    }
}

impl Reading for Flag {
    type Value = bool;

    fn read(&self, text: &str, row: &Row<'_>) -> Result<Option<bool>, Wrong> {
        let (flags, small) = (row.setting.flags, text.to_lowercase());
        let among = |texts: &[String]| texts.contains(&small);
        match (among(&flags.yes), among(&flags.no)) {
            (true, _) => Ok(Some(true)),
            (false, true) => Ok(Some(false)),
            (false, false) => {
                let text = format!("{text:?} is neither of {} nor of {}", flags.yes.join(", "), flags.no.join(", "));
                Err(Wrong::new("NOT_A_FLAG", text))
            }
        }
    }
}

impl Reading for Whole {
    type Value = i64;

    fn read(&self, text: &str, _: &Row<'_>) -> Result<Option<i64>, Wrong> {
        let wrong = || Wrong::new("NOT_A_WHOLE_NUMBER", format!("{text:?} is no whole number of at most 18 digits"));
        // Tables often write whole numbers as 12.0.
        let digits = text
            .split_once('.')
            .map_or(text, |(whole, part)| if part.bytes().all(|byte| byte == b'0') { whole } else { text });
        digits.parse().map(Some).map_err(|_| wrong())
    }
}

impl Reading for Decimal {
    type Value = f64;

    fn read(&self, text: &str, _: &Row<'_>) -> Result<Option<f64>, Wrong> {
        // "inf" and "NaN" are numbers to the parser, but none to a metric.
        let found = text.parse().ok().filter(|number: &f64| number.is_finite());
        found.map(Some).ok_or_else(|| Wrong::new("NOT_A_NUMBER", format!("{text:?} is no number")))
    }
}

impl Reading for OnDay {
    type Value = Day;

    fn read(&self, text: &str, row: &Row<'_>) -> Result<Option<Day>, Wrong> {
        let day = time::day(text, &self.shapes).ok_or_else(|| {
            Wrong::new("NOT_A_DATE", format!("{text:?} is no day from 1970 to 2199 in the mapping's shapes"))
        })?;
        Ok(moved(self.plus_days.as_ref(), row)?.map(|days| day.plus(i32::try_from(days).unwrap_or(i32::MAX))))
    }
}

impl Reading for AtInstant {
    type Value = Micros;

    fn read(&self, text: &str, row: &Row<'_>) -> Result<Option<Micros>, Wrong> {
        let at = time::instant(text, &self.shapes, row.setting.zone).ok_or_else(|| {
            Wrong::new("NOT_AN_INSTANT", format!("{text:?} is no time from 1970 to 2199 in the mapping's shapes"))
        })?;
        let moved = moved(self.plus_minutes.as_ref(), row)?;
        Ok(moved.map(|minutes| at.plus(minutes.saturating_mul(60 * Micros::SECOND))))
    }
}

/// By how much a time is moved; `None` where the row does not say.
fn moved(by: Option<&Template>, row: &Row<'_>) -> Result<Option<i64>, Wrong> {
    let Some(by) = by else { return Ok(Some(0)) };
    by.fill(row).map_or(Ok(None), |text| Whole.read(&text, row))
}

impl Amount {
    fn read(&self, row: &Row<'_>) -> Result<Option<Money>, Wrong> {
        let Some(code) = self.currency.read(row)? else { return Ok(None) };
        let currency = Currency::parse(&code)
            .ok_or_else(|| Wrong::new("NOT_A_CURRENCY", format!("{code:?} is no code of three capital letters")))?;
        let mut sum: Option<i64> = None;
        for part in &self.parts {
            let Some(text) = part.read(row)? else { continue };
            let minor = minor_units(&text, currency)?;
            let added = sum.unwrap_or(0).checked_add(minor);
            sum = Some(added.ok_or_else(|| Wrong::new("NOT_AN_AMOUNT", "is too large".to_owned()))?);
        }
        Ok(sum.map(|minor| Money { minor, currency, period: self.period }))
    }
}

fn minor_units(text: &str, currency: Currency) -> Result<i64, Wrong> {
    Money::minor_from_text(text, currency).ok_or_else(|| {
        let (code, digits) = (currency.code(), currency.minor_digits());
        Wrong::new(
            "NOT_AN_AMOUNT",
            format!("{text:?} is no plain decimal of at most {digits} places, which {code} has"),
        )
    })
}
