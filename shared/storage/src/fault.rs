//! What can go wrong in the store, as things a caller can act on. The one place that reads SQLSTATE and SQLite's codes.

use std::borrow::Cow;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keizoku_base::{Fault, FaultKind};
use sea_orm::{DbErr, RuntimeErr};
use sqlx::postgres::PgDatabaseError;

/// The error underneath, kept for the log; never shown to clients.
pub type Source = Arc<dyn Error + Send + Sync>;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbFault {
    /// It cannot be reached, is full, read-only or has no free connection: a repeat may succeed.
    #[error("the store cannot be reached now")]
    Unavailable(#[source] Source),
    /// A statement ran longer than it may.
    #[error("the store did not answer in time")]
    Timeout(#[source] Source),
    /// Another transaction stood in the way; `transact` repeats it.
    #[error("somebody else changed the same data; repeat the call")]
    Contention(#[source] Source),
    /// A row with that key exists.
    #[error("it exists already")]
    Unique {
        /// The table, on both stores.
        table: String,
        /// PostgreSQL: the constraint's name. SQLite: its columns, `table.a, table.b`.
        constraint: String,
        /// The error underneath.
        #[source]
        source: Source,
    },
    /// A row refers to one that is not there, or is still referred to.
    #[error("it refers to something that does not exist")]
    ForeignKey(#[source] Source),
    /// A value breaks a rule of its column.
    #[error("the store refused a value")]
    Check(#[source] Source),
    /// A statement of this transaction failed or was abandoned, so nothing of it was stored.
    #[error("nothing was stored because a part of it failed")]
    TransactionFailed,
    /// The database was migrated by a newer version of this program.
    #[error("the database of {service} has migration {migration}, which this version does not know: use a newer one")]
    NewerSchema {
        /// Whose database.
        service: String,
        /// The first unknown migration.
        migration: String,
    },
    /// Another process uses the data folder.
    #[error("another process uses the data folder {}", .0.display())]
    FolderInUse(PathBuf),
    /// The data folder cannot be made, read or written.
    #[error("the data folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] Source),
    /// The settings make no sense.
    #[error("the database setting {setting} {problem}")]
    Settings {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Our fault.
    #[error("the store failed")]
    Internal(#[source] Source),
}

/// A fault that can tell whether repeating the whole transaction may help. [`crate::Db::transact`] asks it.
pub trait RetryableTx {
    /// Whether another transaction stood in the way (SQLSTATE 40001 and 40P01, SQLITE_BUSY).
    fn is_contention(&self) -> bool;
}

impl DbFault {
    /// Whether the same call may succeed later without any change: such a failure says nothing about the data.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Timeout(_) | Self::Contention(_))
    }

    /// Whether it is a violated unique key of `table`.
    pub fn is_unique_in(&self, table: &str) -> bool {
        matches!(self, Self::Unique { table: found, .. } if found == table)
    }

    /// An internal fault that carries `error`.
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(Arc::from(error.into()))
    }
}

impl RetryableTx for DbFault {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Contention(_))
    }
}

impl Fault for DbFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Unavailable(_) => FaultKind::Unavailable,
            Self::Timeout(_) => FaultKind::Deadline,
            Self::Contention(_) => FaultKind::Aborted,
            Self::Unique { .. } => FaultKind::AlreadyExists,
            Self::NewerSchema { .. } | Self::FolderInUse(_) => FaultKind::Precondition,
            Self::ForeignKey(_)
            | Self::Check(_)
            | Self::TransactionFailed
            | Self::Folder(..)
            | Self::Settings { .. }
            | Self::Internal(_) => FaultKind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "STORE_UNAVAILABLE",
            Self::Timeout(_) => "STORE_TIMEOUT",
            Self::Contention(_) => "STORE_CONTENTION",
            Self::Unique { .. } => "STORE_UNIQUE",
            Self::NewerSchema { .. } => "STORE_NEWER_SCHEMA",
            Self::FolderInUse(_) => "STORE_FOLDER_IN_USE",
            Self::Folder(..) => "STORE_FOLDER",
            Self::Settings { .. } => "STORE_SETTINGS",
            Self::ForeignKey(_) | Self::Check(_) | Self::TransactionFailed | Self::Internal(_) => "STORE_FAILED",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(_) => Some(Duration::from_secs(1)),
            Self::Timeout(_) | Self::Contention(_) => Some(Duration::from_millis(200)),
            Self::Unique { .. }
            | Self::ForeignKey(_)
            | Self::Check(_)
            | Self::TransactionFailed
            | Self::NewerSchema { .. }
            | Self::FolderInUse(_)
            | Self::Folder(..)
            | Self::Settings { .. }
            | Self::Internal(_) => None,
        }
    }
}

impl From<sqlx::Error> for DbFault {
    fn from(error: sqlx::Error) -> Self {
        read(Arc::new(error))
    }
}

impl From<DbErr> for DbFault {
    fn from(error: DbErr) -> Self {
        if let DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) = error
        {
            return read(inner);
        }
        if let DbErr::ConnectionAcquire(_) = error {
            return Self::Unavailable(Arc::new(error));
        }
        Self::Internal(Arc::new(error))
    }
}

fn read(error: Arc<sqlx::Error>) -> DbFault {
    if let sqlx::Error::Database(database) = error.as_ref() {
        return match database.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) => read_postgres(postgres, error.clone()),
            None => read_sqlite(&database.code().unwrap_or(Cow::Borrowed("")), database.message(), error.clone()),
        };
    }
    let unreachable = matches!(
        error.as_ref(),
        sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::BeginFailed
            | sqlx::Error::WorkerCrashed
    );
    if unreachable { DbFault::Unavailable(error) } else { DbFault::Internal(error) }
}

fn read_postgres(database: &PgDatabaseError, source: Source) -> DbFault {
    let code = database.code();
    match code {
        "40001" | "40P01" | "55P03" => DbFault::Contention(source),
        "57014" | "25P03" | "25P04" => DbFault::Timeout(source),
        "23505" => DbFault::Unique {
            table: database.table().unwrap_or_default().to_owned(),
            constraint: database.constraint().unwrap_or_default().to_owned(),
            source,
        },
        "23503" => DbFault::ForeignKey(source),
        "23502" | "23514" => DbFault::Check(source),
        // A read-only database is a standby that was not promoted yet.
        "25006" | "57P01" | "57P02" | "57P03" | "58030" => DbFault::Unavailable(source),
        _ if code.starts_with("08") || code.starts_with("53") => DbFault::Unavailable(source),
        _ => DbFault::Internal(source),
    }
}

fn read_sqlite(code: &str, message: &str, source: Source) -> DbFault {
    let extended: i32 = code.parse().unwrap_or(0);
    match (extended & 0xff, extended) {
        (5 | 6, _) => DbFault::Contention(source),
        (9, _) => DbFault::Timeout(source),
        // READONLY, IOERR, FULL, CANTOPEN
        (8 | 10 | 13 | 14, _) => DbFault::Unavailable(source),
        (19, 1555 | 2067 | 2579) => {
            let constraint = message.rsplit_once(": ").map_or("", |(_, columns)| columns).to_owned();
            let table = constraint.split_once('.').map_or("", |(table, _)| table).to_owned();
            DbFault::Unique { table, constraint, source }
        }
        (19, 787 | 1811) => DbFault::ForeignKey(source),
        (19, _) => DbFault::Check(source),
        _ => DbFault::Internal(source),
    }
}
