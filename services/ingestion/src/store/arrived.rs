//! What has arrived: for each account, of each partition's properties, and the days on which a source delivered.

use std::collections::{BTreeMap, HashMap};

use keizoku_base::{AccountId, Partition, WorkspaceId};
use keizoku_storage::{DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert};
use uuid::Uuid;

use crate::domain::covered::{AccountCoverage, PropertyCoverage};
use crate::domain::pack::Corrupt;
use crate::domain::set::NumberSet;

/// What arrived for these accounts, where anything did.
///
/// # Errors
/// As the database.
pub(crate) async fn accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: Vec<Uuid>,
) -> Result<HashMap<AccountId, AccountCoverage>, DbFault> {
    let sql = format!(
        "SELECT account_id, data FROM account_coverage WHERE workspace_id = $1 AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid)
    );
    tx.fetch_all(&sql, args![workspace, accounts]).await?.iter().map(account).collect()
}

/// At most `limit` accounts after `after` with what arrived for them, ascending.
///
/// # Errors
/// As the database.
pub(crate) async fn list_accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Uuid,
    limit: i64,
) -> Result<Vec<(AccountId, AccountCoverage)>, DbFault> {
    let sql = "SELECT account_id, data FROM account_coverage WHERE workspace_id = $1 AND account_id > $2
         ORDER BY account_id LIMIT $3";
    tx.fetch_all(sql, args![workspace, after, limit]).await?.iter().map(account).collect()
}

/// Adds or replaces what arrived for accounts, which are sorted.
///
/// # Errors
/// As the database.
pub(crate) async fn put_accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: &BTreeMap<AccountId, AccountCoverage>,
) -> Result<(), DbFault> {
    let row = |(account, coverage): (&AccountId, &AccountCoverage)| args![workspace, account.0, coverage.to_bytes()];
    let replace = OnConflict::Do("(workspace_id, account_id) DO UPDATE SET data = excluded.data");
    let columns = ["workspace_id", "account_id", "data"];
    bulk_insert(tx, "account_coverage", &columns, accounts.iter().map(row).collect(), replace).await.map(drop)
}

/// Which properties arrived in these partitions.
///
/// # Errors
/// As the database.
pub(crate) async fn properties(
    tx: &Tx,
    workspace: WorkspaceId,
    partitions: impl IntoIterator<Item = Partition>,
) -> Result<BTreeMap<Partition, PropertyCoverage>, DbFault> {
    let sql = format!(
        "SELECT partition, data FROM property_coverage WHERE workspace_id = $1 AND {}",
        tx.dialect().any("partition", "$2", SqlType::SmallInt)
    );
    let rows = tx.fetch_all(&sql, args![workspace, numbers(partitions)]).await?;
    let read = |row: &Row| Ok((partition(row)?, PropertyCoverage::from_bytes(row.get(1)?).map_err(corrupt)?));
    rows.iter().map(read).collect()
}

/// Adds or replaces which properties arrived in partitions.
///
/// # Errors
/// As the database.
pub(crate) async fn put_properties(
    tx: &Tx,
    workspace: WorkspaceId,
    properties: &BTreeMap<Partition, PropertyCoverage>,
) -> Result<(), DbFault> {
    let row =
        |(partition, coverage): (&Partition, &PropertyCoverage)| args![workspace, *partition, coverage.to_bytes()];
    let replace = OnConflict::Do("(workspace_id, partition) DO UPDATE SET data = excluded.data");
    let columns = ["workspace_id", "partition", "data"];
    bulk_insert(tx, "property_coverage", &columns, properties.iter().map(row).collect(), replace).await.map(drop)
}

/// The days on which sources delivered anything, as numbers since 1970, in these partitions.
///
/// # Errors
/// As the database.
pub(crate) async fn source_days(
    tx: &Tx,
    workspace: WorkspaceId,
    partitions: impl IntoIterator<Item = Partition>,
) -> Result<BTreeMap<(Partition, String), NumberSet>, DbFault> {
    let sql = format!(
        "SELECT partition, source, days FROM source_days WHERE workspace_id = $1 AND {}",
        tx.dialect().any("partition", "$2", SqlType::SmallInt)
    );
    let rows = tx.fetch_all(&sql, args![workspace, numbers(partitions)]).await?;
    let read = |row: &Row| {
        let days = NumberSet::from_bytes(row.get(2)?).map_err(corrupt)?;
        Ok(((partition(row)?, row.get(1)?), days))
    };
    rows.iter().map(read).collect()
}

/// Adds or replaces the days of sources, which are sorted.
///
/// # Errors
/// As the database.
pub(crate) async fn put_source_days(
    tx: &Tx,
    workspace: WorkspaceId,
    days: &[(Partition, &str, &NumberSet)],
) -> Result<(), DbFault> {
    let row = |(partition, source, days): &(Partition, &str, &NumberSet)| {
        args![workspace, *partition, *source, days.to_bytes()]
    };
    let replace = OnConflict::Do("(workspace_id, partition, source) DO UPDATE SET days = excluded.days");
    let columns = ["workspace_id", "partition", "source", "days"];
    bulk_insert(tx, "source_days", &columns, days.iter().map(row).collect(), replace).await.map(drop)
}

fn account(row: &Row) -> Result<(AccountId, AccountCoverage), DbFault> {
    Ok((AccountId(row.get(0)?), AccountCoverage::from_bytes(row.get(1)?).map_err(corrupt)?))
}

fn numbers(partitions: impl IntoIterator<Item = Partition>) -> Vec<i16> {
    partitions.into_iter().map(|partition| i16::from(partition.number())).collect()
}

fn partition(row: &Row) -> Result<Partition, DbFault> {
    let number: i16 = row.get(0)?;
    let found = u8::try_from(number).ok().and_then(Partition::new);
    found.ok_or_else(|| DbFault::internal(format!("a row names partition {number}")))
}

fn corrupt(fault: Corrupt) -> DbFault {
    DbFault::internal(fault)
}
