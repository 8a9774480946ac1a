//! Ingestion's feed as the other services follow it: over its public RPCs, like everything between services.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use keizoku_base::{Micros, Partition, WorkspaceId};
use keizoku_proto::ingestion::feed_service_client::FeedServiceClient;
use keizoku_proto::ingestion::{Change, FeedSegment, FollowRequest, FollowResponse, GetHeadsRequest, ListStateRequest};
use keizoku_proto::types::FeedCursor;
use keizoku_runtime::{Client, client, status};
use keizoku_storage::feed::{
    Batch, FeedEpoch, FeedFault, FeedRow, Follow, Followed, Head, Partitions, Segment, SnapshotPage, Source,
};
use prost::Message as _;

/// The feed of ingestion, reached by a client.
#[derive(Debug, Clone)]
pub struct IngestionFeed {
    feed: FeedServiceClient<Client>,
}

impl IngestionFeed {
    /// The feed behind that client.
    pub fn new(client: Client) -> Self {
        Self { feed: FeedServiceClient::new(client) }
    }
}

#[async_trait]
impl Source for IngestionFeed {
    fn name(&self) -> &'static str {
        "ingestion"
    }

    async fn epoch(&self) -> Result<FeedEpoch, FeedFault> {
        // One partition's heads are enough to learn it.
        let request = client::repeatable(GetHeadsRequest { partitions: vec![0] });
        let answer = self.feed.clone().get_heads(request).await.map_err(unreachable)?.into_inner();
        FeedEpoch::from_bytes(&answer.epoch).ok_or_else(|| malformed("an epoch has not 16 bytes"))
    }

    async fn heads(&self, partitions: Partitions) -> Result<Vec<Head>, FeedFault> {
        let request = client::repeatable(GetHeadsRequest { partitions: numbers(partitions) });
        let answer = self.feed.clone().get_heads(request).await.map_err(unreachable)?.into_inner();
        answer
            .heads
            .iter()
            .map(|head| {
                Ok(Head {
                    workspace: workspace(&head.workspace_id)?,
                    partition: partition(head.partition)?,
                    last_seq: head.last_seq,
                    trimmed_seq: head.trimmed_seq,
                })
            })
            .collect()
    }

    fn follow(&self, wanted: Follow) -> BoxStream<'static, Result<Followed, FeedFault>> {
        let request = FollowRequest {
            partitions: numbers(wanted.partitions),
            cursors: wanted.cursors.iter().map(cursor).collect(),
            kinds: wanted.kinds.iter().map(|kind| i32::from(*kind)).collect(),
            epoch: Bytes::copy_from_slice(wanted.epoch.as_bytes()),
        };
        let mut feed = self.feed.clone();
        let opened = async move { feed.follow(client::streaming(request)).await };
        stream::once(opened)
            .flat_map(|opened| match opened {
                Ok(pages) => pages.into_inner().map(|page| followed(page.map_err(unreachable)?)).boxed(),
                Err(status) => stream::once(async move { Err(unreachable(status)) }).boxed(),
            })
            .boxed()
    }

    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        partitions: Partitions,
        token: Option<Vec<u8>>,
    ) -> Result<SnapshotPage, FeedFault> {
        let request = ListStateRequest {
            workspace_id: workspace.to_string(),
            partitions: numbers(partitions),
            page_token: token.unwrap_or_default().into(),
        };
        let answer = self.feed.clone().list_state(client::repeatable(request)).await.map_err(unreachable)?.into_inner();
        let mut rows = Vec::new();
        for listed in answer.segments {
            let partition = partition(listed.partition)?;
            rows.extend(listed.changes.into_iter().map(|change| (partition, row(change))));
        }
        Ok(SnapshotPage { rows, next: (!answer.next_page_token.is_empty()).then(|| answer.next_page_token.to_vec()) })
    }
}

fn followed(page: FollowResponse) -> Result<Followed, FeedFault> {
    if page.caught_up {
        return Ok(Followed::CaughtUp);
    }
    let segments = page.segments.into_iter().map(segment).collect::<Result<_, _>>()?;
    Ok(Followed::Batch(Batch { workspace: workspace(&page.workspace_id)?, snapshot: false, segments }))
}

fn segment(sent: FeedSegment) -> Result<Segment, FeedFault> {
    Ok(Segment {
        partition: partition(sent.partition)?,
        after: sent.after_seq,
        through: sent.through_seq,
        generation: 0,
        rows: sent.changes.into_iter().map(row).collect(),
    })
}

fn row(change: Change) -> FeedRow {
    FeedRow {
        seq: change.seq,
        kind: i16::try_from(change.kind).unwrap_or_default(),
        key: change.key.clone(),
        commit_at: Micros(change.written_at_micros),
        bytes: change.encode_to_vec().into(),
    }
}

fn cursor(cursor: &keizoku_storage::feed::Cursor) -> FeedCursor {
    FeedCursor {
        workspace_id: cursor.workspace.to_string(),
        partition: i32::from(cursor.partition.number()),
        seq: cursor.seq,
    }
}

fn numbers(partitions: Partitions) -> Vec<i32> {
    partitions.iter().map(|partition| i32::from(partition.number())).collect()
}

fn workspace(text: &str) -> Result<WorkspaceId, FeedFault> {
    text.parse().map_err(|fault| FeedFault::Malformed(Arc::new(fault)))
}

fn partition(number: i32) -> Result<Partition, FeedFault> {
    u8::try_from(number).ok().and_then(Partition::new).ok_or_else(|| malformed("a partition is not below 64"))
}

fn malformed(what: &'static str) -> FeedFault {
    FeedFault::Malformed(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(what)))
}

/// What a status of the feed says about how to go on.
fn unreachable(answer: tonic::Status) -> FeedFault {
    match status::reason(&answer).as_deref() {
        Some("FEED_TRIMMED") => FeedFault::Trimmed,
        Some("FEED_EPOCH_CHANGED") => FeedFault::EpochChanged,
        Some("FEED_AHEAD") => FeedFault::Ahead,
        Some("FEED_NO_SNAPSHOT") => FeedFault::NoSnapshot,
        _ => FeedFault::Unavailable(Arc::new(answer)),
    }
}
