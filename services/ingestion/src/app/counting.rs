//! The metrics of a workspace, ready to count with.

use std::sync::Arc;

use keizoku_base::{Partition, WorkspaceId};

use crate::domain::metric::{MetricDefinition, MetricIndex};
use crate::error::IngestionFault;
use crate::store::metric::MetricRow;

/// For how many workspaces compiled metrics are remembered.
const REMEMBERED: u64 = 10_000;

/// Definitions in force with their conditions compiled.
#[derive(Debug)]
pub(crate) struct Counting {
    /// Which metrics an event counts for.
    pub(crate) index: MetricIndex,
    /// The definitions, by number.
    rows: Vec<MetricRow>,
}

/// Remembers compiled metrics. What is remembered is only used where the rows still say the same.
#[derive(Debug)]
pub struct Compiled(moka::sync::Cache<WorkspaceId, Arc<Counting>>);

impl Compiled {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(moka::sync::Cache::new(REMEMBERED))
    }

    /// The metrics of a workspace, of which these are the rows in force.
    ///
    /// # Errors
    /// Where a row cannot be read.
    pub(crate) fn of(&self, workspace: WorkspaceId, rows: Vec<MetricRow>) -> Result<Arc<Counting>, IngestionFault> {
        let known = self.0.get(&workspace).filter(|known| known.is_of(&rows));
        if let Some(known) = known {
            return Ok(known);
        }
        let counting = Arc::new(Counting::new(workspace, rows)?);
        self.0.insert(workspace, Arc::clone(&counting));
        Ok(counting)
    }
}

impl Counting {
    /// These definitions, which are sorted by number.
    ///
    /// # Errors
    /// Where a row cannot be read.
    pub(crate) fn new(workspace: WorkspaceId, rows: Vec<MetricRow>) -> Result<Self, IngestionFault> {
        let definition = |row: &MetricRow| Ok((row.no, MetricDefinition::from_bytes(&row.document)?));
        let definitions = rows.iter().map(definition).collect::<Result<Vec<_>, IngestionFault>>()?;
        let (index, unusable) = MetricIndex::new(definitions);
        if !unusable.is_empty() {
            tracing::error!(%workspace, metrics = ?unusable, "the conditions of metrics no longer compile; define them anew");
        }
        Ok(Self { index, rows })
    }

    /// The definition with that number, where it is in force.
    pub(crate) fn row(&self, no: u32) -> Option<&MetricRow> {
        self.rows.binary_search_by_key(&no, |row| row.no).ok().and_then(|place| self.rows.get(place))
    }

    /// After which position of a partition the roller counts a metric.
    pub(crate) fn effective(&self, no: u32, partition: Partition) -> i64 {
        self.row(no).map_or(i64::MAX, |row| row.effective.of(partition))
    }

    fn is_of(&self, rows: &[MetricRow]) -> bool {
        let same = |(left, right): (&MetricRow, &MetricRow)| {
            (left.no, left.version, &left.effective) == (right.no, right.version, &right.effective)
                && left.document == right.document
        };
        self.rows.len() == rows.len() && self.rows.iter().zip(rows).all(same)
    }
}
