//! What scoring's own feed carries: the health of accounts, and models.

use keizoku_base::{AccountId, Partition};
use keizoku_proto::scoring::change::State;
use keizoku_proto::scoring::{self as proto, Change, ChangeKind};
use keizoku_proto::types;
use keizoku_storage::feed::Draft;
use prost::Message as _;

use super::document;
use crate::app::context::Actor;
use crate::app::views::View;
use crate::error::ScoringFault;
use crate::store::model::ModelRow;
use crate::store::score::ScoreRow;

/// Who and what caused a change.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cause<'a> {
    /// Who; `None`: the service itself.
    pub(crate) actor: Option<&'a Actor>,
    /// W3C traceparent of what it works for; empty: none.
    pub(crate) trace_parent: &'a str,
}

/// The health of an account.
pub(crate) fn health(account: AccountId, view: &View, primary: bool, cause: Cause<'_>) -> Draft {
    let message = account_health(view, primary);
    let key = health_key(account, &message.model);
    draft(account.partition(), ChangeKind::AccountHealth, key, State::AccountHealth(message), cause)
}

/// An account has no health by a model any more.
pub(crate) fn gone(account: AccountId, model: &str, cause: Cause<'_>) -> Draft {
    let (key, state) = (health_key(account, model), State::Tombstone(proto::Tombstone {}));
    draft(account.partition(), ChangeKind::AccountHealth, key, state, cause)
}

/// A model.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where its document cannot be read.
pub(crate) fn model(row: &ModelRow, cause: Cause<'_>) -> Result<Draft, ScoringFault> {
    // Whether it is in force depends on the day somebody looks at it.
    let state = State::Model(document(row, false)?);
    Ok(draft(model_partition(&row.key), ChangeKind::Model, row.key.as_bytes().to_vec(), state, cause))
}

/// The health of an account as it is listed.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where the kept score cannot be read.
pub(crate) fn listed_health(row: &ScoreRow) -> Result<Draft, ScoringFault> {
    Ok(health(row.account, &View::decode(&row.basic)?, row.primary, Cause::default()))
}

/// A model as it is listed.
///
/// # Errors
/// As [`model`].
pub(crate) fn listed_model(row: &ModelRow) -> Result<Draft, ScoringFault> {
    model(row, Cause::default())
}

/// A model belongs to no account; its key decides.
fn model_partition(key: &str) -> Partition {
    let sum = key.bytes().fold(0_u8, u8::wrapping_add);
    Partition::new(sum % Partition::COUNT).unwrap_or_else(|| unreachable!("a remainder is below the divisor"))
}

fn health_key(account: AccountId, model: &str) -> Vec<u8> {
    [account.0.as_bytes().as_slice(), model.as_bytes()].concat()
}

fn account_health(view: &View, primary: bool) -> proto::AccountHealth {
    use proto::score::Result;
    let score = view.message();
    let mut health = proto::AccountHealth {
        account_id: score.account_id.clone(),
        model: score.model.clone(),
        model_version: score.model_version,
        monthly_revenue: score.monthly_revenue.clone(),
        next_renewal_on: score.next_renewal_on,
        stage: score.stage.clone(),
        score_version: score.score_version,
        primary,
        ..proto::AccountHealth::default()
    };
    match &score.result {
        Some(Result::Scored(scored)) => {
            health.value_millis = Some(scored.value_millis);
            health.band.clone_from(&scored.band);
            health.polarity.clone_from(&scored.polarity);
            health.level.clone_from(&scored.level);
            health.persona.clone_from(&scored.persona);
            health.band_since = scored.band_since;
            health.change_7d_millis = scored.change_7d_millis;
        }
        Some(Result::Unscored(unscored)) => health.unscored_reason = unscored.reason,
        None => {}
    }
    health
}

fn draft(partition: Partition, kind: ChangeKind, key: Vec<u8>, state: State, cause: Cause<'_>) -> Draft {
    let change = Change {
        seq: 0,
        written_at_micros: 0,
        kind: kind.into(),
        key: key.clone().into(),
        trace_parent: cause.trace_parent.to_owned(),
        actor: Some(actor(cause.actor)),
        state: Some(state),
    };
    let kind = i16::try_from(i32::from(kind)).unwrap_or_default();
    Draft { partition, kind, body: change.encode_to_vec(), key }
}

fn actor(actor: Option<&Actor>) -> types::Actor {
    use types::actor::Kind;
    match actor {
        None => types::Actor { kind: Kind::Service.into(), id: "scoring".to_owned(), on_behalf_of: String::new() },
        Some(actor) => types::Actor {
            kind: if actor.service { Kind::Service } else { Kind::Key }.into(),
            id: actor.id.clone(),
            on_behalf_of: actor.on_behalf_of.clone(),
        },
    }
}
