//! Where batches go, and what comes back.

mod retry;
mod stream;
#[cfg(test)]
mod tests;
mod verdict;
mod wire;

pub(crate) use wire::Wire;

use crate::failure::Failure;

use super::target::{Item, Kind};

/// The most bytes of one batch on the wire: half of what a server takes in one message.
pub(crate) const BATCH_BYTES: usize = 2 << 20;

/// Messages that are sent together.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// What they are.
    pub(crate) kind: Kind,
    /// The source of their ids.
    pub(crate) source: String,
    /// The messages.
    pub(crate) items: Vec<Item>,
    /// The line of the file that each comes from.
    pub(crate) lines: Vec<u64>,
    /// The last line of the file that is dealt with when all of them are.
    pub(crate) through: u64,
}

/// What became of one or more batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The last line of the file that is dealt with.
    pub(crate) through: u64,
    /// How many messages were sent.
    pub(crate) sent: u64,
    /// How many were stored.
    pub(crate) stored: u64,
    /// How many were there already.
    pub(crate) duplicate: u64,
    /// How many were rejected.
    pub(crate) rejected: u64,
    /// Which, and why.
    pub(crate) refused: Vec<Refused>,
}

/// A message that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The line of the file it comes from.
    pub(crate) line: u64,
    /// Its id in the source.
    pub(crate) id: String,
    /// What is wrong with it.
    pub(crate) violations: Vec<Violation>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Its path; empty for the message as a whole.
    pub(crate) field: String,
    /// A stable reason.
    pub(crate) reason: String,
    /// A sentence for a person.
    pub(crate) text: String,
}

/// Where batches go: to a server, or nowhere for a rehearsal.
pub(crate) trait Sink: Send {
    /// Hands over a batch. Answers come in the order of the batches, those of this one perhaps later.
    fn send(&mut self, batch: Batch) -> impl Future<Output = Result<Vec<Answered>, Failure>> + Send;

    /// Waits for all answers that are still to come.
    fn finish(&mut self) -> impl Future<Output = Result<Vec<Answered>, Failure>> + Send;
}

impl Kind {
    /// How many messages go into a batch.
    pub(crate) fn batch_length(self) -> usize {
        match self {
            Self::Accounts
            | Self::Contacts
            | Self::Users
            | Self::Contracts
            | Self::Cancellations
            | Self::Conversations => 500,
            Self::Events | Self::Measurements => 5_000,
        }
    }
}

/// Sends nothing: for looking at what an import would do.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal;

impl Sink for Rehearsal {
    async fn send(&mut self, batch: Batch) -> Result<Vec<Answered>, Failure> {
        Ok(vec![Answered { through: batch.through, ..Answered::default() }])
    }

    async fn finish(&mut self) -> Result<Vec<Answered>, Failure> {
        Ok(Vec::new())
    }
}
