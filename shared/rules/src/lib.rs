//! Rules: conditions and formulas in CEL behind one wrapper, checked when they are applied and bounded when they run.
//!
//! CEL's grammar comes from the `cel` crate; its interpreter does not run here, because it counts in binary fractions
//! (`63 <= 90 * 0.7` is false), names only the first part of a missing name, and has no bound. [`Rule`] runs what
//! [`Rule::compile`] accepted: typed, on exact numbers, in at most [`limits::COST_NS`] nanoseconds whatever the facts.
//! Nothing here reads a clock, a store or the wire, or knows what a name means: callers bring a [`Catalogue`] and [`Facts`].

pub mod catalogue;
mod check;
mod evaluate;
pub mod limits;
mod node;
pub mod number;
mod pattern;
mod rule;
pub mod value;
pub mod violation;

pub use catalogue::{Catalogue, Element, Type};
pub use number::Number;
pub use rule::{Failure, NoAnswer, Rule, Wanted};
pub use value::{Facts, List, Value};
pub use violation::{RuleViolation, RuleViolations};
