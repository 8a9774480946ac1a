//! The one transaction type. It owns the sqlx transaction and is a connection for SeaORM, so entities, raw SQL, bulk
//! inserts and feed share one commit.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use keizoku_base::WorkspaceId;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Executor as _, Postgres, Sqlite};
use tokio::sync::Mutex;
use tracing::Span;

use crate::arg::{self, Arg};
use crate::dialect::Dialect;
use crate::fault::DbFault;
use crate::feed::Doorbell;
use crate::metrics::{Outcome, Stopwatch};
use crate::row::Row;

/// Whose rows a transaction may see and change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of one workspace.
    Workspace(WorkspaceId),
    /// All: background work over every workspace, and the control plane's look-ups.
    System,
}

/// A transaction with a name. Dropped, it is rolled back.
///
/// Once a statement failed, or its future was dropped before the answer, [`Tx::commit`] refuses: PostgreSQL answers the
/// COMMIT of a failed transaction with a rollback that the driver reports as success.
pub struct Tx {
    raw: Mutex<Raw>,
    failed: AtomicBool,
    dialect: Dialect,
    scope: Scope,
    span: Span,
    stopwatch: Stopwatch,
    doorbell: Doorbell,
    after_commit: std::sync::Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

pub(crate) enum Raw {
    Postgres(sqlx::Transaction<'static, Postgres>),
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

/// Runs one statement on either store. The flag is raised before and lowered after success, so that a future dropped
/// in between leaves it raised.
macro_rules! on {
    ($tx:ident, $connection:ident => $run:expr) => {{
        let mut raw = $tx.raw.lock().await;
        let earlier = $tx.failed.swap(true, Ordering::SeqCst);
        let answer = match &mut *raw {
            Raw::Postgres(open) => {
                let $connection = &mut **open;
                $run
            }
            Raw::Sqlite(open) => {
                let $connection = &mut **open;
                $run
            }
        };
        if answer.is_ok() {
            $tx.failed.store(earlier, Ordering::SeqCst);
        }
        answer
    }};
}

/// The same with arguments, which each store encodes its own way.
macro_rules! on_with {
    ($tx:ident, $sql:ident, $args:ident, $query:ident => $run:expr) => {{
        let mut raw = $tx.raw.lock().await;
        let earlier = $tx.failed.swap(true, Ordering::SeqCst);
        let answer = match &mut *raw {
            Raw::Postgres(open) => {
                let $query = (sqlx::query_with(AssertSqlSafe($sql), arg::for_postgres($args)?), &mut **open);
                $run
            }
            Raw::Sqlite(open) => {
                let $query = (sqlx::query_with(AssertSqlSafe($sql), arg::for_sqlite($args)?), &mut **open);
                $run
            }
        };
        if answer.is_ok() {
            $tx.failed.store(earlier, Ordering::SeqCst);
        }
        answer.map_err(DbFault::from)
    }};
}

impl Tx {
    pub(crate) fn new(raw: Raw, scope: Scope, span: Span, stopwatch: Stopwatch, doorbell: Doorbell) -> Self {
        let dialect = match raw {
            Raw::Postgres(_) => Dialect::Postgres,
            Raw::Sqlite(_) => Dialect::Sqlite,
        };
        let failed = AtomicBool::new(false);
        Self {
            raw: Mutex::new(raw),
            failed,
            dialect,
            scope,
            span,
            stopwatch,
            doorbell,
            after_commit: Default::default(),
        }
    }

    /// Which store is underneath.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whose rows it sees.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The database's doorbell.
    pub fn doorbell(&self) -> &Doorbell {
        &self.doorbell
    }

    /// The span that covers this transaction.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Runs `sql` with `$1`, `$2`, … bound to `args`; answers how many rows it changed.
    ///
    /// # Errors
    /// Any [`DbFault`] of a statement; the transaction cannot be committed then.
    pub async fn execute(&self, sql: &str, args: Vec<Arg>) -> Result<u64, DbFault> {
        on_with!(self, sql, args, query => query.0.execute(query.1).await.map(|done| done.rows_affected()))
    }

    /// All rows that `sql` finds.
    ///
    /// # Errors
    /// Like [`Tx::execute`].
    pub async fn fetch_all(&self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, DbFault> {
        on_with!(self, sql, args, query => {
            query.0.fetch_all(query.1).await.map(|rows| rows.into_iter().map(Row::from).collect())
        })
    }

    /// The first row that `sql` finds.
    ///
    /// # Errors
    /// Like [`Tx::execute`].
    pub async fn fetch_optional(&self, sql: &str, args: Vec<Arg>) -> Result<Option<Row>, DbFault> {
        on_with!(self, sql, args, query => query.0.fetch_optional(query.1).await.map(|row| row.map(Row::from)))
    }

    /// The one row of a query that always finds one.
    ///
    /// # Errors
    /// Like [`Tx::execute`]; [`DbFault::Internal`] where nothing was found.
    pub async fn fetch_one(&self, sql: &str, args: Vec<Arg>) -> Result<Row, DbFault> {
        self.fetch_optional(sql, args).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Runs `action` once the commit succeeded; never otherwise. It must be short and must not block.
    pub fn after_commit(&self, action: impl FnOnce() + Send + 'static) {
        self.after_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(Box::new(action));
    }

    /// Makes everything durable: when it answers Ok, it is on disk.
    ///
    /// # Errors
    /// [`DbFault::TransactionFailed`] where a statement failed before: nothing was stored. Another fault of the COMMIT
    /// itself; [`DbFault::Unavailable`] leaves open whether it was stored.
    pub async fn commit(self) -> Result<(), DbFault> {
        let Self { raw, failed, stopwatch, after_commit, .. } = self;
        if failed.into_inner() {
            raw.into_inner().rollback().await?;
            return Err(DbFault::TransactionFailed);
        }
        match raw.into_inner() {
            Raw::Postgres(open) => open.commit().await?,
            Raw::Sqlite(open) => open.commit().await?,
        }
        stopwatch.stop(Outcome::Committed);
        for action in after_commit.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            action();
        }
        Ok(())
    }

    /// Takes everything back and waits until the locks are released.
    ///
    /// # Errors
    /// [`DbFault::Unavailable`] where the connection is gone; the store takes it back then by itself.
    pub async fn rollback(self) -> Result<(), DbFault> {
        self.raw.into_inner().rollback().await
    }
}

impl Raw {
    async fn rollback(self) -> Result<(), DbFault> {
        match self {
            Self::Postgres(open) => Ok(open.rollback().await?),
            Self::Sqlite(open) => Ok(open.rollback().await?),
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tx").field("dialect", &self.dialect).field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        match self.dialect {
            Dialect::Postgres => DbBackend::Postgres,
            Dialect::Sqlite => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (sql, values) = parts(statement);
        on!(self, connection => {
            sqlx::query_with(AssertSqlSafe(sql), values).execute(connection).await.map(ExecResult::from)
        })
        .map_err(exec_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        on!(self, connection => {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(ExecResult::from)
        })
        .map_err(exec_error)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let (sql, values) = parts(statement);
        on!(self, connection => {
            let found = sqlx::query_with(AssertSqlSafe(sql), values).fetch_optional(connection).await;
            found.map(|row| row.map(QueryResult::from))
        })
        .map_err(query_error)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (sql, values) = parts(statement);
        on!(self, connection => {
            let found = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(connection).await;
            found.map(|rows| rows.into_iter().map(QueryResult::from).collect())
        })
        .map_err(query_error)
    }
}

fn parts(statement: Statement) -> (String, SqlxValues) {
    (statement.sql, SqlxValues(statement.values.unwrap_or(Values(Vec::new()))))
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
