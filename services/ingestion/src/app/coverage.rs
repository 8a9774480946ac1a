//! What has arrived: which kinds of data, from which sources, for how many accounts, with which properties.

use std::collections::BTreeMap;

use keizoku_base::{AccountId, AccountRef, Partition};
use keizoku_convert::Position;
use keizoku_storage::feed::{self, Log, Partitions};
use keizoku_storage::{Scope, Tx};
use uuid::Uuid;

use super::context::Context;
use super::{App, accounts, directory};
use crate::domain::coverage::{EventKind, PropertiesSeen, Span};
use crate::domain::covered::AccountCoverage;
use crate::error::IngestionFault;
use crate::store::{arrived, coverage};

/// How many accounts are read at once.
const PAGE: i64 = 1000;

/// What has arrived.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// All accounts, stubs included.
    pub account_count: i64,
    /// Accounts with at least one of a kind of data, by the kind's name.
    pub kinds: Vec<(&'static str, i64)>,
    /// By source and name.
    pub events: BTreeMap<EventKind, Arrived>,
    /// Where the answer stands in the logs.
    pub position: Vec<u8>,
}

/// What arrived of one name of events.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    /// Accounts with at least one.
    pub accounts: i64,
    /// How many, over which days.
    pub span: Option<Span>,
    /// The properties seen.
    pub properties: PropertiesSeen,
}

/// What has arrived for the whole workspace, or for one account. Properties are known of the workspace only.
///
/// # Errors
/// [`IngestionFault::AccountUnknown`], else as the database.
pub async fn get(app: &App, context: &Context, named: Option<&AccountRef>) -> Result<Coverage, IngestionFault> {
    let account = match named {
        Some(named) => Some(directory::one(app, context, named).await?),
        None => None,
    };
    let tx = app.db.read("coverage.get", Scope::Workspace(context.id())).await?;
    let counts = coverage::counts(&tx, context.id(), account).await?;
    let mut found = Coverage { account_count: counts.accounts, ..Coverage::default() };
    let (mut with_event, mut with_measurement) = (0, 0);
    let mut add = |covered: &AccountCoverage| {
        with_event += i64::from(covered.kinds().any(|(kind, _)| !kind.measurement));
        with_measurement += i64::from(covered.kinds().any(|(kind, _)| kind.measurement));
        for (kind, span) in covered.kinds() {
            let arrived = found.events.entry(kind.clone()).or_default();
            arrived.accounts += 1;
            arrived.span = Some(arrived.span.map_or(span, |held| held.unite(span)));
        }
    };
    match account {
        Some(account) => {
            arrived::accounts(&tx, context.id(), vec![account.0]).await?.values().for_each(&mut add);
        }
        None => all_accounts(&tx, context, &mut add).await?,
    }
    found.kinds = vec![
        ("event", with_event),
        ("measurement", with_measurement),
        ("contract", counts.contract),
        ("contact", counts.contact),
        ("user", counts.user),
        ("conversation", counts.conversation),
        ("cancellation", counts.cancellation),
    ];
    if account.is_none() {
        add_properties(&tx, context, &mut found).await?;
    }
    found.position = match account {
        Some(account) => accounts::position(&tx, context, account.partition()).await?,
        None => everywhere(&tx, context).await?,
    };
    Ok(found)
}

async fn all_accounts(
    tx: &Tx,
    context: &Context,
    add: &mut impl FnMut(&AccountCoverage),
) -> Result<(), IngestionFault> {
    let mut after = AccountId(Uuid::nil());
    loop {
        let page = arrived::list_accounts(tx, context.id(), after.0, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        page.iter().for_each(|(_, covered)| add(covered));
    }
}

async fn add_properties(tx: &Tx, context: &Context, found: &mut Coverage) -> Result<(), IngestionFault> {
    for of_partition in arrived::properties(tx, context.id(), Partition::all()).await?.values() {
        for (kind, seen) in of_partition.iter() {
            if let Some(arrived) = found.events.get_mut(kind) {
                arrived.properties.unite(seen);
            }
        }
    }
    Ok(())
}

async fn everywhere(tx: &Tx, context: &Context) -> Result<Vec<u8>, IngestionFault> {
    let mut position = Position::default();
    for (log, places) in [(Log::Changes, &mut position.changes), (Log::Events, &mut position.events)] {
        let heads = feed::heads_of(tx, log, context.id(), Partitions::ALL).await?;
        places.extend(heads.into_iter().map(|(partition, head)| (partition, head.last_seq)));
    }
    Ok(position.encode())
}
