//! What a cached value is of.

use std::fmt::Write as _;
use std::sync::Arc;

use keizoku_base::{Partition, WorkspaceId};

use crate::feed::FeedEpoch;

/// Names a cached value: the workspace first, then kind and id, in one life of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    epoch: FeedEpoch,
    workspace: WorkspaceId,
    partition: Partition,
    kind: &'static str,
    id: Arc<[u8]>,
}

impl Key {
    /// The key of the value `id` (ids of 16 bytes, one after the other) of `kind` (`[a-z_]+`). `partition` is the one whose
    /// changes alter the value; `epoch` that of the feed the cache is filled from.
    pub fn new(epoch: FeedEpoch, workspace: WorkspaceId, partition: Partition, kind: &'static str, id: &[u8]) -> Self {
        Self { epoch, workspace, partition, kind, id: id.into() }
    }

    /// The epoch.
    pub fn epoch(&self) -> FeedEpoch {
        self.epoch
    }

    /// The workspace.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The partition whose changes alter the value.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Roughly what it takes in memory.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.id.len()
    }

    /// `PREFIX:{ws_…}:kind:id:life:epoch`. The braces are Redis Cluster's: all keys of a workspace lie in one slot.
    pub(super) fn text(&self, prefix: &str, life: u64) -> String {
        let mut text = format!("{prefix}:{{{}}}:{}:", self.workspace, self.kind);
        text.push_str(&data_encoding::HEXLOWER.encode(&self.id));
        // Half of the epoch tells lives of the feed apart well enough.
        let epoch = data_encoding::HEXLOWER.encode(&self.epoch.as_bytes()[8..]);
        write!(text, ":{life:016x}:{epoch}").unwrap_or_else(|_| unreachable!("a text takes what it is given"));
        text
    }
}
