//! What is refused because it is too large.

/// Bytes of a compiled expression's automaton. `.{1000}`, the most that RE2 repeats, has room.
pub const REGEX_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of a table with all states of an automaton that matches whole texts, and of what it takes
/// to make it: some milliseconds' worth.
pub(crate) const TABLE_BYTES_MAX: usize = 256 * 1024;
