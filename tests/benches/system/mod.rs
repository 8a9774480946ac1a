//! The product as it is measured: its processes, its databases, and the calls that set it up.

pub(crate) mod channel;
pub(crate) mod database;
pub(crate) mod feed;
pub(crate) mod model;
pub(crate) mod proc;
pub(crate) mod server;
pub(crate) mod setup;
