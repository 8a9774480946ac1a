//! Who is meant: accounts by their external ids, users by theirs.

use keizoku_base::{AccountId, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{DbFault, OnConflict, SqlType, Tx, args, bulk_insert, bulk_insert_returning};
use uuid::Uuid;

/// A user of the product, as events name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UserName {
    /// The account.
    pub(crate) account: AccountId,
    /// The id in the source.
    pub(crate) external: ExternalId,
}

/// The accounts that these external ids name, for those that are known.
///
/// # Errors
/// As the database.
pub(crate) async fn accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    externals: &[ExternalId],
) -> Result<Vec<(ExternalId, AccountId)>, DbFault> {
    let ids: Vec<String> = externals.iter().map(|external| external.id.clone()).collect();
    let sql = format!(
        "SELECT source, external_id, account_id FROM account_external WHERE workspace_id = $1 AND {}",
        tx.dialect().any("external_id", "$2", SqlType::Text)
    );
    let rows = tx.fetch_all(&sql, args![workspace, ids]).await?;
    rows.iter()
        .map(|row| {
            let external = ExternalId { source: row.get(0)?, id: row.get(1)? };
            Ok((external, AccountId(row.get(2)?)))
        })
        .collect()
}

/// Those of `ids` that are accounts.
///
/// # Errors
/// As the database.
pub(crate) async fn existing(tx: &Tx, workspace: WorkspaceId, ids: &[AccountId]) -> Result<Vec<AccountId>, DbFault> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let sql = format!(
        "SELECT account_id FROM account WHERE workspace_id = $1 AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid)
    );
    let rows = tx.fetch_all(&sql, args![workspace, wanted]).await?;
    rows.iter().map(|row| Ok(AccountId(row.get(0)?))).collect()
}

/// Gives the external ids to the accounts, leaving out those that name one already; answers the ones given. The pairs
/// are sorted by external id, so that two callers wait for each other in one order only.
///
/// # Errors
/// As the database.
pub(crate) async fn name_accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    pairs: &[(ExternalId, AccountId)],
) -> Result<Vec<ExternalId>, DbFault> {
    let rows = pairs
        .iter()
        .map(|(external, account)| args![workspace, external.source.as_str(), external.id.as_str(), account.0])
        .collect();
    let columns = ["workspace_id", "source", "external_id", "account_id"];
    let given =
        bulk_insert_returning(tx, "account_external", &columns, rows, OnConflict::Skip, "source, external_id").await?;
    given.iter().map(|row| Ok(ExternalId { source: row.get(0)?, id: row.get(1)? })).collect()
}

/// Adds accounts of which only the id is known.
///
/// # Errors
/// As the database.
pub(crate) async fn add_stubs(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: &[AccountId],
    now: Micros,
) -> Result<(), DbFault> {
    let row = |account: &AccountId| args![workspace, account.0, "", Vec::<u8>::new(), true, now, now, 1_i64];
    let columns =
        ["workspace_id", "account_id", "display_name", "attributes", "stub", "created_at", "updated_at", "version"];
    bulk_insert(tx, "account", &columns, accounts.iter().map(row).collect(), OnConflict::Fail).await?;
    Ok(())
}

/// The ordinals of those users that have one.
///
/// # Errors
/// As the database.
pub(crate) async fn user_ordinals(
    tx: &Tx,
    workspace: WorkspaceId,
    users: &[UserName],
) -> Result<Vec<(UserName, u32)>, DbFault> {
    let mut accounts: Vec<Uuid> = users.iter().map(|user| user.account.0).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let ids: Vec<String> = users.iter().map(|user| user.external.id.clone()).collect();
    let sql = format!(
        "SELECT account_id, source, external_id, ordinal FROM app_user WHERE workspace_id = $1 AND {} AND {}",
        tx.dialect().any("account_id", "$2", SqlType::Uuid),
        tx.dialect().any("external_id", "$3", SqlType::Text)
    );
    let rows = tx.fetch_all(&sql, args![workspace, accounts, ids]).await?;
    rows.iter()
        .map(|row| {
            let external = ExternalId { source: row.get(1)?, id: row.get(2)? };
            let ordinal = u32::try_from(row.get::<i64, _>(3)?).map_err(DbFault::internal)?;
            Ok((UserName { account: AccountId(row.get(0)?), external }, ordinal))
        })
        .collect()
}

/// Takes `count` user ordinals of the workspace; answers the first. Whoever takes some waits for whoever took before.
///
/// # Errors
/// As the database.
pub(crate) async fn take_ordinals(tx: &Tx, workspace: WorkspaceId, count: usize) -> Result<u32, DbFault> {
    let count = i64::try_from(count).map_err(DbFault::internal)?;
    let taken = tx
        .fetch_all(
            "INSERT INTO user_ordinal (workspace_id, next) VALUES ($1, $2)
             ON CONFLICT (workspace_id) DO UPDATE SET next = user_ordinal.next + excluded.next RETURNING next",
            args![workspace, count],
        )
        .await?;
    let next: i64 = taken.first().ok_or_else(|| DbFault::internal("no ordinal was given"))?.get(0)?;
    u32::try_from(next - count).map_err(DbFault::internal)
}

/// A user with its ids.
#[derive(Debug, Clone)]
pub(crate) struct NewUser {
    /// As events name it.
    pub(crate) name: UserName,
    /// Our id.
    pub(crate) id: Uuid,
    /// Its number in the workspace, for sets.
    pub(crate) ordinal: u32,
    /// Its name for people.
    pub(crate) display_name: String,
}

/// Adds users, leaving out those that exist; answers the ordinals of the ones added.
///
/// # Errors
/// As the database.
pub(crate) async fn add_users(
    tx: &Tx,
    workspace: WorkspaceId,
    users: &[NewUser],
    now: Micros,
) -> Result<Vec<u32>, DbFault> {
    let row = |user: &NewUser| {
        let external = &user.name.external;
        let ordinal = i64::from(user.ordinal);
        let (source, id, name) = (external.source.as_str(), external.id.as_str(), user.display_name.as_str());
        args![workspace, source, id, user.name.account.0, user.id, ordinal, name, now]
    };
    let columns =
        ["workspace_id", "source", "external_id", "account_id", "user_id", "ordinal", "display_name", "created_at"];
    let rows = users.iter().map(row).collect();
    let added = bulk_insert_returning(tx, "app_user", &columns, rows, OnConflict::Skip, "ordinal").await?;
    added.iter().map(|row| u32::try_from(row.get::<i64, _>(0)?).map_err(DbFault::internal)).collect()
}
