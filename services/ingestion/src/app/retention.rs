//! What is kept for a time only: changes in the feed, first answers to requests, events.

use keizoku_base::{Day, Micros, Zone};
use keizoku_storage::feed::{self, Log};
use keizoku_storage::{Scope, request_log};

use super::App;
use crate::error::IngestionFault;
use crate::store::event;

/// How many days ahead there is room for events.
const DAYS_AHEAD: i32 = 60;
/// How many answers are forgotten in one transaction.
const ANSWERS_MOST: u32 = 2000;

/// How long things are kept, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Changes in the feed.
    pub changes: i64,
    /// Events. What was counted from them stays.
    pub events: i64,
}

/// Makes room for the events of today and the days to come.
///
/// # Errors
/// As the database.
pub async fn make_room(app: &App) -> Result<(), IngestionFault> {
    let today = today(app);
    app.db
        .transact("retention.make_room", Scope::System, async |tx| {
            Ok(event::make_pieces(&tx, today.plus(-1), today.plus(DAYS_AHEAD)).await?)
        })
        .await
}

/// Lets go of everything that is old enough, in bounded transactions.
///
/// # Errors
/// As the database; what was let go before stays so.
pub async fn expire(app: &App, kept: Kept) -> Result<(), IngestionFault> {
    let now = app.clock.now();
    feed::expire(&app.db, now.plus(-kept.changes)).await?;
    while forget_answers(app, now).await? >= u64::from(ANSWERS_MOST) {}
    let day = event::first_kept(app.db.dialect(), Zone::UTC.day_of(now.plus(-kept.events)));
    while expire_events(app, day).await? {}
    Ok(())
}

async fn forget_answers(app: &App, now: Micros) -> Result<u64, IngestionFault> {
    app.db
        .transact("retention.answers", Scope::System, async |tx| Ok(request_log::prune(&tx, now, ANSWERS_MOST).await?))
        .await
}

/// The floor of the log rises with what goes, so that a reader who is behind it is told.
async fn expire_events(app: &App, before: Day) -> Result<bool, IngestionFault> {
    app.db
        .transact("retention.events", Scope::System, async |tx| {
            let lasts = event::last_before(&tx, before).await?;
            if lasts.is_empty() {
                return Ok(false);
            }
            for (workspace, partition, seq) in lasts {
                feed::raise_floor(&tx, workspace, Log::Events, partition, seq).await?;
            }
            Ok(event::drop_before(&tx, before).await?)
        })
        .await
}

fn today(app: &App) -> Day {
    Zone::UTC.day_of(app.clock.now())
}
