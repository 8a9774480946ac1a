//! Metrics that a mapping defines.

use keizoku_base::Violations;
use keizoku_proto::ingestion::MetricDefinition;
use serde_norway::Value;

use crate::manifest::{self, Kind};

/// The metrics of a mapping. What is wrong with them leaves violations.
pub(super) fn read(values: &[Value], violations: &mut Violations) -> Vec<MetricDefinition> {
    let mut metrics = Vec::new();
    for (place, value) in values.iter().enumerate() {
        match manifest::part::<MetricDefinition>(Kind::Metric, value) {
            Ok(metric) => metrics.push(metric),
            Err(problems) => {
                for problem in problems {
                    violations.add(format!("metrics[{place}].{}", problem.place), "MAPPING_INVALID", problem.text);
                }
            }
        }
    }
    metrics
}
