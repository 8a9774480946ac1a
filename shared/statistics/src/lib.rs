//! Statistics as pure functions: intervals of shares, percentiles, exact apportionment, piecewise-linear scales.
//!
//! Every formula names its source and is tabled against published values. Whatever reaches a stored score is computed on
//! integers, so any order, split or replay gives the same bits. Nothing here reads a store, a clock or a generator.

pub mod apportion;
pub mod interval;
pub mod percentile;
pub mod scale;

pub use apportion::{Rounded, apportion, round_together};
pub use interval::{Counts, Interval, difference, newcombe, share, wilson};
pub use percentile::{median, percentile};
pub use scale::Scale;
