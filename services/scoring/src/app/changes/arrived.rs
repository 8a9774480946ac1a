//! Ingestion's changes, read.

use keizoku_base::id::WorkspaceId;
use keizoku_base::number::Millionths;
use keizoku_base::{AccountId, Day, Partition};
use keizoku_control::{apply_key, apply_member, apply_workspace};
use keizoku_proto::ingestion::change::State;
use keizoku_proto::ingestion::{self as proto, Change, ChangeKind};
use keizoku_storage::feed::{FeedRow, Segment};
use keizoku_storage::{DbFault, Tx};
use prost::Message as _;
use roaring::RoaringBitmap;
use uuid::Uuid;

use crate::domain::month::{DayState, DayValue, MetricRef};
use crate::error::ScoringFault;
use crate::store::shared::DefinitionRow;

/// A change with its place.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The partition it came in.
    pub(crate) partition: Partition,
    /// Which life of the copy it belongs to.
    pub(crate) generation: i64,
    /// Its position.
    pub(crate) seq: i64,
    /// W3C traceparent of what caused it; empty: none.
    pub(crate) trace_parent: String,
    /// What it says.
    pub(crate) what: What,
}

/// What a change says.
#[derive(Debug)]
pub(crate) enum What {
    /// Something of the control plane.
    Control(Control),
    /// A metric definition.
    Definition(DefinitionRow),
    /// The days of a source, packed; empty: it is gone.
    SourceDays(String, Vec<u8>),
    /// How far events are counted.
    Watermark(i64),
    /// A part of an account's facts.
    Part {
        /// Whose it is.
        account: AccountId,
        /// Which kind of part.
        kind: i16,
        /// Which one of the kind.
        key: Vec<u8>,
        /// The encoded resource; `None`: it is gone.
        state: Option<Vec<u8>>,
    },
    /// A day of an account's metrics.
    Day(AccountId, Day, DayState),
    /// Nothing that scores are made of.
    Nothing,
}

/// A change of the control plane.
#[derive(Debug)]
pub(crate) enum Control {
    /// A workspace or its settings.
    Workspace(Box<proto::Workspace>),
    /// A key.
    Key(proto::Key),
    /// A member of the staff.
    Member(proto::Member),
}

impl Control {
    /// Keeps the copy.
    ///
    /// # Errors
    /// As the database.
    pub(crate) async fn keep(&self, tx: &Tx, workspace: WorkspaceId) -> Result<(), DbFault> {
        match self {
            Self::Workspace(message) => apply_workspace(tx, message).await,
            Self::Key(message) => apply_key(tx, workspace, message).await,
            Self::Member(message) => apply_member(tx, workspace, message).await,
        }
    }
}

/// Reads a change.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where it is not one that ingestion writes.
pub(crate) fn decode(segment: &Segment, row: &FeedRow) -> Result<Arrived, ScoringFault> {
    let change = Change::decode(row.bytes.clone()).map_err(|_| ScoringFault::Corrupt("a change"))?;
    let trace_parent = change.trace_parent.clone();
    let what = what(change).ok_or(ScoringFault::Corrupt("a change"))?;
    Ok(Arrived { partition: segment.partition, generation: segment.generation, seq: row.seq, trace_parent, what })
}

fn what(change: Change) -> Option<What> {
    let (kind, key) = (change.kind(), change.key.to_vec());
    let part = |account: AccountId, state: Vec<u8>| {
        Some(What::Part { account, kind: number(kind), key: key.clone(), state: Some(state) })
    };
    match change.state? {
        State::Workspace(message) => Some(What::Control(Control::Workspace(Box::new(message)))),
        State::ApiKey(message) => Some(What::Control(Control::Key(message))),
        State::Member(message) => Some(What::Control(Control::Member(message))),
        State::Account(message) => part(message.id.parse().ok()?, message.encode_to_vec()),
        State::AccountSource(message) => part(message.account_id.parse().ok()?, message.encode_to_vec()),
        State::Contact(message) => part(account_at(&key, 16)?, message.encode_to_vec()),
        // One change for each account that the contract covers; the key names which.
        State::Contract(message) => part(account_at(&key, 16)?, message.encode_to_vec()),
        State::MetricDefinition(message) => {
            let document = message.encode_to_vec();
            Some(What::Definition(DefinitionRow { key: message.key, version: message.version, document }))
        }
        State::MetricDay(message) => {
            Some(What::Day(message.account_id.parse().ok()?, Day(message.day), day_state(&message.values)?))
        }
        State::SourceDays(message) => Some(What::SourceDays(message.source, message.days.to_vec())),
        State::Watermark(message) => Some(What::Watermark(message.events_seq)),
        State::User(_) | State::Cancellation(_) | State::Conversation(_) => Some(What::Nothing),
        State::Tombstone(_) => gone(kind, key),
    }
}

fn gone(kind: ChangeKind, key: Vec<u8>) -> Option<What> {
    let part = |account| Some(What::Part { account, kind: number(kind), key: key.clone(), state: None });
    match kind {
        ChangeKind::Account | ChangeKind::AccountSource => part(account_at(&key, 0)?),
        ChangeKind::Contact | ChangeKind::Contract => part(account_at(&key, 16)?),
        ChangeKind::MetricDay => {
            let day = i32::from_be_bytes(key.get(16..20)?.try_into().ok()?);
            Some(What::Day(account_at(&key, 0)?, Day(day), DayState::new()))
        }
        ChangeKind::SourceDays => Some(What::SourceDays(String::from_utf8(key).ok()?, Vec::new())),
        ChangeKind::Unspecified
        | ChangeKind::Workspace
        | ChangeKind::Key
        | ChangeKind::Member
        | ChangeKind::User
        | ChangeKind::Cancellation
        | ChangeKind::Conversation
        | ChangeKind::MetricDefinition
        | ChangeKind::Watermark => Some(What::Nothing),
    }
}

fn day_state(values: &[proto::MetricValue]) -> Option<DayState> {
    let read = |value: &proto::MetricValue| {
        let metric = MetricRef { key: value.key.as_str().into(), version: value.version };
        let users = match value.users.as_ref() {
            [] => None,
            bytes => Some(RoaringBitmap::deserialize_from(bytes).ok()?),
        };
        Some((metric, DayValue { value: Millionths(value.value_millionths), users }))
    };
    values.iter().map(read).collect()
}

fn account_at(key: &[u8], start: usize) -> Option<AccountId> {
    Uuid::from_slice(key.get(start..start + 16)?).ok().map(AccountId)
}

fn number(kind: ChangeKind) -> i16 {
    i16::try_from(i32::from(kind)).unwrap_or_default()
}
