//! What faults must not do: lose what was acknowledged, or count anything twice.

mod kill;
