//! Whether a journal takes what it is given, as far as it knows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Error;

/// How the last attempt to write ended. Shared between who tries and who asks.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Spares the lock while all is well.
    is_failed: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Health {
    /// An attempt has ended.
    pub(crate) fn note(&self, outcome: Result<(), Error>) {
        if outcome.is_ok() && !self.is_failed.load(Ordering::Acquire) {
            return;
        }
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = outcome.err();
        self.is_failed.store(failure.is_some(), Ordering::Release);
    }

    /// Fails as the last attempt did.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.is_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().map_or(Ok(()), Err)
    }
}
