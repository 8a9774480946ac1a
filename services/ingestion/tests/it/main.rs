//! Ingestion through gRPC: a real node on a free port, a real database, a clock moved by hand.

mod accounts;
mod bad_items;
mod contracts;
mod control;
mod coverage;
mod events;
mod feed;
mod feed_of_resources;
mod metrics;
mod people;
mod races;
mod rig;
mod sender;
mod timeline;
