use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keizoku_storage::{Db, DbFault, Dialect, Migration, Scope, SqlType, Tx, args};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _};
use sqlx::Connection as _;

use crate::store::{Store, dialect, new_workspace};

const TABLES: &[Migration] = &[Migration { name: "0001_first", statements: tables }];

fn tables(dialect: Dialect) -> Vec<String> {
    vec![
        "CREATE TABLE counter (id BIGINT PRIMARY KEY, value BIGINT NOT NULL CHECK (value >= 0))".to_owned(),
        "CREATE TABLE child (id BIGINT PRIMARY KEY, counter BIGINT REFERENCES counter (id))".to_owned(),
        dialect.ddl(
            "CREATE TABLE mixed (id {uuid} PRIMARY KEY, flag BOOLEAN, small SMALLINT, day INTEGER, amount BIGINT, \
             share {double}, name TEXT, body {bytes})",
        ),
        "INSERT INTO counter VALUES (1, 0), (2, 0)".to_owned(),
    ]
}

async fn value(tx: &Tx, id: i64) -> Result<i64, DbFault> {
    let sql = format!("SELECT value FROM counter WHERE id = $1{}", tx.dialect().for_update());
    tx.fetch_one(&sql, args![id]).await?.get(0)
}

async fn add(tx: &Tx, id: i64, amount: i64) -> Result<u64, DbFault> {
    tx.execute("UPDATE counter SET value = value + $2 WHERE id = $1", args![id, amount]).await
}

async fn committed(db: &Db, id: i64) -> i64 {
    let tx = db.read("committed", Scope::System).await.expect("reads");
    let row = tx.fetch_one("SELECT value FROM counter WHERE id = $1", args![id]).await.expect("found");
    row.get("value").expect("an integer")
}

#[tokio::test]
async fn commit_after_a_failed_statement_is_an_error_and_stores_nothing() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let tx = db.begin("fails", Scope::System).await.expect("begins");
    add(&tx, 1, 5).await.expect("added");
    let duplicate = tx.execute("INSERT INTO counter VALUES (1, 0)", args![]).await;
    assert!(duplicate.expect_err("a duplicate").is_unique_in("counter"));
    assert!(matches!(tx.commit().await, Err(DbFault::TransactionFailed)));
    assert_eq!(committed(&db, 1).await, 0);
}

#[tokio::test]
async fn commit_after_a_failed_statement_of_an_entity_is_an_error() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let tx = db.begin("fails", Scope::System).await.expect("begins");
    let fault = counter::ActiveModel { id: Set(1), value: Set(7) }.insert(&tx).await.expect_err("a duplicate");
    assert!(DbFault::from(fault).is_unique_in("counter"));
    assert!(matches!(tx.commit().await, Err(DbFault::TransactionFailed)));
}

#[tokio::test]
async fn commit_after_an_abandoned_statement_is_an_error_and_stores_nothing() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let tx = db.begin("abandons", Scope::System).await.expect("begins");
    // A store of this machine may answer before the first look: the one that did not is the one that is left.
    let mut abandoned = false;
    for _ in 0..1000 {
        let mut statement = Box::pin(add(&tx, 1, 5));
        abandoned = futures::poll!(&mut statement).is_pending();
        if abandoned {
            break;
        }
    }
    assert!(abandoned);
    assert!(matches!(tx.commit().await, Err(DbFault::TransactionFailed)));
    assert_eq!(committed(&db, 1).await, 0);
}

#[tokio::test]
async fn a_dropped_transaction_is_taken_back_and_its_connection_serves_again() {
    let mut store = Store::new().await;
    store.config.max_connections = 1;
    let db = store.db(TABLES).await;
    for _ in 0..3 {
        let tx = db.begin("dropped", Scope::System).await.expect("begins");
        add(&tx, 1, 5).await.expect("added");
    }
    db.transact("kept", Scope::System, |tx| async move { add(&tx, 1, 1).await }).await.expect("stored");
    assert_eq!(committed(&db, 1).await, 1);
}

#[tokio::test]
async fn entities_and_raw_sql_share_one_commit() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let tx = db.begin("both", Scope::System).await.expect("begins");
    counter::ActiveModel { id: Set(9), value: Set(7) }.insert(&tx).await.expect("inserted");
    add(&tx, 9, 1).await.expect("added");
    let found = counter::Entity::find_by_id(9).one(&tx).await.expect("reads");
    assert_eq!(found, Some(counter::Model { id: 9, value: 8 }));
    tx.commit().await.expect("commits");
    assert_eq!(committed(&db, 9).await, 8);
}

#[tokio::test]
async fn contention_is_repeated_three_times_and_no_more() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let runs = &AtomicU32::new(0);
    let contention = || DbFault::Contention(Arc::new(std::io::Error::other("in the way")));
    let run = async |failures: u32| {
        runs.store(0, Ordering::SeqCst);
        db.transact("contended", Scope::System, |tx| async move {
            add(&tx, 1, 1).await?;
            if runs.fetch_add(1, Ordering::SeqCst) < failures { Err(contention()) } else { Ok(()) }
        })
        .await
    };
    assert!(matches!(run(4).await, Err(DbFault::Contention(_))));
    assert_eq!((runs.load(Ordering::SeqCst), committed(&db, 1).await), (4, 0));
    run(3).await.expect("the fourth run passes");
    assert_eq!((runs.load(Ordering::SeqCst), committed(&db, 1).await), (4, 1));
}

#[tokio::test]
async fn two_transactions_that_lock_each_other_out_both_succeed() {
    if dialect() == Dialect::Sqlite {
        return;
    }
    let store = Store::new().await;
    let db = &store.db(TABLES).await;
    let barrier = &tokio::sync::Barrier::new(2);
    let locks = |first: i64, second: i64| async move {
        let runs = &AtomicU32::new(0);
        db.transact("crossed", Scope::System, |tx| async move {
            add(&tx, first, 1).await?;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                barrier.wait().await;
            }
            add(&tx, second, 1).await
        })
        .await
        .expect("repeated");
        runs.load(Ordering::SeqCst)
    };
    let (left, right) = tokio::join!(locks(1, 2), locks(2, 1));
    assert_eq!(left + right, 3, "one of them was the victim");
    assert_eq!((committed(db, 1).await, committed(db, 2).await), (2, 2));
}

#[tokio::test]
async fn a_writer_elsewhere_is_contention_on_sqlite() {
    if dialect() == Dialect::Postgres {
        return;
    }
    let mut store = Store::new().await;
    store.config.acquire_timeout = Duration::from_millis(300);
    let db = &store.db(TABLES).await;
    let file = store.config.url.replace("sqlite:", "") + "/test.db";
    let mut other = sqlx::SqliteConnection::connect(&file).await.expect("opens");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("begins");
    let fault = db.begin("busy", Scope::System).await.expect_err("the other writes");
    assert!(matches!(fault, DbFault::Contention(_)), "{fault:?}");
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_callers_that_decide_then_save_lose_nothing() {
    let store = Store::new().await;
    let db = &store.db(TABLES).await;
    let caller = || async move {
        for _ in 0..10 {
            let decide_then_save = |tx: Arc<Tx>| async move {
                let next = value(&tx, 1).await? + 1;
                tx.execute("UPDATE counter SET value = $1 WHERE id = 1", args![next]).await
            };
            db.transact("count", Scope::System, decide_then_save).await.expect("counted");
        }
    };
    futures::future::join_all((0..8).map(|_| caller())).await;
    assert_eq!(committed(db, 1).await, 80);
}

#[tokio::test]
async fn faults_are_the_same_on_both_stores() {
    let store = Store::new().await;
    let db = &store.db(TABLES).await;
    let fault_of = |sql: &'static str| async move {
        let tx = db.begin("fails", Scope::System).await.expect("begins");
        tx.execute(sql, args![]).await.expect_err("it fails")
    };
    let foreign = fault_of("INSERT INTO child VALUES (1, 77)").await;
    assert!(matches!(foreign, DbFault::ForeignKey(_)), "{foreign:?}");
    let check = fault_of("UPDATE counter SET value = -1 WHERE id = 1").await;
    assert!(matches!(check, DbFault::Check(_)), "{check:?}");
    let null = fault_of("UPDATE counter SET value = NULL WHERE id = 1").await;
    assert!(matches!(null, DbFault::Check(_)), "{null:?}");
    let unknown = fault_of("UPDATE nothing SET value = 1").await;
    assert!(matches!(unknown, DbFault::Internal(_)), "{unknown:?}");
    let reading = db.read("writes", Scope::System).await.expect("begins");
    reading.execute("UPDATE counter SET value = 1", args![]).await.expect_err("it only reads");
}

#[tokio::test]
async fn a_statement_is_stopped_at_its_time_limit() {
    if dialect() == Dialect::Sqlite {
        return;
    }
    let mut store = Store::new().await;
    store.config.statement_timeout = Duration::from_millis(50);
    let db = store.db(TABLES).await;
    let tx = db.read("sleeps", Scope::System).await.expect("begins");
    let fault = tx.fetch_all("SELECT pg_sleep(10)", args![]).await.expect_err("stopped");
    assert!(matches!(fault, DbFault::Timeout(_)), "{fault:?}");
}

#[tokio::test]
async fn actions_run_after_the_commit_and_only_then() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let ran = Arc::new(AtomicU32::new(0));
    let begin = async || {
        let tx = db.begin("acts", Scope::System).await.expect("begins");
        let ran = Arc::clone(&ran);
        tx.after_commit(move || {
            ran.fetch_add(1, Ordering::SeqCst);
        });
        tx
    };
    drop(begin().await);
    begin().await.rollback().await.expect("rolls back");
    let failing = begin().await;
    failing.execute("nonsense", args![]).await.expect_err("fails");
    failing.commit().await.expect_err("refused");
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    begin().await.commit().await.expect("commits");
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_type_survives_a_round_trip() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let (full, empty) = (new_workspace().0, new_workspace().0);
    let tx = db.begin("types", Scope::System).await.expect("begins");
    let sql = "INSERT INTO mixed VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let body = vec![0_u8, 255, 39];
    let values = args![full, true, -7_i16, 19_000_i32, i64::MIN, 0.1_f64, "継続'\"", body.clone()];
    tx.execute(sql, values).await.expect("inserted");
    let nulls = args![
        empty,
        None::<bool>,
        None::<i16>,
        None::<i32>,
        None::<i64>,
        None::<f64>,
        None::<String>,
        None::<Vec<u8>>,
    ];
    tx.execute(sql, nulls).await.expect("inserted");
    tx.commit().await.expect("commits");

    let tx = db.read("types", Scope::System).await.expect("begins");
    let wanted = tx.dialect().any("id", "$1", SqlType::Uuid);
    let rows = tx
        .fetch_all(&format!("SELECT * FROM mixed WHERE {wanted} ORDER BY amount NULLS LAST"), args![vec![full, empty]])
        .await
        .expect("found");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get::<uuid::Uuid, _>("id").expect("id"), full);
    assert!(rows[0].get::<bool, _>("flag").expect("flag"));
    assert_eq!(rows[0].get::<i16, _>("small").expect("small"), -7);
    assert_eq!(rows[0].get::<i32, _>("day").expect("day"), 19_000);
    assert_eq!(rows[0].get::<i64, _>("amount").expect("amount"), i64::MIN);
    assert!((rows[0].get::<f64, _>("share").expect("share") - 0.1).abs() < f64::EPSILON);
    assert_eq!(rows[0].get::<&str, _>("name").expect("name"), "継続'\"");
    assert_eq!(rows[0].get::<Vec<u8>, _>("body").expect("body"), body);
    assert_eq!(rows[1].get::<Option<i64>, _>("amount").expect("null"), None);
    assert_eq!(rows[1].get::<Option<Vec<u8>>, _>("body").expect("null"), None);
    rows[1].get::<i64, _>("amount").expect_err("NULL is no integer");
}

#[tokio::test]
async fn arrays_are_read_back_in_order() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let tx = db.read("arrays", Scope::System).await.expect("begins");
    let texts = vec!["a\"b".to_owned(), "c\\d\n".to_owned(), "継".to_owned()];
    let sql = tx.dialect().elements("$1", SqlType::Text);
    let rows = tx.fetch_all(&sql, args![texts.clone()]).await.expect("texts");
    let found: Vec<String> = rows.iter().map(|row| row.get("value").expect("a text")).collect();
    assert_eq!(found, texts);
    let sql = tx.dialect().elements("$1", SqlType::Bytes);
    let rows = tx.fetch_all(&sql, args![vec![vec![0_u8, 1], vec![255]]]).await.expect("bytes");
    let found: Vec<Vec<u8>> = rows.iter().map(|row| row.get(0).expect("bytes")).collect();
    assert_eq!(found, [vec![0, 1], vec![255]]);
    let sql =
        format!("SELECT CAST(sum(value) AS BIGINT) FROM ({}) AS list", tx.dialect().elements("$1", SqlType::BigInt));
    assert_eq!(tx.fetch_one(&sql, args![vec![1_i64, 2, 4]]).await.expect("a sum").get::<i64, _>(0).expect("a sum"), 7);
}

#[tokio::test]
async fn the_database_tells_its_own_time_in_microseconds() {
    use keizoku_base::Clock as _;
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    db.ping().await.expect("answers");
    let tx = db.read("time", Scope::System).await.expect("begins");
    let row = tx.fetch_one(&format!("SELECT {}", tx.dialect().now_micros()), args![]).await.expect("a time");
    let difference = keizoku_base::SystemClock.now().0 - row.get::<i64, _>(0).expect("micros");
    assert!(difference.abs() < 60_000_000, "{difference} µs apart");
}

#[tokio::test]
async fn connections_that_the_server_ended_are_replaced() {
    if dialect() == Dialect::Sqlite {
        return;
    }
    let mut store = Store::new().await;
    store.config.max_connections = 2;
    let db = store.db(TABLES).await;
    let cut = db.begin("cut", Scope::System).await.expect("begins");
    let mut admin = sqlx::PgConnection::connect(&store.config.url).await.expect("connects");
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keizoku-test' AND datname = current_database()")
        .execute(&mut admin)
        .await
        .expect("ended");
    let fault = add(&cut, 1, 1).await.expect_err("the connection is gone");
    assert!(matches!(fault, DbFault::Unavailable(_)), "{fault:?}");
    cut.commit().await.expect_err("nothing was stored");
    // Each of the pool's connections may have to fail once.
    for _ in 0..2 {
        if let Err(fault) = db.ping().await {
            assert!(matches!(fault, DbFault::Unavailable(_)), "{fault:?}");
        }
    }
    db.transact("after", Scope::System, |tx| async move { add(&tx, 1, 1).await }).await.expect("stored");
    assert_eq!(committed(&db, 1).await, 1);
}

#[tokio::test]
async fn a_begin_dropped_halfway_leaves_no_transaction_behind() {
    let mut store = Store::new().await;
    store.config.max_connections = 1;
    let db = store.db(TABLES).await;
    for patience in 0..40 {
        let begin = db.read("dropped", Scope::System);
        drop(tokio::time::timeout(Duration::from_micros(25 * patience), begin).await);
        let tx = db.begin("after", Scope::System).await.expect("begins");
        add(&tx, 1, 1).await.expect("it may write");
        tx.commit().await.expect("commits");
    }
    assert_eq!(committed(&db, 1).await, 40);
}

#[tokio::test]
async fn an_unreachable_database_is_unavailable() {
    let mut config = keizoku_storage::DatabaseConfig::new("postgres://nobody@127.0.0.1:1/none");
    config.acquire_timeout = Duration::from_millis(200);
    let fault = Db::connect(&config, "test").await.expect_err("nobody listens");
    assert!(matches!(fault, DbFault::Unavailable(_)), "{fault:?}");
    config.url = "mysql://x".to_owned();
    assert!(matches!(Db::connect(&config, "test").await, Err(DbFault::Settings { setting: "url", .. })));
}

mod counter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "counter")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i64,
        pub(crate) value: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
