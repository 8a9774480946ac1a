//! Users of the product.

use keizoku_base::id::UserId;
use keizoku_base::{AccountId, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{DbFault, Row, SqlType, Tx, args};
use uuid::Uuid;

use super::directory::UserName;

/// A user as its row has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UserRow {
    /// Its id.
    pub(crate) id: UserId,
    /// As events name it.
    pub(crate) name: UserName,
    /// Its number in the workspace, for sets.
    pub(crate) ordinal: u32,
    /// Its name for people.
    pub(crate) display_name: String,
    /// When it was first seen or told of.
    pub(crate) created_at: Micros,
}

const SELECT: &str = "SELECT user_id, account_id, source, external_id, ordinal, display_name, created_at FROM app_user";

/// The users that events name so, locked where `lock`. May hold others with the same ids in another source or account.
pub(crate) async fn named(
    tx: &Tx,
    workspace: WorkspaceId,
    names: &[UserName],
    lock: bool,
) -> Result<Vec<UserRow>, DbFault> {
    let lock = if lock { tx.dialect().for_update() } else { "" };
    let mut accounts: Vec<Uuid> = names.iter().map(|name| name.account.0).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let ids: Vec<String> = names.iter().map(|name| name.external.id.clone()).collect();
    let sql = format!(
        "{SELECT} WHERE workspace_id = $1 AND {} AND {} ORDER BY user_id{lock}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid),
        tx.dialect().any("external_id", "$3", SqlType::Text)
    );
    tx.fetch_all(&sql, args![workspace, accounts, ids]).await?.iter().map(read).collect()
}

/// Gives users that exist other names for people.
pub(crate) async fn rename(tx: &Tx, workspace: WorkspaceId, users: &[UserRow]) -> Result<(), DbFault> {
    if users.is_empty() {
        return Ok(());
    }
    let ordinals: Vec<i64> = users.iter().map(|user| i64::from(user.ordinal)).collect();
    let names: Vec<String> = users.iter().map(|user| user.display_name.clone()).collect();
    let pairs = tx.dialect().columns(&[("$2", SqlType::BigInt), ("$3", SqlType::Text)]);
    let sql = format!(
        "UPDATE app_user SET display_name = pair.c2 FROM ({pairs}) AS pair
         WHERE app_user.workspace_id = $1 AND app_user.ordinal = pair.c1"
    );
    tx.execute(&sql, args![workspace, ordinals, names]).await?;
    Ok(())
}

/// At most `limit` users of the workspace, by ordinal, after `after`.
pub(crate) async fn list(tx: &Tx, workspace: WorkspaceId, after: i64, limit: u32) -> Result<Vec<UserRow>, DbFault> {
    let sql = format!("{SELECT} WHERE workspace_id = $1 AND ordinal > $2 ORDER BY ordinal LIMIT $3");
    tx.fetch_all(&sql, args![workspace, after, i64::from(limit)]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<UserRow, DbFault> {
    let external = ExternalId { source: row.get(2)?, id: row.get(3)? };
    Ok(UserRow {
        id: UserId(row.get(0)?),
        name: UserName { account: AccountId(row.get(1)?), external },
        ordinal: u32::try_from(row.get::<i64, _>(4)?).map_err(DbFault::internal)?,
        display_name: row.get(5)?,
        created_at: Micros(row.get(6)?),
    })
}
