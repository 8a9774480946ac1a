//! The tables and every query on them. Each function takes the transaction and the workspace.

pub(crate) mod account;
pub(crate) mod arrived;
pub(crate) mod block;
pub(crate) mod cancellation;
pub(crate) mod contact;
pub(crate) mod contract;
pub(crate) mod conversation;
pub(crate) mod coverage;
pub(crate) mod directory;
pub(crate) mod event;
pub(crate) mod journal;
pub(crate) mod metric;
pub(crate) mod migration;
pub(crate) mod reset;
pub(crate) mod told;
pub(crate) mod user;
