//! Scoring's own feed as scoring reads it again: which accounts' scores changed.

use keizoku_base::AccountId;
use keizoku_proto::scoring::change::State;
use keizoku_proto::scoring::{Change, ChangeKind};
use keizoku_storage::feed::FeedRow;
use prost::Message as _;
use uuid::Uuid;

/// The kind of a change of an account's health.
pub(crate) const ACCOUNT_HEALTH: i16 = ChangeKind::AccountHealth as i16;

/// Whose health by which model a change is about; `None`: it is about something else.
pub(crate) fn subject(row: &FeedRow) -> Option<(AccountId, &str)> {
    let (account, model) = row.key.split_first_chunk::<16>()?;
    let model = std::str::from_utf8(model).ok()?;
    (row.kind == ACCOUNT_HEALTH).then(|| (AccountId(Uuid::from_bytes(*account)), model))
}

/// Whose health by a model a change is about, and the version it became; 0: it is gone.
pub(crate) fn health_of(row: &FeedRow, model: &str) -> Option<(AccountId, i64)> {
    let (account, _) = subject(row).filter(|(_, of)| *of == model)?;
    let version = match Change::decode(row.bytes.clone()).ok()?.state {
        Some(State::AccountHealth(health)) => health.score_version,
        _ => 0,
    };
    Some((account, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keizoku_base::Micros;

    #[test]
    fn names_the_account_the_model_and_the_version() {
        let account = AccountId::generate(Micros(0));
        let mut health = keizoku_proto::scoring::AccountHealth { score_version: 7, ..Default::default() };
        health.model = "health".to_owned();
        let change = Change { state: Some(State::AccountHealth(health)), ..Change::default() };
        let row = FeedRow {
            seq: 1,
            kind: ACCOUNT_HEALTH,
            key: [account.0.as_bytes().as_slice(), b"health"].concat().into(),
            commit_at: Micros(0),
            bytes: change.encode_to_vec().into(),
        };
        assert_eq!(subject(&row), Some((account, "health")));
        assert_eq!(health_of(&row, "health"), Some((account, 7)));
        assert_eq!(health_of(&row, "other"), None);
        assert_eq!(subject(&FeedRow { kind: 1, ..row }), None);
    }
}
