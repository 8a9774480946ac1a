//! Measures every call: how long it took, by method and code. A call whose future is dropped counts as cancelled.

use std::sync::Arc;
use std::time::Instant;

use tonic::Code;

use super::{Call, Handler, Method, Response};
use crate::status::code_of;

pub(crate) struct Measured<H> {
    pub(crate) next: H,
}

impl<H: Handler> Handler for Measured<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        let mut measure = Measure { method: Arc::clone(&call.method), arrived: call.arrived, told: false };
        let response = self.next.handle(call).await;
        if let Some(code) = code_of(response.headers()) {
            measure.tell(code);
            if let Some(span) = &call.tail.span {
                span.record("rpc.grpc.status_code", i32::from(code));
            }
        }
        call.tail.measure = Some(measure);
        response
    }
}

/// The measurement of one call, told once: by its end, or by being dropped.
pub(crate) struct Measure {
    method: Arc<Method>,
    arrived: Instant,
    told: bool,
}

impl Measure {
    /// The call ended with `code`.
    pub(crate) fn tell(&mut self, code: Code) {
        if !self.told {
            self.told = true;
            self.method.record(code, self.arrived.elapsed());
        }
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.tell(if std::thread::panicking() { Code::Internal } else { Code::Cancelled });
    }
}
