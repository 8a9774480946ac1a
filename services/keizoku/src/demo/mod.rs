//! Invented customers of an invented groupware: 18 months of logins, use, tickets, voices, sessions, renewals and
//! farewells, made from a seed.
//!
//! All of it is synthetic and says so: it goes only into a workspace that is marked as such, and every account carries the
//! attribute `synthetic`. It is sent through the same calls as an import. The same seed tells the same story on every
//! machine; told again later it goes on, and what was told before is the same.

mod life;
mod model;
mod random;
mod send;
pub(crate) mod stream;
mod tell;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::time::Instant;

use keizoku_base::{Day, Micros, Zone};
use keizoku_proto::ingestion::account_service_client::AccountServiceClient;
use keizoku_proto::ingestion::control_service_client::ControlServiceClient;
use keizoku_proto::ingestion::{Account, GetAccountRequest, WhoAmIRequest, WhoAmIResponse};
use keizoku_proto::types::account_ref::Ref;
use keizoku_proto::types::value::Kind as ValueKind;
use keizoku_proto::types::{AccountRef, Value};
use keizoku_runtime::Client;
use keizoku_runtime::client::repeatable;
use tonic::{Code, Status};

use crate::failure::Failure;
use crate::import::sink::{Sink, Wire};
use crate::import::target::{Item, Kind};

use life::{Customer, STORY_DAYS};
use send::{Counts, Sender};
use tell::{Facts, Story};

/// The id of the first customer, which is always there.
pub(crate) const FIRST: &str = "acme";

/// What a story is made from where nobody says.
pub(crate) const SEED: u64 = 20_260_101;

/// What was told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeedReport {
    /// How many customers.
    pub(crate) accounts: u32,
    /// How many contracts, conversations and other facts about them.
    pub(crate) facts: u64,
    /// How many events and measurements.
    pub(crate) events: u64,
    /// How many of all those were there already.
    pub(crate) duplicates: u64,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl fmt::Display for SeedReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, facts, events, duplicates, seconds } = self;
        write!(formatter, "{accounts} synthetic customers with {facts} facts and {events} events in {seconds:.1} s")?;
        if *duplicates > 0 { write!(formatter, " ({duplicates} were there already)") } else { Ok(()) }
    }
}

/// How a story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Telling {
    seed: u64,
    accounts: u32,
    /// The first day that is told of.
    anchor: Day,
    now: Micros,
    zone: Zone,
}

/// Tells the story of so many customers until `now`, defines the metrics and puts the model in force.
///
/// # Errors
/// The workspace is not marked as synthetic or holds another story, the server refuses or cannot be reached, or what was
/// sent is not accounted for.
pub(crate) async fn seed(client: &Client, accounts: u32, seed: u64, now: Micros) -> anyhow::Result<SeedReport> {
    Ok(Box::pin(sow(client, accounts, seed, now)).await?)
}

/// As [`seed`], until the workspace's present.
///
/// # Errors
/// As of [`seed`].
pub(crate) async fn tell(client: &Client, accounts: u32, seed: u64) -> Result<SeedReport, Failure> {
    let wire = Wire::new(client.clone(), String::new());
    let who = who_am_i(client).await.map_err(|status| wire.refused(status))?;
    let now = who.now.as_ref().map(keizoku_convert::instant).ok_or(Failure::Incomplete { what: "present time" })?;
    Box::pin(sow(client, accounts, seed, now)).await
}

async fn sow(client: &Client, accounts: u32, seed: u64, now: Micros) -> Result<SeedReport, Failure> {
    let begun = Instant::now();
    let mut wire = Wire::new(client.clone(), String::new());
    let who = who_am_i(client).await.map_err(|status| wire.refused(status))?;
    let zone = synthetic_zone(&who)?;
    let told = first_account(client).await.map_err(|status| wire.refused(status))?;
    let anchor = match told.as_ref().map(|account| telling_of(account, now, zone)) {
        Some(Some(told)) if told.seed == seed => told.anchor,
        Some(_) => {
            return Err(Failure::Usage {
                problem: "the workspace holds another story already".to_owned(),
                next: "tell it with its own seed, or empty the workspace: keizoku workspaces reset".to_owned(),
            });
        }
        None => zone.day_of(now).plus(-STORY_DAYS),
    };
    for metric in model::metrics()? {
        wire.put_metric(metric).await?;
    }
    let telling = Telling { seed, accounts, anchor, now, zone };
    let facts = telling.send_facts(&mut wire).await?;
    let events = telling.send_events(&mut wire).await?;
    facts.and(events).verdict()?;
    model::apply(client, anchor.max(zone.day_of(now).plus(-model::HISTORY_DAYS)), &wire).await?;
    Ok(SeedReport {
        accounts,
        facts: facts.sent,
        events: events.sent,
        duplicates: facts.duplicate + events.duplicate,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

impl Telling {
    /// Everything but events: what others refer to goes first.
    async fn send_facts(&self, sink: &mut impl Sink) -> Result<Counts, Failure> {
        let facts = self.facts();
        let mut sender = Sender::new(sink);
        let accounts = facts.accounts.into_iter().map(|item| (Kind::Accounts, Item::Account(item)));
        let contacts = facts.contacts.into_iter().map(|item| (Kind::Contacts, Item::Contact(item)));
        let users = facts.users.into_iter().map(|item| (Kind::Users, Item::User(item)));
        let contracts = facts.contracts.into_iter().map(|item| (Kind::Contracts, Item::Contract(item)));
        let cancellations = facts.cancellations.into_iter().map(|item| (Kind::Cancellations, Item::Cancellation(item)));
        let conversations = facts.conversations.into_iter().map(|item| (Kind::Conversations, Item::Conversation(item)));
        let people = accounts.chain(contacts).chain(users);
        for (kind, item) in people.chain(contracts).chain(cancellations).chain(conversations) {
            sender.send(kind, item).await?;
        }
        sender.finish().await
    }

    /// Events customer by customer, so that a customer's days are counted together; then measurements.
    async fn send_events(&self, sink: &mut impl Sink) -> Result<Counts, Failure> {
        let mut sender = Sender::new(sink);
        let mut measurements = Vec::new();
        for place in 0..self.accounts {
            for event in self.events(place, &mut measurements) {
                sender.send(Kind::Events, Item::Event(event)).await?;
            }
        }
        for measurement in measurements {
            sender.send(Kind::Measurements, Item::Measurement(measurement)).await?;
        }
        sender.finish().await
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for place in 0..self.accounts {
            self.story(place, |story| story.facts(self.accounts, &mut facts));
        }
        facts
    }

    fn events(
        &self,
        place: u32,
        measurements: &mut Vec<keizoku_proto::ingestion::Measurement>,
    ) -> Vec<keizoku_proto::ingestion::Event> {
        let mut events = Vec::new();
        self.story(place, |story| {
            for day in story.life.days(story.today()) {
                story.events(day, &mut events);
                measurements.extend(story.survey(day));
            }
        });
        events
    }

    fn story<T>(&self, place: u32, tell: impl FnOnce(&Story<'_>) -> T) -> T {
        let customer = Customer::new(self.seed, place, self.anchor);
        let life = customer.live(self.seed, self.anchor, self.zone.day_of(self.now));
        let Self { seed, anchor, now, zone, .. } = *self;
        tell(&Story { seed, anchor, now, zone, customer: &customer, life: &life })
    }
}

async fn who_am_i(client: &Client) -> Result<WhoAmIResponse, Status> {
    let answer = ControlServiceClient::new(client.clone()).who_am_i(repeatable(WhoAmIRequest {})).await?;
    Ok(answer.into_inner())
}

/// The zone of a workspace that may hold invented customers.
fn synthetic_zone(who: &WhoAmIResponse) -> Result<Zone, Failure> {
    let workspace = who.workspace.as_ref().ok_or(Failure::Incomplete { what: "workspace" })?;
    if !workspace.synthetic {
        return Err(Failure::Usage {
            problem: format!("the workspace {:?} is not marked as synthetic", workspace.display_name),
            next: "invented customers must not mix with real ones; `keizoku dev` makes a workspace for them".to_owned(),
        });
    }
    Zone::parse(&workspace.time_zone).ok_or(Failure::Incomplete { what: "time zone" })
}

/// The first customer, where a story was told already.
async fn first_account(client: &Client) -> Result<Option<Account>, Status> {
    let account = AccountRef { r#ref: Some(Ref::External(tell::external(FIRST))) };
    let request = repeatable(GetAccountRequest { account: Some(account) });
    match AccountServiceClient::new(client.clone()).get_account(request).await {
        Ok(answer) => Ok(answer.into_inner().account),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

/// How the story that an account belongs to was told, from its attributes.
fn telling_of(account: &Account, now: Micros, zone: Zone) -> Option<Telling> {
    let value = |key: &str| {
        let found = account.attributes.iter().find(|attribute| attribute.key == key);
        found.and_then(|attribute| attribute.value.clone()).and_then(|Value { kind }| kind)
    };
    let (ValueKind::Text(seed), ValueKind::Integer(accounts), ValueKind::Date(anchor)) =
        (value("synthetic_seed")?, value("synthetic_accounts")?, value("synthetic_anchor")?)
    else {
        return None;
    };
    let (seed, accounts) = (seed.parse().ok()?, u32::try_from(accounts).ok()?);
    let anchor = keizoku_convert::day(&anchor)?;
    Some(Telling { seed, accounts, anchor, now, zone })
}
