//! Definitions of metrics, every version a row, each with its places in the log of events.

use keizoku_base::{Micros, Partition, WorkspaceId};
use keizoku_storage::{DbFault, OnConflict, Row, Tx, args, bulk_insert};
use uuid::Uuid;

/// A position in the log of events for each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places([i64; Partition::COUNT as usize]);

/// A version of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricRow {
    /// The workspace's number of this version.
    pub(crate) no: u32,
    /// The metric's key.
    pub(crate) key: String,
    /// From 1.
    pub(crate) version: i32,
    /// The definition, packed.
    pub(crate) document: Vec<u8>,
    /// The roller counts the events after these places, a backfill those up to them.
    pub(crate) effective: Places,
    /// How far the backfill has come; the same as `effective` when it is done.
    pub(crate) backfilled: Places,
    /// When it was defined.
    pub(crate) created_at: Micros,
}

impl Places {
    /// Before the first event.
    pub(crate) const START: Self = Self([0; Partition::COUNT as usize]);

    /// The place of a partition.
    pub(crate) fn of(&self, partition: Partition) -> i64 {
        self.0.get(usize::from(partition.number())).copied().unwrap_or_default()
    }

    /// Moves the place of a partition.
    pub(crate) fn set(&mut self, partition: Partition, seq: i64) {
        if let Some(place) = self.0.get_mut(usize::from(partition.number())) {
            *place = seq;
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|place| place.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DbFault> {
        let (places, rest) = bytes.as_chunks::<8>();
        let places: Vec<i64> = places.iter().map(|place| i64::from_le_bytes(*place)).collect();
        let whole = places.try_into().ok().filter(|_| rest.is_empty());
        whole.map(Self).ok_or_else(|| DbFault::internal("a metric has not a place for each partition"))
    }
}

const COLUMNS: &str = "metric_no, key, version, document, effective, backfilled, created_at";

/// The definitions in force, by number; with `locked` they stay as they are until the transaction ends.
///
/// # Errors
/// As the database.
pub(crate) async fn in_force(tx: &Tx, workspace: WorkspaceId, locked: bool) -> Result<Vec<MetricRow>, DbFault> {
    let lock = if locked { tx.dialect().for_update() } else { "" };
    let sql = format!(
        "SELECT {COLUMNS} FROM metric_definition WHERE workspace_id = $1 AND retired_at IS NULL ORDER BY metric_no{lock}"
    );
    tx.fetch_all(&sql, args![workspace]).await?.iter().map(metric).collect()
}

/// The definition in force under a key.
///
/// # Errors
/// As the database.
pub(crate) async fn by_key(tx: &Tx, workspace: WorkspaceId, key: &str) -> Result<Option<MetricRow>, DbFault> {
    let sql =
        format!("SELECT {COLUMNS} FROM metric_definition WHERE workspace_id = $1 AND key = $2 AND retired_at IS NULL");
    tx.fetch_optional(&sql, args![workspace, key]).await?.as_ref().map(metric).transpose()
}

/// At most `limit` definitions in force with keys after `after`, ascending.
///
/// # Errors
/// As the database.
pub(crate) async fn list(tx: &Tx, workspace: WorkspaceId, after: &str, limit: u32) -> Result<Vec<MetricRow>, DbFault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM metric_definition WHERE workspace_id = $1 AND retired_at IS NULL AND key > $2
         ORDER BY key LIMIT $3"
    );
    tx.fetch_all(&sql, args![workspace, after, i64::from(limit)]).await?.iter().map(metric).collect()
}

/// The number for the next version of any metric.
///
/// # Errors
/// As the database.
pub(crate) async fn next_no(tx: &Tx, workspace: WorkspaceId) -> Result<u32, DbFault> {
    let sql = "SELECT COALESCE(MAX(metric_no), 0) + 1 FROM metric_definition WHERE workspace_id = $1";
    u32::try_from(tx.fetch_one(sql, args![workspace]).await?.get::<i64, _>(0)?).map_err(DbFault::internal)
}

/// Adds a version.
///
/// # Errors
/// As the database.
pub(crate) async fn add(tx: &Tx, workspace: WorkspaceId, row: &MetricRow) -> Result<(), DbFault> {
    let columns = ["workspace_id", "metric_no", "key", "version", "document", "effective", "backfilled", "created_at"];
    let values = args![
        workspace,
        i64::from(row.no),
        row.key.as_str(),
        row.version,
        row.document.clone(),
        row.effective.to_bytes(),
        row.backfilled.to_bytes(),
        row.created_at
    ];
    bulk_insert(tx, "metric_definition", &columns, vec![values], OnConflict::Fail).await.map(drop)
}

/// A version is no longer in force.
///
/// # Errors
/// As the database.
pub(crate) async fn retire(tx: &Tx, workspace: WorkspaceId, no: u32, at: Micros) -> Result<(), DbFault> {
    let sql = "UPDATE metric_definition SET retired_at = $3 WHERE workspace_id = $1 AND metric_no = $2";
    tx.execute(sql, args![workspace, i64::from(no), at]).await.map(drop)
}

/// Notes how far a backfill has come.
///
/// # Errors
/// As the database.
pub(crate) async fn set_backfilled(
    tx: &Tx,
    workspace: WorkspaceId,
    no: u32,
    backfilled: &Places,
) -> Result<(), DbFault> {
    let sql = "UPDATE metric_definition SET backfilled = $3 WHERE workspace_id = $1 AND metric_no = $2";
    tx.execute(sql, args![workspace, i64::from(no), backfilled.to_bytes()]).await.map(drop)
}

/// The workspaces with a backfill that is not done. The transaction has the scope of the system.
///
/// # Errors
/// As the database.
pub(crate) async fn backfilling(tx: &Tx) -> Result<Vec<WorkspaceId>, DbFault> {
    let sql =
        "SELECT DISTINCT workspace_id FROM metric_definition WHERE retired_at IS NULL AND backfilled <> effective";
    let rows = tx.fetch_all(sql, Vec::new()).await?;
    rows.iter().map(|row| Ok(WorkspaceId(row.get::<Uuid, _>(0)?))).collect()
}

fn metric(row: &Row) -> Result<MetricRow, DbFault> {
    Ok(MetricRow {
        no: u32::try_from(row.get::<i64, _>(0)?).map_err(DbFault::internal)?,
        key: row.get(1)?,
        version: row.get(2)?,
        document: row.get(3)?,
        effective: Places::from_bytes(row.get(4)?)?,
        backfilled: Places::from_bytes(row.get(5)?)?,
        created_at: Micros(row.get(6)?),
    })
}
