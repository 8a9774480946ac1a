//! The control plane that every service holds: workspaces, keys and staff, and who a caller is.
//!
//! Ingestion owns the rows; the other services hold copies that its feed keeps. This crate owns the tables, the cached
//! look-ups, the clock of a workspace, and the way to follow ingestion. It never decides whether a change is allowed:
//! that is ingestion's.

mod changes;
mod entity;
mod plane;
pub mod secret;
mod source;
pub mod store;
mod workspace;

pub use changes::{apply_key, apply_member, apply_workspace, key_message, member_message, workspace_message};
pub use entity::{api_key::Model as KeyRow, member::Model as MemberRow, workspace::Model as WorkspaceRow};
pub use plane::{ControlFault, ControlPlane, CopyOf};
pub use source::IngestionFeed;
pub use workspace::{Kind, Rate, UnknownAccount, Workspace};
