//! What is told to whoever waits for a journal that says nothing, as where the engine of a cluster is away.

use bellwire_wire::problem::{Code, Problem};

/// When to ask again, in seconds.
const RETRY_S: u32 = 5;

/// Nothing of it has been done, and nothing will be.
pub(crate) fn not_done(detail: &str) -> Problem {
    Problem::new(Code::JournalUnavailable, detail).retry_after(RETRY_S)
}

/// The journal has it, and may take it yet.
pub(crate) fn maybe_done() -> Problem {
    not_done("the journal does not say whether it takes this: it may yet").may_be_taken()
}
