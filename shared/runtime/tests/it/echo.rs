//! A service that says what it hears, and can be told to misbehave.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use keizoku_runtime::context::{self, Closing};
use keizoku_runtime::{Client, caller, client, closing, workspace};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Words {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

pub(crate) fn words(text: &str) -> Words {
    Words { text: text.to_owned() }
}

pub(crate) const LIMIT: usize = 4096;

#[derive(Clone, Default)]
pub(crate) struct Echo {
    /// Rung when a call that waits has begun.
    pub(crate) begun: Arc<Notify>,
    /// Lets one call that waits go on.
    pub(crate) go_on: Arc<Notify>,
    /// How often Say was called.
    pub(crate) said: Arc<AtomicU32>,
    /// Whom `relay` asks.
    pub(crate) next: Option<Client>,
}

impl Echo {
    async fn say(self, request: Request<Words>) -> Result<Response<Words>, Status> {
        self.said.fetch_add(1, Ordering::SeqCst);
        let text = match request.get_ref().text.as_str() {
            "wait" => {
                self.begun.notify_one();
                self.go_on.notified().await;
                "waited".to_owned()
            }
            "panic" => panic!("the password is hush"),
            "unavailable" => return Err(Status::unavailable("not now")),
            "who" => {
                let caller = caller(&request)?;
                format!("{} internal={} workspace={:?}", caller.actor, caller.internal, caller.workspace)
            }
            "where" => workspace(&request)?.to_string(),
            "time left" => context::deadline().expect("a deadline").remaining().as_millis().to_string(),
            "work" => tracing::info_span!("work inside").in_scope(|| "worked".to_owned()),
            "trace" => context::trace().expect("a trace").to_string(),
            "shout" => "x".repeat(LIMIT + 1),
            relay => match (relay.strip_prefix("relay "), self.next.clone()) {
                (Some(rest), Some(next)) => return say(next, client::repeatable(words(rest))).await,
                _ => relay.to_owned(),
            },
        };
        Ok(Response::new(words(&text)))
    }

    fn chant(self, request: Request<Streaming<Words>>) -> Result<Response<BoxStream<'static, Answer>>, Status> {
        let closing = closing(&request);
        let lines = Some(request.into_inner());
        Ok(Response::new(futures::stream::unfold((lines, closing, self), next_line).boxed()))
    }
}

type Answer = Result<Words, Status>;

/// What a chant goes on with: nothing, once it has come to its end.
type Chant = (Option<Streaming<Words>>, Closing, Echo);

/// Says each line back; "hold" waits for the connection to close, "ignore" does not even do that.
async fn next_line((lines, closing, echo): Chant) -> Option<(Answer, Chant)> {
    let mut lines = lines?;
    let answer = match lines.next().await? {
        Ok(line) if line.text == "hold" => {
            echo.begun.notify_one();
            closing.wait().await;
            Ok(words("committed"))
        }
        Ok(line) if line.text == "ignore" => {
            echo.begun.notify_one();
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(line)
        }
        Ok(line) if line.text == "panic" => panic!("the password is hush"),
        other => other,
    };
    Some((answer, ((!closing.is_due()).then_some(lines), closing, echo)))
}

pub(crate) async fn say(client: Client, request: Request<Words>) -> Result<Response<Words>, Status> {
    unary(client, "Say", request).await
}

pub(crate) async fn unary(
    client: Client,
    method: &'static str,
    request: Request<Words>,
) -> Result<Response<Words>, Status> {
    let path = format!("/keizoku.test.v1.EchoService/{method}").parse().expect("a path");
    let mut grpc = tonic::client::Grpc::new(client);
    grpc.ready().await?;
    grpc.unary(request, path, ProstCodec::default()).await
}

pub(crate) async fn chant(
    client: Client,
    lines: impl futures::Stream<Item = Words> + Send + 'static,
) -> Result<Response<Streaming<Words>>, Status> {
    let path = http::uri::PathAndQuery::from_static("/keizoku.test.v1.EchoService/Chant");
    let mut grpc = tonic::client::Grpc::new(client);
    grpc.ready().await?;
    grpc.streaming(client::streaming(lines), path, ProstCodec::default()).await
}

impl NamedService for Echo {
    const NAME: &'static str = "keizoku.test.v1.EchoService";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<Words, Words>::default();
            let mut grpc = Grpc::new(codec).apply_max_message_size_config(Some(LIMIT), Some(LIMIT));
            Ok(if request.uri().path().ends_with("/Chant") {
                grpc.streaming(tower::service_fn(|request| std::future::ready(echo.clone().chant(request))), request)
                    .await
            } else {
                grpc.unary(tower::service_fn(|request| echo.clone().say(request)), request).await
            })
        })
    }
}

/// A service whose methods were not all given a scope.
#[derive(Clone)]
pub(crate) struct Careless(pub(crate) Echo);

impl NamedService for Careless {
    const NAME: &'static str = "keizoku.test.v1.CarelessService";
}

impl Service<http::Request<Body>> for Careless {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}
