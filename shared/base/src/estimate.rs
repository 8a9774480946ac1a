//! A statistic together with what it takes to believe it.

/// How sure an estimate is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Uncertainty {
    /// A confidence interval.
    Interval {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
        /// Confidence, 0 to 1.
        level: f64,
        /// How it was computed.
        method: Method,
    },
    /// Everything was counted; there is nothing to infer.
    Census,
    /// Too few observations for an interval.
    TooFew {
        /// How many an interval would need.
        needed: i64,
    },
}

/// How an interval was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Wilson's score interval for one share.
    Wilson,
    /// Newcombe's hybrid score interval for a difference of two shares.
    Newcombe,
}

/// Whether a comparison may be read as cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// Observed: association only.
    Association,
    /// Assigned at random.
    Randomised,
}

/// A share or rate with its counts. Missing is never counted as zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The value; `None` where the denominator is 0.
    pub value: Option<f64>,
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
    /// How sure.
    pub uncertainty: Uncertainty,
    /// The version of the definition that was applied.
    pub definition_version: u32,
    /// Whether a comparison may be read as cause.
    pub design: Design,
}
