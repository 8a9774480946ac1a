//! Accounts, their names in other systems, the history of their attributes.

use std::collections::BTreeMap;

use keizoku_base::{AccountId, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{Arg, DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert, bulk_insert_returning};
use uuid::Uuid;

use super::told::{self, Slice};
use crate::domain::account::AccountFacts;
use crate::domain::value::Value;

/// An account as its row has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AccountRow {
    /// Its id.
    pub(crate) id: AccountId,
    /// What is known of it.
    pub(crate) facts: AccountFacts,
    /// When we first heard of it.
    pub(crate) created_at: Micros,
    /// When it last changed.
    pub(crate) updated_at: Micros,
    /// Grows with every change.
    pub(crate) version: i64,
}

/// An attribute that took a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttributeRow {
    /// The account.
    pub(crate) account: AccountId,
    /// Its key.
    pub(crate) key: String,
    /// When the source knew it.
    pub(crate) known_at: Micros,
    /// When it came.
    pub(crate) received_at: Micros,
    /// The value.
    pub(crate) value: Value,
    /// The value known before; not stored with it.
    pub(crate) previous: Option<Value>,
}

/// Which accounts to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountFilter {
    /// Whose name contains this.
    pub(crate) name_contains: String,
    /// Stubs, or those that are none.
    pub(crate) stub: Option<bool>,
}

const COLUMNS: [&str; 9] = [
    "workspace_id",
    "account_id",
    "display_name",
    "parent_id",
    "attributes",
    "stub",
    "created_at",
    "updated_at",
    "version",
];
const SELECT: &str =
    "SELECT account_id, display_name, parent_id, attributes, stub, created_at, updated_at, version FROM account";

/// The accounts with these ids, locked in the order of their ids where `lock`.
pub(crate) async fn load(
    tx: &Tx,
    workspace: WorkspaceId,
    ids: &[AccountId],
    lock: bool,
) -> Result<Vec<AccountRow>, DbFault> {
    let lock = if lock { tx.dialect().for_update() } else { "" };
    let any = tx.dialect().any("account_id", "$2", SqlType::Uuid);
    let sql = format!("{SELECT} WHERE workspace_id = $1 AND {any} ORDER BY account_id{lock}");
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    tx.fetch_all(&sql, args![workspace, ids]).await?.iter().map(read).collect()
}

/// Adds or replaces accounts.
pub(crate) async fn save(tx: &Tx, workspace: WorkspaceId, accounts: &[AccountRow]) -> Result<(), DbFault> {
    let row = |account: &AccountRow| {
        args![
            workspace,
            account.id.0,
            account.facts.display_name.as_str(),
            account.facts.parent.map(|parent| parent.0),
            account.facts.attributes.to_bytes(),
            account.facts.stub,
            account.created_at,
            account.updated_at,
            account.version,
        ]
    };
    let replace = told::replace("account_id", &COLUMNS[2..]);
    bulk_insert(tx, "account", &COLUMNS, accounts.iter().map(row).collect(), OnConflict::Do(&replace)).await?;
    Ok(())
}

/// At most `limit` accounts that pass the filter, by id, after `after`.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    filter: &AccountFilter,
    after: Uuid,
    limit: u32,
) -> Result<Vec<AccountRow>, DbFault> {
    let mut args = args![workspace, after];
    let mut sql = format!("{SELECT} WHERE workspace_id = $1 AND account_id > $2");
    if !filter.name_contains.is_empty() {
        args.push(Arg::from(filter.name_contains.as_str()));
        sql.push_str(&format!(" AND {}", tx.dialect().contains("display_name", &format!("${}", args.len()))));
    }
    if let Some(stub) = filter.stub {
        args.push(Arg::from(stub));
        sql.push_str(&format!(" AND stub = ${}", args.len()));
    }
    args.push(Arg::from(i64::from(limit)));
    sql.push_str(&format!(" ORDER BY account_id LIMIT ${}", args.len()));
    tx.fetch_all(&sql, args).await?.iter().map(read).collect()
}

/// The names of accounts in other systems, by source and id.
pub(crate) async fn names(
    tx: &Tx,
    workspace: WorkspaceId,
    ids: &[AccountId],
) -> Result<BTreeMap<AccountId, Vec<ExternalId>>, DbFault> {
    let sql = format!(
        "SELECT account_id, source, external_id FROM account_external WHERE workspace_id = $1 AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid)
    );
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut found: BTreeMap<AccountId, Vec<ExternalId>> = BTreeMap::new();
    for row in &tx.fetch_all(&sql, args![workspace, ids]).await? {
        let external = ExternalId { source: row.get(1)?, id: row.get(2)? };
        found.entry(AccountId(row.get(0)?)).or_default().push(external);
    }
    found.values_mut().for_each(|names| names.sort_unstable());
    Ok(found)
}

/// Gives external ids to other accounts than before.
pub(crate) async fn rename(
    tx: &Tx,
    workspace: WorkspaceId,
    pairs: &BTreeMap<ExternalId, AccountId>,
) -> Result<(), DbFault> {
    let rows = pairs
        .iter()
        .map(|(external, account)| args![workspace, external.source.as_str(), external.id.as_str(), account.0])
        .collect();
    let columns = ["workspace_id", "source", "external_id", "account_id"];
    let take = "(workspace_id, source, external_id) DO UPDATE SET account_id = excluded.account_id";
    bulk_insert(tx, "account_external", &columns, rows, OnConflict::Do(take)).await?;
    Ok(())
}

/// Adds what attributes became, leaving out what is there for the same instant; answers whose keys were added.
pub(crate) async fn add_history(
    tx: &Tx,
    workspace: WorkspaceId,
    rows: &[AttributeRow],
) -> Result<Vec<(AccountId, String)>, DbFault> {
    let args = rows
        .iter()
        .map(|row| {
            args![workspace, row.account.0, row.key.as_str(), row.known_at, row.received_at, row.value.to_bytes()]
        })
        .collect();
    let columns = ["workspace_id", "account_id", "key", "known_at", "received_at", "value"];
    let last = "(workspace_id, account_id, key, known_at) DO UPDATE SET value = excluded.value,
        received_at = excluded.received_at WHERE account_attribute.value <> excluded.value";
    let added =
        bulk_insert_returning(tx, "account_attribute", &columns, args, OnConflict::Do(last), "account_id, key").await?;
    added.iter().map(|row| Ok((AccountId(row.get(0)?), row.get(1)?))).collect()
}

/// A stretch of the history of an account's attributes; ties are told apart by key.
pub(crate) async fn history(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    slice: &Slice,
) -> Result<Vec<AttributeRow>, DbFault> {
    let mut args = args![workspace, account.0];
    let tie = format!("a.key{}", tx.dialect().bytewise());
    let clause = slice.clause("a.known_at", &tie, &mut args);
    let sql = format!(
        "SELECT a.key, a.known_at, a.received_at, a.value,
             (SELECT b.value FROM account_attribute b WHERE b.workspace_id = a.workspace_id
              AND b.account_id = a.account_id AND b.key = a.key AND b.known_at < a.known_at
              ORDER BY b.known_at DESC LIMIT 1)
         FROM account_attribute a WHERE a.workspace_id = $1 AND a.account_id = $2{clause}"
    );
    let value = |bytes: &[u8]| Value::from_bytes(bytes).map_err(DbFault::internal);
    let rows = tx.fetch_all(&sql, args).await?;
    rows.iter()
        .map(|row| {
            Ok(AttributeRow {
                account,
                key: row.get(0)?,
                known_at: Micros(row.get(1)?),
                received_at: Micros(row.get(2)?),
                value: value(row.get(3)?)?,
                previous: row.get::<Option<Vec<u8>>, _>(4)?.map(|bytes| value(&bytes)).transpose()?,
            })
        })
        .collect()
}

fn read(row: &Row) -> Result<AccountRow, DbFault> {
    let facts = AccountFacts {
        display_name: row.get(1)?,
        parent: row.get::<Option<Uuid>, _>(2)?.map(AccountId),
        attributes: told::attributes(row.get(3)?)?,
        stub: row.get(4)?,
    };
    Ok(AccountRow {
        id: AccountId(row.get(0)?),
        facts,
        created_at: Micros(row.get(5)?),
        updated_at: Micros(row.get(6)?),
        version: row.get(7)?,
    })
}
