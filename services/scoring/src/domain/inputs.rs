//! Everything one account's scores are made of, read once.

use std::sync::Arc;

use keizoku_base::Day;
use keizoku_base::time::Month;
use roaring::RoaringBitmap;

use super::facts::AccountFacts;
use super::month::{AccountMonth, Key, MetricRef, days_of, visit, visit_sets};
use super::packed::Corrupt;
use super::workspace::{MetricIndex, SourceIndex, Workspace};

/// How far a source covers an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The source.
    pub source: Key,
    /// The first day of data.
    pub first: Day,
    /// The last day of data.
    pub last: Day,
}

/// One account's inputs. It belongs to the workspace it was made with.
#[derive(Debug)]
pub struct AccountInputs {
    workspace: Arc<Workspace>,
    facts: AccountFacts,
    coverage: Vec<(Option<SourceIndex>, Coverage)>,
    /// By the place of the metric.
    series: Vec<Series>,
}

/// What is known of one metric.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    /// Ascending by day, a day once.
    pub(super) values: Vec<(Day, i64)>,
    /// Ascending by day, a day once.
    pub(super) sets: Vec<(Day, RoaringBitmap)>,
}

impl AccountInputs {
    /// An account with these facts, covered by these sources, and no values yet.
    pub fn new(workspace: &Arc<Workspace>, facts: AccountFacts, coverage: Vec<Coverage>) -> Self {
        let placed = coverage.into_iter().map(|covered| (workspace.source(&covered.source), covered));
        Self {
            workspace: Arc::clone(workspace),
            facts,
            coverage: placed.collect(),
            series: vec![Series::default(); workspace.metric_count()],
        }
    }

    /// Adds the values of a month from its packed row. Values of other metrics and versions than the workspace's are left
    /// out.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are no such row.
    pub fn add_values(&mut self, month: Month, row: &[u8]) -> Result<(), Corrupt> {
        let first = month.first();
        let (workspace, all) = (&self.workspace, &mut self.series);
        visit(row, |entry| {
            let Some(series) = series_of(workspace, all, entry.key, entry.version) else { return };
            let days = days_of(entry.days).map(|number| first.plus(i32::from(number) - 1));
            series.values.extend(days.zip(entry.values));
            ascending(&mut series.values);
        })
    }

    /// Adds the sets of users of a month from the packed row of one distinct metric.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are no such row.
    pub fn add_sets(&mut self, month: Month, metric: &MetricRef, row: &[u8]) -> Result<(), Corrupt> {
        let first = month.first();
        let series = series_of(&self.workspace, &mut self.series, &metric.key, metric.version);
        let Some(series) = series else { return Ok(()) };
        visit_sets(row, |number, users| series.sets.push((first.plus(i32::from(number) - 1), users)))?;
        ascending(&mut series.sets);
        Ok(())
    }

    /// Adds a month that is already unpacked.
    ///
    /// # Errors
    /// [`Corrupt`] never arises from a month made by this crate.
    pub fn add_month(&mut self, month: &AccountMonth) -> Result<(), Corrupt> {
        self.add_values(month.month, &month.values.encode())?;
        month.sets.iter().try_for_each(|(metric, block)| self.add_sets(month.month, metric, &block.encode()))
    }

    /// What is known of the account besides its metrics.
    pub fn facts(&self) -> &AccountFacts {
        &self.facts
    }

    /// How far each source covers it.
    pub fn coverage(&self) -> impl Iterator<Item = &Coverage> {
        self.coverage.iter().map(|(_, covered)| covered)
    }

    pub(super) fn workspace(&self) -> &Arc<Workspace> {
        &self.workspace
    }

    pub(super) fn series(&self, metric: MetricIndex) -> Option<&Series> {
        self.series.get(metric.0)
    }

    /// The sources of a metric that cover the account.
    pub(super) fn sources_of(&self, metric: MetricIndex) -> Sources<'_> {
        let covered = self.coverage.iter().filter(|(source, _)| self.workspace.takes(metric, *source));
        Sources { workspace: &self.workspace, covered: covered.collect() }
    }
}

/// The sources of one metric that cover one account.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    workspace: &'a Workspace,
    covered: Vec<&'a (Option<SourceIndex>, Coverage)>,
}

impl Sources<'_> {
    /// The first day on which one of them covers the account.
    pub(super) fn covered_since(&self) -> Option<Day> {
        self.covered.iter().map(|(_, covered)| covered.first).min()
    }

    /// The last day up to `day` on which one of them delivered anything for anybody.
    pub(super) fn last_alive(&self, day: Day) -> Option<Day> {
        let alive = self.covered.iter().map(|(source, covered)| {
            let anybody = source.and_then(|source| self.workspace.last_alive(source, day));
            // The account's own data may be known before the list of the source's days is.
            let own = [covered.last, covered.first].into_iter().find(|delivered| *delivered <= day);
            anybody.max(own)
        });
        alive.max().flatten()
    }
}

fn series_of<'a>(workspace: &Workspace, series: &'a mut [Series], key: &str, version: i32) -> Option<&'a mut Series> {
    let metric = workspace.metric(key)?;
    let is_read = workspace.definition(metric).is_some_and(|definition| definition.metric.version == version);
    is_read.then(|| series.get_mut(metric.0)).flatten()
}

/// Months may come in any order; where they come in theirs, nothing is moved.
fn ascending<T>(days: &mut [(Day, T)]) {
    if !days.is_sorted_by_key(|(day, _)| *day) {
        days.sort_by_key(|(day, _)| *day);
    }
}
