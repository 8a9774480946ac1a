//! Plain tonic channels: what is measured is the server, so both sides are called by the same few lines.

use anyhow::Context as _;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A connection that shows a key.
pub(crate) type Wire = InterceptedService<Channel, Bearer>;

/// The key.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Connects to `endpoint`.
///
/// # Errors
/// Nobody listens there.
#[expect(clippy::disallowed_methods, reason = "the yardstick and the product are called by one plain client")]
pub(crate) async fn connect(endpoint: &str, key: &str) -> anyhow::Result<Wire> {
    let bearer = Bearer(format!("Bearer {key}").parse().context("the key cannot be sent")?);
    let channel = Endpoint::from_shared(endpoint.to_owned())?
        .tcp_nodelay(true)
        .connect()
        .await
        .with_context(|| format!("nobody answers at {endpoint}"))?;
    Ok(InterceptedService::new(channel, bearer))
}

/// So many connections.
///
/// # Errors
/// As [`connect`].
pub(crate) async fn connect_many(endpoint: &str, key: &str, count: usize) -> anyhow::Result<Vec<Wire>> {
    let mut wires = Vec::with_capacity(count);
    for _ in 0..count {
        wires.push(connect(endpoint, key).await?);
    }
    Ok(wires)
}
