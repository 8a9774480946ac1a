//! Lets in as many calls as may be in work, and sheds the rest at once. Each service has its own permits, so that calls
//! between services in one process cannot starve one another; streams have permits of their own.

use std::sync::Arc;

use keizoku_base::Fault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Call, Handler, Response, refuse};
use crate::fault::CallFault;
use crate::node::settings::LimitSettings;

pub(crate) struct Admitted<H> {
    pub(crate) next: H,
}

impl<H: Handler> Handler for Admitted<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        match call.method.admission.admit(call.method.streaming) {
            Ok(permit) if call.method.streaming => {
                call.tail.permit = Some(permit);
                self.next.handle(call).await
            }
            Ok(_permit) => self.next.handle(call).await,
            Err(fault) => refuse(&fault),
        }
    }
}

/// The permits of one service.
#[derive(Debug)]
pub(crate) struct Admission {
    unary: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    unary_limit: usize,
    stream_limit: usize,
}

impl Admission {
    pub(crate) fn new(limits: &LimitSettings) -> Self {
        let (unary_limit, stream_limit) = (limits.calls as usize, limits.streams as usize);
        let (unary, streams) = (Arc::new(Semaphore::new(unary_limit)), Arc::new(Semaphore::new(stream_limit)));
        Self { unary, streams, unary_limit, stream_limit }
    }

    /// Unary calls and streams in work.
    pub(crate) fn in_work(&self) -> (usize, usize) {
        let unary = self.unary_limit.saturating_sub(self.unary.available_permits());
        (unary, self.stream_limit.saturating_sub(self.streams.available_permits()))
    }

    fn admit(&self, streaming: bool) -> Result<OwnedSemaphorePermit, impl Fault + use<>> {
        let permits = Arc::clone(if streaming { &self.streams } else { &self.unary });
        permits.try_acquire_owned().map_err(|_| {
            if streaming {
                CallFault::TooManyStreams { limit: self.stream_limit }
            } else {
                CallFault::Overloaded { limit: self.unary_limit }
            }
        })
    }
}
