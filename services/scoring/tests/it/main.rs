//! Scoring through gRPC: a real node on a free port, a real database, a clock moved by hand.

mod caches;
mod compositions;
mod days;
mod feeds;
mod lists;
mod models;
mod past;
mod reads;
mod rig;
mod scores;
mod source;
mod stories;
mod told;
mod watches;
mod world;
