//! Lets go of what was kept long enough, and makes room for what comes.

use std::sync::Arc;
use std::time::Duration;

use keizoku_runtime::Tasks;

use crate::app::App;
use crate::app::retention::{Kept, expire, make_room};
use crate::error::IngestionFault;

const PERIOD: Duration = Duration::from_secs(600);

pub(super) fn start(tasks: &Tasks, app: &Arc<App>, kept: Kept) {
    let app = Arc::clone(app);
    tasks.spawn("ingestion retention", move |stop| {
        let app = Arc::clone(&app);
        async move {
            while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
                if let Err(fault) = activate(&app, kept).await {
                    tracing::warn!(%fault, "what is old could not be let go; it is tried again");
                }
            }
        }
    });
}

async fn activate(app: &App, kept: Kept) -> Result<(), IngestionFault> {
    make_room(app).await?;
    expire(app, kept).await
}
