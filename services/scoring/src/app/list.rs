//! Scores in pages: by account or by value.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use keizoku_base::WorkspaceId;
use keizoku_base::page::Page;
use keizoku_storage::Scope;
use uuid::Uuid;

use super::App;
use crate::domain::watch::Filter;
use crate::error::ScoringFault;
use crate::store::read::{self as store, Listed, Place};

/// Scores in one message of a stream.
const CHUNK: u32 = 500;

/// The orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By account id.
    Account,
    /// The worst first, then by account id; unscored last.
    Value,
}

/// A page of scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores {
    /// The encoded scores.
    pub scores: Vec<Bytes>,
    /// The place of the last one, for the next page; `None`: this was the last page.
    pub next: Option<Vec<u8>>,
}

/// A page of scores by a model, the primary one where none is named. `None`: the page's token names no place in this order.
///
/// # Errors
/// [`ScoringFault::ModelUnknown`]; as the database.
pub async fn list(
    app: &App,
    workspace: WorkspaceId,
    model: Option<&str>,
    filter: &Filter,
    order: Order,
    page: &Page,
) -> Result<Option<Scores>, ScoringFault> {
    let Some(mut place) = place(order, &page.after) else { return Ok(None) };
    let model = app.scores.board(app, workspace).await?.model_or_fault(model)?;
    let tx = app.db.read("score.list", Scope::Workspace(workspace)).await?;
    // One more than asked for says whether there are more.
    let wanted = page.size + 1;
    let mut rows = store::list(&tx, workspace, &model, filter, place, wanted).await?;
    let found = u32::try_from(rows.len()).unwrap_or(wanted);
    if matches!(place, Place::Value(..)) && found < wanted {
        place = Place::Unscored(Uuid::nil());
        rows.extend(store::list(&tx, workspace, &model, filter, place, wanted - found).await?);
    }
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more).map(|last| key(order, last));
    Ok(Some(Scores { scores: rows.into_iter().map(|row| row.score.into()).collect(), next }))
}

/// All scores by a model, by account, in pieces that are read when they are asked for.
///
/// # Errors
/// [`ScoringFault::ModelUnknown`]; as the database.
pub async fn all(
    app: Arc<App>,
    workspace: WorkspaceId,
    model: Option<&str>,
    filter: Filter,
) -> Result<impl Stream<Item = Result<Vec<Bytes>, ScoringFault>> + Send + use<>, ScoringFault> {
    let model = app.scores.board(&app, workspace).await?.model_or_fault(model)?;
    Ok(stream::try_unfold(Some(Uuid::nil()), move |after| {
        let (app, model, filter) = (Arc::clone(&app), Arc::clone(&model), filter.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let tx = app.db.read("score.stream", Scope::Workspace(workspace)).await?;
            let rows = store::list(&tx, workspace, &model, &filter, Place::Account(after), CHUNK).await?;
            drop(tx);
            let full = u32::try_from(rows.len()).is_ok_and(|found| found == CHUNK);
            let next = rows.last().filter(|_| full).map(|last| last.state.account.0);
            let scores: Vec<Bytes> = rows.into_iter().map(|row| row.score.into()).collect();
            Ok((!scores.is_empty()).then_some((scores, next)))
        }
    }))
}

const SCORED: u8 = 0;
const UNSCORED: u8 = 1;

/// The place of a row in an order, as bytes.
fn key(order: Order, last: &Listed) -> Vec<u8> {
    let account = last.state.account.0;
    match (order, last.state.value) {
        (Order::Account, _) => account.as_bytes().to_vec(),
        (Order::Value, Some(value)) => [&[SCORED][..], &value.0.to_be_bytes(), account.as_bytes()].concat(),
        (Order::Value, None) => [&[UNSCORED][..], account.as_bytes()].concat(),
    }
}

/// The place that bytes name; none of them: the first. `None` where they name none.
fn place(order: Order, after: &[u8]) -> Option<Place> {
    match order {
        Order::Account if after.is_empty() => Some(Place::Account(Uuid::nil())),
        Order::Account => Uuid::from_slice(after).ok().map(Place::Account),
        Order::Value if after.is_empty() => Some(Place::Value(-1, Uuid::nil())),
        Order::Value => match after.split_first()? {
            (&SCORED, rest) => {
                let (value, account) = rest.split_first_chunk()?;
                Some(Place::Value(i32::from_be_bytes(*value), Uuid::from_slice(account).ok()?))
            }
            (&UNSCORED, account) => Uuid::from_slice(account).ok().map(Place::Unscored),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::watch::State;
    use keizoku_base::number::MilliPoints;
    use keizoku_base::{AccountId, Micros};

    #[test]
    fn places_survive_a_round_trip_and_others_are_refused() {
        let account = AccountId::generate(Micros(0));
        let row = |value: Option<i32>| {
            let (band, level, stage) = Default::default();
            let state = State { account, version: 1, value: value.map(MilliPoints), band, level, stage };
            Listed { state, score: Vec::new() }
        };
        assert_eq!(place(Order::Account, &key(Order::Account, &row(None))), Some(Place::Account(account.0)));
        assert_eq!(place(Order::Value, &key(Order::Value, &row(Some(7)))), Some(Place::Value(7, account.0)));
        assert_eq!(place(Order::Value, &key(Order::Value, &row(None))), Some(Place::Unscored(account.0)));
        for wrong in [&b"x"[..], &[0; 3], &[1; 3], &[2; 17], &[0; 22]] {
            assert_eq!(place(Order::Value, wrong), None);
        }
        assert_eq!(place(Order::Account, b"short"), None);
    }
}
