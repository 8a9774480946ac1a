//! Noting what arrived: for whom, from where, with which properties, on which days.

use std::collections::{BTreeMap, BTreeSet};

use keizoku_base::Partition;
use keizoku_storage::Tx;
use keizoku_storage::feed::Draft;

use super::changes::counts;
use super::context::Context;
use crate::domain::coverage::Coverage;
use crate::domain::set::NumberSet;
use crate::error::IngestionFault;
use crate::store::arrived;

/// Notes what arrived in each partition and answers a change for what is new. The cursors of the partitions are held by
/// the transaction: nobody else changes these rows.
///
/// # Errors
/// As the database.
pub(crate) async fn note(
    tx: &Tx,
    context: &Context,
    arrivals: &BTreeMap<Partition, Coverage>,
) -> Result<Vec<Draft>, IngestionFault> {
    let mut drafts = accounts(tx, context, arrivals).await?;
    properties(tx, context, arrivals).await?;
    let days = arrivals.iter().map(|(partition, arrived)| (*partition, &arrived.days)).collect();
    drafts.extend(source_days(tx, context, days).await?);
    Ok(drafts)
}

/// Adds days on which sources delivered, by partition, and answers a change for each source with a new one.
///
/// # Errors
/// As the database.
pub(crate) async fn source_days(
    tx: &Tx,
    context: &Context,
    new: BTreeMap<Partition, &BTreeMap<String, NumberSet>>,
) -> Result<Vec<Draft>, IngestionFault> {
    let mut held = arrived::source_days(tx, context.id(), new.keys().copied()).await?;
    let mut grown: Vec<(Partition, &str, NumberSet)> = Vec::new();
    for (partition, sources) in new {
        for (source, days) in sources {
            let mut all = held.remove(&(partition, source.clone())).unwrap_or_default();
            let before = all.len();
            all.unite(days);
            if all.len() > before {
                grown.push((partition, source, all));
            }
        }
    }
    let rows: Vec<_> = grown.iter().map(|(partition, source, days)| (*partition, *source, days)).collect();
    arrived::put_source_days(tx, context.id(), &rows).await?;
    let told = |(partition, source, days): &(Partition, &str, NumberSet)| {
        counts::source_days(context, *partition, source, days)
    };
    Ok(grown.iter().map(told).collect())
}

async fn accounts(
    tx: &Tx,
    context: &Context,
    arrivals: &BTreeMap<Partition, Coverage>,
) -> Result<Vec<Draft>, IngestionFault> {
    let accounts: BTreeSet<_> =
        arrivals.values().flat_map(|arrived| arrived.sources.keys().map(|(account, _)| account.0)).collect();
    let held = arrived::accounts(tx, context.id(), accounts.into_iter().collect()).await?;
    let mut held: BTreeMap<_, _> = held.into_iter().collect();
    let mut drafts = Vec::new();
    for arrived in arrivals.values() {
        for ((account, kind), span) in &arrived.events {
            held.entry(*account).or_default().add_kind(kind, *span);
        }
        for ((account, source), span) in &arrived.sources {
            if let Some(span) = held.entry(*account).or_default().add_source(source, *span) {
                drafts.push(counts::account_source(context, *account, source, span));
            }
        }
    }
    arrived::put_accounts(tx, context.id(), &held).await?;
    Ok(drafts)
}

async fn properties(
    tx: &Tx,
    context: &Context,
    arrivals: &BTreeMap<Partition, Coverage>,
) -> Result<(), IngestionFault> {
    let new: BTreeMap<_, _> = arrivals.iter().filter(|(_, arrived)| !arrived.properties.is_empty()).collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut held = arrived::properties(tx, context.id(), new.keys().map(|partition| **partition)).await?;
    for (partition, arrived) in new {
        let coverage = held.entry(*partition).or_default();
        for (kind, seen) in &arrived.properties {
            coverage.add(kind, seen);
        }
    }
    Ok(arrived::put_properties(tx, context.id(), &held).await?)
}
