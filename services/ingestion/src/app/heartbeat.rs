//! A source says that it is alive though it has nothing to send.

use std::collections::BTreeMap;

use keizoku_base::Day;
use keizoku_storage::Scope;
use keizoku_storage::feed::{self, Partitions};

use super::changes::counts;
use super::context::Context;
use super::{App, arrivals, changes, roll};
use crate::domain::coverage;
use crate::domain::key::Key;
use crate::error::IngestionFault;

/// The most days that one heartbeat speaks of.
pub const DAYS_MOST: i32 = 366;

/// Notes that a source was alive on all days from `first` to `last`; answers where that stands in the log.
///
/// # Errors
/// As the database.
pub async fn beat(
    app: &App,
    context: &Context,
    source: &Key,
    first: Day,
    last: Day,
) -> Result<Vec<u8>, IngestionFault> {
    let partition = counts::partition_of(source.as_str());
    let alive = BTreeMap::from([coverage::alive(source, first, last)]);
    app.db
        .transact("heartbeat.beat", Scope::Workspace(context.id()), async |tx| {
            feed::pin(&tx, &roll::cursors(), context.id(), Partitions::from_iter([partition])).await?;
            let new = BTreeMap::from([(partition, &alive)]);
            let drafts = arrivals::source_days(&tx, context, new).await?;
            changes::append(&tx, context, drafts).await
        })
        .await
}
