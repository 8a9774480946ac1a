//! Confidence intervals of a share and of the difference of two shares.

use keizoku_base::estimate::{Design, Estimate, Method, Uncertainty};

/// A confidence interval, in the unit of the value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// What was counted for a share, and under which definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// What was counted.
    pub numerator: i64,
    /// Out of what.
    pub denominator: i64,
    /// Not decided yet, outside of the denominator.
    pub undecided: i64,
    /// Without data, outside of the denominator.
    pub missing: i64,
    /// Lost from observation, outside of the denominator.
    pub lost: i64,
    /// The version of the definition that was applied.
    pub definition_version: u32,
    /// Whether a comparison may be read as cause.
    pub design: Design,
}

/// Observations that an interval of a share needs.
pub const FEWEST: i64 = 1;

/// Wilson's score interval without continuity correction for `numerator` out of `denominator` at confidence `level`.
///
/// Source: Wilson (1927), J. Am. Stat. Assoc. 22:209; method 3 of Newcombe (1998), Stat. Med. 17:857.
/// `None` unless 0 ≤ numerator ≤ denominator, denominator ≥ 1 and 0 < level < 1.
pub fn wilson(numerator: i64, denominator: i64, level: f64) -> Option<Interval> {
    if denominator < FEWEST || !(0..=denominator).contains(&numerator) {
        return None;
    }
    let z = two_sided(level)?;
    let (hits, count) = (as_double(numerator), as_double(denominator));
    let share = hits / count;
    let scale = 1.0 + z * z / count;
    let centre = (share + z * z / (2.0 * count)) / scale;
    let half = z * (share * (1.0 - share) / count + z * z / (4.0 * count * count)).sqrt() / scale;
    // At the ends the bound equals the share; rounding must not put the share outside of its own interval.
    let low = if numerator == 0 { 0.0 } else { (centre - half).clamp(0.0, share) };
    let high = if numerator == denominator { 1.0 } else { (centre + half).clamp(share, 1.0) };
    Some(Interval { low, high })
}

/// Newcombe's hybrid score interval for `later − earlier`, each (numerator, denominator), at confidence `level`.
///
/// Source: method 10 of Newcombe (1998), Stat. Med. 17:873. `None` where either share has no Wilson interval.
pub fn newcombe(earlier: (i64, i64), later: (i64, i64), level: f64) -> Option<Interval> {
    let (first, second) = (wilson(earlier.0, earlier.1, level)?, wilson(later.0, later.1, level)?);
    let (before, after) = (as_double(earlier.0) / as_double(earlier.1), as_double(later.0) / as_double(later.1));
    let change = after - before;
    let down = (after - second.low).hypot(first.high - before);
    let up = (second.high - after).hypot(before - first.low);
    Some(Interval { low: (change - down).max(-1.0), high: (change + up).min(1.0) })
}

/// The share of `counts` with its Wilson interval; no value where the denominator is 0.
pub fn share(counts: &Counts, level: f64) -> Estimate {
    let value = (counts.denominator > 0).then(|| as_double(counts.numerator) / as_double(counts.denominator));
    let interval = wilson(counts.numerator, counts.denominator, level);
    estimate(counts, value, interval, level, Method::Wilson)
}

/// The change `later − earlier` with its Newcombe interval; no value where either denominator is 0.
///
/// The counts are those of `later`; the earlier ones stand in their own [`share`].
pub fn difference(earlier: &Counts, later: &Counts, level: f64) -> Estimate {
    let known = earlier.denominator > 0 && later.denominator > 0;
    let value = known.then(|| {
        as_double(later.numerator) / as_double(later.denominator)
            - as_double(earlier.numerator) / as_double(earlier.denominator)
    });
    let interval = newcombe((earlier.numerator, earlier.denominator), (later.numerator, later.denominator), level);
    estimate(later, value, interval, level, Method::Newcombe)
}

fn estimate(counts: &Counts, value: Option<f64>, interval: Option<Interval>, level: f64, method: Method) -> Estimate {
    Estimate {
        value,
        numerator: counts.numerator,
        denominator: counts.denominator,
        undecided: counts.undecided,
        missing: counts.missing,
        lost: counts.lost,
        uncertainty: match interval {
            Some(Interval { low, high }) => Uncertainty::Interval { low, high, level, method },
            None => Uncertainty::TooFew { needed: FEWEST },
        },
        definition_version: counts.definition_version,
        design: counts.design,
    }
}

/// How many standard deviations of the normal distribution enclose `level` of it; `None` outside of 0..1.
fn two_sided(level: f64) -> Option<f64> {
    (level > 0.0 && level < 1.0).then(|| normal_quantile(0.5 + level / 2.0))
}

/// The quantile of the standard normal distribution for 0.5 ≤ `share` < 1, to about one part in 10¹⁶.
///
/// Source: algorithm AS 241 (PPND16), Wichura (1988), Applied Statistics 37:477.
fn normal_quantile(share: f64) -> f64 {
    let centred = share - 0.5;
    if centred <= 0.425 {
        let r = 0.180_625 - centred * centred;
        return centred * polynomial(&CENTRE.0, r) / polynomial(&CENTRE.1, r);
    }
    let r = (-(1.0 - share).ln()).sqrt();
    let (tail, r) = if r <= 5.0 { (&TAIL, r - 1.6) } else { (&FAR_TAIL, r - 5.0) };
    polynomial(&tail.0, r) / polynomial(&tail.1, r)
}

/// Coefficients from the lowest power up.
fn polynomial(coefficients: &[f64; 8], at: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

type Ratio = ([f64; 8], [f64; 8]);

const CENTRE: Ratio = (
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_545,
    ],
);

const TAIL: Ratio = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_545,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        0.000_774_545_014_278_341_4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        0.000_547_593_808_499_534_5,
        1.050_750_071_644_416_9e-9,
    ],
);

const FAR_TAIL: Ratio = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        0.000_786_869_131_145_613_3,
        1.846_318_317_510_054_7e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_double(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};

    fn counts(numerator: i64, denominator: i64) -> Counts {
        Counts {
            numerator,
            denominator,
            undecided: 2,
            missing: 1,
            lost: 0,
            definition_version: 3,
            design: Design::Association,
        }
    }

    fn rounded(interval: Option<Interval>, digits: i32) -> (f64, f64) {
        let unit = 10_f64.powi(digits);
        let interval = interval.expect("an interval");
        ((interval.low * unit).round() / unit, (interval.high * unit).round() / unit)
    }

    #[test]
    fn wilson_gives_the_published_intervals() {
        // Newcombe (1998), Stat. Med. 17:857, table I, method 3.
        for (numerator, denominator, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            assert_eq!(rounded(wilson(numerator, denominator, 0.95), 4), (low, high), "{numerator}/{denominator}");
        }
        // The renewals of our own story.
        assert_eq!(rounded(wilson(6, 20, 0.95), 3), (0.145, 0.519));
        assert_eq!(rounded(wilson(17, 20, 0.95), 3), (0.640, 0.948));
    }

    #[test]
    fn newcombe_gives_the_published_intervals() {
        // Newcombe (1998), Stat. Med. 17:873, table II, method 10; there the first minus the second.
        for (first, second, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((10, 10), (0, 20), 0.6791, 1.0),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ] {
            assert_eq!(rounded(newcombe(second, first, 0.95), 4), (low, high), "{first:?} - {second:?}");
        }
        assert_eq!(rounded(newcombe((6, 20), (17, 20), 0.95), 3), (0.246, 0.733));
    }

    #[test]
    fn knows_the_quantiles_of_the_normal_distribution() {
        for (level, z) in [
            (0.5, 0.674_489_750_196_081_7),
            (0.9, 1.644_853_626_951_472_7),
            (0.95, 1.959_963_984_540_054),
            (0.99, 2.575_829_303_548_900_4),
            (0.999, 3.290_526_731_491_925_5),
        ] {
            let found = two_sided(level).expect("a level");
            assert!((found - z).abs() < 1e-12, "{level}: {found}");
        }
        assert_eq!((two_sided(0.0), two_sided(1.0), two_sided(f64::NAN)), (None, None, None));
    }

    #[test]
    fn an_estimate_carries_its_counts_and_method() {
        let found = share(&counts(17, 20), 0.95);
        assert_eq!((found.value, found.numerator, found.denominator), (Some(0.85), 17, 20));
        assert_eq!((found.undecided, found.missing, found.lost, found.definition_version), (2, 1, 0, 3));
        assert!(matches!(found.uncertainty, Uncertainty::Interval { method: Method::Wilson, .. }));
        let change = difference(&counts(6, 20), &counts(17, 20), 0.95);
        assert!((change.value.expect("a value") - 0.55).abs() < 1e-12);
        assert!(matches!(change.uncertainty, Uncertainty::Interval { method: Method::Newcombe, .. }));
    }

    #[test]
    fn nothing_counted_has_no_value_and_is_too_few() {
        let found = share(&counts(0, 0), 0.95);
        assert_eq!((found.value, found.uncertainty), (None, Uncertainty::TooFew { needed: FEWEST }));
        let change = difference(&counts(0, 0), &counts(1, 2), 0.95);
        assert_eq!((change.value, change.uncertainty), (None, Uncertainty::TooFew { needed: FEWEST }));
        assert_eq!(wilson(3, 2, 0.95), None);
        assert_eq!(wilson(-1, 2, 0.95), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share_and_mirrors(denominator in 1_i64..100_000, part in 0.0..=1.0_f64) {
            #[expect(clippy::cast_possible_truncation, reason = "a share of the denominator")]
            let numerator = (as_double(denominator) * part) as i64;
            let found = wilson(numerator, denominator, 0.95).expect("an interval");
            let value = as_double(numerator) / as_double(denominator);
            prop_assert!(0.0 <= found.low && found.low <= value && value <= found.high && found.high <= 1.0);
            let mirrored = wilson(denominator - numerator, denominator, 0.95).expect("an interval");
            prop_assert!((mirrored.low - (1.0 - found.high)).abs() < 1e-9);
        }

        #[test]
        fn a_difference_turns_its_sign_with_its_sides(
            first in 0_i64..50, first_rest in 1_i64..50, second in 0_i64..50, second_rest in 1_i64..50,
        ) {
            let (first, second) = ((first, first + first_rest), (second, second + second_rest));
            let found = newcombe(first, second, 0.95).expect("an interval");
            let turned = newcombe(second, first, 0.95).expect("an interval");
            prop_assert!((found.low + turned.high).abs() < 1e-9 && (found.high + turned.low).abs() < 1e-9);
        }
    }
}
