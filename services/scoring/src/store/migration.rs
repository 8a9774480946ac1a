//! The tables. Every primary key begins with the workspace.

use keizoku_storage::{Dialect, Migration, feed, request_log};

/// All migrations, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration { name: "0001_first", statements: first }];

fn first(dialect: Dialect) -> Vec<String> {
    let mut statements = keizoku_control::store::ddl(dialect);
    statements.extend(feed::ddl(dialect));
    statements.extend(request_log::ddl(dialect));
    for (_, template) in TABLES {
        statements.push(dialect.ddl(template));
    }
    statements.extend(INDEXES.iter().map(|index| (*index).to_owned()));
    for (table, _) in TABLES {
        statements.extend(dialect.wall(table));
    }
    statements
}

const TABLES: &[(&str, &str)] = &[
    (
        "account_facts",
        "CREATE TABLE account_facts (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL,
         partition SMALLINT NOT NULL, generation BIGINT NOT NULL, data {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, account_id))",
    ),
    (
        "account_alias",
        "CREATE TABLE account_alias (workspace_id {uuid} NOT NULL, source TEXT NOT NULL, external_id TEXT NOT NULL,
         account_id {uuid} NOT NULL, partition SMALLINT NOT NULL, generation BIGINT NOT NULL,
         PRIMARY KEY (workspace_id, source, external_id))",
    ),
    (
        "metric_definition",
        "CREATE TABLE metric_definition (workspace_id {uuid} NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
         partition SMALLINT NOT NULL, generation BIGINT NOT NULL, document {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, key, version))",
    ),
    (
        "metric_block",
        "CREATE TABLE metric_block (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, month INTEGER NOT NULL,
         partition SMALLINT NOT NULL, generation BIGINT NOT NULL, marks {bytes} NOT NULL, data {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, account_id, month))",
    ),
    (
        "metric_set",
        "CREATE TABLE metric_set (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, month INTEGER NOT NULL,
         key TEXT NOT NULL, version INTEGER NOT NULL, partition SMALLINT NOT NULL,
         data {bytes} NOT NULL, PRIMARY KEY (workspace_id, account_id, month, key, version))",
    ),
    (
        "metric_undo",
        "CREATE TABLE metric_undo (workspace_id {uuid} NOT NULL, account_id {uuid} NOT NULL, month INTEGER NOT NULL,
         known_at BIGINT NOT NULL, seq BIGINT NOT NULL, partition SMALLINT NOT NULL, data {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, account_id, month, known_at, seq))",
    ),
    (
        "source_days",
        "CREATE TABLE source_days (workspace_id {uuid} NOT NULL, partition SMALLINT NOT NULL, source TEXT NOT NULL,
         generation BIGINT NOT NULL, days {bytes} NOT NULL, PRIMARY KEY (workspace_id, partition, source))",
    ),
    (
        "watermark",
        "CREATE TABLE watermark (workspace_id {uuid} NOT NULL, partition SMALLINT NOT NULL, events_seq BIGINT NOT NULL,
         changes_seq BIGINT NOT NULL, PRIMARY KEY (workspace_id, partition))",
    ),
    (
        "model",
        "CREATE TABLE model (workspace_id {uuid} NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
         document {bytes} NOT NULL, effective_from INTEGER NOT NULL, is_primary BOOLEAN NOT NULL,
         created_at BIGINT NOT NULL, PRIMARY KEY (workspace_id, key, version))",
    ),
    (
        "score",
        "CREATE TABLE score (workspace_id {uuid} NOT NULL, model TEXT NOT NULL, account_id {uuid} NOT NULL,
         partition SMALLINT NOT NULL, value_millis INTEGER, band TEXT NOT NULL, polarity TEXT NOT NULL,
         level TEXT NOT NULL, persona TEXT NOT NULL, stage TEXT NOT NULL, reason SMALLINT NOT NULL,
         model_version INTEGER NOT NULL, is_primary BOOLEAN NOT NULL, score_version BIGINT NOT NULL,
         day INTEGER NOT NULL, computed_at BIGINT NOT NULL,
         basic {bytes} NOT NULL, explained {bytes} NOT NULL, PRIMARY KEY (workspace_id, model, account_id))",
    ),
    (
        "score_month",
        "CREATE TABLE score_month (workspace_id {uuid} NOT NULL, model TEXT NOT NULL, account_id {uuid} NOT NULL,
         month INTEGER NOT NULL, partition SMALLINT NOT NULL, data {bytes} NOT NULL,
         PRIMARY KEY (workspace_id, model, account_id, month))",
    ),
    (
        "score_change",
        "CREATE TABLE score_change (workspace_id {uuid} NOT NULL, model TEXT NOT NULL, account_id {uuid} NOT NULL,
         score_version BIGINT NOT NULL, at BIGINT NOT NULL, partition SMALLINT NOT NULL, value_millis INTEGER,
         band TEXT NOT NULL, level TEXT NOT NULL, stage TEXT NOT NULL, causes TEXT NOT NULL,
         PRIMARY KEY (workspace_id, model, account_id, score_version))",
    ),
    (
        "composition_snapshot",
        "CREATE TABLE composition_snapshot (workspace_id {uuid} NOT NULL, model TEXT NOT NULL, day INTEGER NOT NULL,
         data {bytes} NOT NULL, PRIMARY KEY (workspace_id, model, day))",
    ),
    (
        "day_close",
        "CREATE TABLE day_close (workspace_id {uuid} NOT NULL, partition SMALLINT NOT NULL,
         began INTEGER NOT NULL,
         closed_through INTEGER NOT NULL, closing_to INTEGER, after_account {uuid},
         PRIMARY KEY (workspace_id, partition))",
    ),
    (
        "rescore",
        "CREATE TABLE rescore (workspace_id {uuid} NOT NULL, partition SMALLINT NOT NULL, wanted BIGINT NOT NULL,
         doing BIGINT, after_account {uuid}, PRIMARY KEY (workspace_id, partition))",
    ),
];

const INDEXES: &[&str] = &[
    "CREATE INDEX account_facts_partition ON account_facts (workspace_id, partition, account_id)",
    "CREATE INDEX account_alias_account ON account_alias (workspace_id, account_id)",
    "CREATE INDEX score_value ON score (workspace_id, model, value_millis, account_id)",
    "CREATE INDEX score_partition ON score (workspace_id, partition, account_id)",
    "CREATE INDEX metric_block_partition ON metric_block (workspace_id, partition, generation)",
    "CREATE INDEX score_change_at ON score_change (workspace_id, at)",
];
