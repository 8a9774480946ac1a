//! Background work: the consumer of ingestion's feed, the filler of the cache, and the reconcilers.

pub(crate) mod filler;
pub(crate) mod inputs;
pub(crate) mod reconcile;
