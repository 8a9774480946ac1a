//! A process that serves: it listens first, mounts services, runs until it is asked to stop, and stops gently.
//!
//! The order of the end: SIGTERM → NOT_SERVING → notice → no more connections, those there are asked to close, calls in
//! work finish → background work finishes its item. A second signal, or the limit, ends it at once with exit code 1.

mod admin;
mod health;
mod server;
pub mod settings;
mod stop;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use prometheus::Registry;
use prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::auth::Authenticator;
use crate::layer::{Methods, Mounted, Parts, stack};
use crate::tasks::Tasks;
use crate::telemetry::{Sampler, Telemetry};

pub use crate::layer::MethodFault;
pub use health::Health;
pub use settings::NodeSettings;
pub use stop::Stop;
pub use tls::TlsFault;

/// How often keys whose rate has recovered are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Why a node cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum NodeFault {
    /// A port cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Encryption cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The descriptors cannot be read.
    #[error("the descriptors cannot be read: {0}")]
    Descriptors(String),
    /// Services cannot be served; all reasons at once.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Methods(Vec<MethodFault>),
    /// The operating system does not say on which port it listens.
    #[error("the address of a port cannot be read: {0}")]
    Address(std::io::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Asked to, and everything was finished.
    Clean,
    /// Not everything was finished in time, or it was asked twice.
    Cut,
    /// Background work ended unasked or panicked too often.
    Broken,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(u8::from(exit != Exit::Clean))
    }
}

/// A process that serves. Its ports are open from the start; calls are answered from [`Node::run`] on.
pub struct Node {
    settings: NodeSettings,
    listener: TcpListener,
    /// Where a port that encrypts is not what the process's own services should talk through.
    own: Option<TcpListener>,
    admin: TcpListener,
    tls: Option<TlsAcceptor>,
    pool: DescriptorPool,
    descriptors: &'static [u8],
    mounted: Vec<Mounted>,
    health: Health,
    reporter: HealthReporter,
    tasks: Tasks,
    stop: Stop,
    sampler: Option<Sampler>,
    registry: Registry,
    meter: Meter,
}

impl Node {
    /// Opens the ports. `descriptors` is an encoded `FileDescriptorSet` that knows every service to be mounted, options kept.
    ///
    /// # Errors
    /// A port that cannot be listened on, files of TLS that cannot be read, descriptors that are none.
    pub async fn bind(
        settings: NodeSettings,
        descriptors: &'static [u8],
        telemetry: &Telemetry,
    ) -> Result<Self, NodeFault> {
        let tls = tls::acceptor(&settings.tls)?;
        let listener = listen(settings.listen).await?;
        let admin = listen(settings.admin).await?;
        let own = if tls.is_some() { Some(listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?) } else { None };
        let reporter = HealthReporter::new();
        Ok(Self {
            pool: pool(descriptors)?,
            health: Health::new(reporter.clone()),
            mounted: Vec::new(),
            tasks: Tasks::new(),
            stop: Stop::default(),
            sampler: telemetry.sampler(),
            registry: telemetry.registry(),
            meter: telemetry.meter(),
            settings,
            listener,
            own,
            admin,
            tls,
            descriptors,
            reporter,
        })
    }

    /// The gRPC port.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address at which services in this process call one another: on this machine, never encrypted.
    ///
    /// # Errors
    /// The operating system's.
    pub fn own_address(&self) -> std::io::Result<SocketAddr> {
        let mut address = self.own.as_ref().unwrap_or(&self.listener).local_addr()?;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Ok(address)
    }

    /// The admin port.
    ///
    /// # Errors
    /// The operating system's.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// The settings it runs with; services set their message limits by them.
    pub fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// The background work of the process.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The health of the services; all are ready once the node runs, unless they are held.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What asks the node to stop.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Mounts a service as generated from its proto.
    pub async fn mount<S>(&mut self, service: S)
    where
        S: Service<
                Request<Body>,
                Response = http::Response<Body>,
                Error = Infallible,
                Future = BoxFuture<http::Response<Body>, Infallible>,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.health.mounted(S::NAME).await;
        self.mounted.push(Mounted { name: S::NAME, route: Arc::new(service) });
    }

    /// Serves until it is asked to stop (by [`Stop`], SIGTERM or SIGINT) or background work breaks, then stops as the
    /// module says. Telemetry is still running when it returns.
    ///
    /// # Errors
    /// A method without a scope, a service without a descriptor: found before the first call is answered.
    pub async fn run(mut self, authenticator: Arc<dyn Authenticator>) -> Result<Exit, NodeFault> {
        self.mount_standard()?;
        let limits = self.settings.limits.clone();
        let methods = Methods::read(&self.pool, &self.mounted, &limits, &self.meter).map_err(NodeFault::Methods)?;
        let methods = Arc::new(methods);
        observe(&self.meter, &methods);
        let (handler, rates) = stack(Parts {
            sampler: self.sampler,
            authenticator,
            internal_token: self.settings.internal_token.clone(),
            limits: limits.clone(),
            rate: self.settings.rate.clone(),
        });
        if let Some(rates) = rates {
            self.tasks.spawn("rate limit sweep", move |stop| {
                let rates = Arc::clone(&rates);
                async move {
                    while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
                        rates.sweep()
                    }
                }
            });
        }
        let (address, admin) = (self.address().map_err(NodeFault::Address)?, self.admin_address());
        let admin = admin.map_err(NodeFault::Address)?;
        let services: Vec<&str> = self.mounted.iter().map(|service| service.name).collect();
        tracing::info!(%address, %admin, ?services, "serving");
        let (closing, over) = (CancellationToken::new(), CancellationToken::new());
        let handshake = self.settings.tls.handshake.get();
        let server = Arc::new(server::Server { handler, methods, limits, handshake, closing: closing.clone() });
        let serving = async {
            let own = self.own.map(|own| Arc::clone(&server).serve(own, None));
            tokio::join!(Arc::clone(&server).serve(self.listener, self.tls), async {
                if let Some(own) = own {
                    own.await;
                }
            });
        };
        let (registry, health, tasks) = (self.registry, self.health.clone(), self.tasks.clone());
        let admin = admin::serve(self.admin, health, tasks, registry, over.clone().cancelled_owned());
        let life = Life { settings: self.settings, health: self.health, tasks: self.tasks, stop: self.stop, closing };
        life.live(serving, admin, over).await
    }

    /// Health and reflection, as open services.
    fn mount_standard(&mut self) -> Result<(), NodeFault> {
        let health = HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()));
        let fault = |fault: tonic_reflection::server::Error| NodeFault::Descriptors(fault.to_string());
        let builder = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(self.descriptors)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            self.mounted.iter().fold(builder, |builder, service| builder.with_service_name(service.name))
        };
        let (v1, v1alpha) = (builder().build_v1().map_err(fault)?, builder().build_v1alpha().map_err(fault)?);
        self.mounted.push(standard(health));
        self.mounted.push(standard(v1));
        self.mounted.push(standard(v1alpha));
        Ok(())
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services: Vec<&str> = self.mounted.iter().map(|service| service.name).collect();
        formatter.debug_struct("Node").field("services", &services).finish_non_exhaustive()
    }
}

/// A running node.
struct Life {
    settings: NodeSettings,
    health: Health,
    tasks: Tasks,
    stop: Stop,
    closing: CancellationToken,
}

impl Life {
    async fn live(
        self,
        serving: impl Future<Output = ()>,
        admin: impl Future<Output = ()>,
        over: CancellationToken,
    ) -> Result<Exit, NodeFault> {
        self.health.started().await;
        let signals = self.stop.clone().follow_signals();
        let course = async {
            let exit = self.course(serving).await;
            over.cancel();
            exit
        };
        tokio::pin!(signals, admin);
        let mut course = std::pin::pin!(course);
        let mut admin_open = true;
        loop {
            tokio::select! {
                exit = &mut course => return Ok(exit),
                fault = &mut signals => return fault.map(|()| Exit::Clean).map_err(NodeFault::Signals),
                () = &mut admin, if admin_open => admin_open = false,
            }
        }
    }

    async fn course(&self, serving: impl Future<Output = ()>) -> Exit {
        let mut serving = std::pin::pin!(serving);
        let asked = tokio::select! {
            () = &mut serving => false,
            () = self.stop.asked() => true,
            () = self.tasks.broken() => false,
        };
        let ending = async {
            self.health.stopping().await;
            if asked {
                let notice = tokio::time::sleep(self.settings.stop.notice.get());
                tokio::select! {
                    () = notice => {}
                    () = &mut serving => {}
                }
            }
            self.closing.cancel();
            serving.await;
            self.tasks.stop().await;
        };
        let exit = tokio::select! {
            () = ending => if self.tasks.is_broken() { Exit::Broken } else { Exit::Clean },
            () = self.stop.insisted() => Exit::Cut,
            () = tokio::time::sleep(self.settings.stop.limit.get()) => Exit::Cut,
        };
        tracing::info!(?exit, "stopped");
        exit
    }
}

fn standard<S>(service: S) -> Mounted
where
    S: Service<
            Request<Body>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future = BoxFuture<http::Response<Body>, Infallible>,
        > + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
{
    Mounted { name: S::NAME, route: Arc::new(service) }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, NodeFault> {
    TcpListener::bind(address).await.map_err(|source| NodeFault::Listen { address, source })
}

/// The descriptors of our services and of the standard ones.
fn pool(descriptors: &[u8]) -> Result<DescriptorPool, NodeFault> {
    let fault = |fault: prost_reflect::DescriptorError| NodeFault::Descriptors(fault.to_string());
    let mut pool = DescriptorPool::decode(descriptors).map_err(fault)?;
    for standard in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(standard).map_err(fault)?;
    }
    Ok(pool)
}

/// Shows how many calls are in work, without a cost per call.
fn observe(meter: &Meter, methods: &Arc<Methods>) {
    let methods = Arc::clone(methods);
    meter
        .u64_observable_gauge("rpc.server.active")
        .with_description("Calls in work, by service and kind (unary, stream).")
        .with_callback(move |observer| {
            for (service, admission) in methods.admissions() {
                let (unary, streams) = admission.in_work();
                for (kind, count) in [("unary", unary), ("stream", streams)] {
                    let labels = [KeyValue::new("service", *service), KeyValue::new("kind", kind)];
                    observer.observe(u64::try_from(count).unwrap_or(u64::MAX), &labels);
                }
            }
        })
        .build();
}
