//! A database of its own for each test.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keizoku_storage::DatabaseConfig;
use keizoku_storage::dialect::APP_ROLE;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::folder::TempDir;
use crate::setting::{required, setting};

/// Which database a test works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Files in a folder of the test.
    Sqlite,
    /// A database of the server at `KEIZOKU_TEST_POSTGRES_URL`.
    Postgres,
}

impl Store {
    /// What `KEIZOKU_TEST_STORE` says: `sqlite` (also when unset) or `postgres`.
    pub fn chosen() -> Self {
        match setting("KEIZOKU_TEST_STORE").as_deref() {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            Some(other) => panic!("KEIZOKU_TEST_STORE is sqlite or postgres, not {other}"),
        }
    }
}

/// A fresh, empty database; gone when the value is dropped, whoever is still connected.
#[derive(Debug)]
pub struct TestDb {
    config: DatabaseConfig,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Sqlite(TempDir),
    Postgres { server: String, name: String },
}

impl TestDb {
    /// A database on the chosen store.
    pub async fn new() -> Self {
        Self::on(Store::chosen()).await
    }

    /// A database on `store`, for a test that only has a meaning there.
    pub async fn on(store: Store) -> Self {
        match store {
            Store::Sqlite => Self::sqlite(),
            Store::Postgres => Self::postgres().await,
        }
    }

    /// How to reach it, with limits that suit a test.
    pub fn config(&self) -> &DatabaseConfig {
        &self.config
    }

    /// Which store it is on.
    pub fn store(&self) -> Store {
        match self.place {
            Place::Sqlite(_) => Store::Sqlite,
            Place::Postgres { .. } => Store::Postgres,
        }
    }

    /// The folder of the files on SQLite, for tests that copy or break them.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite(folder) => Some(folder.path()),
            Place::Postgres { .. } => None,
        }
    }

    fn sqlite() -> Self {
        let folder = TempDir::new();
        let url = format!("sqlite:{}", folder.path().display());
        Self { config: config(url, None), place: Place::Sqlite(folder) }
    }

    async fn postgres() -> Self {
        let server = required("KEIZOKU_TEST_POSTGRES_URL");
        let name = unique_name();
        let mut connection = PgConnection::connect(&server)
            .await
            .unwrap_or_else(|error| panic!("no PostgreSQL at KEIZOKU_TEST_POSTGRES_URL={server}: {error}"));
        // Roles belong to the whole server, so tests that start together all try to create it.
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{APP_ROLE}'; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        for statement in [role, format!("CREATE DATABASE {name}")] {
            connection.execute(AssertSqlSafe(statement)).await.expect("KEIZOKU_TEST_POSTGRES_URL names an owner");
        }
        connection.close().await.expect("a connection that closes");
        let owner_url = with_database(&server, &name);
        let config = config(with_user(&owner_url), Some(owner_url));
        Self { config, place: Place::Postgres { server, name } }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Place::Postgres { server, name } = &self.place else { return };
        let (server, statement) = (server.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        // A thread of its own: the test's runtime cannot be blocked on from within, and may be gone already.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&server).await.ok()?;
                connection.execute(AssertSqlSafe(statement)).await.ok()
            })
        })
        .join();
        // A test that already failed must show its own panic.
        if !std::thread::panicking() {
            assert!(matches!(dropped, Ok(Some(_))), "the test's database could not be dropped");
        }
    }
}

/// A Redis for tests. Its keys are shared: every test takes a prefix of its own, such as [`unique_name`].
///
/// # Panics
/// `KEIZOKU_TEST_REDIS_URL` is not set.
pub fn redis_url() -> String {
    required("KEIZOKU_TEST_REDIS_URL")
}

/// A name nobody else uses: letters, digits and underscores, at most 40 of them.
pub fn unique_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    // A process number comes again after some time; the hasher's seed does not.
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), count);
    format!("keizoku_{}_{:08x}_{count}", std::process::id(), seed as u32)
}

fn config(url: String, owner_url: Option<String>) -> DatabaseConfig {
    // Few connections, as many tests run beside each other; patience, as the machine may be a small one.
    DatabaseConfig {
        owner_url,
        max_connections: 10,
        acquire_timeout: Duration::from_secs(20),
        ..DatabaseConfig::new(url)
    }
}

/// The URL with its last path segment replaced by the database's name.
fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) = server.split_once('?').map_or((server, String::new()), |(a, p)| (a, format!("?{p}")));
    let end = address.rfind('/').filter(|at| !address[..*at].ends_with('/')).unwrap_or(address.len());
    format!("{}/{name}{parameters}", &address[..end])
}

/// The URL with the services' role in place of its user.
fn with_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL with a scheme");
    let (authority, path) = rest.split_once('/').expect("a URL with a database");
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{APP_ROLE}:{APP_ROLE}@{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gets_another_database_and_another_user() {
        for (server, expected) in [
            ("postgres://me@127.0.0.1:1/postgres", "postgres://keizoku_app:keizoku_app@127.0.0.1:1/d"),
            ("postgres://me:p@h:1/x?sslmode=disable", "postgres://keizoku_app:keizoku_app@h:1/d?sslmode=disable"),
            ("postgres://h", "postgres://keizoku_app:keizoku_app@h/d"),
        ] {
            assert_eq!(with_user(&with_database(server, "d")), expected);
        }
    }

    #[tokio::test]
    async fn a_service_connects_to_a_database_of_each_kind() {
        for store in [Store::Sqlite, Store::Postgres] {
            let database = TestDb::on(store).await;
            keizoku_storage::migrate(database.config(), "ingestion", &[]).await.unwrap();
            let db = keizoku_storage::Db::connect(database.config(), "ingestion").await.unwrap();
            let tx = db.begin("a_test", keizoku_storage::Scope::System).await.unwrap();
            tx.execute("CREATE TEMPORARY TABLE t (a INTEGER)", vec![]).await.unwrap();
            tx.commit().await.unwrap();
            let expected = match store {
                Store::Sqlite => keizoku_storage::Dialect::Sqlite,
                Store::Postgres => keizoku_storage::Dialect::Postgres,
            };
            assert_eq!((db.dialect(), database.store()), (expected, store));
            assert_eq!(database.folder().is_some(), store == Store::Sqlite);
        }
    }

    #[tokio::test]
    async fn a_database_is_fresh_and_goes_away_with_its_value() {
        let database = TestDb::on(Store::Postgres).await;
        let server = required("KEIZOKU_TEST_POSTGRES_URL");
        let Place::Postgres { name, .. } = &database.place else { panic!("asked for PostgreSQL") };
        let name = name.clone();
        let mut service = PgConnection::connect(&database.config().url).await.unwrap();
        let (user,): (String,) = sqlx::query_as("SELECT current_user::text").fetch_one(&mut service).await.unwrap();
        assert_eq!(user, APP_ROLE);

        // The service's connection is still open here.
        drop(database);
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let left: Option<(String,)> = sqlx::query_as("SELECT datname::text FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut connection)
            .await
            .unwrap();
        assert_eq!(left, None);
    }
}
