//! Exact values of measures: fractions of millionths, rounded only where points are given.

use std::cmp::Ordering;

use keizoku_base::number::{MilliPoints, Millionths, divide_half_even};
use keizoku_rules::Number;
use keizoku_statistics::Scale;

/// An exact value in millionths: numerator ÷ denominator, in lowest terms, the denominator above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    /// A number of millionths.
    pub fn millionths(value: i128) -> Self {
        Self { numerator: value, denominator: 1 }
    }

    /// A whole number; `None` where it does not fit.
    pub fn whole(value: i128) -> Option<Self> {
        value.checked_mul(i128::from(Millionths::ONE)).map(Self::millionths)
    }

    /// `numerator ÷ denominator` millionths; `None` for a denominator of 0 or numbers at the very end of 128 bits.
    pub fn of(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return None;
        }
        let divisor = common_divisor(numerator, denominator) * denominator.signum();
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// The nearest millionth, half to even, held within [`Millionths::LIMIT`].
    pub fn rounded(self) -> Millionths {
        // Twice a remainder must fit: a denominator past that only arises from values past every limit.
        let exact = if self.denominator >= 1 << 126 { 0 } else { divide_half_even(self.numerator, self.denominator) };
        let limit = i128::from(Millionths::LIMIT);
        Millionths(i64::try_from(exact.clamp(-limit, limit)).unwrap_or(Millionths::LIMIT))
    }

    /// As a double, for rules and for people: the nearest one wherever both numbers fit into 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "rules and people read doubles")]
    pub fn to_f64(self) -> f64 {
        match self.denominator.checked_mul(i128::from(Millionths::ONE)) {
            Some(whole) => self.numerator as f64 / whole as f64,
            None => self.rounded().to_f64(),
        }
    }

    /// As a number of rules: exact wherever that fits.
    pub(super) fn number(self) -> Number {
        let whole = self.denominator.checked_mul(i128::from(Millionths::ONE));
        let exact = whole.and_then(|whole| Self::of(self.numerator, whole));
        exact
            .and_then(|exact| Number::fraction(exact.numerator, exact.denominator))
            .unwrap_or_else(|| self.rounded().into())
    }

    /// The points for it, rounded once, half to even; those of the nearest end outside of the scale.
    pub fn points_on(self, scale: &Scale) -> MilliPoints {
        let points = scale.points();
        let next = points.partition_point(|(from, _)| Self::millionths(i128::from(from.0)) <= self);
        let before = next.checked_sub(1).and_then(|index| points.get(index));
        match (before, points.get(next)) {
            (Some(low), Some(high)) => self.between(*low, *high).unwrap_or_else(|| scale.at(self.rounded())),
            (Some((_, points)), None) | (None, Some((_, points))) => *points,
            (None, None) => MilliPoints(0),
        }
    }

    /// On the straight line between two points; `None` where the exact arithmetic would leave 128 bits.
    fn between(
        self,
        (from, low): (Millionths, MilliPoints),
        (to, high): (Millionths, MilliPoints),
    ) -> Option<MilliPoints> {
        let width = i128::from(to.0) - i128::from(from.0);
        let rise = i128::from(high.0) - i128::from(low.0);
        let gone = self.numerator.checked_sub(i128::from(from.0).checked_mul(self.denominator)?)?;
        let bottom = width.checked_mul(self.denominator).filter(|bottom| *bottom < 1 << 126)?;
        let exact = i128::from(low.0).checked_mul(bottom)?.checked_add(rise.checked_mul(gone)?)?;
        i32::try_from(divide_half_even(exact, bottom)).ok().map(MilliPoints)
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ratio {
    /// Exact for all values: by whole parts, then by the fractions turned upside down.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (*self, *other);
        let mut turned = false;
        loop {
            let wholes =
                left.numerator.div_euclid(left.denominator).cmp(&right.numerator.div_euclid(right.denominator));
            let (left_rest, right_rest) =
                (left.numerator.rem_euclid(left.denominator), right.numerator.rem_euclid(right.denominator));
            let order = match wholes {
                Ordering::Equal if left_rest != 0 && right_rest != 0 => {
                    left = Self { numerator: left.denominator, denominator: left_rest };
                    right = Self { numerator: right.denominator, denominator: right_rest };
                    turned = !turned;
                    continue;
                }
                Ordering::Equal => left_rest.signum().cmp(&right_rest.signum()),
                Ordering::Less | Ordering::Greater => wholes,
            };
            return if turned { order.reverse() } else { order };
        }
    }
}

/// Above 0; `right` is not 0.
fn common_divisor(left: i128, right: i128) -> i128 {
    let (mut left, mut right) = (left.unsigned_abs(), right.unsigned_abs());
    while right != 0 {
        // Most numbers are short, and dividing those is several times faster.
        if let (Ok(mut short), Ok(mut rest)) = (u64::try_from(left), u64::try_from(right)) {
            while rest != 0 {
                (short, rest) = (rest, short % rest);
            }
            return i128::from(short);
        }
        (left, right) = (right, left % right);
    }
    i128::try_from(left).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn scale(points: &[(i64, i32)]) -> Scale {
        Scale::new(points.iter().map(|(value, points)| (Millionths(*value), MilliPoints(*points))).collect())
            .expect("valid")
    }

    #[test]
    fn thirty_percent_under_ninety_is_sixty_three_exactly() {
        let change = Ratio::of((63 - 90) * 100_000_000, 90).expect("a ratio");
        assert_eq!(change, Ratio::whole(-30).expect("fits"));
        assert_eq!(change.to_f64().to_bits(), (-30.0_f64).to_bits());
        assert!(Ratio::of((63_000_001 - 90_000_000) * 100, 90) > Some(change));
    }

    #[test]
    fn a_third_is_rounded_only_once() {
        let third = Ratio::of(1_000_000, 3).expect("a ratio");
        assert_eq!(third.rounded(), Millionths(333_333));
        // A steep scale: by way of whole millionths it would give 99,999.9 → 100,000 less a tenth.
        assert_eq!(third.points_on(&scale(&[(333_330, 0), (333_340, 100_000)])), MilliPoints(33_333));
        assert_eq!(scale(&[(333_330, 0), (333_340, 100_000)]).at(third.rounded()), MilliPoints(30_000));
    }

    #[test]
    fn nothing_can_be_divided_by_zero() {
        assert_eq!(Ratio::of(1, 0), None);
        assert_eq!(Ratio::of(6, -4), Ratio::of(-3, 2));
    }

    proptest! {
        #[test]
        fn orders_like_the_products(a in any::<i64>(), b in 1..i64::MAX, c in any::<i64>(), d in 1..i64::MAX) {
            let [a, b, c, d] = [a, b, c, d].map(i128::from);
            let (left, right) = (Ratio::of(a, b).expect("a ratio"), Ratio::of(c, d).expect("a ratio"));
            prop_assert_eq!(left.cmp(&right), (a * d).cmp(&(c * b)));
        }

        #[test]
        fn agrees_with_the_scale_on_whole_millionths(value in -3_000_000_i64..3_000_000) {
            let scale = scale(&[(-2_000_000, 100_000), (0, 3), (7, 99), (1_999_999, 0)]);
            prop_assert_eq!(Ratio::millionths(i128::from(value)).points_on(&scale), scale.at(Millionths(value)));
        }

        #[test]
        fn a_rising_scale_never_falls(a in any::<i64>(), b in any::<i64>(), by in 1_i128..1000) {
            let scale = scale(&[(-5_000_000_000, 0), (0, 1_000), (9_000_000_000_000, 100_000)]);
            let points = |value: i64| Ratio::of(i128::from(value), by).expect("a ratio").points_on(&scale);
            prop_assert!(points(a.min(b)) <= points(a.max(b)));
        }
    }
}
