//! Answers INTERNAL where a handler panics. The panic hook has logged it by then; the caller learns nothing of it.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use super::{Call, Handler, Response};
use crate::context;
use crate::fault::CallFault;
use crate::status;

pub(crate) struct CatchPanic<H> {
    pub(crate) next: H,
}

impl<H: Handler> Handler for CatchPanic<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        match AssertUnwindSafe(self.next.handle(call)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => panicked(call.tail.trace).into_http(),
        }
    }
}

/// The status of a call that panicked, with the id to quote.
pub(crate) fn panicked(trace: Option<context::Trace>) -> tonic::Status {
    let said = || status::unlogged(&CallFault::Panicked);
    trace.map_or_else(said, |trace| context::in_trace(trace, said))
}
