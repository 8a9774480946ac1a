//! Days end: each account's scores of the day are kept as they were believed, missed days are computed, and the present is
//! scored again, as its windows moved on. When a week is over everywhere, its composition is kept.

use std::sync::Arc;

use keizoku_base::{AccountId, Day, Partition, WorkspaceId};
use keizoku_control::store as control;
use keizoku_storage::feed::{self, Consumer, Partitions};
use keizoku_storage::{Scope, Tx};

use super::context::Context;
use super::models::Models;
use super::rescore::PAGE;
use super::round::{Freshness, Round};
use super::scoring::{self, Closing};
use super::{App, account, composition};
use crate::error::ScoringFault;
use crate::store::close::{self, DayClose};
use crate::store::inputs;

/// Missed days before these are not kept; they are computed when somebody asks.
const MOST_DAYS: i32 = 62;
/// Workspaces read at once.
const WORKSPACES: u32 = 1000;

/// Closes the days that are over in every workspace; whether there is more to do.
///
/// # Errors
/// As the database.
pub(crate) async fn activate(app: &Arc<App>, consumer: &Consumer) -> Result<bool, ScoringFault> {
    let mut after = None;
    let mut more = false;
    loop {
        let tx = app.db.read("days.workspaces", Scope::System).await?;
        let rows = control::workspaces(&tx, after, WORKSPACES).await?;
        drop(tx);
        for row in &rows {
            more |= workspace(app, consumer, WorkspaceId(row.workspace_id)).await?;
        }
        after = rows.last().map(|row| WorkspaceId(row.workspace_id));
        if rows.len() < WORKSPACES as usize {
            return Ok(more);
        }
    }
}

async fn workspace(app: &Arc<App>, consumer: &Consumer, id: WorkspaceId) -> Result<bool, ScoringFault> {
    let tx = app.db.read("days.look", Scope::Workspace(id)).await?;
    let Some(context) = Context::load(&tx, app.clock.as_ref(), id).await? else { return Ok(false) };
    let closed = close::closed(&tx, id).await?;
    drop(tx);
    let over = context.today().plus(-1);
    match closed {
        None => {
            let begin = async |tx: Arc<Tx>| Ok::<_, ScoringFault>(close::begin_days(&tx, id, over).await?);
            app.db.transact("days.begin", Scope::Workspace(id), begin).await?;
            Ok(false)
        }
        Some((_, closed)) if closed > over => {
            // The clock of a TEST workspace was set for the first time, to a day in the past: days begin there.
            let begin = async |tx: Arc<Tx>| {
                close::forget_days(&tx, id).await?;
                close::begin_days(&tx, id, over).await?;
                Ok::<_, ScoringFault>(close::request_rescore(&tx, id, Partition::all()).await?)
            };
            app.db.transact("days.begin_again", Scope::Workspace(id), begin).await?;
            app.weeks.remove(&id);
            app.rescore.notify_one();
            Ok(false)
        }
        Some((_, closed)) if closed == over => {
            // Also where another replica closed the last partition, or the week could not be kept then.
            if app.weeks.get(&id).is_none_or(|kept| kept < closed) {
                weeks(app, id).await?;
                app.weeks.insert(id, closed);
            }
            Ok(false)
        }
        Some(_) => {
            page(app, consumer, id).await?;
            Ok(true)
        }
    }
}

/// Closes the days of a page of accounts.
async fn page(app: &Arc<App>, consumer: &Consumer, workspace: WorkspaceId) -> Result<(), ScoringFault> {
    app.db
        .transact("days.close", Scope::Workspace(workspace), async |tx| {
            let held = consumer.hold(&tx, workspace, consumer.partitions()).await?;
            let held: Partitions = held.into_keys().collect();
            let Some(context) = Context::load(&tx, app.clock.as_ref(), workspace).await? else { return Ok(()) };
            let over = context.today().plus(-1);
            close::skip_empty(&tx, workspace, held, over).await?;
            let rows = close::open_days(&tx, workspace, held, over).await?;
            let Some(first) = rows.iter().map(|row| row.closed_through).min() else { return Ok(()) };
            // What began with another end goes on with that.
            let last = rows.iter().find_map(|row| row.closing_to).unwrap_or(over);
            let rows: Vec<DayClose> = rows.into_iter().filter(|row| row.closed_through < last).collect();
            let places: Vec<(Partition, Option<AccountId>)> =
                rows.iter().map(|row| (row.partition, row.after)).collect();
            let accounts = inputs::accounts(&tx, workspace, &places, PAGE).await?;
            let round = Round::begin(app, &tx, context, Freshness::Exact).await?;
            let closing = Closing { first: first.max(last.plus(-MOST_DAYS)).plus(1), last };
            let drafts = close_accounts(&tx, workspace, round, &accounts, closing).await?;
            progress(&tx, workspace, rows, &accounts, last).await?;
            feed::append(&tx, workspace, drafts, app.clock.now()).await?;
            Ok::<_, ScoringFault>(())
        })
        .await
}

async fn close_accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    mut round: Round,
    accounts: &[AccountId],
    closing: Closing,
) -> Result<Vec<feed::Draft>, ScoringFault> {
    let mut bundles = account::load(tx, workspace, accounts, Some(&round)).await?;
    let mut news = scoring::score_all(&mut round, &mut bundles, false, Some(closing)).await?;
    news.save(tx, workspace).await?;
    account::save(tx, workspace, &mut bundles).await?;
    Ok(news.drafts)
}

/// Notes how far each partition came with this page.
async fn progress(
    tx: &Tx,
    workspace: WorkspaceId,
    rows: Vec<DayClose>,
    done: &[AccountId],
    through: Day,
) -> Result<(), ScoringFault> {
    // Of a full page the last partition may have more, and those after it have not begun.
    let last = done.last().filter(|_| done.len() == PAGE);
    let mut moved = Vec::with_capacity(rows.len());
    for row in rows {
        match last {
            Some(account) if row.partition > account.partition() => {}
            Some(account) if row.partition == account.partition() => {
                moved.push(DayClose { closing_to: Some(through), after: Some(*account), ..row });
            }
            _ => moved.push(DayClose { closed_through: through, closing_to: None, after: None, ..row }),
        }
    }
    Ok(close::put_days(tx, workspace, moved).await?)
}

/// Keeps the compositions of weeks that are over in every partition.
async fn weeks(app: &Arc<App>, workspace: WorkspaceId) -> Result<(), ScoringFault> {
    let tx = app.db.read("days.weeks", Scope::Workspace(workspace)).await?;
    let Some((began, closed)) = close::closed(&tx, workspace).await? else { return Ok(()) };
    let Some(context) = Context::load(&tx, app.clock.as_ref(), workspace).await? else { return Ok(()) };
    let began = began.max(closed.plus(-MOST_DAYS));
    // The last day of the week that holds the first day, and of every week after it.
    let first = began.plus(1).week_start().plus(6);
    let ends: Vec<Day> = (0..).map(|week| first.plus(7 * week)).take_while(|end| *end <= closed).collect();
    if ends.is_empty() {
        return Ok(());
    }
    let models = Models::load(app, &tx, workspace).await?;
    let mut missing = Vec::new();
    for key in models.keys() {
        let known = close::snapshots(&tx, workspace, key, began).await?;
        let was_there = |end: Day| {
            let over = context.workspace.zone.start_of(end.plus(1));
            let applied = models.all().any(|version| version.row.key == key && version.row.created_at < over);
            applied && models.in_force(key, end).is_some()
        };
        let counted = ends.iter().filter(|end| !known.contains(end) && was_there(**end));
        missing.extend(counted.map(|end| (key.to_owned(), *end)));
    }
    drop(tx);
    let mut kept = Vec::new();
    for (key, end) in missing {
        let found = composition::get(app, &context, Some(&key), end).await?;
        kept.push((key, end, found));
    }
    app.db
        .transact("days.snapshot", Scope::Workspace(workspace), async |tx| {
            for (model, day, data) in &kept {
                close::put_snapshot(&tx, workspace, model, *day, data.clone()).await?;
            }
            Ok(())
        })
        .await
}
