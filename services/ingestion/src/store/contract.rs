//! Contracts: as they are known now, every version of them, and the accounts that they cover.

use std::collections::BTreeMap;

use keizoku_base::{AccountId, Day, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{Arg, DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert};
use uuid::Uuid;

use super::told::{self, Slice};
use crate::domain::account::ContractDetails;
use crate::domain::pack::Digest;

/// A contract as its rows have it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContractRow {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its id in the source.
    pub(crate) external: ExternalId,
    /// The accounts it covers, the one that pays first.
    pub(crate) accounts: Vec<AccountId>,
    /// What is known of it.
    pub(crate) details: ContractDetails,
    /// When the source knew this.
    pub(crate) known_at: Micros,
    /// The digest of all that.
    pub(crate) content: Digest,
}

/// A version of a contract.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VersionRow {
    /// The contract.
    pub(crate) contract: Uuid,
    /// When the source knew it.
    pub(crate) known_at: Micros,
    /// When it came.
    pub(crate) received_at: Micros,
    /// The accounts it covered.
    pub(crate) accounts: Vec<AccountId>,
    /// What it said.
    pub(crate) details: ContractDetails,
}

/// Which end of contracts a stretch of history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Their first day.
    Start,
    /// Their first day no longer covered.
    End,
}

const COLUMNS: [&str; 17] = [
    "workspace_id",
    "contract_id",
    "source",
    "external_id",
    "plan",
    "trial",
    "minor_units",
    "currency",
    "billing_period",
    "seats",
    "starts_on",
    "ends_on",
    "renews_automatically",
    "renewal_ordinal",
    "attributes",
    "known_at",
    "content_hash",
];
const SELECT: &str =
    "SELECT contract_id, source, external_id, known_at, content_hash, plan, trial, minor_units, currency,
    billing_period, seats, starts_on, ends_on, renews_automatically, renewal_ordinal, attributes FROM contract";
const ENDS_ON: &str = "COALESCE(ends_on, (SELECT MIN(effective_on) FROM cancellation
    WHERE cancellation.workspace_id = contract.workspace_id AND cancellation.contract_source = contract.source
    AND cancellation.contract_external_id = contract.external_id))";
const COVERED: &str =
    "contract_id IN (SELECT contract_id FROM contract_account WHERE workspace_id = $1 AND account_id = $2)";

/// The contracts with these names, locked where `lock`.
pub(crate) async fn named(
    tx: &Tx,
    workspace: WorkspaceId,
    externals: &[ExternalId],
    lock: bool,
) -> Result<Vec<ContractRow>, DbFault> {
    let rows = told::by_name(tx, workspace, SELECT, "contract_id", externals, lock).await?;
    whole(tx, workspace, &rows).await
}

/// Adds or replaces contracts with the accounts they cover.
pub(crate) async fn save(tx: &Tx, workspace: WorkspaceId, contracts: &[ContractRow]) -> Result<(), DbFault> {
    let rows = contracts.iter().map(|contract| row(workspace, contract)).collect();
    let replace = told::replace("contract_id", &COLUMNS[2..]);
    bulk_insert(tx, "contract", &COLUMNS, rows, OnConflict::Do(&replace)).await.map_err(told::raced)?;
    let ids: Vec<Uuid> = contracts.iter().map(|contract| contract.id).collect();
    let sql = format!(
        "DELETE FROM contract_account WHERE workspace_id = $1 AND {}",
        tx.dialect().any("contract_id", "$2", SqlType::Uuid)
    );
    tx.execute(&sql, args![workspace, ids]).await?;
    let covers = |contract: &ContractRow| {
        let id = contract.id;
        (0_i16..).zip(contract.accounts.clone()).map(move |(place, account)| args![workspace, id, account.0, place])
    };
    let columns = ["workspace_id", "contract_id", "account_id", "place"];
    let rows = contracts.iter().flat_map(covers).collect();
    bulk_insert(tx, "contract_account", &columns, rows, OnConflict::Fail).await?;
    Ok(())
}

/// Every version of these contracts, oldest known first.
pub(crate) async fn versions(tx: &Tx, workspace: WorkspaceId, ids: &[Uuid]) -> Result<Vec<VersionRow>, DbFault> {
    let sql = format!(
        "SELECT contract_id, known_at, received_at, accounts, '', plan, trial, minor_units, currency, billing_period,
         seats, starts_on, ends_on, renews_automatically, renewal_ordinal, attributes FROM contract_version
         WHERE workspace_id = $1 AND {} ORDER BY contract_id, known_at, received_at",
        tx.dialect().any("contract_id", "$2", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids.to_vec()]).await?;
    rows.iter()
        .map(|row| {
            Ok(VersionRow {
                contract: row.get(0)?,
                known_at: Micros(row.get(1)?),
                received_at: Micros(row.get(2)?),
                accounts: accounts_of(row.get(3)?)?,
                details: details(row)?,
            })
        })
        .collect()
}

/// Keeps versions. A second one of the same instants takes the place of the first.
pub(crate) async fn add_versions(tx: &Tx, workspace: WorkspaceId, versions: &[VersionRow]) -> Result<(), DbFault> {
    let last: BTreeMap<_, _> =
        versions.iter().map(|version| ((version.contract, version.known_at, version.received_at), version)).collect();
    let columns = [
        "workspace_id",
        "contract_id",
        "known_at",
        "received_at",
        "accounts",
        "plan",
        "trial",
        "minor_units",
        "currency",
        "billing_period",
        "seats",
        "starts_on",
        "ends_on",
        "renews_automatically",
        "renewal_ordinal",
        "attributes",
    ];
    let row = |version: &VersionRow| {
        let accounts: Vec<u8> = version.accounts.iter().flat_map(|account| *account.0.as_bytes()).collect();
        let mut row = args![workspace, version.contract, version.known_at, version.received_at, accounts];
        row.extend(details_args(&version.details));
        row
    };
    let replace = told::replace("contract_id, known_at, received_at", &columns[4..]);
    let rows = last.into_values().map(row).collect();
    bulk_insert(tx, "contract_version", &columns, rows, OnConflict::Do(&replace)).await?;
    Ok(())
}

/// At most `limit` contracts that cover an account, latest start first.
pub(crate) async fn of_account(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    limit: u32,
) -> Result<Vec<ContractRow>, DbFault> {
    let sql =
        format!("{SELECT} WHERE workspace_id = $1 AND {COVERED} ORDER BY starts_on DESC, contract_id DESC LIMIT $3");
    let rows = tx.fetch_all(&sql, args![workspace, account.0, i64::from(limit)]).await?;
    whole(tx, workspace, &rows).await
}

/// The contracts that an account pays and that cover a day by their own dates; trials are left out.
pub(crate) async fn paid_on(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    day: Day,
) -> Result<Vec<ContractRow>, DbFault> {
    let sql = format!(
        "{SELECT} WHERE workspace_id = $1 AND contract_id IN (SELECT contract_id FROM contract_account
             WHERE workspace_id = $1 AND account_id = $2 AND place = 0)
         AND NOT trial AND starts_on <= $3 AND (ends_on IS NULL OR ends_on > $3) ORDER BY contract_id"
    );
    let rows = tx.fetch_all(&sql, args![workspace, account.0, day]).await?;
    whole(tx, workspace, &rows).await
}

/// A stretch of the contracts that cover an account, by the day they start or end. An open one ends where it is
/// cancelled.
pub(crate) async fn edges(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    edge: Edge,
    slice: &Slice,
) -> Result<Vec<ContractRow>, DbFault> {
    let column = match edge {
        Edge::Start => "starts_on",
        Edge::End => ENDS_ON,
    };
    let mut args = args![workspace, account.0];
    let clause = slice.clause(column, "contract_id", &mut args);
    let rows = tx.fetch_all(&format!("{SELECT} WHERE workspace_id = $1 AND {COVERED}{clause}"), args).await?;
    whole(tx, workspace, &rows).await
}

/// At most `limit` contracts of the workspace, by id, after `after`.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Uuid,
    limit: u32,
) -> Result<Vec<ContractRow>, DbFault> {
    let rows = told::by_id(tx, workspace, SELECT, "contract_id", after, limit).await?;
    whole(tx, workspace, &rows).await
}

/// The rows with the accounts they cover.
async fn whole(tx: &Tx, workspace: WorkspaceId, rows: &[Row]) -> Result<Vec<ContractRow>, DbFault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    let sql = format!(
        "SELECT contract_id, account_id FROM contract_account WHERE workspace_id = $1 AND {} ORDER BY contract_id, place",
        tx.dialect().any("contract_id", "$2", SqlType::Uuid)
    );
    let mut accounts: BTreeMap<Uuid, Vec<AccountId>> = BTreeMap::new();
    for row in &tx.fetch_all(&sql, args![workspace, ids]).await? {
        accounts.entry(row.get(0)?).or_default().push(AccountId(row.get(1)?));
    }
    rows.iter()
        .map(|row| {
            let id = row.get(0)?;
            Ok(ContractRow {
                id,
                external: ExternalId { source: row.get(1)?, id: row.get(2)? },
                accounts: accounts.remove(&id).unwrap_or_default(),
                details: details(row)?,
                known_at: Micros(row.get(3)?),
                content: told::digest(row.get(4)?)?,
            })
        })
        .collect()
}

fn row(workspace: WorkspaceId, contract: &ContractRow) -> Vec<Arg> {
    let (source, id) = (contract.external.source.as_str(), contract.external.id.as_str());
    let mut row = args![workspace, contract.id, source, id];
    row.extend(details_args(&contract.details));
    row.extend(args![contract.known_at, contract.content.0]);
    row
}

fn details_args(details: &ContractDetails) -> Vec<Arg> {
    let [minor_units, currency, period] = told::money_args(details.amount);
    args![
        told::key_text(details.plan.as_ref()),
        details.trial,
        minor_units,
        currency,
        period,
        details.seats,
        details.starts_on,
        told::day_arg(details.ends_on),
        details.renews_automatically,
        details.renewal_ordinal,
        details.attributes.to_bytes(),
    ]
}

/// What columns 5 to 15 say.
fn details(row: &Row) -> Result<ContractDetails, DbFault> {
    Ok(ContractDetails {
        plan: told::optional_key(row.get(5)?)?,
        trial: row.get(6)?,
        amount: told::money(row, 7)?,
        seats: row.get(10)?,
        starts_on: Day(row.get(11)?),
        ends_on: row.get::<Option<i32>, _>(12)?.map(Day),
        renews_automatically: row.get(13)?,
        renewal_ordinal: row.get(14)?,
        attributes: told::attributes(row.get(15)?)?,
    })
}

fn accounts_of(bytes: &[u8]) -> Result<Vec<AccountId>, DbFault> {
    bytes.chunks(16).map(|id| Uuid::from_slice(id).map(AccountId).map_err(DbFault::internal)).collect()
}
