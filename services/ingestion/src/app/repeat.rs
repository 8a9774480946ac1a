//! A mutation that has a request id is done once; a repeat gets the answer that the first one got.

use keizoku_base::WorkspaceId;
use keizoku_storage::Tx;
use keizoku_storage::request_log::{self, Request};

use super::context::Context;
use crate::error::IngestionFault;

/// A request that may come again.
pub struct Repeat<'a, T> {
    /// The RPC.
    pub rpc: &'static str,
    /// The caller's id of the request.
    pub id: &'a str,
    /// A hash over the request.
    pub body_hash: [u8; 32],
    /// The answer as it is kept: without secrets.
    pub encode: &'a (dyn Fn(&T) -> Vec<u8> + Send + Sync),
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Answered<T> {
    /// It was done now.
    First(T),
    /// It was done before; the answer kept of that.
    Again(Vec<u8>),
}

/// The answer that was kept, where the request came before.
///
/// # Errors
/// [`IngestionFault::RequestReused`], else as the database.
pub(crate) async fn recall<T>(
    tx: &Tx,
    workspace: WorkspaceId,
    repeat: Option<&Repeat<'_, T>>,
) -> Result<Option<Vec<u8>>, IngestionFault> {
    let Some(repeat) = repeat else { return Ok(None) };
    Ok(request_log::recall(tx, request(workspace, repeat)).await?)
}

/// Keeps the answer to a request that may come again, in the transaction that did the work.
///
/// # Errors
/// As the database.
pub(crate) async fn keep<T>(
    tx: &Tx,
    workspace: WorkspaceId,
    context: &Context,
    repeat: Option<&Repeat<'_, T>>,
    answer: T,
) -> Result<Answered<T>, IngestionFault> {
    if let Some(repeat) = repeat {
        let kept = (repeat.encode)(&answer);
        request_log::keep(tx, request(workspace, repeat), &kept, context.written_at).await?;
    }
    Ok(Answered::First(answer))
}

fn request<'a, T>(workspace: WorkspaceId, repeat: &'a Repeat<'_, T>) -> Request<'a> {
    Request { workspace, rpc: repeat.rpc, id: repeat.id, body_hash: repeat.body_hash }
}
