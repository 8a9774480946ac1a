//! The commands: a file each, with its flags and what it does.

pub(crate) mod accounts;
pub(crate) mod apply;
pub(crate) mod context;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod exit_codes;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod measurements;
pub(crate) mod members;
pub(crate) mod metrics;
pub(crate) mod model_init;
pub(crate) mod models;
pub(crate) mod receipts;
pub(crate) mod report;
pub(crate) mod scores;
pub(crate) mod sending;
pub(crate) mod serve;
pub(crate) mod whoami;
pub(crate) mod workspaces;
