//! Scores, their daily closes and their changes, written for many accounts at once.

use keizoku_base::time::Month;
use keizoku_base::{AccountId, Day, Micros, WorkspaceId};
use keizoku_storage::feed::Partitions;
use keizoku_storage::{DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert};

use super::inputs::{account, ids};

/// The present score of an account by one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScoreRow {
    /// The account.
    pub(crate) account: AccountId,
    /// The model's key.
    pub(crate) model: String,
    /// Thousandths of a point; `None`: unscored.
    pub(crate) value_millis: Option<i32>,
    /// The band's key; empty: none.
    pub(crate) band: String,
    /// Whether the band is good news; empty: no band.
    pub(crate) polarity: String,
    /// The level's key; empty: none.
    pub(crate) level: String,
    /// The persona's key; empty: none.
    pub(crate) persona: String,
    /// The stage's key; empty: none.
    pub(crate) stage: String,
    /// Why it is unscored, as `Reason::code`; -1: it is scored.
    pub(crate) reason: i16,
    /// The version of the model.
    pub(crate) model_version: i32,
    /// Whether it is the workspace's primary model.
    pub(crate) primary: bool,
    /// Grows with every change.
    pub(crate) score_version: i64,
    /// The day it speaks of.
    pub(crate) day: Day,
    /// When it was computed.
    pub(crate) computed_at: Micros,
    /// The encoded score without contributions.
    pub(crate) basic: Vec<u8>,
    /// The encoded score with contributions.
    pub(crate) explained: Vec<u8>,
}

/// The packed closes of an account by one model in a month.
#[derive(Debug, Clone)]
pub(crate) struct HistoryRow {
    /// The account.
    pub(crate) account: AccountId,
    /// The model's key.
    pub(crate) model: String,
    /// The month.
    pub(crate) month: Month,
    /// The packed closes.
    pub(crate) data: Vec<u8>,
}

/// A change of a score.
#[derive(Debug, Clone)]
pub(crate) struct ChangeRow {
    /// The account.
    pub(crate) account: AccountId,
    /// The model's key.
    pub(crate) model: String,
    /// The version of the score that it became.
    pub(crate) score_version: i64,
    /// When.
    pub(crate) at: Micros,
    /// Thousandths of a point; `None`: unscored.
    pub(crate) value_millis: Option<i32>,
    /// The band's key; empty: none.
    pub(crate) band: String,
    /// The level's key; empty: none.
    pub(crate) level: String,
    /// The stage's key; empty: none.
    pub(crate) stage: String,
    /// The measures that moved it most, the largest first, parted by commas.
    pub(crate) causes: String,
}

const SCORE: [&str; 17] = [
    "workspace_id",
    "model",
    "account_id",
    "partition",
    "value_millis",
    "band",
    "polarity",
    "level",
    "persona",
    "stage",
    "reason",
    "model_version",
    "is_primary",
    "score_version",
    "day",
    "computed_at",
    "basic",
];

const READ: &str = "SELECT account_id, model, value_millis, band, polarity, level, persona, stage, reason,
    model_version, is_primary, score_version, day, computed_at, basic, explained FROM score";

/// The scores of accounts by every model, by account and model.
///
/// # Errors
/// As the database.
pub(crate) async fn scores(tx: &Tx, workspace: WorkspaceId, accounts: &[AccountId]) -> Result<Vec<ScoreRow>, DbFault> {
    let any = tx.dialect().any("account_id", "$2", SqlType::Uuid);
    let sql = format!("{READ} WHERE workspace_id = $1 AND {any} ORDER BY account_id, model");
    let rows = tx.fetch_all(&sql, args![workspace, ids(accounts)]).await?;
    rows.iter().map(score_row).collect()
}

/// At most `limit` scores of some partitions after a model and account, in that order.
///
/// # Errors
/// As the database.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    partitions: Partitions,
    after: (&str, AccountId),
    limit: u32,
) -> Result<Vec<ScoreRow>, DbFault> {
    let numbers: Vec<i16> = partitions.iter().map(|partition| i16::from(partition.number())).collect();
    let any = tx.dialect().any("partition", "$4", SqlType::SmallInt);
    let sql = format!(
        "{READ} WHERE workspace_id = $1 AND (model > $2 OR (model = $2 AND account_id > $3)) AND {any}
         ORDER BY model, account_id LIMIT $5"
    );
    let rows = tx.fetch_all(&sql, args![workspace, after.0, after.1.0, numbers, i64::from(limit)]).await?;
    rows.iter().map(score_row).collect()
}

fn score_row(row: &Row) -> Result<ScoreRow, DbFault> {
    Ok(ScoreRow {
        account: account(row)?,
        model: row.get(1)?,
        value_millis: row.get(2)?,
        band: row.get(3)?,
        polarity: row.get(4)?,
        level: row.get(5)?,
        persona: row.get(6)?,
        stage: row.get(7)?,
        reason: row.get(8)?,
        model_version: row.get(9)?,
        primary: row.get(10)?,
        score_version: row.get(11)?,
        day: Day(row.get(12)?),
        computed_at: Micros(row.get(13)?),
        basic: row.get(14)?,
        explained: row.get(15)?,
    })
}

/// Writes scores, sorted by model and account.
///
/// # Errors
/// As the database.
pub(crate) async fn put_scores(tx: &Tx, workspace: WorkspaceId, scores: Vec<ScoreRow>) -> Result<(), DbFault> {
    let row = |row: ScoreRow| {
        args![
            workspace,
            row.model,
            row.account.0,
            row.account.partition(),
            row.value_millis,
            row.band,
            row.polarity,
            row.level,
            row.persona,
            row.stage,
            row.reason,
            row.model_version,
            row.primary,
            row.score_version,
            row.day,
            row.computed_at,
            row.basic,
            row.explained
        ]
    };
    let columns: Vec<&str> = SCORE.into_iter().chain(["explained"]).collect();
    let set: Vec<String> = columns.iter().skip(3).map(|column| format!("{column} = excluded.{column}")).collect();
    let replace = format!("(workspace_id, model, account_id) DO UPDATE SET {}", set.join(", "));
    bulk_insert(tx, "score", &columns, scores.into_iter().map(row).collect(), OnConflict::Do(&replace)).await?;
    Ok(())
}

/// The closes of accounts by every model from `first` on, by account, model and month.
///
/// # Errors
/// As the database.
pub(crate) async fn history(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: &[AccountId],
    first: Month,
) -> Result<Vec<HistoryRow>, DbFault> {
    let sql = format!(
        "SELECT account_id, model, month, data FROM score_month WHERE workspace_id = $1 AND {} AND month >= $3
         ORDER BY account_id, model, month",
        tx.dialect().any("account_id", "$2", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids(accounts), first.0]).await?;
    rows.iter()
        .map(|row| {
            let (model, month) = (row.get(1)?, Month(row.get(2)?));
            Ok(HistoryRow { account: account(row)?, model, month, data: row.get(3)? })
        })
        .collect()
}

/// Writes closes, sorted by model, account and month.
///
/// # Errors
/// As the database.
pub(crate) async fn put_history(tx: &Tx, workspace: WorkspaceId, months: Vec<HistoryRow>) -> Result<(), DbFault> {
    let row =
        |row: HistoryRow| args![workspace, row.model, row.account.0, row.month.0, row.account.partition(), row.data];
    let columns = ["workspace_id", "model", "account_id", "month", "partition", "data"];
    let replace = "(workspace_id, model, account_id, month) DO UPDATE SET data = excluded.data";
    bulk_insert(tx, "score_month", &columns, months.into_iter().map(row).collect(), OnConflict::Do(replace)).await?;
    Ok(())
}

/// Keeps changes of scores.
///
/// # Errors
/// As the database.
pub(crate) async fn add_changes(tx: &Tx, workspace: WorkspaceId, changes: Vec<ChangeRow>) -> Result<(), DbFault> {
    let row = |row: ChangeRow| {
        let partition = row.account.partition();
        args![
            workspace,
            row.model,
            row.account.0,
            row.score_version,
            row.at,
            partition,
            row.value_millis,
            row.band,
            row.level,
            row.stage,
            row.causes
        ]
    };
    let columns = [
        "workspace_id",
        "model",
        "account_id",
        "score_version",
        "at",
        "partition",
        "value_millis",
        "band",
        "level",
        "stage",
        "causes",
    ];
    bulk_insert(tx, "score_change", &columns, changes.into_iter().map(row).collect(), OnConflict::Skip).await?;
    Ok(())
}

/// Forgets at most `most` changes from before `before`; how many there were. `tx` has the scope of the system.
///
/// # Errors
/// As the database.
pub(crate) async fn prune_changes(tx: &Tx, before: Micros, most: u32) -> Result<u64, DbFault> {
    let sql = "DELETE FROM score_change WHERE (workspace_id, model, account_id, score_version) IN
         (SELECT workspace_id, model, account_id, score_version FROM score_change WHERE at < $1 LIMIT $2)";
    tx.execute(sql, args![before, i64::from(most)]).await
}

/// Deletes everything about accounts that are gone.
///
/// # Errors
/// As the database.
pub(crate) async fn forget(tx: &Tx, workspace: WorkspaceId, accounts: &[AccountId]) -> Result<(), DbFault> {
    let tables = [
        "account_facts",
        "account_alias",
        "metric_block",
        "metric_set",
        "metric_undo",
        "score",
        "score_month",
        "score_change",
    ];
    for table in tables {
        let sql = format!(
            "DELETE FROM {table} WHERE workspace_id = $1 AND {}",
            tx.dialect().any("account_id", "$2", SqlType::Uuid)
        );
        tx.execute(&sql, args![workspace, ids(accounts)]).await?;
    }
    Ok(())
}
