//! How far ingestion has counted, as every follower of its feed learns it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use keizoku_proto::ingestion::feed_service_client::FeedServiceClient;
use keizoku_proto::ingestion::{ChangeKind, FollowRequest, FollowResponse, GetHeadsRequest, change};
use keizoku_proto::types::{FeedCursor, Position};
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::channel;
use super::server::{Keys, Server};

/// How long counting may stand still.
const PATIENCE: Duration = Duration::from_secs(120);

/// Places in the log of events, by partition.
pub(crate) type Places = BTreeMap<i32, i64>;

/// A follower of the feed that keeps the marks "counted up to here".
#[derive(Debug)]
pub(crate) struct Counted {
    marks: watch::Receiver<Places>,
    following: JoinSet<anyhow::Result<()>>,
}

impl Counted {
    /// Follows from now on.
    pub(crate) async fn follow(server: &Server, keys: &Keys) -> anyhow::Result<Self> {
        let wire = channel::connect(&server.endpoint(), &keys.internal).await?;
        let mut feed = FeedServiceClient::new(wire);
        let heads = feed.get_heads(GetHeadsRequest::default()).await?.into_inner();
        let cursor = |head: keizoku_proto::types::FeedHead| FeedCursor {
            workspace_id: head.workspace_id,
            partition: head.partition,
            seq: head.last_seq,
        };
        let request = FollowRequest {
            partitions: (0..64).collect(),
            cursors: heads.heads.into_iter().map(cursor).collect(),
            kinds: vec![ChangeKind::Watermark.into()],
            epoch: heads.epoch,
        };
        let mut pages = feed.follow(request).await?.into_inner();
        let (told, marks) = watch::channel(Places::new());
        let mut following = JoinSet::new();
        following.spawn(async move {
            while let Some(page) = pages.message().await? {
                told.send_modify(|marks| note(marks, page));
            }
            bail!("the feed ended")
        });
        Ok(Self { marks, following })
    }

    /// Waits until everything at these places is counted.
    pub(crate) async fn reach(&mut self, places: &Places) -> anyhow::Result<()> {
        let reached = |marks: &Places| places.iter().all(|(partition, seq)| marks.get(partition) >= Some(seq));
        if tokio::time::timeout(PATIENCE, self.marks.wait_for(reached)).await.is_ok_and(|marks| marks.is_ok()) {
            return Ok(());
        }
        if let Some(ended) = self.following.try_join_next() {
            ended??;
        }
        let marks = self.marks.borrow();
        let missing = places.iter().filter(|(partition, seq)| marks.get(partition) < Some(seq)).count();
        bail!("{missing} of {} partitions were not counted up to the end", places.len())
    }
}

/// The places that an acknowledgement names.
pub(crate) fn places(position: &[u8]) -> anyhow::Result<Places> {
    let position = Position::decode(position).context("a position cannot be read")?;
    Ok(position.events.into_iter().map(|place| (place.partition, place.seq)).collect())
}

/// Moves `places` on to `others` where those are further.
pub(crate) fn advance(places: &mut Places, others: Places) {
    for (partition, seq) in others {
        let place = places.entry(partition).or_default();
        *place = seq.max(*place);
    }
}

fn note(marks: &mut Places, page: FollowResponse) {
    for change in page.segments.into_iter().flat_map(|segment| segment.changes) {
        if let Some(change::State::Watermark(mark)) = change.state {
            advance(marks, Places::from([(mark.partition, mark.events_seq)]));
        }
    }
}
