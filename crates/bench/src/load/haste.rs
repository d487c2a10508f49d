//! Precedence for the threads that take times.

/// How much sooner than others such a thread runs.
const NICENESS: i32 = -10;

/// Gives this thread, and those that it starts, precedence over all others. What is measured is
/// then how long the server takes, and not how long the generator waits for a processor that its
/// own load keeps busy. Where the system does not allow it, all stays as it is.
pub(crate) fn hurry() {
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
