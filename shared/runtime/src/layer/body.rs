//! The body of an answer: carries the call's trace, catches panics of streams, tells the measurement how it ended, and ends
//! a stream when its watch says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::Tail;
use super::catch_panic::panicked;
use crate::context;
use crate::status::{self, code_of, name_the_limit};

pub(crate) struct CallBody {
    inner: Body,
    tail: Tail,
    ended: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl CallBody {
    pub(crate) fn new(inner: Body, tail: Tail) -> Self {
        Self { inner, tail, ended: false }
    }

    fn poll_inner(&mut self, context: &mut Context<'_>) -> Polled {
        let Self { inner, tail, .. } = self;
        let entered = tail.span.as_ref().map(tracing::Span::enter);
        let poll = AssertUnwindSafe(|| Pin::new(inner).poll_frame(context));
        let polled = match tail.trace {
            Some(trace) => catch_unwind(AssertUnwindSafe(|| context::in_trace(trace, poll))),
            None => catch_unwind(poll),
        };
        drop(entered);
        polled.unwrap_or_else(|_| Poll::Ready(Some(Err(panicked(self.tail.trace)))))
    }

    /// The last frame: trailers that say `status`.
    fn end(&mut self, status: Status) -> Polled {
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from(i32::from(status.code())));
        }
        self.close(status.code());
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn close(&mut self, code: Code) {
        self.ended = true;
        if let Some(measure) = &mut self.tail.measure {
            measure.tell(code);
        }
        if let Some(span) = &self.tail.span {
            span.record("rpc.grpc.status_code", i32::from(code));
        }
        self.inner = Body::empty();
        self.tail.permit = None;
        self.tail.watch = None;
    }
}

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.poll_inner(context) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    name_the_limit(trailers);
                    let code = code_of(trailers).unwrap_or(Code::Unknown);
                    self.close(code);
                } else if let Some(watch) = &self.tail.watch {
                    watch.activity.touch();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(status))) => self.end(status),
            Poll::Ready(None) => {
                self.close(Code::Unknown);
                Poll::Ready(None)
            }
            Poll::Pending => match self.tail.watch.as_mut().map(|watch| watch.ending.as_mut().poll(context)) {
                Some(Poll::Ready(fault)) => self.end(status::status(&fault)),
                Some(Poll::Pending) | None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
