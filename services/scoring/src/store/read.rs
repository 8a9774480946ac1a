//! Scores as they are read: by account, in pages, counted; who is meant by an external id; what changed and why.

use std::collections::BTreeMap;

use keizoku_base::number::MilliPoints;
use keizoku_base::{AccountId, Day, ExternalId, Partition, WorkspaceId};
use keizoku_storage::{Arg, DbFault, Row, SqlType, Tx, args};
use uuid::Uuid;

use super::inputs::{account, ids};
use super::shared::Watermark;
use crate::domain::watch::{Filter, State};

/// Which of the stored answers is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blob {
    /// Without contributions.
    Basic,
    /// With contributions.
    Explained,
}

impl Blob {
    fn column(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Explained => "explained",
        }
    }
}

/// A stored answer.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The account.
    pub(crate) account: AccountId,
    /// Grows with every change.
    pub(crate) version: i64,
    /// The day it speaks of.
    pub(crate) day: Day,
    /// The encoded score.
    pub(crate) score: Vec<u8>,
}

/// The stored answers for accounts by one model, as far as there are any, in any order.
///
/// # Errors
/// As the database.
pub(crate) async fn scores(
    tx: &Tx,
    workspace: WorkspaceId,
    model: &str,
    accounts: &[AccountId],
    blob: Blob,
) -> Result<Vec<Stored>, DbFault> {
    let sql = format!(
        "SELECT account_id, score_version, day, {} FROM score WHERE workspace_id = $1 AND model = $2 AND {}",
        blob.column(),
        tx.dialect().any("account_id", "$3", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, model, ids(accounts)]).await?;
    rows.iter()
        .map(|row| {
            let (version, day) = (row.get(1)?, Day(row.get(2)?));
            Ok(Stored { account: account(row)?, version, day, score: row.get(3)? })
        })
        .collect()
}

/// Those of the accounts that are known, in any order.
///
/// # Errors
/// As the database.
pub(crate) async fn known(tx: &Tx, workspace: WorkspaceId, accounts: &[AccountId]) -> Result<Vec<AccountId>, DbFault> {
    let sql = format!(
        "SELECT account_id FROM account_facts WHERE workspace_id = $1 AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids(accounts)]).await?;
    rows.iter().map(account).collect()
}

/// The accounts that external ids name, as far as they name any.
///
/// # Errors
/// As the database.
pub(crate) async fn named(
    tx: &Tx,
    workspace: WorkspaceId,
    externals: &[ExternalId],
) -> Result<Vec<(ExternalId, AccountId)>, DbFault> {
    let mut by_source: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for external in externals {
        by_source.entry(&external.source).or_default().push(external.id.clone());
    }
    let sql = format!(
        "SELECT account_id, external_id FROM account_alias WHERE workspace_id = $1 AND source = $2 AND {}",
        tx.dialect().any("external_id", "$3", SqlType::Text)
    );
    let mut found = Vec::with_capacity(externals.len());
    for (source, ids) in by_source {
        for row in tx.fetch_all(&sql, args![workspace, source, ids]).await? {
            found.push((ExternalId { source: source.to_owned(), id: row.get(1)? }, account(&row)?));
        }
    }
    Ok(found)
}

/// How far the partitions of a workspace are followed; those that are not named are where they began.
///
/// # Errors
/// As the database.
pub(crate) async fn watermarks(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<(Partition, Watermark)>, DbFault> {
    let sql = "SELECT partition, events_seq, changes_seq FROM watermark WHERE workspace_id = $1";
    let rows = tx.fetch_all(sql, args![workspace]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let number: i16 = row.get(0)?;
        if let Some(partition) = u8::try_from(number).ok().and_then(Partition::new) {
            found.push((partition, Watermark { events: row.get(1)?, changes: row.get(2)? }));
        }
    }
    Ok(found)
}

/// The keys of the workspace's models, and whether each is the primary one.
///
/// # Errors
/// As the database.
pub(crate) async fn models(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<(String, bool)>, DbFault> {
    let sql = "SELECT DISTINCT key, is_primary FROM model WHERE workspace_id = $1";
    let rows = tx.fetch_all(sql, args![workspace]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// A score as lists and watchers see it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// What tells its states apart.
    pub(crate) state: State,
    /// The encoded score, without contributions.
    pub(crate) score: Vec<u8>,
}

/// In which order scores are listed, and after which place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// By account, after this one.
    Account(Uuid),
    /// Scored accounts by value and account, after this value and account.
    Value(i32, Uuid),
    /// The unscored ones that come after all scored ones, by account, after this one.
    Unscored(Uuid),
}

const LISTED: &str = "SELECT score.account_id, score.score_version, score.value_millis, score.band, score.level, \
                      score.stage, score.basic";

/// At most `limit` scores by one model after a place.
///
/// # Errors
/// As the database.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    model: &str,
    filter: &Filter,
    after: Place,
    limit: u32,
) -> Result<Vec<Listed>, DbFault> {
    let mut values: Vec<Arg> = args![workspace, model];
    let mut bind = |value: Arg| {
        values.push(value);
        format!("${}", values.len())
    };
    let (place, order) = match after {
        Place::Account(account) => (format!("account_id > {}", bind(account.into())), "account_id"),
        Place::Value(value, account) => {
            let (value, account) = (bind(value.into()), bind(account.into()));
            (format!("(value_millis, account_id) > ({value}, {account})"), "value_millis, account_id")
        }
        Place::Unscored(account) => {
            (format!("value_millis IS NULL AND account_id > {}", bind(account.into())), "account_id")
        }
    };
    let mut sql = format!("{LISTED} FROM score WHERE workspace_id = $1 AND model = $2 AND {place}");
    for (column, keys) in [("band", &filter.bands), ("stage", &filter.stages)] {
        if !keys.is_empty() {
            let keys: Vec<String> = keys.iter().cloned().collect();
            let list = bind(keys.into());
            sql.push_str(" AND ");
            sql.push_str(&tx.dialect().any(column, &list, SqlType::Text));
        }
    }
    match filter.scored {
        Some(true) => sql.push_str(" AND value_millis IS NOT NULL"),
        Some(false) => sql.push_str(" AND value_millis IS NULL"),
        None => {}
    }
    let limit = bind(i64::from(limit).into());
    sql.push_str(&format!(" ORDER BY {order} LIMIT {limit}"));
    tx.fetch_all(&sql, values).await?.iter().map(listed).collect()
}

/// The scores of accounts by one model as far as there are any, each with the measures that moved it last.
///
/// # Errors
/// As the database.
pub(crate) async fn changed(
    tx: &Tx,
    workspace: WorkspaceId,
    model: &str,
    accounts: &[AccountId],
) -> Result<Vec<(Listed, String)>, DbFault> {
    let sql = format!(
        "{LISTED}, score_change.causes FROM score LEFT JOIN score_change
             ON score_change.workspace_id = score.workspace_id AND score_change.model = score.model
             AND score_change.account_id = score.account_id AND score_change.score_version = score.score_version
         WHERE score.workspace_id = $1 AND score.model = $2 AND {}",
        tx.dialect().any("score.account_id", "$3", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, model, ids(accounts)]).await?;
    rows.iter().map(|row| Ok((listed(row)?, row.get::<Option<String>, _>(7)?.unwrap_or_default()))).collect()
}

/// The last change of an account's score before a version.
///
/// # Errors
/// As the database.
pub(crate) async fn before(
    tx: &Tx,
    workspace: WorkspaceId,
    model: &str,
    account: AccountId,
    version: i64,
) -> Result<Option<State>, DbFault> {
    let sql = "SELECT score_version, value_millis, band, level, stage FROM score_change
         WHERE workspace_id = $1 AND model = $2 AND account_id = $3 AND score_version < $4
         ORDER BY score_version DESC LIMIT 1";
    let Some(row) = tx.fetch_optional(sql, args![workspace, model, account.0, version]).await? else {
        return Ok(None);
    };
    Ok(Some(State {
        account,
        version: row.get(0)?,
        value: row.get::<Option<i32>, _>(1)?.map(MilliPoints),
        band: row.get(2)?,
        level: row.get(3)?,
        stage: row.get(4)?,
    }))
}

/// How many accounts are in one stage and band, or unscored for one reason.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    /// The stage; empty: none.
    pub(crate) stage: String,
    /// The band; empty: none.
    pub(crate) band: String,
    /// The number of the reason; `None`: scored.
    pub(crate) reason: Option<i16>,
    /// How many.
    pub(crate) accounts: i64,
}

/// How the accounts are spread now.
///
/// # Errors
/// As the database.
pub(crate) async fn spread(tx: &Tx, workspace: WorkspaceId, model: &str) -> Result<Vec<Count>, DbFault> {
    let sql = "SELECT stage, band, CASE WHEN value_millis IS NULL THEN reason END AS why, COUNT(*) FROM score
         WHERE workspace_id = $1 AND model = $2 GROUP BY 1, 2, 3";
    let rows = tx.fetch_all(sql, args![workspace, model]).await?;
    rows.iter()
        .map(|row| Ok(Count { stage: row.get(0)?, band: row.get(1)?, reason: row.get(2)?, accounts: row.get(3)? }))
        .collect()
}

/// At most `limit` accounts after one, ascending.
///
/// # Errors
/// As the database.
pub(crate) async fn accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Option<AccountId>,
    limit: u32,
) -> Result<Vec<AccountId>, DbFault> {
    let sql = "SELECT account_id FROM account_facts WHERE workspace_id = $1 AND account_id > $2
         ORDER BY account_id LIMIT $3";
    let after = after.map_or_else(Uuid::nil, |account| account.0);
    tx.fetch_all(sql, args![workspace, after, i64::from(limit)]).await?.iter().map(account).collect()
}

/// At most `limit` weekly snapshots of a model before a day, newest first.
///
/// # Errors
/// As the database.
pub(crate) async fn snapshots(
    tx: &Tx,
    workspace: WorkspaceId,
    model: &str,
    before: Day,
    limit: u32,
) -> Result<Vec<(Day, Vec<u8>)>, DbFault> {
    let sql = "SELECT day, data FROM composition_snapshot WHERE workspace_id = $1 AND model = $2 AND day < $3
         ORDER BY day DESC LIMIT $4";
    let rows = tx.fetch_all(sql, args![workspace, model, before, i64::from(limit)]).await?;
    rows.iter().map(|row| Ok((Day(row.get(0)?), row.get(1)?))).collect()
}

fn listed(row: &Row) -> Result<Listed, DbFault> {
    let state = State {
        account: account(row)?,
        version: row.get(1)?,
        value: row.get::<Option<i32>, _>(2)?.map(MilliPoints),
        band: row.get(3)?,
        level: row.get(4)?,
        stage: row.get(5)?,
    };
    Ok(Listed { state, score: row.get(6)? })
}
