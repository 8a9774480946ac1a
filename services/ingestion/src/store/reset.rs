//! Emptying a TEST workspace.

use keizoku_base::WorkspaceId;
use keizoku_storage::{DbFault, Tx};

/// Tables whose rows go. What the control plane and the feed hold stays; positions go on counting.
const EMPTIED: &[&str] = &[
    "account",
    "account_external",
    "account_attribute",
    "contact",
    "app_user",
    "user_ordinal",
    "contract",
    "contract_version",
    "contract_account",
    "cancellation",
    "conversation",
    "receipt",
    "metric_definition",
    "metric_block",
    "metric_set",
    "metric_undo",
    "account_coverage",
    "property_coverage",
    "source_days",
    "event_key",
    "event",
    "request_log",
];

/// Deletes all rows of the workspace.
///
/// # Errors
/// As the database.
pub(crate) async fn everything(tx: &Tx, workspace: WorkspaceId) -> Result<(), DbFault> {
    for table in EMPTIED {
        tx.execute(&format!("DELETE FROM {table} WHERE workspace_id = $1"), keizoku_storage::args![workspace]).await?;
    }
    Ok(())
}
