//! A figure: the median of what the rounds gave, with its spread.

use std::fmt::Write as _;

/// From which spread on (largest − smallest, as a share of the median) a figure says that it is noisy.
const NOISY: f64 = 0.3;

/// What one figure came to, round by round.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    bench: &'static str,
    name: &'static str,
    unit: &'static str,
    samples: Vec<f64>,
}

impl Figure {
    /// A figure without a sample.
    pub(crate) fn new(bench: &'static str, name: &'static str, unit: &'static str) -> Self {
        Self { bench, name, unit, samples: Vec::new() }
    }

    /// Adds what a round gave.
    pub(crate) fn add(&mut self, sample: f64) {
        self.samples.push(sample);
    }

    /// The middle of the samples; of an even number, the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The figure as a line of JSON.
    pub(crate) fn line(&self) -> String {
        let sorted = self.sorted();
        let (least, most) = (sorted.first().copied(), sorted.last().copied());
        let (least, most) = (least.unwrap_or(f64::NAN), most.unwrap_or(f64::NAN));
        let median = self.median();
        let noisy = (most - least) > NOISY * median.abs();
        let mut line = String::from("{");
        for (key, text) in [("bench", self.bench), ("figure", self.name)] {
            write!(line, "\"{key}\":\"{text}\",").ok();
        }
        for (key, value) in [("value", median), ("min", least), ("max", most)] {
            write!(line, "\"{key}\":{},", rounded(value)).ok();
        }
        let (rounds, unit) = (sorted.len(), self.unit);
        write!(line, "\"rounds\":{rounds},\"noisy\":{noisy},\"unit\":\"{unit}\"}}").ok();
        line
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }
}

/// Four digits, no more than a noisy machine has to tell; `null` for what is no number.
pub(crate) fn rounded(value: f64) -> String {
    if !value.is_finite() {
        return "null".to_owned();
    }
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    // Whole numbers are told whole.
    let places = (3.0 - digits).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
