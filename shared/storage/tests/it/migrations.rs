use keizoku_storage::{Db, DbFault, Dialect, Migration, Scope, args, migrate};

use crate::store::{Store, dialect};

const FIRST: Migration =
    Migration { name: "0001_first", statements: |_| vec!["CREATE TABLE one (id BIGINT PRIMARY KEY)".to_owned()] };
const SECOND: Migration = Migration {
    name: "0002_second",
    statements: |_| {
        vec!["CREATE TABLE two (id BIGINT PRIMARY KEY)".to_owned(), "INSERT INTO two VALUES (1)".to_owned()]
    },
};
const BROKEN: Migration = Migration {
    name: "0002_broken",
    statements: |_| vec!["CREATE TABLE two (id BIGINT PRIMARY KEY)".to_owned(), "nonsense".to_owned()],
};

async fn count(db: &Db, table: &str) -> Result<i64, DbFault> {
    let tx = db.read("count", Scope::System).await?;
    tx.fetch_one(&format!("SELECT count(*) FROM {table}"), args![]).await?.get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn four_callers_at_once_migrate_once() {
    let store = Store::new().await;
    let both = [FIRST, SECOND];
    let callers = futures::future::join_all((0..4).map(|_| migrate(&store.config, "test", &both))).await;
    for outcome in callers {
        match (dialect(), outcome) {
            (_, Ok(())) => {}
            // One process owns a folder; another caller is told so instead of waiting.
            (Dialect::Sqlite, Err(DbFault::FolderInUse(_))) => {}
            (_, Err(fault)) => panic!("{fault:?}"),
        }
    }
    let db = Db::connect(&store.config, "test").await.expect("connects");
    assert_eq!(count(&db, "two").await.expect("migrated"), 1);
    assert_eq!(count(&db, "seaql_migrations").await.expect("recorded"), 2);
}

#[tokio::test]
async fn later_steps_are_added_and_nothing_runs_twice() {
    let store = Store::new().await;
    migrate(&store.config, "test", &[FIRST]).await.expect("the first");
    migrate(&store.config, "test", &[FIRST, SECOND]).await.expect("the second");
    migrate(&store.config, "test", &[FIRST, SECOND]).await.expect("nothing to do");
    migrate(&store.config, "other", &[FIRST]).await.expect("another service beside it");
    let db = Db::connect(&store.config, "test").await.expect("connects");
    assert_eq!(count(&db, "two").await.expect("migrated"), 1);
    let other = Db::connect(&store.config, "other").await.expect("connects");
    count(&other, "two").await.expect_err("it is not the other's");
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let store = Store::new().await;
    migrate(&store.config, "test", &[SECOND]).await.expect("a newer version's");
    let fault = migrate(&store.config, "test", &[FIRST]).await.expect_err("newer");
    assert!(
        matches!(&fault, DbFault::NewerSchema { service, migration } if service == "test" && migration == "0002_second"),
        "{fault:?}"
    );
    let db = Db::connect(&store.config, "test").await.expect("connects");
    count(&db, "one").await.expect_err("nothing was made");
}

#[tokio::test]
async fn a_broken_step_leaves_nothing_behind() {
    let store = Store::new().await;
    migrate(&store.config, "test", &[FIRST, BROKEN]).await.expect_err("broken");
    let db = store.db(&[FIRST]).await;
    count(&db, "one").await.expect("the step before stands");
    count(&db, "two").await.expect_err("half a step");
}
