//! The generated servers on our codec, called as a service: frames in, frames and status out.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use keizoku_proto::scoring::{
    Change, FeedSegment, FollowRequest, FollowResponse, GetHeadsRequest, GetHeadsResponse, ListStateRequest,
    ListStateResponse,
};
use keizoku_proto::server::scoring::feed_service_server::{FeedService, FeedServiceServer};
use keizoku_proto::wire::{Answer, FollowPage, FollowSegment};
use prost::Message;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::{BoxStream, Service, http};
use tonic::{Request, Response, Status};

struct Feed;

#[tonic::async_trait]
impl FeedService for Feed {
    type FollowStream = BoxStream<Answer<FollowResponse>>;

    async fn follow(&self, _request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let pages = vec![Ok(stored().answer()), Ok(Answer::Message(expected()))];
        Ok(Response::new(Box::pin(Pages(pages.into_iter()))))
    }

    async fn list_state(&self, request: Request<ListStateRequest>) -> Result<Response<ListStateResponse>, Status> {
        let next_page_token = request.into_inner().page_token;
        Ok(Response::new(ListStateResponse { next_page_token, ..Default::default() }))
    }

    async fn get_heads(&self, _request: Request<GetHeadsRequest>) -> Result<Response<GetHeadsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

struct Pages(std::vec::IntoIter<Result<Answer<FollowResponse>, Status>>);

impl Stream for Pages {
    type Item = Result<Answer<FollowResponse>, Status>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

fn change() -> Change {
    Change { seq: 1, trace_parent: "00-ab-cd-01".to_owned(), ..Default::default() }
}

fn stored() -> FollowPage {
    let changes = vec![Bytes::from(change().encode_to_vec())];
    let segment = FollowSegment { partition: 5, after_seq: 0, through_seq: 1, changes };
    FollowPage {
        workspace_id: "ws_a".to_owned(),
        segments: vec![segment],
        epoch: Bytes::from_static(b"1"),
        caught_up: false,
    }
}

fn expected() -> FollowResponse {
    let segment = FeedSegment { partition: 5, after_seq: 0, through_seq: 1, changes: vec![change()] };
    FollowResponse {
        workspace_id: "ws_a".to_owned(),
        segments: vec![segment],
        epoch: Bytes::from_static(b"1"),
        caught_up: false,
    }
}

/// Sends one frame to a method; gives the answer's messages and status.
async fn call(method: &str, message: &[u8]) -> (Vec<Bytes>, Status) {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("short"));
    frame.put_slice(message);
    let request = http::Request::builder()
        .uri(format!("/keizoku.scoring.v1.FeedService/{method}"))
        .header("content-type", "application/grpc")
        .body(Full::new(frame.freeze()))
        .expect("a request");
    let answer: Result<_, Infallible> = FeedServiceServer::new(Feed).call(request).await;
    let (head, body) = answer.expect("cannot fail").into_parts();
    let body = body.collect().await.expect("a body");
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let status = Status::from_header_map(&trailers).expect("a status");
    (messages(body.to_bytes()), status)
}

fn messages(mut frames: Bytes) -> Vec<Bytes> {
    let mut found = Vec::new();
    while !frames.is_empty() {
        let head = frames.split_to(5);
        let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes"));
        found.push(frames.split_to(usize::try_from(length).expect("short")));
    }
    found
}

#[tokio::test]
async fn pages_stored_encoded_and_pages_made_as_messages_read_the_same() {
    let (pages, status) = call("Follow", &[]).await;
    assert_eq!(status.code(), tonic::Code::Ok);
    assert_eq!(pages.len(), 2);
    for page in pages {
        assert_eq!(FollowResponse::decode(page), Ok(expected()));
    }
}

#[tokio::test]
async fn plain_messages_pass_in_both_directions() {
    let request = ListStateRequest { page_token: Bytes::from_static(b"after"), ..Default::default() };
    let (answers, status) = call("ListState", &request.encode_to_vec()).await;
    assert_eq!(status.code(), tonic::Code::Ok);
    let wanted = ListStateResponse { next_page_token: Bytes::from_static(b"after"), ..Default::default() };
    assert_eq!(answers, [Bytes::from(wanted.encode_to_vec())]);
}

#[tokio::test]
async fn a_request_that_is_no_protobuf_is_an_invalid_argument() {
    for method in ["Follow", "ListState"] {
        let (answers, status) = call(method, &[0x0a, 2, 0xff]).await;
        assert!(answers.is_empty(), "{method}");
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{method}");
    }
}
