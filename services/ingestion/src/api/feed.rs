//! Every change, in order and without a gap, for the other services.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use keizoku_base::{Partition, Violations, WorkspaceId};
use keizoku_proto::ingestion as proto;
use keizoku_proto::server::ingestion::feed_service_server::FeedService;
use keizoku_proto::types;
use keizoku_proto::wire::{Answer, FollowPage, FollowSegment};
use keizoku_runtime::closing;
use keizoku_runtime::status::into_status;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::valid;
use crate::app::follow::{Asked, Served, Stretch};
use crate::app::{App, follow, state};
use crate::domain::reason;

/// The feed's RPCs.
pub struct FeedApi(pub Arc<App>);

#[tonic::async_trait]
impl FeedService for FeedApi {
    type FollowStream = BoxStream<'static, Result<Answer<proto::FollowResponse>, Status>>;

    async fn follow(&self, request: Request<proto::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let closing = closing(&request);
        let mut violations = Violations::new();
        let asked = parse_follow(request.get_ref(), &mut violations);
        let asked = valid(violations, Some(asked))?;
        let epoch = follow::epoch(&self.0).await.map_err(into_status)?;
        let shown = Bytes::copy_from_slice(epoch.as_bytes());
        let pages = follow::follow(&self.0, epoch, &asked)
            .map(move |served| served.map(|served| serve(served, shown.clone())).map_err(into_status))
            .take_until(async move { closing.wait().await });
        Ok(Response::new(pages.boxed()))
    }

    async fn list_state(
        &self,
        request: Request<proto::ListStateRequest>,
    ) -> Result<Response<proto::ListStateResponse>, Status> {
        let message = request.into_inner();
        let mut violations = Violations::new();
        let workspace = parse_workspace(&message.workspace_id, "workspace_id", &mut violations);
        let partitions = parse_partitions(&message.partitions, &mut violations);
        let workspace = valid(violations, workspace)?;
        let page = state::page(&self.0, workspace, &partitions, &message.page_token).await.map_err(into_status)?;
        let mut segments: Vec<proto::FeedSegment> = Vec::new();
        let mut listed: Vec<_> = page.drafts.iter().map(|draft| (draft.partition, &draft.body)).collect();
        listed.sort_by_key(|(partition, _)| *partition);
        for (partition, body) in listed {
            let number = i32::from(partition.number());
            if segments.last().is_none_or(|segment| segment.partition != number) {
                segments.push(proto::FeedSegment { partition: number, ..Default::default() });
            }
            // Our own bytes: what cannot be read is not there.
            let change = proto::Change::decode(body.as_slice()).ok();
            segments.last_mut().into_iter().for_each(|segment| segment.changes.extend(change.clone()));
        }
        Ok(Response::new(proto::ListStateResponse { segments, next_page_token: page.next.unwrap_or_default().into() }))
    }

    async fn get_heads(
        &self,
        request: Request<proto::GetHeadsRequest>,
    ) -> Result<Response<proto::GetHeadsResponse>, Status> {
        let numbers = &request.get_ref().partitions;
        let mut violations = Violations::new();
        let partitions =
            if numbers.is_empty() { Partition::all().collect() } else { parse_partitions(numbers, &mut violations) };
        let partitions = valid(violations, Some(partitions))?;
        let heads = follow::heads(&self.0, &partitions).await.map_err(into_status)?;
        let epoch = follow::epoch(&self.0).await.map_err(into_status)?;
        let head = |head: &follow::WrittenTo| types::FeedHead {
            workspace_id: head.workspace.to_string(),
            partition: i32::from(head.partition.number()),
            last_seq: head.last_seq,
            trimmed_seq: head.trimmed_seq,
        };
        Ok(Response::new(proto::GetHeadsResponse {
            heads: heads.iter().map(head).collect(),
            epoch: Bytes::copy_from_slice(epoch.as_bytes()),
        }))
    }
}

fn parse_follow(message: &proto::FollowRequest, violations: &mut Violations) -> Asked {
    let mut asked = Asked { partitions: parse_partitions(&message.partitions, violations), ..Asked::default() };
    for (index, cursor) in message.cursors.iter().enumerate() {
        let field = format!("cursors[{index}].workspace_id");
        let workspace = parse_workspace(&cursor.workspace_id, &field, violations);
        let partition = parse_partition(cursor.partition, &format!("cursors[{index}].partition"), violations);
        if let (Some(workspace), Some(partition)) = (workspace, partition) {
            asked.cursors.push((workspace, partition, cursor.seq));
        }
    }
    asked.kinds = message.kinds.iter().filter_map(|kind| i16::try_from(*kind).ok()).collect();
    if !message.epoch.is_empty() {
        asked.epoch = follow::parse_epoch(&message.epoch);
        if asked.epoch.is_none() {
            violations.add("epoch", reason::OUT_OF_RANGE, "must be the epoch of an earlier answer");
        }
    }
    asked
}

fn parse_partitions(numbers: &[i32], violations: &mut Violations) -> Vec<Partition> {
    if numbers.is_empty() {
        violations.add("partitions", reason::REQUIRED, "must name at least one");
    }
    let parse = |(index, number): (usize, &i32)| parse_partition(*number, &format!("partitions[{index}]"), violations);
    numbers.iter().enumerate().filter_map(parse).collect()
}

fn parse_partition(number: i32, field: &str, violations: &mut Violations) -> Option<Partition> {
    let found = u8::try_from(number).ok().and_then(Partition::new);
    if found.is_none() {
        violations.add(field, reason::OUT_OF_RANGE, format!("must be 0 to {}", Partition::COUNT - 1));
    }
    found
}

fn parse_workspace(text: &str, field: &str, violations: &mut Violations) -> Option<WorkspaceId> {
    let found = text.parse().ok();
    if found.is_none() {
        violations.add(field, reason::NOT_AN_ID, "must be the id of a workspace, ws_…");
    }
    found
}

fn serve(served: Served, epoch: Bytes) -> Answer<proto::FollowResponse> {
    let (workspace, stretches) = match served {
        Served::CaughtUp => {
            return Answer::Message(proto::FollowResponse { epoch, caught_up: true, ..Default::default() });
        }
        Served::Changes(workspace, stretches) => (workspace, stretches),
    };
    let segment = |stretch: Stretch| FollowSegment {
        partition: i32::from(stretch.partition.number()),
        after_seq: stretch.after,
        through_seq: stretch.through,
        changes: stretch.changes,
    };
    let segments = stretches.into_iter().map(segment).collect();
    FollowPage { workspace_id: workspace.to_string(), segments, epoch, caught_up: false }.answer()
}
