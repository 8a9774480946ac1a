//! Background work: the roller follows the log of events, a backfill counts in what came before, retention lets go.

mod backfill;
mod retention;
mod roller;

use std::sync::Arc;

use keizoku_runtime::Tasks;
use keizoku_storage::feed::{Ringer, RingerSettings};

use crate::app::App;
use crate::app::retention::Kept;

/// Starts all of it.
pub(crate) fn start(tasks: &Tasks, app: &Arc<App>, kept: Kept) {
    let ringer = Arc::new(Ringer::new(app.db.clone(), RingerSettings::default()));
    tasks.spawn("ingestion ringer", move |stop| {
        let ringer = Arc::clone(&ringer);
        async move { ringer.run(stop).await }
    });
    let roller = roller::consumer(app);
    backfill::start(tasks, app, roller.clone());
    tasks.spawn("roller", move |stop| {
        let roller = roller.clone();
        async move { roller.run(stop).await }
    });
    retention::start(tasks, app, kept);
}
