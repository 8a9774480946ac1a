//! The score of one account, or of many: out of the cache, from the database, or computed for this answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keizoku_base::{AccountId, AccountRef, Day, Micros, Partition, WorkspaceId};
use keizoku_convert::Position;
use keizoku_storage::cache::MAX_AGE;
use keizoku_storage::{Scope, Tx};
use tokio::time::Instant;

use super::cached::{Board, Wanted, position};
use super::{App, past, views};
use crate::domain::score::Reason;
use crate::error::ScoringFault;
use crate::store::read::{self as store, Blob};
use crate::store::shared::Watermark;

/// How often who waits for a position looks although nothing rang: another replica may be the one that applies.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long before the call's deadline a wait is given up, so that the caller hears why.
const MARGIN: Duration = Duration::from_millis(100);
/// How long a wait goes on in a call without a deadline.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much of a score is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Without contributions.
    Basic,
    /// With contributions.
    Explained,
}

/// How fresh a score must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// As fresh as it comes.
    Any,
    /// Confirmed within this time.
    Within(Duration),
    /// It contains what was written at this position.
    AtLeast(Position),
}

/// What is asked about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Whose score.
    pub account: AccountRef,
    /// By which model; `None`: the primary one.
    pub model: Option<String>,
    /// By which version; `None`: the one in force on the day.
    pub model_version: Option<i32>,
    /// How much is told.
    pub view: View,
    /// How fresh it must be.
    pub freshness: Freshness,
    /// At the close of which day; `None`: now.
    pub as_of: Option<Day>,
}

/// A score that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The encoded score.
    pub score: Bytes,
    /// When it was last known to be the newest.
    pub confirmed_at: Micros,
    /// The bytes of the position up to which it contains everything of its account.
    pub caught_up_to: Bytes,
}

impl From<View> for Blob {
    fn from(view: View) -> Self {
        match view {
            View::Basic => Self::Basic,
            View::Explained => Self::Explained,
        }
    }
}

/// The score of an account.
///
/// # Errors
/// [`ScoringFault::AccountUnknown`]; [`ScoringFault::NotCaughtUp`] where a position did not arrive in time; as the database.
pub async fn score(app: &App, workspace: WorkspaceId, ask: &Ask) -> Result<Shown, ScoringFault> {
    let (max_age, named_within) = match &ask.freshness {
        // What is rare is boxed, so that what is common stays small.
        Freshness::AtLeast(position) => return Box::pin(at_least(app, workspace, ask, position)).await,
        Freshness::Any => (MAX_AGE, Duration::MAX),
        Freshness::Within(age) => (*age, *age),
    };
    let board = app.scores.board(app, workspace).await?;
    let found = match account_of(app, workspace, &ask.account, named_within).await? {
        Some(account) => one(app, &board, ask, account, max_age).await?,
        None => None,
    };
    match found {
        Some(found) => Ok(found),
        // The name may have been given to another account a moment ago.
        None if matches!(ask.account, AccountRef::External(_)) => {
            let account = account_of(app, workspace, &ask.account, Duration::ZERO).await?;
            let account = account.ok_or_else(|| unknown(&ask.account))?;
            one(app, &board, ask, account, max_age).await?.ok_or_else(|| unknown(&ask.account))
        }
        None => Err(unknown(&ask.account)),
    }
}

/// The scores of accounts as they are now, in order; each its own answer.
///
/// # Errors
/// As the database.
pub async fn batch(
    app: &App,
    workspace: WorkspaceId,
    references: &[&AccountRef],
    model: Option<&str>,
    view: View,
) -> Result<Vec<Result<Bytes, ScoringFault>>, ScoringFault> {
    let board = app.scores.board(app, workspace).await?;
    let resolved = app.scores.resolve(app, workspace, references, Duration::MAX).await?;
    let accounts: Vec<AccountId> = resolved.iter().flatten().copied().collect();
    let mut found = present(app, &board, model, &accounts, view.into(), MAX_AGE).await?.into_iter();
    let answers = references.iter().zip(resolved).map(|(reference, account)| {
        let shown = account.and_then(|_| found.next().flatten());
        shown.map(|(score, _)| score).ok_or_else(|| unknown(reference))
    });
    Ok(answers.collect())
}

/// The score of a known id; `None` where there is no such account.
async fn one(
    app: &App,
    board: &Arc<Board>,
    ask: &Ask,
    account: AccountId,
    max_age: Duration,
) -> Result<Option<Shown>, ScoringFault> {
    let found = if ask.as_of.is_some() || ask.model_version.is_some() {
        let started = app.scores.now();
        Box::pin(computed(app, board, ask, account)).await?.map(|score| (score, started))
    } else {
        let model = ask.model.as_deref();
        let found = present(app, board, model, &[account], ask.view.into(), max_age).await?.pop().flatten();
        match &found {
            // Confirmed before anybody asked how far this copy is: the database confirms it anew.
            Some((_, at)) if board.caught_up_to(account.partition(), *at).is_empty() => {
                let accounts = [account];
                let afresh = present(app, board, model, &accounts, ask.view.into(), Duration::ZERO);
                Box::pin(afresh).await?.pop().flatten()
            }
            _ => found,
        }
    };
    Ok(found.map(|(score, confirmed_at)| Shown {
        score,
        confirmed_at,
        caught_up_to: board.caught_up_to(account.partition(), confirmed_at),
    }))
}

/// What is stored of accounts now, and when that was known to be the newest; `None` where there is no such account.
async fn present(
    app: &App,
    board: &Arc<Board>,
    model: Option<&str>,
    accounts: &[AccountId],
    blob: Blob,
    max_age: Duration,
) -> Result<Vec<Option<(Bytes, Micros)>>, ScoringFault> {
    let workspace = board.workspace.id;
    let key = board.model(model);
    let found = match &key {
        Some(key) => {
            let wanted = Wanted { workspace, model: key, day: board.today(app), blob };
            app.scores.scores(app, wanted, accounts, max_age).await?
        }
        None => vec![None; accounts.len()],
    };
    let mut answers: Vec<_> =
        found.into_iter().map(|found| found.map(|found| (found.hit.value, found.hit.confirmed_at))).collect();
    let missing: Vec<AccountId> =
        accounts.iter().zip(&answers).filter(|(_, answer)| answer.is_none()).map(|(account, _)| *account).collect();
    if !missing.is_empty() {
        let found = Box::pin(uncached(app, board, model, &missing, blob)).await?;
        for (account, answer) in accounts.iter().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            *answer = found.get(account).cloned();
        }
    }
    Ok(answers)
}

/// What is stored of accounts whatever day it speaks of, or that there is nothing yet, for those that are known.
async fn uncached(
    app: &App,
    board: &Arc<Board>,
    model: Option<&str>,
    accounts: &[AccountId],
    blob: Blob,
) -> Result<HashMap<AccountId, (Bytes, Micros)>, ScoringFault> {
    let (workspace, key, started) = (board.workspace.id, board.model(model), app.scores.now());
    let tx = app.db.read("score.uncached", Scope::Workspace(workspace)).await?;
    let known = store::known(&tx, workspace, accounts).await?;
    let stored = match &key {
        Some(key) => store::scores(&tx, workspace, key, &known, blob).await?,
        None => Vec::new(),
    };
    drop(tx);
    let mut found: HashMap<AccountId, (Bytes, Micros)> =
        stored.into_iter().map(|row| (row.account, (row.score.into(), started))).collect();
    for account in known {
        found.entry(account).or_insert_with(|| (nothing_yet(app, board, account, model, key.is_some()), started));
    }
    Ok(found)
}

/// The answer for an account that has no score by a model, or whose workspace has no such model.
fn nothing_yet(app: &App, board: &Board, account: AccountId, model: Option<&str>, is_known: bool) -> Bytes {
    let now = board.workspace.now(app.clock.as_ref());
    let reason = if is_known { Reason::NotYetComputed } else { Reason::NoModel };
    let key = board.model(model);
    let key = key.as_deref().or(model).unwrap_or_default();
    views::unscored(account, key, reason, board.today(app), now).into()
}

/// What is not stored as it is asked for.
async fn computed(app: &App, board: &Board, ask: &Ask, account: AccountId) -> Result<Option<Bytes>, ScoringFault> {
    let tx = app.db.read("score.past", Scope::Workspace(board.workspace.id)).await?;
    if store::known(&tx, board.workspace.id, &[account]).await?.is_empty() {
        return Ok(None);
    }
    let context = app.context(board.workspace.id).await?;
    let model = board.model(ask.model.as_deref());
    let day = ask.as_of.unwrap_or_else(|| context.today());
    let score = match &model {
        Some(model) => past::score(app, &tx, &context, model, ask.model_version, account, day, ask.view).await?,
        None => {
            let key = ask.model.as_deref().unwrap_or_default();
            views::unscored(account, key, Reason::NoModel, day, context.now).into()
        }
    };
    Ok(Some(score))
}

/// Waits until what was written at a position is contained, and reads then.
async fn at_least(app: &App, workspace: WorkspaceId, ask: &Ask, wanted: &Position) -> Result<Shown, ScoringFault> {
    let now = Instant::now();
    let end = keizoku_runtime::context::deadline().map_or(now + PATIENCE, |deadline| {
        let left = deadline.remaining();
        now + left.saturating_sub(MARGIN.min(left / 4))
    });
    loop {
        let applied = app.applied.notified();
        match tokio::time::timeout_at(end, arrived(app, workspace, ask, wanted)).await {
            Ok(Ok(Some(shown))) => return Ok(shown),
            Ok(Ok(None)) if Instant::now() < end => {}
            Ok(Err(fault)) => return Err(fault),
            Ok(Ok(None)) | Err(_) => return Err(ScoringFault::NotCaughtUp),
        }
        let pause = tokio::time::sleep_until(end.min(Instant::now() + LOOK_AGAIN));
        tokio::select! {
            () = applied => {}
            () = pause => {}
        }
    }
}

/// The score, if what was written at a position is contained by now.
async fn arrived(
    app: &App,
    workspace: WorkspaceId,
    ask: &Ask,
    wanted: &Position,
) -> Result<Option<Shown>, ScoringFault> {
    let confirmed_at = app.scores.now();
    let tx = app.db.read("score.arrived", Scope::Workspace(workspace)).await?;
    // Read first: what is read after it can only contain more.
    let marks = store::watermarks(&tx, workspace).await?;
    let mark =
        |partition| marks.iter().find(|(known, _)| *known == partition).map(|(_, mark)| *mark).unwrap_or_default();
    let account = meant(&tx, workspace, &ask.account).await?;
    let reached = match account {
        Some(account) => reaches(wanted, account.partition(), mark(account.partition())),
        // In which partition a name not known yet will appear, nobody knows.
        None => Partition::all().all(|partition| reaches(wanted, partition, mark(partition))),
    };
    if !reached {
        return Ok(None);
    }
    let account = account.ok_or_else(|| unknown(&ask.account))?;
    drop(tx);
    let board = app.scores.board(app, workspace).await?;
    let found = one(app, &board, ask, account, Duration::ZERO).await?.ok_or_else(|| unknown(&ask.account))?;
    // After a bootstrap inputs are there before their first score is.
    if views::is_yet_to_come(&found.score) {
        return Ok(None);
    }
    let caught_up_to = position(account.partition(), mark(account.partition()));
    Ok(Some(Shown { caught_up_to, confirmed_at, ..found }))
}

/// Whether a partition is followed up to a position.
fn reaches(wanted: &Position, partition: Partition, mark: Watermark) -> bool {
    let within = |log: &[(Partition, i64)], seq: i64| log.iter().all(|(known, at)| *known != partition || *at <= seq);
    within(&wanted.changes, mark.changes) && within(&wanted.events, mark.events)
}

async fn meant(tx: &Tx, workspace: WorkspaceId, reference: &AccountRef) -> Result<Option<AccountId>, ScoringFault> {
    match reference {
        AccountRef::Id(id) => Ok(Some(*id)),
        AccountRef::External(external) => {
            let named = store::named(tx, workspace, std::slice::from_ref(external)).await?;
            Ok(named.first().map(|(_, account)| *account))
        }
    }
}

async fn account_of(
    app: &App,
    workspace: WorkspaceId,
    reference: &AccountRef,
    max_age: Duration,
) -> Result<Option<AccountId>, ScoringFault> {
    match reference {
        AccountRef::Id(id) => Ok(Some(*id)),
        AccountRef::External(_) => Ok(app.scores.resolve(app, workspace, &[reference], max_age).await?.pop().flatten()),
    }
}

/// The id of an account that must be known.
pub(crate) async fn account(
    app: &App,
    workspace: WorkspaceId,
    reference: &AccountRef,
) -> Result<AccountId, ScoringFault> {
    let tx = app.db.read("score.account", Scope::Workspace(workspace)).await?;
    let account = meant(&tx, workspace, reference).await?.ok_or_else(|| unknown(reference))?;
    let known = store::known(&tx, workspace, &[account]).await?;
    known.first().copied().ok_or_else(|| unknown(reference))
}

pub(crate) fn unknown(reference: &AccountRef) -> ScoringFault {
    ScoringFault::AccountUnknown(reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u8) -> Partition {
        Partition::new(number).expect("below 64")
    }

    #[test]
    fn a_position_is_reached_by_its_own_partition_in_both_logs() {
        let wanted = Position { changes: vec![(place(3), 7)], events: vec![(place(3), 9), (place(4), 100)] };
        for (partition, changes, events, reached) in
            [(3, 7, 9, true), (3, 6, 9, false), (3, 7, 8, false), (3, 8, 10, true), (4, 0, 99, false), (5, 0, 0, true)]
        {
            assert_eq!(reaches(&wanted, place(partition), Watermark { events, changes }), reached, "{partition}");
        }
    }
}
