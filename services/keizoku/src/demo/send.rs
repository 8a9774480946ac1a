//! Sends what is invented as an import sends what it reads: batch by batch, each counted.

use crate::failure::Failure;
use crate::import::sink::{Answered, BATCH_BYTES, Batch, Sink};
use crate::import::target::{Item, Kind};

use super::tell::SOURCE;

/// What was sent, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) stored: u64,
    pub(super) duplicate: u64,
    pub(super) rejected: u64,
}

/// Gathers items into batches and sends them.
pub(super) struct Sender<'a, S> {
    sink: &'a mut S,
    batch: Option<Batch>,
    size: usize,
    counts: Counts,
}

impl<'a, S: Sink> Sender<'a, S> {
    pub(super) fn new(sink: &'a mut S) -> Self {
        Self { sink, batch: None, size: 0, counts: Counts::default() }
    }

    /// Sends an item, perhaps later.
    pub(super) async fn send(&mut self, kind: Kind, item: Item) -> Result<(), Failure> {
        if self.batch.as_ref().is_some_and(|batch| batch.kind != kind) {
            self.flush().await?;
        }
        self.size += item.size();
        let batch = self.batch.get_or_insert_with(|| Batch {
            kind,
            source: SOURCE.to_owned(),
            items: Vec::new(),
            lines: Vec::new(),
            through: 0,
        });
        batch.items.push(item);
        batch.lines.push(0);
        if batch.items.len() >= kind.batch_length() || self.size >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what is left; what became of everything sent so far.
    pub(super) async fn finish(&mut self) -> Result<Counts, Failure> {
        self.flush().await?;
        let answered = self.sink.finish().await?;
        self.count(&answered);
        Ok(std::mem::take(&mut self.counts))
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.size = 0;
        if let Some(batch) = self.batch.take() {
            let answered = self.sink.send(batch).await?;
            self.count(&answered);
        }
        Ok(())
    }

    fn count(&mut self, answered: &[Answered]) {
        for answered in answered {
            self.counts.sent += answered.sent;
            self.counts.stored += answered.stored;
            self.counts.duplicate += answered.duplicate;
            self.counts.rejected += answered.rejected;
        }
    }
}

impl Counts {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            stored: self.stored + other.stored,
            duplicate: self.duplicate + other.duplicate,
            rejected: self.rejected + other.rejected,
        }
    }

    /// Checks that everything sent is accounted for and nothing was rejected.
    pub(super) fn verdict(self) -> Result<(), Failure> {
        let Self { sent, stored, duplicate, rejected } = self;
        if sent != stored + duplicate + rejected {
            return Err(Failure::Unreconciled { sent, stored, duplicate, rejected });
        }
        if rejected > 0 { Err(Failure::Rejected { rejected, sent }) } else { Ok(()) }
    }
}
