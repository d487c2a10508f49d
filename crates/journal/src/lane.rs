//! The server's own lane to the writer: what it has to tell and to remember goes before what clients
//! publish, and has a share of the bounds of its own, so that no flood of theirs stops an alert.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use bellwire_model::limits::{APPENDS_QUEUED_BYTES_MAX, APPENDS_QUEUED_MAX};

use crate::Error;

/// What waits in the order in which it came.
pub(crate) struct Lane<T>(Mutex<Waiting<T>>);

struct Waiting<T> {
    /// With the bytes of each.
    all: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> fmt::Debug for Lane<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self(Mutex::new(Waiting { all: VecDeque::new(), bytes: 0 }))
    }
}

impl<T> Lane<T> {
    /// Has something wait. However large it is, it fits where little else waits.
    pub(crate) fn push(&self, one: T, bytes: usize) -> Result<(), Error> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes >= APPENDS_QUEUED_BYTES_MAX || waiting.all.len() >= APPENDS_QUEUED_MAX {
            return Err(Error::Busy);
        }
        waiting.bytes += bytes;
        waiting.all.push_back((one, bytes));
        Ok(())
    }

    /// What has waited for longest.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (one, bytes) = waiting.all.pop_front()?;
        waiting.bytes -= bytes;
        Some(one)
    }
}
