//! Health models: the document as it is told, kept and read again.

use keizoku_base::{Day, Violations};
use keizoku_convert::{date, parse_day, timestamp};
use keizoku_proto::scoring as proto;
use keizoku_proto::types;
use prost::Message as _;

use crate::domain::model::{
    BandDraft, ConditionDraft, InputDraft, Label, MeasureDraft, MissingDraft, ModelDraft, Polarity, Treatment,
    WindowDraft,
};
use crate::domain::window::{Aggregation, Bucket};
use crate::error::ScoringFault;
use crate::store::model::ModelRow;

/// A model as it was told.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it says.
    pub draft: ModelDraft,
    /// The encoded document, without what the server sets.
    pub(crate) bytes: Vec<u8>,
}

impl Document {
    /// Reads a caller's document; what the server sets is ignored.
    pub fn parse(message: &proto::HealthModel, violations: &mut Violations) -> Self {
        let draft = draft(message, violations);
        let bare = proto::HealthModel { version: 0, in_force: false, created_at: None, ..message.clone() };
        Self { draft, bytes: bare.encode_to_vec() }
    }
}

/// A kept document as its message, with what the server sets.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where it cannot be read.
pub(crate) fn document(row: &ModelRow, in_force: bool) -> Result<proto::HealthModel, ScoringFault> {
    let message = proto::HealthModel::decode(row.document.as_slice()).map_err(|_| ScoringFault::Corrupt("a model"))?;
    Ok(proto::HealthModel {
        version: row.version,
        effective_from: Some(date(row.effective_from)),
        primary: row.primary,
        in_force,
        created_at: Some(timestamp(row.created_at)),
        ..message
    })
}

/// The draft that a kept document was accepted as.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where it cannot be read.
pub(crate) fn revive(document: &[u8]) -> Result<ModelDraft, ScoringFault> {
    let message = proto::HealthModel::decode(document).map_err(|_| ScoringFault::Corrupt("a model"))?;
    Ok(draft(&message, &mut Violations::new()))
}

fn draft(message: &proto::HealthModel, violations: &mut Violations) -> ModelDraft {
    let measures = message.measures.iter().map(measure).collect();
    let conditions = |list: Vec<(&String, &Option<types::Label>, &String)>| -> Vec<ConditionDraft> {
        let read = |(key, named, when): (&String, &Option<types::Label>, &String)| ConditionDraft {
            key: key.clone(),
            label: label(named.as_ref()),
            when: when.clone(),
        };
        list.into_iter().map(read).collect()
    };
    let levels = message.levels.iter().map(|level| (&level.key, &level.label, &level.when)).collect();
    let personas = message.personas.iter().map(|persona| (&persona.key, &persona.label, &persona.when)).collect();
    let stages = message.stages.iter().map(|stage| (&stage.key, &stage.label, &stage.when)).collect();
    ModelDraft {
        key: message.key.clone(),
        applies_to: message.applies_to.clone(),
        measures,
        missing: missing(message.missing.as_ref()),
        bands: message.bands.iter().map(band).collect(),
        levels: conditions(levels),
        personas: conditions(personas),
        stages: conditions(stages),
        effective_from: effective_from(message, violations),
        primary: message.primary,
    }
}

fn effective_from(message: &proto::HealthModel, violations: &mut Violations) -> Option<Day> {
    message.effective_from.as_ref().and_then(|date| parse_day(date, "effective_from", violations))
}

fn measure(message: &proto::Measure) -> MeasureDraft {
    use proto::measure::Input;
    let input = message.input.as_ref().map(|input| match input {
        Input::Window(window) => InputDraft::Window(draft_window(window)),
        Input::Expression(text) => InputDraft::Expression(text.clone()),
    });
    MeasureDraft {
        key: message.key.clone(),
        label: label(message.label.as_ref()),
        unit: label(message.unit.as_ref()),
        weight: message.weight,
        input,
        scale: message.scale.iter().map(|point| (point.value, point.points)).collect(),
        target: message.target,
        minimum_days: message.minimum_days,
    }
}

fn draft_window(message: &proto::MetricWindow) -> WindowDraft {
    use proto::metric_window::{Aggregation as Wire, Bucket as WireBucket};
    let aggregation = match message.aggregation() {
        Wire::Unspecified => None,
        Wire::Sum => Some(Aggregation::Sum),
        Wire::Mean => Some(Aggregation::Mean),
        Wire::Max => Some(Aggregation::Max),
        Wire::Last => Some(Aggregation::Last),
        Wire::DistinctUsers => Some(Aggregation::DistinctUsers),
        Wire::ActiveDays => Some(Aggregation::ActiveDays),
        Wire::DaysSinceLast => Some(Aggregation::DaysSinceLast),
        Wire::TrendPercent => Some(Aggregation::TrendPercent),
    };
    let bucket = match message.bucket() {
        WireBucket::Unspecified => None,
        WireBucket::Day => Some(Bucket::Day),
        WireBucket::Week => Some(Bucket::Week),
        WireBucket::Month => Some(Bucket::Month),
    };
    WindowDraft {
        metric: message.metric.clone(),
        aggregation,
        bucket,
        length: message.length,
        offset: message.offset,
        include_open: message.include_open,
    }
}

fn missing(message: Option<&proto::MissingRule>) -> MissingDraft {
    use proto::missing_rule::Treatment as Wire;
    let Some(message) = message else { return MissingDraft::default() };
    let treatment = match message.treatment() {
        Wire::Unspecified | Wire::Reweight => Treatment::Reweight,
        Wire::FixedPoints => Treatment::FixedPoints,
        Wire::Unscored => Treatment::Unscored,
    };
    MissingDraft { treatment, points: message.points, minimum_covered_weight: message.minimum_covered_weight }
}

fn band(message: &proto::Band) -> BandDraft {
    let polarity = match message.polarity() {
        proto::Polarity::Unspecified => None,
        proto::Polarity::Good => Some(Polarity::Good),
        proto::Polarity::Neutral => Some(Polarity::Neutral),
        proto::Polarity::Bad => Some(Polarity::Bad),
    };
    let label = label(message.label.as_ref());
    BandDraft { key: message.key.clone(), label, polarity, when: message.when.clone() }
}

fn label(message: Option<&types::Label>) -> Label {
    message.map(|label| Label { en: label.en.clone(), ja: label.ja.clone() }).unwrap_or_default()
}
