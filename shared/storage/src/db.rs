//! One service's database: connecting, and the named begin.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, SqlSafeStr as _};
use tracing::Instrument as _;

use crate::config::{DatabaseConfig, Location};
use crate::dialect::Dialect;
use crate::fault::{DbFault, RetryableTx};
use crate::feed::Doorbell;
use crate::folder_lock::FolderLock;
use crate::metrics::Metrics;
use crate::tx::{Raw, Scope, Tx};

const MOST_SQLITE_READERS: u32 = 4;
const IDLE_BEFORE_PING: Duration = Duration::from_secs(30);

/// A service's database. Clones share it.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    service: &'static str,
    pools: Pools,
    /// `SET LOCAL ROLE …; ` or nothing.
    set_role: String,
    metrics: Metrics,
    doorbell: Doorbell,
}

enum Pools {
    Postgres { pool: PgPool, options: Box<PgConnectOptions> },
    // The lock lives as long as the pools that it protects.
    Sqlite { writer: SqlitePool, readers: SqlitePool, _lock: FolderLock },
}

impl Db {
    /// Connects to the database of `service`: its schema on PostgreSQL, its file on SQLite.
    ///
    /// # Errors
    /// [`DbFault::Unavailable`] where it cannot be reached, [`DbFault::FolderInUse`] where another process has the
    /// folder, [`DbFault::Settings`] where the URL makes no sense.
    pub async fn connect(config: &DatabaseConfig, service: &'static str) -> Result<Self, DbFault> {
        let pools = match config.location(service)? {
            Location::Postgres(options) => Pools::Postgres { pool: postgres_pool(config, &options).await?, options },
            Location::Sqlite { folder, options } => {
                let lock = FolderLock::take(&folder, service)?;
                let (writer, readers) = sqlite_pools(config, *options).await?;
                Pools::Sqlite { writer, readers, _lock: lock }
            }
        };
        let set_role = config
            .app_role
            .as_ref()
            .map_or_else(String::new, |role| format!("SET LOCAL ROLE \"{}\"; ", role.replace('"', "\"\"")));
        Ok(Self(Arc::new(Inner {
            service,
            pools,
            set_role,
            metrics: Metrics::new(service),
            doorbell: Doorbell::new(),
        })))
    }

    /// Which store is underneath.
    pub fn dialect(&self) -> Dialect {
        match self.0.pools {
            Pools::Postgres { .. } => Dialect::Postgres,
            Pools::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// The service whose database this is.
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// Wakes readers of this database's feed.
    pub fn doorbell(&self) -> &Doorbell {
        &self.0.doorbell
    }

    /// How to open a further connection of its own, for LISTEN; `None` on SQLite.
    pub fn postgres_options(&self) -> Option<&PgConnectOptions> {
        match &self.0.pools {
            Pools::Postgres { options, .. } => Some(options),
            Pools::Sqlite { .. } => None,
        }
    }

    /// Begins a transaction that may write. On SQLite it is the only one: waiting for its turn counts as acquiring.
    ///
    /// # Errors
    /// [`DbFault::Unavailable`] where no connection became free in time.
    pub async fn begin(&self, name: &'static str, scope: Scope) -> Result<Tx, DbFault> {
        self.open(name, scope, Access::Write).await
    }

    /// Begins a transaction that only reads. Dropping it is as good as committing.
    ///
    /// # Errors
    /// Like [`Db::begin`].
    pub async fn read(&self, name: &'static str, scope: Scope) -> Result<Tx, DbFault> {
        self.open(name, scope, Access::Read).await
    }

    /// Runs `body` in a transaction and commits it. Where another transaction stood in the way, everything is taken
    /// back and run again, at most three times: `body` must have no effect outside of the transaction.
    ///
    /// `body` may borrow: `db.transact("save", scope, |tx| async move { store::save(&tx, items).await })` with `items` a
    /// reference. It gets the transaction shared, so that only this function can commit; it must not keep it.
    ///
    /// # Errors
    /// What `body` answers, or the fault of begin or commit.
    pub async fn transact<T, E, F, B>(&self, name: &'static str, scope: Scope, mut body: F) -> Result<T, E>
    where
        E: From<DbFault> + RetryableTx,
        F: FnMut(Arc<Tx>) -> B,
        B: Future<Output = Result<T, E>>,
    {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(Duration::from_millis(200))
            .with_max_times(3)
            .with_jitter()
            .build();
        loop {
            match self.attempt(name, scope, &mut body).await {
                Err(fault) if fault.is_contention() => match pauses.next() {
                    Some(pause) => {
                        self.0.metrics.repeated(name);
                        tokio::time::sleep(pause).await;
                    }
                    None => return Err(fault),
                },
                settled => return settled,
            }
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), DbFault> {
        let tx = self.read("ping", Scope::System).await?;
        tx.fetch_one("SELECT 1", Vec::new()).await?;
        tx.commit().await
    }

    /// Waits until all connections are given back and closes them.
    pub async fn close(&self) {
        match &self.0.pools {
            Pools::Postgres { pool, .. } => pool.close().await,
            Pools::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    async fn attempt<T, E, F, B>(&self, name: &'static str, scope: Scope, body: &mut F) -> Result<T, E>
    where
        E: From<DbFault>,
        F: FnMut(Arc<Tx>) -> B,
        B: Future<Output = Result<T, E>>,
    {
        let tx = Arc::new(self.begin(name, scope).await?);
        let answer = Box::pin(body(Arc::clone(&tx))).instrument(tx.span().clone()).await;
        let tx = Arc::into_inner(tx).ok_or_else(|| DbFault::internal("a transaction was kept beyond its body"));
        match answer {
            Ok(answer) => {
                tx?.commit().await?;
                Ok(answer)
            }
            Err(fault) => {
                // The fault at hand says more than that of the rollback.
                if let Err(error) = tx?.rollback().await {
                    tracing::debug!(transaction = name, %error, "the rollback failed");
                }
                Err(fault)
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the named begin, and its task ends by itself")]
    async fn open(&self, name: &'static str, scope: Scope, access: Access) -> Result<Tx, DbFault> {
        let span = tracing::info_span!("transaction", otel.name = name, service = self.0.service);
        let begin = async {
            Ok::<_, DbFault>(match &self.0.pools {
                Pools::Postgres { pool, .. } => {
                    let sql = AssertSqlSafe(begin_statement(access, &self.0.set_role, scope)).into_sql_str();
                    let connection = pool.acquire().await?;
                    // Dropped halfway, sqlx would give the connection back inside of a transaction that it knows
                    // nothing of. So this round trip goes on by itself, and what nobody waits for is rolled back.
                    let begun = tokio::spawn(sqlx::Transaction::begin(connection, Some(sql)).in_current_span());
                    Raw::Postgres(begun.await.map_err(DbFault::internal)??)
                }
                Pools::Sqlite { writer, readers, .. } => Raw::Sqlite(match access {
                    Access::Write => writer.begin_with("BEGIN IMMEDIATE").await?,
                    Access::Read => readers.begin_with("BEGIN").await?,
                }),
            })
        };
        let stopwatch = self.0.metrics.start(name, access.label());
        let raw = begin.instrument(span.clone()).await?;
        Ok(Tx::new(raw, scope, span, stopwatch, self.0.doorbell.clone()))
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Db").field("service", &self.0.service).field("dialect", &self.dialect()).finish()
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl Access {
    fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// BEGIN, the role and the wall's settings as one message: one round trip.
fn begin_statement(access: Access, set_role: &str, scope: Scope) -> String {
    let begin = match access {
        Access::Read => "BEGIN READ ONLY",
        Access::Write => "BEGIN",
    };
    let (kind, workspace) = match scope {
        Scope::Workspace(workspace) => ("workspace", workspace.0.to_string()),
        Scope::System => ("system", String::new()),
    };
    format!("{begin}; {set_role}SET LOCAL keizoku.scope = '{kind}'; SET LOCAL keizoku.workspace = '{workspace}'")
}

async fn postgres_pool(config: &DatabaseConfig, options: &PgConnectOptions) -> Result<PgPool, DbFault> {
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        // A ping before every use would be one more round trip for each transaction.
        .test_before_acquire(false)
        .before_acquire(|connection, found| {
            Box::pin(async move {
                if found.idle_for > IDLE_BEFORE_PING {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    Ok(pool.connect_with(options.clone()).await?)
}

async fn sqlite_pools(
    config: &DatabaseConfig,
    options: SqliteConnectOptions,
) -> Result<(SqlitePool, SqlitePool), DbFault> {
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    // The writer first: it makes the file and switches it to WAL.
    let writer = pool(1).connect_with(options.clone()).await?;
    let readers = pool(config.max_connections.clamp(1, MOST_SQLITE_READERS));
    Ok((writer, readers.connect_with(options.pragma("query_only", "ON")).await?))
}
