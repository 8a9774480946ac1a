//! Numbers as rules see them: one type, exact as long as that is possible.
//!
//! A whole number, a decimal literal, a fixed-point metric value and a double attribute all are fractions of whole numbers,
//! so `63 <= 90 * 0.7` holds and a value that lies on a threshold is on it. Where numerator or denominator would leave 128
//! bits, and for doubles that are no decimal of at most 15 digits, the number is the nearest double instead; that is
//! deterministic too.

use std::cmp::Ordering;
use std::fmt;

use keizoku_base::number::{MilliPoints, Millionths, divide_half_even};

/// A number of a rule: an exact fraction, or the nearest double where that does not fit. Never infinite, always a number.
#[derive(Debug, Clone, Copy)]
pub struct Number(Form);

#[derive(Debug, Clone, Copy)]
enum Form {
    /// `numerator ÷ denominator`, the denominator above zero; not reduced.
    Exact(i128, i128),
    Near(f64),
}

impl Number {
    /// Zero.
    pub const ZERO: Self = Self(Form::Exact(0, 1));

    /// The decimal that a double was written as where that has at most 15 digits, else the double itself; `None` for NaN
    /// and infinities.
    pub fn from_f64(value: f64) -> Option<Self> {
        /// Doubles below this hold every whole number: 2⁵³.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        if !value.is_finite() {
            return None;
        }
        let (mut power, mut denominator) = (1.0_f64, 1_i128);
        for _ in 0..=15 {
            let scaled = (value * power).round();
            if scaled.abs() >= WHOLE {
                break;
            }
            // A quotient of two exact doubles is the nearest double, which is what a decimal literal is read as.
            if scaled / power == value {
                #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
                return Some(Self(Form::Exact(scaled as i128, denominator)));
            }
            (power, denominator) = (power * 10.0, denominator * 10);
        }
        Some(Self(Form::Near(value)))
    }

    /// `numerator ÷ denominator`; `None` for a denominator of zero and for numbers at the very end of 128 bits.
    pub fn fraction(numerator: i128, denominator: i128) -> Option<Self> {
        let fits = denominator != 0 && numerator != i128::MIN && denominator != i128::MIN;
        fits.then(|| Self(Form::Exact(numerator * denominator.signum(), denominator.abs())))
    }

    /// As a double, for display.
    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
    pub fn to_f64(self) -> f64 {
        match self.0 {
            Form::Exact(numerator, 1) => numerator as f64,
            Form::Exact(numerator, denominator) => numerator as f64 / denominator as f64,
            Form::Near(value) => value,
        }
    }

    /// The nearest millionth, half to even; `None` past [`Millionths::LIMIT`].
    pub fn to_millionths(self) -> Option<Millionths> {
        let scaled = self.scaled(i128::from(Millionths::ONE))?;
        i64::try_from(scaled)
            .ok()
            .filter(|value| value.unsigned_abs() <= Millionths::LIMIT.unsigned_abs())
            .map(Millionths)
    }

    /// The nearest thousandth of a point, half to even; `None` where that does not fit.
    pub fn to_milli_points(self) -> Option<MilliPoints> {
        self.scaled(1000).and_then(|value| i32::try_from(value).ok()).map(MilliPoints)
    }

    /// Without what stands behind the point.
    pub(crate) fn truncated(self) -> Self {
        Self(match self.0 {
            Form::Exact(numerator, denominator) => Form::Exact(numerator / denominator, 1),
            Form::Near(value) => Form::Near(value.trunc()),
        })
    }

    /// The whole number it is, if it is one.
    pub(crate) fn whole(self) -> Option<i128> {
        match self.0 {
            Form::Exact(numerator, denominator) => (numerator % denominator == 0).then(|| numerator / denominator),
            Form::Near(_) => None,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        match self.0 {
            Form::Exact(numerator, _) => numerator == 0,
            Form::Near(value) => value == 0.0,
        }
    }

    pub(crate) fn negated(self) -> Option<Self> {
        Self::ZERO.minus(self)
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.combined(other, |left, right| aligned(left, right, i128::checked_add), |left, right| left + right)
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.combined(other, |left, right| aligned(left, right, i128::checked_sub), |left, right| left - right)
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let exact = |left: (i128, i128), right: (i128, i128)| {
            Some((left.0.checked_mul(right.0)?, left.1.checked_mul(right.1)?))
        };
        self.combined(other, exact, |left, right| left * right)
    }

    /// `other` must not be zero.
    pub(crate) fn divided_by(self, other: Self) -> Option<Self> {
        let exact = |left: (i128, i128), right: (i128, i128)| {
            let (top, bottom) = if left.1 == right.1 {
                (left.0, right.0)
            } else {
                (left.0.checked_mul(right.1)?, left.1.checked_mul(right.0)?)
            };
            Some((top.checked_mul(bottom.signum())?, bottom.checked_abs()?))
        };
        self.combined(other, exact, |left, right| left / right)
    }

    /// What is left of a division with a whole quotient, of the dividend's sign. `other` must not be zero.
    pub(crate) fn modulo(self, other: Self) -> Option<Self> {
        self.combined(other, |left, right| aligned(left, right, i128::checked_rem), |left, right| left % right)
    }

    /// `None` where not even a double holds the result.
    fn combined(
        self,
        other: Self,
        exact: impl Fn((i128, i128), (i128, i128)) -> Option<(i128, i128)>,
        near: impl Fn(f64, f64) -> f64,
    ) -> Option<Self> {
        if let (Form::Exact(left, left_part), Form::Exact(right, right_part)) = (self.0, other.0)
            && let Some((numerator, denominator)) = exact((left, left_part), (right, right_part))
        {
            return Some(Self(Form::Exact(numerator, denominator)));
        }
        let value = near(self.to_f64(), other.to_f64());
        value.is_finite().then_some(Self(Form::Near(value)))
    }

    fn scaled(self, by: i128) -> Option<i128> {
        match self.0 {
            Form::Exact(numerator, denominator) => match numerator.checked_mul(by) {
                // Twice the remainder must fit, for the half.
                Some(scaled) if denominator < 1 << 126 => Some(divide_half_even(scaled, denominator)),
                _ => Self(Form::Near(self.to_f64())).scaled(by),
            },
            Form::Near(value) => {
                #[expect(clippy::cast_precision_loss, reason = "a million or less")]
                let scaled = (value * by as f64).round_ties_even();
                #[expect(clippy::cast_possible_truncation, reason = "held below 2^126")]
                (scaled.abs() < 8e37).then_some(scaled as i128)
            }
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self.0, other.0) {
            (Form::Exact(left, left_part), Form::Exact(right, right_part)) => {
                if left_part == right_part {
                    return left.cmp(&right);
                }
                match (left.checked_mul(right_part), right.checked_mul(left_part)) {
                    (Some(left), Some(right)) => left.cmp(&right),
                    _ => compare_wide((left, left_part), (right, right_part)),
                }
            }
            _ => self.to_f64().partial_cmp(&other.to_f64()).unwrap_or(Ordering::Equal),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other).is_eq()
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.compare(*other))
    }
}

impl fmt::Display for Number {
    /// Whole numbers in full, others as the shortest decimal of the nearest double.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole() {
            Some(whole) => write!(formatter, "{whole}"),
            None => write!(formatter, "{}", self.to_f64()),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Form::Exact(i128::from(value), 1))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(Form::Exact(i128::from(value), 1))
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self::from(i64::from(value))
    }
}

impl From<Millionths> for Number {
    fn from(value: Millionths) -> Self {
        decimal(value.0, 1_000_000)
    }
}

impl From<MilliPoints> for Number {
    fn from(value: MilliPoints) -> Self {
        decimal(i64::from(value.0), 1000)
    }
}

/// A fixed-point value without needless zeros, so that products of several stay within 128 bits.
fn decimal(mut numerator: i64, mut denominator: i64) -> Number {
    while denominator > 1 && numerator % 10 == 0 {
        (numerator, denominator) = (numerator / 10, denominator / 10);
    }
    Number(Form::Exact(i128::from(numerator), i128::from(denominator)))
}

/// Both brought to one denominator, the smaller of the two where it divides the other.
fn aligned(
    left: (i128, i128),
    right: (i128, i128),
    operation: impl Fn(i128, i128) -> Option<i128>,
) -> Option<(i128, i128)> {
    if left.1 == right.1 {
        return Some((operation(left.0, right.0)?, left.1));
    }
    if left.1 % right.1 == 0 {
        return Some((operation(left.0, right.0.checked_mul(left.1 / right.1)?)?, left.1));
    }
    if right.1 % left.1 == 0 {
        return Some((operation(left.0.checked_mul(right.1 / left.1)?, right.0)?, right.1));
    }
    let (lifted_left, lifted_right) = (left.0.checked_mul(right.1)?, right.0.checked_mul(left.1)?);
    Some((operation(lifted_left, lifted_right)?, left.1.checked_mul(right.1)?))
}

/// Compares by products of 256 bits. Denominators are above zero.
fn compare_wide(left: (i128, i128), right: (i128, i128)) -> Ordering {
    let signs = left.0.signum().cmp(&right.0.signum());
    if signs.is_ne() {
        return signs;
    }
    let magnitudes = product(left.0.unsigned_abs(), right.1.unsigned_abs())
        .cmp(&product(right.0.unsigned_abs(), left.1.unsigned_abs()));
    if left.0 < 0 { magnitudes.reverse() } else { magnitudes }
}

/// A product as (upper, lower) 128 bits.
fn product(left: u128, right: u128) -> (u128, u128) {
    const LOW: u128 = (1 << 64) - 1;
    let ((left_high, left_low), (right_high, right_low)) = ((left >> 64, left & LOW), (right >> 64, right & LOW));
    let low = left_low * right_low;
    let middle = left_high * right_low + (low >> 64);
    let cross = left_low * right_high + (middle & LOW);
    (left_high * right_high + (middle >> 64) + (cross >> 64), (cross << 64) | (low & LOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn number(value: f64) -> Number {
        Number::from_f64(value).expect("finite")
    }

    #[test]
    fn thresholds_are_met_exactly() {
        assert_eq!(Number::from(90).times(number(0.7)), Some(Number::from(63)));
        assert_eq!(number(0.1).plus(number(0.2)), Some(number(0.3)));
        assert_eq!(Number::from(MilliPoints(70_000)), Number::from(70));
        assert_eq!(Number::from(Millionths(66_666_667)), number(66.666_667));
        assert!(Number::from(Millionths(69_999_999)) < Number::from(70));
    }

    #[test]
    fn thirds_add_up() {
        let third = Number::from(1).divided_by(Number::from(3)).expect("a number");
        assert_eq!(third.plus(third).and_then(|two| two.plus(third)), Some(Number::from(1)));
        assert_eq!(Number::from(7).divided_by(Number::from(-2)), Some(number(-3.5)));
        assert_eq!(number(-7.5).modulo(Number::from(2)), Some(number(-1.5)));
    }

    #[test]
    fn what_does_not_fit_is_the_nearest_double() {
        let large = Number::from(i64::MAX).times(Number::from(i64::MAX)).expect("a number");
        let larger = large.times(large).expect("a number");
        assert!((larger.to_f64() / 9.223_372_036_854_776e18_f64.powi(4) - 1.0).abs() < 1e-15);
        assert_eq!(number(f64::MAX).times(number(10.0)), None);
        assert_eq!((Number::from_f64(f64::NAN).is_none(), Number::from_f64(f64::INFINITY).is_none()), (true, true));
        assert!((number(1.0 / 3.0).to_f64() - 1.0 / 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn is_read_back_in_fixed_point() {
        assert_eq!(number(0.000_000_5).to_millionths(), Some(Millionths(0)));
        assert_eq!(number(0.000_001_5).to_millionths(), Some(Millionths(2)));
        assert_eq!(number(9.1e12).to_millionths(), None);
        assert_eq!(
            Number::from(2).divided_by(Number::from(3)).and_then(Number::to_milli_points),
            Some(MilliPoints(667))
        );
        assert_eq!(number(1e300).to_milli_points(), None);
        assert_eq!((number(2.5).to_string(), Number::from(-3).to_string()), ("2.5".to_owned(), "-3".to_owned()));
    }

    proptest! {
        #[test]
        fn wide_products_agree_with_narrow_ones(left in any::<u64>(), right in any::<u64>(), third in any::<u64>()) {
            prop_assert_eq!(product(left.into(), right.into()), (0, u128::from(left) * u128::from(right)));
            // (left · 2⁶⁴) · right, put together by hand.
            let whole = u128::from(left) * u128::from(right);
            prop_assert_eq!(product(u128::from(left) << 64, right.into()), (whole >> 64, whole << 64));
            let exact = compare_wide((left.into(), i128::from(third) + 1), (right.into(), i128::from(third) + 1));
            prop_assert_eq!(exact, left.cmp(&right));
        }

        #[test]
        fn order_is_that_of_cross_products(a in any::<i64>(), b in 1_i64.., c in any::<i64>(), d in 1_i64..) {
            let left = Number::from(a).divided_by(Number::from(b)).expect("a number");
            let right = Number::from(c).divided_by(Number::from(d)).expect("a number");
            let (a, b, c, d) = (i128::from(a), i128::from(b), i128::from(c), i128::from(d));
            prop_assert_eq!(left.partial_cmp(&right), Some((a * d).cmp(&(c * b))));
        }

        #[test]
        fn millionths_survive(value in -Millionths::LIMIT..=Millionths::LIMIT) {
            prop_assert_eq!(Number::from(Millionths(value)).to_millionths(), Some(Millionths(value)));
        }

        #[test]
        fn arithmetic_never_panics(values in proptest::collection::vec(any::<i64>(), 8), doubles in proptest::collection::vec(any::<f64>(), 4)) {
            let mut numbers: Vec<Number> = values.into_iter().map(Number::from).collect();
            numbers.extend(doubles.into_iter().filter_map(Number::from_f64));
            for _ in 0..3 {
                let next: Vec<Number> = numbers.windows(2).flat_map(|pair| {
                    let (left, right) = (pair[0], pair[1]);
                    let divided = (!right.is_zero()).then(|| left.divided_by(right)).flatten();
                    let modulo = (!right.is_zero()).then(|| left.modulo(right)).flatten();
                    [left.plus(right), left.minus(right), left.times(right), divided, modulo, left.negated()]
                }).flatten().take(40).collect();
                for number in &next {
                    assert!(number.to_f64().is_finite());
                    let _ignored = (number.to_millionths(), number.to_milli_points(), number.truncated(), number.to_string());
                }
                numbers = next;
            }
        }
    }
}
