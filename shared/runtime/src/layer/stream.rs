//! Watches streams, which have no deadline: one on which nothing moves is ended, and one that does not end by itself when
//! the connection closes is cut.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};
use tonic::body::Body;

use super::{Call, Handler, Peer, Response, refuse};
use crate::fault::CallFault;

/// How long a stream may take to end by itself once the connection closes.
const COURTESY: Duration = Duration::from_secs(2);

pub(crate) struct Watched<H> {
    pub(crate) idle: Duration,
    pub(crate) next: H,
}

impl<H: Handler> Handler for Watched<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        if !call.method.streaming {
            return self.next.handle(call).await;
        }
        let activity = Arc::new(Activity::new());
        let ending = Box::pin(ending(Arc::clone(&activity), self.idle, Arc::clone(&call.peer), call.method.open()));
        let mut watch = Watch { activity: Arc::clone(&activity), ending };
        let body = std::mem::take(call.request.body_mut());
        *call.request.body_mut() = Body::new(Moving { body, activity });
        let response = tokio::select! {
            biased;
            response = self.next.handle(call) => response,
            fault = &mut watch.ending => return refuse(&fault),
        };
        call.tail.watch = Some(watch);
        response
    }
}

/// The watch over one stream; its future says why the stream must end.
pub(crate) struct Watch {
    pub(crate) activity: Arc<Activity>,
    pub(crate) ending: Pin<Box<dyn Future<Output = CallFault> + Send>>,
}

/// When something last moved, in either direction.
pub(crate) struct Activity {
    since: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self { since: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    /// Something moves now.
    pub(crate) fn touch(&self) {
        self.last_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed)))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

async fn ending(activity: Arc<Activity>, idle: Duration, peer: Arc<Peer>, open: bool) -> CallFault {
    let silent = async {
        loop {
            let left = idle.saturating_sub(activity.silence());
            if left.is_zero() {
                return CallFault::StreamIdle { idle };
            }
            sleep(left).await;
        }
    };
    let closing = async {
        peer.closing.cancelled().await;
        // Health and reflection know nothing of the end, and lose nothing by it.
        if !open {
            sleep(COURTESY).await;
        }
        CallFault::Closing
    };
    tokio::select! {
        fault = closing => fault,
        // Health may be watched for as long as nothing changes.
        fault = silent, if !open => fault,
    }
}

/// A request body that tells when something moves.
struct Moving {
    body: Body,
    activity: Arc<Activity>,
}

impl http_body::Body for Moving {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.activity.touch();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
