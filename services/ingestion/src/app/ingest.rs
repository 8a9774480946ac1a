//! Taking in events: checked one by one, resolved, and stored together with what others sent at the same moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keizoku_base::{AccountId, AccountRef, Micros, Partition, Violations, WorkspaceId, Zone};
use keizoku_convert::Position;
use keizoku_storage::feed::{self, Log, Partitions};
use keizoku_storage::{BatchFault, Scope, Tx};

use super::context::Context;
use super::receipts::hour;
use super::{App, directory};
use crate::domain::dedupe::{self, Verdict};
use crate::domain::event::{Arrival, EventDraft, NewEvent, Refused};
use crate::domain::key::Key;
use crate::domain::reason;
use crate::error::IngestionFault;
use crate::store::directory::UserName;
use crate::store::event::{self, Counts, EventRow};

/// The most items that one transaction stores; the batcher's limit.
pub(crate) const STORE_MOST: usize = 5000;

/// One item on its way into the store, as the batcher gathers it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The event.
    event: NewEvent,
    /// Its account.
    account: AccountId,
    /// Its user.
    user: Option<u32>,
    /// Who sent it.
    source: Arc<str>,
    /// When it came.
    received_at: Micros,
    /// The traceparent of the call that brought it.
    trace_parent: Arc<str>,
}

/// What became of an item that reached the store.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    verdict: Verdict,
    partition: Partition,
    seq: i64,
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub struct Ingested {
    /// How many were stored.
    pub stored: usize,
    /// How many were there already.
    pub duplicate: usize,
    /// Those that were rejected, by index in the batch.
    pub rejected: Vec<Rejected>,
    /// Where the batch stands in the log of events.
    pub position: Position,
}

/// A rejected item.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Its index in the batch.
    pub index: usize,
    /// Its id as sent.
    pub id: String,
    /// Everything that is wrong with it.
    pub violations: Violations,
}

/// Checks and stores a batch. What is wrong with one item never keeps the others back.
///
/// # Errors
/// As the database, or [`IngestionFault::Overloaded`]; nothing is known then of any item, and sending it all again is
/// safe.
pub async fn ingest(
    app: &App,
    context: &Context,
    source: &Key,
    drafts: Vec<EventDraft>,
    validate_only: bool,
) -> Result<Ingested, IngestionFault> {
    let arrival = Arrival { source, zone: context.workspace.zone, now: context.now };
    let mut ingested = Ingested::default();
    let mut checked = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        match NewEvent::check(draft, &arrival) {
            Ok(event) => checked.push((index, event)),
            Err(Refused { id, violations }) => ingested.rejected.push(Rejected { index, id, violations }),
        }
    }
    if validate_only {
        foretell(app, context, checked, &mut ingested).await?;
    } else {
        let (places, items) = resolve(app, context, source, checked, &mut ingested).await?;
        let refused = ingested.rejected.len();
        place(app, context, places, items, &mut ingested).await?;
        count_refused(app, context, source, refused).await?;
    }
    ingested.rejected.sort_by_key(|rejected| rejected.index);
    Ok(ingested)
}

impl Rejected {
    fn new(index: usize, id: String, field: &str, reason: &'static str, description: String) -> Self {
        let mut violations = Violations::new();
        violations.add(field, reason, description);
        Self { index, id, violations }
    }

    fn unknown(index: usize, event: NewEvent) -> Self {
        let description = format!("the account {} is not known", event.account);
        Self::new(index, event.id, "account", reason::ACCOUNT_UNKNOWN, description)
    }

    fn reused(index: usize, id: String) -> Self {
        let description = "the source sent the id before with other content".to_owned();
        Self::new(index, id, "id", reason::EVENT_ID_REUSED, description)
    }
}

/// Stores what one batch gathered, in one transaction. Runs inside the batcher.
///
/// # Errors
/// As the database.
pub(crate) async fn store(app: &App, workspace: WorkspaceId, items: &[Item]) -> Result<Vec<Placed>, IngestionFault> {
    app.db
        .transact("events.store", Scope::Workspace(workspace), async |tx| store_once(app, &tx, workspace, items).await)
        .await
}

async fn store_once(app: &App, tx: &Tx, workspace: WorkspaceId, items: &[Item]) -> Result<Vec<Placed>, IngestionFault> {
    let identities: Vec<_> = items.iter().map(|item| item.event.identity).collect();
    let keys: Vec<_> = dedupe::first_of_each(&identities).into_iter().map(|index| identities[index]).collect();
    let before = event::add_keys(tx, workspace, &keys).await?;
    let verdicts = dedupe::judge(&identities, &before);
    count(app, tx, workspace, items, &verdicts).await?;

    let mut wanted: BTreeMap<Partition, u32> = BTreeMap::new();
    for (item, verdict) in items.iter().zip(&verdicts) {
        if *verdict == Verdict::Stored {
            *wanted.entry(item.account.partition()).or_default() += 1;
        }
    }
    let wanted: Vec<_> = wanted.into_iter().collect();
    let mut next: BTreeMap<_, _> = feed::claim(tx, workspace, Log::Events, &wanted).await?.into_iter().collect();
    let ends = ends(tx, workspace, items, &verdicts).await?;
    let mut rows = Vec::with_capacity(items.len());
    let mut placed = Vec::with_capacity(items.len());
    for (item, verdict) in items.iter().zip(verdicts) {
        let partition = item.account.partition();
        let mut seq = ends.get(&partition).map_or(0, |head| head.last_seq);
        if verdict == Verdict::Stored {
            let place = next.entry(partition).or_insert(1);
            seq = *place;
            *place += 1;
            rows.push(row(item, partition, seq));
        }
        placed.push(Placed { verdict, partition, seq });
    }
    // Pieces of the log are dropped by the world's days, whatever time a TEST workspace has.
    let arrival_day = Zone::UTC.day_of(app.clock.now());
    event::append(tx, workspace, arrival_day, rows).await?;
    Ok(placed)
}

/// Where the log ends in the partitions of duplicates: what was stored before stands up to there.
async fn ends(
    tx: &Tx,
    workspace: WorkspaceId,
    items: &[Item],
    verdicts: &[Verdict],
) -> Result<BTreeMap<Partition, feed::Head>, IngestionFault> {
    let duplicates = items.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Duplicate);
    let partitions: Partitions = duplicates.map(|(item, _)| item.account.partition()).collect();
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(feed::heads_of(tx, Log::Events, workspace, partitions).await?)
}

/// Says what would become of the items, and makes nothing.
async fn foretell(
    app: &App,
    context: &Context,
    checked: Vec<(usize, NewEvent)>,
    ingested: &mut Ingested,
) -> Result<(), IngestionFault> {
    let accounts = directory::imagined(app, context, &refs(&checked)).await?;
    let (known, unknown): (Vec<_>, Vec<_>) =
        checked.into_iter().partition(|(_, event)| accounts.contains_key(&event.account));
    ingested.rejected.extend(unknown.into_iter().map(|(index, event)| Rejected::unknown(index, event)));
    let identities: Vec<_> = known.iter().map(|(_, event)| event.identity).collect();
    let tx = app.db.read("events.foretell", Scope::Workspace(context.id())).await?;
    let ids = identities.iter().map(|identity| identity.id.0.to_vec()).collect();
    let before = event::contents(&tx, context.id(), ids).await?;
    for ((index, event), verdict) in known.into_iter().zip(dedupe::judge(&identities, &before)) {
        match verdict {
            Verdict::Stored => ingested.stored += 1,
            Verdict::Duplicate => ingested.duplicate += 1,
            Verdict::Reused => ingested.rejected.push(Rejected::reused(index, event.id)),
        }
    }
    Ok(())
}

fn refs(checked: &[(usize, NewEvent)]) -> BTreeSet<AccountRef> {
    checked.iter().map(|(_, event)| event.account.clone()).collect()
}

/// Finds out who is meant; items of accounts that are unknown, and may not be made, are rejected.
async fn resolve(
    app: &App,
    context: &Context,
    source: &Key,
    checked: Vec<(usize, NewEvent)>,
    ingested: &mut Ingested,
) -> Result<(Vec<usize>, Vec<Item>), IngestionFault> {
    let accounts = directory::accounts(app, context, &refs(&checked)).await?;
    let user_of = |event: &NewEvent, account| {
        let external = keizoku_base::ExternalId { source: source.as_str().to_owned(), id: event.user_id.clone()? };
        Some(UserName { account, external })
    };
    let names = checked.iter().filter_map(|(_, event)| user_of(event, *accounts.get(&event.account)?)).collect();
    let users = directory::users(app, context, &names).await?;
    let (mut places, mut items) = (Vec::with_capacity(checked.len()), Vec::with_capacity(checked.len()));
    let (sender, trace_parent): (Arc<str>, Arc<str>) = (source.as_str().into(), context.trace_parent.as_str().into());
    for (index, event) in checked {
        let Some(account) = accounts.get(&event.account).copied() else {
            ingested.rejected.push(Rejected::unknown(index, event));
            continue;
        };
        let user = user_of(&event, account).and_then(|name| users.get(&name).copied());
        places.push(index);
        items.push(Item {
            event,
            account,
            user,
            source: Arc::clone(&sender),
            received_at: context.now,
            trace_parent: Arc::clone(&trace_parent),
        });
    }
    Ok((places, items))
}

/// Hands the items to the batcher and sorts its answers.
async fn place(
    app: &App,
    context: &Context,
    places: Vec<usize>,
    mut items: Vec<Item>,
    ingested: &mut Ingested,
) -> Result<(), IngestionFault> {
    // Only its hash is stored.
    let ids: Vec<String> = items.iter_mut().map(|item| std::mem::take(&mut item.event.id)).collect();
    let mut answers = Vec::with_capacity(items.len());
    let mut rest = items.into_iter();
    loop {
        let chunk: Vec<Item> = rest.by_ref().take(STORE_MOST).collect();
        if chunk.is_empty() {
            break;
        }
        answers.extend(app.events.submit(context.id(), chunk).await?);
    }
    let mut lasts: BTreeMap<Partition, i64> = BTreeMap::new();
    for ((index, id), answer) in places.into_iter().zip(ids).zip(answers) {
        let placed = answer?;
        match placed.verdict {
            Verdict::Stored => ingested.stored += 1,
            Verdict::Duplicate => ingested.duplicate += 1,
            Verdict::Reused => {
                ingested.rejected.push(Rejected::reused(index, id));
                continue;
            }
        }
        let last = lasts.entry(placed.partition).or_default();
        *last = placed.seq.max(*last);
    }
    ingested.position.events = lasts.into_iter().collect();
    Ok(())
}

/// Counts what never reached the store, so that sent = stored + duplicate + rejected in every hour.
async fn count_refused(app: &App, context: &Context, source: &Key, refused: usize) -> Result<(), IngestionFault> {
    if refused == 0 {
        return Ok(());
    }
    let rejected = i64::try_from(refused).unwrap_or(i64::MAX);
    let counts = [(source.as_str().to_owned(), hour(context.now), Counts { rejected, ..Counts::default() })];
    app.db
        .transact("events.count_refused", Scope::Workspace(context.id()), async |tx| {
            Ok(event::count(&tx, context.id(), app.writer, &counts).await?)
        })
        .await
}

async fn count(
    app: &App,
    tx: &Tx,
    workspace: WorkspaceId,
    items: &[Item],
    verdicts: &[Verdict],
) -> Result<(), IngestionFault> {
    let mut counts: BTreeMap<(&str, Micros), Counts> = BTreeMap::new();
    for (item, verdict) in items.iter().zip(verdicts) {
        let of_hour = counts.entry((&*item.source, hour(item.received_at))).or_default();
        match verdict {
            Verdict::Stored => of_hour.stored += 1,
            Verdict::Duplicate => of_hour.duplicate += 1,
            Verdict::Reused => of_hour.rejected += 1,
        }
    }
    let counts: Vec<_> = counts.into_iter().map(|((source, hour), counts)| (source.to_owned(), hour, counts)).collect();
    Ok(event::count(tx, workspace, app.writer, &counts).await?)
}

fn row(item: &Item, partition: Partition, seq: i64) -> EventRow {
    let event = &item.event;
    EventRow {
        partition,
        seq,
        account: item.account,
        source: item.source.as_ref().to_owned(),
        name: event.name.as_str().to_owned(),
        measurement: event.measurement,
        occurred_at: event.occurred_at,
        known_at: event.known_at.unwrap_or(item.received_at),
        known_assumed: event.known_at.is_none(),
        received_at: item.received_at,
        id_hash: event.identity.id,
        user: item.user,
        value: event.value.map(|value| value.0),
        properties: event.properties.as_bytes().to_vec(),
        trace_parent: item.trace_parent.as_ref().to_owned(),
    }
}

impl From<BatchFault> for IngestionFault {
    fn from(fault: BatchFault) -> Self {
        match fault {
            BatchFault::Full { .. } | BatchFault::TooMany { .. } => Self::Overloaded,
            BatchFault::Lost => Self::Lost,
        }
    }
}
