//! The metrics and the health model of the invented customers: `mappings/demo-model.yaml`, as `keizoku apply` reads it.

use std::time::Duration;

use keizoku_base::Day;
use keizoku_proto::ingestion::MetricDefinition;
use keizoku_proto::scoring::model_service_client::ModelServiceClient;
use keizoku_proto::scoring::{ApplyModelRequest, HealthModel};
use keizoku_runtime::Client;
use keizoku_runtime::client::repeatable;
use tonic::{Code, Status};

use crate::failure::{Failure, violations};
use crate::import::sink::Wire;
use crate::manifest::{self, Document, Kind};

/// From how many days ago the model counts, so that there is a history to look at.
pub(super) const HISTORY_DAYS: i32 = 91;
/// How often the model is applied again while the metrics are on their way to scoring.
const ATTEMPTS: u32 = 60;

const TEXT: &str = include_str!("../../../../mappings/demo-model.yaml");

/// The metrics.
pub(super) fn metrics() -> Result<Vec<MetricDefinition>, Failure> {
    documents(Kind::Metric)?.iter().map(Document::typed).collect()
}

/// Puts the model in force from a day on.
pub(super) async fn apply(client: &Client, from: Day, wire: &Wire) -> Result<(), Failure> {
    for document in documents(Kind::HealthModel)? {
        let model = HealthModel { effective_from: Some(keizoku_convert::date(from)), ..document.typed()? };
        let mut attempt = 0;
        loop {
            let request = ApplyModelRequest { model: Some(model.clone()), ..ApplyModelRequest::default() };
            let Err(status) = ModelServiceClient::new(client.clone()).apply_model(repeatable(request)).await else {
                break;
            };
            attempt += 1;
            if attempt >= ATTEMPTS || !is_early(&status) {
                return Err(wire.refused(status));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    Ok(())
}

/// Whether scoring has not heard of the metrics yet, or is not there yet.
fn is_early(status: &Status) -> bool {
    let unknown = |text: &str| text.starts_with("METRIC_UNKNOWN");
    status.code() == Code::Unavailable || violations(status).iter().any(|problem| unknown(&problem.text))
}

fn documents(kind: Kind) -> Result<Vec<Document>, Failure> {
    let found = manifest::of_text("demo-model.yaml", TEXT)?;
    Ok(found.into_iter().filter(|document| document.kind == kind).collect())
}
