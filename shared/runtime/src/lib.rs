//! What every service runs on: settings, telemetry, the layers around each call, the node that listens, supervised tasks,
//! and the one client constructor.
//!
//! Owns the process's edges (sockets, signals, environment, logs). It must never know a resource, a table or a rule of a
//! service, and no error text it sends may show the inside.

pub mod auth;
pub mod client;
pub mod config;
pub mod context;
pub mod fault;
mod layer;
pub mod node;
pub mod status;
pub mod tasks;
pub mod telemetry;

pub use auth::{AuthFault, Authenticator, Caller};
pub use client::{Client, ClientSettings, Credential};
pub use context::{Closing, Deadline, caller, closing, workspace};
pub use fault::{CallFault, PeerFault};
pub use node::{Exit, Node, NodeSettings};
pub use status::{into_status, status};
pub use tasks::Tasks;
pub use telemetry::{Telemetry, TelemetrySettings};
