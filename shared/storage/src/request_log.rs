//! Mutations are idempotent by their `request_id`: the first answer is kept for seven days, in the transaction that
//! made it, and a repeat returns it.

use std::time::Duration;

use keizoku_base::{Fault, FaultKind, Micros, WorkspaceId};

use crate::args;
use crate::dialect::Dialect;
use crate::fault::{DbFault, RetryableTx};
use crate::tx::Tx;

/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Names one request: who asked what under which id, and the hash of what was asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The RPC's path.
    pub rpc: &'a str,
    /// The caller's `request_id`.
    pub id: &'a str,
    /// A hash over the request without its `request_id`.
    pub body_hash: [u8; 32],
}

/// Why a kept answer was not given.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecallFault {
    /// The id was used for another body.
    #[error("this request_id was used before for another request; take a new one")]
    Reused,
    /// The store.
    #[error(transparent)]
    Store(#[from] DbFault),
}

/// The table, for a service's first migration.
pub fn ddl(dialect: Dialect) -> Vec<String> {
    let table = "CREATE TABLE request_log (
        workspace_id {uuid} NOT NULL,
        rpc TEXT NOT NULL,
        request_id TEXT NOT NULL,
        body_hash {bytes} NOT NULL,
        answer {bytes} NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (workspace_id, rpc, request_id))";
    let mut statements =
        vec![dialect.ddl(table), "CREATE INDEX request_log_created_at ON request_log (created_at)".to_owned()];
    statements.extend(dialect.wall("request_log"));
    statements
}

/// The answer this request got before, if it is a repeat.
///
/// # Errors
/// [`RecallFault::Reused`] where the id came with another body.
pub async fn recall(tx: &Tx, request: Request<'_>) -> Result<Option<Vec<u8>>, RecallFault> {
    let sql = "SELECT body_hash, answer FROM request_log WHERE workspace_id = $1 AND rpc = $2 AND request_id = $3";
    let key = args![request.workspace, request.rpc, request.id];
    let Some(row) = tx.fetch_optional(sql, key).await? else { return Ok(None) };
    if row.get::<&[u8], _>(0)? != request.body_hash {
        return Err(RecallFault::Reused);
    }
    Ok(Some(row.get(1)?))
}

/// Keeps the first answer to a request. Call it in the transaction that did the work.
///
/// # Errors
/// [`DbFault::Contention`] where another call with the same id was faster: run again, [`recall`] finds its answer.
pub async fn keep(tx: &Tx, request: Request<'_>, answer: &[u8], now: Micros) -> Result<(), DbFault> {
    let sql = "INSERT INTO request_log (workspace_id, rpc, request_id, body_hash, answer, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let row = args![request.workspace, request.rpc, request.id, request.body_hash, answer, now];
    match tx.execute(sql, row).await {
        Err(DbFault::Unique { source, .. }) => Err(DbFault::Contention(source)),
        done => done.map(drop),
    }
}

/// Forgets at most `most` answers that are older than [`KEPT`]; answers how many. Begin with scope `System`.
///
/// # Errors
/// Any [`DbFault`] of the statement.
pub async fn prune(tx: &Tx, now: Micros, most: u32) -> Result<u64, DbFault> {
    let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
    let sql = "DELETE FROM request_log WHERE (workspace_id, rpc, request_id) IN \
               (SELECT workspace_id, rpc, request_id FROM request_log WHERE created_at < $1 LIMIT $2)";
    tx.execute(sql, args![now.plus(-kept), i64::from(most)]).await
}

impl RetryableTx for RecallFault {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Store(fault) if fault.is_contention())
    }
}

impl Fault for RecallFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Reused => FaultKind::AlreadyExists,
            Self::Store(fault) => fault.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Reused => "REQUEST_ID_REUSED",
            Self::Store(fault) => fault.reason(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Reused => None,
            Self::Store(fault) => fault.retry_after(),
        }
    }
}
