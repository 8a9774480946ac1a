//! A health model as it was written: nothing is checked yet.

use keizoku_base::Day;

use crate::domain::month::Key;
use crate::domain::window::{Aggregation, Bucket};

/// A text in both languages of the product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// A model as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelDraft {
    /// Its name.
    pub key: String,
    /// Which accounts it applies to; empty: all.
    pub applies_to: String,
    /// What it is made of.
    pub measures: Vec<MeasureDraft>,
    /// What to do where a measure has no value.
    pub missing: MissingDraft,
    /// The bands, the best first.
    pub bands: Vec<BandDraft>,
    /// Usage levels, the highest first.
    pub levels: Vec<ConditionDraft>,
    /// Personas.
    pub personas: Vec<ConditionDraft>,
    /// Stages of the customer's way.
    pub stages: Vec<ConditionDraft>,
    /// The first day it counts for; `None`: the day it is applied.
    pub effective_from: Option<Day>,
    /// Whether it is the one that is meant where no model is named.
    pub primary: bool,
}

/// A measure as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeasureDraft {
    /// Its name.
    pub key: String,
    /// Its name for people.
    pub label: Label,
    /// The unit of its value for people.
    pub unit: Label,
    /// How much it counts against the others.
    pub weight: f64,
    /// Where its value comes from.
    pub input: Option<InputDraft>,
    /// How a value becomes points: (value, points).
    pub scale: Vec<(f64, f64)>,
    /// The value aimed at; `None`: the first value of the scale with the most points.
    pub target: Option<f64>,
    /// Days of data the account must have before it counts; 0 and 1 are the same.
    pub minimum_days: i32,
}

/// Where a value comes from, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum InputDraft {
    /// A metric over a window.
    Window(WindowDraft),
    /// A formula.
    Expression(String),
}

/// A window as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowDraft {
    /// The metric's key.
    pub metric: String,
    /// How the buckets become one number; `None`: not stated.
    pub aggregation: Option<Aggregation>,
    /// What a bucket is; `None`: not stated.
    pub bucket: Option<Bucket>,
    /// How many buckets.
    pub length: i32,
    /// How many buckets the window ends before the latest one.
    pub offset: i32,
    /// Whether the bucket that is not over yet counts as the latest one.
    pub include_open: bool,
}

/// What to do where a measure has no value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Treatment {
    /// Leave it out and let the others count for more.
    #[default]
    Reweight,
    /// Give it fixed points.
    FixedPoints,
    /// No score at all.
    Unscored,
}

/// What to do where a measure has no value, as it was written.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MissingDraft {
    /// The way taken.
    pub treatment: Treatment,
    /// The points given, for [`Treatment::FixedPoints`].
    pub points: f64,
    /// How much of the weight must have a value, 0 to 1.
    pub minimum_covered_weight: f64,
}

/// Whether a band is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// Good.
    Good,
    /// Neither.
    Neutral,
    /// Bad.
    Bad,
}

impl Polarity {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Neutral => "neutral",
            Self::Bad => "bad",
        }
    }
}

/// A band as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BandDraft {
    /// Its key.
    pub key: String,
    /// Its name for people.
    pub label: Label,
    /// Whether it is good news; `None`: not stated.
    pub polarity: Option<Polarity>,
    /// When it holds; empty: always.
    pub when: String,
}

/// A level, persona or stage as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConditionDraft {
    /// Its key.
    pub key: String,
    /// Its name for people.
    pub label: Label,
    /// When it holds; empty: always.
    pub when: String,
}

/// A metric of the workspace that models may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMetric {
    /// Its key.
    pub key: Key,
    /// Whether it counts different users.
    pub distinct: bool,
}
