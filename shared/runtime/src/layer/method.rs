//! What is known of every method before the first call: its scope, whether it streams, the labels of its measurements.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::{KeyValue, StringValue, Value};
use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor};
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};

use super::{Admission, Response};
use crate::auth::PUBLIC_SCOPE;
use crate::node::settings::LimitSettings;

/// The method option that names the scope.
const SCOPE_OPTION: &str = "keizoku.type.v1.scope";

/// What all services of the gRPC project itself (health, reflection) begin with. They are open.
const STANDARD: &str = "grpc.";

/// gRPC's codes, 0 to 16.
const CODES: usize = 17;

/// Bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Who may call a method.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody.
    Open,
    /// Who holds the scope.
    Scope(Box<str>),
}

/// One method.
pub(crate) struct Method {
    pub(crate) access: Access,
    pub(crate) streaming: bool,
    pub(crate) admission: Arc<Admission>,
    pub(crate) route: Option<Arc<dyn Route>>,
    name: Arc<str>,
    standard: bool,
    labels: [[KeyValue; 2]; CODES],
    durations: Histogram<f64>,
}

impl Method {
    /// `keizoku.scoring.v1.ScoringService/GetScore`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it belongs to health or reflection.
    pub(crate) fn open(&self) -> bool {
        self.standard
    }

    /// Records one call that ended.
    pub(crate) fn record(&self, code: Code, took: Duration) {
        let labels = usize::try_from(i32::from(code)).ok().and_then(|index| self.labels.get(index));
        if let Some(labels) = labels {
            self.durations.record(took.as_secs_f64(), labels);
        }
    }
}

/// A mounted service, its type forgotten.
pub(crate) trait Route: Send + Sync {
    fn call(&self, request: Request<Body>) -> BoxFuture<Response, Infallible>;
}

impl<S> Route for S
where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future = BoxFuture<Response, Infallible>>
        + Clone
        + Send
        + Sync,
{
    fn call(&self, request: Request<Body>) -> BoxFuture<Response, Infallible> {
        // The code generated for services is always ready, and a clone is a few counters.
        Service::call(&mut self.clone(), request)
    }
}

/// A service to serve.
pub(crate) struct Mounted {
    pub(crate) name: &'static str,
    pub(crate) route: Arc<dyn Route>,
}

/// Why the methods of a service cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodFault {
    /// The service is not in the descriptors.
    #[error("the descriptors do not know the service {0}")]
    UnknownService(String),
    /// The extension that names scopes is not in the descriptors.
    #[error("the descriptors do not know the option {SCOPE_OPTION}")]
    NoScopeOption,
    /// A method has no scope.
    #[error("the method {0} has no scope: every method names one in ({SCOPE_OPTION})")]
    NoScope(String),
}

/// All methods that are served, by path.
pub(crate) struct Methods {
    by_path: HashMap<Box<str>, Arc<Method>>,
    unknown: Arc<Method>,
    admissions: Vec<(&'static str, Arc<Admission>)>,
}

impl Methods {
    /// Reads the descriptors of all mounted services. All that is wrong is found at once.
    pub(crate) fn read(
        pool: &DescriptorPool,
        mounted: &[Mounted],
        limits: &LimitSettings,
        meter: &Meter,
    ) -> Result<Self, Vec<MethodFault>> {
        let durations = meter
            .f64_histogram("rpc.server.duration")
            .with_unit("s")
            .with_description("How long calls took, by method (rpc) and gRPC code (code).")
            .with_boundaries(BUCKETS.to_vec())
            .build();
        let maker = Maker { durations, standard: Arc::new(Admission::new(limits)) };
        let mut methods = Self { by_path: HashMap::new(), unknown: Arc::new(maker.unknown()), admissions: Vec::new() };
        let mut faults = Vec::new();
        for service in mounted {
            if let Err(found) = methods.add(pool, service, limits, &maker) {
                faults.extend(found);
            }
        }
        if faults.is_empty() { Ok(methods) } else { Err(faults) }
    }

    /// The method at a path; where there is none, one that answers so.
    pub(crate) fn find(&self, path: &str) -> &Arc<Method> {
        self.by_path.get(path).unwrap_or(&self.unknown)
    }

    /// The permits of each service.
    pub(crate) fn admissions(&self) -> &[(&'static str, Arc<Admission>)] {
        &self.admissions
    }

    fn add(
        &mut self,
        pool: &DescriptorPool,
        service: &Mounted,
        limits: &LimitSettings,
        maker: &Maker,
    ) -> Result<(), Vec<MethodFault>> {
        let standard = service.name.starts_with(STANDARD);
        let admission = if standard { Arc::clone(&maker.standard) } else { Arc::new(Admission::new(limits)) };
        if !standard {
            self.admissions.push((service.name, Arc::clone(&admission)));
        }
        let descriptor = pool.get_service_by_name(service.name);
        let descriptor = descriptor.ok_or_else(|| vec![MethodFault::UnknownService(service.name.to_owned())])?;
        let option = pool.get_extension_by_name(SCOPE_OPTION);
        let mut faults = Vec::new();
        for method in descriptor.methods() {
            let access = match (standard, &option) {
                (true, _) => Ok(Access::Open),
                (false, Some(option)) => access(&method, option),
                (false, None) => Err(MethodFault::NoScopeOption),
            };
            match access {
                Ok(access) => {
                    let made = maker.method(service, &method, access, Arc::clone(&admission));
                    self.by_path.insert(format!("/{}", made.name).into_boxed_str(), Arc::new(made));
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

fn access(method: &MethodDescriptor, option: &ExtensionDescriptor) -> Result<Access, MethodFault> {
    let options = method.options();
    let value = options.get_extension(option);
    match value.as_str() {
        Some(PUBLIC_SCOPE) => Ok(Access::Open),
        Some(scope) if !scope.is_empty() => Ok(Access::Scope(scope.into())),
        Some(_) | None => Err(MethodFault::NoScope(method.full_name().to_owned())),
    }
}

struct Maker {
    durations: Histogram<f64>,
    standard: Arc<Admission>,
}

impl Maker {
    fn method(&self, service: &Mounted, found: &MethodDescriptor, access: Access, admission: Arc<Admission>) -> Method {
        let name: Arc<str> = format!("{}/{}", service.name, found.name()).into();
        Method {
            access,
            streaming: found.is_client_streaming() || found.is_server_streaming(),
            admission,
            route: Some(Arc::clone(&service.route)),
            labels: labels(&name),
            standard: service.name.starts_with(STANDARD),
            name,
            durations: self.durations.clone(),
        }
    }

    fn unknown(&self) -> Method {
        let name: Arc<str> = "unknown".into();
        Method {
            access: Access::Open,
            streaming: false,
            admission: Arc::clone(&self.standard),
            route: None,
            labels: labels(&name),
            standard: true,
            name,
            durations: self.durations.clone(),
        }
    }
}

fn labels(name: &Arc<str>) -> [[KeyValue; 2]; CODES] {
    std::array::from_fn(|index| {
        let code = Code::from_i32(i32::try_from(index).unwrap_or_default());
        let name = Value::String(StringValue::from(Arc::clone(name)));
        [KeyValue::new("rpc", name), KeyValue::new("code", format!("{code:?}"))]
    })
}
