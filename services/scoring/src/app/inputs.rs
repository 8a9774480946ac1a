//! A batch of ingestion's changes: the copies are brought up to date, the accounts it touches are scored, and the changes of
//! their health appended, in the one transaction that moves the cursors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keizoku_base::time::Month;
use keizoku_base::{AccountId, Partition, WorkspaceId};
use keizoku_runtime::telemetry;
use keizoku_storage::Tx;
use keizoku_storage::feed::{self, Batch};
use tracing::Span;

use super::account::{self, Bundle, Bundles, Present, ToldDay};
use super::changes::{self, Arrived, What};
use super::context::Context;
use super::round::{Freshness, Round};
use super::{App, rescore, scoring, shared};
use crate::error::ScoringFault;
use crate::store::parts::Part;
use crate::store::score as score_store;
use crate::store::shared::{self as store, Watermark};
use crate::store::{close, inputs};

/// The name of the consumer: its cursors carry it.
pub(crate) const CONSUMER: &str = "inputs";
/// The source it follows, as its cursors name it.
pub(crate) const SOURCE: &str = "ingestion";
/// Rows that a sweep handles at once.
const SWEPT: u32 = 200;
/// The most traces of one batch that are gone on with.
const MOST_TRACES: usize = 64;

/// What a batch said of one account.
#[derive(Debug, Default)]
struct Told {
    parts: Vec<(i16, Vec<u8>, Part)>,
    days: BTreeMap<Month, Vec<ToldDay>>,
    cause: String,
}

/// Applies a batch.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where a change cannot be read, else as the database.
pub(crate) async fn apply(app: &Arc<App>, tx: &Tx, batch: &Batch) -> Result<(), ScoringFault> {
    let workspace = batch.workspace;
    let arrived: Vec<Arrived> =
        batch.rows().map(|(segment, row)| changes::decode(segment, row)).collect::<Result<_, _>>()?;
    let traces = Traces::begin(&arrived);
    keep_control(app, tx, workspace, &arrived).await?;
    let context = Context::load(tx, app.clock.as_ref(), workspace).await?;
    let common_changed = keep_common(tx, workspace, &arrived, context.as_ref()).await?;
    let marks = watermarks(batch, &arrived);
    let touched = gather(arrived);
    if common_changed {
        let app = Arc::clone(app);
        tx.after_commit(move || app.forget(workspace));
    }
    // While the state is listed it is not whole: accounts are scored when all of it is there.
    let scores = if batch.snapshot { None } else { context };
    let mut drafts = Vec::new();
    if !touched.is_empty() {
        let freshness = if common_changed { Freshness::Exact } else { Freshness::Recent };
        let round = match scores {
            Some(context) => Some(Round::begin(app, tx, context, freshness).await?),
            None => None,
        };
        if round.is_none() && !batch.snapshot {
            // The workspace itself comes in another partition: once it is here, these accounts are scored.
            let partitions: BTreeSet<Partition> = touched.keys().map(|account| account.partition()).collect();
            rescore::request(tx, workspace, partitions.into_iter()).await?;
        }
        drafts = apply_accounts(tx, workspace, round, touched, &traces).await?;
    }
    if batch.snapshot {
        store::list_watermarks(tx, workspace, &marks).await?;
    } else {
        store::raise_watermarks(tx, workspace, &marks).await?;
    }
    feed::append(tx, workspace, drafts, app.clock.now()).await?;
    Ok(())
}

/// Deletes what a bootstrap of a partition did not list, a bounded number of rows; whether there are more. After the last
/// one, what was listed is scored.
///
/// # Errors
/// As the database.
pub(crate) async fn sweep(
    app: &App,
    tx: &Tx,
    workspace: WorkspaceId,
    partition: Partition,
    generation: i64,
) -> Result<bool, ScoringFault> {
    let months = inputs::months_before(tx, workspace, partition, generation, SWEPT).await?;
    let facts = inputs::facts_before(tx, workspace, partition, generation, SWEPT).await?;
    let more = months.len() == SWEPT as usize || facts.len() == SWEPT as usize;
    let accounts: BTreeSet<AccountId> =
        months.iter().map(|row| row.account).chain(facts.iter().map(|(account, _)| *account)).collect();
    let accounts: Vec<AccountId> = accounts.into_iter().collect();
    let mut bundles = account::load(tx, workspace, &accounts, None).await?;
    let places: Vec<(AccountId, Month)> = months.iter().map(|row| (row.account, row.month)).collect();
    account::load_months(tx, workspace, &mut bundles, &places).await?;
    for (account, month) in places {
        if let Some(bundle) = bundles.get_mut(&account) {
            bundle.sweep_month(month, generation)?;
        }
    }
    for (account, _) in facts {
        if let Some(bundle) = bundles.get_mut(&account) {
            let changed = bundle.parts.sweep(generation);
            bundle.facts_changed(account, changed)?;
            bundle.gone = bundle.known.is_none();
        }
    }
    let drafts = save(tx, workspace, &mut bundles).await?;
    if !more {
        for table in ["account_alias", "metric_definition", "source_days"] {
            inputs::sweep(tx, table, workspace, partition, generation).await?;
        }
        rescore::request(tx, workspace, std::iter::once(partition)).await?;
        let changes = store::cursor(tx, workspace, partition, CONSUMER, SOURCE).await?;
        store::reach(tx, workspace, partition, changes).await?;
        app.rescore.notify_one();
    }
    feed::append(tx, workspace, drafts, app.clock.now()).await?;
    Ok(more)
}

async fn keep_control(
    app: &Arc<App>,
    tx: &Tx,
    workspace: WorkspaceId,
    arrived: &[Arrived],
) -> Result<(), ScoringFault> {
    let mut any = false;
    for change in arrived {
        if let What::Control(control) = &change.what {
            control.keep(tx, workspace).await?;
            any = true;
        }
    }
    if any {
        let app = Arc::clone(app);
        tx.after_commit(move || app.turned.notify_one());
    }
    Ok(())
}

/// Keeps what all accounts share, and asks for all of them to be scored again where that changes what their silence means.
/// Whether there was anything of it.
async fn keep_common(
    tx: &Tx,
    workspace: WorkspaceId,
    arrived: &[Arrived],
    context: Option<&Context>,
) -> Result<bool, ScoringFault> {
    let is_common = |change: &&Arrived| matches!(change.what, What::Definition(_) | What::SourceDays(..));
    let common: Vec<&Arrived> = arrived.iter().filter(is_common).collect();
    if common.is_empty() {
        return Ok(false);
    }
    let before = shared::delivered(tx, workspace).await?;
    let mut definitions_changed = false;
    for change in common {
        match &change.what {
            What::Definition(row) => {
                changes::definition(&row.document)?;
                definitions_changed |=
                    store::put_definition(tx, workspace, change.partition, change.generation, row).await?;
            }
            What::SourceDays(source, days) => {
                store::put_source_days(tx, workspace, change.partition, change.generation, source, days).await?;
            }
            What::Control(_) | What::Watermark(_) | What::Part { .. } | What::Day(..) | What::Nothing => {}
        }
    }
    let differs = match context {
        Some(context) => {
            let (definitions, after) =
                (shared::definitions(tx, workspace).await?, shared::delivered(tx, workspace).await?);
            shared::liveness_differs(&definitions, &before, &after, context.today())
        }
        None => true,
    };
    if definitions_changed || differs {
        close::request_rescore(tx, workspace, Partition::all()).await?;
    }
    Ok(true)
}

/// Groups a batch by account.
fn gather(arrived: Vec<Arrived>) -> BTreeMap<AccountId, Told> {
    let mut touched: BTreeMap<AccountId, Told> = BTreeMap::new();
    for change in arrived {
        let (generation, seq) = (change.generation, change.seq);
        let told = match change.what {
            What::Part { account, kind, key, state } => {
                let told = touched.entry(account).or_default();
                told.parts.push((kind, key, Part { generation, seq, state }));
                told
            }
            What::Day(account, day, state) => {
                let told = touched.entry(account).or_default();
                told.days.entry(day.month()).or_default().push(ToldDay { day, state, generation, seq });
                told
            }
            What::Control(_) | What::Definition(_) | What::SourceDays(..) | What::Watermark(_) | What::Nothing => {
                continue;
            }
        };
        if !change.trace_parent.is_empty() {
            told.cause = change.trace_parent;
        }
    }
    touched
}

/// Applies what was told of accounts and scores them, where there is a round; answers what the feed is to say.
async fn apply_accounts(
    tx: &Tx,
    workspace: WorkspaceId,
    mut round: Option<Round>,
    touched: BTreeMap<AccountId, Told>,
    traces: &Traces,
) -> Result<Vec<feed::Draft>, ScoringFault> {
    let accounts: Vec<AccountId> = touched.keys().copied().collect();
    let mut bundles = account::load(tx, workspace, &accounts, round.as_ref()).await?;
    let places: Vec<(AccountId, Month)> =
        touched.iter().flat_map(|(account, told)| told.days.keys().map(|month| (*account, *month))).collect();
    account::load_months(tx, workspace, &mut bundles, &places).await?;
    let present = round.as_ref().map(|round| Present { now: round.context.now, today: round.today });
    for (account, told) in touched {
        let Some(bundle) = bundles.get_mut(&account) else { continue };
        if let Some(round) = &mut round {
            // From here on the day before is over.
            scoring::believe(round, bundle)?;
        }
        apply_account(account, bundle, told, present, traces)?;
    }
    let mut drafts = Vec::new();
    if let Some(round) = &mut round {
        let mut news = scoring::score_all(round, &mut bundles, false, None).await?;
        news.save(tx, workspace).await?;
        drafts = news.drafts;
    }
    drafts.extend(save(tx, workspace, &mut bundles).await?);
    Ok(drafts)
}

fn apply_account(
    account: AccountId,
    bundle: &mut Bundle,
    told: Told,
    present: Option<Present>,
    traces: &Traces,
) -> Result<(), ScoringFault> {
    bundle.trace_parent = traces.carried(&told.cause);
    if !told.parts.is_empty() {
        let mut meaning = false;
        for (kind, key, part) in told.parts {
            meaning |= bundle.parts.put(kind, &key, part);
        }
        bundle.facts_changed(account, meaning)?;
        bundle.gone = bundle.parts.is_gone(changes::ACCOUNT);
    }
    told.days.into_iter().try_for_each(|(month, days)| bundle.apply_days(account, month, days, present))
}

/// Writes what changed, and takes away accounts that are gone; what the feed is to say of these.
async fn save(tx: &Tx, workspace: WorkspaceId, bundles: &mut Bundles) -> Result<Vec<feed::Draft>, ScoringFault> {
    let gone: Vec<AccountId> = bundles.iter().filter(|(_, bundle)| bundle.gone).map(|(account, _)| *account).collect();
    let mut drafts = Vec::new();
    if !gone.is_empty() {
        for row in score_store::scores(tx, workspace, &gone).await? {
            let trace_parent = bundles.get(&row.account).map_or("", |bundle| &bundle.trace_parent);
            let cause = changes::Cause { actor: None, trace_parent };
            drafts.push(changes::gone(row.account, &row.model, cause));
        }
        gone.iter().for_each(|account| drop(bundles.remove(account)));
        score_store::forget(tx, workspace, &gone).await?;
    }
    account::save(tx, workspace, bundles).await?;
    Ok(drafts)
}

fn watermarks(batch: &Batch, arrived: &[Arrived]) -> Vec<(Partition, Watermark)> {
    let mut marks: BTreeMap<Partition, Watermark> = batch
        .segments
        .iter()
        .map(|segment| (segment.partition, Watermark { events: 0, changes: segment.through }))
        .collect();
    for change in arrived {
        if let (What::Watermark(events), Some(mark)) = (&change.what, marks.get_mut(&change.partition)) {
            mark.events = mark.events.max(*events);
        }
    }
    marks.into_iter().collect()
}

/// The traces that a batch goes on with, each with a span that lasts as long as the work.
#[derive(Debug, Default)]
struct Traces(BTreeMap<String, (Span, String)>);

impl Traces {
    fn begin(arrived: &[Arrived]) -> Self {
        let mut traces = Self::default();
        for change in arrived.iter().filter(|change| !change.trace_parent.is_empty()) {
            if traces.0.len() == MOST_TRACES {
                break;
            }
            if !traces.0.contains_key(&change.trace_parent) {
                let continued = telemetry::continued(&change.trace_parent, "scoring.apply");
                traces.0.insert(change.trace_parent.clone(), continued);
            }
        }
        traces
    }

    fn carried(&self, cause: &str) -> String {
        self.0.get(cause).map(|(_, carried)| carried.clone()).unwrap_or_default()
    }
}
