//! The staff.

use keizoku_base::Micros;
use keizoku_base::id::MemberId;
use keizoku_control::{MemberRow, store as control};
use keizoku_storage::Scope;

use super::context::Context;
use super::repeat::{self, Answered, Repeat};
use super::{App, changes};
use crate::error::IngestionFault;

/// A member as told.
#[derive(Debug, Clone)]
pub struct MemberItem {
    /// The mail address, which identifies the member.
    pub email: String,
    /// The name.
    pub display_name: String,
    /// When the member left.
    pub left_at: Option<Micros>,
}

/// Adds the member, or changes the one with that mail address.
///
/// # Errors
/// [`IngestionFault::RequestReused`], else as the database.
pub async fn put(
    app: &App,
    context: &Context,
    item: &MemberItem,
    again: Option<&Repeat<'_, (MemberRow, Vec<u8>)>>,
) -> Result<Answered<(MemberRow, Vec<u8>)>, IngestionFault> {
    app.db
        .transact("members.put", Scope::Workspace(context.id()), async |tx| {
            if let Some(kept) = repeat::recall(&tx, context.id(), again).await? {
                return Ok(Answered::Again(kept));
            }
            let known = control::member_by_email(&tx, context.id(), &item.email).await?;
            let row = MemberRow {
                workspace_id: context.id().0,
                member_id: known.as_ref().map_or_else(|| MemberId::generate(context.now).0, |row| row.member_id),
                display_name: item.display_name.clone(),
                email: item.email.clone(),
                created_at: known.as_ref().map_or(context.now.0, |row| row.created_at),
                left_at: item.left_at.map(|at| at.0),
                version: known.as_ref().map_or(1, |row| row.version + 1),
            };
            control::put_member(&tx, row.clone()).await?;
            let position = changes::append(&tx, context, vec![changes::member(context, &row)]).await?;
            repeat::keep(&tx, context.id(), context, again, (row, position)).await
        })
        .await
}

/// At most `limit` members after `after`, oldest first.
///
/// # Errors
/// As the database.
pub async fn list(
    app: &App,
    context: &Context,
    after: Option<MemberId>,
    limit: u32,
) -> Result<Vec<MemberRow>, IngestionFault> {
    let tx = app.db.read("members.list", Scope::Workspace(context.id())).await?;
    Ok(control::members(&tx, context.id(), after, limit).await?)
}
