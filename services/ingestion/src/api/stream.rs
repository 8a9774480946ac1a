//! A stream of batches: several are on their way into the store at a time, each is acknowledged in its turn.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesOrdered};
use futures::{FutureExt as _, StreamExt as _, stream};
use keizoku_base::Violations;
use keizoku_convert::Position;
use keizoku_proto::ingestion as proto;
use keizoku_runtime::Closing;
use keizoku_runtime::status::into_status;
use tonic::{Status, Streaming};

use super::event::{check_count, outcome, parse_batch};
use super::{draft, renewed, valid};
use crate::app::App;
use crate::app::context::Context;
use crate::app::ingest::{self, Ingested};
use crate::domain::key::Key;
use crate::domain::reason;

/// How many items of one stream may be on their way into the store; a batch that has more goes alone.
const ON_THE_WAY_MOST: usize = 5000;

type Storing = BoxFuture<'static, Result<Batch, Status>>;

/// A batch that was stored.
struct Batch {
    number: i64,
    items: usize,
    ingested: Ingested,
}

/// One stream.
struct Intake {
    app: Arc<App>,
    context: Context,
    closing: Closing,
    incoming: Streaming<proto::StreamEventsRequest>,
    /// What is on its way, in the order it came.
    storing: FuturesOrdered<Storing>,
    items: usize,
    source: Option<Key>,
    last: i64,
    /// Nothing more is read; `Some` holds why, where that is to be told.
    ended: Option<Option<Status>>,
}

/// Batch in, use case, acknowledgement out.
pub(super) fn acknowledgements(
    app: Arc<App>,
    context: Context,
    closing: Closing,
    incoming: Streaming<proto::StreamEventsRequest>,
) -> BoxStream<'static, Result<proto::StreamEventsResponse, Status>> {
    let intake = Intake {
        app,
        context,
        closing,
        incoming,
        storing: FuturesOrdered::new(),
        items: 0,
        source: None,
        last: i64::MIN,
        ended: None,
    };
    stream::unfold(Some(intake), |intake| async move {
        let mut intake = intake?;
        match intake.next().await? {
            Ok(acknowledgement) => Some((Ok(acknowledgement), Some(intake))),
            Err(status) => Some((Err(status), None)),
        }
    })
    .boxed()
}

impl Intake {
    /// The next acknowledgement. What was read before the end is stored and acknowledged first.
    async fn next(&mut self) -> Option<Result<proto::StreamEventsResponse, Status>> {
        loop {
            let room = self.ended.is_none() && (self.storing.is_empty() || self.items < ON_THE_WAY_MOST);
            tokio::select! {
                biased;
                () = self.closing.wait(), if self.ended.is_none() => self.ended = Some(None),
                Some(stored) = self.storing.next() => return Some(self.acknowledge(stored)),
                read = self.incoming.message(), if room => match read {
                    Ok(Some(message)) => self.take(message),
                    Ok(None) => self.ended = Some(None),
                    Err(status) => self.ended = Some(Some(status)),
                },
                else => return self.ended.take().flatten().map(Err),
            }
        }
    }

    fn take(&mut self, message: proto::StreamEventsRequest) {
        match self.parse(&message) {
            Ok(source) => {
                self.items += message.events.len();
                self.storing.push_back(self.store(source, message));
            }
            Err(status) => self.ended = Some(Some(status)),
        }
    }

    fn parse(&mut self, message: &proto::StreamEventsRequest) -> Result<Key, Status> {
        let mut violations = Violations::new();
        let sent = (!message.source.is_empty() || self.source.is_none()).then(|| message.source.clone());
        let parsed = match sent {
            Some(source) => parse_batch(source, "events", message.events.len(), &mut violations),
            None => {
                check_count("events", message.events.len(), &mut violations);
                self.source.clone()
            }
        };
        if message.batch <= self.last {
            violations.add(
                "batch",
                reason::OUT_OF_RANGE,
                format!("must be above that of the batch before, {}", self.last),
            );
        }
        let source = valid(violations, parsed)?;
        self.last = message.batch;
        self.source = Some(source.clone());
        Ok(source)
    }

    fn store(&self, source: Key, message: proto::StreamEventsRequest) -> Storing {
        let (app, context, number) = (Arc::clone(&self.app), self.context.clone(), message.batch);
        async move {
            let context = renewed(&app, context).await?;
            let items = message.events.len();
            let drafts = message.events.into_iter().map(draft::event).collect();
            let ingested = ingest::ingest(&app, &context, &source, drafts, false).await.map_err(into_status)?;
            Ok(Batch { number, items, ingested })
        }
        .boxed()
    }

    /// One acknowledgement for all batches that are stored by now, as long as nothing of them was rejected: an index
    /// belongs to one batch.
    fn acknowledge(&mut self, stored: Result<Batch, Status>) -> Result<proto::StreamEventsResponse, Status> {
        let Batch { mut number, items, mut ingested } = stored.inspect_err(|_| self.ended = Some(None))?;
        self.items -= items;
        while ingested.rejected.is_empty() {
            match self.storing.next().now_or_never() {
                Some(Some(Ok(next))) if next.ingested.rejected.is_empty() => {
                    self.items -= next.items;
                    number = next.number;
                    join(&mut ingested, next.ingested);
                }
                Some(Some(other)) => {
                    self.storing.push_front(std::future::ready(other).boxed());
                    break;
                }
                Some(None) | None => break,
            }
        }
        Ok(proto::StreamEventsResponse { acknowledged_batch: number, result: Some(outcome(ingested)) })
    }
}

fn join(all: &mut Ingested, next: Ingested) {
    all.stored += next.stored;
    all.duplicate += next.duplicate;
    let Position { events, .. } = next.position;
    for (partition, seq) in events {
        match all.position.events.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, last)) => *last = seq.max(*last),
            None => all.position.events.push((partition, seq)),
        }
    }
}
