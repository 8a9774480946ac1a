//! Answers that are not kept: no score, one of the past, a day of history, a composition.

use keizoku_base::{AccountId, Day, Micros};
use keizoku_convert::{date, estimate, timestamp};
use keizoku_proto::scoring as proto;
use prost::Message as _;

use super::{text, wire_reason};
use crate::domain::composition::{Composition, Group};
use crate::domain::history::{Basis, Close, Closed};
use crate::domain::score::Reason;
use crate::error::ScoringFault;

/// The encoded answer for an account without a score.
pub(crate) fn unscored(account: AccountId, model: &str, reason: Reason, day: Day, now: Micros) -> Vec<u8> {
    let none = proto::Unscored { reason: wire_reason(reason).into(), missing_measures: Vec::new() };
    proto::Score {
        account_id: account.to_string(),
        model: model.to_owned(),
        result: Some(proto::score::Result::Unscored(none)),
        day: Some(date(day)),
        computed_at: Some(timestamp(now)),
        basis: basis(Basis::AsBelieved).into(),
        ..proto::Score::default()
    }
    .encode_to_vec()
}

/// Whether an encoded score only says that there is none yet.
pub(crate) fn is_yet_to_come(score: &[u8]) -> bool {
    let decoded = proto::Score::decode(score).ok().and_then(|score| score.result);
    let Some(proto::score::Result::Unscored(none)) = decoded else { return false };
    none.reason() == wire_reason(Reason::NotYetComputed)
}

/// A day of history.
pub(crate) fn point(close: &Close) -> proto::HistoryPoint {
    let mut point = proto::HistoryPoint {
        day: Some(date(close.day)),
        stage: text(close.stage.as_ref()),
        model_version: close.model_version,
        basis: basis(close.basis).into(),
        ..proto::HistoryPoint::default()
    };
    if let Closed::Scored { value, band, level, persona, .. } = &close.result {
        point.value_millis = Some(value.0);
        point.band = text(band.as_ref());
        point.level = text(level.as_ref());
        point.persona = text(persona.as_ref());
    }
    point
}

/// Whether a day's score was believed then.
pub(crate) fn basis(basis: Basis) -> proto::Basis {
    match basis {
        Basis::AsBelieved => proto::Basis::AsBelieved,
        Basis::Recomputed => proto::Basis::Recomputed,
    }
}

/// The encoded composition at the close of a day, by the version of a model that counted then.
pub(crate) fn composition(model: &str, model_version: i32, day: Day, taken_at: Micros, found: &Composition) -> Vec<u8> {
    let unscored = |(reason, count): &(Reason, i64)| proto::UnscoredCount {
        reason: reason.name().to_owned(),
        account_count: *count,
    };
    proto::Composition {
        model: model.to_owned(),
        model_version,
        day: Some(date(day)),
        taken_at: Some(timestamp(taken_at)),
        total: Some(group(&found.total)),
        stages: found.stages.iter().map(group).collect(),
        unscored: found.unscored.iter().map(unscored).collect(),
        bottleneck_stage: text(found.bottleneck.as_ref()),
    }
    .encode_to_vec()
}

/// An encoded composition as its message.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where the bytes are none.
pub(crate) fn composition_message(bytes: &[u8]) -> Result<proto::Composition, ScoringFault> {
    proto::Composition::decode(bytes).map_err(|_| ScoringFault::Corrupt("a composition"))
}

fn group(group: &Group) -> proto::CompositionGroup {
    let band = |band: &crate::domain::composition::BandCount| proto::BandCount {
        band: band.band.to_string(),
        account_count: band.account_count,
        share: Some(estimate(&band.share)),
    };
    proto::CompositionGroup {
        stage: text(group.stage.as_ref()),
        account_count: group.account_count,
        bands: group.bands.iter().map(band).collect(),
        good: Some(estimate(&group.good)),
        bad: Some(estimate(&group.bad)),
        index_millis: group.index_millis,
        pull_millis: group.pull_millis,
    }
}
