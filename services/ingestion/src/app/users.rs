//! Users of the product as sources tell them. Events make users by themselves; here they get their names.

use std::collections::{BTreeMap, BTreeSet};

use keizoku_base::AccountId;
use keizoku_base::id::UserId;
use keizoku_storage::{Scope, Tx};

use super::context::Context;
use super::put::{self, Intent, Outcome, Put, Ready};
use super::{App, changes};
use crate::domain::account::{NewUser, UserDraft};
use crate::error::IngestionFault;
use crate::store::directory::{self, UserName};
use crate::store::told;
use crate::store::user::{self, UserRow};

/// Adds or changes users.
///
/// # Errors
/// As the database; then nothing is stored.
pub async fn put(app: &App, context: &Context, drafts: Vec<UserDraft>, intent: Intent) -> Result<Put, IngestionFault> {
    let checked = drafts.into_iter().map(NewUser::check).collect();
    let account = |item: &NewUser| vec![("account".to_owned(), item.account.clone())];
    let ready = put::resolve(app, context, checked, account, intent).await?;
    let names: BTreeSet<UserName> = ready.iter().flatten().map(|(item, of)| name(item, of)).collect();
    let names: Vec<UserName> = names.into_iter().collect();
    let scope = Scope::Workspace(context.id());
    if intent == Intent::Check {
        let tx = app.db.read("users.check", scope).await?;
        let before = user::named(&tx, context.id(), &names, false).await?;
        let known = before.iter().map(|user| user.id.to_string()).collect();
        return Ok(Put::checked(decide(context, &ready, before).results, &known));
    }
    app.db
        .transact("users.put", scope, async |tx| {
            let before = user::named(&tx, context.id(), &names, true).await?;
            let decided = decide(context, &ready, before);
            add(&tx, context, &decided.added).await?;
            user::rename(&tx, context.id(), &decided.renamed).await?;
            let told = decided.added.iter().chain(&decided.renamed);
            let drafts = told.map(|row| changes::user_of(context, row)).collect();
            let position = changes::append(&tx, context, drafts).await?;
            Ok(Put { results: decided.results, position })
        })
        .await
}

struct Decided {
    results: Vec<Outcome>,
    added: Vec<UserRow>,
    renamed: Vec<UserRow>,
}

fn decide(context: &Context, ready: &[Ready<NewUser>], before: Vec<UserRow>) -> Decided {
    let there: BTreeSet<UserId> = before.iter().map(|user| user.id).collect();
    let mut known: BTreeMap<UserName, UserRow> = before.into_iter().map(|user| (user.name.clone(), user)).collect();
    let mut changed: BTreeSet<UserName> = BTreeSet::new();
    let mut results = Vec::with_capacity(ready.len());
    for item in ready {
        let (item, of) = match item {
            Ok(item) => item,
            Err(violations) => {
                results.push(Outcome::Rejected(violations.clone()));
                continue;
            }
        };
        let name = name(item, of);
        let held = known.get(&name);
        if let Some(held) = held.filter(|held| held.display_name == item.display_name) {
            results.push(Outcome::Duplicate(held.id.to_string()));
            continue;
        }
        let row = UserRow {
            id: held.map_or_else(|| UserId::generate(context.now), |user| user.id),
            name: name.clone(),
            ordinal: held.map_or(0, |user| user.ordinal),
            display_name: item.display_name.clone(),
            created_at: held.map_or(context.now, |user| user.created_at),
        };
        results.push(Outcome::Stored(row.id.to_string()));
        known.insert(name.clone(), row);
        changed.insert(name);
    }
    let changed = known.into_values().filter(|user| changed.contains(&user.name));
    let (renamed, added) = changed.partition(|user| there.contains(&user.id));
    Decided { results, added, renamed }
}

async fn add(tx: &Tx, context: &Context, users: &[UserRow]) -> Result<(), IngestionFault> {
    if users.is_empty() {
        return Ok(());
    }
    let first = directory::take_ordinals(tx, context.id(), users.len()).await?;
    let rows: Vec<_> = (first..)
        .zip(users)
        .map(|(ordinal, user)| directory::NewUser {
            name: user.name.clone(),
            id: user.id.0,
            ordinal,
            display_name: user.display_name.clone(),
        })
        .collect();
    let added = directory::add_users(tx, context.id(), &rows, context.now).await?;
    if added.len() < rows.len() { Err(told::lost_race().into()) } else { Ok(()) }
}

fn name(item: &NewUser, of: &[AccountId]) -> UserName {
    UserName { account: of[0], external: item.external_id.clone() }
}
