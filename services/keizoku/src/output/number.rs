//! Numbers, dates and estimates as text. Nothing is rounded across a cut-off: what decides a band is shown in full.

use keizoku_base::Micros;
use keizoku_base::money::Currency;
use keizoku_proto::google::Date;
use keizoku_proto::types::estimate::Uncertainty;
use keizoku_proto::types::{BillingPeriod, Estimate, Money};
use prost_types::Timestamp;

use super::{Cell, Language, Text};

/// Thousandths with all their digits, `73.214`.
pub(crate) fn thousandths(millis: i32) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let size = millis.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1000, size % 1000)
}

/// Thousandths with a sign, `+1.250`.
pub(crate) fn change(millis: i32) -> String {
    if millis > 0 { format!("+{}", thousandths(millis)) } else { thousandths(millis) }
}

/// Thousandths of a value that may be missing.
pub(crate) fn thousandths_cell(millis: Option<i32>) -> Cell {
    Cell::optional(millis.map(thousandths))
}

/// A change that may be missing.
pub(crate) fn change_cell(millis: Option<i32>) -> Cell {
    millis.map_or_else(Cell::missing, |millis| Cell::new(change(millis)).raw(thousandths(millis)))
}

/// A number without needless digits, to the millionth.
pub(crate) fn decimal(value: f64) -> String {
    let text = format!("{value:.6}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// A whole number in groups of three.
pub(crate) fn count(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0 { format!("-{grouped}") } else { grouped }
}

/// A whole number: grouped for people, plain for programs.
pub(crate) fn count_cell(value: i64) -> Cell {
    Cell::new(count(value)).raw(value.to_string())
}

/// A share given in millionths, `12.5 %`.
pub(crate) fn share(micros: i32) -> String {
    format!("{:.1} %", f64::from(micros) / 10_000.0)
}

/// A share with what it takes to believe it: `85.0 % (17/20, 64–95)`.
pub(crate) fn estimate(estimate: &Estimate, language: Language) -> String {
    let counts = format!("{}/{}", estimate.numerator, estimate.denominator);
    let Some(value) = estimate.value else { return format!("— ({counts})") };
    let sure = match &estimate.uncertainty {
        Some(Uncertainty::Interval(interval)) => {
            format!(", {:.0}–{:.0}", interval.low * 100.0, interval.high * 100.0)
        }
        Some(Uncertainty::Census(_)) => format!(", {}", Text::new("all counted", "全数").of(language)),
        Some(Uncertainty::TooFew(_)) => format!(", {}", Text::new("too few", "少数").of(language)),
        None => String::new(),
    };
    format!("{:.1} % ({counts}{sure})", value * 100.0)
}

/// An estimate that may be missing; programs get the bare value.
pub(crate) fn estimate_cell(found: Option<&Estimate>, language: Language) -> Cell {
    found.map_or_else(Cell::missing, |found| {
        Cell::new(estimate(found, language)).raw(found.value.map(decimal).unwrap_or_default())
    })
}

/// An amount: `1,234.50 USD/month`.
pub(crate) fn money(money: &Money, language: Language) -> String {
    let digits = Currency::parse(&money.currency_code).map_or(2, |currency| currency.minor_digits());
    let scale = 10_u64.pow(digits);
    let size = money.minor_units.unsigned_abs();
    let whole = count(i64::try_from(size / scale).unwrap_or(i64::MAX));
    let sign = if money.minor_units < 0 { "-" } else { "" };
    let part = match usize::try_from(digits) {
        Ok(0) | Err(_) => String::new(),
        Ok(width) => format!(".{:0width$}", size % scale),
    };
    let period = match money.period() {
        BillingPeriod::Month => Text::new("/month", "/月").of(language),
        BillingPeriod::Year => Text::new("/year", "/年").of(language),
        BillingPeriod::OneOff | BillingPeriod::Unspecified => "",
    };
    format!("{sign}{whole}{part} {}{period}", money.currency_code)
}

/// Amounts of several currencies; none is a dash.
pub(crate) fn money_cell(amounts: &[Money], language: Language) -> Cell {
    if amounts.is_empty() {
        return Cell::missing();
    }
    Cell::new(amounts.iter().map(|amount| money(amount, language)).collect::<Vec<_>>().join(" + "))
}

/// A day, `2024-12-31`.
pub(crate) fn date(date: &Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

/// A day that may be missing.
pub(crate) fn date_cell(found: Option<&Date>) -> Cell {
    Cell::optional(found.map(date))
}

/// An instant in UTC to the second, `2024-12-31T09:30:00Z`.
pub(crate) fn instant(at: &Timestamp) -> String {
    Micros(at.seconds.saturating_mul(Micros::SECOND)).to_string()
}

/// An instant that may be missing.
pub(crate) fn instant_cell(found: Option<&Timestamp>) -> Cell {
    Cell::optional(found.map(instant))
}

#[cfg(test)]
mod tests {
    use keizoku_proto::types::{Census, Interval, TooFew};

    use super::*;

    fn of(value: Option<f64>, numerator: i64, denominator: i64, uncertainty: Option<Uncertainty>) -> String {
        let found = Estimate { value, numerator, denominator, uncertainty, ..Estimate::default() };
        estimate(&found, Language::English)
    }

    #[test]
    fn an_estimate_shows_its_counts_and_its_interval() {
        let interval = Interval { low: 0.6396, high: 0.9476, level: 0.95, method: "wilson".to_owned(), seed: None };
        assert_eq!(of(Some(0.85), 17, 20, Some(Uncertainty::Interval(interval))), "85.0 % (17/20, 64–95)");
        assert_eq!(of(Some(0.5), 1, 2, Some(Uncertainty::TooFew(TooFew { needed: 5 }))), "50.0 % (1/2, too few)");
        assert_eq!(of(Some(0.5), 30, 60, Some(Uncertainty::Census(Census {}))), "50.0 % (30/60, all counted)");
    }

    #[test]
    fn a_share_of_nothing_is_no_zero() {
        assert_eq!(of(None, 0, 0, None), "— (0/0)");
        assert_eq!(thousandths_cell(None), Cell::missing());
    }

    #[test]
    fn points_keep_the_digits_that_decide_a_band() {
        assert_eq!(thousandths(59_999), "59.999");
        assert_eq!(
            (change(-500), change(1_250), change(0)),
            ("-0.500".to_owned(), "+1.250".to_owned(), "0.000".to_owned())
        );
    }

    #[test]
    fn numbers_lose_only_needless_digits() {
        let texts = [33.0, 2.999_999, -0.000_000_1, 0.5, 1e9].map(decimal);
        assert_eq!(texts, ["33", "2.999999", "0", "0.5", "1000000000"]);
        assert_eq!([0, 999, 1000, -1_234_567].map(count), ["0", "999", "1,000", "-1,234,567"]);
    }

    #[test]
    fn money_has_the_digits_of_its_currency() {
        let amount = |minor_units, code: &str, period: BillingPeriod| {
            let found = Money { minor_units, currency_code: code.to_owned(), period: period.into() };
            money(&found, Language::English)
        };
        assert_eq!(amount(123_450, "USD", BillingPeriod::Month), "1,234.50 USD/month");
        assert_eq!(amount(-123_450, "JPY", BillingPeriod::Year), "-123,450 JPY/year");
        assert_eq!(amount(5, "KWD", BillingPeriod::OneOff), "0.005 KWD");
    }
}
