//! Whole parts that add up exactly, by the method of largest remainders (Hamilton).

use keizoku_base::number::divide_half_even;

/// A total and its whole parts; the parts add up to the total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rounded {
    /// The exact sum, rounded once, half to even.
    pub total: i64,
    /// The parts in the order given, each less than one away from its exact value.
    pub parts: Vec<i64>,
}

/// Divides `total` into whole parts in proportion to `weights`.
///
/// The exact part is `total · weight ÷ Σ weights`. Each part is its floor; what is left over goes, one each, to the largest
/// remainders, ties to the lower index. Weights may be negative as long as their sum is not zero: the rule is the same.
///
/// `None` where the weights add up to zero and the total does not, and where the arithmetic would leave 128 bits
/// (|total · weight| ≥ 2¹²⁷) or a part would leave 64.
pub fn apportion(total: i64, weights: &[i128]) -> Option<Vec<i64>> {
    let sum = sum_of(weights)?;
    if sum == 0 {
        return (total == 0).then(|| vec![0; weights.len()]);
    }
    let shares: Option<Vec<i128>> = weights.iter().map(|weight| weight.checked_mul(i128::from(total))).collect();
    round_together(&shares?, sum).map(|rounded| rounded.parts)
}

/// Rounds the exact values `numerators[i] ÷ denominator` so that their rounded sum is the sum of the rounded.
///
/// The total is the exact sum, half to even. Each part is its floor; what is left over goes, one each, to the largest
/// remainders, ties to the lower index. A value that is whole stays as it is, whatever the signs of the others: score
/// contributions may be negative and may cancel each other out.
///
/// `None` for a denominator of zero, and where the arithmetic would leave 128 bits or a part would leave 64.
pub fn round_together(numerators: &[i128], denominator: i128) -> Option<Rounded> {
    // Twice a remainder must fit, for the half.
    if denominator == 0 || denominator.unsigned_abs() >= 1 << 126 {
        return None;
    }
    let sign = denominator.signum();
    let denominator = denominator.checked_mul(sign)?;
    let numerators: Vec<i128> = numerators.iter().map(|value| value.checked_mul(sign)).collect::<Option<_>>()?;
    let total = divide_half_even(sum_of(&numerators)?, denominator);
    let mut parts: Vec<i128> = numerators.iter().map(|value| value.div_euclid(denominator)).collect();
    let left_over = usize::try_from(total - sum_of(&parts)?).ok()?;
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by_key(|index| {
        let remainder = numerators.get(*index).map_or(0, |value| value.rem_euclid(denominator));
        (std::cmp::Reverse(remainder), *index)
    });
    for index in by_remainder.into_iter().take(left_over) {
        if let Some(part) = parts.get_mut(index) {
            *part += 1;
        }
    }
    let parts = parts.into_iter().map(|part| i64::try_from(part).ok()).collect::<Option<_>>()?;
    Some(Rounded { total: i64::try_from(total).ok()?, parts })
}

fn sum_of(values: &[i128]) -> Option<i128> {
    values.iter().try_fold(0_i128, |sum, value| sum.checked_add(*value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn shares_out_seats_as_published() {
        // Balinski & Young, Fair Representation: the example of the Hamilton method with 21 seats.
        assert_eq!(apportion(21, &[7270, 1230, 2220]), Some(vec![14, 3, 4]));
        // The Alabama paradox of the same book, seen from both sides.
        assert_eq!(apportion(10, &[6, 6, 2]), Some(vec![4, 4, 2]));
        assert_eq!(apportion(11, &[6, 6, 2]), Some(vec![5, 5, 1]));
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        assert_eq!(apportion(100, &[1, 1, 1]), Some(vec![34, 33, 33]));
        assert_eq!(apportion(-100, &[1, 1, 1]), Some(vec![-33, -33, -34]));
        assert_eq!(apportion(1, &[0, 1, 1]), Some(vec![0, 1, 0]));
    }

    #[test]
    fn weights_that_cancel_out_can_share_only_nothing() {
        assert_eq!(apportion(0, &[5, -5]), Some(vec![0, 0]));
        assert_eq!(apportion(1, &[5, -5]), None);
        assert_eq!(apportion(7, &[]), None);
        assert_eq!(apportion(0, &[]), Some(vec![]));
        assert_eq!(apportion(i64::MAX, &[i128::MAX, 1]), None);
    }

    #[test]
    fn contributions_may_be_negative_and_cancel_each_other_out() {
        let rounded = round_together(&[10, -10, 1], 3).expect("in range");
        assert_eq!(rounded, Rounded { total: 0, parts: vec![3, -3, 0] });
        assert_eq!(round_together(&[1, 1, 1], 2), Some(Rounded { total: 2, parts: vec![1, 1, 0] }));
        assert_eq!(round_together(&[1], 0), None);
        assert_eq!(round_together(&[i128::MIN], -1), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn parts_add_up_and_each_is_less_than_one_away(
            numerators in prop::collection::vec(-1_000_000_000_000_i128..1_000_000_000_000, 0..20),
            denominator in prop::num::i32::ANY.prop_filter("not zero", |value| *value != 0).prop_map(i128::from),
        ) {
            let rounded = round_together(&numerators, denominator).expect("in range");
            prop_assert_eq!(rounded.parts.iter().sum::<i64>(), rounded.total);
            for (part, numerator) in rounded.parts.iter().zip(&numerators) {
                let twice = (i128::from(*part) * denominator - numerator).abs();
                prop_assert!(twice < denominator.abs());
            }
        }

        #[test]
        fn shares_add_up_to_the_total(
            total in any::<i64>(),
            weights in prop::collection::vec(0_i128..1_000_000_000_000, 1..20),
        ) {
            if weights.iter().sum::<i128>() != 0 {
                let parts = apportion(total, &weights).expect("in range");
                prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(total));
            }
        }
    }
}
