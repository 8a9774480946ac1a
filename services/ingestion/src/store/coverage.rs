//! How many accounts have what sources tell of them.

use keizoku_base::{AccountId, WorkspaceId};
use keizoku_storage::{DbFault, Tx, args};

/// How many accounts have what sources tell of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AccountCounts {
    /// All of them, stubs included.
    pub(crate) accounts: i64,
    /// With a contract.
    pub(crate) contract: i64,
    /// With a contact.
    pub(crate) contact: i64,
    /// With a user.
    pub(crate) user: i64,
    /// With a conversation.
    pub(crate) conversation: i64,
    /// With a cancellation.
    pub(crate) cancellation: i64,
}

/// How many accounts have what; of one account alone, 0 or 1.
pub(crate) async fn counts(
    tx: &Tx,
    workspace: WorkspaceId,
    account: Option<AccountId>,
) -> Result<AccountCounts, DbFault> {
    let mut args = args![workspace];
    let only = if let Some(account) = account {
        args.extend(args![account.0]);
        " AND account_id = $2"
    } else {
        ""
    };
    let count = |table: &str| format!("(SELECT COUNT(DISTINCT account_id) FROM {table} WHERE workspace_id = $1{only})");
    let tables = ["account", "contract_account", "contact", "app_user", "conversation", "cancellation"];
    let row = tx.fetch_one(&format!("SELECT {}", tables.map(count).join(", ")), args).await?;
    Ok(AccountCounts {
        accounts: row.get(0)?,
        contract: row.get(1)?,
        contact: row.get(2)?,
        user: row.get(3)?,
        conversation: row.get(4)?,
        cancellation: row.get(5)?,
    })
}
