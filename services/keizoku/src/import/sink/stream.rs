//! Events on one stream: some batches on their way at a time, and all unacknowledged ones again after a break.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream;
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::{StreamEventsRequest, StreamEventsResponse};
use keizoku_runtime::Client;
use keizoku_runtime::client::streaming;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

use crate::import::target::Item;

use super::retry::Attempts;
use super::{Answered, Batch, verdict};

/// How many batches are on their way at the most.
const WINDOW: usize = 4;
/// How long an acknowledgement may take before the stream is opened anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// Batches of events on their way.
pub(super) struct EventStream {
    client: Client,
    open: Option<Open>,
    waiting: VecDeque<(i64, Batch)>,
    last: i64,
    attempts: Attempts,
}

struct Open {
    requests: mpsc::Sender<StreamEventsRequest>,
    answers: Streaming<StreamEventsResponse>,
}

impl EventStream {
    pub(super) fn new(client: Client) -> Self {
        Self { client, open: None, waiting: VecDeque::new(), last: 0, attempts: Attempts::default() }
    }

    /// Sends a batch; waits for acknowledgements where too many are missing.
    pub(super) async fn send(&mut self, batch: Batch) -> Result<Vec<Answered>, Status> {
        let mut answered = Vec::new();
        while self.waiting.len() >= WINDOW {
            answered.push(self.answer().await?);
        }
        self.last += 1;
        let request = request(self.last, &batch);
        self.waiting.push_back((self.last, batch));
        // There is room for the whole window; a stream that is gone is noticed when its answer is waited for.
        let gone = self.open.as_ref().is_some_and(|open| open.requests.try_send(request).is_err());
        if gone {
            self.open = None;
        }
        if self.open.is_none() {
            self.reopen().await?;
        }
        Ok(answered)
    }

    /// Waits for the acknowledgements of everything sent.
    pub(super) async fn finish(&mut self) -> Result<Vec<Answered>, Status> {
        let mut answered = Vec::new();
        while !self.waiting.is_empty() {
            answered.push(self.answer().await?);
        }
        self.open = None;
        Ok(answered)
    }

    async fn answer(&mut self) -> Result<Answered, Status> {
        loop {
            let Some(open) = &mut self.open else {
                self.reopen().await?;
                continue;
            };
            let status = match tokio::time::timeout(PATIENCE, open.answers.message()).await {
                Ok(Ok(Some(answer))) => match self.settled(answer) {
                    Some(answered) => return Ok(answered),
                    None => continue,
                },
                // The server ends streams that grow old after it has acknowledged what it has.
                Ok(Ok(None)) => Status::unavailable("the server ended the stream"),
                Ok(Err(status)) => status,
                Err(_) => Status::new(Code::DeadlineExceeded, "the server does not acknowledge what it was sent"),
            };
            self.open = None;
            self.attempts.pause(status).await?;
        }
    }

    /// The batches that an answer acknowledges; `None` for none.
    fn settled(&mut self, answer: StreamEventsResponse) -> Option<Answered> {
        let mut batches = Vec::new();
        while self.waiting.front().is_some_and(|(number, _)| *number <= answer.acknowledged_batch) {
            batches.extend(self.waiting.pop_front().map(|(_, batch)| batch));
        }
        let result = answer.result.filter(|_| !batches.is_empty())?;
        self.attempts.succeeded();
        let counts = [result.stored_count, result.duplicate_count, result.rejected_count];
        Some(verdict::of_counts(&batches, counts, &result.rejections))
    }

    /// Opens a stream and sends what is not acknowledged yet.
    async fn reopen(&mut self) -> Result<(), Status> {
        loop {
            let (requests, mut queue) = mpsc::channel(WINDOW + 1);
            for (number, batch) in &self.waiting {
                // A new queue has room for the whole window.
                let _sent = requests.try_send(request(*number, batch));
            }
            let outgoing = stream::poll_fn(move |context| queue.poll_recv(context));
            match EventServiceClient::new(self.client.clone()).stream_events(streaming(outgoing)).await {
                Ok(answers) => {
                    self.open = Some(Open { requests, answers: answers.into_inner() });
                    return Ok(());
                }
                Err(status) => self.attempts.pause(status).await?,
            }
        }
    }
}

fn request(number: i64, batch: &Batch) -> StreamEventsRequest {
    let events =
        batch.items.iter().filter_map(|item| if let Item::Event(event) = item { Some(event.clone()) } else { None });
    StreamEventsRequest { batch: number, source: batch.source.clone(), events: events.collect() }
}
