//! What is past its time goes: old changes of the feed and of scores, and kept answers.

use std::time::Duration;

use keizoku_storage::{Scope, feed, request_log};

use super::App;
use crate::error::ScoringFault;
use crate::store::score;

/// Rows deleted in one transaction.
const BATCH: u32 = 2000;

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Changes in the feed.
    pub feed: Duration,
    /// Single changes of scores.
    pub changes: Duration,
}

/// Deletes what is past its time.
///
/// # Errors
/// As the database.
pub(crate) async fn activate(app: &App, retention: Retention) -> Result<(), ScoringFault> {
    let now = app.clock.now();
    let before = |kept: Duration| now.plus(-i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
    feed::expire(&app.db, before(retention.feed)).await?;
    loop {
        let tx = app.db.begin("upkeep.changes", Scope::System).await?;
        let gone = score::prune_changes(&tx, before(retention.changes), BATCH).await?;
        tx.commit().await?;
        if gone < u64::from(BATCH) {
            break;
        }
    }
    loop {
        let tx = app.db.begin("upkeep.requests", Scope::System).await?;
        let gone = request_log::prune(&tx, now, BATCH).await?;
        tx.commit().await?;
        if gone < u64::from(BATCH) {
            return Ok(());
        }
    }
}
