//! The versions of health models.

use keizoku_base::{Day, Micros, WorkspaceId};
use keizoku_storage::{DbFault, Tx, args};

/// One version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelRow {
    /// The model's key.
    pub(crate) key: String,
    /// The version, from 1.
    pub(crate) version: i32,
    /// The encoded document, without what the server sets.
    pub(crate) document: Vec<u8>,
    /// The first day it counts for.
    pub(crate) effective_from: Day,
    /// Whether the model is the workspace's primary one.
    pub(crate) primary: bool,
    /// When it was applied.
    pub(crate) created_at: Micros,
}

/// All versions of all models, by key, the newest first.
///
/// # Errors
/// As the database.
pub(crate) async fn all(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<ModelRow>, DbFault> {
    let sql = "SELECT key, version, document, effective_from, is_primary, created_at FROM model
         WHERE workspace_id = $1 ORDER BY key, version DESC";
    let rows = tx.fetch_all(sql, args![workspace]).await?;
    rows.iter()
        .map(|row| {
            Ok(ModelRow {
                key: row.get(0)?,
                version: row.get(1)?,
                document: row.get(2)?,
                effective_from: Day(row.get(3)?),
                primary: row.get(4)?,
                created_at: Micros(row.get(5)?),
            })
        })
        .collect()
}

/// Adds a version.
///
/// # Errors
/// [`DbFault::Contention`] where another call added it first: run again.
pub(crate) async fn add(tx: &Tx, workspace: WorkspaceId, row: &ModelRow) -> Result<(), DbFault> {
    let sql = "INSERT INTO model (workspace_id, key, version, document, effective_from, is_primary, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let document = row.document.clone();
    let values =
        args![workspace, row.key.as_str(), row.version, document, row.effective_from, row.primary, row.created_at];
    match tx.execute(sql, values).await {
        Err(DbFault::Unique { source, .. }) => Err(DbFault::Contention(source)),
        done => done.map(drop),
    }
}

/// Makes a model the primary one and all others not.
///
/// # Errors
/// As the database.
pub(crate) async fn make_primary(tx: &Tx, workspace: WorkspaceId, key: &str) -> Result<(), DbFault> {
    let sql = "UPDATE model SET is_primary = (key = $2) WHERE workspace_id = $1 AND is_primary <> (key = $2)";
    tx.execute(sql, args![workspace, key]).await?;
    Ok(())
}
