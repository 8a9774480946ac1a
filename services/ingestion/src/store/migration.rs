//! The tables. Every primary key begins with the workspace.

use keizoku_storage::{Dialect, Migration, feed, request_log};

/// All migrations, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration { name: "0001_first", statements: first }];

fn first(dialect: Dialect) -> Vec<String> {
    let mut statements = keizoku_control::store::ddl(dialect);
    statements.extend(feed::ddl(dialect));
    statements.extend(request_log::ddl(dialect));
    for (name, template) in TABLES {
        let rewritten = if REWRITTEN.contains(name) { dialect.hot_table() } else { "" };
        statements.push(dialect.ddl(template) + rewritten);
    }
    statements.extend(dialect.hash_partitioned(
        "event_key",
        "workspace_id {uuid} NOT NULL, id_hash {bytes} NOT NULL, content_hash {bytes} NOT NULL",
        "workspace_id, id_hash",
        16,
    ));
    statements.extend(dialect.day_partitioned("event", EVENT_COLUMNS, "workspace_id, partition, seq", "arrival_day"));
    statements.extend(INDEXES.iter().map(|index| (*index).to_owned()));
    for table in TABLES.iter().map(|(name, _)| *name).chain(["event_key", "event"]) {
        statements.extend(dialect.wall(table));
    }
    statements
}

const EVENT_COLUMNS: &str = "workspace_id {uuid} NOT NULL, partition SMALLINT NOT NULL, seq BIGINT NOT NULL,
    arrival_day INTEGER NOT NULL, account_id {uuid} NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL,
    measurement BOOLEAN NOT NULL, occurred_at BIGINT NOT NULL, known_at BIGINT NOT NULL, known_assumed BOOLEAN NOT NULL,
    received_at BIGINT NOT NULL, id_hash {bytes} NOT NULL, user_ordinal BIGINT, value BIGINT, properties {bytes} NOT NULL,
    trace_parent TEXT NOT NULL";

/// Tables whose rows the roller writes again with every batch.
const REWRITTEN: &[&str] =
    &["receipt", "metric_block", "metric_set", "account_coverage", "property_coverage", "source_days"];

const TABLES: &[(&str, &str)] = &[
    (
        "account",
        "CREATE TABLE account (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, display_name TEXT NOT NULL,
         parent_id {uuid}, attributes {bytes} NOT NULL, stub BOOLEAN NOT NULL, created_at BIGINT NOT NULL,
         updated_at BIGINT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (workspace_id, account_id))",
    ),
    (
        "account_external",
        "CREATE TABLE account_external (workspace_id {uuid} NOT NULL, source TEXT NOT NULL, external_id TEXT NOT NULL,
         account_id {uuid} NOT NULL, PRIMARY KEY (workspace_id, source, external_id))",
    ),
    (
        "account_attribute",
        "CREATE TABLE account_attribute (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, key TEXT NOT NULL,
         known_at BIGINT NOT NULL, received_at BIGINT NOT NULL, value {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, account_id, key, known_at))",
    ),
    (
        "contact",
        "CREATE TABLE contact (workspace_id {uuid} NOT NULL, contact_id {uuid} NOT NULL, account_id {uuid} NOT NULL,
         source TEXT NOT NULL, external_id TEXT NOT NULL, display_name TEXT NOT NULL, email TEXT NOT NULL,
         role TEXT NOT NULL, joined_on INTEGER, left_on INTEGER, known_at BIGINT NOT NULL, content_hash {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, contact_id))",
    ),
    (
        "app_user",
        "CREATE TABLE app_user (workspace_id {uuid} NOT NULL, source TEXT NOT NULL, external_id TEXT NOT NULL,
         account_id {uuid} NOT NULL, user_id {uuid} NOT NULL, ordinal BIGINT NOT NULL, display_name TEXT NOT NULL,
         created_at BIGINT NOT NULL, PRIMARY KEY (workspace_id, account_id, source, external_id))",
    ),
    (
        "user_ordinal",
        "CREATE TABLE user_ordinal (workspace_id {uuid} PRIMARY KEY, next BIGINT NOT NULL)",
    ),
    (
        "contract",
        "CREATE TABLE contract (workspace_id {uuid} NOT NULL, contract_id {uuid} NOT NULL, source TEXT NOT NULL,
         external_id TEXT NOT NULL, plan TEXT NOT NULL, trial BOOLEAN NOT NULL, minor_units BIGINT, currency TEXT,
         billing_period SMALLINT, seats BIGINT, starts_on INTEGER NOT NULL, ends_on INTEGER,
         renews_automatically BOOLEAN, renewal_ordinal INTEGER, attributes {bytes} NOT NULL, known_at BIGINT NOT NULL,
         content_hash {bytes} NOT NULL, PRIMARY KEY (workspace_id, contract_id))",
    ),
    (
        "contract_version",
        "CREATE TABLE contract_version (workspace_id {uuid} NOT NULL, contract_id {uuid} NOT NULL,
         known_at BIGINT NOT NULL, received_at BIGINT NOT NULL, plan TEXT NOT NULL, trial BOOLEAN NOT NULL,
         minor_units BIGINT, currency TEXT, billing_period SMALLINT, seats BIGINT, starts_on INTEGER NOT NULL,
         ends_on INTEGER, renews_automatically BOOLEAN, renewal_ordinal INTEGER, attributes {bytes} NOT NULL,
         accounts {bytes} NOT NULL, PRIMARY KEY (workspace_id, contract_id, known_at, received_at))",
    ),
    (
        "contract_account",
        "CREATE TABLE contract_account (workspace_id {uuid} NOT NULL, contract_id {uuid} NOT NULL,
         account_id {uuid} NOT NULL, place SMALLINT NOT NULL, PRIMARY KEY (workspace_id, contract_id, account_id))",
    ),
    (
        "cancellation",
        "CREATE TABLE cancellation (workspace_id {uuid} NOT NULL, source TEXT NOT NULL, external_id TEXT NOT NULL,
         cancellation_id {uuid} NOT NULL, account_id {uuid} NOT NULL, contract_source TEXT, contract_external_id TEXT,
         effective_on INTEGER NOT NULL, reason TEXT NOT NULL, comment TEXT NOT NULL, minor_units BIGINT, currency TEXT,
         billing_period SMALLINT, after_reactivation BOOLEAN NOT NULL, attributes {bytes} NOT NULL,
         known_at BIGINT NOT NULL, content_hash {bytes} NOT NULL, PRIMARY KEY (workspace_id, cancellation_id))",
    ),
    (
        "conversation",
        "CREATE TABLE conversation (workspace_id {uuid} NOT NULL, conversation_id {uuid} NOT NULL,
         account_id {uuid} NOT NULL, source TEXT NOT NULL, external_id TEXT NOT NULL, channel TEXT NOT NULL,
         subject TEXT NOT NULL, body TEXT NOT NULL, started_by_customer BOOLEAN NOT NULL, opened_at BIGINT NOT NULL,
         closed_at BIGINT, first_reply_at BIGINT, attributes {bytes} NOT NULL, known_at BIGINT NOT NULL,
         content_hash {bytes} NOT NULL, PRIMARY KEY (workspace_id, conversation_id))",
    ),
    (
        "receipt",
        "CREATE TABLE receipt (workspace_id {uuid} NOT NULL, source TEXT NOT NULL, hour BIGINT NOT NULL,
         writer BIGINT NOT NULL, stored BIGINT NOT NULL, duplicate BIGINT NOT NULL, rejected BIGINT NOT NULL,
         PRIMARY KEY (workspace_id, source, hour, writer))",
    ),
    (
        "metric_definition",
        "CREATE TABLE metric_definition (workspace_id {uuid} NOT NULL, metric_no BIGINT NOT NULL, key TEXT NOT NULL,
         version INTEGER NOT NULL, document {bytes} NOT NULL, effective {bytes} NOT NULL, backfilled {bytes} NOT NULL,
         created_at BIGINT NOT NULL, retired_at BIGINT, PRIMARY KEY (workspace_id, metric_no))",
    ),
    (
        "metric_block",
        "CREATE TABLE metric_block (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, month INTEGER NOT NULL,
         data {bytes} NOT NULL, PRIMARY KEY (workspace_id, account_id, month))",
    ),
    (
        "metric_set",
        "CREATE TABLE metric_set (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, metric_no BIGINT NOT NULL,
         day INTEGER NOT NULL, users {bytes} NOT NULL, PRIMARY KEY (workspace_id, account_id, metric_no, day))",
    ),
    (
        "metric_undo",
        "CREATE TABLE metric_undo (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, metric_no BIGINT NOT NULL,
         day INTEGER NOT NULL, known_at BIGINT NOT NULL, seq BIGINT NOT NULL, previous {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, account_id, metric_no, day, known_at, seq))",
    ),
    (
        "account_coverage",
        "CREATE TABLE account_coverage (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, data {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, account_id))",
    ),
    (
        "property_coverage",
        "CREATE TABLE property_coverage (workspace_id {uuid} NOT NULL, partition SMALLINT NOT NULL,
         data {bytes} NOT NULL, PRIMARY KEY (workspace_id, partition))",
    ),
    (
        "source_days",
        "CREATE TABLE source_days (workspace_id {uuid} NOT NULL, partition SMALLINT NOT NULL, source TEXT NOT NULL,
         days {bytes} NOT NULL, PRIMARY KEY (workspace_id, partition, source))",
    ),
];

const INDEXES: &[&str] = &[
    "CREATE INDEX account_external_account ON account_external (workspace_id, account_id)",
    "CREATE UNIQUE INDEX contact_external ON contact (workspace_id, source, external_id)",
    "CREATE INDEX contact_account ON contact (workspace_id, account_id)",
    "CREATE UNIQUE INDEX app_user_ordinal ON app_user (workspace_id, ordinal)",
    "CREATE UNIQUE INDEX contract_external ON contract (workspace_id, source, external_id)",
    "CREATE INDEX contract_account_account ON contract_account (workspace_id, account_id)",
    "CREATE UNIQUE INDEX cancellation_external ON cancellation (workspace_id, source, external_id)",
    "CREATE INDEX cancellation_contract ON cancellation (workspace_id, contract_source, contract_external_id)",
    "CREATE INDEX cancellation_account ON cancellation (workspace_id, account_id, effective_on)",
    "CREATE UNIQUE INDEX conversation_external ON conversation (workspace_id, source, external_id)",
    "CREATE INDEX conversation_account ON conversation (workspace_id, account_id, opened_at)",
    "CREATE UNIQUE INDEX metric_definition_key ON metric_definition (workspace_id, key, version)",
];
