//! What health means: a checked, compiled, versioned document.
//!
//! [`CompiledModel::compile`] is the one way in: it names everything that is wrong with a [`ModelDraft`] at once, and what it
//! returns can be scored without any further look at texts.

mod check;
mod draft;
#[cfg(test)]
mod tests;

use keizoku_base::Day;
use keizoku_base::number::{MilliPoints, Millionths};
use keizoku_rules::Rule;
use keizoku_statistics::Scale;

pub use draft::{
    BandDraft, ConditionDraft, InputDraft, KnownMetric, Label, MeasureDraft, MissingDraft, ModelDraft, Polarity,
    Treatment, WindowDraft,
};

use super::month::Key;
use super::window::Window;

/// A health model that can be scored.
#[derive(Debug, Clone)]
pub struct CompiledModel {
    pub(super) key: Key,
    pub(super) applies_to: Option<Rule>,
    pub(super) measures: Vec<Measure>,
    pub(super) missing: MissingRule,
    pub(super) bands: Vec<Band>,
    pub(super) levels: Vec<Condition>,
    pub(super) personas: Vec<Condition>,
    pub(super) stages: Vec<Condition>,
    /// Every window that a measure or a rule reads, each once.
    pub(super) windows: Vec<MetricWindow>,
    /// The names of the windows that rules read, with their places above; by name.
    pub(super) named: Vec<(String, usize)>,
    effective_from: Option<Day>,
    primary: bool,
}

/// A metric over a window of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricWindow {
    /// The metric's key.
    pub metric: Key,
    /// The window.
    pub window: Window,
}

/// One thing that health is made of.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its key.
    pub key: Key,
    /// Its name for people.
    pub label: Label,
    /// The unit of its value for people.
    pub unit: Label,
    /// How much it counts against the others, in millionths, above 0.
    pub weight: i64,
    /// How a value becomes points.
    pub scale: Scale,
    /// The value aimed at.
    pub target: Millionths,
    /// Days of data the account must have before it counts, from 1.
    pub minimum_days: u16,
    pub(super) input: Input,
}

/// Where a measure's value comes from.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// The window at this place of the model's windows.
    Window(usize),
    /// A formula.
    Expression(Rule),
}

/// What to do where a measure has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingRule {
    /// The way taken.
    pub treatment: Treatment,
    /// The points given, for [`Treatment::FixedPoints`].
    pub points: MilliPoints,
    /// How much of the weight must have a value, in millionths; more than nothing in any case.
    pub minimum_covered_weight: i64,
}

/// A band of health.
#[derive(Debug, Clone)]
pub struct Band {
    /// Its key.
    pub key: Key,
    /// Its name for people.
    pub label: Label,
    /// Whether it is good news.
    pub polarity: Polarity,
    pub(super) when: Option<Rule>,
}

/// A level of use, a persona or a stage.
#[derive(Debug, Clone)]
pub struct Condition {
    /// Its key.
    pub key: Key,
    /// Its name for people.
    pub label: Label,
    pub(super) when: Option<Rule>,
}

impl CompiledModel {
    /// The model's key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The first day it counts for; `None`: the day it was applied.
    pub fn effective_from(&self) -> Option<Day> {
        self.effective_from
    }

    /// Whether it is the one that is meant where no model is named.
    pub fn is_primary(&self) -> bool {
        self.primary
    }

    /// Its measures, in the order of the document.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Its bands, the best first.
    pub fn bands(&self) -> impl Iterator<Item = &Band> {
        self.bands.iter()
    }

    /// The band with that key.
    pub fn band(&self, key: &str) -> Option<&Band> {
        self.bands.iter().find(|band| band.key.as_ref() == key)
    }

    /// Its levels of use, the highest first.
    pub fn levels(&self) -> impl Iterator<Item = &Condition> {
        self.levels.iter()
    }

    /// Its personas, in the order of the document.
    pub fn personas(&self) -> impl Iterator<Item = &Condition> {
        self.personas.iter()
    }

    /// Its stages, in the order of the document.
    pub fn stages(&self) -> impl Iterator<Item = &Condition> {
        self.stages.iter()
    }

    /// Every window it reads, each once.
    pub fn windows(&self) -> &[MetricWindow] {
        &self.windows
    }

    /// Whether it reads that metric.
    pub fn reads(&self, metric: &str) -> bool {
        self.windows.iter().any(|window| window.metric.as_ref() == metric)
    }
}
