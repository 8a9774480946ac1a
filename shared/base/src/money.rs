//! Money: minor units, a currency and the period it recurs in.

use crate::number::divide_half_even;

/// How often an amount recurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Once.
    OneOff,
    /// Every month.
    Month,
    /// Every year.
    Year,
}

/// A three-letter ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The currency of that code, three capital letters.
    pub fn parse(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// Its code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits after the point of its usual unit: 0 for the yen and its like, 3 for the dinars, else 2.
    pub fn minor_digits(&self) -> u32 {
        match self.code() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
            | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }
}

/// An amount in minor units (cents, whole yen) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
    /// How often it recurs.
    pub period: Period,
}

impl Money {
    /// The amount per month: a year's is divided by 12, half to even; a one-off has none.
    pub fn monthly_minor(&self) -> Option<i64> {
        match self.period {
            Period::OneOff => None,
            Period::Month => Some(self.minor),
            Period::Year => i64::try_from(divide_half_even(i128::from(self.minor), 12)).ok(),
        }
    }

    /// The minor units of a decimal text (`1234.5`) in `currency`; `None` where it is no plain decimal, has more
    /// digits than the currency, or is too large.
    pub fn minor_from_text(text: &str, currency: Currency) -> Option<i64> {
        let digits = usize::try_from(currency.minor_digits()).ok()?;
        let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let kept = part.trim_end_matches('0');
        if whole.is_empty() || !plain(whole) || !plain(part) || kept.len() > digits {
            return None;
        }
        format!("{whole}{kept:0<digits$}").parse::<i64>().ok()?.checked_mul(sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_decimals_exactly() {
        let (usd, jpy) = (Currency::parse("USD").expect("usd"), Currency::parse("JPY").expect("jpy"));
        assert_eq!(Money::minor_from_text("4.03", usd), Some(403));
        assert_eq!(Money::minor_from_text("-0.5", usd), Some(-50));
        assert_eq!(Money::minor_from_text("33432", usd), Some(3_343_200));
        assert_eq!(Money::minor_from_text("12.00", jpy), Some(12));
        for wrong in ["", ".5", "1,000", "1e3", "4.031", "99999999999999999999"] {
            assert_eq!(Money::minor_from_text(wrong, usd), None, "{wrong}");
        }
    }

    #[test]
    fn a_year_is_twelve_months_rounded_half_to_even() {
        let year = |minor| Money { minor, currency: Currency(*b"USD"), period: Period::Year }.monthly_minor();
        assert_eq!((year(6), year(18), year(12)), (Some(0), Some(2), Some(1)));
    }
}
