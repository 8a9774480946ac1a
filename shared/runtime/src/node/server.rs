//! Accepts connections and serves calls on them.
//!
//! Done here rather than by tonic's server because that one answers `grpc-timeout` itself with CANCELLED, cuts connections
//! at their age without asking them to close first, and knows no limit of connections.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;

use super::settings::LimitSettings;
use crate::layer::{Handler, Methods, Peer, answer};

/// What all connections share.
pub(super) struct Server<H> {
    pub(super) handler: H,
    pub(super) methods: Arc<Methods>,
    pub(super) limits: LimitSettings,
    pub(super) handshake: Duration,
    /// Cancelled when no more connections are accepted and those that are there should close.
    pub(super) closing: CancellationToken,
}

impl<H: Handler> Server<H> {
    /// Serves until it is closing and every connection has closed.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let connections = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(self.limits.connections as usize));
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                // The slot comes first: a connection nobody serves would only wait longer for its refusal.
                accepted = async { (Arc::clone(&slots).acquire_owned().await, listener.accept().await) } => accepted,
            };
            match accepted {
                (slot, Ok((stream, _))) => {
                    let (server, tls) = (Arc::clone(&self), tls.clone());
                    connections.spawn(async move {
                        server.connection(stream, tls).await;
                        drop(slot);
                    });
                }
                (_, Err(fault)) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, tls: Option<TlsAcceptor>) {
        if let Err(fault) = stream.set_nodelay(true) {
            tracing::debug!(%fault, "a connection is gone already");
            return;
        }
        let closing = self.closing.child_token();
        let Some(tls) = tls else {
            return self.serve_connection(stream, Peer { trusted: false, closing }).await;
        };
        match timeout(self.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                // A certificate that was shown has been verified; without an authority none is asked for.
                let trusted = stream.get_ref().1.peer_certificates().is_some();
                self.serve_connection(stream, Peer { trusted, closing }).await;
            }
            Ok(Err(fault)) => tracing::debug!(%fault, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve_connection<IO>(self: Arc<Self>, io: IO, peer: Peer)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, limits) = (Arc::new(peer), self.limits.clone());
        let calls = {
            let peer = Arc::clone(&peer);
            service_fn(move |request: Request<Incoming>| {
                let (server, peer) = (Arc::clone(&self), Arc::clone(&peer));
                async move {
                    let method = Arc::clone(server.methods.find(request.uri().path()));
                    let response = answer(&server.handler, method, peer, request.map(Body::new)).await;
                    Ok::<_, std::convert::Infallible>(response)
                }
            })
        };
        let mut connection = std::pin::pin!(builder(&limits).serve_connection(TokioIo::new(io), calls));
        tokio::select! {
            ended = connection.as_mut() => return told(ended),
            () = peer.closing.cancelled() => {}
            () = sleep(age(&limits)) => peer.closing.cancel(),
        }
        connection.as_mut().graceful_shutdown();
        match timeout(limits.connection_grace.get(), connection).await {
            Ok(ended) => told(ended),
            Err(_) => tracing::debug!("a connection did not close in time and was cut"),
        }
    }
}

fn builder(limits: &LimitSettings) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.connection_streams)
        .max_header_list_size(u32::try_from(limits.headers.get()).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.resets as usize)
        .max_local_error_reset_streams(limits.resets as usize)
        .keep_alive_interval(limits.keep_alive.get())
        .keep_alive_timeout(limits.keep_alive_timeout.get())
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_send_buf_size(1 << 20)
        .auto_date_header(false);
    builder
}

/// The age at which a connection closes: scattered, so that those opened together do not all come back together.
fn age(limits: &LimitSettings) -> Duration {
    let scatter = RandomState::new().hash_one(0_u8) % 200;
    limits.connection_age.get() * u32::try_from(900 + scatter).unwrap_or(1000) / 1000
}

fn told(ended: Result<(), hyper::Error>) {
    if let Err(fault) = ended {
        tracing::debug!(%fault, "a connection broke");
    }
}
