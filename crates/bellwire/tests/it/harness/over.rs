//! Whether what goes on beside a test is over.

use std::sync::atomic::{AtomicBool, Ordering};

/// What goes on beside a test looks at this, and ends with the test, also with one that fails:
/// else a scope would wait for it for ever, and nobody would hear of the failure.
#[derive(Debug, Default)]
pub(crate) struct Over(AtomicBool);

/// What is beside it is over when this is dropped.
#[derive(Debug)]
#[must_use = "what is beside a test goes on for as long as this is held"]
pub(crate) struct Beside<'a>(&'a Over);

impl Over {
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn at_the_end(&self) -> Beside<'_> {
        Beside(self)
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}
