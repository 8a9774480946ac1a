//! What all Put calls have in common: each item is answered by itself, in order, and one bad item keeps no other back.

use std::collections::{BTreeMap, BTreeSet};

use keizoku_base::{AccountId, AccountRef, ExternalId, Micros, Violations};
use uuid::Uuid;

use super::context::Context;
use super::{App, directory};
use crate::domain::pack::Digest;
use crate::domain::reason;
use crate::error::IngestionFault;
use crate::store::told::Told;

/// What became of all items, and where their changes stand in the log.
#[derive(Debug, Clone, Default)]
pub struct Put {
    /// One per item, in order.
    pub results: Vec<Outcome>,
    /// The position's bytes.
    pub position: Vec<u8>,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was stored under this id.
    Stored(String),
    /// The same was there already under this id.
    Duplicate(String),
    /// Everything that is wrong with it.
    Rejected(Violations),
}

/// Whether to store, or only to say what would become of the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Store.
    Store,
    /// Check only.
    Check,
}

/// An item of which it is known who is meant, or why it is refused.
pub(crate) type Ready<T> = Result<(T, Vec<AccountId>), Violations>;

/// What tells how things of one kind are kept.
pub(crate) struct Rules<T, D> {
    /// The item's name in its source.
    pub(crate) external: fn(&T) -> &ExternalId,
    /// What is known from here on, where something was known before or not.
    pub(crate) onto: fn(T, Option<&D>) -> D,
    /// The digest of what is known.
    pub(crate) content: fn(&D, AccountId) -> Digest,
    /// A new id.
    pub(crate) new_id: fn(Micros) -> Uuid,
    /// An id as it is shown.
    pub(crate) shown: fn(Uuid) -> String,
}

/// What to save and to tell.
pub(crate) struct Decided<D> {
    /// What became of each item.
    pub(crate) results: Vec<Outcome>,
    /// What changed, each once, as it is from here on.
    pub(crate) changed: Vec<Told<D>>,
    /// What an account has no more, because it is another's now.
    pub(crate) left: Vec<(Uuid, AccountId)>,
}

/// Finds out who is meant. Items of accounts that are unknown, and may not be made, are refused. `refs` are an item's
/// accounts with the paths of their fields.
///
/// # Errors
/// As the database.
pub(crate) async fn resolve<T>(
    app: &App,
    context: &Context,
    checked: Vec<Result<T, Violations>>,
    refs: impl Fn(&T) -> Vec<(String, AccountRef)>,
    intent: Intent,
) -> Result<Vec<Ready<T>>, IngestionFault> {
    let wanted: BTreeSet<AccountRef> =
        checked.iter().flatten().flat_map(|item| refs(item).into_iter().map(|(_, account)| account)).collect();
    let accounts = match intent {
        Intent::Store => directory::accounts(app, context, &wanted).await?,
        Intent::Check => directory::imagined(app, context, &wanted).await?,
    };
    let resolved = checked.into_iter().map(|item| {
        let item = item?;
        let accounts = named(&refs(&item), &accounts)?;
        Ok((item, accounts))
    });
    Ok(resolved.collect())
}

/// The names of the items that are to be stored, sorted, each once.
pub(crate) fn names<T>(ready: &[Ready<T>], external: fn(&T) -> &ExternalId) -> Vec<ExternalId> {
    let names: BTreeSet<&ExternalId> = ready.iter().flatten().map(|(item, _)| external(item)).collect();
    names.into_iter().cloned().collect()
}

/// What becomes of the items, where `before` is what is known of those names. Later items of a name follow earlier ones.
pub(crate) fn decide<T: Clone, D: Clone>(
    context: &Context,
    ready: &[Ready<T>],
    before: Vec<Told<D>>,
    rules: &Rules<T, D>,
) -> Decided<D> {
    let lived: BTreeMap<Uuid, AccountId> = before.iter().map(|told| (told.id, told.account)).collect();
    let mut known: BTreeMap<ExternalId, Told<D>> =
        before.into_iter().map(|told| (told.external.clone(), told)).collect();
    let mut changed: BTreeSet<ExternalId> = BTreeSet::new();
    let mut results = Vec::with_capacity(ready.len());
    for item in ready {
        let (item, account) = match item {
            Ok((item, accounts)) => (item.clone(), accounts[0]),
            Err(violations) => {
                results.push(Outcome::Rejected(violations.clone()));
                continue;
            }
        };
        let external = (rules.external)(&item).clone();
        let held = known.get(&external);
        let details = (rules.onto)(item, held.map(|told| &told.details));
        let content = (rules.content)(&details, account);
        if let Some(held) = held.filter(|held| held.content == content) {
            results.push(Outcome::Duplicate((rules.shown)(held.id)));
            continue;
        }
        let id = held.map_or_else(|| (rules.new_id)(context.now), |told| told.id);
        let told = Told { id, external: external.clone(), account, details, known_at: context.now, content };
        known.insert(external.clone(), told);
        changed.insert(external);
        results.push(Outcome::Stored((rules.shown)(id)));
    }
    let changed: Vec<Told<D>> = known.into_values().filter(|told| changed.contains(&told.external)).collect();
    let moved = |told: &Told<D>| lived.get(&told.id).filter(|old| **old != told.account).map(|old| (told.id, *old));
    Decided { results, left: changed.iter().filter_map(moved).collect(), changed }
}

/// A refusal of one field.
pub(crate) fn refuse(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Violations {
    let mut violations = Violations::new();
    violations.add(field, reason, description);
    violations
}

/// That nobody knows the account.
pub(crate) fn unknown(violations: &mut Violations, field: &str, account: &AccountRef) {
    violations.add(field, reason::ACCOUNT_UNKNOWN, format!("the account {account} is not known"));
}

impl Put {
    /// The answer where nothing is stored: ids of things that are not there are left out.
    pub(crate) fn checked(results: Vec<Outcome>, known: &BTreeSet<String>) -> Self {
        let shown = |id: String| if known.contains(&id) { id } else { String::new() };
        let outcome = |outcome| match outcome {
            Outcome::Stored(id) => Outcome::Stored(shown(id)),
            Outcome::Duplicate(id) => Outcome::Duplicate(shown(id)),
            Outcome::Rejected(violations) => Outcome::Rejected(violations),
        };
        Self { results: results.into_iter().map(outcome).collect(), position: Vec::new() }
    }
}

fn named(
    refs: &[(String, AccountRef)],
    accounts: &BTreeMap<AccountRef, AccountId>,
) -> Result<Vec<AccountId>, Violations> {
    let (mut violations, mut found) = (Violations::new(), Vec::with_capacity(refs.len()));
    for (field, reference) in refs {
        match accounts.get(reference) {
            None => unknown(&mut violations, field, reference),
            Some(id) if found.contains(id) => {
                violations.add(field, reason::DUPLICATE_KEY, "names an account that is named already");
            }
            Some(id) => found.push(*id),
        }
    }
    violations.or(found)
}
