//! Counting the events of the log as they come: the roller's use case.

use std::collections::BTreeMap;
use std::sync::Arc;

use keizoku_base::{Partition, Zone};
use keizoku_runtime::telemetry;
use keizoku_storage::Tx;
use keizoku_storage::feed::{Batch, FeedEpoch, Journal, Log, Pinned};

use super::changes::counts;
use super::days::Traces;
use super::{App, arrivals, changes, days};
use tracing::Span;

use crate::domain::block;
use crate::domain::coverage::Coverage;
use crate::domain::event::RecordedEvent;
use crate::error::IngestionFault;
use crate::store::journal::{self, EventJournal};
use crate::store::metric;

/// The roller's name among consumers.
pub const ROLLER: &str = "roller";
/// The log of events among sources.
pub const EVENTS: &str = "events";

/// The roller's cursors: whoever changes what it derives holds them first.
pub fn cursors() -> Pinned {
    Pinned { consumer: ROLLER, source: EVENTS, log: Log::Events, schema: 1, epoch: epoch() }
}

/// The one life of the log of events: it is restored together with what was counted from it.
pub fn epoch() -> FeedEpoch {
    FeedEpoch::from_bytes(&[0; 16]).unwrap_or_else(|| panic!("an epoch has 16 bytes"))
}

/// The log of events.
pub fn events() -> Arc<dyn Journal> {
    Arc::new(EventJournal)
}

/// The most traces that one batch goes on with.
const MOST_TRACES: usize = 100;

/// Counts a batch of events. The transaction holds the roller's cursors of its partitions.
///
/// # Errors
/// What cannot be counted, or as the database.
pub async fn roll(app: &App, tx: &Tx, batch: &Batch) -> Result<(), IngestionFault> {
    let context = app.background(batch.workspace).await?;
    let mut read = Read::of(batch, context.workspace.zone)?;
    let _work = read.go_on();
    // Read under the lock of the cursors, under which definitions take effect.
    let rows = metric::in_force(tx, batch.workspace, false).await?;
    let counting = app.compiled.of(batch.workspace, rows)?;
    let deltas = block::fold(&counting.index, context.workspace.zone, read.events(), |metric, event| {
        event.seq > counting.effective(metric.no, event.account.partition())
    })?;
    let mut drafts = days::merge(tx, &context, &counting, &deltas, &read.traces).await?;
    drafts.extend(arrivals::note(tx, &context, &read.coverage()?).await?);
    let marks = batch.segments.iter().map(|segment| counts::watermark(&context, segment.partition, segment.through));
    drafts.extend(marks);
    changes::append(tx, &context, drafts).await?;
    Ok(())
}

/// Events as they were read from the log.
#[derive(Debug, Default)]
pub(crate) struct Read {
    by_partition: BTreeMap<Partition, Vec<RecordedEvent>>,
    /// The first traced call that brought an event of an account.
    pub(crate) traces: Traces,
}

impl Read {
    /// Reads the events of a batch.
    ///
    /// # Errors
    /// Where a row is none of the log's.
    pub(crate) fn of(batch: &Batch, zone: Zone) -> Result<Self, IngestionFault> {
        let mut read = Self::default();
        for segment in &batch.segments {
            let events = read.by_partition.entry(segment.partition).or_default();
            events.reserve(segment.rows.len());
            for row in &segment.rows {
                let (event, trace_parent) = journal::read(row, zone)?;
                if !trace_parent.is_empty() {
                    read.traces.entry(event.account).or_insert(trace_parent);
                }
                events.push(event);
            }
        }
        Ok(read)
    }

    /// Goes on with the traces of the calls that brought the events; answers the spans, which last as long as the work.
    fn go_on(&mut self) -> Vec<Span> {
        let mut begun: BTreeMap<String, String> = BTreeMap::new();
        let mut spans = Vec::new();
        for cause in self.traces.values_mut() {
            if !begun.contains_key(cause) && begun.len() < MOST_TRACES {
                let (span, carried) = telemetry::continued(cause, "ingestion.roll");
                spans.push(span);
                begun.insert(cause.clone(), carried);
            }
            *cause = begun.get(cause).cloned().unwrap_or_default();
        }
        spans
    }

    /// All of them.
    pub(crate) fn events(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.by_partition.values().flatten()
    }

    fn coverage(&self) -> Result<BTreeMap<Partition, Coverage>, IngestionFault> {
        let covered = |(partition, events): (&Partition, &Vec<RecordedEvent>)| Ok((*partition, Coverage::of(events)?));
        self.by_partition.iter().map(covered).collect()
    }
}
