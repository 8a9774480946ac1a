//! Fixed-point numbers: metric values in millionths, scores in thousandths, never an accumulated float.

use std::fmt;

/// A metric value in millionths, |value| ≤ 9·10¹².
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millionths(pub i64);

impl Millionths {
    /// The largest magnitude accepted from outside, 9·10¹², in millionths.
    pub const LIMIT: i64 = 9_000_000_000_000_000_000;
    /// One.
    pub const ONE: i64 = 1_000_000;

    /// The nearest millionth, ties to even; `None` for NaN, infinities and magnitudes past [`Millionths::LIMIT`].
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let scaled = (value * 1_000_000.0).round_ties_even();
        #[expect(clippy::cast_precision_loss, reason = "9e18 is exact in a double")]
        let limit = Self::LIMIT as f64;
        #[expect(clippy::cast_possible_truncation, reason = "held within the limit, which fits")]
        (scaled.abs() <= limit).then_some(Self(scaled as i64))
    }

    /// A whole number; `None` past the limit.
    pub fn from_whole(value: i64) -> Option<Self> {
        value.checked_mul(Self::ONE).filter(|scaled| scaled.abs() <= Self::LIMIT).map(Self)
    }

    /// As a double, for display and rules.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sums stay below 2^53 in practice and this is for display and rules"
    )]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1_000_000.0
    }
}

/// A score or a contribution in thousandths of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MilliPoints(pub i32);

impl fmt::Display for MilliPoints {
    /// As many decimals as needed, at least one: `75.0`, `66.667`. Never rounds across a cut-off.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        let digits = format!("{part:03}");
        let shown = digits.trim_end_matches('0');
        write!(formatter, "{sign}{whole}.{}", if shown.is_empty() { "0" } else { shown })
    }
}

/// `numerator ÷ denominator` to the nearest whole, ties to even. `denominator` must not be 0.
pub fn divide_half_even(numerator: i128, denominator: i128) -> i128 {
    let (numerator, denominator) = if denominator < 0 { (-numerator, -denominator) } else { (numerator, denominator) };
    let (whole, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole.rem_euclid(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_to_even_on_both_sides_of_zero() {
        let rounded = |numerator| divide_half_even(numerator, 2);
        assert_eq!([rounded(-3), rounded(-1), rounded(1), rounded(3), rounded(5)], [-2, 0, 0, 2, 2]);
        assert_eq!(divide_half_even(7, -2), -4);
    }

    #[test]
    fn refuses_what_is_no_number_or_too_large() {
        assert_eq!(Millionths::from_f64(f64::NAN), None);
        assert_eq!(Millionths::from_f64(f64::INFINITY), None);
        assert_eq!(Millionths::from_f64(9.1e12), None);
        assert_eq!(Millionths::from_f64(-9e12), Some(Millionths(-Millionths::LIMIT)));
        assert_eq!(Millionths::from_f64(0.000_000_5), Some(Millionths(0)));
    }

    #[test]
    fn shows_points_without_crossing_a_cut_off() {
        assert_eq!(MilliPoints(69_999).to_string(), "69.999");
        assert_eq!(MilliPoints(75_000).to_string(), "75.0");
        assert_eq!(MilliPoints(-500).to_string(), "-0.5");
    }
}
