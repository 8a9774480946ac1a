//! Metrics: defined, listed.

use keizoku_base::{Micros, Partition};
use keizoku_storage::feed::{self, Partitions};
use keizoku_storage::{Scope, Tx};

use super::changes::counts;
use super::context::Context;
use super::repeat::{self, Answered, Repeat};
use super::{App, changes, roll};
use crate::domain::metric::MetricDefinition;
use crate::error::IngestionFault;
use crate::store::metric::{self, MetricRow, Places};

/// The most metrics of a workspace.
pub const METRICS_MOST: usize = 1000;

/// A metric in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its definition.
    pub definition: MetricDefinition,
    /// The version, from 1.
    pub version: i32,
    /// When this version was defined.
    pub created_at: Micros,
    /// How many events from before the definition are still to be read.
    pub remaining: i64,
}

/// What came of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Defined {
    /// The metric in force.
    pub metric: Metric,
    /// Whether it is new or another version.
    pub changed: bool,
    /// Where the change stands in the log.
    pub position: Vec<u8>,
}

impl Metric {
    /// As its row says.
    ///
    /// # Errors
    /// Where the row cannot be read.
    pub(crate) fn of(row: &MetricRow) -> Result<Self, IngestionFault> {
        let left = |partition| (row.effective.of(partition) - row.backfilled.of(partition)).max(0);
        Ok(Self {
            definition: MetricDefinition::from_bytes(&row.document)?,
            version: row.version,
            created_at: row.created_at,
            remaining: Partition::all().map(left).sum(),
        })
    }
}

/// Defines a metric. It counts every event that the roller has not rolled yet; those before are counted in by a backfill.
///
/// # Errors
/// [`IngestionFault::TooManyMetrics`], [`IngestionFault::RequestReused`], else as the database.
pub async fn put(
    app: &App,
    context: &Context,
    definition: &MetricDefinition,
    again: Option<&Repeat<'_, Defined>>,
) -> Result<Answered<Defined>, IngestionFault> {
    let document = definition.to_bytes();
    let answered = app
        .db
        .transact("metrics.put", Scope::Workspace(context.id()), async |tx| {
            if let Some(kept) = repeat::recall(&tx, context.id(), again).await? {
                return Ok(Answered::Again(kept));
            }
            let defined = define(&tx, context, definition, &document).await?;
            repeat::keep(&tx, context.id(), context, again, defined).await
        })
        .await?;
    app.backfill.notify_one();
    Ok(answered)
}

/// What a definition would come to.
///
/// # Errors
/// As the database.
pub async fn preview(app: &App, context: &Context, definition: &MetricDefinition) -> Result<Defined, IngestionFault> {
    let tx = app.db.read("metrics.preview", Scope::Workspace(context.id())).await?;
    let current = metric::by_key(&tx, context.id(), definition.key.as_str()).await?;
    let current = current.as_ref().map(Metric::of).transpose()?;
    let metric = match current {
        Some(metric) if metric.definition == *definition => {
            return Ok(Defined { metric, changed: false, position: Vec::new() });
        }
        current => Metric {
            definition: definition.clone(),
            version: current.map_or(1, |metric| metric.version + 1),
            created_at: context.now,
            remaining: 0,
        },
    };
    Ok(Defined { metric, changed: true, position: Vec::new() })
}

/// At most `limit` metrics in force with keys after `after`, ascending.
///
/// # Errors
/// As the database.
pub async fn list(app: &App, context: &Context, after: &str, limit: u32) -> Result<Vec<Metric>, IngestionFault> {
    let tx = app.db.read("metrics.list", Scope::Workspace(context.id())).await?;
    metric::list(&tx, context.id(), after, limit).await?.iter().map(Metric::of).collect()
}

async fn define(
    tx: &Tx,
    context: &Context,
    definition: &MetricDefinition,
    document: &[u8],
) -> Result<Defined, IngestionFault> {
    // What the roller has counted so far stays where it is until the definition is there: not one event falls between.
    let rolled = feed::pin(tx, &roll::cursors(), context.id(), Partitions::ALL).await?;
    let in_force = metric::in_force(tx, context.id(), true).await?;
    let current = in_force.iter().find(|row| row.key == definition.key.as_str());
    if let Some(row) = current.filter(|row| row.document == document) {
        return Ok(Defined { metric: Metric::of(row)?, changed: false, position: Vec::new() });
    }
    match current {
        Some(row) => metric::retire(tx, context.id(), row.no, context.now).await?,
        None if in_force.len() >= METRICS_MOST => return Err(IngestionFault::TooManyMetrics),
        None => {}
    }
    let mut effective = Places::START;
    for (partition, seq) in rolled {
        effective.set(partition, seq);
    }
    let row = MetricRow {
        no: metric::next_no(tx, context.id()).await?,
        key: definition.key.as_str().to_owned(),
        version: current.map_or(1, |row| row.version + 1),
        document: document.to_vec(),
        effective,
        backfilled: Places::START,
        created_at: context.now,
    };
    metric::add(tx, context.id(), &row).await?;
    let metric = Metric::of(&row)?;
    let position = changes::append(tx, context, vec![counts::metric_definition(context, &metric)]).await?;
    Ok(Defined { metric, changed: true, position })
}
