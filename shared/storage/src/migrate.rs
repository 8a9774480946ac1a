//! Bringing a service's database to the schema that this version needs, one caller at a time.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, SqlxPostgresConnector, SqlxSqliteConnector};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTraitSelf, SchemaManager};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::config::{DatabaseConfig, Location};
use crate::dialect::{APP_ROLE, Dialect};
use crate::fault::DbFault;
use crate::folder_lock::FolderLock;

/// "keizoku" in base 36: one lock for all services of a database, because the role is theirs together.
const LOCK: i64 = 44_414_071_086;

/// One step of a schema. A published step never changes; a correction is a further step.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its name, sorting by age: `0001_first`.
    pub name: &'static str,
    /// Its statements, in order, run in one transaction.
    pub statements: fn(Dialect) -> Vec<String>,
}

/// Applies those `migrations` of `service` that are missing, in their order. On PostgreSQL it makes the service's
/// schema and the serving role too, as `owner_url` where there is one, and grants the role what it needs; callers at
/// the same time wait for each other there.
///
/// # Errors
/// [`DbFault::NewerSchema`] where the database knows a migration that is not among `migrations`: nothing was touched;
/// [`DbFault::FolderInUse`] where a process serves from that folder; otherwise why a statement failed.
pub async fn migrate(config: &DatabaseConfig, service: &'static str, migrations: &[Migration]) -> Result<(), DbFault> {
    match config.owner_location(service)? {
        Location::Sqlite { folder, options } => {
            let _lock = FolderLock::take(&folder, service)?;
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(*options).await?;
            let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.clone());
            let done = apply(&connection, service, migrations).await;
            pool.close().await;
            done
        }
        Location::Postgres(options) => {
            let options = options.options([("statement_timeout", "0")]);
            let mut holder = PgConnection::connect_with(&options).await?;
            // Held by the session: it ends with the connection, however this function ends.
            sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut holder).await?;
            let role = config.app_role.as_deref().unwrap_or(APP_ROLE);
            let done = migrate_postgres(&mut holder, options, role, service, migrations).await;
            holder.close().await?;
            done
        }
    }
}

async fn migrate_postgres(
    holder: &mut PgConnection,
    options: PgConnectOptions,
    role: &str,
    service: &str,
    migrations: &[Migration],
) -> Result<(), DbFault> {
    run(holder, prepare_statements(role, service)).await?;
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
    let done = apply(&connection, service, migrations).await;
    pool.close().await;
    done?;
    run(holder, grant_statements(role, service)).await
}

async fn run(connection: &mut PgConnection, statements: Vec<String>) -> Result<(), DbFault> {
    for sql in statements {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    }
    Ok(())
}

async fn apply(connection: &DatabaseConnection, service: &str, migrations: &[Migration]) -> Result<(), DbFault> {
    let steps = Steps(migrations.to_vec());
    let mut known = steps.get_migration_models(connection).await?.into_iter().map(|applied| applied.version);
    if let Some(migration) = known.find(|name| migrations.iter().all(|migration| migration.name != name)) {
        return Err(DbFault::NewerSchema { service: service.to_owned(), migration });
    }
    Ok(steps.up(connection, None).await?)
}

/// Roles belong to the whole server, so another database's migration may make it at the same moment.
fn prepare_statements(role: &str, service: &str) -> Vec<String> {
    let (name, role) = (literal(role), identifier(role));
    vec![
        format!(
            "DO $do$ BEGIN
               IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN CREATE ROLE {role} LOGIN; END IF;
               IF NOT pg_has_role(current_user, {name}, 'MEMBER') THEN GRANT {role} TO CURRENT_USER; END IF;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $do$"
        ),
        format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(service)),
    ]
}

fn grant_statements(role: &str, service: &str) -> Vec<String> {
    let (role, schema) = (identifier(role), identifier(service));
    vec![
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"),
        format!("REVOKE INSERT, UPDATE, DELETE ON {schema}.seaql_migrations FROM {role}"),
    ]
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

struct Steps(Vec<Migration>);

impl MigratorTraitSelf for Steps {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        self.0.iter().map(|step| Box::new(Step(*step)) as Box<dyn MigrationTrait>).collect()
    }
}

struct Step(Migration);

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.0.name
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let postgres = manager.get_database_backend() == DbBackend::Postgres;
        for sql in (self.0.statements)(if postgres { Dialect::Postgres } else { Dialect::Sqlite }) {
            connection.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
