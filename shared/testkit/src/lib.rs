//! What tests share: a fresh database each, a clock moved by hand, a network that fails on command, waiting without sleeping.
//!
//! A dev-dependency only. Knows no service and holds no expectation of its own: a test says what it promises itself.
//! A missing server or variable is a panic that names it, never a test passed by doing nothing.

mod data;
mod database;
mod eventually;
mod folder;
mod proxy;
mod setting;

pub use data::shared_data;
pub use database::{Store, TestDb, redis_url, unique_name};
pub use eventually::{Outcome, eventually};
pub use folder::TempDir;
pub use keizoku_base::clock::MockClock;
pub use proxy::FaultProxy;
