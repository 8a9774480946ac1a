//! Money: amounts as sources tell them, what an account pays per month, and that in one currency.

use std::collections::BTreeMap;
use std::fmt::Display;

use keizoku_base::Day;
use keizoku_base::money::{Currency, Money, Period};
use keizoku_base::number::divide_half_even;

use crate::domain::account::Held;
use crate::domain::check::{Checks, Wrong};
use crate::domain::pack::Packer;
use crate::domain::reason;

/// The largest amount, in minor units.
pub const AMOUNT_MOST: i64 = 1_000_000_000_000_000;
/// The largest rate, in millionths: a million to one.
pub const RATE_MOST: i64 = 1_000_000_000_000;

/// An amount as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoneyDraft {
    /// Minor units.
    pub minor_units: i64,
    /// The currency.
    pub currency_code: String,
    /// How often it recurs; `None`: not stated.
    pub period: Option<Period>,
}

/// What a unit of a currency is worth in the reporting currency from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The currency.
    pub currency: Currency,
    /// The first day.
    pub from: Day,
    /// Millionths of a major unit of the reporting currency for one major unit.
    pub micros: i64,
}

/// What an account pays per month, kept in twelfths so that nothing is rounded before the last step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revenue {
    twelfths: BTreeMap<Currency, i128>,
    /// Contracts in force that are no trials and whose amount is not known: the sums are without them.
    pub unknown_count: u32,
}

/// Revenue in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The sum of what could be converted.
    pub monthly: Money,
    /// Currencies without a rate on the day; the sum is without them.
    pub left_out: Vec<Currency>,
}

/// Checks an amount of 0 or more at path `field`.
pub fn money(checks: &mut Checks, field: impl Display, draft: MoneyDraft) -> Option<Money> {
    if !(0..=AMOUNT_MOST).contains(&draft.minor_units) {
        let wrong = Wrong::new(reason::OUT_OF_RANGE, format!("must be 0 to {AMOUNT_MOST}"));
        checks.add(format_args!("{field}.minor_units"), wrong);
    }
    let currency = checks.take(format_args!("{field}.currency_code"), currency(&draft.currency_code));
    let period = checks.required(format_args!("{field}.period"), draft.period, Ok);
    Some(Money { minor: draft.minor_units, currency: currency?, period: period? })
}

/// A currency's code.
///
/// # Errors
/// REQUIRED or NOT_A_CURRENCY.
pub fn currency(code: &str) -> Result<Currency, Wrong> {
    if code.is_empty() {
        return Err(Wrong::required());
    }
    Currency::parse(code).ok_or_else(|| Wrong::new(reason::NOT_A_CURRENCY, "must be three capital letters of ISO 4217"))
}

/// Writes an amount.
pub fn pack_money(packer: &mut Packer, money: Money) {
    packer.signed(money.minor);
    packer.raw(money.currency.code().as_bytes());
    packer.byte(match money.period {
        Period::OneOff => 1,
        Period::Month => 2,
        Period::Year => 3,
    });
}

impl Revenue {
    /// What is paid on a day for the contracts that the account pays: those in force that are no trials. What is paid
    /// once is not recurring and left out.
    pub fn of<'a>(contracts: impl IntoIterator<Item = Held<'a>>, on: Day) -> Self {
        let mut revenue = Self::default();
        for held in contracts.into_iter().filter(|held| !held.details.trial && held.in_force(on)) {
            let Some(amount) = held.details.amount else {
                revenue.unknown_count += 1;
                continue;
            };
            let twelfths = match amount.period {
                Period::OneOff => continue,
                Period::Month => i128::from(amount.minor) * 12,
                Period::Year => i128::from(amount.minor),
            };
            *revenue.twelfths.entry(amount.currency).or_default() += twelfths;
        }
        revenue
    }

    /// The sum of each currency, by code, rounded half to even.
    pub fn monthly(&self) -> Vec<Money> {
        let sum = |(currency, twelfths): (&Currency, &i128)| monthly(*currency, divide_half_even(*twelfths, 12));
        self.twelfths.iter().map(sum).collect()
    }

    /// Everything in the currency `into`, by the rates that hold on a day, rounded half to even once at the end.
    pub fn converted(&self, rates: &[Rate], into: Currency, on: Day) -> Converted {
        // Twelfths of millionths of a minor unit of `into`, a thousandfold: currencies have at most three digits.
        const SCALE: i128 = 12 * 1_000_000 * 1_000;
        let (mut sum, mut left_out) = (0_i128, Vec::new());
        for (currency, twelfths) in &self.twelfths {
            let rate = if *currency == into { Some(1_000_000) } else { rate_on(rates, *currency, on) };
            let digits = 3 + into.minor_digits() - currency.minor_digits();
            let part = rate.and_then(|rate| twelfths.checked_mul(i128::from(rate))?.checked_mul(10_i128.pow(digits)));
            match part.and_then(|part| sum.checked_add(part)) {
                Some(next) => sum = next,
                None => left_out.push(*currency),
            }
        }
        Converted { monthly: monthly(into, divide_half_even(sum, SCALE)), left_out }
    }
}

/// The rate that holds on a day: the latest one that began by then.
fn rate_on(rates: &[Rate], currency: Currency, on: Day) -> Option<i64> {
    let begun = rates.iter().filter(|rate| rate.currency == currency && rate.from <= on);
    begun.max_by_key(|rate| rate.from).map(|rate| rate.micros)
}

/// An amount's bound keeps sums of millions of contracts within 64 bits.
fn monthly(currency: Currency, minor: i128) -> Money {
    Money { minor: i64::try_from(minor).unwrap_or(i64::MAX), currency, period: Period::Month }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::ContractDraft;
    use crate::domain::account::contract::tests::{details, draft, held};

    fn code(code: &str) -> Currency {
        Currency::parse(code).expect("a currency")
    }

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a day")
    }

    fn paying(minor_units: i64, currency_code: &str, period: Period) -> ContractDraft {
        let amount = MoneyDraft { minor_units, currency_code: currency_code.to_owned(), period: Some(period) };
        ContractDraft { amount: Some(amount), ..draft() }
    }

    fn revenue(drafts: Vec<ContractDraft>) -> Revenue {
        let contracts: Vec<_> = drafts.into_iter().map(details).collect();
        Revenue::of(contracts.iter().map(held), day("2024-06-01"))
    }

    fn sums(revenue: &Revenue) -> Vec<(String, i64)> {
        revenue.monthly().iter().map(|sum| (sum.currency.code().to_owned(), sum.minor)).collect()
    }

    #[test]
    fn sums_what_recurs_by_currency() {
        let revenue = revenue(vec![
            paying(1_000, "USD", Period::Month),
            paying(12_000, "USD", Period::Year),
            paying(5_000, "USD", Period::OneOff),
            paying(3_000, "JPY", Period::Month),
            ContractDraft { trial: true, ..paying(9_999, "USD", Period::Month) },
            ContractDraft { amount: None, ..draft() },
        ]);
        assert_eq!(sums(&revenue), [("JPY".to_owned(), 3_000), ("USD".to_owned(), 2_000)]);
        assert_eq!(revenue.unknown_count, 1);
    }

    #[test]
    fn years_are_divided_once_after_summing() {
        let year = |minor| paying(minor, "USD", Period::Year);
        let table = [(vec![6], 0), (vec![18], 2), (vec![6, 6], 1), (vec![1; 12], 1), (vec![30], 2), (vec![42], 4)];
        for (amounts, expected) in table {
            let sum = sums(&revenue(amounts.iter().copied().map(year).collect()));
            assert_eq!(sum, [("USD".to_owned(), expected)], "{amounts:?}");
        }
    }

    #[test]
    fn converts_by_the_rate_of_the_day_and_names_what_has_none() {
        let revenue = revenue(vec![
            paying(10_000, "USD", Period::Month),
            paying(10_000, "KWD", Period::Month),
            paying(1_000, "JPY", Period::Month),
            paying(500, "EUR", Period::Month),
            paying(500, "GBP", Period::Month),
        ]);
        let rate = |currency, from, micros| Rate { currency: code(currency), from: day(from), micros };
        let rates = [
            rate("USD", "2024-06-01", 150_000_000),
            rate("USD", "2024-01-01", 140_000_000),
            rate("USD", "2024-06-02", 160_000_000),
            rate("KWD", "2024-01-01", 500_000_000),
            rate("GBP", "2024-06-02", 190_000_000),
        ];
        let converted = revenue.converted(&rates, code("JPY"), day("2024-06-01"));
        assert_eq!(converted.monthly.minor, 100 * 150 + 10 * 500 + 1_000);
        assert_eq!(converted.left_out, [code("EUR"), code("GBP")]);
    }

    #[test]
    fn rounds_once_after_converting() {
        // A third of a cent per month three times over is one cent.
        let revenue = revenue(vec![paying(4, "EUR", Period::Year); 3]);
        let rates = [Rate { currency: code("EUR"), from: day("2024-01-01"), micros: 1_000_000 }];
        assert_eq!(revenue.converted(&rates, code("USD"), day("2024-06-01")).monthly.minor, 1);
    }

    #[test]
    fn the_largest_amounts_at_the_largest_rate_do_not_wrap() {
        let revenue = revenue(vec![paying(AMOUNT_MOST, "JPY", Period::Month); 1_000]);
        let rates = [Rate { currency: code("JPY"), from: day("2024-01-01"), micros: RATE_MOST }];
        let converted = revenue.converted(&rates, code("KWD"), day("2024-06-01"));
        assert_eq!((converted.monthly.minor, converted.left_out), (i64::MAX, Vec::new()));
        assert_eq!(sums(&revenue), [("JPY".to_owned(), 1_000 * AMOUNT_MOST)]);
    }
}
