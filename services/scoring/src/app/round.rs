//! What accounts that are scored together share: the moment, the metrics, the models, and these made ready for each day.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use keizoku_base::Day;
use keizoku_base::time::Month;
use keizoku_storage::Tx;

use super::App;
use super::context::Context;
use super::models::{Models, Version};
use super::shared;
use crate::domain::plan::Plan;
use crate::domain::window::AsOf;
use crate::domain::workspace::Workspace;
use crate::error::ScoringFault;

/// How many days before today are looked at, for bands, changes and closes.
pub(crate) const LOOK_BACK: i32 = 91;

/// Whether what is shared must be as new as the transaction, or may be a second old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// As new as the transaction.
    Exact,
    /// At most a second old.
    Recent,
}

/// What accounts that are scored together share.
#[derive(Debug)]
pub(crate) struct Round {
    /// The workspace and its time.
    pub(crate) context: Context,
    /// The day it is there.
    pub(crate) today: Day,
    /// The metrics and sources.
    pub(crate) shared: Arc<Workspace>,
    /// The models.
    pub(crate) models: Arc<Models>,
    plans: HashMap<(String, i32, AsOf), Arc<Plan>>,
}

impl Round {
    /// A round in a workspace.
    ///
    /// # Errors
    /// As the database.
    pub(crate) async fn begin(
        app: &App,
        tx: &Tx,
        context: Context,
        freshness: Freshness,
    ) -> Result<Self, ScoringFault> {
        let shared = match freshness {
            Freshness::Exact => shared::load(tx, context.id()).await?,
            Freshness::Recent => app.shared.get(tx, context.id()).await?,
        };
        let models = Arc::new(Models::load(app, tx, context.id()).await?);
        Ok(Self { today: context.today(), context, shared, models, plans: HashMap::new() })
    }

    /// A version of a model made ready for a moment.
    pub(crate) fn plan(&mut self, version: &Version, at: AsOf) -> Arc<Plan> {
        let place = (version.row.key.clone(), version.row.version, at);
        let (shared, model) = (&self.shared, &version.model);
        Arc::clone(self.plans.entry(place).or_insert_with(|| Arc::new(Plan::new(model, shared, at))))
    }

    /// The first day that is looked at.
    pub(crate) fn horizon(&self) -> Day {
        self.today.plus(-LOOK_BACK)
    }

    /// The first month whose values a judgement on a day or later can read.
    pub(crate) fn first_month(&self, day: Day) -> Month {
        let at = AsOf::close_of(day);
        let first = self.models.all().filter_map(|version| Plan::new(&version.model, &self.shared, at).days());
        first.map(|days| days.start).min().unwrap_or(day).min(day).month()
    }

    /// The distinct metrics whose sets of users a model reads.
    pub(crate) fn set_keys(&self) -> Vec<String> {
        let mut keys = BTreeSet::new();
        for version in self.models.all() {
            let plan = Plan::new(&version.model, &self.shared, AsOf::during(self.today));
            keys.extend(plan.set_metrics().into_iter().map(|(metric, _)| metric.key.to_string()));
        }
        keys.into_iter().collect()
    }
}
