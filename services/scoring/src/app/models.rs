//! Health models: applied, read, made ready.

use std::sync::Arc;
use std::time::Duration;

use keizoku_base::{Day, Violations, WorkspaceId};
use keizoku_control::store as control;
use keizoku_storage::feed;
use keizoku_storage::request_log::{self, RecallFault, Request};
use keizoku_storage::{Scope, Tx};

use super::changes::{self, Cause, Document};
use super::context::Context;
use super::{App, rescore, shared};
use crate::domain::model::{CompiledModel, KnownMetric};
use crate::error::ScoringFault;
use crate::store::model::{self as store, ModelRow};

/// How many compiled versions are remembered.
const REMEMBERED: u64 = 10_000;
/// How long a metric that was just defined may take to arrive here before a model that names it is refused.
const METRIC_ARRIVES: Duration = Duration::from_millis(1500);
/// How often it is looked for meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Models made ready.
#[derive(Debug)]
pub struct Compiled(moka::sync::Cache<(WorkspaceId, String, i32), Arc<CompiledModel>>);

impl Default for Compiled {
    fn default() -> Self {
        Self(moka::sync::Cache::new(REMEMBERED))
    }
}

/// One version of a model, ready.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// As it is kept.
    pub(crate) row: ModelRow,
    /// Ready.
    pub(crate) model: Arc<CompiledModel>,
}

/// All versions of all models of a workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Models(Vec<Version>);

impl Models {
    /// The models, as the transaction sees them.
    ///
    /// # Errors
    /// As the database.
    pub(crate) async fn load(app: &App, tx: &Tx, workspace: WorkspaceId) -> Result<Self, ScoringFault> {
        let rows = store::all(tx, workspace).await?;
        let ready = |row: ModelRow| {
            let place = (workspace, row.key.clone(), row.version);
            let model = match app.models.0.get(&place) {
                Some(model) => model,
                None => {
                    let draft = changes::revive(&row.document)?;
                    let model = CompiledModel::revive(&draft).map_err(|_| ScoringFault::Corrupt("a model"))?;
                    let model = Arc::new(model);
                    app.models.0.insert(place, Arc::clone(&model));
                    model
                }
            };
            Ok(Version { row, model })
        };
        Ok(Self(rows.into_iter().map(ready).collect::<Result<_, ScoringFault>>()?))
    }

    /// The key of the primary model.
    pub(crate) fn primary(&self) -> Option<&str> {
        self.0.iter().find(|version| version.row.primary).map(|version| version.row.key.as_str())
    }

    /// The keys, ascending.
    pub(crate) fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.0.iter().map(|version| version.row.key.as_str()).collect();
        keys.dedup();
        keys
    }

    /// The version of a model that counts on a day.
    pub(crate) fn in_force(&self, key: &str, day: Day) -> Option<&Version> {
        self.of(key).find(|version| version.row.effective_from <= day)
    }

    /// One version of a model; 0: the latest.
    pub(crate) fn version(&self, key: &str, number: i32) -> Option<&Version> {
        self.of(key).find(|version| number == 0 || version.row.version == number)
    }

    /// Whether a version is the one that counts on a day.
    pub(crate) fn is_in_force(&self, row: &ModelRow, day: Day) -> bool {
        self.in_force(&row.key, day).is_some_and(|version| version.row.version == row.version)
    }

    /// All versions, by key, the newest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Version> {
        self.0.iter()
    }

    fn of(&self, key: &str) -> impl Iterator<Item = &Version> {
        self.0.iter().filter(move |version| version.row.key == key)
    }
}

/// A request that may come again.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// Its id.
    pub id: String,
    /// A hash over the request without its id.
    pub body_hash: [u8; 32],
}

/// A model with whether it counts today.
#[derive(Debug, Clone)]
pub struct Shown {
    pub(crate) row: ModelRow,
    pub(crate) in_force: bool,
}

/// What applying a model came to.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The model as it stands now, or would.
    pub model: Shown,
    /// Whether it is new or another version.
    pub changed: bool,
    /// The version before.
    pub previous: Option<Shown>,
}

/// A first answer, or a kept one.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It was done now.
    Fresh(Applied),
    /// The encoded answer of the first call.
    Repeated(Vec<u8>),
}

/// Puts a model in force: the document that is in force already changes nothing, another is the next version.
///
/// # Errors
/// [`ScoringFault::Invalid`] with everything that is wrong with it, [`ScoringFault::RequestReused`], or as the database.
pub async fn apply(
    app: &App,
    context: &Context,
    document: &Document,
    repeat: Option<&Repeat>,
    encode: impl Fn(&Applied) -> Result<Vec<u8>, ScoringFault>,
) -> Result<Answer, ScoringFault> {
    check(app, context, document).await?;
    let encode = &encode;
    let answer = app
        .db
        .transact("models.apply", Scope::Workspace(context.id()), async |tx| {
            let request = repeat.map(|repeat| request(context, repeat));
            if let Some(request) = request
                && let Some(kept) = request_log::recall(&tx, request).await?
            {
                return Ok(Answer::Repeated(kept));
            }
            let applied = put(app, &tx, context, document).await?;
            if let Some(request) = request {
                request_log::keep(&tx, request, &encode(&applied)?, context.now).await?;
            }
            Ok::<_, ScoringFault>(Answer::Fresh(applied))
        })
        .await?;
    app.scores.forget(context.id());
    app.rescore.notify_one();
    Ok(answer)
}

/// What applying a model would come to.
///
/// # Errors
/// As [`apply`].
pub async fn compare(app: &App, context: &Context, document: &Document) -> Result<Applied, ScoringFault> {
    check(app, context, document).await?;
    let tx = app.db.read("models.compare", Scope::Workspace(context.id())).await?;
    let models = Models::load(app, &tx, context.id()).await?;
    Ok(next(&models, context, document))
}

/// One version of a model; an empty key is the primary one, version 0 the latest.
///
/// # Errors
/// [`ScoringFault::ModelUnknown`], or as the database.
pub async fn get(app: &App, context: &Context, key: &str, version: i32) -> Result<Shown, ScoringFault> {
    let tx = app.db.read("models.get", Scope::Workspace(context.id())).await?;
    let models = Models::load(app, &tx, context.id()).await?;
    let unknown = || ScoringFault::ModelUnknown(if key.is_empty() { "primary".to_owned() } else { key.to_owned() });
    let key = if key.is_empty() { models.primary().ok_or_else(unknown)? } else { key };
    let found = models.version(key, version).ok_or_else(unknown)?;
    Ok(shown(&models, context, found))
}

/// At most `limit` versions after a place, by key, the newest first.
///
/// # Errors
/// As the database.
pub async fn list(
    app: &App,
    context: &Context,
    after: Option<(&str, i32)>,
    limit: u32,
) -> Result<Vec<Shown>, ScoringFault> {
    let tx = app.db.read("models.list", Scope::Workspace(context.id())).await?;
    let models = Models::load(app, &tx, context.id()).await?;
    let later = |version: &&Version| {
        let place = (version.row.key.as_str(), -version.row.version);
        after.is_none_or(|(key, number)| place > (key, -number))
    };
    Ok(models.all().filter(later).take(limit as usize).map(|version| shown(&models, context, version)).collect())
}

impl Shown {
    /// Its place in the list.
    pub fn place(&self) -> (&str, i32) {
        (&self.row.key, self.row.version)
    }
}

fn shown(models: &Models, context: &Context, version: &Version) -> Shown {
    Shown { row: version.row.clone(), in_force: models.is_in_force(&version.row, context.today()) }
}

/// Compiles the draft against the metrics known here. One that was defined a moment ago may still be on its way.
async fn check(app: &App, context: &Context, document: &Document) -> Result<(), ScoringFault> {
    let give_up = tokio::time::Instant::now() + METRIC_ARRIVES;
    loop {
        let metrics = metrics(app, context.id()).await?;
        let Err(violations) = CompiledModel::compile(&document.draft, &metrics) else { return Ok(()) };
        let may_arrive = CompiledModel::revive(&document.draft).is_ok() && tokio::time::Instant::now() < give_up;
        if !may_arrive {
            return Err(named(violations).into());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The violations with the fields of the request.
fn named(violations: Violations) -> Violations {
    let mut named = Violations::new();
    named.nest("model", violations);
    named
}

async fn metrics(app: &App, workspace: WorkspaceId) -> Result<Vec<KnownMetric>, ScoringFault> {
    let tx = app.db.read("models.metrics", Scope::Workspace(workspace)).await?;
    let definitions = shared::definitions(&tx, workspace).await?;
    let known = definitions.into_iter();
    Ok(known.map(|metric| KnownMetric { key: metric.metric.key, distinct: metric.distinct }).collect())
}

async fn put(app: &App, tx: &Tx, context: &Context, document: &Document) -> Result<Applied, ScoringFault> {
    let workspace = context.id();
    // One after the other: the next version, and the one primary model, are decided on what is there.
    control::lock_workspace(tx, workspace).await?;
    let models = Models::load(app, tx, workspace).await?;
    let applied = next(&models, context, document);
    if !applied.changed {
        return Ok(applied);
    }
    let row = &applied.model.row;
    if models.version(&row.key, 0).is_none_or(|latest| latest.row.version < row.version) {
        store::add(tx, workspace, row).await?;
    }
    if row.primary {
        store::make_primary(tx, workspace, &row.key).await?;
    }
    rescore::request(tx, workspace, keizoku_base::Partition::all()).await?;
    let trace_parent = keizoku_runtime::context::trace().filter(|trace| trace.sampled).map(|trace| trace.to_string());
    let cause = Cause { actor: context.actor.as_ref(), trace_parent: trace_parent.as_deref().unwrap_or_default() };
    let draft = changes::model(row, cause)?;
    feed::append(tx, workspace, vec![draft], app.clock.now()).await?;
    Ok(applied)
}

/// What a document makes of the models there are.
fn next(models: &Models, context: &Context, document: &Document) -> Applied {
    let draft = &document.draft;
    let latest = models.version(&draft.key, 0);
    let previous = latest.map(|version| shown(models, context, version));
    let takes_over = draft.primary && models.primary() != Some(draft.key.as_str());
    let row = match latest {
        Some(latest) if latest.row.document == document.bytes => {
            ModelRow { primary: latest.row.primary || draft.primary, ..latest.row.clone() }
        }
        latest => ModelRow {
            key: draft.key.clone(),
            version: latest.map_or(1, |version| version.row.version + 1),
            document: document.bytes.clone(),
            effective_from: draft.effective_from.unwrap_or_else(|| context.today()),
            // The flag stays where it is, until another model asks for it; the first model has it unasked.
            primary: draft.primary || models.primary().is_none_or(|primary| primary == draft.key),
            created_at: context.now,
        },
    };
    let same = latest.is_some_and(|latest| latest.row.version == row.version);
    let counts = row.effective_from <= context.today();
    let in_force = if same { models.is_in_force(&row, context.today()) } else { counts };
    Applied { model: Shown { row, in_force }, changed: !same || takes_over, previous }
}

fn request<'a>(context: &Context, repeat: &'a Repeat) -> Request<'a> {
    let rpc = "keizoku.scoring.v1.ModelService/ApplyModel";
    Request { workspace: context.id(), rpc, id: &repeat.id, body_hash: repeat.body_hash }
}

impl From<RecallFault> for ScoringFault {
    fn from(fault: RecallFault) -> Self {
        match fault {
            RecallFault::Reused => Self::RequestReused,
            RecallFault::Store(fault) => Self::Database(fault),
        }
    }
}
