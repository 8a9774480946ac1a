use keizoku_base::WorkspaceId;
use keizoku_storage::{Db, DbFault, Dialect, Migration, Scope, args};
use sqlx::Connection as _;

use crate::store::{Store, dialect, new_workspace};

const TABLES: &[Migration] = &[Migration { name: "0001_first", statements: tables }];

fn tables(dialect: Dialect) -> Vec<String> {
    let table = "CREATE TABLE thing (workspace_id {uuid} NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (workspace_id, id))";
    let mut statements = vec![dialect.ddl(table)];
    statements.extend(dialect.wall("thing"));
    statements
}

async fn put(db: &Db, scope: Scope, workspace: WorkspaceId, id: i64) -> Result<u64, DbFault> {
    let insert = move |tx: std::sync::Arc<keizoku_storage::Tx>| async move {
        tx.execute("INSERT INTO thing VALUES ($1, $2)", args![workspace, id]).await
    };
    db.transact("put", scope, insert).await
}

async fn count(db: &Db, scope: Scope) -> i64 {
    let tx = db.read("count", scope).await.expect("reads");
    tx.fetch_one("SELECT count(*) FROM thing", args![]).await.expect("counted").get(0).expect("a count")
}

#[tokio::test]
async fn a_workspace_sees_and_changes_nothing_of_another() {
    if dialect() == Dialect::Sqlite {
        return;
    }
    let mut store = Store::new().await;
    // One connection: what one transaction set must not be seen by the next.
    store.config.max_connections = 1;
    let db = store.db(TABLES).await;
    let (mine, other) = (new_workspace(), new_workspace());
    put(&db, Scope::Workspace(mine), mine, 1).await.expect("mine");
    put(&db, Scope::Workspace(other), other, 2).await.expect("the other's");
    put(&db, Scope::Workspace(mine), other, 3).await.expect_err("through the wall");
    assert_eq!(count(&db, Scope::Workspace(mine)).await, 1);
    assert_eq!(count(&db, Scope::System).await, 2);
    assert_eq!(count(&db, Scope::Workspace(other)).await, 1);
    assert_eq!(count(&db, Scope::Workspace(new_workspace())).await, 0);

    let tx = db.begin("attack", Scope::Workspace(mine)).await.expect("begins");
    assert_eq!(tx.execute("DELETE FROM thing WHERE id = 2", args![]).await.expect("runs"), 0);
    assert_eq!(tx.execute("UPDATE thing SET id = 9", args![]).await.expect("runs"), 1);
    tx.execute("UPDATE thing SET workspace_id = $1", args![other]).await.expect_err("given away");
    drop(tx);
    assert_eq!(count(&db, Scope::System).await, 2);
}

#[tokio::test]
async fn the_serving_role_sees_nothing_without_a_scope_and_owns_nothing() {
    if dialect() == Dialect::Sqlite {
        return;
    }
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let mine = new_workspace();
    put(&db, Scope::Workspace(mine), mine, 1).await.expect("mine");
    let mut bare = sqlx::PgConnection::connect(&store.config.url).await.expect("connects");
    for sql in ["SET search_path = test", "SET ROLE keizoku_app"] {
        sqlx::query(sql).execute(&mut bare).await.expect("set");
    }
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM thing").fetch_one(&mut bare).await.expect("counted");
    assert_eq!(seen, 0);
    for sql in [
        "ALTER TABLE thing DISABLE ROW LEVEL SECURITY",
        "DROP POLICY wall ON thing",
        "TRUNCATE thing",
        "DELETE FROM seaql_migrations",
        "CREATE TABLE another (id BIGINT)",
    ] {
        sqlx::query(sql).execute(&mut bare).await.expect_err("it may not");
    }
}

#[tokio::test]
async fn serves_as_the_role_that_the_owners_migration_made() {
    if dialect() == Dialect::Sqlite {
        return;
    }
    let mut store = Store::new().await;
    let owner_url = store.config.url.clone();
    let (_, address) = owner_url.rsplit_once('@').expect("a URL with a user");
    store.config.url = format!("postgres://keizoku_app@{address}");
    store.config.owner_url = Some(owner_url);
    store.config.app_role = None;
    let db = store.db(TABLES).await;
    let (mine, other) = (new_workspace(), new_workspace());
    put(&db, Scope::Workspace(mine), mine, 1).await.expect("mine");
    put(&db, Scope::Workspace(mine), other, 2).await.expect_err("through the wall");
    assert_eq!(count(&db, Scope::Workspace(other)).await, 0);
    assert_eq!(count(&db, Scope::System).await, 1);
}
