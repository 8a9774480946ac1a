//! Counts in what came before definitions: woken by each, and now and then in case another replica was.

use std::sync::Arc;
use std::time::Duration;

use keizoku_runtime::Tasks;
use keizoku_storage::feed::Consumer;
use tokio_util::sync::CancellationToken;

use crate::app::{App, backfill};
use crate::error::IngestionFault;

/// How often it looks although nobody woke it.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) fn start(tasks: &Tasks, app: &Arc<App>, roller: Consumer) {
    let app = Arc::clone(app);
    tasks.spawn("backfill", move |stop| {
        let (app, roller) = (Arc::clone(&app), roller.clone());
        async move {
            while !stop.is_cancelled() {
                if let Err(fault) = activate(&app, &roller, &stop).await {
                    tracing::warn!(%fault, "what came before a definition could not be counted in; it is tried again");
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = app.backfill.notified() => {}
                    () = tokio::time::sleep(PERIOD) => {}
                }
            }
        }
    });
}

/// A page of each workspace in turn, until there is nothing left to do here.
async fn activate(app: &App, roller: &Consumer, stop: &CancellationToken) -> Result<(), IngestionFault> {
    let mut waiting = backfill::waiting(app).await?;
    while !waiting.is_empty() && !stop.is_cancelled() {
        let mut unfinished = Vec::new();
        for workspace in waiting {
            if backfill::step(app, roller, workspace).await? {
                unfinished.push(workspace);
            }
        }
        waiting = unfinished;
    }
    Ok(())
}
