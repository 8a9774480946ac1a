//! The consumer of ingestion's feed, and the word that the copy of the control plane is up to date.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use keizoku_base::{Clock, Partition, WorkspaceId};
use keizoku_runtime::Tasks;
use keizoku_storage::Tx;
use keizoku_storage::feed::{Activity, Batch, Consumer, ConsumerSettings, HandleFault, Handler, Source};

use crate::app::{App, inputs};
use crate::error::ScoringFault;

/// How often the copy of the control plane is confirmed.
const CONFIRM: Duration = Duration::from_secs(1);

/// The consumer of ingestion's changes.
pub(crate) fn consumer(app: &Arc<App>, source: Arc<dyn Source>, clock: Arc<dyn Clock>) -> Consumer {
    let handler = Arc::new(Inputs { app: Arc::clone(app) });
    Consumer::new(app.db.clone(), source, handler, clock, ConsumerSettings::default())
}

/// Runs the consumer, and writes the time into `confirmed_at` while it has applied everything there is.
pub(crate) fn run(tasks: &Tasks, consumer: &Consumer, clock: &Arc<dyn Clock>, confirmed_at: &Arc<AtomicI64>) {
    let follower = consumer.clone();
    tasks.spawn("inputs", move |stop| {
        let follower = follower.clone();
        async move { follower.run(stop).await }
    });
    let (consumer, clock, confirmed_at) = (consumer.clone(), Arc::clone(clock), Arc::clone(confirmed_at));
    tasks.spawn("inputs confirmer", move |stop| {
        let (consumer, clock, confirmed_at) = (consumer.clone(), Arc::clone(&clock), Arc::clone(&confirmed_at));
        async move {
            while stop.run_until_cancelled(tokio::time::sleep(CONFIRM)).await.is_some() {
                let now = clock.now();
                let caught_up = consumer.status().await.is_ok_and(|status| {
                    matches!(status.activity, Activity::Following | Activity::Waiting) && status.lag_seconds == 0.0
                });
                if caught_up {
                    confirmed_at.store(now.0, Ordering::Relaxed);
                }
            }
        }
    });
}

struct Inputs {
    app: Arc<App>,
}

#[async_trait]
impl Handler for Inputs {
    fn name(&self) -> &'static str {
        inputs::CONSUMER
    }

    async fn handle(&self, tx: &Tx, batch: &Batch) -> Result<(), HandleFault> {
        inputs::apply(&self.app, tx, batch).await.map_err(verdict)
    }

    async fn sweep(
        &self,
        tx: &Tx,
        workspace: WorkspaceId,
        partition: Partition,
        generation: i64,
    ) -> Result<bool, HandleFault> {
        inputs::sweep(&self.app, tx, workspace, partition, generation).await.map_err(verdict)
    }

    fn after_commit(&self, _batch: &Batch) {
        self.app.applied.notify_waiters();
        self.app.rescore.notify_one();
    }
}

/// What a fault says about the changes.
fn verdict(fault: ScoringFault) -> HandleFault {
    if let ScoringFault::Database(fault) = fault {
        return fault.into();
    }
    HandleFault::poison(fault)
}
