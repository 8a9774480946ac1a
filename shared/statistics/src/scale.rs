//! Piecewise-linear scales from metric values to points, on integers.

use keizoku_base::Violations;
use keizoku_base::number::{MilliPoints, Millionths, divide_half_even};

/// A piecewise-linear scale: exact at its points, straight between them, level outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    points: Vec<(Millionths, MilliPoints)>,
}

impl Scale {
    /// The fewest points of a scale.
    pub const FEWEST: usize = 2;
    /// The most points of a scale.
    pub const MOST: usize = 20;

    /// A scale through `points`, each (metric value, points), the values strictly ascending.
    ///
    /// # Errors
    /// Every violation: fewer than [`Scale::FEWEST`] or more than [`Scale::MOST`] points, values out of order.
    pub fn new(points: Vec<(Millionths, MilliPoints)>) -> Result<Self, Violations> {
        let mut violations = Violations::new();
        if !(Self::FEWEST..=Self::MOST).contains(&points.len()) {
            let (fewest, most, count) = (Self::FEWEST, Self::MOST, points.len());
            violations.add(
                "points",
                "SCALE_POINT_COUNT",
                format!("a scale needs {fewest} to {most} points, this one has {count}"),
            );
        }
        for (index, pair) in points.windows(2).enumerate() {
            if let [(left, _), (right, _)] = pair
                && left >= right
            {
                violations.add(
                    format!("points[{}]", index + 1),
                    "SCALE_NOT_ASCENDING",
                    "the metric value must be larger than that of the point before",
                );
            }
        }
        violations.or(Self { points })
    }

    /// Its points, in ascending order of the metric value.
    pub fn points(&self) -> &[(Millionths, MilliPoints)] {
        &self.points
    }

    /// The points for `value`, half to even; that of the nearest end outside of the scale.
    pub fn at(&self, value: Millionths) -> MilliPoints {
        let next = self.points.partition_point(|(from, _)| *from <= value);
        let before = next.checked_sub(1).and_then(|index| self.points.get(index));
        match (before, self.points.get(next)) {
            (Some((from, low)), Some((to, high))) => between((*from, *low), (*to, *high), value),
            (Some((_, points)), None) | (None, Some((_, points))) => *points,
            (None, None) => MilliPoints(0),
        }
    }
}

/// `low + (high − low) · (value − from) ÷ (to − from)`: at most 2³³ · 2⁶⁵, far inside of 128 bits.
fn between(
    (from, low): (Millionths, MilliPoints),
    (to, high): (Millionths, MilliPoints),
    value: Millionths,
) -> MilliPoints {
    let width = i128::from(to.0) - i128::from(from.0);
    let rise = i128::from(high.0) - i128::from(low.0);
    let gone = i128::from(value.0) - i128::from(from.0);
    let exact = i128::from(low.0) * width + rise * gone;
    // Between two 32-bit numbers, so it fits.
    MilliPoints(i32::try_from(divide_half_even(exact, width)).unwrap_or(low.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

    fn scale(points: &[(i64, i32)]) -> Result<Scale, Violations> {
        Scale::new(points.iter().map(|(value, points)| (Millionths(*value), MilliPoints(*points))).collect())
    }

    fn at(scale: &Scale, value: i64) -> i32 {
        scale.at(Millionths(value)).0
    }

    #[test]
    fn is_exact_at_its_points_straight_between_and_level_outside() {
        let logins = scale(&[(0, 0), (20_000_000, 100_000)]).expect("valid");
        for (days, points) in [(-5, 0), (0, 0), (1, 5_000), (15, 75_000), (20, 100_000), (31, 100_000)] {
            assert_eq!(at(&logins, days * 1_000_000), points, "{days} days");
        }
    }

    #[test]
    fn may_fall_and_may_have_corners() {
        let tickets = scale(&[(0, 100_000), (3_000_000, 100_000), (6_000_000, 40_000), (10_000_000, -20_000)]);
        let tickets = tickets.expect("valid");
        for (value, points) in [(2_000_000, 100_000), (4_000_000, 80_000), (6_000_000, 40_000), (9_000_000, -5_000)] {
            assert_eq!(at(&tickets, value), points, "{value}");
        }
    }

    #[test]
    fn rounds_half_to_even() {
        let halves = scale(&[(0, 0), (2, 1), (4, 4), (6, 5)]).expect("valid");
        assert_eq!([1, 3, 5].map(|value| at(&halves, value)), [0, 2, 4]);
    }

    #[test]
    fn names_every_violation_at_once() {
        let reasons = |points: &[(i64, i32)]| {
            let violations = scale(points).expect_err("invalid");
            violations.iter().map(|violation| (violation.field.clone(), violation.reason)).collect::<Vec<_>>()
        };
        assert_eq!(reasons(&[(0, 0)]), [("points".to_owned(), "SCALE_POINT_COUNT")]);
        let many: Vec<(i64, i32)> = (0..21).map(|index| (index / 20 * 5, 0)).collect();
        assert_eq!(reasons(&many).len(), 20);
        assert_eq!(
            reasons(&[(1, 0), (1, 5), (0, 1)]),
            [("points[1]".to_owned(), "SCALE_NOT_ASCENDING"), ("points[2]".to_owned(), "SCALE_NOT_ASCENDING"),]
        );
    }

    fn any_scale() -> impl Strategy<Value = Scale> {
        prop::collection::btree_map(any::<i64>(), any::<i32>(), 2..=20).prop_map(|points| {
            let points = points.into_iter().map(|(value, points)| (Millionths(value), MilliPoints(points)));
            Scale::new(points.collect()).expect("ascending keys of a map")
        })
    }

    proptest! {
        #[test]
        fn holds_at_every_point(scale in any_scale()) {
            for (value, points) in scale.points() {
                prop_assert_eq!(scale.at(*value), *points);
            }
        }

        #[test]
        fn is_monotone_between_two_points(scale in any_scale(), segment in 0_usize..19, a in any::<i64>(), b in any::<i64>()) {
            let segment = segment % (scale.points().len() - 1);
            let ((from, low), (to, high)) = (scale.points()[segment], scale.points()[segment + 1]);
            let (a, b) = (a.min(b).clamp(from.0, to.0), a.max(b).clamp(from.0, to.0));
            let (first, second) = (scale.at(Millionths(a)), scale.at(Millionths(b)));
            let ordered = if low <= high { low <= first && first <= second && second <= high }
                else { low >= first && first >= second && second >= high };
            prop_assert!(ordered);
        }
    }
}
