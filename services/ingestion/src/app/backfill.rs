//! Counting in what came before a definition: the events up to the place at which it took effect, page by page. Each
//! page is one transaction, so that whoever is killed in the midst of it goes on where it stood.

use std::collections::BTreeMap;

use keizoku_base::{Partition, WorkspaceId};
use keizoku_storage::feed::{self, Batch, Consumer, Draft, Log, Partitions};
use keizoku_storage::{Scope, Tx};

use super::changes::counts;
use super::context::Context;
use super::counting::Counting;
use super::metrics::Metric;
use super::roll::Read;
use super::{App, changes, days};
use crate::domain::block;
use crate::error::IngestionFault;
use crate::store::journal;
use crate::store::metric::{self, MetricRow};

/// How many events one transaction counts in: while it runs, the roller waits.
const PAGE_MOST: usize = 2000;

/// The workspaces with a backfill that is not done.
///
/// # Errors
/// As the database.
pub async fn waiting(app: &App) -> Result<Vec<WorkspaceId>, IngestionFault> {
    let tx = app.db.read("backfill.waiting", Scope::System).await?;
    Ok(metric::backfilling(&tx).await?)
}

/// Counts in one page of a workspace, of the partitions that this replica rolls; whether there is more to do here.
///
/// # Errors
/// What cannot be counted, or as the database.
pub async fn step(app: &App, roller: &Consumer, workspace: WorkspaceId) -> Result<bool, IngestionFault> {
    let context = app.background(workspace).await?;
    app.db
        .transact("backfill.step", Scope::Workspace(workspace), async |tx| {
            let behind = behind(&metric::in_force(&tx, workspace, false).await?);
            let held = roller.hold(&tx, workspace, behind.keys().copied().collect()).await?;
            let rows = metric::in_force(&tx, workspace, true).await?;
            let mut wanted = self::behind(&rows);
            wanted.retain(|partition, _| held.contains_key(partition));
            if wanted.is_empty() {
                return Ok(false);
            }
            count_in(&tx, &context, rows, wanted).await?;
            Ok(true)
        })
        .await
}

/// For each partition with events to be counted in, where the first of its metrics stands.
fn behind(rows: &[MetricRow]) -> BTreeMap<Partition, i64> {
    let first = |partition: Partition| {
        let open = rows.iter().filter(|row| row.backfilled.of(partition) < row.effective.of(partition));
        open.map(|row| row.backfilled.of(partition)).min().map(|after| (partition, after))
    };
    Partition::all().filter_map(first).collect()
}

async fn count_in(
    tx: &Tx,
    context: &Context,
    rows: Vec<MetricRow>,
    mut wanted: BTreeMap<Partition, i64>,
) -> Result<(), IngestionFault> {
    let floors = feed::heads_of(tx, Log::Events, context.id(), wanted.keys().copied().collect::<Partitions>()).await?;
    for (partition, after) in &mut wanted {
        *after = floors.get(partition).map_or(*after, |head| head.trimmed_seq.max(*after));
    }
    let asked: Vec<(Partition, i64)> = wanted.iter().map(|(partition, after)| (*partition, *after)).collect();
    let page = journal::page(tx, context.id(), &asked, PAGE_MOST).await?;
    for segment in &page.segments {
        wanted.insert(segment.partition, segment.through);
    }
    let batch = Batch { workspace: context.id(), snapshot: false, segments: page.segments };
    let read = Read::of(&batch, context.workspace.zone)?;
    let counting = Counting::new(context.id(), rows.clone())?;
    let deltas = block::fold(&counting.index, context.workspace.zone, read.events(), |metric, event| {
        let partition = event.account.partition();
        counting
            .row(metric.no)
            .is_some_and(|row| row.backfilled.of(partition) < event.seq && event.seq <= row.effective.of(partition))
    })?;
    let mut drafts = days::merge(tx, context, &counting, &deltas, &read.traces).await?;
    drafts.extend(advance(tx, context, rows, &wanted).await?);
    changes::append(tx, context, drafts).await?;
    Ok(())
}

/// Notes how far each metric has come, and answers a change for each that is done.
async fn advance(
    tx: &Tx,
    context: &Context,
    rows: Vec<MetricRow>,
    reached: &BTreeMap<Partition, i64>,
) -> Result<Vec<Draft>, IngestionFault> {
    let mut drafts = Vec::new();
    for mut row in rows {
        let before = row.backfilled;
        for (partition, seq) in reached {
            let (stands, ends) = (row.backfilled.of(*partition), row.effective.of(*partition));
            row.backfilled.set(*partition, (*seq).min(ends).max(stands));
        }
        if row.backfilled == before {
            continue;
        }
        metric::set_backfilled(tx, context.id(), row.no, &row.backfilled).await?;
        if row.backfilled == row.effective {
            drafts.push(counts::metric_definition(context, &Metric::of(&row)?));
        }
    }
    Ok(drafts)
}
