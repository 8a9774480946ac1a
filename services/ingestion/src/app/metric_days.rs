//! What a metric came to, day by day, as it is known now or as it was known then.

use keizoku_base::number::Millionths;
use keizoku_base::{AccountRef, Day, Micros};
use keizoku_storage::{Scope, Tx};

use super::context::Context;
use super::{App, days, directory};
use crate::domain::block::{Block, UndoEntry, UserSets};
use crate::error::IngestionFault;
use crate::store::{block, metric};

/// Which days to read.
#[derive(Debug, Clone)]
pub struct DaysQuery {
    /// The metric's key.
    pub key: String,
    /// The account.
    pub account: AccountRef,
    /// The first day.
    pub from: Day,
    /// The first day no longer wanted.
    pub until: Day,
    /// As it was known then.
    pub known_at: Option<Micros>,
}

/// The days of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDays {
    /// Those with data, ascending.
    pub days: Vec<(Day, Millionths)>,
    /// The version of the definition.
    pub version: i32,
}

/// Reads the days of a metric.
///
/// # Errors
/// [`IngestionFault::AccountUnknown`], [`IngestionFault::MetricUnknown`], else as the database.
pub async fn read(app: &App, context: &Context, query: &DaysQuery) -> Result<MetricDays, IngestionFault> {
    let account = directory::one(app, context, &query.account).await?;
    let tx = app.db.read("metrics.days", Scope::Workspace(context.id())).await?;
    let metric = metric::by_key(&tx, context.id(), &query.key).await?;
    let metric = metric.ok_or_else(|| IngestionFault::MetricUnknown(query.key.clone()))?;
    let months = days::months(query.from, query.until).iter().map(|month| month.0).collect();
    let blocks = block::blocks(&tx, context.id(), vec![account.0], months).await?;
    let mut blocks: Vec<Block> = blocks.into_values().collect();
    if let Some(at) = query.known_at {
        let span = (query.from, query.until);
        let undo = block::undo(&tx, context.id(), account, metric.no, span).await?;
        let changed = undo.iter().map(|entry| (metric.no, entry.day)).collect();
        let mut sets = days::load_sets(&tx, context, &[(account, changed)]).await?;
        let users = sets.remove(&account).unwrap_or_default();
        blocks = blocks.into_iter().map(|block| as_known(block, &users, at, &undo)).collect::<Result<_, _>>()?;
    }
    drop::<Tx>(tx);
    let mut found = Vec::new();
    for block in &blocks {
        for (day, held) in block.days().filter(|(day, _)| (query.from..query.until).contains(day)) {
            let value = held.values(day)?.into_iter().find(|(no, _)| *no == metric.no);
            found.extend(value.map(|(_, value)| (day, value)));
        }
    }
    found.sort_unstable_by_key(|(day, _)| *day);
    Ok(MetricDays { days: found, version: metric.version })
}

fn as_known(block: Block, users: &UserSets, at: Micros, undo: &[UndoEntry]) -> Result<Block, IngestionFault> {
    let month = block.month();
    let entries: Vec<UndoEntry> = undo.iter().filter(|entry| entry.day.month() == month).cloned().collect();
    let users = users.iter().filter(|((_, day), _)| day.month() == month);
    let users = users.map(|(of, set)| (*of, set.clone())).collect();
    Ok(block.as_known_at(users, at, &entries)?.0)
}
