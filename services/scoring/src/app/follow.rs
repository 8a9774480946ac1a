//! The service's own feed: what changed, and the present state for those who begin.

use std::sync::Arc;

use async_trait::async_trait;
use keizoku_base::{AccountId, Micros, Partition, WorkspaceId};
use keizoku_storage::Tx;
use keizoku_storage::feed::{self, Draft, FeedFault, FeedRow, Journal, Log, Page, PageLimit, Partitions, SnapshotPage};
use uuid::Uuid;

use super::changes;
use crate::error::ScoringFault;
use crate::store::{model, score};

/// Scores listed at once.
const PAGE: u32 = 500;

/// The log of changes.
pub(crate) fn journal() -> Arc<dyn Journal> {
    Arc::new(Changes)
}

struct Changes;

#[async_trait]
impl Journal for Changes {
    fn log(&self) -> Log {
        Log::Changes
    }

    async fn page(&self, tx: &Tx, workspace: WorkspaceId, wanted: &[(Partition, i64)]) -> Result<Page, FeedFault> {
        feed::pages(tx, workspace, wanted, PageLimit::FOLLOW).await
    }

    /// Models first, then health by model and account. A token is the last place: the account's 16 bytes and the model.
    async fn snapshot(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<&[u8]>,
    ) -> Result<SnapshotPage, FeedFault> {
        let mut drafts = Vec::new();
        let after = match token {
            None => {
                drafts = models(tx, workspace).await.map_err(unreadable)?;
                (String::new(), AccountId(Uuid::nil()))
            }
            Some(token) => place(token).ok_or_else(|| malformed("the page token is not one of ours"))?,
        };
        let rows = score::list(tx, workspace, partitions, (&after.0, after.1), PAGE).await?;
        for row in &rows {
            drafts.push(changes::listed_health(row).map_err(unreadable)?);
        }
        let full = rows.len() == PAGE as usize;
        let next = rows.last().filter(|_| full).map(|row| [row.account.0.as_bytes(), row.model.as_bytes()].concat());
        let wanted = drafts.into_iter().filter(|draft| partitions.contains(draft.partition));
        Ok(SnapshotPage { rows: wanted.map(listed).collect(), next })
    }
}

async fn models(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<Draft>, ScoringFault> {
    let rows = model::all(tx, workspace).await?;
    let mut newest: Vec<Draft> = Vec::new();
    for row in &rows {
        // Of each model the newest version, as the feed told it last.
        if newest.last().is_none_or(|last| last.key != row.key.as_bytes()) {
            newest.push(changes::listed_model(row)?);
        }
    }
    Ok(newest)
}

fn listed(draft: Draft) -> (Partition, FeedRow) {
    let bytes = feed::stamp(0, Micros(0), &draft.body);
    let row = FeedRow { seq: 0, kind: draft.kind, key: draft.key.into(), commit_at: Micros(0), bytes: bytes.into() };
    (draft.partition, row)
}

fn place(token: &[u8]) -> Option<(String, AccountId)> {
    let (account, model) = token.split_at_checked(16)?;
    Some((String::from_utf8(model.to_vec()).ok()?, AccountId(Uuid::from_slice(account).ok()?)))
}

fn unreadable(fault: ScoringFault) -> FeedFault {
    if let ScoringFault::Database(fault) = fault {
        return FeedFault::Store(fault);
    }
    FeedFault::Malformed(Arc::new(fault))
}

fn malformed(what: &'static str) -> FeedFault {
    FeedFault::Malformed(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(what)))
}
