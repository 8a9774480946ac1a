//! What can go wrong while a feed is read or applied.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keizoku_base::{Fault, FaultKind, Partition, WorkspaceId};

use crate::fault::{DbFault, RetryableTx, Source};

/// Why a feed could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FeedFault {
    /// Changes after the cursor are no longer kept: bootstrap.
    #[error("the changes after this position are no longer kept; list the current state and follow from there")]
    Trimmed,
    /// The cursor belongs to another life of the log: bootstrap.
    #[error("this position is from before a restore; list the current state and follow from there")]
    EpochChanged,
    /// The cursor lies beyond the last change: it belongs to another life of the log. Bootstrap.
    #[error("this position lies beyond the last change; list the current state and follow from there")]
    Ahead,
    /// A seq is missing. It can't happen while heads give the seqs, so somebody must look.
    #[error("a change is missing from the feed")]
    Gap {
        /// The workspace.
        workspace: WorkspaceId,
        /// The partition.
        partition: Partition,
        /// The position that should have come.
        expected: i64,
        /// The position that came, or the head where nothing came.
        found: i64,
    },
    /// The source cannot be reached now.
    #[error("the feed's source cannot be reached now")]
    Unavailable(#[source] Source),
    /// The source sent something that makes no sense.
    #[error("the feed's source sent something that cannot be read")]
    Malformed(#[source] Source),
    /// The source keeps no current state that could be listed.
    #[error("the feed's source cannot list its current state")]
    NoSnapshot,
    /// A newer version of this program has consumed this feed; this version must not.
    #[error("a newer version of this program consumes this feed")]
    NewerConsumer,
    /// There is no such quarantined change.
    #[error("there is no such quarantined change")]
    NotQuarantined,
    /// The quarantined change failed again.
    #[error("the quarantined change failed again")]
    StillFailing(#[source] Source),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] DbFault),
}

impl FeedFault {
    /// Whether the consumer must list the current state again.
    pub fn asks_for_bootstrap(&self) -> bool {
        matches!(self, Self::Trimmed | Self::EpochChanged | Self::Ahead)
    }
}

impl RetryableTx for FeedFault {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Store(fault) if fault.is_contention())
    }
}

impl Fault for FeedFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Trimmed | Self::EpochChanged | Self::Ahead => FaultKind::OutOfRange,
            Self::Unavailable(_) => FaultKind::Unavailable,
            Self::NotQuarantined => FaultKind::NotFound,
            Self::NoSnapshot | Self::NewerConsumer | Self::StillFailing(_) => FaultKind::Precondition,
            Self::Gap { .. } | Self::Malformed(_) => FaultKind::Internal,
            Self::Store(fault) => fault.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Trimmed => "FEED_TRIMMED",
            Self::EpochChanged => "FEED_EPOCH_CHANGED",
            Self::Ahead => "FEED_AHEAD",
            Self::Gap { .. } => "FEED_GAP",
            Self::Unavailable(_) => "FEED_UNAVAILABLE",
            Self::Malformed(_) => "FEED_MALFORMED",
            Self::NoSnapshot => "FEED_NO_SNAPSHOT",
            Self::NewerConsumer => "FEED_NEWER_CONSUMER",
            Self::NotQuarantined => "FEED_NOT_QUARANTINED",
            Self::StillFailing(_) => "FEED_STILL_FAILING",
            Self::Store(fault) => fault.reason(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(_) => Some(Duration::from_secs(1)),
            Self::Store(fault) => fault.retry_after(),
            Self::Trimmed
            | Self::EpochChanged
            | Self::Ahead
            | Self::Gap { .. }
            | Self::Malformed(_)
            | Self::NoSnapshot
            | Self::NewerConsumer
            | Self::NotQuarantined
            | Self::StillFailing(_) => None,
        }
    }
}

/// What a failure of a handler says about the changes it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: something else is down or in the way. Tried again for ever, never counted.
    Again,
    /// There may be too many of them for one transaction. Tried again with fewer, never counted.
    TooMuch,
    /// One of them cannot be handled. Counted, and the one is found by halving.
    Poison,
}

/// Why a handler did not handle a batch.
#[derive(Debug)]
pub struct HandleFault {
    verdict: Verdict,
    source: Source,
}

impl HandleFault {
    /// Something else is down: try again, for ever.
    pub fn again(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { verdict: Verdict::Again, source: Arc::from(error.into()) }
    }

    /// A change is bad: after five tries it is quarantined.
    pub fn poison(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { verdict: Verdict::Poison, source: Arc::from(error.into()) }
    }

    /// What it says about the changes.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(crate) fn into_source(self) -> Source {
        self.source
    }

    /// The fault and its causes in one line, at most `most` characters.
    pub(crate) fn describe(&self, most: usize) -> String {
        let mut text = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text.chars().take(most).collect()
    }
}

impl fmt::Display for HandleFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Again => formatter.write_str("the changes cannot be handled now"),
            Verdict::TooMuch => formatter.write_str("the changes are too many for one transaction"),
            Verdict::Poison => formatter.write_str("a change cannot be handled"),
        }
    }
}

impl Error for HandleFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

impl From<DbFault> for HandleFault {
    fn from(fault: DbFault) -> Self {
        let verdict = match &fault {
            DbFault::Timeout(_) => Verdict::TooMuch,
            DbFault::Unavailable(_) | DbFault::Contention(_) => Verdict::Again,
            DbFault::Unique { .. }
            | DbFault::ForeignKey(_)
            | DbFault::Check(_)
            | DbFault::TransactionFailed
            | DbFault::NewerSchema { .. }
            | DbFault::FolderInUse(_)
            | DbFault::Folder(..)
            | DbFault::Settings { .. }
            | DbFault::Internal(_) => Verdict::Poison,
        };
        Self { verdict, source: Arc::new(fault) }
    }
}

impl From<sea_orm::DbErr> for HandleFault {
    fn from(error: sea_orm::DbErr) -> Self {
        DbFault::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_data_is_to_blame_for_is_poison() {
        let io = || -> Source { Arc::new(std::io::Error::other("gone")) };
        assert_eq!(HandleFault::from(DbFault::Unavailable(io())).verdict(), Verdict::Again);
        assert_eq!(HandleFault::from(DbFault::Contention(io())).verdict(), Verdict::Again);
        assert_eq!(HandleFault::from(DbFault::Timeout(io())).verdict(), Verdict::TooMuch);
        assert_eq!(HandleFault::from(DbFault::ForeignKey(io())).verdict(), Verdict::Poison);
        assert_eq!(
            HandleFault::from(DbFault::ForeignKey(io())).describe(44),
            "it refers to something that does not exist: "
        );
    }
}
