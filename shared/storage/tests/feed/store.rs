//! A store of its own for each test, and the writer's side: things with a value, and their changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use keizoku_base::{Clock, Micros, Partition, SystemClock, WorkspaceId};
use keizoku_storage::feed::{
    self, Draft, FeedFault, FeedRow, Journal, LocalSource, Log, Page, PageLimit, Partitions, SnapshotPage,
};
use keizoku_storage::{DatabaseConfig, Db, DbFault, Dialect, Migration, Scope, SqlType, Tx, args, migrate};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

pub(crate) const KIND: i16 = 1;
pub(crate) const OTHER_KIND: i16 = 2;

const FIRST: Migration = Migration { name: "0001_first", statements };

fn statements(dialect: Dialect) -> Vec<String> {
    let mut all = feed::ddl(dialect);
    for (table, columns) in [
        ("thing", "key INTEGER NOT NULL, value BIGINT, PRIMARY KEY (workspace_id, key)"),
        (
            "mirror",
            "consumer TEXT NOT NULL, key INTEGER NOT NULL, value BIGINT, partition SMALLINT NOT NULL,
             generation BIGINT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (workspace_id, consumer, key)",
        ),
        (
            "tally",
            "consumer TEXT NOT NULL, partition SMALLINT NOT NULL, applied BIGINT NOT NULL,
             PRIMARY KEY (workspace_id, consumer, partition)",
        ),
    ] {
        all.push(dialect.ddl(&format!("CREATE TABLE {table} (workspace_id {{uuid}} NOT NULL, {columns})")));
        all.extend(dialect.wall(table));
    }
    all
}

/// Reads a setting of the test run.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but the environment")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether this run is on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    match setting("KEIZOKU_TEST_STORE").as_deref() {
        None | Some("sqlite") => false,
        Some("postgres") => true,
        Some(other) => panic!("KEIZOKU_TEST_STORE is {other}: write sqlite or postgres"),
    }
}

pub(crate) struct Store {
    pub(crate) service: &'static str,
    config: DatabaseConfig,
    folder: Option<PathBuf>,
}

impl Store {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("feed_{}_{number}", std::process::id());
        let (mut config, folder) = if on_postgres() {
            let url = setting("KEIZOKU_TEST_POSTGRES_URL").expect("KEIZOKU_TEST_POSTGRES_URL names the test server");
            (DatabaseConfig::new(url), None)
        } else {
            let folder = std::env::temp_dir().join(format!("keizoku_{name}"));
            (DatabaseConfig::new(format!("sqlite:{}", folder.display())), Some(folder))
        };
        config.app_role = folder.is_none().then(|| "keizoku_app".to_owned());
        config.max_connections = 6;
        let service = Box::leak(name.into_boxed_str());
        migrate(&config, service, &[FIRST]).await.expect("the migration runs");
        Self { service, config, folder }
    }

    /// Connects anew: another replica's connections on PostgreSQL.
    pub(crate) async fn open(&self) -> Db {
        Db::connect(&self.config, self.service).await.expect("the store opens")
    }

    /// Connects with room for `connections`.
    pub(crate) async fn open_wide(&self, connections: u32) -> Db {
        let config = DatabaseConfig { max_connections: connections, ..self.config.clone() };
        Db::connect(&config, self.service).await.expect("the store opens")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _gone = std::fs::remove_dir_all(folder);
            return;
        }
        let (url, service) = (self.config.url.clone(), self.service);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if let Ok(mut connection) = PgConnection::connect(&url).await {
                    // The test's own connections may still have to roll back, and its runtime waits for us.
                    let sql = format!(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE application_name = 'keizoku-{service}';
                         SET lock_timeout = '2s'; DROP SCHEMA \"{service}\" CASCADE"
                    );
                    let _gone = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
                }
            });
        });
        let _joined = dropped.join();
    }
}

/// A workspace that no other test has.
pub(crate) fn workspace() -> WorkspaceId {
    WorkspaceId::generate(SystemClock.now())
}

pub(crate) fn partition(number: u8) -> Partition {
    Partition::new(number).expect("below 64")
}

pub(crate) fn partition_of(key: i32) -> Partition {
    partition(u8::try_from(key.rem_euclid(64)).expect("below 64"))
}

/// Sets things to values (or deletes them) and appends the changes, in one transaction that is not committed yet.
pub(crate) async fn set(tx: &Tx, workspace: WorkspaceId, things: &[(i32, Option<i64>)]) -> Result<(), DbFault> {
    let mut drafts = Vec::new();
    for (key, value) in things {
        let sql = "INSERT INTO thing (workspace_id, key, value) VALUES ($1, $2, $3)
             ON CONFLICT (workspace_id, key) DO UPDATE SET value = excluded.value";
        tx.execute(sql, args![workspace, *key, *value]).await?;
        drafts.push(draft(*key, *value));
    }
    feed::append(tx, workspace, drafts, SystemClock.now()).await?;
    Ok(())
}

pub(crate) async fn write(db: &Db, workspace: WorkspaceId, things: &[(i32, Option<i64>)]) {
    let tx = db.begin("test.write", Scope::Workspace(workspace)).await.expect("a transaction");
    set(&tx, workspace, things).await.expect("written");
    tx.commit().await.expect("committed");
}

pub(crate) fn draft(key: i32, value: Option<i64>) -> Draft {
    Draft { partition: partition_of(key), kind: KIND, key: key.to_be_bytes().to_vec(), body: body(key, value) }
}

pub(crate) fn body(key: i32, value: Option<i64>) -> Vec<u8> {
    let mut body = key.to_be_bytes().to_vec();
    body.extend(value.iter().flat_map(|value| value.to_be_bytes()));
    body
}

/// The key and value that a change holds.
pub(crate) fn read_body(body: &[u8]) -> (i32, Option<i64>) {
    let (key, value) = body.split_at(4);
    let value = (!value.is_empty()).then(|| i64::from_be_bytes(value.try_into().expect("8 bytes")));
    (i32::from_be_bytes(key.try_into().expect("4 bytes")), value)
}

/// The current values, without the deleted.
pub(crate) async fn things(db: &Db, workspace: WorkspaceId) -> Vec<(i32, i64)> {
    let tx = db.read("test.things", Scope::Workspace(workspace)).await.expect("a transaction");
    let sql = "SELECT key, value FROM thing WHERE workspace_id = $1 AND value IS NOT NULL ORDER BY key";
    let rows = tx.fetch_all(sql, args![workspace]).await.expect("read");
    rows.iter().map(|row| (row.get("key").expect("key"), row.get("value").expect("value"))).collect()
}

/// The changes of this test's service, and its things for those who bootstrap.
pub(crate) struct Things {
    pub(crate) limit: PageLimit,
    pub(crate) snapshot_page: i64,
}

#[async_trait]
impl Journal for Things {
    fn log(&self) -> Log {
        Log::Changes
    }

    async fn page(&self, tx: &Tx, workspace: WorkspaceId, wanted: &[(Partition, i64)]) -> Result<Page, FeedFault> {
        feed::pages(tx, workspace, wanted, self.limit).await
    }

    async fn snapshot(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<&[u8]>,
    ) -> Result<SnapshotPage, FeedFault> {
        let after = token.map_or(-1, |token| i32::from_be_bytes(token.try_into().expect("4 bytes")));
        let numbers: Vec<i16> = partitions.iter().map(|partition| i16::from(partition.number())).collect();
        let sql = format!(
            "SELECT key, value FROM thing WHERE workspace_id = $1 AND key > $2 AND value IS NOT NULL AND {}
             ORDER BY key LIMIT $4",
            tx.dialect().any("key % 64", "$3", SqlType::SmallInt)
        );
        let found = tx.fetch_all(&sql, args![workspace, after, numbers, self.snapshot_page]).await?;
        let mut rows = Vec::new();
        for row in &found {
            let (key, value): (i32, i64) = (row.get("key")?, row.get("value")?);
            let bytes = feed::stamp(0, Micros(0), &body(key, Some(value)));
            let key_bytes = Bytes::copy_from_slice(&key.to_be_bytes());
            let change =
                FeedRow { seq: 0, kind: KIND, key: key_bytes, commit_at: Micros(0), bytes: Bytes::from(bytes) };
            rows.push((partition_of(key), change));
        }
        let last = rows.last().map(|(_, row)| row.key.to_vec());
        let full = i64::try_from(found.len()) == Ok(self.snapshot_page);
        Ok(SnapshotPage { rows, next: last.filter(|_| full) })
    }
}

/// The source `things` in `db`; heads are read only at the start, every minute, and when it rings.
pub(crate) fn source(db: &Db) -> LocalSource {
    source_with(db, PageLimit::LOCAL, 50)
}

pub(crate) fn source_with(db: &Db, limit: PageLimit, snapshot_page: i64) -> LocalSource {
    LocalSource::new("things", db.clone(), Arc::new(Things { limit, snapshot_page }))
        .with_safety_poll(Duration::from_secs(60))
}

/// Waits until `check` holds, at most ten seconds.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waited).await.is_ok(), "never: {what}");
}
