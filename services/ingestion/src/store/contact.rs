//! Contacts: people at a customer.

use keizoku_base::{AccountId, Day, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{Arg, DbFault, OnConflict, Row, Tx, args, bulk_insert};
use uuid::Uuid;

use super::told::{self, Slice, Told};
use crate::domain::account::ContactDetails;

const COLUMNS: [&str; 12] = [
    "workspace_id",
    "contact_id",
    "account_id",
    "source",
    "external_id",
    "display_name",
    "email",
    "role",
    "joined_on",
    "left_on",
    "known_at",
    "content_hash",
];
const SELECT: &str =
    "SELECT contact_id, account_id, source, external_id, display_name, email, role, joined_on, left_on,
    known_at, content_hash FROM contact";

/// The contacts with these names, locked where `lock`.
pub(crate) async fn named(
    tx: &Tx,
    workspace: WorkspaceId,
    externals: &[ExternalId],
    lock: bool,
) -> Result<Vec<Told<ContactDetails>>, DbFault> {
    let rows = told::by_name(tx, workspace, SELECT, "contact_id", externals, lock).await?;
    rows.iter().map(read).collect()
}

/// Adds or replaces contacts.
pub(crate) async fn save(tx: &Tx, workspace: WorkspaceId, contacts: &[Told<ContactDetails>]) -> Result<(), DbFault> {
    let rows = contacts.iter().map(|contact| row(workspace, contact)).collect();
    let replace = told::replace("contact_id", &COLUMNS[2..]);
    bulk_insert(tx, "contact", &COLUMNS, rows, OnConflict::Do(&replace)).await.map_err(told::raced)?;
    Ok(())
}

/// At most `limit` contacts of an account, oldest first.
pub(crate) async fn of_account(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    limit: u32,
) -> Result<Vec<Told<ContactDetails>>, DbFault> {
    let sql = format!("{SELECT} WHERE workspace_id = $1 AND account_id = $2 ORDER BY contact_id LIMIT $3");
    tx.fetch_all(&sql, args![workspace, account.0, i64::from(limit)]).await?.iter().map(read).collect()
}

/// A stretch of an account's contacts by the day they came.
pub(crate) async fn joined(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    slice: &Slice,
) -> Result<Vec<Told<ContactDetails>>, DbFault> {
    on_day(tx, workspace, account, "joined_on", slice).await
}

/// A stretch of an account's contacts by the day they left.
pub(crate) async fn left(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    slice: &Slice,
) -> Result<Vec<Told<ContactDetails>>, DbFault> {
    on_day(tx, workspace, account, "left_on", slice).await
}

/// At most `limit` contacts of the workspace, by id, after `after`.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Uuid,
    limit: u32,
) -> Result<Vec<Told<ContactDetails>>, DbFault> {
    told::by_id(tx, workspace, SELECT, "contact_id", after, limit).await?.iter().map(read).collect()
}

async fn on_day(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    column: &str,
    slice: &Slice,
) -> Result<Vec<Told<ContactDetails>>, DbFault> {
    let mut args = args![workspace, account.0];
    let clause = slice.clause(column, "contact_id", &mut args);
    let sql = format!("{SELECT} WHERE workspace_id = $1 AND account_id = $2{clause}");
    tx.fetch_all(&sql, args).await?.iter().map(read).collect()
}

fn row(workspace: WorkspaceId, contact: &Told<ContactDetails>) -> Vec<Arg> {
    args![
        workspace,
        contact.id,
        contact.account.0,
        contact.external.source.as_str(),
        contact.external.id.as_str(),
        contact.details.display_name.as_str(),
        contact.details.email.as_str(),
        told::key_text(contact.details.role.as_ref()),
        told::day_arg(contact.details.joined_on),
        told::day_arg(contact.details.left_on),
        contact.known_at,
        contact.content.0,
    ]
}

fn read(row: &Row) -> Result<Told<ContactDetails>, DbFault> {
    let details = ContactDetails {
        display_name: row.get(4)?,
        email: row.get(5)?,
        role: told::optional_key(row.get(6)?)?,
        joined_on: row.get::<Option<i32>, _>(7)?.map(Day),
        left_on: row.get::<Option<i32>, _>(8)?.map(Day),
    };
    Ok(Told {
        id: row.get(0)?,
        account: AccountId(row.get(1)?),
        external: ExternalId { source: row.get(2)?, id: row.get(3)? },
        details,
        known_at: Micros(row.get(9)?),
        content: told::digest(row.get(10)?)?,
    })
}
