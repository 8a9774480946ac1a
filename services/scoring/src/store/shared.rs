//! What all accounts of a workspace share: metric definitions, the days of sources, how far ingestion is followed.

use keizoku_base::{Partition, WorkspaceId};
use keizoku_storage::{DbFault, OnConflict, Tx, args, bulk_insert};

/// A metric definition as the feed carried it.
#[derive(Debug, Clone)]
pub(crate) struct DefinitionRow {
    /// Its key.
    pub(crate) key: String,
    /// Its version.
    pub(crate) version: i32,
    /// The encoded definition.
    pub(crate) document: Vec<u8>,
}

/// The definitions of a workspace, by key, the newest version first.
///
/// # Errors
/// As the database.
pub(crate) async fn definitions(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<DefinitionRow>, DbFault> {
    let rows = tx
        .fetch_all(
            "SELECT key, version, document FROM metric_definition WHERE workspace_id = $1 ORDER BY key, version DESC",
            args![workspace],
        )
        .await?;
    rows.iter().map(|row| Ok(DefinitionRow { key: row.get(0)?, version: row.get(1)?, document: row.get(2)? })).collect()
}

/// Adds or replaces a definition; whether that changed anything.
///
/// # Errors
/// As the database.
pub(crate) async fn put_definition(
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    generation: i64,
    row: &DefinitionRow,
) -> Result<bool, DbFault> {
    let known = tx
        .fetch_optional(
            "SELECT document FROM metric_definition WHERE workspace_id = $1 AND key = $2 AND version = $3",
            args![workspace, row.key.as_str(), row.version],
        )
        .await?;
    let same = match known {
        Some(known) => known.get::<Vec<u8>, _>(0)? == row.document,
        None => false,
    };
    let document = row.document.clone();
    let values = vec![args![workspace, row.key.as_str(), row.version, partition, generation, document]];
    let columns = ["workspace_id", "key", "version", "partition", "generation", "document"];
    let replace = "(workspace_id, key, version) DO UPDATE SET generation = excluded.generation,
        document = excluded.document";
    bulk_insert(tx, "metric_definition", &columns, values, OnConflict::Do(replace)).await?;
    Ok(!same)
}

/// The days on which sources delivered, partition by partition, packed.
///
/// # Errors
/// As the database.
pub(crate) async fn source_days(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<(String, Vec<u8>)>, DbFault> {
    let rows = tx
        .fetch_all(
            "SELECT source, days FROM source_days WHERE workspace_id = $1 ORDER BY source, partition",
            args![workspace],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Replaces the days of a source in a partition.
///
/// # Errors
/// As the database.
pub(crate) async fn put_source_days(
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    generation: i64,
    source: &str,
    days: &[u8],
) -> Result<(), DbFault> {
    let values = vec![args![workspace, partition, source, generation, days]];
    let columns = ["workspace_id", "partition", "source", "generation", "days"];
    let replace = "(workspace_id, partition, source) DO UPDATE SET generation = excluded.generation,
        days = excluded.days";
    bulk_insert(tx, "source_days", &columns, values, OnConflict::Do(replace)).await?;
    Ok(())
}

/// How far a partition is followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// In ingestion's log of events.
    pub(crate) events: i64,
    /// In ingestion's log of changes.
    pub(crate) changes: i64,
}

/// Raises the watermarks of partitions, ascending; they never fall.
///
/// # Errors
/// As the database.
pub(crate) async fn raise_watermarks(
    tx: &Tx,
    workspace: WorkspaceId,
    marks: &[(Partition, Watermark)],
) -> Result<(), DbFault> {
    let row = |(partition, mark): &(Partition, Watermark)| args![workspace, *partition, mark.events, mark.changes];
    let columns = ["workspace_id", "partition", "events_seq", "changes_seq"];
    let raise = "(workspace_id, partition) DO UPDATE SET
        events_seq = CASE WHEN excluded.events_seq > watermark.events_seq THEN excluded.events_seq
            ELSE watermark.events_seq END,
        changes_seq = CASE WHEN excluded.changes_seq > watermark.changes_seq THEN excluded.changes_seq
            ELSE watermark.changes_seq END";
    bulk_insert(tx, "watermark", &columns, marks.iter().map(row).collect(), OnConflict::Do(raise)).await?;
    Ok(())
}

/// Takes over how far events are counted from a list of the state, where that says anything: in another life of the log
/// positions may be lower.
///
/// # Errors
/// As the database.
pub(crate) async fn list_watermarks(
    tx: &Tx,
    workspace: WorkspaceId,
    marks: &[(Partition, Watermark)],
) -> Result<(), DbFault> {
    let listed = marks.iter().filter(|(_, mark)| mark.events > 0);
    let rows = listed.map(|(partition, mark)| args![workspace, *partition, mark.events, 0_i64]).collect();
    let columns = ["workspace_id", "partition", "events_seq", "changes_seq"];
    let replace = "(workspace_id, partition) DO UPDATE SET events_seq = excluded.events_seq";
    bulk_insert(tx, "watermark", &columns, rows, OnConflict::Do(replace)).await?;
    Ok(())
}

/// Says how far a partition's changes are followed now that its state was listed.
///
/// # Errors
/// As the database.
pub(crate) async fn reach(tx: &Tx, workspace: WorkspaceId, partition: Partition, changes: i64) -> Result<(), DbFault> {
    let rows = vec![args![workspace, partition, 0_i64, changes]];
    let columns = ["workspace_id", "partition", "events_seq", "changes_seq"];
    let replace = "(workspace_id, partition) DO UPDATE SET changes_seq = excluded.changes_seq";
    bulk_insert(tx, "watermark", &columns, rows, OnConflict::Do(replace)).await?;
    Ok(())
}

/// Up to which position of a feed a consumer listed or followed a partition; 0 where it has not begun.
///
/// # Errors
/// As the database.
pub(crate) async fn cursor(
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    consumer: &str,
    source: &str,
) -> Result<i64, DbFault> {
    let sql =
        "SELECT seq FROM feed_cursor WHERE workspace_id = $1 AND consumer = $2 AND source = $3 AND partition = $4";
    let row = tx.fetch_optional(sql, args![workspace, consumer, source, partition]).await?;
    Ok(row.map(|row| row.get(0)).transpose()?.unwrap_or(0))
}
