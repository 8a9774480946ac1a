//! A store of its own for each test, gone with it.

use std::path::PathBuf;
use std::str::FromStr as _;

use keizoku_base::{Clock as _, SystemClock, WorkspaceId};
use keizoku_storage::{DatabaseConfig, Db, Dialect, Migration, migrate};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

/// An empty database, or an empty folder for SQLite files.
pub(crate) struct Store {
    pub(crate) config: DatabaseConfig,
    folder: Option<PathBuf>,
    database: Option<(PgConnectOptions, String)>,
}

impl Store {
    /// The store that `KEIZOKU_TEST_STORE` names; SQLite where it names none.
    pub(crate) async fn new() -> Self {
        let name = format!("test_{}", new_workspace().0.simple());
        match dialect() {
            Dialect::Sqlite => {
                let folder = std::env::temp_dir().join(name);
                let config = DatabaseConfig::new(format!("sqlite:{}", folder.display()));
                Self { config, folder: Some(folder), database: None }
            }
            Dialect::Postgres => {
                let url = variable("KEIZOKU_TEST_POSTGRES_URL").expect("KEIZOKU_TEST_STORE=postgres needs its URL");
                let server = PgConnectOptions::from_str(&url).expect("a URL of PostgreSQL").disable_statement_logging();
                run(&server, &format!("CREATE DATABASE {name}")).await;
                let (base, _) = url.rsplit_once('/').expect("a URL with a database");
                let mut config = DatabaseConfig::new(format!("{base}/{name}"));
                config.app_role = Some("keizoku_app".to_owned());
                Self { config, folder: None, database: Some((server, name)) }
            }
        }
    }

    /// A migrated database of the service `test`.
    pub(crate) async fn db(&self, migrations: &[Migration]) -> Db {
        migrate(&self.config, "test", migrations).await.expect("migrates");
        Db::connect(&self.config, "test").await.expect("connects")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _gone = std::fs::remove_dir_all(folder);
        }
        if let Some((server, name)) = self.database.take() {
            let dropped = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")));
            });
            let _done = dropped.join();
        }
    }
}

/// The store under test.
pub(crate) fn dialect() -> Dialect {
    match variable("KEIZOKU_TEST_STORE").as_deref() {
        None | Some("" | "sqlite") => Dialect::Sqlite,
        Some("postgres") => Dialect::Postgres,
        Some(other) => panic!("KEIZOKU_TEST_STORE={other} is neither sqlite nor postgres"),
    }
}

/// A fresh workspace.
pub(crate) fn new_workspace() -> WorkspaceId {
    WorkspaceId::generate(SystemClock.now())
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn run(server: &PgConnectOptions, sql: &str) {
    let mut connection = PgConnection::connect_with(server).await.expect("PostgreSQL answers");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("the statement runs");
    connection.close().await.expect("closes");
}
