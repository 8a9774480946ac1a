//! The roller: ingestion's own consumer of its log of events.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use keizoku_base::{Partition, WorkspaceId};
use keizoku_control::ControlFault;
use keizoku_storage::Tx;
use keizoku_storage::feed::{
    Batch, Consumer, ConsumerSettings, FeedEpoch, FeedFault, Follow, Followed, HandleFault, Handler, Head, LocalSource,
    Partitions, SnapshotPage, Source,
};

use crate::app::{App, roll};
use crate::error::IngestionFault;

/// The roller of this replica.
pub(super) fn consumer(app: &Arc<App>) -> Consumer {
    let source = EventLog(Arc::new(LocalSource::new(roll::EVENTS, app.db.clone(), roll::events())));
    let clock = Arc::clone(&app.clock);
    let handler = Arc::new(Roller(Arc::clone(app)));
    Consumer::new(app.db.clone(), Arc::new(source), handler, clock, ConsumerSettings::default())
}

struct Roller(Arc<App>);

#[async_trait]
impl Handler for Roller {
    fn name(&self) -> &'static str {
        roll::ROLLER
    }

    fn schema(&self) -> i32 {
        roll::cursors().schema
    }

    async fn handle(&self, tx: &Tx, batch: &Batch) -> Result<(), HandleFault> {
        roll::roll(&self.0, tx, batch).await.map_err(verdict)
    }

    /// Nothing is derived anew: what was counted stays.
    async fn sweep(
        &self,
        _tx: &Tx,
        _workspace: WorkspaceId,
        _partition: Partition,
        _generation: i64,
    ) -> Result<bool, HandleFault> {
        Ok(false)
    }
}

fn verdict(fault: IngestionFault) -> HandleFault {
    let (IngestionFault::Database(fault)
    | IngestionFault::Control(ControlFault::Database(fault))
    | IngestionFault::Feed(FeedFault::Store(fault))) = fault
    else {
        return HandleFault::poison(fault);
    };
    fault.into()
}

/// The log of events has one life for its readers in the same database: a restore brings log and cursors back together,
/// so that they still fit.
struct EventLog(Arc<LocalSource>);

#[async_trait]
impl Source for EventLog {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn epoch(&self) -> Result<FeedEpoch, FeedFault> {
        Ok(roll::epoch())
    }

    async fn heads(&self, partitions: Partitions) -> Result<Vec<Head>, FeedFault> {
        self.0.heads(partitions).await
    }

    fn follow(&self, wanted: Follow) -> BoxStream<'static, Result<Followed, FeedFault>> {
        let log = Arc::clone(&self.0);
        let opened = async move {
            match log.epoch().await {
                Ok(epoch) => log.follow(Follow { epoch, ..wanted }),
                Err(fault) => stream::once(async move { Err(fault) }).boxed(),
            }
        };
        opened.flatten_stream().boxed()
    }

    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<Vec<u8>>,
    ) -> Result<SnapshotPage, FeedFault> {
        self.0.snapshot(workspace, partitions, token).await
    }
}
