//! Health as pure functions: windows, inputs, models, scores, history, composition.
//!
//! Nothing here reads a clock, a store or the wire. Everything is computed on integers, so that the same inputs give the same
//! bits in any order. The way through: [`model::CompiledModel`] and [`workspace::Workspace`] make a [`plan::Plan`] for a
//! moment, which turns [`inputs::AccountInputs`] into an [`score::Outcome`].

pub mod composition;
pub mod evaluate;
pub mod facts;
pub mod history;
pub mod inputs;
pub mod model;
pub mod month;
pub mod packed;
pub mod plan;
pub mod publish;
pub mod ratio;
pub mod score;
pub mod watch;
pub mod window;
pub mod workspace;

#[cfg(test)]
mod fixture;
