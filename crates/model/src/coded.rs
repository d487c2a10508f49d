//! Errors that clients are told of.

use std::error::Error;

/// An error that a client may be told of, under the stable code of a problem. Whoever answers it
/// makes the problem; whoever fails knows no transport.
pub trait Coded: Error {
    /// The code, as the reference of problems lists it.
    fn code(&self) -> &'static str;

    /// After how many seconds it is worth another try, where time may help.
    fn retry_after_s(&self) -> Option<u32> {
        None
    }

    /// Whether what was asked for may have been done all the same.
    fn may_be_taken(&self) -> bool {
        false
    }
}

/// An error and what lies beneath it, in one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
