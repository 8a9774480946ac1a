//! The tables and every query on them.

use keizoku_base::id::{KeyId, MemberId};
use keizoku_base::{Micros, WorkspaceId};
use keizoku_storage::{DbFault, Dialect, Tx};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, Iterable, ModelTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::entity::{api_key, member, workspace};

/// The statements that make the tables, for the first migration of every service.
pub fn ddl(dialect: Dialect) -> Vec<String> {
    let mut statements = vec![
        dialect.ddl(
            "CREATE TABLE workspace (workspace_id {uuid} PRIMARY KEY, display_name TEXT NOT NULL, test BOOLEAN NOT NULL,
             time_zone TEXT NOT NULL, reject_unknown_account BOOLEAN NOT NULL, reporting_currency TEXT NOT NULL,
             rates TEXT NOT NULL, clock_set_to BIGINT, synthetic BOOLEAN NOT NULL, created_at BIGINT NOT NULL,
             version BIGINT NOT NULL)",
        ),
        dialect.ddl(
            "CREATE TABLE api_key (workspace_id {uuid} NOT NULL, key_id {uuid} NOT NULL, display_name TEXT NOT NULL,
             scopes TEXT NOT NULL, secret_hash {bytes} NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT,
             revoked_at BIGINT, PRIMARY KEY (workspace_id, key_id))",
        ),
        "CREATE UNIQUE INDEX api_key_secret ON api_key (workspace_id, secret_hash)".to_owned(),
        dialect.ddl(
            "CREATE TABLE member (workspace_id {uuid} NOT NULL, member_id {uuid} NOT NULL, display_name TEXT NOT NULL,
             email TEXT NOT NULL, created_at BIGINT NOT NULL, left_at BIGINT, version BIGINT NOT NULL,
             PRIMARY KEY (workspace_id, member_id))",
        ),
        "CREATE UNIQUE INDEX member_email ON member (workspace_id, email)".to_owned(),
    ];
    for table in ["workspace", "api_key", "member"] {
        statements.extend(dialect.wall(table));
    }
    statements
}

/// The workspace with this id.
///
/// # Errors
/// As the database.
pub async fn workspace(tx: &Tx, id: WorkspaceId) -> Result<Option<workspace::Model>, DbFault> {
    Ok(workspace::Entity::find_by_id(id.0).one(tx).await?)
}

/// The same, locked until the transaction ends, so that two changes follow one another.
///
/// # Errors
/// As the database.
pub async fn lock_workspace(tx: &Tx, id: WorkspaceId) -> Result<Option<workspace::Model>, DbFault> {
    let query = workspace::Entity::find_by_id(id.0);
    let query = if tx.dialect() == Dialect::Postgres { query.lock_exclusive() } else { query };
    Ok(query.one(tx).await?)
}

/// At most `limit` workspaces with ids after `after`, ascending.
///
/// # Errors
/// As the database.
pub async fn workspaces(tx: &Tx, after: Option<WorkspaceId>, limit: u32) -> Result<Vec<workspace::Model>, DbFault> {
    let mut query = workspace::Entity::find().order_by_asc(workspace::Column::WorkspaceId).limit(u64::from(limit));
    if let Some(after) = after {
        query = query.filter(workspace::Column::WorkspaceId.gt(after.0));
    }
    Ok(query.all(tx).await?)
}

/// Adds the workspace or replaces its row.
///
/// # Errors
/// As the database.
pub async fn put_workspace(tx: &Tx, row: workspace::Model) -> Result<(), DbFault> {
    let replace = OnConflict::column(workspace::Column::WorkspaceId)
        .update_columns(workspace::Column::iter().filter(|column| !matches!(column, workspace::Column::WorkspaceId)))
        .to_owned();
    workspace::Entity::insert(all_set(row)).on_conflict(replace).exec_without_returning(tx).await?;
    Ok(())
}

/// The key of that workspace with this secret's hash.
///
/// # Errors
/// As the database.
pub async fn key_by_hash(tx: &Tx, workspace: WorkspaceId, hash: &[u8]) -> Result<Option<api_key::Model>, DbFault> {
    Ok(api_key::Entity::find()
        .filter(api_key::Column::WorkspaceId.eq(workspace.0))
        .filter(api_key::Column::SecretHash.eq(hash.to_vec()))
        .one(tx)
        .await?)
}

/// The key with this id.
///
/// # Errors
/// As the database.
pub async fn key(tx: &Tx, workspace: WorkspaceId, id: KeyId) -> Result<Option<api_key::Model>, DbFault> {
    Ok(api_key::Entity::find_by_id((workspace.0, id.0)).one(tx).await?)
}

/// At most `limit` keys with ids after `after`, ascending, which is oldest first.
///
/// # Errors
/// As the database.
pub async fn keys(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Option<KeyId>,
    limit: u32,
) -> Result<Vec<api_key::Model>, DbFault> {
    let mut query = api_key::Entity::find()
        .filter(api_key::Column::WorkspaceId.eq(workspace.0))
        .order_by_asc(api_key::Column::KeyId)
        .limit(u64::from(limit));
    if let Some(after) = after {
        query = query.filter(api_key::Column::KeyId.gt(after.0));
    }
    Ok(query.all(tx).await?)
}

/// Adds the key or replaces its row.
///
/// # Errors
/// As the database.
pub async fn put_key(tx: &Tx, row: api_key::Model) -> Result<(), DbFault> {
    use api_key::Column;
    let replace = OnConflict::columns([Column::WorkspaceId, Column::KeyId])
        .update_columns(Column::iter().filter(|column| !matches!(column, Column::WorkspaceId | Column::KeyId)))
        .to_owned();
    api_key::Entity::insert(all_set(row)).on_conflict(replace).exec_without_returning(tx).await?;
    Ok(())
}

/// Ends the key at `at`, if it has not ended before; whether it had not.
///
/// # Errors
/// As the database.
pub async fn revoke_key(tx: &Tx, workspace: WorkspaceId, id: KeyId, at: Micros) -> Result<bool, DbFault> {
    let changed = api_key::Entity::update_many()
        .col_expr(api_key::Column::RevokedAt, at.0.into())
        .filter(api_key::Column::WorkspaceId.eq(workspace.0))
        .filter(api_key::Column::KeyId.eq(id.0))
        .filter(api_key::Column::RevokedAt.is_null())
        .exec(tx)
        .await?;
    Ok(changed.rows_affected == 1)
}

/// The member with this mail address.
///
/// # Errors
/// As the database.
pub async fn member_by_email(tx: &Tx, workspace: WorkspaceId, email: &str) -> Result<Option<member::Model>, DbFault> {
    Ok(member::Entity::find()
        .filter(member::Column::WorkspaceId.eq(workspace.0))
        .filter(member::Column::Email.eq(email))
        .one(tx)
        .await?)
}

/// At most `limit` members with ids after `after`, ascending, which is oldest first.
///
/// # Errors
/// As the database.
pub async fn members(
    tx: &Tx,
    workspace: WorkspaceId,
    after: Option<MemberId>,
    limit: u32,
) -> Result<Vec<member::Model>, DbFault> {
    let mut query = member::Entity::find()
        .filter(member::Column::WorkspaceId.eq(workspace.0))
        .order_by_asc(member::Column::MemberId)
        .limit(u64::from(limit));
    if let Some(after) = after {
        query = query.filter(member::Column::MemberId.gt(after.0));
    }
    Ok(query.all(tx).await?)
}

/// Adds the member or replaces the row.
///
/// # Errors
/// As the database.
pub async fn put_member(tx: &Tx, row: member::Model) -> Result<(), DbFault> {
    use member::Column;
    let replace = OnConflict::columns([Column::WorkspaceId, Column::MemberId])
        .update_columns(Column::iter().filter(|column| !matches!(column, Column::WorkspaceId | Column::MemberId)))
        .to_owned();
    member::Entity::insert(all_set(row)).on_conflict(replace).exec_without_returning(tx).await?;
    Ok(())
}

/// The row with every column to be written.
fn all_set<M, A>(row: M) -> A
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity>,
{
    row.into_active_model().reset_all()
}
