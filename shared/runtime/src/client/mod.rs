//! The one way to call another service: a lazy channel that hands on the deadline and the trace of the call in work, shows
//! the credential, and repeats (within a budget) what is marked as repeatable when the peer is unavailable.
//!
//! A [`Client`] is a tower service, so generated clients are built on it: `ScoringServiceClient::new(client.clone())`.

mod budget;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use keizoku_base::WorkspaceId;
use opentelemetry::global;
use opentelemetry::propagation::Injector;
use tonic::body::Body;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::auth::{ACTOR_HEADER, INTERNAL_PREFIX, WORKSPACE_HEADER};
use crate::config::{Secret, TimeSpan};
use crate::context::{self, Deadline};
use crate::fault::CallFault;
use crate::layer::{TIMEOUT_HEADER, asked};
use crate::status::{Causes, code_of, status, unlogged};

use budget::Budget;

crate::settings! {
    /// How another service is reached.
    pub struct ClientSettings {
        /// Its address, `http://host:7070` or `https://…`; empty where it runs in this process.
        address: String = String::new(),
        /// PEM file of the authority its certificate is checked with; for https.
        authority: Option<PathBuf> = None,
        /// The name its certificate must be for, where that is not the host of the address.
        name: Option<String> = None,
        /// PEM file of the certificate this process shows, to call as a service without a token.
        certificate: Option<PathBuf> = None,
        /// PEM file of that certificate's key.
        key: Option<PathBuf> = None,
        /// How long a call may take where the call in work sets no earlier deadline. Streams are not bounded by it.
        timeout: TimeSpan = TimeSpan::seconds(5),
        /// How long it may take to connect.
        connect_timeout: TimeSpan = TimeSpan::seconds(2),
        /// After how long without traffic the peer is asked whether it is there.
        keep_alive: TimeSpan = TimeSpan::seconds(30),
        /// How often a repeatable call is repeated at the most when the peer is unavailable.
        retries: u32 = 2,
    }
}

/// What is shown to the peer.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing, or the certificate of the settings.
    None,
    /// Another service of ours: the internal token.
    Internal(Secret),
    /// A key or token, as a customer would.
    Bearer(Secret),
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// The address is none.
    #[error("{address:?} is not an address like http://host:7070: {problem}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificates have no meaning.
    #[error("TLS to {address} cannot be set up: {problem}")]
    Tls {
        /// The peer.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// The credential cannot be sent.
    #[error("the credential holds characters that cannot be sent")]
    Credential,
}

/// A channel to another service. Clones share the connection and the budget for repeats.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    peer: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    retries: u32,
    budget: Budget,
}

/// Marks a call that may be carried out twice without harm: a read, or one with a request id.
#[derive(Debug, Clone, Copy)]
struct Repeatable;

/// Marks a stream: it has no deadline.
#[derive(Debug, Clone, Copy)]
struct Streaming;

/// A request that may be repeated without harm: a read, or one with a request id.
pub fn repeatable<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Repeatable);
    request
}

/// A request (a message, or a stream of them) that opens a stream, in either direction: it has no deadline.
pub fn streaming<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Streaming);
    request
}

/// Says which workspace an internal call is about, and for whom it is made.
pub fn on_behalf<M>(mut request: tonic::Request<M>, workspace: WorkspaceId, actor: &str) -> tonic::Request<M> {
    if let Ok(workspace) = workspace.to_string().parse() {
        request.metadata_mut().insert(WORKSPACE_HEADER, workspace);
    }
    // An actor that cannot stand in a header is left out; the peer then names the service.
    if let Ok(actor) = actor.parse() {
        request.metadata_mut().insert(ACTOR_HEADER, actor);
    }
    request
}

impl Client {
    /// A channel that connects when it is first used. Must be called inside of the runtime.
    ///
    /// # Errors
    /// An address, file or credential that has no meaning.
    pub fn new(settings: &ClientSettings, credential: &Credential) -> Result<Self, ClientFault> {
        Ok(Self {
            channel: channel(endpoint(settings)?),
            shared: Arc::new(Shared {
                peer: settings.address.clone(),
                authorization: authorization(credential)?,
                timeout: settings.timeout.get(),
                retries: settings.retries,
                budget: Budget::default(),
            }),
        })
    }

    async fn send(mut self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let repeatable = request.extensions_mut().remove::<Repeatable>().is_some();
        let streaming = request.extensions_mut().remove::<Streaming>().is_some();
        let headers = request.headers_mut();
        if let Some(authorization) = &self.shared.authorization {
            headers.entry(AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        hand_on_trace(headers);
        if streaming {
            headers.remove(TIMEOUT_HEADER);
            return self.attempt(request).await;
        }
        let own = Deadline::after(asked(headers).map_or(self.shared.timeout, |asked| asked.min(self.shared.timeout)));
        let deadline = context::deadline().map_or(own, |inherited| inherited.min(own));
        let work = async {
            if repeatable {
                self.repeat(request, deadline).await
            } else {
                hand_on_deadline(request.headers_mut(), deadline);
                self.attempt(request).await
            }
        };
        match tokio::time::timeout_at(deadline.instant(), work).await {
            Ok(answer) => answer,
            Err(_) => Err(status(&CallFault::DeadlineExceeded)),
        }
    }

    /// Sends the request again while the peer is unavailable, the attempts, the budget and the time allow.
    async fn repeat(&mut self, request: Request<Body>, deadline: Deadline) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let mut pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(25))
            .with_max_delay(Duration::from_secs(1))
            .with_max_times(self.shared.retries as usize)
            .build();
        self.shared.budget.deposit();
        loop {
            let mut request = Request::from_parts(parts.clone(), replayed(bytes.clone()));
            hand_on_deadline(request.headers_mut(), deadline);
            let answer = self.attempt(request).await;
            let code = match &answer {
                Ok(response) => code_of(response.headers()),
                Err(status) => Some(status.code()),
            };
            if code != Some(Code::Unavailable) {
                return answer;
            }
            let Some(pause) = pauses.next().filter(|pause| *pause < deadline.remaining()) else { return answer };
            if !self.shared.budget.withdraw() {
                return answer;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&mut self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let sent = async { self.channel.ready().await?.call(request).await };
        sent.await.map_err(|fault: tonic::transport::Error| {
            // The channel keeps grpc-timeout too, and is sometimes first.
            if timed_out(&fault) {
                return unlogged(&CallFault::DeadlineExceeded);
            }
            tracing::debug!(peer = self.shared.peer, cause = %Causes(Some(&fault)), "a peer cannot be reached");
            unlogged(&CallFault::Unreachable { peer: self.shared.peer.clone() })
        })
    }
}

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Each call waits for the channel itself, so that the wait counts against its deadline.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one client constructor")]
fn channel(endpoint: Endpoint) -> Channel {
    endpoint.connect_lazy()
}

fn endpoint(settings: &ClientSettings) -> Result<Endpoint, ClientFault> {
    let address = settings.address.clone();
    let encrypted = address.starts_with("https://");
    if !encrypted && !address.starts_with("http://") {
        return Err(ClientFault::Address {
            address,
            problem: "it begins with neither http:// nor https://".to_owned(),
        });
    }
    let endpoint = Endpoint::from_shared(address.clone())
        .map_err(|fault| ClientFault::Address { address: address.clone(), problem: Causes(Some(&fault)).to_string() })?
        .connect_timeout(settings.connect_timeout.get())
        .http2_keep_alive_interval(settings.keep_alive.get())
        .keep_alive_timeout(settings.keep_alive.get())
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .tcp_nodelay(true);
    if !encrypted {
        return Ok(endpoint);
    }
    let mut tls = ClientTlsConfig::new();
    if let Some(path) = &settings.authority {
        tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
    }
    if let Some(name) = &settings.name {
        tls = tls.domain_name(name);
    }
    if let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    endpoint.tls_config(tls).map_err(|fault| ClientFault::Tls { address, problem: Causes(Some(&fault)).to_string() })
}

fn read(path: &Path) -> Result<Vec<u8>, ClientFault> {
    std::fs::read(path).map_err(|source| ClientFault::File { path: path.to_owned(), source })
}

fn authorization(credential: &Credential) -> Result<Option<HeaderValue>, ClientFault> {
    let text = match credential {
        Credential::None => return Ok(None),
        Credential::Internal(token) => {
            let token = token.reveal();
            format!("Bearer {INTERNAL_PREFIX}{}", token.strip_prefix(INTERNAL_PREFIX).unwrap_or(token))
        }
        Credential::Bearer(key) => format!("Bearer {}", key.reveal()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| ClientFault::Credential)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The time that is left, as the protocol writes it.
fn hand_on_deadline(headers: &mut HeaderMap, deadline: Deadline) {
    let left = deadline.remaining();
    let micros = left.as_micros();
    let text =
        if micros < 100_000_000 { format!("{micros}u") } else { format!("{}m", left.as_millis().min(99_999_999)) };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TIMEOUT_HEADER, value);
    }
}

/// The trace of the call in work: of its innermost span where it is exported, else as it came.
fn hand_on_trace(headers: &mut HeaderMap) {
    let span = tracing::Span::current();
    let trace = context::trace();
    if !span.is_none() && trace.is_none_or(|trace| trace.sampled) {
        global::get_text_map_propagator(|propagator| propagator.inject_context(&span.context(), &mut Headers(headers)));
    }
    if let (Some(trace), false) = (trace, headers.contains_key("traceparent"))
        && let Ok(value) = HeaderValue::try_from(trace.to_string())
    {
        headers.insert("traceparent", value);
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

fn timed_out(fault: &(dyn Error + 'static)) -> bool {
    fault.is::<tonic::TimeoutExpired>() || fault.source().is_some_and(timed_out)
}

fn replayed(bytes: Bytes) -> Body {
    Body::new(Full::new(bytes))
}
