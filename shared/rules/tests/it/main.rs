//! What rules promise, from the outside.

mod agreement;
mod bounds;
mod expressions;
mod refusals;
mod values;
