//! Accounts: told by sources, read one by one and in pages.

use std::collections::{BTreeMap, BTreeSet};

use keizoku_base::money::Money;
use keizoku_base::{AccountId, AccountRef, ExternalId, Micros, Partition, Violations};
use keizoku_convert::Position;
use keizoku_storage::feed::{self, Log, Partitions};
use keizoku_storage::{Scope, Tx};
use uuid::Uuid;

use super::context::Context;
use super::put::{self, Intent, Outcome, Put};
use super::{App, changes, directory};
use crate::domain::account::money::Revenue;
use crate::domain::account::{AccountDraft, AccountFacts, Held, NewAccount};
use crate::domain::reason;
use crate::error::IngestionFault;
use crate::store::account::{self, AccountFilter, AccountRow, AttributeRow};
use crate::store::contract::ContractRow;
use crate::store::told::{self, Told};
use crate::store::{cancellation, contact, contract, directory as names};

/// The most contracts and contacts of one account that are shown with it.
const SHOWN_MOST: u32 = 1000;

/// An account with its names.
#[derive(Debug, Clone)]
pub struct Account {
    pub(crate) row: AccountRow,
    pub(crate) names: Vec<ExternalId>,
}

/// An account with what belongs to it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The account.
    pub account: Account,
    pub(crate) contracts: Vec<ContractRow>,
    pub(crate) contacts: Vec<Told<crate::domain::account::ContactDetails>>,
    /// What it pays per month now, by currency.
    pub monthly: Vec<Money>,
    /// Where the answer stands in the logs.
    pub position: Vec<u8>,
}

/// Which accounts to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose name contains this.
    pub name_contains: String,
    /// Stubs, or those that are none.
    pub stub: Option<bool>,
}

impl Account {
    /// Its id.
    pub fn id(&self) -> AccountId {
        self.row.id
    }
}

/// Adds or changes accounts.
///
/// # Errors
/// As the database; then nothing is stored.
pub async fn put(
    app: &App,
    context: &Context,
    drafts: Vec<AccountDraft>,
    intent: Intent,
) -> Result<Put, IngestionFault> {
    let checked: Vec<_> = drafts.into_iter().map(|draft| NewAccount::check(draft, context.now)).collect();
    let elsewhere = elsewhere(app, context, &checked, intent).await?;
    let scope = Scope::Workspace(context.id());
    if intent == Intent::Check {
        let tx = app.db.read("accounts.check", scope).await?;
        let plan = Plan::of(&tx, context, &checked, &elsewhere).await?;
        let known = plan.known.values().map(ToString::to_string).collect();
        let decided = decide(&tx, context, &checked, &plan, false).await?;
        return Ok(Put::checked(decided.results, &known));
    }
    let (put, named) = app
        .db
        .transact("accounts.put", scope, async |tx| {
            let plan = Plan::of(&tx, context, &checked, &elsewhere).await?;
            plan.name(&tx, context).await?;
            let mut decided = decide(&tx, context, &checked, &plan, true).await?;
            account::save(&tx, context.id(), &decided.changed).await?;
            decided.keep_history(&tx, context).await?;
            let drafts = whole(&tx, context, decided.changed).await?;
            let drafts = drafts.iter().map(|account| changes::account(context, account)).collect();
            let position = changes::append(&tx, context, drafts).await?;
            Ok::<_, IngestionFault>((Put { results: decided.results, position }, plan.named))
        })
        .await?;
    for (external, id) in named {
        directory::remember(app, context, &external, id);
    }
    Ok(put)
}

/// One account with its contracts and contacts.
///
/// # Errors
/// [`IngestionFault::AccountUnknown`], else as the database.
pub async fn get(app: &App, context: &Context, named: &AccountRef) -> Result<Whole, IngestionFault> {
    let id = directory::one(app, context, named).await?;
    let tx = app.db.read("accounts.get", Scope::Workspace(context.id())).await?;
    let unknown = || IngestionFault::AccountUnknown(named.to_string());
    let row = account::load(&tx, context.id(), &[id], false).await?.pop().ok_or_else(unknown)?;
    let names = account::names(&tx, context.id(), &[id]).await?.remove(&id).unwrap_or_default();
    let contracts = contract::of_account(&tx, context.id(), id, SHOWN_MOST).await?;
    let contacts = contact::of_account(&tx, context.id(), id, SHOWN_MOST).await?;
    let monthly = revenue(&tx, context, id).await?.monthly();
    let position = position(&tx, context, id.partition()).await?;
    Ok(Whole { account: Account { row, names }, contracts, contacts, monthly, position })
}

/// At most `limit` accounts that pass the filter, by id, after `after`.
///
/// # Errors
/// As the database.
pub async fn list(
    app: &App,
    context: &Context,
    filter: &Filter,
    after: Option<AccountId>,
    limit: u32,
) -> Result<Vec<Account>, IngestionFault> {
    let tx = app.db.read("accounts.list", Scope::Workspace(context.id())).await?;
    let filter = AccountFilter { name_contains: filter.name_contains.clone(), stub: filter.stub };
    let after = after.map_or_else(Uuid::nil, |id| id.0);
    let rows = account::list(&tx, context.id(), &filter, after, limit).await?;
    whole(&tx, context, rows).await
}

/// Where an answer about an account stands in both logs.
///
/// # Errors
/// As the database.
pub(crate) async fn position(tx: &Tx, context: &Context, partition: Partition) -> Result<Vec<u8>, IngestionFault> {
    let one: Partitions = [partition].into_iter().collect();
    let mut position = Position::default();
    for (log, places) in [(Log::Changes, &mut position.changes), (Log::Events, &mut position.events)] {
        let heads = feed::heads_of(tx, log, context.id(), one).await?;
        places.extend(heads.into_iter().map(|(partition, head)| (partition, head.last_seq)));
    }
    Ok(position.encode())
}

/// The rows with their names.
pub(crate) async fn whole(tx: &Tx, context: &Context, rows: Vec<AccountRow>) -> Result<Vec<Account>, IngestionFault> {
    let ids: Vec<AccountId> = rows.iter().map(|row| row.id).collect();
    let mut names = account::names(tx, context.id(), &ids).await?;
    let account = |row: AccountRow| Account { names: names.remove(&row.id).unwrap_or_default(), row };
    Ok(rows.into_iter().map(account).collect())
}

async fn revenue(tx: &Tx, context: &Context, id: AccountId) -> Result<Revenue, IngestionFault> {
    let contracts = contract::paid_on(tx, context.id(), id, context.today()).await?;
    let externals: Vec<ExternalId> = contracts.iter().map(|contract| contract.external.clone()).collect();
    let cancelled = cancellation::of_contracts(tx, context.id(), &externals).await?;
    let held = contracts
        .iter()
        .map(|contract| Held { details: &contract.details, cancelled_on: cancelled.get(&contract.external).copied() });
    Ok(Revenue::of(held, context.today()))
}

/// The accounts that the items refer to and do not tell of themselves. A parent may be made; a twin must be known.
async fn elsewhere(
    app: &App,
    context: &Context,
    checked: &[Result<NewAccount, Violations>],
    intent: Intent,
) -> Result<BTreeMap<AccountRef, AccountId>, IngestionFault> {
    let own: BTreeSet<AccountRef> =
        checked.iter().flatten().map(|item| AccountRef::External(item.external_id.clone())).collect();
    let refs = |of: fn(&NewAccount) -> Option<&AccountRef>| {
        checked.iter().flatten().filter_map(of).filter(|named| !own.contains(*named)).cloned().collect::<BTreeSet<_>>()
    };
    let mut found = directory::known(app, context, &refs(|item| item.same_as.as_ref())).await?;
    let parents = refs(|item| item.parent.as_ref());
    found.extend(match intent {
        Intent::Store => directory::accounts(app, context, &parents).await?,
        Intent::Check => directory::imagined(app, context, &parents).await?,
    });
    Ok(found)
}

/// Which account each item is about.
struct Plan {
    /// What names meant before.
    known: BTreeMap<ExternalId, AccountId>,
    /// What the items' names mean from here on.
    named: BTreeMap<ExternalId, AccountId>,
    /// The account and its parent for each item, or why it is refused.
    items: Vec<Result<(AccountId, Option<AccountId>), Violations>>,
}

impl Plan {
    async fn of(
        tx: &Tx,
        context: &Context,
        checked: &[Result<NewAccount, Violations>],
        elsewhere: &BTreeMap<AccountRef, AccountId>,
    ) -> Result<Self, IngestionFault> {
        let externals: BTreeSet<ExternalId> = checked.iter().flatten().map(|item| item.external_id.clone()).collect();
        let externals: Vec<ExternalId> = externals.into_iter().collect();
        let mut known: BTreeMap<_, _> = names::accounts(tx, context.id(), &externals).await?.into_iter().collect();
        known.retain(|external, _| externals.binary_search(external).is_ok());
        let mut plan = Self { named: BTreeMap::new(), items: Vec::new(), known };
        // A refused item names nothing, which may leave another without its parent or twin.
        let mut refused = vec![None; checked.len()];
        loop {
            plan.assign(context, checked, elsewhere, &refused);
            let more = |(was, item): (&mut Option<_>, &Result<_, Violations>)| {
                let new = was.is_none() && item.is_err();
                if let Err(violations) = item {
                    *was = Some(violations.clone());
                }
                new
            };
            if refused.iter_mut().zip(&plan.items).map(more).filter(|new| *new).count() == 0 {
                return Ok(plan);
            }
        }
    }

    fn assign(
        &mut self,
        context: &Context,
        checked: &[Result<NewAccount, Violations>],
        elsewhere: &BTreeMap<AccountRef, AccountId>,
        refused: &[Option<Violations>],
    ) {
        let mut meant = self.known.clone();
        let mut accounts = Vec::with_capacity(checked.len());
        for (item, refused) in checked.iter().zip(refused) {
            let account = match (item, refused) {
                (_, Some(violations)) | (Err(violations), None) => Err(violations.clone()),
                (Ok(item), None) => twin(context, item, &meant, elsewhere),
            };
            if let (Ok(item), Ok(account)) = (item, &account) {
                meant.insert(item.external_id.clone(), *account);
            }
            accounts.push(account);
        }
        let parent = |(item, account): (&Result<NewAccount, _>, Result<AccountId, _>)| {
            let (account, Ok(item)) = (account?, item) else { return Err(Violations::new()) };
            Ok((account, parent(item, account, &meant, elsewhere)?))
        };
        self.items = checked.iter().zip(accounts).map(parent).collect();
        let named = |(item, plan): (&Result<NewAccount, _>, &Result<_, _>)| match (item, plan) {
            (Ok(item), Ok(_)) => meant.get(&item.external_id).map(|id| (item.external_id.clone(), *id)),
            _ => None,
        };
        self.named = checked.iter().zip(&self.items).filter_map(named).collect();
    }

    /// Gives the names to the accounts.
    async fn name(&self, tx: &Tx, context: &Context) -> Result<(), IngestionFault> {
        let new: Vec<_> = self
            .named
            .iter()
            .filter(|(external, _)| !self.known.contains_key(*external))
            .map(|(external, id)| (external.clone(), *id))
            .collect();
        if names::name_accounts(tx, context.id(), &new).await?.len() < new.len() {
            return Err(told::lost_race().into());
        }
        Ok(account::rename(tx, context.id(), &self.merged()).await?)
    }

    /// Names that were another account's.
    fn merged(&self) -> BTreeMap<ExternalId, AccountId> {
        let moved = |(external, id): (&ExternalId, &AccountId)| {
            self.known.get(external).filter(|before| *before != id).map(|_| (external.clone(), *id))
        };
        self.named.iter().filter_map(moved).collect()
    }
}

struct Decided {
    results: Vec<Outcome>,
    changed: Vec<AccountRow>,
    history: BTreeMap<(AccountId, String, Micros), AttributeRow>,
    /// Items that told nothing but older values of attributes, with the keys of those.
    late: Vec<(usize, AccountId, Vec<String>)>,
}

impl Decided {
    /// Keeps what attributes became. An item that told only older values is a duplicate unless one of them was new.
    async fn keep_history(&mut self, tx: &Tx, context: &Context) -> Result<(), IngestionFault> {
        let rows: Vec<AttributeRow> = std::mem::take(&mut self.history).into_values().collect();
        let added: BTreeSet<_> = account::add_history(tx, context.id(), &rows).await?.into_iter().collect();
        for (index, account, keys) in &self.late {
            if keys.iter().any(|key| added.contains(&(*account, key.clone()))) {
                self.results[*index] = Outcome::Stored(account.to_string());
            }
        }
        Ok(())
    }
}

async fn decide(
    tx: &Tx,
    context: &Context,
    checked: &[Result<NewAccount, Violations>],
    plan: &Plan,
    lock: bool,
) -> Result<Decided, IngestionFault> {
    // Who gives a name away changes too.
    let giving = plan.merged();
    let giving = giving.keys().filter_map(|external| plan.known.get(external));
    let touched: BTreeSet<AccountId> =
        plan.items.iter().flatten().map(|(account, _)| *account).chain(giving.copied()).collect();
    let ids: Vec<AccountId> = touched.into_iter().collect();
    let rows = account::load(tx, context.id(), &ids, lock).await?;
    let mut rows: BTreeMap<AccountId, AccountRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    let mut changed: BTreeSet<AccountId> = BTreeSet::new();
    let mut decided = Decided { results: Vec::new(), changed: Vec::new(), history: BTreeMap::new(), late: Vec::new() };
    let mut unnamed: BTreeSet<&ExternalId> = plan
        .named
        .iter()
        .filter(|(external, id)| plan.known.get(*external) != Some(*id))
        .map(|(name, _)| name)
        .collect();
    for external in &unnamed {
        changed.extend(plan.known.get(*external));
    }
    for (index, (item, target)) in checked.iter().zip(&plan.items).enumerate() {
        let (item, (id, parent)) = match (item, target) {
            (Ok(item), Ok(target)) => (item, *target),
            (Err(violations), _) | (_, Err(violations)) => {
                decided.results.push(Outcome::Rejected(violations.clone()));
                continue;
            }
        };
        let row = rows.entry(id).or_insert_with(|| new_row(context, id));
        let told = apply(context, row, item.clone(), parent, &mut decided.history);
        if unnamed.remove(&item.external_id) || told.changed {
            changed.insert(id);
            decided.results.push(Outcome::Stored(id.to_string()));
        } else {
            decided.results.push(Outcome::Duplicate(id.to_string()));
            decided.late.extend((!told.late.is_empty()).then_some((index, id, told.late)));
        }
    }
    decided.changed = rows.into_values().filter(|row| changed.contains(&row.id)).collect();
    for row in &mut decided.changed {
        row.version += 1;
        row.updated_at = context.now;
    }
    Ok(decided)
}

/// What an item did to its account.
struct Applied {
    changed: bool,
    late: Vec<String>,
}

fn apply(
    context: &Context,
    row: &mut AccountRow,
    mut item: NewAccount,
    parent: Option<AccountId>,
    history: &mut BTreeMap<(AccountId, String, Micros), AttributeRow>,
) -> Applied {
    // A value that the source knew before the one that stands is history alone.
    let (late, named): (Vec<_>, Vec<_>) = item.attributes.into_iter().partition(|attribute| {
        let standing = row.facts.attributes.iter().find(|(key, _)| **key == attribute.key);
        let known_at = standing.and_then(|(_, known)| known.known_at);
        attribute.known_at.zip(known_at).is_some_and(|(told, stands)| told < stands)
    });
    item.attributes = named;
    let change = row.facts.apply(item, parent);
    let changed = !change.is_empty();
    let keys = late.iter().map(|attribute| attribute.key.as_str().to_owned()).collect();
    for attribute in change.attributes.into_iter().map(|change| change.attribute).chain(late) {
        let known_at = attribute.known_at.unwrap_or(context.now);
        let key = attribute.key.into_string();
        let (account, value) = (row.id, attribute.value);
        let told =
            AttributeRow { account, key: key.clone(), known_at, received_at: context.now, value, previous: None };
        history.insert((row.id, key, known_at), told);
    }
    Applied { changed, late: keys }
}

fn new_row(context: &Context, id: AccountId) -> AccountRow {
    let (created_at, updated_at) = (context.now, context.now);
    AccountRow { id, facts: AccountFacts::stub(), created_at, updated_at, version: 0 }
}

/// The account that an item is about: its twin, the one its name means, or a new one.
fn twin(
    context: &Context,
    item: &NewAccount,
    meant: &BTreeMap<ExternalId, AccountId>,
    elsewhere: &BTreeMap<AccountRef, AccountId>,
) -> Result<AccountId, Violations> {
    let Some(same_as) = &item.same_as else {
        return Ok(meant.get(&item.external_id).copied().unwrap_or_else(|| AccountId::generate(context.now)));
    };
    look_up(same_as, meant, elsewhere).ok_or_else(|| {
        let mut violations = Violations::new();
        put::unknown(&mut violations, "same_as", same_as);
        violations
    })
}

fn parent(
    item: &NewAccount,
    account: AccountId,
    meant: &BTreeMap<ExternalId, AccountId>,
    elsewhere: &BTreeMap<AccountRef, AccountId>,
) -> Result<Option<AccountId>, Violations> {
    let Some(named) = &item.parent else { return Ok(None) };
    match look_up(named, meant, elsewhere) {
        Some(parent) if parent == account => {
            Err(put::refuse("parent", reason::REFERS_TO_ITSELF, "is the account itself"))
        }
        Some(parent) => Ok(Some(parent)),
        None => {
            let mut violations = Violations::new();
            put::unknown(&mut violations, "parent", named);
            Err(violations)
        }
    }
}

fn look_up(
    named: &AccountRef,
    meant: &BTreeMap<ExternalId, AccountId>,
    elsewhere: &BTreeMap<AccountRef, AccountId>,
) -> Option<AccountId> {
    let own = match named {
        AccountRef::External(external) => meant.get(external).copied(),
        AccountRef::Id(_) => None,
    };
    own.or_else(|| elsewhere.get(named).copied())
}
