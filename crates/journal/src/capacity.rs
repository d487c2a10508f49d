//! Capacity in a queue, by bytes, for one who waits until there is some.

use std::sync::{Condvar, Mutex, PoisonError};

use bellwire_model::limits::APPENDS_QUEUED_BYTES_MAX;

use crate::Error;

/// How much is taken of [`APPENDS_QUEUED_BYTES_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    /// Nobody frees any more.
    is_closed: bool,
}

impl Capacity {
    /// Takes so much once there is room. However much it is, it fits where nothing else is.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Error> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |taken: &mut Taken| {
            !taken.is_closed && taken.bytes > 0 && taken.bytes + bytes > APPENDS_QUEUED_BYTES_MAX
        };
        let waited = self.freed.wait_while(taken, is_full);
        let mut taken = waited.unwrap_or_else(PoisonError::into_inner);
        if taken.is_closed {
            return Err(Error::Closed);
        }
        taken.bytes += bytes;
        Ok(())
    }

    /// Gives so much back.
    pub(crate) fn free(&self, bytes: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.bytes = taken.bytes.saturating_sub(bytes);
        self.freed.notify_all();
    }

    /// Whoever waits waits no longer.
    pub(crate) fn close(&self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.freed.notify_all();
    }
}
