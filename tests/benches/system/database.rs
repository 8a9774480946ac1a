//! Databases of a measurement on the PostgreSQL server.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

/// The role that serves; made by the owner, as an operator would.
const APP_ROLE: &str = "keizoku_app";

/// Settings that say how durable a commit is, and how much of the machine the server takes.
const SETTINGS: [&str; 7] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
];

/// One database. It lives until [`clear`], or until the server ends.
#[derive(Debug)]
pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
}

/// The settings that stand behind the figures, for the log.
///
/// # Errors
/// A server that may lose what it acknowledged.
pub(crate) async fn promises(server: &str) -> anyhow::Result<String> {
    let mut connection = PgConnectOptions::from_str(server)?.connect().await.context("PostgreSQL does not answer")?;
    let mut told = Vec::new();
    for name in SETTINGS {
        let value: String = connection.fetch_one(AssertSqlSafe(format!("SHOW {name}"))).await?.try_get(0)?;
        if matches!((name, value.as_str()), ("fsync" | "synchronous_commit" | "full_page_writes", "off")) {
            bail!("PostgreSQL runs with {name} = off and keeps no promise: scripts/test-services start --durable");
        }
        told.push(format!("{name} = {value}"));
    }
    Ok(format!("PostgreSQL: {}", told.join(", ")))
}

/// Drops the databases of this process, whoever is connected.
pub(crate) async fn clear(server: &str) -> anyhow::Result<()> {
    let mut connection = PgConnectOptions::from_str(server)?.connect().await?;
    let query = "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)";
    let rows = sqlx::query(query).bind(prefix()).fetch_all(&mut connection).await?;
    for row in rows {
        let name: String = row.try_get(0)?;
        connection.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await?;
    }
    Ok(())
}

impl Database {
    /// An empty one.
    pub(crate) async fn create(server: &str) -> anyhow::Result<Self> {
        let server = PgConnectOptions::from_str(server)?;
        let database = Self { server, name: unused_name() };
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{APP_ROLE}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        );
        database.on_server(role).await?;
        database.on_server(format!("CREATE DATABASE {}", database.name)).await?;
        Ok(database)
    }

    /// One with the same tables and the same rows. Nobody may be connected to this one.
    pub(crate) async fn copy(&self) -> anyhow::Result<Self> {
        let copy = Self { server: self.server.clone(), name: unused_name() };
        self.on_server(format!("CREATE DATABASE {} TEMPLATE {}", copy.name, self.name)).await?;
        Ok(copy)
    }

    /// Writes all that is dirty to disk, so that what follows begins even.
    pub(crate) async fn checkpoint(&self) -> anyhow::Result<()> {
        self.on_server("CHECKPOINT".to_owned()).await
    }

    /// A connection as the owner.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(self.server.clone().database(&self.name).disable_statement_logging().connect().await?)
    }

    /// The URL of the owner, who makes the tables.
    pub(crate) fn owner_url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// The URL of the role that serves.
    pub(crate) fn app_url(&self) -> String {
        let server = self.server.clone().database(&self.name).username(APP_ROLE).password(APP_ROLE);
        server.to_url_lossy().to_string()
    }

    async fn on_server(&self, statement: String) -> anyhow::Result<()> {
        let mut connection = self.server.connect().await?;
        connection.execute(AssertSqlSafe(statement)).await?;
        connection.close().await?;
        Ok(())
    }
}

fn unused_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("{}{}", prefix(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

fn prefix() -> String {
    format!("keizoku_bench_{}_", std::process::id())
}
