//! Workspaces: made, changed, reset, their clocks set.

use std::sync::Arc;

use keizoku_base::money::Currency;
use keizoku_base::{Micros, Violations, WorkspaceId, Zone};
use keizoku_control::{Kind, Rate, UnknownAccount, Workspace, secret, store as control};
use keizoku_convert::reason;
use keizoku_storage::feed::{self, Log, Partitions};
use keizoku_storage::{Scope, Tx};

use super::context::{Actor, ActorKind, Context};
use super::repeat::{self, Answered, Repeat};
use super::{App, changes, keys, roll};
use crate::config::{BootstrapKind, IngestionSettings};
use crate::error::IngestionFault;
use crate::store;

/// A workspace to make.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Its name.
    pub display_name: String,
    /// Whether its data are real.
    pub kind: Kind,
    /// Its zone.
    pub zone: Zone,
    /// What happens to data of unknown accounts.
    pub unknown_account: UnknownAccount,
    /// The currency of sums.
    pub reporting_currency: Currency,
    /// Rates into it.
    pub rates: Vec<Rate>,
    /// Whether a generator makes its data.
    pub synthetic: bool,
}

/// A workspace just made, with its first key.
#[derive(Debug, Clone)]
pub struct Created {
    /// The workspace.
    pub workspace: Workspace,
    /// Its first key.
    pub key: keizoku_control::KeyRow,
    /// The key's secret, not kept anywhere.
    pub secret: String,
}

/// A workspace as it stands after a change, and where that stands in the log.
pub type Changed = (Workspace, Vec<u8>);

/// What to change of a workspace; `None` leaves a value as it is.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceUpdate {
    /// The name.
    pub display_name: Option<String>,
    /// What happens to data of unknown accounts.
    pub unknown_account: Option<UnknownAccount>,
    /// The currency of sums.
    pub reporting_currency: Option<Currency>,
    /// Rates into it.
    pub rates: Option<Vec<Rate>>,
    /// The version that was read; `None`: whichever stands.
    pub version: Option<i64>,
}

/// Makes a workspace and its first key. With `first_secret` it is the one that a new installation is set up through: that
/// key may make further workspaces. `again` is kept with the workspace that the caller belongs to.
///
/// # Errors
/// [`IngestionFault::RequestReused`], else as the database.
pub async fn create(
    app: &App,
    actor: &Actor,
    new: NewWorkspace,
    first_secret: Option<(WorkspaceId, String)>,
    again: Option<(WorkspaceId, &Repeat<'_, Created>)>,
) -> Result<Answered<Created>, IngestionFault> {
    let (now, operator) = (app.clock.now(), first_secret.is_some());
    let (id, secret) = first_secret.unwrap_or_else(|| {
        let id = WorkspaceId::generate(now);
        (id, secret::generate(id))
    });
    let workspace = Workspace {
        id,
        display_name: new.display_name,
        kind: new.kind,
        zone: new.zone,
        unknown_account: new.unknown_account,
        reporting_currency: new.reporting_currency,
        rates: new.rates,
        clock_set_to: None,
        synthetic: new.synthetic,
        created_at: now,
        version: 1,
    };
    let scopes: &[&str] = if operator { &["*", "workspaces:admin"] } else { &["*"] };
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let key = keys::row(id, "first key", &scopes, &secret, None, now);
    let context = Context {
        workspace: Arc::new(workspace.clone()),
        actor: actor.clone(),
        now,
        written_at: now,
        trace_parent: super::context::trace_parent(),
    };
    let (asker, again) = again.map_or((id, None), |(asker, again)| (asker, Some(again)));
    app.db
        .transact("workspaces.create", Scope::System, async |tx| {
            if let Some(kept) = repeat::recall(&tx, asker, again).await? {
                return Ok(Answered::Again(kept));
            }
            control::put_workspace(&tx, workspace.to_row()).await?;
            control::put_key(&tx, key.clone()).await?;
            let drafts = vec![changes::workspace(&context, &workspace), changes::key(&context, &key)];
            changes::append(&tx, &context, drafts).await?;
            let made = Created { workspace: workspace.clone(), key: key.clone(), secret: secret.clone() };
            repeat::keep(&tx, asker, &context, again, made).await
        })
        .await
}

/// Makes the workspace that the bootstrap key opens, where it is not there yet.
///
/// # Errors
/// A violation where the key or the zone has no meaning; else as the database.
pub(crate) async fn bootstrap(app: &App, settings: &IngestionSettings) -> Result<(), IngestionFault> {
    let secret = settings.bootstrap_key.reveal();
    if secret.is_empty() {
        return Ok(());
    }
    let mut violations = Violations::new();
    let id = secret::workspace_of(secret);
    if id.is_none() {
        violations.add("ingestion.bootstrap_key", reason::NOT_AN_ID, "must have the form kz_…");
    }
    let zone = Zone::parse(&settings.bootstrap_zone);
    if zone.is_none() {
        violations.add("ingestion.bootstrap_zone", reason::NOT_A_ZONE, "must be a name of the IANA database");
    }
    let (Some(id), Some(zone)) = (id, zone) else { return Err(violations.into()) };
    let tx = app.db.read("workspaces.bootstrap", Scope::Workspace(id)).await?;
    let known = control::key_by_hash(&tx, id, &secret::hash(secret)).await?.is_some();
    drop(tx);
    if known {
        return Ok(());
    }
    let new = NewWorkspace {
        display_name: settings.bootstrap_name.clone(),
        kind: match settings.bootstrap_kind {
            BootstrapKind::Live => Kind::Live,
            BootstrapKind::Test => Kind::Test,
        },
        zone,
        unknown_account: UnknownAccount::CreateStub,
        reporting_currency: Currency::parse("USD").unwrap_or_else(|| panic!("USD is a currency")),
        rates: Vec::new(),
        synthetic: settings.bootstrap_synthetic,
    };
    let actor = Actor { kind: ActorKind::Service, id: "ingestion".to_owned(), on_behalf_of: String::new() };
    create(app, &actor, new, Some((id, secret.to_owned())), None).await?;
    Ok(())
}

/// At most `limit` workspaces after `after`, oldest first.
///
/// # Errors
/// As the database.
pub async fn list(app: &App, after: Option<WorkspaceId>, limit: u32) -> Result<Vec<Workspace>, IngestionFault> {
    let tx = app.db.read("workspaces.list", Scope::System).await?;
    Ok(control::workspaces(&tx, after, limit).await?.iter().map(Workspace::from_row).collect())
}

/// Changes the caller's workspace.
///
/// # Errors
/// [`IngestionFault::EtagMismatch`] where it was changed since it was read; [`IngestionFault::RequestReused`]; else as
/// the database.
pub async fn update(
    app: &App,
    context: &Context,
    update: &WorkspaceUpdate,
    again: Option<&Repeat<'_, Changed>>,
) -> Result<Answered<Changed>, IngestionFault> {
    change(app, context, "workspaces.update", again, |workspace| {
        if update.version.is_some_and(|version| version != workspace.version) {
            return Err(IngestionFault::EtagMismatch);
        }
        if let Some(name) = &update.display_name {
            workspace.display_name.clone_from(name);
        }
        if let Some(rates) = &update.rates {
            workspace.rates.clone_from(rates);
        }
        workspace.unknown_account = update.unknown_account.unwrap_or(workspace.unknown_account);
        workspace.reporting_currency = update.reporting_currency.unwrap_or(workspace.reporting_currency);
        Ok(())
    })
    .await
}

/// Sets the clock of a TEST workspace; it stands there until it is set again.
///
/// # Errors
/// [`IngestionFault::NotATestWorkspace`], [`IngestionFault::ClockBackward`], else as the database.
pub async fn set_clock(app: &App, context: &Context, to: Micros) -> Result<Changed, IngestionFault> {
    let changed = change(app, context, "workspaces.set_clock", None, |workspace| {
        if workspace.kind != Kind::Test {
            return Err(IngestionFault::NotATestWorkspace);
        }
        match workspace.clock_set_to {
            Some(stands) if to < stands => Err(IngestionFault::ClockBackward(stands.to_string())),
            _ => {
                workspace.clock_set_to = Some(to);
                Ok(())
            }
        }
    });
    first(changed.await?)
}

/// Empties a TEST workspace. Whoever follows its feed lists its state again, and so forgets it too.
///
/// # Errors
/// [`IngestionFault::NotATestWorkspace`], [`IngestionFault::NameNotConfirmed`], else as the database.
pub async fn reset(app: &App, context: &Context, confirm: &str) -> Result<Workspace, IngestionFault> {
    if context.workspace.kind != Kind::Test {
        return Err(IngestionFault::NotATestWorkspace);
    }
    if context.workspace.display_name != confirm {
        return Err(IngestionFault::NameNotConfirmed);
    }
    app.db
        .transact("workspaces.reset", Scope::Workspace(context.id()), async |tx| {
            // Held from the start, so that no batch of events that are gone is counted afterwards.
            feed::pin(&tx, &roll::cursors(), context.id(), Partitions::ALL).await?;
            store::reset::everything(&tx, context.id()).await?;
            feed::forget(&tx, context.id(), Log::Events).await?;
            feed::skip_to_floor(&tx, &roll::cursors(), context.id()).await?;
            feed::forget(&tx, context.id(), Log::Changes).await?;
            Ok::<_, IngestionFault>(())
        })
        .await?;
    app.forget_accounts(context.id());
    let changed = change(app, context, "workspaces.reset_clock", None, |workspace| {
        workspace.clock_set_to = None;
        Ok(())
    });
    Ok(first(changed.await?)?.0)
}

/// Changes the workspace's row, locked, so that two changes follow one another.
async fn change(
    app: &App,
    context: &Context,
    name: &'static str,
    again: Option<&Repeat<'_, Changed>>,
    decide: impl Fn(&mut Workspace) -> Result<(), IngestionFault> + Send + Sync,
) -> Result<Answered<Changed>, IngestionFault> {
    let changed = app
        .db
        .transact(name, Scope::Workspace(context.id()), async |tx| {
            if let Some(kept) = repeat::recall(&tx, context.id(), again).await? {
                return Ok(Answered::Again(kept));
            }
            let mut workspace = locked(&tx, context.id()).await?;
            decide(&mut workspace)?;
            workspace.version += 1;
            control::put_workspace(&tx, workspace.to_row()).await?;
            let position = changes::append(&tx, context, vec![changes::workspace(context, &workspace)]).await?;
            repeat::keep(&tx, context.id(), context, again, (workspace, position)).await
        })
        .await?;
    app.control.forget(context.id()).await;
    Ok(changed)
}

/// The answer of what has no request id and so was done now.
fn first<T>(answered: Answered<T>) -> Result<T, IngestionFault> {
    match answered {
        Answered::First(answer) => Ok(answer),
        Answered::Again(_) => Err(IngestionFault::RequestReused),
    }
}

async fn locked(tx: &Tx, id: WorkspaceId) -> Result<Workspace, IngestionFault> {
    let row = control::lock_workspace(tx, id).await?;
    Ok(Workspace::from_row(&row.ok_or(keizoku_control::ControlFault::WorkspaceUnknown)?))
}
