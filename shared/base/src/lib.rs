//! The words every crate speaks: ids, days and instants, numbers, money, faults, violations, pages.
//!
//! Pure: no runtime, no wire, no store. Time, ids and randomness enter as values; nothing here reads a clock
//! except [`clock::SystemClock`], which is the one place that does.

pub mod clock;
pub mod estimate;
pub mod fault;
pub mod id;
pub mod money;
pub mod number;
pub mod page;
pub mod reference;
pub mod time;
pub mod violations;

pub use clock::{Clock, MockClock, SystemClock};
pub use fault::{Fault, FaultKind};
pub use id::{AccountId, Partition, WorkspaceId};
pub use reference::{AccountRef, ExternalId};
pub use time::{Day, Micros, Zone};
pub use violations::Violations;
