//! Percentiles and medians of counted values.

/// The percentile of `values`, each (value, how many times), at `share` (0 to 1): type 7 of the values written out.
///
/// Type 7 interpolates linearly between the order statistics around `(n − 1) · share`. Source: Hyndman & Fan (1996), The
/// American Statistician 50:361; the default of R, NumPy and Excel's PERCENTILE.INC. Sorts `values` in place.
///
/// `None` where nothing is counted, for a share outside of 0..=1, and where a value is not finite.
pub fn percentile(values: &mut [(f64, u64)], share: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&share) || values.iter().any(|(value, _)| !value.is_finite()) {
        return None;
    }
    values.sort_by(|left, right| left.0.total_cmp(&right.0));
    let count = values.iter().try_fold(0_u64, |sum, (_, times)| sum.checked_add(*times))?;
    let place = as_double(count.checked_sub(1)?) * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the count")]
    let below = place.floor() as u64;
    let low = order_statistic(values, below)?;
    let high = order_statistic(values, (below + 1).min(count - 1))?;
    // Equal neighbours first: rounding must not move off a value that both share.
    if low == high { Some(low) } else { Some(low + (high - low) * (place - place.floor())) }
}

/// The median: the [`percentile`] at one half.
pub fn median(values: &mut [(f64, u64)]) -> Option<f64> {
    percentile(values, 0.5)
}

/// The value at `place`, counted from 0, of sorted `values` written out.
fn order_statistic(values: &[(f64, u64)], place: u64) -> Option<f64> {
    let mut passed = 0;
    values.iter().find_map(|(value, times)| {
        passed += times;
        (place < passed).then_some(*value)
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_double(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    fn once(values: &[f64]) -> Vec<(f64, u64)> {
        values.iter().map(|value| (*value, 1)).collect()
    }

    #[test]
    fn follows_type_seven() {
        // R: quantile(c(15, 20, 35, 40, 50), c(.05, .25, .4, .5, .9)) and quantile(1:10, c(.1, .25, .75, .9)).
        for (share, wanted) in [(0.0, 15.0), (0.05, 16.0), (0.25, 20.0), (0.4, 29.0), (0.5, 35.0), (0.9, 46.0)] {
            let found = percentile(&mut once(&[50.0, 15.0, 35.0, 20.0, 40.0]), share).expect("values");
            assert!((found - wanted).abs() < 1e-12, "{share}: {found}");
        }
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        for (share, wanted) in [(0.1, 1.9), (0.25, 3.25), (0.75, 7.75), (0.9, 9.1)] {
            let found = percentile(&mut once(&ten), share).expect("values");
            assert!((found - wanted).abs() < 1e-12, "{share}: {found}");
        }
    }

    #[test]
    fn a_median_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&mut once(&[4.0, 1.0, 3.0, 2.0])), Some(2.5));
        assert_eq!(median(&mut [(9.0, 3), (1.0, 2)]), Some(9.0));
    }

    #[test]
    fn nothing_counted_and_no_number_have_no_percentile() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [(1.0, 0)]), None);
        assert_eq!(median(&mut [(f64::NAN, 1)]), None);
        assert_eq!(percentile(&mut once(&[1.0]), 1.1), None);
    }

    proptest! {
        #[test]
        fn counting_equals_writing_out(
            values in prop::collection::vec((-1e9..1e9_f64, 0_u64..5), 1..30), share in 0.0..=1.0_f64,
        ) {
            let mut written: Vec<(f64, u64)> = Vec::new();
            for (value, times) in &values {
                written.extend((0..*times).map(|_| (*value, 1)));
            }
            prop_assert_eq!(percentile(&mut values.clone(), share), percentile(&mut written, share));
        }

        #[test]
        fn grows_with_the_share(values in prop::collection::vec(-1e9..1e9_f64, 1..30), a in 0.0..=1.0_f64, b in 0.0..=1.0_f64) {
            let at = |share| percentile(&mut once(&values), share).expect("values");
            prop_assert!(at(a.min(b)) <= at(a.max(b)) + 1e-6);
        }
    }
}
