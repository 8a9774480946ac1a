//! What the filler has applied, told to the cache.

use std::sync::Arc;
use std::time::Duration;

use keizoku_base::{Clock, Partition};
use tokio_util::sync::CancellationToken;

use super::Cache;
use crate::db::Db;
use crate::fault::DbFault;
use crate::feed::{self, Consumer, Log, Partitions};
use crate::tx::Scope;

const EVERY: Duration = Duration::from_millis(250);

/// Partitions whose changes are not all applied: the cursor is missing, behind, of another life or still bootstrapping, or
/// a change was set aside.
const LAGGING: &str = "
    SELECT partition FROM feed_head AS head WHERE log = $1 AND NOT EXISTS (
        SELECT 1 FROM feed_cursor AS mine WHERE mine.workspace_id = head.workspace_id AND mine.consumer = $2
            AND mine.source = $3 AND mine.partition = head.partition AND mine.seq >= head.last_seq
            AND mine.token IS NULL AND mine.feed_epoch = $4)
    UNION SELECT partition FROM feed_quarantine WHERE consumer = $2 AND source = $3";

/// Compares heads and cursors of a filler, and confirms the partitions where they meet.
///
/// The filler is a consumer of the changes in its own database, of all kinds, whose handler calls [`Cache::fill`] and
/// fails where that does. Heads and cursors are read in one statement: the cost grows with workspaces × 64.
#[derive(Debug)]
pub struct Confirmer {
    cache: Arc<dyn Cache>,
    db: Db,
    filler: Consumer,
    clock: Arc<dyn Clock>,
}

impl Confirmer {
    /// Confirms for `filler`, whose feed and cursors lie in `db`. `clock` tells the real time, not a workspace's.
    pub fn new(cache: Arc<dyn Cache>, db: Db, filler: Consumer, clock: Arc<dyn Clock>) -> Self {
        Self { cache, db, filler, clock }
    }

    /// Confirms four times a second until cancelled. A failure leaves readers to the database until the next time.
    pub async fn run(&self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            if let Some(Err(fault)) = cancel.run_until_cancelled(self.confirm()).await {
                tracing::debug!(%fault, "the cache is not confirmed");
            }
            cancel.run_until_cancelled(tokio::time::sleep(EVERY)).await;
        }
    }

    /// Confirms once; answers the partitions confirmed.
    ///
    /// # Errors
    /// Any fault of the store.
    pub async fn confirm(&self) -> Result<Partitions, DbFault> {
        let held = self.filler.partitions();
        if held.is_empty() {
            return Ok(held);
        }
        let as_of = self.clock.now();
        let tx = self.db.read("cache.confirm", Scope::System).await?;
        let epoch = feed::epoch(&tx).await?;
        let (consumer, source) = self.filler.names();
        let args = crate::args![Log::Changes.number(), consumer, source, *epoch.as_bytes()];
        let mut confirmed = held;
        for row in tx.fetch_all(LAGGING, args).await? {
            let number: i16 = row.get("partition")?;
            if let Some(partition) = u8::try_from(number).ok().and_then(Partition::new) {
                confirmed.remove(partition);
            }
        }
        drop(tx);
        let taken = confirmed.is_empty() || self.cache.confirm(epoch, confirmed, as_of).await.is_ok();
        Ok(if taken { confirmed } else { Partitions::NONE })
    }
}
