//! When a call is made again. Everything an import sends may be sent twice without harm.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How often a call is made again before the import gives up.
const MOST: u32 = 9;
/// The longest pause between two calls.
const LONGEST: Duration = Duration::from_secs(10);

/// Attempts at one thing.
#[derive(Debug, Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The status itself, where another attempt cannot help or there were enough.
    pub(super) async fn pause(&mut self, status: Status) -> Result<(), Status> {
        tokio::time::sleep(self.next(status)?).await;
        Ok(())
    }

    /// How long to wait before the next attempt.
    fn next(&mut self, status: Status) -> Result<Duration, Status> {
        if !is_passing(status.code()) || self.0 >= MOST {
            return Err(status);
        }
        self.0 += 1;
        let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
        Ok(asked.unwrap_or_else(|| Duration::from_millis(100 << self.0)).min(LONGEST))
    }

    /// Something came back.
    pub(super) fn succeeded(&mut self) {
        self.0 = 0;
    }
}

/// Whether a code says that the same call may do better a moment later.
fn is_passing(code: Code) -> bool {
    match code {
        // A connection that breaks in the middle of an answer is Unknown or Cancelled.
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unknown
        | Code::Cancelled => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_some_times_and_the_rest_never() {
        let mut attempts = Attempts::default();
        assert!(attempts.next(Status::invalid_argument("x")).is_err());
        let pauses: Vec<Duration> = (0..MOST).filter_map(|_| attempts.next(Status::unavailable("x")).ok()).collect();
        assert_eq!((pauses.len(), pauses[0]), (9, Duration::from_millis(200)));
        assert!(pauses.is_sorted() && pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(attempts.next(Status::unavailable("x")).is_err());
        attempts.succeeded();
        assert_eq!(attempts.next(Status::unavailable("x")).ok(), Some(Duration::from_millis(200)));
    }
}
