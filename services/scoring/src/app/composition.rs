//! How the accounts are spread over the bands: now, at the close of a day, and week by week.

use std::ops::ControlFlow;

use keizoku_base::{AccountId, Day, WorkspaceId};
use keizoku_storage::Scope;

use super::context::Context;
use super::models::Models;
use super::{App, past, views};
use crate::domain::composition::{Layout, Tally};
use crate::domain::history::{Close, Closed};
use crate::domain::score::Reason;
use crate::error::ScoringFault;
use crate::store::read as store;

/// Accounts whose closes are read at a time.
const PAGE: u32 = 500;

/// The encoded composition at the close of a day, or now where the day is today.
///
/// # Errors
/// [`ScoringFault::ModelUnknown`], also where no version of it counted on the day; as the database.
pub async fn get(app: &App, context: &Context, model: Option<&str>, day: Day) -> Result<Vec<u8>, ScoringFault> {
    let workspace = context.id();
    let key = app.scores.board(app, workspace).await?.model_or_fault(model)?;
    let tx = app.db.read("composition.get", Scope::Workspace(workspace)).await?;
    let models = Models::load(app, &tx, workspace).await?;
    let version = models.in_force(&key, day).ok_or_else(|| ScoringFault::ModelUnknown(key.to_string()))?;
    let mut tally = Tally::new(Layout::of(&version.model, version.row.version));
    if day == context.today() {
        for count in store::spread(&tx, workspace, &key).await? {
            match count.reason {
                None => tally.add_many(some(&count.stage), some(&count.band), count.accounts),
                Some(code) => tally.add_unscored(reason(code)?, count.accounts),
            }
        }
        drop(tx);
    } else {
        drop(tx);
        past_day(app, context, &key, day, &mut tally).await?;
    }
    Ok(views::composition(&key, version.row.version, day, context.now, &tally.finish()))
}

/// At most `limit` weekly snapshots before a day, newest first: the day of each with its encoded composition, and whether
/// there are more.
///
/// # Errors
/// [`ScoringFault::ModelUnknown`]; as the database.
pub async fn snapshots(
    app: &App,
    workspace: WorkspaceId,
    model: Option<&str>,
    before: Day,
    limit: u32,
) -> Result<(Vec<(Day, Vec<u8>)>, bool), ScoringFault> {
    let model = app.scores.board(app, workspace).await?.model_or_fault(model)?;
    let tx = app.db.read("composition.list", Scope::Workspace(workspace)).await?;
    let mut found = store::snapshots(&tx, workspace, &model, before, limit + 1).await?;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    Ok((found, more))
}

/// Counts the closes of all accounts on a day that is over.
async fn past_day(app: &App, context: &Context, model: &str, day: Day, tally: &mut Tally) -> Result<(), ScoringFault> {
    let mut after = ControlFlow::Continue(None);
    while let ControlFlow::Continue(last) = after {
        let tx = app.db.read("composition.past", Scope::Workspace(context.id())).await?;
        let accounts: Vec<AccountId> = store::accounts(&tx, context.id(), last, PAGE).await?;
        for close in past::closes(app, &tx, context, model, &accounts, day).await? {
            count(tally, &close);
        }
        let full = u32::try_from(accounts.len()).is_ok_and(|found| found == PAGE);
        after = match accounts.last().filter(|_| full) {
            Some(last) => ControlFlow::Continue(Some(*last)),
            None => ControlFlow::Break(()),
        };
    }
    Ok(())
}

fn count(tally: &mut Tally, close: &Close) {
    match &close.result {
        Closed::Scored { band, .. } => tally.add_scored(close.stage.as_deref(), band.as_deref()),
        Closed::Unscored(reason) => tally.add_unscored(*reason, 1),
    }
}

fn some(key: &str) -> Option<&str> {
    (!key.is_empty()).then_some(key)
}

fn reason(code: i16) -> Result<Reason, ScoringFault> {
    let found = u8::try_from(code).ok().and_then(Reason::from_code);
    found.ok_or(ScoringFault::Corrupt("the reason of a score"))
}
