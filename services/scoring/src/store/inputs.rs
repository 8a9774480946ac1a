//! What scores are made of, read and written for many accounts at once.

use std::collections::BTreeMap;

use keizoku_base::time::Month;
use keizoku_base::{AccountId, ExternalId, Micros, Partition, WorkspaceId};
use keizoku_storage::{Arg, DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert};
use uuid::Uuid;

use super::parts::Parts;

/// A packed month of an account's metrics.
#[derive(Debug, Clone)]
pub(crate) struct MonthRow {
    /// The account.
    pub(crate) account: AccountId,
    /// The month.
    pub(crate) month: Month,
    /// The oldest life of the copy that a day of it belongs to.
    pub(crate) generation: i64,
    /// The packed places of the changes that its days came from.
    pub(crate) marks: Vec<u8>,
    /// The packed values.
    pub(crate) data: Vec<u8>,
}

/// The packed user sets of one metric in a month.
#[derive(Debug, Clone)]
pub(crate) struct SetRow {
    /// The account.
    pub(crate) account: AccountId,
    /// The month.
    pub(crate) month: Month,
    /// The metric.
    pub(crate) key: String,
    /// The version of its definition.
    pub(crate) version: i32,
    /// The packed sets.
    pub(crate) data: Vec<u8>,
}

/// The facts of those accounts that have any.
///
/// # Errors
/// As the database.
pub(crate) async fn facts(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: &[AccountId],
) -> Result<BTreeMap<AccountId, Parts>, DbFault> {
    let sql = format!(
        "SELECT account_id, data FROM account_facts WHERE workspace_id = $1 AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids(accounts)]).await?;
    rows.iter().map(|row| Ok((account(row)?, Parts::decode(&row.get::<Vec<u8>, _>(1)?)?))).collect()
}

/// Writes the facts of accounts, sorted by id.
///
/// # Errors
/// As the database.
pub(crate) async fn put_facts(tx: &Tx, workspace: WorkspaceId, facts: &[(AccountId, &Parts)]) -> Result<(), DbFault> {
    let row = |(account, parts): &(AccountId, &Parts)| {
        args![workspace, account.0, account.partition(), parts.generation(), parts.encode()]
    };
    let columns = ["workspace_id", "account_id", "partition", "generation", "data"];
    let replace = "(workspace_id, account_id) DO UPDATE SET generation = excluded.generation, data = excluded.data";
    bulk_insert(tx, "account_facts", &columns, facts.iter().map(row).collect(), OnConflict::Do(replace)).await?;
    Ok(())
}

/// Names accounts by their external ids, sorted by these.
///
/// # Errors
/// As the database.
pub(crate) async fn put_aliases(
    tx: &Tx,
    workspace: WorkspaceId,
    aliases: &BTreeMap<ExternalId, AccountId>,
    generation: i64,
) -> Result<(), DbFault> {
    let row = |(external, account): (&ExternalId, &AccountId)| {
        let (source, id) = (external.source.as_str(), external.id.as_str());
        args![workspace, source, id, account.0, account.partition(), generation]
    };
    let columns = ["workspace_id", "source", "external_id", "account_id", "partition", "generation"];
    let replace = "(workspace_id, source, external_id) DO UPDATE SET account_id = excluded.account_id,
        partition = excluded.partition, generation = excluded.generation";
    bulk_insert(tx, "account_alias", &columns, aliases.iter().map(row).collect(), OnConflict::Do(replace)).await?;
    Ok(())
}

/// The months of accounts from `first` on, by account and month.
///
/// # Errors
/// As the database.
pub(crate) async fn months(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: &[AccountId],
    first: Month,
) -> Result<Vec<MonthRow>, DbFault> {
    let sql = format!(
        "SELECT account_id, month, generation, marks, data FROM metric_block WHERE workspace_id = $1 AND {} AND month >= $3
         ORDER BY account_id, month",
        tx.dialect().any("account_id", "$2", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids(accounts), first.0]).await?;
    rows.iter().map(month_row).collect()
}

/// The months of single accounts, whenever they are.
///
/// # Errors
/// As the database.
pub(crate) async fn months_at(
    tx: &Tx,
    workspace: WorkspaceId,
    places: &[(AccountId, Month)],
) -> Result<Vec<MonthRow>, DbFault> {
    let sql = format!(
        "SELECT account_id, month, generation, marks, data FROM metric_block JOIN ({}) AS wanted
            ON account_id = wanted.c1 AND month = wanted.c2 WHERE workspace_id = $1",
        tx.dialect().columns(&[("$2", SqlType::Uuid), ("$3", SqlType::Integer)])
    );
    let (accounts, months) = columns_of(places);
    let rows = tx.fetch_all(&sql, args![workspace, accounts, months]).await?;
    rows.iter().map(month_row).collect()
}

/// The months of a partition that hold days of an older life of the copy than `generation`, at most `limit`.
///
/// # Errors
/// As the database.
pub(crate) async fn months_before(
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    generation: i64,
    limit: u32,
) -> Result<Vec<MonthRow>, DbFault> {
    let sql = "SELECT account_id, month, generation, marks, data FROM metric_block
         WHERE workspace_id = $1 AND partition = $2 AND generation < $3 ORDER BY account_id, month LIMIT $4";
    let rows = tx.fetch_all(sql, args![workspace, partition, generation, i64::from(limit)]).await?;
    rows.iter().map(month_row).collect()
}

/// The facts of a partition that hold parts of an older life of the copy than `generation`, at most `limit`.
///
/// # Errors
/// As the database.
pub(crate) async fn facts_before(
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    generation: i64,
    limit: u32,
) -> Result<Vec<(AccountId, Parts)>, DbFault> {
    let sql = "SELECT account_id, data FROM account_facts
         WHERE workspace_id = $1 AND partition = $2 AND generation < $3 ORDER BY account_id LIMIT $4";
    let rows = tx.fetch_all(sql, args![workspace, partition, generation, i64::from(limit)]).await?;
    rows.iter().map(|row| Ok((account(row)?, Parts::decode(&row.get::<Vec<u8>, _>(1)?)?))).collect()
}

/// The user sets of these metrics of accounts from `first` on, by account and month.
///
/// # Errors
/// As the database.
pub(crate) async fn sets(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: &[AccountId],
    first: Month,
    keys: &[String],
) -> Result<Vec<SetRow>, DbFault> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT account_id, month, key, version, data FROM metric_set
         WHERE workspace_id = $1 AND {} AND month >= $3 AND {} ORDER BY account_id, month, key, version",
        tx.dialect().any("account_id", "$2", SqlType::Uuid),
        tx.dialect().any("key", "$4", SqlType::Text)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids(accounts), first.0, keys.to_vec()]).await?;
    rows.iter().map(set_row).collect()
}

/// The user sets of all metrics in months of single accounts.
///
/// # Errors
/// As the database.
pub(crate) async fn sets_at(
    tx: &Tx,
    workspace: WorkspaceId,
    places: &[(AccountId, Month)],
) -> Result<Vec<SetRow>, DbFault> {
    let sql = format!(
        "SELECT account_id, month, key, version, data FROM metric_set JOIN ({}) AS wanted
            ON account_id = wanted.c1 AND month = wanted.c2 WHERE workspace_id = $1",
        tx.dialect().columns(&[("$2", SqlType::Uuid), ("$3", SqlType::Integer)])
    );
    let (accounts, months) = columns_of(places);
    let rows = tx.fetch_all(&sql, args![workspace, accounts, months]).await?;
    rows.iter().map(set_row).collect()
}

fn month_row(row: &Row) -> Result<MonthRow, DbFault> {
    let (month, generation) = (Month(row.get(1)?), row.get(2)?);
    Ok(MonthRow { account: account(row)?, month, generation, marks: row.get(3)?, data: row.get(4)? })
}

fn set_row(row: &Row) -> Result<SetRow, DbFault> {
    let (month, key, version) = (Month(row.get(1)?), row.get(2)?, row.get(3)?);
    Ok(SetRow { account: account(row)?, month, key, version, data: row.get(4)? })
}

fn columns_of(places: &[(AccountId, Month)]) -> (Vec<Uuid>, Vec<i32>) {
    places.iter().map(|(account, month)| (account.0, month.0)).unzip()
}

/// Writes months, sorted by account and month.
///
/// # Errors
/// As the database.
pub(crate) async fn put_months(tx: &Tx, workspace: WorkspaceId, months: Vec<MonthRow>) -> Result<(), DbFault> {
    let row = |row: MonthRow| {
        let partition = row.account.partition();
        args![workspace, row.account.0, row.month.0, partition, row.generation, row.marks, row.data]
    };
    let columns = ["workspace_id", "account_id", "month", "partition", "generation", "marks", "data"];
    let replace = "(workspace_id, account_id, month) DO UPDATE SET generation = excluded.generation,
        marks = excluded.marks, data = excluded.data";
    bulk_insert(tx, "metric_block", &columns, months.into_iter().map(row).collect(), OnConflict::Do(replace)).await?;
    Ok(())
}

/// Writes user sets, sorted by account, month and metric.
///
/// # Errors
/// As the database.
pub(crate) async fn put_sets(tx: &Tx, workspace: WorkspaceId, sets: Vec<SetRow>) -> Result<(), DbFault> {
    let row = |row: SetRow| {
        let partition = row.account.partition();
        args![workspace, row.account.0, row.month.0, row.key, row.version, partition, row.data]
    };
    let columns = ["workspace_id", "account_id", "month", "key", "version", "partition", "data"];
    let replace = "(workspace_id, account_id, month, key, version) DO UPDATE SET data = excluded.data";
    bulk_insert(tx, "metric_set", &columns, sets.into_iter().map(row).collect(), OnConflict::Do(replace)).await?;
    Ok(())
}

/// What a change to a closed day replaced.
#[derive(Debug, Clone)]
pub(crate) struct UndoRow {
    /// The account.
    pub(crate) account: AccountId,
    /// The month.
    pub(crate) month: Month,
    /// When the change was known.
    pub(crate) known_at: Micros,
    /// The position of the change.
    pub(crate) seq: i64,
    /// The packed earlier state.
    pub(crate) data: Vec<u8>,
}

/// Keeps what changes to closed days replaced; the same again is left out.
///
/// # Errors
/// As the database.
pub(crate) async fn add_undo(tx: &Tx, workspace: WorkspaceId, undo: Vec<UndoRow>) -> Result<(), DbFault> {
    let row = |row: UndoRow| {
        args![workspace, row.account.0, row.month.0, row.known_at, row.seq, row.account.partition(), row.data]
    };
    let columns = ["workspace_id", "account_id", "month", "known_at", "seq", "partition", "data"];
    bulk_insert(tx, "metric_undo", &columns, undo.into_iter().map(row).collect(), OnConflict::Skip).await?;
    Ok(())
}

/// What was replaced in an account's months from `first` on, in the order it was.
///
/// # Errors
/// As the database.
pub(crate) async fn undo(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    first: Month,
) -> Result<Vec<UndoRow>, DbFault> {
    let rows = tx
        .fetch_all(
            "SELECT month, known_at, seq, data FROM metric_undo
             WHERE workspace_id = $1 AND account_id = $2 AND month >= $3 ORDER BY month, seq",
            args![workspace, account.0, first.0],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(UndoRow {
                account,
                month: Month(row.get(0)?),
                known_at: Micros(row.get(1)?),
                seq: row.get(2)?,
                data: row.get(3)?,
            })
        })
        .collect()
}

/// At most `limit` accounts of some partitions, in each after the given one, by partition and account.
///
/// # Errors
/// As the database.
pub(crate) async fn accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    places: &[(Partition, Option<AccountId>)],
    limit: usize,
) -> Result<Vec<AccountId>, DbFault> {
    let sql = format!(
        "SELECT account_id FROM account_facts JOIN ({}) AS wanted ON partition = wanted.c1
         WHERE workspace_id = $1 AND account_id > wanted.c2 ORDER BY partition, account_id LIMIT $4",
        tx.dialect().columns(&[("$2", SqlType::SmallInt), ("$3", SqlType::Uuid)])
    );
    let partitions: Vec<i16> = places.iter().map(|(partition, _)| i16::from(partition.number())).collect();
    let after: Vec<Uuid> = places.iter().map(|(_, after)| after.map_or_else(Uuid::nil, |account| account.0)).collect();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = tx.fetch_all(&sql, args![workspace, partitions, after, limit]).await?;
    rows.iter().map(account).collect()
}

/// Deletes the rows of a table that are of an older life of the copy; how many there were.
///
/// # Errors
/// As the database.
pub(crate) async fn sweep(
    tx: &Tx,
    table: &'static str,
    workspace: WorkspaceId,
    partition: Partition,
    generation: i64,
) -> Result<u64, DbFault> {
    let sql = format!("DELETE FROM {table} WHERE workspace_id = $1 AND partition = $2 AND generation < $3");
    let values: Vec<Arg> = args![workspace, partition, generation];
    tx.execute(&sql, values).await
}

pub(crate) fn ids(accounts: &[AccountId]) -> Vec<Uuid> {
    accounts.iter().map(|account| account.0).collect()
}

pub(crate) fn account(row: &Row) -> Result<AccountId, DbFault> {
    Ok(AccountId(row.get(0)?))
}
