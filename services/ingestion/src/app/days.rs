//! Counting a batch into the days of accounts: load the months it touches, unite, save, tell.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keizoku_base::time::Month;
use keizoku_base::{AccountId, Day, Partition};
use keizoku_storage::Tx;
use keizoku_storage::feed::{self, Draft, Log, Partitions};
use uuid::Uuid;

use super::changes::counts::{self, ToldDay, ToldValue};
use super::context::Context;
use super::counting::Counting;
use crate::domain::block::{Block, Deltas, MonthDeltas, UndoEntry, Uniting, UserSets};
use crate::domain::set::NumberSet;
use crate::error::IngestionFault;
use crate::store::block;

/// The traceparents of calls that brought something for an account.
pub(crate) type Traces = HashMap<AccountId, String>;

/// A month of an account with what is to be added.
struct Touched<'d> {
    account: AccountId,
    block: Block,
    deltas: &'d MonthDeltas,
    users: UserSets,
}

/// Counts `deltas` in and answers a change for each day they touch. The cursors of their partitions are held by the
/// transaction: nobody else changes these blocks.
///
/// # Errors
/// As the blocks, or as the database.
pub(crate) async fn merge(
    tx: &Tx,
    context: &Context,
    counting: &Counting,
    deltas: &Deltas,
    traces: &Traces,
) -> Result<Vec<Draft>, IngestionFault> {
    if deltas.is_empty() {
        return Ok(Vec::new());
    }
    let mut touched = load(tx, context, deltas).await?;
    let orders = orders(tx, context, &touched).await?;
    let today = context.today();
    let (mut undo, mut grown) = (Vec::new(), Vec::new());
    for (place, month) in touched.iter_mut().enumerate() {
        let before: Vec<_> = month.users.iter().map(|(of, users)| (*of, users.len())).collect();
        let seq = orders.get(&month.account.partition()).copied().unwrap_or_default();
        let entries = month.block.unite(month.deltas, &mut month.users, Uniting { today, seq })?;
        undo.extend(entries.into_iter().map(|entry| (month.account, entry)));
        let before: BTreeMap<(u32, Day), u64> = before.into_iter().collect();
        let changed = month.users.iter().filter(|(of, users)| before.get(*of) != Some(&users.len()));
        grown.extend(changed.map(|(of, _)| (place, *of)));
    }
    let mut drafts = Vec::new();
    for month in &touched {
        let trace_parent = traces.get(&month.account).map_or("", String::as_str);
        for day in month.deltas.days() {
            if let Some(told) = tell(counting, month.account, &month.block, &month.users, day, trace_parent)? {
                drafts.push(counts::metric_day(context, told));
            }
        }
    }
    save(tx, context, touched, &grown, &undo).await?;
    Ok(drafts)
}

/// What is told of a day: the metrics in force that have data. `None` where the block knows nothing of the day.
///
/// # Errors
/// Where a value is past the range that can be told.
pub(crate) fn tell<'a>(
    counting: &'a Counting,
    account: AccountId,
    block: &Block,
    users: &'a UserSets,
    day: Day,
    trace_parent: &'a str,
) -> Result<Option<ToldDay<'a>>, IngestionFault> {
    let Some(held) = block.day(day) else { return Ok(None) };
    let value = |(no, value)| {
        let row = counting.row(no)?;
        Some(ToldValue { key: &row.key, version: row.version, value, users: users.get(&(no, day)) })
    };
    let values = held.values(day)?.into_iter().filter_map(value).collect();
    Ok(Some(ToldDay { account, day, known_at: held.known_at, values, trace_parent }))
}

/// The users of these metrics and days of accounts.
///
/// # Errors
/// As the database.
pub(crate) async fn load_sets(
    tx: &Tx,
    context: &Context,
    needed: &[(AccountId, Vec<(u32, Day)>)],
) -> Result<block::AccountSets, IngestionFault> {
    let (mut accounts, mut metrics, mut days) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (account, sets) in needed.iter().filter(|(_, sets)| !sets.is_empty()) {
        accounts.insert(account.0);
        metrics.extend(sets.iter().map(|(no, _)| i64::from(*no)));
        days.extend(sets.iter().map(|(_, day)| day.0));
    }
    if accounts.is_empty() {
        return Ok(block::AccountSets::new());
    }
    let (accounts, metrics) = (accounts.into_iter().collect(), metrics.into_iter().collect());
    Ok(block::sets(tx, context.id(), accounts, metrics, days.into_iter().collect()).await?)
}

async fn load<'d>(tx: &Tx, context: &Context, deltas: &'d Deltas) -> Result<Vec<Touched<'d>>, IngestionFault> {
    let accounts: BTreeSet<Uuid> = deltas.iter().map(|(account, _, _)| account.0).collect();
    let months: BTreeSet<i32> = deltas.iter().map(|(_, month, _)| month.0).collect();
    let (accounts, months) = (accounts.into_iter().collect(), months.into_iter().collect());
    let mut blocks = block::blocks(tx, context.id(), accounts, months).await?;
    let mut touched = Vec::new();
    let mut needed = Vec::new();
    for (account, month, deltas) in deltas.iter() {
        let block = blocks.remove(&(account, month)).unwrap_or_else(|| Block::new(month));
        needed.push((account, block.sets_needed(deltas)));
        touched.push(Touched { account, block, deltas, users: UserSets::new() });
    }
    let mut sets = load_sets(tx, context, &needed).await?;
    for (month, (account, needed)) in touched.iter_mut().zip(&needed) {
        let Some(held) = sets.get_mut(account) else { continue };
        month.users = needed.iter().filter_map(|of| Some((*of, held.remove(of)?))).collect();
    }
    Ok(touched)
}

/// A number for each partition that is above that of every earlier change to its blocks: whoever makes one holds the
/// partition's cursor and tells the log of it.
async fn orders(
    tx: &Tx,
    context: &Context,
    touched: &[Touched<'_>],
) -> Result<HashMap<Partition, i64>, IngestionFault> {
    let partitions: Partitions = touched.iter().map(|month| month.account.partition()).collect();
    let heads = feed::heads_of(tx, Log::Changes, context.id(), partitions).await?;
    let order = |partition| (partition, heads.get(&partition).map_or(0, |head| head.last_seq) + 1);
    Ok(partitions.iter().map(order).collect())
}

async fn save(
    tx: &Tx,
    context: &Context,
    touched: Vec<Touched<'_>>,
    grown: &[(usize, (u32, Day))],
    undo: &[(AccountId, UndoEntry)],
) -> Result<(), IngestionFault> {
    let set = |(place, (no, day)): &(usize, (u32, Day))| -> Option<(AccountId, u32, Day, &NumberSet)> {
        let month = touched.get(*place)?;
        Some((month.account, *no, *day, month.users.get(&(*no, *day))?))
    };
    let sets: Vec<_> = grown.iter().filter_map(set).collect();
    block::put_sets(tx, context.id(), &sets).await?;
    block::add_undo(tx, context.id(), undo).await?;
    let blocks: Vec<(AccountId, Block)> = touched.into_iter().map(|month| (month.account, month.block)).collect();
    Ok(block::put_blocks(tx, context.id(), &blocks).await?)
}

/// The months from that of `from` to that of the day before `until`.
pub(crate) fn months(from: Day, until: Day) -> Vec<Month> {
    let last = until.plus(-1).month();
    (from.month().0..=last.0).map(Month).collect()
}
