//! The present state of everything, one page after the other: for those who begin to follow, or begin anew.
//!
//! Kind after kind in a fixed order, each by its key, whatever the partitions asked for: a token names a kind and the
//! last key.

use std::collections::BTreeMap;

use keizoku_base::id::{KeyId, MemberId};
use keizoku_base::{AccountId, Day, Partition, WorkspaceId};
use keizoku_control::store as control;
use keizoku_storage::feed::{self, Draft, Partitions};
use keizoku_storage::{Scope, Tx};
use uuid::Uuid;

use super::changes::counts;
use super::context::Context;
use super::counting::Counting;
use super::metrics::Metric;
use super::state_resources::{self, States};
use super::{App, changes, days, roll};
use crate::domain::block::{Block, BlockDay, Cell, UserSets};
use crate::domain::set::NumberSet;
use crate::error::IngestionFault;
use crate::store::{arrived, block, metric};

/// The most things of a page.
pub const PAGE_MOST: usize = 500;
/// A page ends with the thing that reaches this many bytes.
const PAGE_MOST_BYTES: usize = 1 << 20;
/// How many reads a page may take.
const SLICES_MOST: usize = 20;
/// How many blocks are read for a page of days.
const BLOCKS_MOST: usize = 128;

/// A page of the present state.
#[derive(Debug, Default)]
pub struct StatePage {
    /// What there is.
    pub drafts: Vec<Draft>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Vec<u8>>,
}

/// Reads a page.
///
/// # Errors
/// As the database.
pub async fn page(
    app: &App,
    workspace: WorkspaceId,
    partitions: &[Partition],
    token: &[u8],
) -> Result<StatePage, IngestionFault> {
    let context = app.background(workspace).await?;
    let tx = app.db.read("feed.list_state", Scope::Workspace(workspace)).await?;
    page_in(&tx, &context, partitions.iter().copied().collect(), token).await
}

/// Reads a page in a transaction.
///
/// # Errors
/// As the database.
pub(crate) async fn page_in(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    token: &[u8],
) -> Result<StatePage, IngestionFault> {
    let (mut stage, mut place) = match token.split_first() {
        Some((stage, place)) => (*stage, place.to_vec()),
        None => (0, Vec::new()),
    };
    let mut drafts = Vec::new();
    for _ in 0..SLICES_MOST {
        let room = PAGE_MOST.saturating_sub(drafts.len());
        if room == 0 || bytes_of(&drafts) >= PAGE_MOST_BYTES {
            break;
        }
        let Some(mut slice) = slice(tx, context, partitions, (stage, &place), room).await? else {
            return Ok(StatePage { drafts, next: None });
        };
        slice.drafts.retain(|draft| partitions.contains(draft.partition));
        drafts.append(&mut slice.drafts);
        match slice.next {
            Some(next) => place = next,
            None => (stage, place) = (stage + 1, Vec::new()),
        }
    }
    let next = [&[stage], &place[..]].concat();
    Ok(StatePage { drafts, next: Some(next) })
}

/// Some things of one kind; `None` past the last kind.
async fn slice(
    tx: &Tx,
    context: &Context,
    partitions: Partitions,
    (stage, place): (u8, &[u8]),
    room: usize,
) -> Result<Option<StatePage>, IngestionFault> {
    let most = limit(room);
    Ok(Some(match stage {
        0 => workspace(context),
        1 => keys(tx, context, place, room).await?,
        2 => members(tx, context, place, room).await?,
        3 => definitions(tx, context).await?,
        4 => state_resources::accounts(tx, context, partitions, place, most).await?.into(),
        5 => state_resources::contacts(tx, context, partitions, place, most).await?.into(),
        6 => state_resources::users(tx, context, partitions, place, most).await?.into(),
        7 => state_resources::contracts(tx, context, partitions, place, most).await?.into(),
        8 => state_resources::cancellations(tx, context, partitions, place, most).await?.into(),
        9 => state_resources::conversations(tx, context, partitions, place, most).await?.into(),
        10 => metric_days(tx, context, place, room).await?,
        11 => account_sources(tx, context, place, room).await?,
        12 => source_days(tx, context, place, room).await?,
        13 => watermarks(tx, context).await?,
        _ => return Ok(None),
    }))
}

impl From<States> for StatePage {
    fn from(states: States) -> Self {
        Self { drafts: states.drafts, next: states.next }
    }
}

fn workspace(context: &Context) -> StatePage {
    StatePage { drafts: vec![changes::workspace(context, &context.workspace)], next: None }
}

async fn keys(tx: &Tx, context: &Context, place: &[u8], room: usize) -> Result<StatePage, IngestionFault> {
    let after = Uuid::from_slice(place).ok().map(KeyId);
    let rows = control::keys(tx, context.id(), after, limit(room)).await?;
    let next = full(&rows, room).map(|row| row.key_id.as_bytes().to_vec());
    Ok(StatePage { drafts: rows.iter().map(|row| changes::key(context, row)).collect(), next })
}

async fn members(tx: &Tx, context: &Context, place: &[u8], room: usize) -> Result<StatePage, IngestionFault> {
    let after = Uuid::from_slice(place).ok().map(MemberId);
    let rows = control::members(tx, context.id(), after, limit(room)).await?;
    let next = full(&rows, room).map(|row| row.member_id.as_bytes().to_vec());
    Ok(StatePage { drafts: rows.iter().map(|row| changes::member(context, row)).collect(), next })
}

/// At most [`super::metrics::METRICS_MOST`] at once.
async fn definitions(tx: &Tx, context: &Context) -> Result<StatePage, IngestionFault> {
    let rows = metric::in_force(tx, context.id(), false).await?;
    let drafts = rows.iter().map(|row| Ok(counts::metric_definition(context, &Metric::of(row)?)));
    Ok(StatePage { drafts: drafts.collect::<Result<_, IngestionFault>>()?, next: None })
}

/// A place among days: account, month, day.
async fn metric_days(tx: &Tx, context: &Context, place: &[u8], room: usize) -> Result<StatePage, IngestionFault> {
    let counting = Counting::new(context.id(), metric::in_force(tx, context.id(), false).await?)?;
    let begun = DayPlace::read(place);
    // The block that was begun is read again, from the day after the one reached.
    let blocks = block::list(tx, context.id(), (begun.account.0, begun.day.month().0 - 1), BLOCKS_MOST).await?;
    let (mut page, mut reached) = (StatePage::default(), begun);
    for chunk in blocks.chunks(8) {
        let sets = days::load_sets(tx, context, &sets_of(chunk)).await?;
        let none = UserSets::new();
        for (account, block) in chunk {
            let users = sets.get(account).unwrap_or(&none);
            for (day, _) in block.days().filter(|(day, _)| (*account, *day) > (begun.account, begun.day)) {
                if page.drafts.len() >= room || bytes_of(&page.drafts) >= PAGE_MOST_BYTES {
                    page.next = Some(reached.write());
                    return Ok(page);
                }
                if let Some(told) = days::tell(&counting, *account, block, users, day, "")? {
                    page.drafts.push(counts::metric_day(context, told));
                }
                reached = DayPlace { account: *account, day };
            }
        }
    }
    page.next = full(&blocks, BLOCKS_MOST).map(|(account, block)| {
        let last = block.month().plus(1).first().plus(-1);
        DayPlace { account: *account, day: last }.write()
    });
    Ok(page)
}

/// The day of an account that a page of days ends with.
#[derive(Debug, Clone, Copy)]
struct DayPlace {
    account: AccountId,
    day: Day,
}

impl DayPlace {
    fn read(place: &[u8]) -> Self {
        let (account, day) = place.split_at_checked(16).unwrap_or_default();
        let day = day.try_into().map_or(i32::MIN, i32::from_be_bytes);
        Self { account: AccountId(Uuid::from_slice(account).unwrap_or(Uuid::nil())), day: Day(day) }
    }

    fn write(self) -> Vec<u8> {
        [&self.account.0.as_bytes()[..], &self.day.0.to_be_bytes()].concat()
    }
}

/// The metrics and days of blocks whose users are held apart.
fn sets_of(blocks: &[(AccountId, Block)]) -> Vec<(AccountId, Vec<(u32, Day)>)> {
    let mut needed: BTreeMap<AccountId, Vec<(u32, Day)>> = BTreeMap::new();
    for (account, block) in blocks {
        let of_day = |(day, held): (Day, &BlockDay)| {
            let cells = held.cells.iter().filter(|(_, cell)| matches!(cell, Cell::Users(_)));
            cells.map(|(no, _)| (*no, day)).collect::<Vec<_>>()
        };
        needed.entry(*account).or_default().extend(block.days().flat_map(of_day));
    }
    needed.into_iter().collect()
}

async fn account_sources(tx: &Tx, context: &Context, place: &[u8], room: usize) -> Result<StatePage, IngestionFault> {
    let after = Uuid::from_slice(place).unwrap_or(Uuid::nil());
    let rows = arrived::list_accounts(tx, context.id(), after, i64::from(limit(room))).await?;
    let mut page = StatePage::default();
    let mut reached = after;
    for (account, coverage) in &rows {
        if page.drafts.len() >= room {
            break;
        }
        let told = |(source, span)| counts::account_source(context, *account, source, span);
        page.drafts.extend(coverage.sources().map(told));
        reached = account.0;
    }
    let more = rows.last().is_some_and(|(last, _)| last.0 != reached || rows.len() >= room);
    page.next = more.then(|| reached.as_bytes().to_vec());
    Ok(page)
}

/// A place among them: partition, source.
async fn source_days(tx: &Tx, context: &Context, place: &[u8], room: usize) -> Result<StatePage, IngestionFault> {
    let rows = arrived::source_days(tx, context.id(), Partition::all()).await?;
    let place_of = |partition: Partition, source: &str| [&[partition.number()], source.as_bytes()].concat();
    let rest: Vec<_> =
        rows.iter().filter(|((partition, source), _)| place_of(*partition, source).as_slice() > place).collect();
    let told = |((partition, source), days): &(&(Partition, String), &NumberSet)| {
        counts::source_days(context, *partition, source, days)
    };
    let next = rest.get(room - 1).map(|((partition, source), _)| place_of(*partition, source));
    Ok(StatePage { drafts: rest.iter().take(room).map(told).collect(), next })
}

async fn watermarks(tx: &Tx, context: &Context) -> Result<StatePage, IngestionFault> {
    let rolled = feed::applied(tx, roll::ROLLER, roll::EVENTS, context.id(), Partitions::ALL).await?;
    let reached = rolled.into_iter().filter(|(_, seq)| *seq > 0);
    let told = reached.map(|(partition, seq)| counts::watermark(context, partition, seq));
    Ok(StatePage { drafts: told.collect(), next: None })
}

fn bytes_of(drafts: &[Draft]) -> usize {
    drafts.iter().map(|draft| draft.body.len()).sum()
}

fn limit(room: usize) -> u32 {
    u32::try_from(room).unwrap_or(u32::MAX)
}

/// The last row of a full page.
fn full<R>(rows: &[R], room: usize) -> Option<&R> {
    rows.last().filter(|_| rows.len() >= room)
}
