//! Which services can be called: told by gRPC health on the gRPC port, by /readyz on the admin port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The health of a node's services. Clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Each mounted service, and why it cannot be called yet.
    services: BTreeMap<&'static str, Option<String>>,
    started: bool,
    stopping: bool,
}

impl Health {
    pub(super) fn new(reporter: HealthReporter) -> Self {
        Self { reporter, state: Arc::default() }
    }

    /// A service cannot be called, for the reason given (`"copies the control plane"`).
    pub async fn hold(&self, service: &'static str, reason: impl Into<String>) {
        self.change(|state| state.services.insert(service, Some(reason.into()))).await;
    }

    /// A service can be called again.
    pub async fn release(&self, service: &'static str) {
        self.change(|state| state.services.insert(service, None)).await;
    }

    /// Whether all services can be called; else, line by line, why not.
    ///
    /// # Errors
    /// The reasons.
    pub fn ready(&self) -> Result<(), String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stopping {
            return Err("stopping\n".to_owned());
        }
        if !state.started {
            return Err("starting\n".to_owned());
        }
        let held = state.services.iter().filter_map(|(service, held)| Some(format!("{service}: {}\n", held.as_ref()?)));
        let held: String = held.collect();
        if held.is_empty() { Ok(()) } else { Err(held) }
    }

    pub(super) async fn mounted(&self, service: &'static str) {
        self.change(|state| *state.services.entry(service).or_default() = None).await;
    }

    pub(super) async fn started(&self) {
        self.change(|state| state.started = true).await;
    }

    pub(super) async fn stopping(&self) {
        self.change(|state| state.stopping = true).await;
    }

    async fn change<T>(&self, change: impl FnOnce(&mut State) -> T) {
        let (services, up) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut state);
            (state.services.clone(), state.started && !state.stopping)
        };
        let status = |free: bool| if up && free { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status("", status(services.values().all(Option::is_none))).await;
        for (service, held) in services {
            self.reporter.set_service_status(service, status(held.is_none())).await;
        }
    }
}
