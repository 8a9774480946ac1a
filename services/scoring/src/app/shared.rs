//! What all accounts of a workspace share, as their scores need it: metric definitions and the days of sources.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keizoku_base::{Day, WorkspaceId};
use keizoku_storage::Tx;
use roaring::RoaringBitmap;

use super::changes;
use crate::domain::month::Key;
use crate::domain::workspace::{MetricDefinition, Workspace};
use crate::error::ScoringFault;
use crate::store::shared as store;

/// How long what was read may be used again by readers and batches; what must be exact reads anew.
const FRESH: Duration = Duration::from_secs(1);
/// How many workspaces are remembered.
const REMEMBERED: u64 = 1000;
/// How far back windows can reach, in days, with room for a year of history.
const REACH: i32 = 1200;

/// What was read of workspaces within the last second.
#[derive(Debug)]
pub struct Remembered(moka::sync::Cache<WorkspaceId, Arc<Workspace>>);

impl Default for Remembered {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(FRESH).build())
    }
}

impl Remembered {
    /// What is shared, at most a second old.
    ///
    /// # Errors
    /// As the database.
    pub(crate) async fn get(&self, tx: &Tx, workspace: WorkspaceId) -> Result<Arc<Workspace>, ScoringFault> {
        if let Some(known) = self.0.get(&workspace) {
            return Ok(known);
        }
        let found = load(tx, workspace).await?;
        self.0.insert(workspace, Arc::clone(&found));
        Ok(found)
    }

    pub(crate) fn forget(&self, workspace: WorkspaceId) {
        self.0.invalidate(&workspace);
    }
}

/// What is shared, as the transaction sees it.
///
/// # Errors
/// As the database.
pub(crate) async fn load(tx: &Tx, workspace: WorkspaceId) -> Result<Arc<Workspace>, ScoringFault> {
    let delivered = delivered(tx, workspace).await?;
    Ok(Arc::new(Workspace::new(definitions(tx, workspace).await?, delivered)))
}

/// The newest version of every metric.
///
/// # Errors
/// As the database.
pub(crate) async fn definitions(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<MetricDefinition>, ScoringFault> {
    let rows = store::definitions(tx, workspace).await?;
    let mut found: Vec<MetricDefinition> = Vec::new();
    for row in &rows {
        if found.last().is_none_or(|last| last.metric.key.as_ref() != row.key) {
            found.push(changes::definition(&row.document)?);
        }
    }
    Ok(found)
}

/// Per source the days on which it delivered anything for anybody.
///
/// # Errors
/// As the database.
pub(crate) async fn delivered(tx: &Tx, workspace: WorkspaceId) -> Result<BTreeMap<Key, RoaringBitmap>, ScoringFault> {
    let mut found: BTreeMap<Key, RoaringBitmap> = BTreeMap::new();
    for (source, days) in store::source_days(tx, workspace).await? {
        let days =
            RoaringBitmap::deserialize_from(days.as_slice()).map_err(|_| ScoringFault::Corrupt("source days"))?;
        *found.entry(source.into()).or_default() |= days;
    }
    Ok(found)
}

/// Whether other days of sources change what the days up to `today` of accounts mean that delivered nothing themselves.
pub(crate) fn liveness_differs(
    definitions: &[MetricDefinition],
    before: &BTreeMap<Key, RoaringBitmap>,
    after: &BTreeMap<Key, RoaringBitmap>,
    today: Day,
) -> bool {
    let empty = RoaringBitmap::new();
    let changed = after.iter().filter(|(source, days)| before.get(*source) != Some(*days));
    changed.into_iter().any(|(source, days)| {
        let earlier = before.get(source).unwrap_or(&empty);
        let takes = |definition: &&MetricDefinition| definition.source.as_ref().is_none_or(|wanted| wanted == source);
        let mut patience: Vec<u16> = definitions.iter().filter(takes).map(|metric| metric.stale_after_days).collect();
        patience.sort_unstable();
        patience.dedup();
        differs(earlier, days, &patience, today)
    })
}

/// Whether a source counts as alive on another set of days, for one of these times that it may be silent.
fn differs(before: &RoaringBitmap, after: &RoaringBitmap, patience: &[u16], today: Day) -> bool {
    let first = (before ^ after).min().map_or(today.0, |first| i32::try_from(first).unwrap_or(today.0));
    let first = first.max(today.0 - REACH);
    let (mut last_before, mut last_after) = (last(before, first - 1), last(after, first - 1));
    (first..=today.0).any(|day| {
        let holds = |days: &RoaringBitmap| u32::try_from(day).is_ok_and(|day| days.contains(day));
        last_before = if holds(before) { Some(day) } else { last_before };
        last_after = if holds(after) { Some(day) } else { last_after };
        // A day that is still going on never makes a source stale.
        let judged = day.min(today.0 - 1);
        let alive = |last: Option<i32>, stale: u16| last.is_some_and(|last| judged - last <= i32::from(stale));
        patience.iter().any(|stale| alive(last_before, *stale) != alive(last_after, *stale))
    })
}

fn last(days: &RoaringBitmap, through: i32) -> Option<i32> {
    let rank = u32::try_from(through).ok().map(|through| days.rank(through))?;
    let place = u32::try_from(rank.checked_sub(1)?).ok()?;
    days.select(place).and_then(|day| i32::try_from(day).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::month::MetricRef;
    use crate::domain::workspace::Absence;

    fn definition() -> MetricDefinition {
        MetricDefinition {
            metric: MetricRef { key: "logins".into(), version: 1 },
            source: Some("app".into()),
            absence: Absence::ZeroWhenSourceAlive,
            stale_after_days: 3,
            distinct: false,
        }
    }

    fn differs_from(before: &[u32], after: &[u32]) -> bool {
        let days = |days: &[u32]| BTreeMap::from([(Key::from("app"), days.iter().copied().collect())]);
        liveness_differs(&[definition()], &days(before), &days(after), Day(1000))
    }

    #[test]
    fn a_source_that_goes_on_changes_nothing_for_the_silent() {
        assert!(!differs_from(&[998, 999], &[998, 999, 1000]));
        assert!(!differs_from(&[995, 996], &[995, 996, 1000]), "four days, of which the last is not over");
        assert!(!differs_from(&[990, 992, 999], &[990, 991, 992, 999]));
    }

    #[test]
    fn a_source_that_comes_back_or_fills_a_hole_does() {
        assert!(differs_from(&[995], &[995, 1000]), "stale yesterday, alive today");
        assert!(differs_from(&[], &[1000]));
        assert!(differs_from(&[980, 999], &[980, 990, 999]));
        assert!(differs_from(&[980, 990, 999], &[980, 999]));
    }
}
