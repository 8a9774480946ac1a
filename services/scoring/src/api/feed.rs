//! The service's own feed.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use keizoku_base::{Partition, Violations, WorkspaceId};
use keizoku_convert::reason;
use keizoku_proto::scoring::{self as proto, Change};
use keizoku_proto::server::scoring::feed_service_server::FeedService;
use keizoku_proto::types::{FeedCursor, FeedHead};
use keizoku_proto::wire::{Answer, FollowPage, FollowSegment};
use keizoku_runtime::closing;
use keizoku_runtime::status::into_status;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::valid;
use crate::app::App;
use crate::app::serve::{self, News, Reading, Stretch};
use crate::error::ScoringFault;

/// The RPCs of the feed.
pub struct FeedApi(pub Arc<App>);

#[tonic::async_trait]
impl FeedService for FeedApi {
    type FollowStream = BoxStream<'static, Result<Answer<proto::FollowResponse>, Status>>;

    async fn follow(&self, request: Request<proto::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let end = closing(&request);
        let mut violations = Violations::new();
        let reading = parse_reading(request.get_ref(), &mut violations);
        let reading = valid(violations, Some(reading))?;
        let (news, epoch) = serve::follow(&self.0, reading).await.map_err(into_status)?;
        let pages = news.map(move |news| match news {
            Ok(News::Page(workspace, stretches)) => {
                let segments = stretches.into_iter().map(segment).collect();
                let epoch = Bytes::copy_from_slice(&epoch);
                Ok(FollowPage { workspace_id: workspace.to_string(), segments, epoch, caught_up: false }.answer())
            }
            Ok(News::CaughtUp) => {
                let epoch = Bytes::copy_from_slice(&epoch);
                Ok(Answer::Message(proto::FollowResponse {
                    caught_up: true,
                    epoch,
                    ..proto::FollowResponse::default()
                }))
            }
            Err(fault) => Err(into_status(fault)),
        });
        Ok(Response::new(pages.take_until(async move { end.wait().await }).boxed()))
    }

    async fn list_state(
        &self,
        request: Request<proto::ListStateRequest>,
    ) -> Result<Response<proto::ListStateResponse>, Status> {
        let message = request.get_ref();
        let mut violations = Violations::new();
        let workspace: Option<WorkspaceId> = message.workspace_id.parse().ok();
        if workspace.is_none() {
            violations.add("workspace_id", reason::NOT_AN_ID, "must be the id of a workspace, ws_…");
        }
        let partitions = parse_partitions(&message.partitions, &mut violations);
        let workspace = valid(violations, workspace)?;
        let token = (!message.page_token.is_empty()).then_some(message.page_token.as_ref());
        let (stretches, next) = serve::state(&self.0, workspace, &partitions, token).await.map_err(into_status)?;
        let listed = |stretch: Stretch| {
            let changes = stretch.changes.into_iter().map(Change::decode).collect::<Result<_, _>>();
            let partition = i32::from(stretch.partition.number());
            Ok(proto::FeedSegment { partition, after_seq: 0, through_seq: 0, changes: changes? })
        };
        let segments = stretches.into_iter().map(listed).collect::<Result<_, prost::DecodeError>>();
        let segments = segments.map_err(|_| into_status(ScoringFault::Corrupt("a change")))?;
        Ok(Response::new(proto::ListStateResponse { segments, next_page_token: next.unwrap_or_default().into() }))
    }

    async fn get_heads(
        &self,
        request: Request<proto::GetHeadsRequest>,
    ) -> Result<Response<proto::GetHeadsResponse>, Status> {
        let asked = &request.get_ref().partitions;
        let mut violations = Violations::new();
        let partitions =
            if asked.is_empty() { Partition::all().collect() } else { parse_partitions(asked, &mut violations) };
        valid(violations, Some(()))?;
        let (heads, epoch) = serve::heads(&self.0, &partitions).await.map_err(into_status)?;
        let heads = heads.into_iter().map(|head| FeedHead {
            workspace_id: head.workspace.to_string(),
            partition: i32::from(head.partition.number()),
            last_seq: head.last_seq,
            trimmed_seq: head.trimmed_seq,
        });
        Ok(Response::new(proto::GetHeadsResponse { heads: heads.collect(), epoch: Bytes::copy_from_slice(&epoch) }))
    }
}

fn segment(stretch: Stretch) -> FollowSegment {
    FollowSegment {
        partition: i32::from(stretch.partition.number()),
        after_seq: stretch.after,
        through_seq: stretch.through,
        changes: stretch.changes,
    }
}

fn parse_reading(message: &proto::FollowRequest, violations: &mut Violations) -> Reading {
    let partitions = parse_partitions(&message.partitions, violations);
    let mut cursors = Vec::with_capacity(message.cursors.len());
    for (index, cursor) in message.cursors.iter().enumerate() {
        match parse_cursor(cursor) {
            Some(place) => cursors.push(place),
            None => {
                let text = "must name a workspace, a partition below 64 and a position from 0";
                violations.add(format!("cursors[{index}]"), reason::OUT_OF_RANGE, text);
            }
        }
    }
    let epoch: Option<[u8; 16]> = message.epoch.as_ref().try_into().ok();
    if epoch.is_none() && !message.epoch.is_empty() {
        violations.add("epoch", reason::OUT_OF_RANGE, "must be the epoch of an earlier answer");
    }
    let kinds = message.kinds.iter().filter_map(|kind| i16::try_from(*kind).ok()).collect();
    Reading { partitions, cursors, kinds, epoch }
}

fn parse_cursor(cursor: &FeedCursor) -> Option<(WorkspaceId, Partition, i64)> {
    let partition = u8::try_from(cursor.partition).ok().and_then(Partition::new)?;
    Some((cursor.workspace_id.parse().ok()?, partition, Some(cursor.seq).filter(|seq| *seq >= 0)?))
}

fn parse_partitions(numbers: &[i32], violations: &mut Violations) -> Vec<Partition> {
    if numbers.is_empty() {
        violations.add("partitions", reason::REQUIRED, "must name at least one partition");
    }
    let read: Option<Vec<Partition>> =
        numbers.iter().map(|number| u8::try_from(*number).ok().and_then(Partition::new)).collect();
    if read.is_none() {
        violations.add("partitions", reason::OUT_OF_RANGE, "must be from 0 to 63");
    }
    read.unwrap_or_default()
}
