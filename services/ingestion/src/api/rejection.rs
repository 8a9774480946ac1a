//! Items that were rejected, each with everything that is wrong with it, in an answer of bounded length.

use std::fmt;

use keizoku_base::{Fault, FaultKind, Violations};
use keizoku_proto::ingestion as proto;
use keizoku_runtime::status::status;
use prost::Message as _;
use tonic_types::pb;

use crate::app::ingest::Rejected;
use crate::domain::reason;

/// How many violations one answer names; past them only the first of each item.
const NAMED_MOST: usize = 5000;

/// The rejections of a batch.
pub(super) fn rejections(rejected: Vec<Rejected>) -> Vec<proto::Rejection> {
    let mut room = NAMED_MOST;
    let rejection = |rejected: Rejected| {
        let most = room.clamp(1, Violations::MOST);
        room = room.saturating_sub(rejected.violations.len().min(most));
        let fault = ItemFault::new(&rejected.violations, most);
        proto::Rejection {
            index: i32::try_from(rejected.index).unwrap_or(i32::MAX),
            id: rejected.id,
            status: pb::Status::decode(status(&fault).details()).ok(),
        }
    };
    rejected.into_iter().map(rejection).collect()
}

/// What is wrong with one item.
#[derive(Debug)]
struct ItemFault {
    reason: &'static str,
    shown: Violations,
    left_out: usize,
}

impl ItemFault {
    fn new(violations: &Violations, most: usize) -> Self {
        let mut shown = Violations::new();
        for violation in violations.iter().take(most) {
            shown.add(violation.field.as_str(), violation.reason, violation.description.as_str());
        }
        let only = violations.iter().next().filter(|_| violations.len() == 1);
        let reason = only.map_or("INVALID_ITEM", |violation| violation.reason);
        Self { reason, shown, left_out: violations.len().saturating_sub(most) }
    }
}

impl fmt::Display for ItemFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.shown.iter().next();
        let (field, text) = first.map_or(("", ""), |first| (first.field.as_str(), first.description.as_str()));
        write!(formatter, "{field}: {text}")?;
        match self.shown.len() + self.left_out {
            0 | 1 => Ok(()),
            all => write!(formatter, "; and {} more", all - 1),
        }
    }
}

impl std::error::Error for ItemFault {}

impl Fault for ItemFault {
    fn kind(&self) -> FaultKind {
        match self.reason {
            reason::EVENT_ID_REUSED => FaultKind::AlreadyExists,
            reason::ACCOUNT_UNKNOWN => FaultKind::NotFound,
            _ => FaultKind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        self.reason
    }

    fn violations(&self) -> Option<&Violations> {
        Some(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(index: usize, violations: usize) -> Rejected {
        let mut found = Violations::new();
        for number in 0..violations {
            found.add(format!("properties[{number}]"), reason::REQUIRED, "is required");
        }
        Rejected { index, id: "e".repeat(255), violations: found }
    }

    #[test]
    fn an_item_names_all_that_is_wrong_with_it() {
        let answers = rejections(vec![rejected(3, 2)]);
        let status = answers[0].status.clone().expect("a status");
        assert_eq!((answers[0].index, status.code), (3, i32::from(tonic::Code::InvalidArgument)));
        assert_eq!(status.message, "properties[0]: is required; and 1 more");
        assert_eq!(status.details.len(), 2);
    }

    #[test]
    fn a_batch_of_bad_items_fits_into_an_answer() {
        let answer = proto::IngestEventsResponse {
            rejections: rejections((0..10_000).map(|index| rejected(index, 100)).collect()),
            ..Default::default()
        };
        assert!(answer.encoded_len() < 8 << 20, "{}", answer.encoded_len());
        assert!(answer.rejections.iter().all(|rejection| rejection.status.is_some()));
    }
}
