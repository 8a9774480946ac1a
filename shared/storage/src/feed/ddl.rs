//! The feed's tables.

use crate::dialect::Dialect;

const HEAD: &str = "CREATE TABLE feed_head (
    workspace_id {uuid} NOT NULL,
    log SMALLINT NOT NULL,
    partition SMALLINT NOT NULL,
    last_seq BIGINT NOT NULL,
    trimmed_seq BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, log, partition)
)";

const CHANGE: &str = "CREATE TABLE feed_change (
    workspace_id {uuid} NOT NULL,
    partition SMALLINT NOT NULL,
    seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    key {bytes} NOT NULL,
    state {bytes} NOT NULL,
    commit_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, partition, seq)
)";

// token: NULL while following; otherwise where the bootstrap is (see `bootstrap`).
const CURSOR: &str = "CREATE TABLE feed_cursor (
    workspace_id {uuid} NOT NULL,
    consumer TEXT NOT NULL,
    source TEXT NOT NULL,
    partition SMALLINT NOT NULL,
    seq BIGINT NOT NULL,
    lease_epoch BIGINT NOT NULL,
    schema INTEGER NOT NULL,
    feed_epoch {bytes} NOT NULL,
    generation BIGINT NOT NULL,
    token {bytes},
    PRIMARY KEY (workspace_id, consumer, source, partition)
)";

const QUARANTINE: &str = "CREATE TABLE feed_quarantine (
    workspace_id {uuid} NOT NULL,
    consumer TEXT NOT NULL,
    source TEXT NOT NULL,
    partition SMALLINT NOT NULL,
    seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    key {bytes} NOT NULL,
    state {bytes} NOT NULL,
    commit_at BIGINT NOT NULL,
    snapshot BOOLEAN NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, consumer, source, partition, seq, kind, key)
)";

const LEASE: &str = "CREATE TABLE feed_lease (
    consumer TEXT NOT NULL,
    partition SMALLINT NOT NULL,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, partition)
)";

const REPLICA: &str = "CREATE TABLE feed_replica (
    consumer TEXT NOT NULL,
    owner TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, owner)
)";

const EPOCH: &str = "CREATE TABLE feed_epoch (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    epoch {bytes} NOT NULL
)";

/// The statements that make the feed's tables; a service's first migration includes them.
pub fn ddl(dialect: Dialect) -> Vec<String> {
    let hot = dialect.hot_table();
    let mut statements = vec![
        dialect.ddl(HEAD) + hot,
        dialect.ddl(CHANGE),
        dialect.ddl(CURSOR) + hot,
        dialect.ddl(QUARANTINE),
        dialect.ddl(LEASE) + hot,
        dialect.ddl(REPLICA) + hot,
        dialect.ddl(EPOCH),
        format!("INSERT INTO feed_epoch (id, epoch) VALUES (1, {})", dialect.random_bytes()),
    ];
    for table in ["feed_head", "feed_change", "feed_cursor", "feed_quarantine"] {
        statements.extend(dialect.wall(table));
    }
    statements
}
