//! Finding out who is meant, before anything is stored: accounts by reference, users by the ids in their source.
//!
//! An own, earlier transaction: an account or a user that is made and then gets no event harms nobody, and the path of
//! events stays one short transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keizoku_base::id::UserId;
use keizoku_base::{AccountId, AccountRef, ExternalId, WorkspaceId};
use keizoku_control::UnknownAccount;
use keizoku_storage::{Scope, Tx};

use super::context::Context;
use super::{App, changes};
use crate::error::IngestionFault;
use crate::store::directory::{self, NewUser, UserName};

/// How many names are remembered.
const REMEMBERED: u64 = 500_000;

/// How long the account that an external id names is remembered: a merge gives the id to another one, and other
/// processes notice it after this time.
const NAMED_FOR: Duration = Duration::from_secs(10);

/// Remembers who is who. Ids stay true until a reset, external ids until a merge.
pub struct Directory {
    accounts: moka::sync::Cache<(WorkspaceId, ExternalId), AccountId>,
    known: moka::sync::Cache<(WorkspaceId, AccountId), ()>,
    users: moka::sync::Cache<(WorkspaceId, UserName), u32>,
}

impl Directory {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            accounts: moka::sync::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(NAMED_FOR)
                .support_invalidation_closures()
                .build(),
            known: moka::sync::Cache::builder().max_capacity(REMEMBERED).support_invalidation_closures().build(),
            users: moka::sync::Cache::builder().max_capacity(REMEMBERED).support_invalidation_closures().build(),
        }
    }

    /// Forgets all of a workspace.
    pub(crate) fn forget(&self, workspace: WorkspaceId) {
        // Only a directory built without closures refuses one.
        let _refused = self.accounts.invalidate_entries_if(move |key, _| key.0 == workspace);
        let _refused = self.known.invalidate_entries_if(move |key, ()| key.0 == workspace);
        let _refused = self.users.invalidate_entries_if(move |key, _| key.0 == workspace);
    }
}

/// The accounts meant by `refs`; those that are unknown, and may not be made, are missing in the answer.
///
/// # Errors
/// As the database.
pub(crate) async fn accounts(
    app: &App,
    context: &Context,
    refs: &BTreeSet<AccountRef>,
) -> Result<BTreeMap<AccountRef, AccountId>, IngestionFault> {
    let mut found = known(app, context, refs).await?;
    let (_, unknown) = missing(refs, &found);
    if !unknown.is_empty() && context.workspace.unknown_account == UnknownAccount::CreateStub {
        for (external, id) in make_stubs(app, context, &unknown).await? {
            remember(app, context, &external, id);
            found.insert(AccountRef::External(external), id);
        }
    }
    found.retain(|reference, _| refs.contains(reference));
    Ok(found)
}

/// As [`accounts`], for a check that stores nothing: an account that would be made has an id that is nobody's.
///
/// # Errors
/// As the database.
pub(crate) async fn imagined(
    app: &App,
    context: &Context,
    refs: &BTreeSet<AccountRef>,
) -> Result<BTreeMap<AccountRef, AccountId>, IngestionFault> {
    let mut found = known(app, context, refs).await?;
    if context.workspace.unknown_account == UnknownAccount::CreateStub {
        let (_, unknown) = missing(refs, &found);
        let stub = |external| (AccountRef::External(external), AccountId::generate(context.now));
        found.extend(unknown.into_iter().map(stub));
    }
    Ok(found)
}

/// The accounts meant by `refs` that are known.
///
/// # Errors
/// As the database.
pub(crate) async fn known(
    app: &App,
    context: &Context,
    refs: &BTreeSet<AccountRef>,
) -> Result<BTreeMap<AccountRef, AccountId>, IngestionFault> {
    let mut found = remembered(app, context, refs);
    let (ids, externals) = missing(refs, &found);
    if ids.is_empty() && externals.is_empty() {
        return Ok(found);
    }
    let tx = app.db.read("directory.accounts", Scope::Workspace(context.id())).await?;
    for id in directory::existing(&tx, context.id(), &ids).await? {
        app.directory.known.insert((context.id(), id), ());
        found.insert(AccountRef::Id(id), id);
    }
    for (external, id) in directory::accounts(&tx, context.id(), &externals).await? {
        remember(app, context, &external, id);
        found.insert(AccountRef::External(external), id);
    }
    found.retain(|reference, _| refs.contains(reference));
    Ok(found)
}

/// The account that a caller names.
///
/// # Errors
/// [`IngestionFault::AccountUnknown`], else as the database.
pub(crate) async fn one(app: &App, context: &Context, named: &AccountRef) -> Result<AccountId, IngestionFault> {
    let found = known(app, context, &BTreeSet::from([named.clone()])).await?;
    found.get(named).copied().ok_or_else(|| IngestionFault::AccountUnknown(named.to_string()))
}

/// The ordinals of users, made where they are new.
///
/// # Errors
/// As the database.
pub(crate) async fn users(
    app: &App,
    context: &Context,
    names: &BTreeSet<UserName>,
) -> Result<BTreeMap<UserName, u32>, IngestionFault> {
    let known = |name: &UserName| app.directory.users.get(&(context.id(), name.clone()));
    let mut found: BTreeMap<_, _> = names.iter().filter_map(|name| Some((name.clone(), known(name)?))).collect();
    let rest: Vec<UserName> = names.iter().filter(|name| !found.contains_key(*name)).cloned().collect();
    if rest.is_empty() {
        return Ok(found);
    }
    let ordinals = app
        .db
        .transact("directory.users", Scope::Workspace(context.id()), async |tx| {
            let known = directory::user_ordinals(&tx, context.id(), &rest).await?;
            let named: BTreeSet<&UserName> = known.iter().map(|(name, _)| name).collect();
            let new: Vec<UserName> = rest.iter().filter(|name| !named.contains(name)).cloned().collect();
            let mut all = known.clone();
            all.extend(make_users(&tx, context, &new).await?);
            Ok::<_, IngestionFault>(all)
        })
        .await?;
    for (name, ordinal) in ordinals {
        if names.contains(&name) {
            app.directory.users.insert((context.id(), name.clone()), ordinal);
            found.insert(name, ordinal);
        }
    }
    Ok(found)
}

fn remembered(app: &App, context: &Context, refs: &BTreeSet<AccountRef>) -> BTreeMap<AccountRef, AccountId> {
    let look_up = |reference: &AccountRef| match reference {
        AccountRef::Id(id) => app.directory.known.get(&(context.id(), *id)).map(|()| *id),
        AccountRef::External(external) => app.directory.accounts.get(&(context.id(), external.clone())),
    };
    refs.iter().filter_map(|reference| Some((reference.clone(), look_up(reference)?))).collect()
}

/// Remembers what an external id names.
pub(crate) fn remember(app: &App, context: &Context, external: &ExternalId, id: AccountId) {
    app.directory.accounts.insert((context.id(), external.clone()), id);
    app.directory.known.insert((context.id(), id), ());
}

fn missing(refs: &BTreeSet<AccountRef>, found: &BTreeMap<AccountRef, AccountId>) -> (Vec<AccountId>, Vec<ExternalId>) {
    let (mut ids, mut externals) = (Vec::new(), Vec::new());
    for reference in refs.iter().filter(|reference| !found.contains_key(*reference)) {
        match reference {
            AccountRef::Id(id) => ids.push(*id),
            AccountRef::External(external) => externals.push(external.clone()),
        }
    }
    (ids, externals)
}

/// Makes an account for each external id; where somebody was faster, theirs is the one.
async fn make_stubs(
    app: &App,
    context: &Context,
    externals: &[ExternalId],
) -> Result<Vec<(ExternalId, AccountId)>, IngestionFault> {
    app.db
        .transact("directory.make_stubs", Scope::Workspace(context.id()), async |tx| {
            let pairs: Vec<_> =
                externals.iter().map(|external| (external.clone(), AccountId::generate(context.now))).collect();
            let given: BTreeSet<_> = directory::name_accounts(&tx, context.id(), &pairs).await?.into_iter().collect();
            let made: Vec<_> = pairs.into_iter().filter(|(external, _)| given.contains(external)).collect();
            let ids: Vec<_> = made.iter().map(|(_, id)| *id).collect();
            directory::add_stubs(&tx, context.id(), &ids, context.now).await?;
            let drafts = made.iter().map(|(external, id)| changes::stub(context, *id, external)).collect();
            changes::append(&tx, context, drafts).await?;
            Ok::<_, IngestionFault>(directory::accounts(&tx, context.id(), externals).await?)
        })
        .await
}

async fn make_users(tx: &Tx, context: &Context, names: &[UserName]) -> Result<Vec<(UserName, u32)>, IngestionFault> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // Whoever takes ordinals holds their row until the commit: no other caller can add the same users meanwhile.
    let first = directory::take_ordinals(tx, context.id(), names.len()).await?;
    let users: Vec<NewUser> = (first..)
        .zip(names)
        .map(|(ordinal, name)| NewUser {
            name: name.clone(),
            id: UserId::generate(context.now).0,
            ordinal,
            display_name: String::new(),
        })
        .collect();
    let added: BTreeSet<u32> = directory::add_users(tx, context.id(), &users, context.now).await?.into_iter().collect();
    let made: Vec<&NewUser> = users.iter().filter(|user| added.contains(&user.ordinal)).collect();
    let drafts = made.iter().map(|user| changes::user(context, user)).collect();
    changes::append(tx, context, drafts).await?;
    Ok(directory::user_ordinals(tx, context.id(), names).await?)
}
