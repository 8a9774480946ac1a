//! Answers of the server as counts, and as rejections with the lines they belong to.

use keizoku_proto::ingestion::{ItemResult, Outcome, Rejection};
use tonic_types::RpcStatusExt as _;
use tonic_types::pb::Status;

use super::{Answered, Batch, Refused, Violation};

/// What became of a batch whose items were answered one by one.
pub(super) fn of_items(batch: &Batch, results: &[ItemResult]) -> Answered {
    let mut answered = Answered { through: batch.through, sent: batch.items.len() as u64, ..Answered::default() };
    for ((item, line), result) in batch.items.iter().zip(&batch.lines).zip(results) {
        match result.outcome() {
            Outcome::Stored => answered.stored += 1,
            Outcome::Duplicate => answered.duplicate += 1,
            Outcome::Rejected => {
                answered.rejected += 1;
                let violations = violations(result.status.as_ref());
                answered.refused.push(Refused { line: *line, id: item.id().to_owned(), violations });
            }
            // Counted nowhere, so that the sum does not come out.
            Outcome::Unspecified => {}
        }
    }
    answered
}

/// What became of batches that were answered by counts and exceptions, all together.
pub(super) fn of_counts(batches: &[Batch], counts: [i32; 3], rejections: &[Rejection]) -> Answered {
    let [stored, duplicate, rejected] = counts.map(|count| u64::try_from(count).unwrap_or(0));
    let alone = if let [batch] = batches { Some(batch) } else { None };
    let refused = rejections.iter().map(|rejection| {
        // An answer about several batches cannot say which index it means, but the id can.
        let index = alone.and_then(|_| usize::try_from(rejection.index).ok());
        let line = match (alone, index) {
            (Some(batch), Some(index)) => batch.lines.get(index).copied(),
            _ => batches.iter().find_map(|batch| line_of(batch, &rejection.id)),
        };
        Refused {
            line: line.unwrap_or_default(),
            id: rejection.id.clone(),
            violations: violations(rejection.status.as_ref()),
        }
    });
    Answered {
        through: batches.last().map_or(0, |batch| batch.through),
        sent: batches.iter().map(|batch| batch.items.len() as u64).sum(),
        stored,
        duplicate,
        rejected,
        refused: refused.collect(),
    }
}

fn line_of(batch: &Batch, id: &str) -> Option<u64> {
    let place = batch.items.iter().position(|item| item.id() == id)?;
    batch.lines.get(place).copied()
}

/// What a status says is wrong: a violation per field, or the status as a whole.
fn violations(status: Option<&Status>) -> Vec<Violation> {
    let Some(status) = status else {
        let text = "the server gave no reason".to_owned();
        return vec![Violation { field: String::new(), reason: "REJECTED".to_owned(), text }];
    };
    let fields = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
    if !fields.is_empty() {
        return fields.into_iter().map(|found| split(found.field, found.description)).collect();
    }
    let reason = status.get_details_error_info().map_or_else(|| "REJECTED".to_owned(), |info| info.reason);
    vec![Violation { field: String::new(), reason, text: status.message.clone() }]
}

/// Takes the reason off a description such as `NOT_A_KEY: must begin with a letter`.
fn split(field: String, description: String) -> Violation {
    let is_reason = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    match description.split_once(": ") {
        Some((reason, text)) if is_reason(reason) => {
            Violation { field, reason: reason.to_owned(), text: text.to_owned() }
        }
        _ => Violation { field, reason: "REJECTED".to_owned(), text: description },
    }
}

#[cfg(test)]
mod tests {
    use keizoku_proto::ingestion::Event;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;
    use crate::import::target::{Item, Kind};

    fn batch(ids: &[&str], first_line: u64) -> Batch {
        let items = ids.iter().map(|id| Item::Event(Event { id: (*id).to_owned(), ..Event::default() })).collect();
        let lines: Vec<u64> = (first_line..).take(ids.len()).collect();
        let through = lines.last().copied().unwrap_or(first_line);
        Batch { kind: Kind::Events, source: "s".to_owned(), items, lines, through }
    }

    fn status() -> Status {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("value", "NOT_A_NUMBER: must be a finite number");
        details.add_bad_request_violation("name", "is odd");
        let status = tonic::Status::with_error_details(tonic::Code::InvalidArgument, "2 fields", details);
        prost::Message::decode(status.details()).expect("a status")
    }

    #[test]
    fn a_rejection_is_found_by_its_index_or_by_its_id() {
        let rejection = Rejection { index: 1, id: "b".to_owned(), status: Some(status()) };
        let one = of_counts(&[batch(&["a", "b"], 2)], [1, 0, 1], std::slice::from_ref(&rejection));
        assert_eq!((one.sent, one.stored, one.rejected, one.refused[0].line), (2, 1, 1, 3));
        let expected = [("value", "NOT_A_NUMBER"), ("name", "REJECTED")];
        let found: Vec<_> =
            one.refused[0].violations.iter().map(|found| (found.field.as_str(), found.reason.as_str())).collect();
        assert_eq!(found, expected);
        let two = of_counts(&[batch(&["x", "y"], 2), batch(&["a", "b"], 10)], [3, 0, 1], &[rejection]);
        assert_eq!((two.sent, two.through, two.refused[0].line), (4, 11, 11));
    }

    #[test]
    fn an_outcome_that_is_not_stated_is_counted_nowhere() {
        let result = |outcome: Outcome| ItemResult { outcome: outcome.into(), ..ItemResult::default() };
        let results = [result(Outcome::Stored), result(Outcome::Unspecified), result(Outcome::Rejected)];
        let found = of_items(&batch(&["a", "b", "c"], 2), &results);
        assert_eq!((found.sent, found.stored, found.duplicate, found.rejected), (3, 1, 0, 1));
        assert_eq!((found.refused[0].line, found.refused[0].violations[0].reason.as_str()), (4, "REJECTED"));
    }
}
