//! Documents against the server: what each would change, and changing it.

use std::time::Duration;

use keizoku_proto::ingestion::{
    GetWorkspaceRequest, ListMetricsRequest, MetricDefinition, PutMetricRequest, UpdateWorkspaceRequest, Workspace,
    WorkspaceSettings,
};
use keizoku_proto::scoring::{ApplyModelRequest, HealthModel};
use prost::Message;
use prost_types::FieldMask;
use serde_json::{Value as Json, json};
use tonic::Code;

use super::{Change, Document, Kind, changes};
use crate::client::{Session, methods, reflect, request_id};
use crate::failure::{Failure, Problem};
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone};

/// How long a model waits for metrics that were made just before it: they reach scoring through the feed.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);

/// What a document changes, or has changed.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    kind: Kind,
    key: String,
    file: String,
    effect: Effect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Effect {
    /// It is in force already.
    Unchanged { version: i32 },
    /// It is new.
    Created { version: i32 },
    /// It replaces what is in force.
    Changed { from: i32, to: i32, changes: Vec<Change> },
    /// It names metrics that this run would make first, so the server cannot judge it yet.
    Unchecked { problems: Vec<Problem> },
}

/// What is in force, as far as the documents speak of it.
struct InForce {
    metrics: Vec<MetricDefinition>,
    workspace: Workspace,
}

impl Step {
    /// Whether anything changes.
    pub(crate) fn is_change(&self) -> bool {
        !matches!(self.effect, Effect::Unchanged { .. })
    }

    fn new(document: &Document, effect: Effect) -> Self {
        Self { kind: document.kind, key: document.key(), file: document.file().to_owned(), effect }
    }
}

/// Has every document checked by the server, without changing anything.
///
/// # Errors
/// The server's refusal, or everything it says is wrong in any document.
pub(crate) async fn check(session: &mut Session<'_>, documents: &[Document]) -> Result<Vec<Step>, Failure> {
    let in_force = in_force(session, documents).await?;
    let mut steps: Vec<Step> = Vec::new();
    let mut problems = Vec::new();
    for document in documents {
        match one(session, document, &in_force, true).await {
            Ok(effect) => steps.push(Step::new(document, effect)),
            Err(failure) => {
                let found = refused(document, failure)?;
                if waits(document, &found, &steps) {
                    steps.push(Step::new(document, Effect::Unchecked { problems: found }));
                } else {
                    problems.extend(found);
                }
            }
        }
    }
    if problems.is_empty() {
        return Ok(steps);
    }
    Err(Failure::Invalid { what: "nothing was changed: the server refuses these places".to_owned(), problems })
}

/// Changes what [`check`] found to be different.
///
/// # Errors
/// The server's refusal. What went before it stays changed; applying again goes on from there.
pub(crate) async fn apply(
    session: &mut Session<'_>,
    documents: &[Document],
    checked: &[Step],
) -> Result<Vec<Step>, Failure> {
    let in_force = in_force(session, documents).await?;
    let mut steps = Vec::new();
    for (document, checked) in documents.iter().zip(checked) {
        if !checked.is_change() {
            steps.push(checked.clone());
            continue;
        }
        let patience = if matches!(checked.effect, Effect::Unchecked { .. }) { PATIENCE } else { Duration::ZERO };
        match patiently(session, document, &in_force, patience).await {
            Ok(effect) => steps.push(Step::new(document, effect)),
            Err(failure) => {
                // What was done is told before what was not.
                let done = view(&steps, session.language());
                session.print(&done)?;
                let what =
                    format!("{} {} was refused; what stands above is in force", document.kind.name(), document.key());
                return Err(Failure::Invalid { what, problems: refused(document, failure)? });
            }
        }
    }
    Ok(steps)
}

/// The answer to `apply` and `diff`.
pub(crate) fn view(steps: &[Step], language: Language) -> Answer {
    let columns = vec![
        Column::left("kind", Text::new("Kind", "種別")),
        Column::left("key", Text::new("Key", "キー")),
        Column::left("effect", Text::new("Effect", "結果")),
        Column::left("version", Text::new("Version", "版")),
        Column::left("change", Text::new("Change", "変更点")).optional(),
    ];
    let mut table = Table::new(columns);
    for step in steps {
        let (word, version, tone) = step.effect.told(language);
        let lines = step.effect.lines();
        let first = lines.first().cloned().unwrap_or_default();
        table.add(vec![
            Cell::new(step.kind.name()),
            Cell::new(&step.key),
            Cell::new(word).raw(step.effect.name()).tone(tone),
            Cell::new(version),
            Cell::new(first),
        ]);
        for line in lines.into_iter().skip(1) {
            table.add(vec![
                Cell::new("").raw(step.kind.name()),
                Cell::new("").raw(&step.key),
                Cell::new("").raw(step.effect.name()),
                Cell::new(""),
                Cell::new(line),
            ]);
        }
    }
    Answer::one(Json::Array(steps.iter().map(Step::json).collect()), vec![Block::Table(table)])
}

impl Effect {
    const fn name(&self) -> &'static str {
        match self {
            Self::Unchanged { .. } => "unchanged",
            Self::Created { .. } => "created",
            Self::Changed { .. } => "changed",
            Self::Unchecked { .. } => "unchecked",
        }
    }

    fn told(&self, language: Language) -> (&'static str, String, Tone) {
        let version = |number: i32| if number > 0 { number.to_string() } else { String::new() };
        match self {
            Self::Unchanged { version: now } => {
                (Text::new("unchanged", "変更なし").of(language), version(*now), Tone::Quiet)
            }
            Self::Created { version: now } => (Text::new("created", "作成").of(language), version(*now), Tone::Good),
            Self::Changed { from, to, .. } if from == to => {
                (Text::new("changed", "変更").of(language), version(*to), Tone::Warning)
            }
            Self::Changed { from, to, .. } => {
                (Text::new("changed", "変更").of(language), format!("{from} → {to}"), Tone::Warning)
            }
            Self::Unchecked { .. } => (
                Text::new("can be checked once its metrics are there", "指標の作成後に検証").of(language),
                String::new(),
                Tone::Warning,
            ),
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Unchanged { .. } | Self::Created { .. } => Vec::new(),
            Self::Changed { changes, .. } => changes.iter().map(Change::line).collect(),
            Self::Unchecked { problems } => problems.iter().map(|one| format!("{}: {}", one.place, one.text)).collect(),
        }
    }
}

impl Step {
    fn json(&self) -> Json {
        let mut json =
            json!({ "kind": self.kind.name(), "key": self.key, "file": self.file, "effect": self.effect.name() });
        match &self.effect {
            Effect::Unchanged { version } | Effect::Created { version } => json["version"] = (*version).into(),
            Effect::Changed { from, to, changes } => {
                let change = |one: &Change| json!({ "path": one.path, "before": one.before, "after": one.after });
                json["previousVersion"] = (*from).into();
                json["version"] = (*to).into();
                json["changes"] = changes.iter().map(change).collect();
            }
            Effect::Unchecked { problems } => {
                json["problems"] = problems.iter().map(|one| json!({ "place": one.place, "text": one.text })).collect();
            }
        }
        json
    }
}

/// Reads what the documents will be compared with.
async fn in_force(session: &mut Session<'_>, documents: &[Document]) -> Result<InForce, Failure> {
    let speak_of = |kind: Kind| documents.iter().any(|document| document.kind == kind);
    let mut found = InForce { metrics: Vec::new(), workspace: Workspace::default() };
    if speak_of(Kind::WorkspaceSettings) {
        let answer = session.look_up(&methods::GET_WORKSPACE, GetWorkspaceRequest {}).await?;
        found.workspace = answer.workspace.unwrap_or_default();
    }
    let mut request = ListMetricsRequest { page_size: 1000, page_token: String::new() };
    while speak_of(Kind::Metric) {
        let answer = session.look_up(&methods::LIST_METRICS, request.clone()).await?;
        found.metrics.extend(answer.metrics);
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
    }
    Ok(found)
}

async fn patiently(
    session: &mut Session<'_>,
    document: &Document,
    in_force: &InForce,
    patience: Duration,
) -> Result<Effect, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        match one(session, document, in_force, false).await {
            Err(failure) if is_invalid(&failure) && waited < patience => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            done => return done,
        }
    }
}

async fn one(session: &mut Session<'_>, document: &Document, in_force: &InForce, dry: bool) -> Result<Effect, Failure> {
    match document.kind {
        Kind::WorkspaceSettings => settings(session, document, &in_force.workspace, dry).await,
        Kind::Metric => {
            let metric: MetricDefinition = document.typed()?;
            let before = in_force.metrics.iter().find(|known| known.key == metric.key);
            let request = PutMetricRequest { request_id: id(dry), metric: Some(metric), validate_only: dry };
            let answer = session.call(&methods::PUT_METRIC, request).await?;
            let after = answer.metric.ok_or(Failure::Incomplete { what: "metric" })?;
            effect(
                document.kind,
                before.map(|metric| (metric, metric.version)),
                (&after, after.version),
                answer.changed,
            )
        }
        Kind::HealthModel => {
            let model: HealthModel = document.typed()?;
            let request = ApplyModelRequest { request_id: id(dry), model: Some(model), validate_only: dry };
            let answer = session.call(&methods::APPLY_MODEL, request).await?;
            let after = answer.model.ok_or(Failure::Incomplete { what: "model" })?;
            let before = answer.previous.as_ref().map(|model| (model, model.version));
            effect(document.kind, before, (&after, after.version), answer.changed)
        }
    }
}

fn effect<M: Message>(
    kind: Kind,
    before: Option<(&M, i32)>,
    after: (&M, i32),
    changed: bool,
) -> Result<Effect, Failure> {
    let (after, version) = after;
    match before {
        _ if !changed => Ok(Effect::Unchanged { version }),
        None => Ok(Effect::Created { version }),
        Some((before, from)) => {
            let (before, after) = (document_json(kind, before)?, document_json(kind, after)?);
            // A check may answer with the version in force, because the next one has not been given away.
            let to = if version > from { version } else { from + 1 };
            Ok(Effect::Changed { from, to, changes: changes(&before, &after, kind.set_by_server()) })
        }
    }
}

/// Settings have no version: what the document names is compared field by field.
async fn settings(
    session: &mut Session<'_>,
    document: &Document,
    before: &Workspace,
    dry: bool,
) -> Result<Effect, Failure> {
    let wanted: WorkspaceSettings = document.typed()?;
    let old = before.settings.clone().unwrap_or_default();
    let mut new = old.clone();
    for field in &document.fields {
        match field.as_str() {
            "unknown_account" => new.unknown_account = wanted.unknown_account,
            "reporting_currency" => new.reporting_currency.clone_from(&wanted.reporting_currency),
            _ => new.rates.clone_from(&wanted.rates),
        }
    }
    let found = changes(&document_json(document.kind, &old)?, &document_json(document.kind, &new)?, &[]);
    if found.is_empty() {
        return Ok(Effect::Unchanged { version: 0 });
    }
    if !dry {
        let request = UpdateWorkspaceRequest {
            request_id: request_id(),
            workspace: Some(Workspace { settings: Some(new), ..Workspace::default() }),
            update_mask: Some(FieldMask {
                paths: document.fields.iter().map(|field| format!("settings.{field}")).collect(),
            }),
            etag: before.etag.clone(),
        };
        session.call(&methods::UPDATE_WORKSPACE, request).await?;
    }
    Ok(Effect::Changed { from: 0, to: 0, changes: found })
}

fn document_json<M: Message>(kind: Kind, message: &M) -> Result<Json, Failure> {
    reflect::document_json(kind.message(), message)
}

/// A check is no change, so it has no id that could be known again.
fn id(dry: bool) -> String {
    if dry { String::new() } else { request_id() }
}

fn is_invalid(failure: &Failure) -> bool {
    matches!(failure, Failure::Call { status, .. } if status.code() == Code::InvalidArgument)
}

/// What the server says is wrong with a document; any other failure stays what it is.
fn refused(document: &Document, failure: Failure) -> Result<Vec<Problem>, Failure> {
    if !is_invalid(&failure) {
        return Err(failure);
    }
    let mut problems = failure.problems();
    if problems.is_empty() {
        problems.push(Problem { place: String::new(), text: failure.to_string() });
    }
    Ok(document.placed(problems))
}

/// Whether all that is wrong with a model may be that a metric is missing which this run makes first.
fn waits(document: &Document, problems: &[Problem], steps: &[Step]) -> bool {
    let made = |step: &&Step| step.kind == Kind::Metric && matches!(step.effect, Effect::Created { .. });
    let made: Vec<&str> = steps.iter().filter(made).map(|step| step.key.as_str()).collect();
    document.kind == Kind::HealthModel
        && !made.is_empty()
        && problems
            .iter()
            .all(|problem| problem.text.contains("METRIC_UNKNOWN") || made.iter().any(|key| problem.text.contains(key)))
}
