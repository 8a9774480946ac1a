//! A customer's history: what happened, newest first, merged from everything that sources tell.

use keizoku_base::{AccountId, AccountRef, Day, ExternalId, Micros, Zone};
use keizoku_storage::{Arg, Scope, Tx};
use uuid::Uuid;

use super::context::Context;
use super::{App, directory};
use crate::domain::account::{
    CancellationDetails, ContactDetails, ConversationDetails, Held, TimelineKey, TimelineKind,
};
use crate::error::IngestionFault;
use crate::store::account::{self, AttributeRow};
use crate::store::contract::{ContractRow, Edge};
use crate::store::told::{Slice, Told};
use crate::store::{cancellation, contact, contract, conversation};

/// What an answer's subjects and texts take at the most, in bytes; a page ends early past it.
const TEXT_MOST: usize = 1 << 20;

/// Which part of the history to read.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// From here on.
    pub from: Option<Micros>,
    /// Before here.
    pub until: Option<Micros>,
    /// Only conversations that contain this.
    pub contains: String,
    /// After this entry.
    pub after: Option<TimelineKey>,
    /// Entries at the most.
    pub limit: u32,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it stands.
    pub key: TimelineKey,
    /// When the source knew it.
    pub known_at: Micros,
    pub(crate) happened: Happened,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Happened {
    /// A conversation began.
    Conversation(Told<ConversationDetails>),
    /// A contract began.
    Started(ContractRow),
    /// A contract ended.
    Ended(ContractRow),
    /// The customer cancelled.
    Cancelled(Told<CancellationDetails>),
    /// An attribute took a new value.
    Attribute(AttributeRow),
    /// A person came.
    Joined(Told<ContactDetails>),
    /// A person left.
    Left(Told<ContactDetails>),
}

/// A page of an account's history, and whether there is more.
///
/// # Errors
/// [`IngestionFault::AccountUnknown`], else as the database.
pub async fn list(
    app: &App,
    context: &Context,
    named: &AccountRef,
    asked: &Asked,
) -> Result<(Vec<Entry>, bool), IngestionFault> {
    let account = directory::one(app, context, named).await?;
    let tx = app.db.read("timeline.list", Scope::Workspace(context.id())).await?;
    let reading = Reading { tx: &tx, context, account, asked };
    let mut entries = reading.conversations().await?;
    if asked.contains.is_empty() {
        entries.extend(reading.contracts(Edge::Start).await?);
        entries.extend(reading.contracts(Edge::End).await?);
        entries.extend(reading.cancellations().await?);
        entries.extend(reading.attributes().await?);
        entries.extend(reading.contacts(TimelineKind::ContactJoined).await?);
        entries.extend(reading.contacts(TimelineKind::ContactLeft).await?);
    }
    entries.sort_by(|left, right| left.key.cmp(&right.key));
    let found = entries.len();
    let fits = fitting(&entries, asked.limit);
    entries.truncate(fits);
    Ok((entries, found > fits))
}

/// How many entries go into a page: at least one, where there is one.
fn fitting(entries: &[Entry], limit: u32) -> usize {
    let mut bytes = 0;
    let small = entries.iter().take(limit as usize).take_while(|entry| {
        let fits = bytes < TEXT_MOST;
        if let Happened::Conversation(told) = &entry.happened {
            bytes += told.details.subject.len() + told.details.text.len();
        }
        fits
    });
    small.count()
}

struct Reading<'a> {
    tx: &'a Tx,
    context: &'a Context,
    account: AccountId,
    asked: &'a Asked,
}

impl Reading<'_> {
    async fn conversations(&self) -> Result<Vec<Entry>, IngestionFault> {
        let slice = self.instants(TimelineKind::Conversation, |key| Arg::from(Uuid::from_bytes(key.id)));
        let contains = &self.asked.contains;
        let told = conversation::opened(self.tx, self.context.id(), self.account, contains, &slice).await?;
        let entry = |told: Told<ConversationDetails>| Entry {
            key: key(told.details.opened_at, TimelineKind::Conversation, told.id),
            known_at: told.known_at,
            happened: Happened::Conversation(told),
        };
        Ok(told.into_iter().map(entry).collect())
    }

    async fn contracts(&self, edge: Edge) -> Result<Vec<Entry>, IngestionFault> {
        let kind = match edge {
            Edge::Start => TimelineKind::ContractStarted,
            Edge::End => TimelineKind::ContractEnded,
        };
        let slice = self.days(kind);
        let rows = contract::edges(self.tx, self.context.id(), self.account, edge, &slice).await?;
        let externals: Vec<ExternalId> = rows.iter().map(|row| row.external.clone()).collect();
        let cancelled = cancellation::of_contracts(self.tx, self.context.id(), &externals).await?;
        let entry = |row: ContractRow| {
            let held = Held { details: &row.details, cancelled_on: cancelled.get(&row.external).copied() };
            let day = match edge {
                Edge::Start => row.details.starts_on,
                Edge::End => held.ends_on()?,
            };
            let happened = |row| match edge {
                Edge::Start => Happened::Started(row),
                Edge::End => Happened::Ended(row),
            };
            let key = key(self.zone().start_of(day), kind, row.id);
            Some(Entry { key, known_at: row.known_at, happened: happened(row) })
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    async fn cancellations(&self) -> Result<Vec<Entry>, IngestionFault> {
        let slice = self.days(TimelineKind::Cancellation);
        let told = cancellation::effective(self.tx, self.context.id(), self.account, &slice).await?;
        let entry = |told: Told<CancellationDetails>| Entry {
            key: key(self.zone().start_of(told.details.effective_on), TimelineKind::Cancellation, told.id),
            known_at: told.known_at,
            happened: Happened::Cancelled(told),
        };
        Ok(told.into_iter().map(entry).collect())
    }

    async fn attributes(&self) -> Result<Vec<Entry>, IngestionFault> {
        let slice = self.instants(TimelineKind::Attribute, |key| Arg::from(key.part.as_str()));
        let rows = account::history(self.tx, self.context.id(), self.account, &slice).await?;
        let entry = |row: AttributeRow| {
            let place = key(row.known_at, TimelineKind::Attribute, self.account.0);
            let key = TimelineKey { part: row.key.clone(), ..place };
            Entry { key, known_at: row.known_at, happened: Happened::Attribute(row) }
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    async fn contacts(&self, kind: TimelineKind) -> Result<Vec<Entry>, IngestionFault> {
        let (slice, workspace) = (self.days(kind), self.context.id());
        let came = kind == TimelineKind::ContactJoined;
        let told = if came {
            contact::joined(self.tx, workspace, self.account, &slice).await?
        } else {
            contact::left(self.tx, workspace, self.account, &slice).await?
        };
        let entry = |told: Told<ContactDetails>| {
            let day = if came { told.details.joined_on? } else { told.details.left_on? };
            let (key, known_at) = (key(self.zone().start_of(day), kind, told.id), told.known_at);
            let happened = if came { Happened::Joined(told) } else { Happened::Left(told) };
            Some(Entry { key, known_at, happened })
        };
        Ok(told.into_iter().filter_map(entry).collect())
    }

    fn zone(&self) -> Zone {
        self.context.workspace.zone
    }

    /// The stretch of entries of a kind whose time is an instant.
    fn instants(&self, kind: TimelineKind, tie: fn(&TimelineKey) -> Arg) -> Slice {
        let bounds = self.bounds(kind);
        Slice {
            from: Arg::from(self.asked.from.map_or(i64::MIN, |from| from.0)),
            upto: Arg::from(bounds.upto.map_or(i64::MAX, |upto| upto.0)),
            after: bounds.after.map(|key| (Arg::from(key.occurred_at), tie(key))),
            limit: self.asked.limit + 1,
        }
    }

    /// The stretch of entries of a kind whose time is the start of a day.
    fn days(&self, kind: TimelineKind) -> Slice {
        let (bounds, zone) = (self.bounds(kind), self.zone());
        let first_from = |from: Micros| {
            let day = zone.day_of(from);
            if zone.start_of(day) < from { Day(day.0 + 1) } else { day }
        };
        Slice {
            from: Arg::from(self.asked.from.map_or(i32::MIN, |from| first_from(from).0)),
            upto: Arg::from(bounds.upto.map_or(i32::MAX, |upto| zone.day_of(upto).0)),
            after: bounds
                .after
                .map(|key| (Arg::from(zone.day_of(key.occurred_at)), Arg::from(Uuid::from_bytes(key.id)))),
            limit: self.asked.limit + 1,
        }
    }

    /// Where the entries of a kind go on. At the instant of the entry shown last, kinds before its own are through.
    fn bounds(&self, kind: TimelineKind) -> Bounds<'_> {
        let until = self.asked.until.map(|until| until.plus(-1));
        let Some(after) = &self.asked.after else { return Bounds { upto: until, after: None } };
        let upto = if kind < after.kind { after.occurred_at.plus(-1) } else { after.occurred_at };
        let upto = until.map_or(upto, |until| until.min(upto));
        Bounds { upto: Some(upto), after: (kind == after.kind).then_some(after) }
    }
}

struct Bounds<'a> {
    upto: Option<Micros>,
    after: Option<&'a TimelineKey>,
}

fn key(occurred_at: Micros, kind: TimelineKind, id: Uuid) -> TimelineKey {
    TimelineKey { occurred_at, kind, id: *id.as_bytes(), part: String::new() }
}
