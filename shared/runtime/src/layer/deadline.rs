//! Ends a unary call at its deadline: what the caller asked for, but never later than the cap. Clients called on its way
//! inherit what is left of it.

use std::time::Duration;

use http::HeaderMap;

use super::{Call, Handler, Response, refuse};
use crate::context::{self, Deadline};
use crate::fault::CallFault;

pub(crate) const TIMEOUT_HEADER: &str = "grpc-timeout";

pub(crate) struct Timed<H> {
    pub(crate) cap: Duration,
    pub(crate) next: H,
}

impl<H: Handler> Handler for Timed<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        if call.method.streaming {
            return self.next.handle(call).await;
        }
        let span = asked(call.request.headers()).map_or(self.cap, |asked| asked.min(self.cap));
        let deadline = Deadline::after(span);
        let work = context::with_deadline(deadline, self.next.handle(call));
        match tokio::time::timeout_at(deadline.instant(), work).await {
            Ok(response) => response,
            Err(_) => refuse(&CallFault::DeadlineExceeded),
        }
    }
}

/// The `grpc-timeout` of a request; one that cannot be read counts as none.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT_HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_of_the_protocol() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT_HEADER, http::HeaderValue::from_static(text));
            asked(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
        for wrong in ["", "S", "5", "5x", "-5S", "123456789S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
