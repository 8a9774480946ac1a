//! Rows of the control plane as the messages of ingestion's feed, and back.

use keizoku_base::id::{KeyId, MemberId};
use keizoku_base::money::Currency;
use keizoku_base::{Micros, WorkspaceId, Zone};
use keizoku_convert::{date, day, instant, timestamp};
use keizoku_proto::ingestion as proto;
use keizoku_storage::{DbFault, Tx};

use crate::entity::{api_key, member};
use crate::store;
use crate::workspace::{Kind, Rate, UnknownAccount, Workspace};

/// A workspace as its message.
pub fn workspace_message(workspace: &Workspace) -> proto::Workspace {
    proto::Workspace {
        id: workspace.id.to_string(),
        display_name: workspace.display_name.clone(),
        kind: match workspace.kind {
            Kind::Live => proto::workspace::Kind::Live.into(),
            Kind::Test => proto::workspace::Kind::Test.into(),
        },
        time_zone: workspace.zone.name().to_owned(),
        settings: Some(proto::WorkspaceSettings {
            unknown_account: match workspace.unknown_account {
                UnknownAccount::CreateStub => proto::workspace_settings::UnknownAccount::CreateStub.into(),
                UnknownAccount::Reject => proto::workspace_settings::UnknownAccount::Reject.into(),
            },
            reporting_currency: workspace.reporting_currency.code().to_owned(),
            rates: workspace.rates.iter().map(rate_message).collect(),
        }),
        clock_set_to: workspace.clock_set_to.map(timestamp),
        created_at: Some(timestamp(workspace.created_at)),
        etag: workspace.version.to_string(),
        synthetic: workspace.synthetic,
    }
}

/// A key as its message; the hash of its secret only where `with_hash`, which is in feeds between services.
pub fn key_message(row: &api_key::Model, with_hash: bool) -> proto::Key {
    proto::Key {
        id: KeyId(row.key_id).to_string(),
        display_name: row.display_name.clone(),
        scopes: row.scopes.split_whitespace().map(str::to_owned).collect(),
        created_at: Some(timestamp(Micros(row.created_at))),
        expires_at: row.expires_at.map(|at| timestamp(Micros(at))),
        revoked_at: row.revoked_at.map(|at| timestamp(Micros(at))),
        secret_hash: if with_hash { row.secret_hash.clone().into() } else { Default::default() },
    }
}

/// A member as its message.
pub fn member_message(row: &member::Model) -> proto::Member {
    proto::Member {
        id: MemberId(row.member_id).to_string(),
        display_name: row.display_name.clone(),
        email: row.email.clone(),
        created_at: Some(timestamp(Micros(row.created_at))),
        left_at: row.left_at.map(|at| timestamp(Micros(at))),
        etag: row.version.to_string(),
    }
}

/// Keeps the copy of a workspace; one that says less than we know already is ignored.
///
/// # Errors
/// As the database, and an internal fault where the message is not one that ingestion writes.
pub async fn apply_workspace(tx: &Tx, message: &proto::Workspace) -> Result<(), DbFault> {
    let workspace = workspace_from(message).ok_or_else(|| unreadable("workspace"))?;
    let known = store::workspace(tx, workspace.id).await?;
    if known.is_none_or(|row| row.version < workspace.version) {
        store::put_workspace(tx, workspace.to_row()).await?;
    }
    Ok(())
}

/// Keeps the copy of a key. A key only ever changes by ending, so an ended one stays ended.
///
/// # Errors
/// As the database, and an internal fault where the message is not one that ingestion writes.
pub async fn apply_key(tx: &Tx, workspace: WorkspaceId, message: &proto::Key) -> Result<(), DbFault> {
    let id: KeyId = message.id.parse().map_err(DbFault::internal)?;
    let ended = store::key(tx, workspace, id).await?.is_some_and(|row| row.revoked_at.is_some());
    if ended {
        return Ok(());
    }
    let row = api_key::Model {
        workspace_id: workspace.0,
        key_id: id.0,
        display_name: message.display_name.clone(),
        scopes: message.scopes.join(" "),
        secret_hash: message.secret_hash.to_vec(),
        created_at: message.created_at.as_ref().map(instant).unwrap_or_default().0,
        expires_at: message.expires_at.as_ref().map(|at| instant(at).0),
        revoked_at: message.revoked_at.as_ref().map(|at| instant(at).0),
    };
    store::put_key(tx, row).await
}

/// Keeps the copy of a member.
///
/// # Errors
/// As the database, and an internal fault where the message is not one that ingestion writes.
pub async fn apply_member(tx: &Tx, workspace: WorkspaceId, message: &proto::Member) -> Result<(), DbFault> {
    let id: MemberId = message.id.parse().map_err(DbFault::internal)?;
    let version = message.etag.parse().map_err(DbFault::internal)?;
    let known = store::member_by_email(tx, workspace, &message.email).await?;
    if known.is_some_and(|row| row.version >= version) {
        return Ok(());
    }
    let row = member::Model {
        workspace_id: workspace.0,
        member_id: id.0,
        display_name: message.display_name.clone(),
        email: message.email.clone(),
        created_at: message.created_at.as_ref().map(instant).unwrap_or_default().0,
        left_at: message.left_at.as_ref().map(|at| instant(at).0),
        version,
    };
    store::put_member(tx, row).await
}

fn workspace_from(message: &proto::Workspace) -> Option<Workspace> {
    let settings = message.settings.as_ref()?;
    Some(Workspace {
        id: message.id.parse().ok()?,
        display_name: message.display_name.clone(),
        kind: match message.kind() {
            proto::workspace::Kind::Test => Kind::Test,
            proto::workspace::Kind::Live | proto::workspace::Kind::Unspecified => Kind::Live,
        },
        zone: Zone::parse(&message.time_zone)?,
        unknown_account: match settings.unknown_account() {
            proto::workspace_settings::UnknownAccount::Reject => UnknownAccount::Reject,
            proto::workspace_settings::UnknownAccount::CreateStub
            | proto::workspace_settings::UnknownAccount::Unspecified => UnknownAccount::CreateStub,
        },
        reporting_currency: Currency::parse(&settings.reporting_currency)?,
        rates: settings.rates.iter().map(rate_from).collect::<Option<_>>()?,
        clock_set_to: message.clock_set_to.as_ref().map(instant),
        synthetic: message.synthetic,
        created_at: instant(message.created_at.as_ref()?),
        version: message.etag.parse().ok()?,
    })
}

fn rate_message(rate: &Rate) -> proto::ExchangeRate {
    proto::ExchangeRate {
        currency_code: rate.currency.code().to_owned(),
        from: Some(date(rate.from)),
        rate_micros: rate.micros,
    }
}

fn rate_from(message: &proto::ExchangeRate) -> Option<Rate> {
    Some(Rate {
        currency: Currency::parse(&message.currency_code)?,
        from: day(message.from.as_ref()?)?,
        micros: message.rate_micros,
    })
}

fn unreadable(what: &'static str) -> DbFault {
    DbFault::internal(format!("the feed carried a {what} that cannot be read"))
}
