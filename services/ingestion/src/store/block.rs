//! What metrics came to: a block for each account and month, the sets of users beside it, and how to undo what changed
//! after a day's close.

use std::collections::HashMap;

use keizoku_base::time::Month;
use keizoku_base::{AccountId, Day, Micros, WorkspaceId};
use keizoku_storage::{DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert};
use uuid::Uuid;

use crate::domain::block::{Block, UndoEntry, UserSets};
use crate::domain::pack::Corrupt;
use crate::domain::set::NumberSet;

/// The users of metrics and days of accounts.
pub(crate) type AccountSets = HashMap<AccountId, UserSets>;

/// The blocks of these accounts and months, where there are any.
///
/// # Errors
/// As the database.
pub(crate) async fn blocks(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: Vec<Uuid>,
    months: Vec<i32>,
) -> Result<HashMap<(AccountId, Month), Block>, DbFault> {
    let sql = format!(
        "SELECT account_id, month, data FROM metric_block WHERE workspace_id = $1 AND {} AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid),
        tx.dialect().any("month", "$3", SqlType::Integer)
    );
    let rows = tx.fetch_all(&sql, args![workspace, accounts, months]).await?;
    rows.iter().map(|row| block(row).map(|(account, block)| ((account, block.month()), block))).collect()
}

/// At most `limit` blocks after that of `after`, by account and month.
///
/// # Errors
/// As the database.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    after: (Uuid, i32),
    limit: usize,
) -> Result<Vec<(AccountId, Block)>, DbFault> {
    let sql = "SELECT account_id, month, data FROM metric_block
         WHERE workspace_id = $1 AND (account_id, month) > ($2, $3) ORDER BY account_id, month LIMIT $4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = tx.fetch_all(sql, args![workspace, after.0, after.1, limit]).await?;
    rows.iter().map(block).collect()
}

/// The users of these metrics on these days of these accounts, where there are any.
///
/// # Errors
/// As the database.
pub(crate) async fn sets(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: Vec<Uuid>,
    metrics: Vec<i64>,
    days: Vec<i32>,
) -> Result<AccountSets, DbFault> {
    let sql = format!(
        "SELECT account_id, metric_no, day, users FROM metric_set WHERE workspace_id = $1 AND {} AND {} AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid),
        tx.dialect().any("metric_no", "$3", SqlType::BigInt),
        tx.dialect().any("day", "$4", SqlType::Integer)
    );
    let mut found = AccountSets::new();
    for row in &tx.fetch_all(&sql, args![workspace, accounts, metrics, days]).await? {
        let users = NumberSet::from_bytes(row.get(3)?).map_err(corrupt)?;
        let of = (number(row.get(1)?)?, Day(row.get(2)?));
        found.entry(AccountId(row.get(0)?)).or_default().insert(of, users);
    }
    Ok(found)
}

/// Adds or replaces blocks, which are sorted by account and month.
///
/// # Errors
/// As the database.
pub(crate) async fn put_blocks(tx: &Tx, workspace: WorkspaceId, blocks: &[(AccountId, Block)]) -> Result<(), DbFault> {
    let row = |(account, block): &(AccountId, Block)| args![workspace, account.0, block.month().0, block.to_bytes()];
    let columns = ["workspace_id", "account_id", "month", "data"];
    let replace = OnConflict::Do("(workspace_id, account_id, month) DO UPDATE SET data = excluded.data");
    bulk_insert(tx, "metric_block", &columns, blocks.iter().map(row).collect(), replace).await.map(drop)
}

/// Adds or replaces sets of users, which are sorted.
///
/// # Errors
/// As the database.
pub(crate) async fn put_sets(
    tx: &Tx,
    workspace: WorkspaceId,
    sets: &[(AccountId, u32, Day, &NumberSet)],
) -> Result<(), DbFault> {
    let row = |(account, metric_no, day, users): &(AccountId, u32, Day, &NumberSet)| {
        args![workspace, account.0, i64::from(*metric_no), *day, users.to_bytes()]
    };
    let columns = ["workspace_id", "account_id", "metric_no", "day", "users"];
    let replace = OnConflict::Do("(workspace_id, account_id, metric_no, day) DO UPDATE SET users = excluded.users");
    bulk_insert(tx, "metric_set", &columns, sets.iter().map(row).collect(), replace).await.map(drop)
}

/// Keeps how to undo changes to closed days.
///
/// # Errors
/// As the database.
pub(crate) async fn add_undo(
    tx: &Tx,
    workspace: WorkspaceId,
    entries: &[(AccountId, UndoEntry)],
) -> Result<(), DbFault> {
    let row = |(account, entry): &(AccountId, UndoEntry)| {
        let metric_no = i64::from(entry.metric_no);
        args![workspace, account.0, metric_no, entry.day, entry.known_at, entry.seq, entry.change_to_bytes()]
    };
    let columns = ["workspace_id", "account_id", "metric_no", "day", "known_at", "seq", "previous"];
    bulk_insert(tx, "metric_undo", &columns, entries.iter().map(row).collect(), OnConflict::Fail).await.map(drop)
}

/// How to undo what changed of a metric's days from `from` to before `until` after their close.
///
/// # Errors
/// As the database.
pub(crate) async fn undo(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    metric_no: u32,
    (from, until): (Day, Day),
) -> Result<Vec<UndoEntry>, DbFault> {
    let sql = "SELECT day, known_at, seq, previous FROM metric_undo WHERE workspace_id = $1 AND account_id = $2
         AND metric_no = $3 AND day >= $4 AND day < $5";
    let rows = tx.fetch_all(sql, args![workspace, account.0, i64::from(metric_no), from, until]).await?;
    rows.iter()
        .map(|row| {
            let (previous, added) = UndoEntry::change_from_bytes(row.get(3)?).map_err(corrupt)?;
            let (day, known_at, seq) = (Day(row.get(0)?), Micros(row.get(1)?), row.get(2)?);
            Ok(UndoEntry { metric_no, day, known_at, seq, previous, added })
        })
        .collect()
}

fn block(row: &Row) -> Result<(AccountId, Block), DbFault> {
    let month = Month(row.get(1)?);
    Ok((AccountId(row.get(0)?), Block::from_bytes(month, row.get(2)?).map_err(corrupt)?))
}

fn number(stored: i64) -> Result<u32, DbFault> {
    u32::try_from(stored).map_err(DbFault::internal)
}

fn corrupt(fault: Corrupt) -> DbFault {
    DbFault::internal(fault)
}
