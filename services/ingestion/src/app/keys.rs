//! Keys: made, listed, ended.

use keizoku_base::id::KeyId;
use keizoku_base::{Micros, WorkspaceId};
use keizoku_control::{KeyRow, secret, store as control};
use keizoku_storage::Scope;

use super::context::Context;
use super::repeat::{self, Answered, Repeat};
use super::{App, changes};
use crate::error::IngestionFault;

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its name.
    pub display_name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends by itself.
    pub expires_at: Option<Micros>,
}

/// Makes a key; answers it with its secret, which is kept nowhere. `held` are the scopes of the caller's own key.
///
/// # Errors
/// [`IngestionFault::ScopeNotHeld`] where it would be able to do more than its maker;
/// [`IngestionFault::RequestReused`]; else as the database.
pub async fn create(
    app: &App,
    context: &Context,
    held: &[String],
    new: &NewKey,
    again: Option<&Repeat<'_, (KeyRow, String)>>,
) -> Result<Answered<(KeyRow, String)>, IngestionFault> {
    let lacking = new.scopes.iter().find(|scope| !held.iter().any(|own| covers(own, scope)));
    if let Some(scope) = lacking {
        return Err(IngestionFault::ScopeNotHeld(scope.clone()));
    }
    let secret = secret::generate(context.id());
    let expires_at = new.expires_at;
    let key = row(context.id(), &new.display_name, &new.scopes, &secret, expires_at, app.clock.now());
    app.db
        .transact("keys.create", Scope::Workspace(context.id()), async |tx| {
            if let Some(kept) = repeat::recall(&tx, context.id(), again).await? {
                return Ok(Answered::Again(kept));
            }
            control::put_key(&tx, key.clone()).await?;
            changes::append(&tx, context, vec![changes::key(context, &key)]).await?;
            repeat::keep(&tx, context.id(), context, again, (key.clone(), secret.clone())).await
        })
        .await
}

/// At most `limit` keys after `after`, oldest first.
///
/// # Errors
/// As the database.
pub async fn list(
    app: &App,
    context: &Context,
    after: Option<KeyId>,
    limit: u32,
) -> Result<Vec<KeyRow>, IngestionFault> {
    let tx = app.db.read("keys.list", Scope::Workspace(context.id())).await?;
    Ok(control::keys(&tx, context.id(), after, limit).await?)
}

/// Ends a key. Ending it twice is the same as once.
///
/// # Errors
/// [`IngestionFault::KeyUnknown`], else as the database.
pub async fn revoke(app: &App, context: &Context, id: KeyId) -> Result<(KeyRow, Vec<u8>), IngestionFault> {
    let now = app.clock.now();
    let revoked = app
        .db
        .transact("keys.revoke", Scope::Workspace(context.id()), async |tx| {
            let changed = control::revoke_key(&tx, context.id(), id, now).await?;
            let unknown = || IngestionFault::KeyUnknown(id.to_string());
            let key = control::key(&tx, context.id(), id).await?.ok_or_else(unknown)?;
            let drafts = if changed { vec![changes::key(context, &key)] } else { Vec::new() };
            let position = changes::append(&tx, context, drafts).await?;
            Ok::<_, IngestionFault>((key, position))
        })
        .await?;
    app.control.forget(context.id()).await;
    Ok(revoked)
}

/// Whether a scope gives another. What reaches past the workspace is never part of "all".
fn covers(held: &str, scope: &str) -> bool {
    held == scope || (held == "*" && !scope.ends_with(":admin"))
}

/// The row of a new key.
pub(crate) fn row(
    workspace: WorkspaceId,
    display_name: &str,
    scopes: &[String],
    secret: &str,
    expires_at: Option<Micros>,
    now: Micros,
) -> KeyRow {
    KeyRow {
        workspace_id: workspace.0,
        key_id: KeyId::generate(now).0,
        display_name: display_name.to_owned(),
        scopes: scopes.join(" "),
        secret_hash: secret::hash(secret).to_vec(),
        created_at: now.0,
        expires_at: expires_at.map(|at| at.0),
        revoked_at: None,
    }
}
