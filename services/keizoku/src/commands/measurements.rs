//! `keizoku measurements`.

use clap::{Args, Subcommand};
use keizoku_proto::ingestion::{Measurement, RecordMeasurementsRequest, RecordMeasurementsResponse};

use super::sending::{self, Outcome, SendArgs, Way};
use crate::client::{Common, Session, methods};
use crate::failure::Failure;
use crate::shell::Shell;

/// What was measured: sizes, grades, shares
#[derive(Debug, Args)]
pub(crate) struct Measurements {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send measurements; those sent before are known by their id and counted as duplicates
    #[command(after_help = "Examples:\n  keizoku measurements send measurements.jsonl --source crm\n  \
                      keizoku measurements send - --source crm --batch 5000 -o json\n\n\
                      A line is a Measurement of keizoku.ingestion.v1 in proto3 JSON:\n  \
                      {\"id\":\"m1\",\"account\":{\"external\":{\"source\":\"crm\",\"id\":\"42\"}},\"name\":\"nps\",\
                      \"occurredAt\":\"2024-12-31T09:30:00Z\",\"value\":9}\n\
                      Every line is accounted for: sent = stored + duplicate + rejected.")]
    Send(SendArgs),
}

impl Measurements {
    /// Sends the file, and prints what became of it.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        let Action::Send(args) = self.command;
        sending::run(&mut session, &args, &WAY).await
    }
}

const WAY: Way<Measurement, RecordMeasurementsRequest, RecordMeasurementsResponse> = Way {
    message: "keizoku.ingestion.v1.Measurement",
    method: methods::RECORD_MEASUREMENTS,
    request: |source, measurements, validate_only| RecordMeasurementsRequest { source, measurements, validate_only },
    outcome: |answer| Outcome {
        stored: answer.stored_count,
        duplicate: answer.duplicate_count,
        rejected: answer.rejected_count,
        rejections: answer.rejections,
    },
};
