//! Accounts that are to be scored again although nothing of their own changed: asked for by partition, done in pages.

use std::sync::Arc;

use keizoku_base::{AccountId, Partition, WorkspaceId};
use keizoku_storage::feed::{self, Consumer, Partitions};
use keizoku_storage::{Scope, Tx};

use super::context::Context;
use super::round::{Freshness, Round};
use super::{App, account, scoring};
use crate::error::ScoringFault;
use crate::store::close::{self, Rescore};
use crate::store::inputs;

/// Accounts scored in one transaction.
pub(crate) const PAGE: usize = 500;

/// Asks for all accounts of partitions, ascending, to be scored again.
///
/// # Errors
/// As the database.
pub(crate) async fn request(
    tx: &Tx,
    workspace: WorkspaceId,
    partitions: impl Iterator<Item = Partition>,
) -> Result<(), ScoringFault> {
    Ok(close::request_rescore(tx, workspace, partitions).await?)
}

/// Does a page of every workspace that was asked for; whether there is more to do.
///
/// # Errors
/// As the database.
pub(crate) async fn activate(app: &Arc<App>, consumer: &Consumer) -> Result<bool, ScoringFault> {
    let tx = app.db.read("rescore.find", Scope::System).await?;
    let wanting = close::wanting(&tx).await?;
    drop(tx);
    let mut more = false;
    for workspace in wanting {
        more |= page(app, consumer, workspace).await?;
    }
    Ok(more)
}

async fn page(app: &Arc<App>, consumer: &Consumer, workspace: WorkspaceId) -> Result<bool, ScoringFault> {
    app.db
        .transact("rescore.page", Scope::Workspace(workspace), async |tx| {
            let held = consumer.hold(&tx, workspace, consumer.partitions()).await?;
            let held: Partitions = held.into_keys().collect();
            let Some(context) = Context::load(&tx, app.clock.as_ref(), workspace).await? else { return Ok(false) };
            let mut rows = close::rescores(&tx, workspace, held).await?;
            if rows.is_empty() {
                return Ok(false);
            }
            rows.iter_mut().for_each(|row| row.doing = row.doing.or(Some(row.wanted)));
            let places: Vec<(Partition, Option<AccountId>)> =
                rows.iter().map(|row| (row.partition, row.after)).collect();
            let accounts = inputs::accounts(&tx, workspace, &places, PAGE).await?;
            let round = Round::begin(app, &tx, context, Freshness::Exact).await?;
            let drafts = score(&tx, workspace, round, &accounts).await?;
            let more = progress(&tx, workspace, rows, &accounts).await?;
            feed::append(&tx, workspace, drafts, app.clock.now()).await?;
            Ok::<_, ScoringFault>(more)
        })
        .await
}

async fn score(
    tx: &Tx,
    workspace: WorkspaceId,
    mut round: Round,
    accounts: &[AccountId],
) -> Result<Vec<feed::Draft>, ScoringFault> {
    let mut bundles = account::load(tx, workspace, accounts, Some(&round)).await?;
    let mut news = scoring::score_all(&mut round, &mut bundles, true, None).await?;
    news.save(tx, workspace).await?;
    account::save(tx, workspace, &mut bundles).await?;
    Ok(news.drafts)
}

/// Notes how far each partition came with this page; whether any is not at its end.
async fn progress(
    tx: &Tx,
    workspace: WorkspaceId,
    rows: Vec<Rescore>,
    done: &[AccountId],
) -> Result<bool, ScoringFault> {
    let full = done.len() == PAGE;
    // Of a full page the last partition may have more, and those after it have not begun.
    let last = done.last().filter(|_| full);
    let (mut ended, mut more) = (Partitions::NONE, false);
    for row in rows {
        match last {
            Some(account) if row.partition > account.partition() => more = true,
            Some(account) if row.partition == account.partition() => {
                close::put_rescore(tx, workspace, &Rescore { after: Some(*account), ..row }).await?;
                more = true;
            }
            _ if row.doing == Some(row.wanted) => ended.insert(row.partition),
            _ => {
                close::put_rescore(tx, workspace, &Rescore { doing: None, after: None, ..row }).await?;
                more = true;
            }
        }
    }
    if !ended.is_empty() {
        close::end_rescores(tx, workspace, ended).await?;
    }
    Ok(more)
}
