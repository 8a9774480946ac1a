//! The present state of what sources tell, as changes, page by page: what another service lists before it follows.

use keizoku_storage::Tx;
use keizoku_storage::feed::{Draft, Partitions};
use uuid::Uuid;

use super::context::Context;
use super::{accounts, changes};
use crate::error::IngestionFault;
use crate::store::account::{self, AccountFilter};
use crate::store::{cancellation, contact, contract, conversation, user};

/// A page of states.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// The states that are in the partitions asked for.
    pub(crate) drafts: Vec<Draft>,
    /// What to go on after; `None`: this was the last page.
    pub(crate) next: Option<Vec<u8>>,
}

/// Accounts.
pub(crate) async fn accounts(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    after: &[u8],
    limit: u32,
) -> Result<States, IngestionFault> {
    let rows = account::list(tx, context.id(), &AccountFilter::default(), id(after), limit).await?;
    let next = next(rows.len(), limit, rows.last().map(|row| row.id.0));
    let rows = rows.into_iter().filter(|row| partitions.contains(row.id.partition())).collect();
    let whole = accounts::whole(tx, context, rows).await?;
    Ok(States { drafts: whole.iter().map(|account| changes::account(context, account)).collect(), next })
}

/// Contacts.
pub(crate) async fn contacts(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    after: &[u8],
    limit: u32,
) -> Result<States, IngestionFault> {
    let rows = contact::list(tx, context.id(), id(after), limit).await?;
    let next = next(rows.len(), limit, rows.last().map(|row| row.id));
    Ok(States::of(rows.iter().map(|row| changes::contact(context, row)), partitions, next))
}

/// Users.
pub(crate) async fn users(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    after: &[u8],
    limit: u32,
) -> Result<States, IngestionFault> {
    let after = after.try_into().map_or(-1, i64::from_be_bytes);
    let rows = user::list(tx, context.id(), after, limit).await?;
    let last = rows.last().map(|row| i64::from(row.ordinal).to_be_bytes().to_vec());
    let next = last.filter(|_| rows.len() >= limit as usize);
    Ok(States::of(rows.iter().map(|row| changes::user_of(context, row)), partitions, next))
}

/// Contracts, each once for every account that it covers.
pub(crate) async fn contracts(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    after: &[u8],
    limit: u32,
) -> Result<States, IngestionFault> {
    let rows = contract::list(tx, context.id(), id(after), limit).await?;
    let next = next(rows.len(), limit, rows.last().map(|row| row.id));
    Ok(States::of(rows.iter().flat_map(|row| changes::contract(context, row)), partitions, next))
}

/// Cancellations.
pub(crate) async fn cancellations(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    after: &[u8],
    limit: u32,
) -> Result<States, IngestionFault> {
    let rows = cancellation::list(tx, context.id(), id(after), limit).await?;
    let next = next(rows.len(), limit, rows.last().map(|row| row.id));
    Ok(States::of(rows.iter().map(|row| changes::cancellation(context, row)), partitions, next))
}

/// Conversations.
pub(crate) async fn conversations(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    after: &[u8],
    limit: u32,
) -> Result<States, IngestionFault> {
    let rows = conversation::list(tx, context.id(), id(after), limit).await?;
    let next = next(rows.len(), limit, rows.last().map(|row| row.id));
    Ok(States::of(rows.iter().map(|row| changes::conversation(context, row)), partitions, next))
}

impl States {
    fn of(drafts: impl Iterator<Item = Draft>, partitions: Partitions, next: Option<Vec<u8>>) -> Self {
        Self { drafts: drafts.filter(|draft| partitions.contains(draft.partition)).collect(), next }
    }
}

fn id(after: &[u8]) -> Uuid {
    Uuid::from_slice(after).unwrap_or_default()
}

fn next(found: usize, limit: u32, last: Option<Uuid>) -> Option<Vec<u8>> {
    last.filter(|_| found >= limit as usize).map(|last| last.as_bytes().to_vec())
}
