//! Conversations.

use keizoku_base::{AccountId, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{Arg, DbFault, OnConflict, Row, Tx, args, bulk_insert};
use uuid::Uuid;

use super::told::{self, Slice, Told};
use crate::domain::account::ConversationDetails;

const COLUMNS: [&str; 15] = [
    "workspace_id",
    "conversation_id",
    "account_id",
    "source",
    "external_id",
    "channel",
    "subject",
    "body",
    "started_by_customer",
    "opened_at",
    "closed_at",
    "first_reply_at",
    "attributes",
    "known_at",
    "content_hash",
];
const SELECT: &str = "SELECT conversation_id, account_id, source, external_id, channel, subject, body,
    started_by_customer, opened_at, closed_at, first_reply_at, attributes, known_at, content_hash FROM conversation";

/// The conversations with these names, locked where `lock`.
pub(crate) async fn named(
    tx: &Tx,
    workspace: WorkspaceId,
    externals: &[ExternalId],
    lock: bool,
) -> Result<Vec<Told<ConversationDetails>>, DbFault> {
    let rows = told::by_name(tx, workspace, SELECT, "conversation_id", externals, lock).await?;
    rows.iter().map(read).collect()
}

/// Adds or replaces conversations.
pub(crate) async fn save(
    tx: &Tx,
    workspace: WorkspaceId,
    conversations: &[Told<ConversationDetails>],
) -> Result<(), DbFault> {
    let rows = conversations.iter().map(|conversation| row(workspace, conversation)).collect();
    let replace = told::replace("conversation_id", &COLUMNS[2..]);
    bulk_insert(tx, "conversation", &COLUMNS, rows, OnConflict::Do(&replace)).await.map_err(told::raced)?;
    Ok(())
}

/// A stretch of an account's conversations by when they began; with `contains`, only those that contain it in subject or
/// text.
pub(crate) async fn opened(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    contains: &str,
    slice: &Slice,
) -> Result<Vec<Told<ConversationDetails>>, DbFault> {
    let mut args = args![workspace, account.0];
    let mut found = String::new();
    if !contains.is_empty() {
        args.push(Arg::from(contains));
        let (subject, body) = (tx.dialect().contains("subject", "$3"), tx.dialect().contains("body", "$3"));
        found = format!(" AND ({subject} OR {body})");
    }
    let clause = slice.clause("opened_at", "conversation_id", &mut args);
    let sql = format!("{SELECT} WHERE workspace_id = $1 AND account_id = $2{found}{clause}");
    tx.fetch_all(&sql, args).await?.iter().map(read).collect()
}

/// At most `limit` conversations of the workspace, by id, after `after`.
pub(crate) async fn list(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Uuid,
    limit: u32,
) -> Result<Vec<Told<ConversationDetails>>, DbFault> {
    told::by_id(tx, workspace, SELECT, "conversation_id", after, limit).await?.iter().map(read).collect()
}

fn row(workspace: WorkspaceId, conversation: &Told<ConversationDetails>) -> Vec<Arg> {
    let details = &conversation.details;
    args![
        workspace,
        conversation.id,
        conversation.account.0,
        conversation.external.source.as_str(),
        conversation.external.id.as_str(),
        details.channel.as_str(),
        details.subject.as_str(),
        details.text.as_str(),
        details.started_by_customer,
        details.opened_at,
        told::instant_arg(details.closed_at),
        told::instant_arg(details.first_reply_at),
        details.attributes.to_bytes(),
        conversation.known_at,
        conversation.content.0,
    ]
}

fn read(row: &Row) -> Result<Told<ConversationDetails>, DbFault> {
    let details = ConversationDetails {
        channel: told::key(row.get(4)?)?,
        subject: row.get(5)?,
        text: row.get(6)?,
        started_by_customer: row.get(7)?,
        opened_at: Micros(row.get(8)?),
        closed_at: row.get::<Option<i64>, _>(9)?.map(Micros),
        first_reply_at: row.get::<Option<i64>, _>(10)?.map(Micros),
        attributes: told::attributes(row.get(11)?)?,
    };
    Ok(Told {
        id: row.get(0)?,
        account: AccountId(row.get(1)?),
        external: ExternalId { source: row.get(2)?, id: row.get(3)? },
        details,
        known_at: Micros(row.get(12)?),
        content: told::digest(row.get(13)?)?,
    })
}
