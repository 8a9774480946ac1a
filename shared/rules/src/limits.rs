//! Every bound of a rule and of the facts it runs on.

/// The longest source, in bytes.
pub const SOURCE_BYTES: usize = 4096;
/// The most nodes of the syntax tree; a dotted name is one.
pub const NODES: usize = 200;
/// The deepest nesting of the syntax tree; brackets alone do not count.
pub const DEPTH: usize = 16;
/// The deepest nesting of brackets that is read at all.
pub const BRACKETS: u16 = 32;
/// The most elements of a list that stands in a rule.
pub const LIST_LITERAL: usize = 100;
/// The longest pattern of `matches`, in bytes.
pub const PATTERN_BYTES: usize = 200;
/// The most patterns of one rule.
pub const PATTERNS: usize = 10;
/// The largest automaton of one pattern, in bytes.
pub const AUTOMATON_BYTES: usize = 512 * 1024;
/// The longest text that a fact may hold, in bytes.
pub const FACT_TEXT_BYTES: usize = 64 * 1024;
/// The most elements of a list that a fact may hold.
pub const FACT_ELEMENTS: usize = 100;
/// The longest text inside of such a list, in bytes.
pub const FACT_ELEMENT_BYTES: usize = 1024;
/// The longest text that a rule may build, in bytes.
pub const BUILT_TEXT_BYTES: u64 = 256 * 1024;
/// The longest a rule may take on the largest facts, in nanoseconds as the checker reckons them. The reckoning is
/// generous: tests hold the worst accepted rules below 10 ms on an ordinary machine.
pub const COST_NS: u64 = 5_000_000;
