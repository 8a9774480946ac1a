//! Where a service's database is and how patient to be with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Error};

use crate::fault::DbFault;

/// Settings of a database. All services may share them: each has its own schema or its own file.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `sqlite:FOLDER`, in which each service has its file `<service>.db`; or `postgres://user:password@host/database`,
    /// in which each service has its schema.
    pub url: String,
    /// The owner's URL for migrations on PostgreSQL; without it, `url`.
    pub owner_url: Option<String>,
    /// The role each transaction takes on PostgreSQL ([`crate::dialect::APP_ROLE`]). Row-level security then binds
    /// even an owner's or superuser's connection. `None` where `url` logs in as that role already.
    pub app_role: Option<String>,
    /// Connections of one service (PostgreSQL), readers beside the one writer (SQLite: at most 4).
    pub max_connections: u32,
    /// How long to wait for a free connection, on SQLite for the writer's turn.
    pub acquire_timeout: Duration,
    /// How long one statement may run (PostgreSQL).
    pub statement_timeout: Duration,
}

pub(crate) enum Location {
    Postgres(Box<PgConnectOptions>),
    Sqlite { folder: PathBuf, options: Box<SqliteConnectOptions> },
}

impl DatabaseConfig {
    /// The database at `url` with the defaults: 16 connections, 5 s for a connection, 30 s a statement.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            owner_url: None,
            app_role: None,
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }

    pub(crate) fn location(&self, service: &str) -> Result<Location, DbFault> {
        self.locate("url", &self.url, service)
    }

    pub(crate) fn owner_location(&self, service: &str) -> Result<Location, DbFault> {
        match &self.owner_url {
            Some(url) => self.locate("owner_url", url, service),
            None => self.location(service),
        }
    }

    fn locate(&self, setting: &'static str, url: &str, service: &str) -> Result<Location, DbFault> {
        if let Some(folder) = url.strip_prefix("sqlite:") {
            let folder = Path::new(folder.strip_prefix("//").unwrap_or(folder));
            if folder.as_os_str().is_empty() {
                return Err(DbFault::Settings { setting, problem: "names no folder: write sqlite:FOLDER" });
            }
            let options = sqlite_options(&folder.join(format!("{service}.db")), self.acquire_timeout);
            return Ok(Location::Sqlite { folder: folder.to_owned(), options: Box::new(options) });
        }
        let wrong = DbFault::Settings { setting, problem: "must be sqlite:FOLDER or postgres://…" };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_: Error| wrong)?;
        Ok(Location::Postgres(Box::new(postgres_options(options, service, self.statement_timeout))))
    }
}

impl fmt::Debug for DatabaseConfig {
    /// Leaves out the URLs: they hold passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatabaseConfig")
            .field("app_role", &self.app_role)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}

fn postgres_options(options: PgConnectOptions, service: &str, statement_timeout: Duration) -> PgConnectOptions {
    options
        .application_name(&format!("keizoku-{service}"))
        .options([
            ("search_path", service.to_owned()),
            ("statement_timeout", statement_timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", "60000".to_owned()),
            ("default_transaction_isolation", "read committed".to_owned()),
            // An acknowledgement means durable, whatever the server's default says.
            ("synchronous_commit", "on".to_owned()),
        ])
        .disable_statement_logging()
}

fn sqlite_options(file: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(busy_timeout)
        .foreign_keys(true)
        .pragma("cache_size", "-65536")
        .disable_statement_logging()
}
