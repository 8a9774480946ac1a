//! Work in progress on all accounts: days being closed, accounts to be scored again, weekly snapshots.

use keizoku_base::{AccountId, Day, Partition, WorkspaceId};
use keizoku_storage::feed::Partitions;
use keizoku_storage::{DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert};
use uuid::Uuid;

/// How far the days of a partition are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DayClose {
    /// The partition.
    pub(crate) partition: Partition,
    /// The last day that is closed for all its accounts.
    pub(crate) closed_through: Day,
    /// The day that is being closed; `None`: none is.
    pub(crate) closing_to: Option<Day>,
    /// The last account for which it is.
    pub(crate) after: Option<AccountId>,
}

/// How far the accounts of a partition are scored again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rescore {
    /// The partition.
    pub(crate) partition: Partition,
    /// Grows with every request.
    pub(crate) wanted: i64,
    /// The request that is being answered; `None`: none is.
    pub(crate) doing: Option<i64>,
    /// The last account for which it is.
    pub(crate) after: Option<AccountId>,
}

/// Begins the closing of days for every partition, as if everything up to a day were closed.
///
/// # Errors
/// As the database.
pub(crate) async fn begin_days(tx: &Tx, workspace: WorkspaceId, closed_through: Day) -> Result<(), DbFault> {
    let row =
        |partition: Partition| args![workspace, partition, closed_through, closed_through, None::<i32>, None::<Uuid>];
    let columns = ["workspace_id", "partition", "began", "closed_through", "closing_to", "after_account"];
    bulk_insert(tx, "day_close", &columns, Partition::all().map(row).collect(), OnConflict::Skip).await?;
    Ok(())
}

/// Forgets how far days were closed.
///
/// # Errors
/// As the database.
pub(crate) async fn forget_days(tx: &Tx, workspace: WorkspaceId) -> Result<(), DbFault> {
    tx.execute("DELETE FROM day_close WHERE workspace_id = $1", args![workspace]).await?;
    Ok(())
}

/// Moves partitions on that have no accounts.
///
/// # Errors
/// As the database.
pub(crate) async fn skip_empty(
    tx: &Tx,
    workspace: WorkspaceId,
    partitions: Partitions,
    through: Day,
) -> Result<(), DbFault> {
    let sql = format!(
        "UPDATE day_close SET closed_through = $2 WHERE workspace_id = $1 AND closed_through < $2 AND {}
         AND NOT EXISTS (SELECT 1 FROM account_facts AS facts WHERE facts.workspace_id = $1
            AND facts.partition = day_close.partition)",
        tx.dialect().any("partition", "$3", SqlType::SmallInt)
    );
    tx.execute(&sql, args![workspace, through, numbers(partitions)]).await?;
    Ok(())
}

/// Partitions in which days up to `through` are still to be closed, ascending, locked.
///
/// # Errors
/// As the database.
pub(crate) async fn open_days(
    tx: &Tx,
    workspace: WorkspaceId,
    partitions: Partitions,
    through: Day,
) -> Result<Vec<DayClose>, DbFault> {
    let sql = format!(
        "SELECT partition, closed_through, closing_to, after_account FROM day_close
         WHERE workspace_id = $1 AND closed_through < $2 AND {} ORDER BY partition{}",
        tx.dialect().any("partition", "$3", SqlType::SmallInt),
        tx.dialect().for_update()
    );
    let rows = tx.fetch_all(&sql, args![workspace, through, numbers(partitions)]).await?;
    rows.iter()
        .map(|row| {
            Ok(DayClose {
                partition: partition(row)?,
                closed_through: Day(row.get(1)?),
                closing_to: row.get::<Option<i32>, _>(2)?.map(Day),
                after: row.get::<Option<Uuid>, _>(3)?.map(AccountId),
            })
        })
        .collect()
}

/// Says how far the days of partitions are closed now.
///
/// # Errors
/// As the database.
pub(crate) async fn put_days(tx: &Tx, workspace: WorkspaceId, rows: Vec<DayClose>) -> Result<(), DbFault> {
    let row = |row: DayClose| {
        let (through, to) = (row.closed_through, row.closing_to.map(|day| day.0));
        args![workspace, row.partition, through, through, to, row.after.map(|account| account.0)]
    };
    let columns = ["workspace_id", "partition", "began", "closed_through", "closing_to", "after_account"];
    let replace = "(workspace_id, partition) DO UPDATE SET closed_through = excluded.closed_through,
        closing_to = excluded.closing_to, after_account = excluded.after_account";
    bulk_insert(tx, "day_close", &columns, rows.into_iter().map(row).collect(), OnConflict::Do(replace)).await?;
    Ok(())
}

/// The day from which on days are closed (not included) and the last one that is closed in every partition; `None` where
/// nothing has begun.
///
/// # Errors
/// As the database.
pub(crate) async fn closed(tx: &Tx, workspace: WorkspaceId) -> Result<Option<(Day, Day)>, DbFault> {
    let sql = "SELECT max(began), min(closed_through) FROM day_close WHERE workspace_id = $1";
    let row = tx.fetch_one(sql, args![workspace]).await?;
    let (began, closed) = (row.get::<Option<i32>, _>(0)?, row.get::<Option<i32>, _>(1)?);
    Ok(began.zip(closed).map(|(began, closed)| (Day(began), Day(closed))))
}

/// Asks for all accounts of partitions, ascending, to be scored again.
///
/// # Errors
/// As the database.
pub(crate) async fn request_rescore(
    tx: &Tx,
    workspace: WorkspaceId,
    partitions: impl Iterator<Item = Partition>,
) -> Result<(), DbFault> {
    let row = |partition: Partition| args![workspace, partition, 1_i64, None::<i64>, None::<Uuid>];
    let columns = ["workspace_id", "partition", "wanted", "doing", "after_account"];
    let again = "(workspace_id, partition) DO UPDATE SET wanted = rescore.wanted + 1";
    bulk_insert(tx, "rescore", &columns, partitions.map(row).collect(), OnConflict::Do(again)).await?;
    Ok(())
}

/// The workspaces with accounts to be scored again, ascending. `tx` has the scope of the system.
///
/// # Errors
/// As the database.
pub(crate) async fn wanting(tx: &Tx) -> Result<Vec<WorkspaceId>, DbFault> {
    let sql = "SELECT DISTINCT workspace_id FROM rescore ORDER BY workspace_id";
    let rows = tx.fetch_all(sql, args![]).await?;
    rows.iter().map(|row| Ok(WorkspaceId(row.get(0)?))).collect()
}

/// The requests of partitions, ascending, locked.
///
/// # Errors
/// As the database.
pub(crate) async fn rescores(tx: &Tx, workspace: WorkspaceId, partitions: Partitions) -> Result<Vec<Rescore>, DbFault> {
    let sql = format!(
        "SELECT partition, wanted, doing, after_account FROM rescore WHERE workspace_id = $1 AND {}
         ORDER BY partition{}",
        tx.dialect().any("partition", "$2", SqlType::SmallInt),
        tx.dialect().for_update()
    );
    let rows = tx.fetch_all(&sql, args![workspace, numbers(partitions)]).await?;
    rows.iter()
        .map(|row| {
            let after = row.get::<Option<Uuid>, _>(3)?.map(AccountId);
            Ok(Rescore { partition: partition(row)?, wanted: row.get(1)?, doing: row.get(2)?, after })
        })
        .collect()
}

/// Says how far a request is answered.
///
/// # Errors
/// As the database.
pub(crate) async fn put_rescore(tx: &Tx, workspace: WorkspaceId, row: &Rescore) -> Result<(), DbFault> {
    let sql = "UPDATE rescore SET doing = $3, after_account = $4 WHERE workspace_id = $1 AND partition = $2";
    let after = row.after.map(|account| account.0);
    tx.execute(sql, args![workspace, row.partition, row.doing, after]).await?;
    Ok(())
}

/// Takes the requests of partitions away.
///
/// # Errors
/// As the database.
pub(crate) async fn end_rescores(tx: &Tx, workspace: WorkspaceId, partitions: Partitions) -> Result<(), DbFault> {
    let sql = format!(
        "DELETE FROM rescore WHERE workspace_id = $1 AND {}",
        tx.dialect().any("partition", "$2", SqlType::SmallInt)
    );
    tx.execute(&sql, args![workspace, numbers(partitions)]).await?;
    Ok(())
}

/// The days of the snapshots of a model after a day.
///
/// # Errors
/// As the database.
pub(crate) async fn snapshots(tx: &Tx, workspace: WorkspaceId, model: &str, after: Day) -> Result<Vec<Day>, DbFault> {
    let sql = "SELECT day FROM composition_snapshot WHERE workspace_id = $1 AND model = $2 AND day > $3";
    let rows = tx.fetch_all(sql, args![workspace, model, after]).await?;
    rows.iter().map(|row| Ok(Day(row.get(0)?))).collect()
}

/// Keeps a snapshot; one that is there already stays.
///
/// # Errors
/// As the database.
pub(crate) async fn put_snapshot(
    tx: &Tx,
    workspace: WorkspaceId,
    model: &str,
    day: Day,
    data: Vec<u8>,
) -> Result<(), DbFault> {
    let rows = vec![args![workspace, model, day, data]];
    let columns = ["workspace_id", "model", "day", "data"];
    bulk_insert(tx, "composition_snapshot", &columns, rows, OnConflict::Skip).await?;
    Ok(())
}

fn numbers(partitions: Partitions) -> Vec<i16> {
    partitions.iter().map(|partition| i16::from(partition.number())).collect()
}

fn partition(row: &Row) -> Result<Partition, DbFault> {
    let number: i16 = row.get(0)?;
    let found = u8::try_from(number).ok().and_then(Partition::new);
    found.ok_or_else(|| DbFault::internal(format!("a row names partition {number}")))
}
