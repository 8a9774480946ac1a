//! What the feed carries: the whole new state of each thing that changed, without personal free text.

use keizoku_base::id::{KeyId, MemberId, UserId};
use keizoku_base::{AccountId, ExternalId, Micros, Partition};
use keizoku_control::{KeyRow, MemberRow, Workspace, key_message, member_message, workspace_message};
use keizoku_convert::{Position, external, timestamp};
use keizoku_proto::ingestion as proto;
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::{Change, ChangeKind};
use keizoku_proto::types;
use keizoku_storage::Tx;
use keizoku_storage::feed::{self, Draft};
use prost::Message as _;
use uuid::Uuid;

pub(crate) mod counts;
mod told;

pub(crate) use told::{
    CANCELLATION, CONTACT, CONTRACT, CONVERSATION, account, cancellation, contact, contract, conversation, gone,
    user_of,
};

use super::context::{Actor, ActorKind, Context};
use crate::error::IngestionFault;
use crate::store::directory::NewUser;

/// Appends the drafts to the log and answers the position bytes that a caller hands on.
///
/// # Errors
/// As the database.
pub(crate) async fn append(tx: &Tx, context: &Context, drafts: Vec<Draft>) -> Result<Vec<u8>, IngestionFault> {
    let lasts = feed::append(tx, context.id(), drafts, context.written_at).await?;
    Ok(Position { changes: lasts, events: Vec::new() }.encode())
}

/// A workspace.
pub(crate) fn workspace(context: &Context, workspace: &Workspace) -> Draft {
    let id = workspace.id.0;
    draft(context, Partition::of(id), ChangeKind::Workspace, key_of(id), State::Workspace(workspace_message(workspace)))
}

/// A key, with the hash of its secret.
pub(crate) fn key(context: &Context, row: &KeyRow) -> Draft {
    let state = State::ApiKey(key_message(row, true));
    draft(context, KeyId(row.key_id).partition(), ChangeKind::Key, key_of(row.key_id), state)
}

/// A member.
pub(crate) fn member(context: &Context, row: &MemberRow) -> Draft {
    let state = State::Member(member_message(row));
    draft(context, MemberId(row.member_id).partition(), ChangeKind::Member, key_of(row.member_id), state)
}

/// An account of which only the external id is known.
pub(crate) fn stub(context: &Context, id: AccountId, external_id: &ExternalId) -> Draft {
    let account = proto::Account {
        id: id.to_string(),
        external_ids: vec![external(external_id)],
        stub: true,
        created_at: Some(timestamp(context.now)),
        updated_at: Some(timestamp(context.now)),
        etag: "1".to_owned(),
        ..proto::Account::default()
    };
    of_account(context, id, ChangeKind::Account, key_of(id.0), State::Account(account))
}

/// A user, without its name.
pub(crate) fn user(context: &Context, user: &NewUser) -> Draft {
    let message = proto::User {
        id: UserId(user.id).to_string(),
        account_id: user.name.account.to_string(),
        external_id: Some(external(&user.name.external)),
        display_name: String::new(),
        created_at: Some(timestamp(context.now)),
    };
    of_account(context, user.name.account, ChangeKind::User, key_of(user.id), State::User(message))
}

/// One change of an account's partition.
pub(crate) fn of_account(context: &Context, account: AccountId, kind: ChangeKind, key: Vec<u8>, state: State) -> Draft {
    draft(context, account.partition(), kind, key, state)
}

/// One change.
pub(crate) fn draft(context: &Context, partition: Partition, kind: ChangeKind, key: Vec<u8>, state: State) -> Draft {
    draft_known(context, partition, kind, key, context.now, state)
}

/// One change of something that its source knew at an instant.
pub(crate) fn draft_known(
    context: &Context,
    partition: Partition,
    kind: ChangeKind,
    key: Vec<u8>,
    known_at: Micros,
    state: State,
) -> Draft {
    Draft { partition, kind: number(kind), body: body(context, kind, &key, known_at, state), key }
}

/// The kind's number as the log stores it.
pub(crate) fn number(kind: ChangeKind) -> i16 {
    i16::try_from(i32::from(kind)).unwrap_or_default()
}

/// The 16 bytes of an id.
pub(crate) fn key_of(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn body(context: &Context, kind: ChangeKind, key: &[u8], known_at: Micros, state: State) -> Vec<u8> {
    Change {
        seq: 0,
        written_at_micros: 0,
        kind: kind.into(),
        key: key.to_vec().into(),
        trace_parent: context.trace_parent.clone(),
        actor: Some(actor(&context.actor)),
        known_at_micros: known_at.0,
        state: Some(state),
    }
    .encode_to_vec()
}

fn actor(actor: &Actor) -> types::Actor {
    let kind = match actor.kind {
        ActorKind::Key => types::actor::Kind::Key,
        ActorKind::Service => types::actor::Kind::Service,
    };
    types::Actor { kind: kind.into(), id: actor.id.clone(), on_behalf_of: actor.on_behalf_of.clone() }
}
