//! The tables and every query on them. Each function takes the transaction and the workspace.

pub(crate) mod close;
pub(crate) mod inputs;
pub(crate) mod marks;
pub(crate) mod migration;
pub(crate) mod model;
pub(crate) mod parts;
pub(crate) mod read;
pub(crate) mod score;
pub(crate) mod shared;
