use keizoku_storage::{Arg, DbFault, Migration, OnConflict, Scope, args, bulk_insert, bulk_insert_returning};

use crate::store::{Store, new_workspace};

const TABLES: &[Migration] = &[Migration {
    name: "0001_first",
    statements: |dialect| {
        let table = "CREATE TABLE thing (workspace_id {uuid}, id BIGINT, name TEXT, body {bytes}, small SMALLINT, \
                     share {double}, flag BOOLEAN, day INTEGER, PRIMARY KEY (workspace_id, id))";
        let mut statements = vec![dialect.ddl(table)];
        statements.extend(dialect.wall("thing"));
        statements
    },
}];

const COLUMNS: &[&str] = &["workspace_id", "id", "name", "body", "small", "share", "flag", "day"];

#[tokio::test]
async fn stores_thousands_of_rows_and_tells_which_were_new() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let workspace = new_workspace();
    let rows = |ids: std::ops::Range<i64>, name: &'static str| -> Vec<Vec<Arg>> {
        let row = |id: i64| {
            let name = (id % 7 != 0).then(|| name.to_owned());
            args![workspace, id, name, id.to_be_bytes(), 3_i16, 0.5, true, None::<i32>]
        };
        ids.map(row).collect()
    };
    let tx = db.begin("bulk", Scope::Workspace(workspace)).await.expect("begins");
    let all = bulk_insert(&tx, "thing", COLUMNS, rows(0..12_345, "a"), OnConflict::Fail).await.expect("stored");
    assert_eq!(all, 12_345);
    let new = bulk_insert_returning(&tx, "thing", COLUMNS, rows(12_340..12_350, "b"), OnConflict::Skip, "id");
    let mut new: Vec<i64> = new.await.expect("stored").iter().map(|row| row.get(0).expect("an id")).collect();
    new.sort_unstable();
    assert_eq!(new, [12_345, 12_346, 12_347, 12_348, 12_349]);
    let update = OnConflict::Do("(workspace_id, id) DO UPDATE SET name = excluded.name");
    assert_eq!(bulk_insert(&tx, "thing", COLUMNS, rows(0..10, "c"), update).await.expect("updated"), 10);
    assert_eq!(bulk_insert(&tx, "thing", COLUMNS, Vec::new(), OnConflict::Fail).await.expect("nothing"), 0);
    tx.commit().await.expect("commits");

    let tx = db.read("bulk", Scope::Workspace(workspace)).await.expect("begins");
    let sql = "SELECT name, count(*), count(day) FROM thing GROUP BY name ORDER BY name NULLS LAST";
    let rows = tx.fetch_all(sql, args![]).await.expect("counted");
    let found: Vec<(Option<String>, i64, i64)> = rows
        .iter()
        .map(|row| (row.get(0).expect("name"), row.get(1).expect("count"), row.get(2).expect("days")))
        .collect();
    let named = |name: &str, count| (Some(name.to_owned()), count, 0);
    assert_eq!(found, [named("a", 10_573), named("b", 4), named("c", 8), (None, 1765, 0)]);
    let row = tx.fetch_one("SELECT body FROM thing WHERE id = $1", args![300_i64]).await.expect("found");
    assert_eq!(row.get::<&[u8], _>(0).expect("bytes"), 300_i64.to_be_bytes());
}

#[tokio::test]
async fn a_conflict_fails_where_it_was_not_foreseen() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let workspace = new_workspace();
    let tx = db.begin("bulk", Scope::Workspace(workspace)).await.expect("begins");
    let twice = vec![args![workspace, 1_i64], args![workspace, 1_i64]];
    let fault = bulk_insert(&tx, "thing", &["workspace_id", "id"], twice, OnConflict::Fail).await.expect_err("twice");
    assert!(fault.is_unique_in("thing"), "{fault:?}");
    assert!(matches!(tx.commit().await, Err(DbFault::TransactionFailed)));
}

#[tokio::test]
async fn rows_of_another_shape_are_refused() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let tx = db.begin("bulk", Scope::System).await.expect("begins");
    let uneven = vec![args![new_workspace(), 1_i64], args![new_workspace()]];
    let fault = bulk_insert(&tx, "thing", &["workspace_id", "id"], uneven, OnConflict::Fail).await;
    assert!(matches!(fault, Err(DbFault::Internal(_))));
    let mixed = vec![args![new_workspace(), 1_i64], args![new_workspace(), "one"]];
    let fault = bulk_insert(&tx, "thing", &["workspace_id", "id"], mixed, OnConflict::Fail).await;
    assert!(matches!(fault, Err(DbFault::Internal(_))));
    let nested = vec![args![vec![1_i64]]];
    let fault = bulk_insert(&tx, "thing", &["id"], nested, OnConflict::Fail).await;
    assert!(matches!(fault, Err(DbFault::Internal(_))));
}
