//! What the product is measured against: the least that the same result takes without it, tuned in good faith.

pub(crate) mod copy;
pub(crate) mod echo;
pub(crate) mod sqlite;
