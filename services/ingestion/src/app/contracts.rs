//! Contracts as sources tell them. Every version stays, under the instant at which its source knew it.

use std::collections::{BTreeMap, BTreeSet};

use keizoku_base::id::ContractId;
use keizoku_base::{AccountId, ExternalId, Micros};
use keizoku_storage::{Scope, Tx};
use uuid::Uuid;

use super::context::Context;
use super::put::{self, Intent, Outcome, Put, Ready};
use super::{App, changes};
use crate::domain::account::{ContractDraft, NewContract};
use crate::error::IngestionFault;
use crate::store::contract::{self, ContractRow, VersionRow};

/// Adds or changes contracts.
///
/// # Errors
/// As the database; then nothing is stored.
pub async fn put(
    app: &App,
    context: &Context,
    drafts: Vec<ContractDraft>,
    intent: Intent,
) -> Result<Put, IngestionFault> {
    let checked = drafts.into_iter().map(|draft| NewContract::check(draft, context.now)).collect();
    let accounts = |item: &NewContract| {
        let field = |(index, account)| (format!("accounts[{index}]"), account);
        item.accounts.iter().cloned().enumerate().map(field).collect()
    };
    let ready = put::resolve(app, context, checked, accounts, intent).await?;
    let scope = Scope::Workspace(context.id());
    if intent == Intent::Check {
        let tx = app.db.read("contracts.check", scope).await?;
        let before = load(&tx, context, &ready, false).await?;
        let known = before.rows.values().map(|row| ContractId(row.id).to_string()).collect();
        return Ok(Put::checked(decide(context, &ready, before).results, &known));
    }
    app.db
        .transact("contracts.put", scope, async |tx| {
            let before = load(&tx, context, &ready, true).await?;
            let decided = decide(context, &ready, before);
            contract::save(&tx, context.id(), &decided.changed).await?;
            contract::add_versions(&tx, context.id(), &decided.versions).await?;
            let mut drafts: Vec<_> =
                decided.changed.iter().flat_map(|contract| changes::contract(context, contract)).collect();
            drafts.extend(changes::gone(context, changes::CONTRACT, &decided.left));
            let position = changes::append(&tx, context, drafts).await?;
            Ok(Put { results: decided.results, position })
        })
        .await
}

/// What is known of the contracts that the items name.
struct Known {
    rows: BTreeMap<ExternalId, ContractRow>,
    /// Every version of those of which an item tells an older one than the last.
    versions: BTreeMap<Uuid, Vec<VersionRow>>,
    changed: BTreeSet<ExternalId>,
    told: Vec<VersionRow>,
}

struct Decided {
    results: Vec<Outcome>,
    changed: Vec<ContractRow>,
    versions: Vec<VersionRow>,
    left: Vec<(Uuid, AccountId)>,
}

async fn load(tx: &Tx, context: &Context, ready: &[Ready<NewContract>], lock: bool) -> Result<Known, IngestionFault> {
    let names = put::names(ready, |item: &NewContract| &item.external_id);
    let rows = contract::named(tx, context.id(), &names, lock).await?;
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.external.clone(), row)).collect();
    let mut last: BTreeMap<Uuid, Micros> = rows.values().map(|row| (row.id, row.known_at)).collect();
    let mut late: BTreeSet<Uuid> = BTreeSet::new();
    for (item, _) in ready.iter().flatten() {
        let Some(row) = rows.get(&item.external_id) else { continue };
        let (at, last) = (known_at(context, item), last.entry(row.id).or_insert(row.known_at));
        if at < *last {
            late.insert(row.id);
        }
        *last = at.max(*last);
    }
    let mut versions: BTreeMap<Uuid, Vec<VersionRow>> = BTreeMap::new();
    if !late.is_empty() {
        let late: Vec<Uuid> = late.into_iter().collect();
        for version in contract::versions(tx, context.id(), &late).await? {
            versions.entry(version.contract).or_default().push(version);
        }
    }
    Ok(Known { rows, versions, changed: BTreeSet::new(), told: Vec::new() })
}

fn decide(context: &Context, ready: &[Ready<NewContract>], mut known: Known) -> Decided {
    let covered: BTreeMap<Uuid, Vec<AccountId>> =
        known.rows.values().map(|row| (row.id, row.accounts.clone())).collect();
    let outcome = |item: &Ready<NewContract>| match item {
        Ok((item, accounts)) => known.take(context, item.clone(), accounts.clone()),
        Err(violations) => Outcome::Rejected(violations.clone()),
    };
    let results = ready.iter().map(outcome).collect();
    let Known { rows, changed, told, .. } = known;
    let changed: Vec<ContractRow> = rows.into_values().filter(|row| changed.contains(&row.external)).collect();
    Decided { results, left: left(&changed, &covered), changed, versions: told }
}

impl Known {
    fn take(&mut self, context: &Context, item: NewContract, accounts: Vec<AccountId>) -> Outcome {
        let external = item.external_id.clone();
        let held = self.rows.get(&external);
        let id = held.map_or_else(|| ContractId::generate(context.now).0, |held| held.id);
        let shown = ContractId(id).to_string();
        let at = known_at(context, &item);
        let current = held.is_none_or(|held| at >= held.known_at);
        // What the source tells late is held against what was believed at that instant, and changes nothing of today.
        let base = if current {
            held.map(|held| (&held.details, &held.accounts))
        } else {
            let told = self.versions.get(&id).and_then(|told| told.iter().rfind(|version| version.known_at <= at));
            told.map(|version| (&version.details, &version.accounts))
        };
        let details = item.onto(base.map(|(details, _)| details));
        let content = details.content(&accounts);
        let same = held.is_some_and(|held| held.content == content);
        if same || base.is_some_and(|(details, accounts)| details.content(accounts) == content) {
            return Outcome::Duplicate(shown);
        }
        let (received_at, covers) = (context.now, accounts.clone());
        let version =
            VersionRow { contract: id, known_at: at, received_at, accounts: covers, details: details.clone() };
        let told = self.versions.entry(id).or_default();
        told.insert(told.partition_point(|earlier| earlier.known_at <= at), version.clone());
        self.told.push(version);
        if current {
            let row = ContractRow { id, external: external.clone(), accounts, details, known_at: at, content };
            self.rows.insert(external.clone(), row);
            self.changed.insert(external);
        }
        Outcome::Stored(shown)
    }
}

/// The accounts that contracts cover no more.
fn left(changed: &[ContractRow], covered: &BTreeMap<Uuid, Vec<AccountId>>) -> Vec<(Uuid, AccountId)> {
    let of = |row: &ContractRow| {
        let before = covered.get(&row.id).into_iter().flatten();
        before.filter(|account| !row.accounts.contains(account)).map(|account| (row.id, *account)).collect::<Vec<_>>()
    };
    changed.iter().flat_map(of).collect()
}

fn known_at(context: &Context, item: &NewContract) -> Micros {
    item.known_at.unwrap_or(context.now)
}
