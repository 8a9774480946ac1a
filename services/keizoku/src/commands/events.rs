//! `keizoku events`.

use clap::{Args, Subcommand};
use keizoku_proto::ingestion::{Event, IngestEventsRequest, IngestEventsResponse};

use super::sending::{self, Outcome, SendArgs, Way};
use crate::client::{Common, Session, methods};
use crate::failure::Failure;
use crate::shell::Shell;

/// What customers do
#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send events; those sent before are known by their id and counted as duplicates
    #[command(after_help = "Examples:\n  keizoku events send events.jsonl --source crm\n  \
                      keizoku events send - --source crm --batch 5000 -o json\n\n\
                      A line is an Event of keizoku.ingestion.v1 in proto3 JSON:\n  \
                      {\"id\":\"e1\",\"account\":{\"external\":{\"source\":\"crm\",\"id\":\"42\"}},\"name\":\"login\",\
                      \"occurredAt\":\"2024-12-31T09:30:00Z\",\"userId\":\"u7\"}\n\
                      Every line is accounted for: sent = stored + duplicate + rejected.")]
    Send(SendArgs),
}

impl Events {
    /// Sends the file, and prints what became of it.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        let Action::Send(args) = self.command;
        sending::run(&mut session, &args, &WAY).await
    }
}

const WAY: Way<Event, IngestEventsRequest, IngestEventsResponse> = Way {
    message: "keizoku.ingestion.v1.Event",
    method: methods::INGEST_EVENTS,
    request: |source, events, validate_only| IngestEventsRequest { source, events, validate_only },
    outcome: |answer| Outcome {
        stored: answer.stored_count,
        duplicate: answer.duplicate_count,
        rejected: answer.rejected_count,
        rejections: answer.rejections,
    },
};
