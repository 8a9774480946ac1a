//! Randomness that is the same on every machine and in every version: integers only, and sums of fractions of them.

/// A stream of numbers that a seed and a list of labels decide: the day of one account can be made without the days before.
///
/// The state is stirred by SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), which also gives the numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of these labels.
    pub(super) fn of(seed: u64, labels: &[u64]) -> Self {
        let mut random = Self(seed);
        for label in labels {
            random.0 = random.next() ^ label.wrapping_mul(0xd1b5_4a32_d192_ed03);
        }
        random
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and without 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of that likelihood happens.
    pub(super) fn happens(&mut self, likelihood: f64) -> bool {
        self.share() < likelihood
    }

    /// A whole number from 0 up to and without `count`, which is not 0.
    pub(super) fn below(&mut self, count: u64) -> u64 {
        // The bias of a remainder is far below what anybody could see in 2⁶⁴.
        self.next() % count.max(1)
    }

    /// A whole number from `low` to `high`.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(u64::try_from(high - low + 1).unwrap_or(1))).unwrap_or(0)
    }

    /// A number around 0 with a spread of 1, nearly normal: a sum of twelve uniform ones, because a logarithm may differ in
    /// its last bit from one machine to the next.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    /// One of a list that is not empty.
    pub(super) fn one<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let place = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        &list[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_never_changes() {
        // SplitMix64 from 0, as its authors' C code prints it.
        let mut random = Random(0);
        assert_eq!([random.next(), random.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        let first = |labels: &[u64]| Random::of(7, labels).next();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[1]), first(&[1, 0]));
    }

    #[test]
    fn numbers_stay_in_their_range_and_spread_over_it() {
        let mut random = Random::of(1, &[]);
        let shares: Vec<f64> = (0..10_000).map(|_| random.share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let normals: Vec<f64> = (0..10_000).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f64>() / 10_000.0;
        let spread = normals.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05 && (spread - 1.0).abs() < 0.05, "{mean} {spread}");
        let dice: Vec<i64> = (0..1_000).map(|_| random.between(1, 6)).collect();
        assert!((1..=6).all(|side| dice.contains(&side)) && dice.iter().all(|side| (1..=6).contains(side)));
    }
}
