//! Cancellations.

use std::collections::BTreeMap;

use keizoku_base::{AccountId, Day, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{Arg, DbFault, OnConflict, Row, SqlType, Tx, args, bulk_insert};
use uuid::Uuid;

use super::told::{self, Slice, Told};
use crate::domain::account::CancellationDetails;

const COLUMNS: [&str; 17] = [
    "workspace_id",
    "cancellation_id",
    "account_id",
    "source",
    "external_id",
    "contract_source",
    "contract_external_id",
    "effective_on",
    "reason",
    "comment",
    "minor_units",
    "currency",
    "billing_period",
    "after_reactivation",
    "attributes",
    "known_at",
    "content_hash",
];
const SELECT: &str = "SELECT cancellation_id, account_id, source, external_id, contract_source, contract_external_id,
    effective_on, reason, comment, minor_units, currency, billing_period, after_reactivation, attributes, known_at,
    content_hash FROM cancellation";

/// The cancellations with these names, locked where `lock`.
pub(crate) async fn named(
    tx: &Tx,
    workspace: WorkspaceId,
    externals: &[ExternalId],
    lock: bool,
) -> Result<Vec<Told<CancellationDetails>>, DbFault> {
    let rows = told::by_name(tx, workspace, SELECT, "cancellation_id", externals, lock).await?;
    rows.iter().map(read).collect()
}

/// Adds or replaces cancellations.
pub(crate) async fn save(
    tx: &Tx,
    workspace: WorkspaceId,
    cancellations: &[Told<CancellationDetails>],
) -> Result<(), DbFault> {
    let rows = cancellations.iter().map(|cancellation| row(workspace, cancellation)).collect();
    let replace = told::replace("cancellation_id", &COLUMNS[2..]);
    bulk_insert(tx, "cancellation", &COLUMNS, rows, OnConflict::Do(&replace)).await.map_err(told::raced)?;
    Ok(())
}

/// The day on which each of these contracts is cancelled, the earliest, for those that are.
pub(crate) async fn of_contracts(
    tx: &Tx,
    workspace: WorkspaceId,
    contracts: &[ExternalId],
) -> Result<BTreeMap<ExternalId, Day>, DbFault> {
    let pairs = tx.dialect().columns(&[("$2", SqlType::Text), ("$3", SqlType::Text)]);
    let sql = format!(
        "SELECT contract_source, contract_external_id, MIN(effective_on) FROM cancellation
         WHERE workspace_id = $1 AND (contract_source, contract_external_id) IN ({pairs})
         GROUP BY contract_source, contract_external_id"
    );
    let rows = tx.fetch_all(&sql, told::names(workspace, contracts)).await?;
    rows.iter().map(|row| Ok((ExternalId { source: row.get(0)?, id: row.get(1)? }, Day(row.get(2)?)))).collect()
}

/// A stretch of an account's cancellations by the day they take effect.
pub(crate) async fn effective(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    slice: &Slice,
) -> Result<Vec<Told<CancellationDetails>>, DbFault> {
    let mut args = args![workspace, account.0];
    let clause = slice.clause("effective_on", "cancellation_id", &mut args);
    let sql = format!("{SELECT} WHERE workspace_id = $1 AND account_id = $2{clause}");
    tx.fetch_all(&sql, args).await?.iter().map(read).collect()
}

/// At most `limit` cancellations of the workspace, by id, after `after`.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Uuid,
    limit: u32,
) -> Result<Vec<Told<CancellationDetails>>, DbFault> {
    told::by_id(tx, workspace, SELECT, "cancellation_id", after, limit).await?.iter().map(read).collect()
}

fn row(workspace: WorkspaceId, cancellation: &Told<CancellationDetails>) -> Vec<Arg> {
    let details = &cancellation.details;
    let contract = details.contract_external_id.as_ref();
    let [minor_units, currency, period] = told::money_args(details.refund);
    args![
        workspace,
        cancellation.id,
        cancellation.account.0,
        cancellation.external.source.as_str(),
        cancellation.external.id.as_str(),
        contract.map(|contract| contract.source.clone()),
        contract.map(|contract| contract.id.clone()),
        details.effective_on,
        told::key_text(details.reason.as_ref()),
        details.comment.as_str(),
        minor_units,
        currency,
        period,
        details.after_reactivation,
        details.attributes.to_bytes(),
        cancellation.known_at,
        cancellation.content.0,
    ]
}

fn read(row: &Row) -> Result<Told<CancellationDetails>, DbFault> {
    let contract: (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
    let details = CancellationDetails {
        contract_external_id: contract.0.zip(contract.1).map(|(source, id)| ExternalId { source, id }),
        effective_on: Day(row.get(6)?),
        reason: told::optional_key(row.get(7)?)?,
        comment: row.get(8)?,
        refund: told::money(row, 9)?,
        after_reactivation: row.get(12)?,
        attributes: told::attributes(row.get(13)?)?,
    };
    Ok(Told {
        id: row.get(0)?,
        account: AccountId(row.get(1)?),
        external: ExternalId { source: row.get(2)?, id: row.get(3)? },
        details,
        known_at: Micros(row.get(14)?),
        content: told::digest(row.get(15)?)?,
    })
}
