//! What the protos and the code generated from them promise.

mod codec;
mod contract;
