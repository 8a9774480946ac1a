//! The one mapping from a [`Fault`] to a gRPC status, and the one place where the cause of an error is logged.

use std::collections::HashMap;
use std::error::Error;

use http::HeaderMap;
use keizoku_base::violations::Violation;
use keizoku_base::{Fault, FaultKind, Violations};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

use crate::context;
use crate::fault::CallFault;

/// The `domain` of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "keizoku";

/// What an error of ours is shown as, whatever its text: nothing of the inside.
const INTERNAL: &str = "internal error; quote the request id when you report it";

/// The status that says `fault`: its code, its sentence, and as details its reason (`ErrorInfo`), its violations
/// (`BadRequest`), the pause before a repeat (`RetryInfo`), the state that forbids it (`PreconditionFailure`), and the id
/// to quote (`RequestInfo`) where somebody must look into it. Causes are logged here and nowhere else.
pub fn status(fault: &dyn Fault) -> Status {
    log(fault, fault.kind());
    unlogged(fault)
}

/// [`status`] of what is logged already.
pub(crate) fn unlogged(fault: &dyn Fault) -> Status {
    let kind = fault.kind();
    let message = if kind == FaultKind::Internal { INTERNAL.to_owned() } else { fault.to_string() };
    let facts = fault.metadata();
    let subject = facts.first().map(|(_, value)| value.clone()).unwrap_or_default();
    let metadata: HashMap<String, String> = facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut details = ErrorDetails::new();
    if let Some(violations) = fault.violations() {
        details.set_bad_request(field_violations(violations));
    }
    if kind == FaultKind::Precondition {
        details.set_precondition_failure(vec![PreconditionViolation::new(fault.reason(), subject, message.clone())]);
    }
    if let Some(pause) = fault.retry_after() {
        details.set_retry_info(Some(pause));
    }
    if let (FaultKind::Internal | FaultKind::Unavailable, Some(trace)) = (kind, context::trace()) {
        details.set_request_info(trace.trace_id.to_string(), "");
    }
    details.set_error_info(fault.reason(), DOMAIN, metadata);
    Status::with_error_details(code(kind), message, details)
}

/// [`status`] for `map_err`.
pub fn into_status<F: Fault>(fault: F) -> Status {
    status(&fault)
}

/// The reason a status of ours carries, `FEED_TRIMMED`.
pub fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

/// The code of a kind of fault.
pub fn code(kind: FaultKind) -> Code {
    match kind {
        FaultKind::Invalid => Code::InvalidArgument,
        FaultKind::Unauthenticated => Code::Unauthenticated,
        FaultKind::Denied => Code::PermissionDenied,
        FaultKind::NotFound => Code::NotFound,
        FaultKind::AlreadyExists => Code::AlreadyExists,
        FaultKind::Precondition => Code::FailedPrecondition,
        FaultKind::Aborted => Code::Aborted,
        FaultKind::OutOfRange => Code::OutOfRange,
        FaultKind::Exhausted => Code::ResourceExhausted,
        FaultKind::Unavailable => Code::Unavailable,
        FaultKind::Deadline => Code::DeadlineExceeded,
        FaultKind::Internal => Code::Internal,
    }
}

/// The code in the headers or trailers of an answer, if it is there.
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

/// Says over-long messages as RESOURCE_EXHAUSTED: tonic answers OUT_OF_RANGE, or no details, in its own words.
pub(crate) fn name_the_limit(headers: &mut HeaderMap) {
    if !matches!(code_of(headers), Some(Code::OutOfRange | Code::ResourceExhausted)) {
        return;
    }
    let fault = Status::from_header_map(headers).and_then(|status| too_long(status.message()));
    if let Some(fault) = fault {
        for name in [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS] {
            headers.remove(name);
        }
        // A status that cannot be written would leave none at all; its code alone can always be.
        if status(&fault).add_header(headers).is_err() {
            headers.insert(Status::GRPC_STATUS, http::HeaderValue::from(i32::from(Code::ResourceExhausted)));
        }
    }
}

fn too_long(message: &str) -> Option<CallFault> {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    if message.starts_with("Error decompressing: size limit") {
        let (_, limit) = message.split_once("limit, of ")?;
        let limit = number(limit.trim_start_matches('`'));
        return Some(CallFault::MessageTooLong { found: format!("more than {limit}"), limit });
    }
    let (_, found) = message.split_once("message length too large: found ")?;
    let (_, limit) = message.split_once("the limit is: ")?;
    Some(CallFault::MessageTooLong { found: number(found), limit: number(limit) })
}

fn field_violations(violations: &Violations) -> Vec<FieldViolation> {
    let mut shown: Vec<FieldViolation> = violations.iter().take(Violations::MOST).map(field_violation).collect();
    if violations.len() > Violations::MOST {
        let rest = format!("and {} more", violations.len() - Violations::MOST);
        shown.push(FieldViolation::new("", rest));
    }
    shown
}

/// `google.rpc.BadRequest` of this generation has no reason field, so the reason leads the description.
fn field_violation(violation: &Violation) -> FieldViolation {
    FieldViolation::new(violation.field.clone(), format!("{}: {}", violation.reason, violation.description))
}

fn log(fault: &dyn Fault, kind: FaultKind) {
    let reason = fault.reason();
    match kind {
        FaultKind::Internal => {
            tracing::error!(reason, fault = %fault, cause = %Causes(fault.source()), "a call failed")
        }
        FaultKind::Unavailable if fault.source().is_some() => {
            tracing::warn!(reason, fault = %fault, cause = %Causes(fault.source()), "a call could not be served");
        }
        FaultKind::Invalid
        | FaultKind::Unauthenticated
        | FaultKind::Denied
        | FaultKind::NotFound
        | FaultKind::AlreadyExists
        | FaultKind::Precondition
        | FaultKind::Aborted
        | FaultKind::OutOfRange
        | FaultKind::Exhausted
        | FaultKind::Unavailable
        | FaultKind::Deadline => tracing::debug!(reason, fault = %fault, "a call was refused"),
    }
}

/// A chain of causes in one line, outermost first.
pub(crate) struct Causes<'a>(pub(crate) Option<&'a (dyn Error + 'static)>);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut next = self.0;
        let mut colon = "";
        while let Some(cause) = next {
            write!(formatter, "{colon}{cause}")?;
            colon = ": ";
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("table accounts has no column nmae")]
    struct Leak {
        kind: FaultKind,
        violations: Violations,
    }

    impl Fault for Leak {
        fn kind(&self) -> FaultKind {
            self.kind
        }

        fn reason(&self) -> &'static str {
            "LEAK"
        }

        fn metadata(&self) -> Vec<(&'static str, String)> {
            vec![("table", "accounts".to_owned())]
        }

        fn retry_after(&self) -> Option<Duration> {
            Some(Duration::from_secs(2))
        }

        fn violations(&self) -> Option<&Violations> {
            (!self.violations.is_empty()).then_some(&self.violations)
        }
    }

    #[test]
    fn the_text_of_an_internal_error_stays_inside() {
        let answer = into_status(Leak { kind: FaultKind::Internal, violations: Violations::new() });
        assert_eq!(answer.code(), Code::Internal);
        assert_eq!(answer.message(), INTERNAL);
        assert_eq!(reason(&answer).as_deref(), Some("LEAK"));
    }

    #[test]
    fn a_status_carries_all_that_a_machine_can_act_on() {
        let mut violations = Violations::new();
        violations.add("events[3].occurred_at", "OUT_OF_RANGE", "must lie before 2200");
        let details = into_status(Leak { kind: FaultKind::Invalid, violations }).get_error_details();
        let fields = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        assert_eq!(fields[0].field, "events[3].occurred_at");
        assert_eq!(fields[0].description, "OUT_OF_RANGE: must lie before 2200");
        assert_eq!(details.retry_info().and_then(|info| info.retry_delay), Some(Duration::from_secs(2)));
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("LEAK", DOMAIN));
        assert_eq!(info.metadata.get("table").map(String::as_str), Some("accounts"));
    }

    #[test]
    fn a_state_that_forbids_is_said_as_a_precondition() {
        let details =
            into_status(Leak { kind: FaultKind::Precondition, violations: Violations::new() }).get_error_details();
        let failure = details.precondition_failure().expect("a PreconditionFailure");
        assert_eq!(
            (failure.violations[0].r#type.as_str(), failure.violations[0].subject.as_str()),
            ("LEAK", "accounts")
        );
    }

    #[test]
    fn over_long_messages_name_the_limit() {
        for (code, text) in [
            (Code::OutOfRange, "Error, decoded message length too large: found 99 bytes, the limit is: 64 bytes"),
            (Code::OutOfRange, "Error, encoded message length too large: found 99 bytes, the limit is: 64 bytes"),
            (
                Code::ResourceExhausted,
                "Error decompressing: size limit, of 64 bytes, exceeded while decompressing message",
            ),
        ] {
            let mut headers = HeaderMap::new();
            Status::new(code, text).add_header(&mut headers).expect("headers");
            name_the_limit(&mut headers);
            let answer = Status::from_header_map(&headers).expect("a status");
            assert_eq!(answer.code(), Code::ResourceExhausted);
            assert!(answer.message().ends_with("the limit is 64 bytes"), "{}", answer.message());
            assert_eq!(reason(&answer).as_deref(), Some("MESSAGE_TOO_LONG"));
        }
    }

    #[test]
    fn positions_out_of_range_stay_what_they_are() {
        let mut headers = HeaderMap::new();
        Status::out_of_range("FEED_TRIMMED").add_header(&mut headers).expect("headers");
        name_the_limit(&mut headers);
        assert_eq!(code_of(&headers), Some(Code::OutOfRange));
    }
}
