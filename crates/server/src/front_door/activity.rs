//! Whether a connection of HTTP/2 is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Whether anything is asked for on a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    requests: AtomicU64,
    under_way: AtomicUsize,
}

impl Activity {
    pub(super) fn enter(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// How many requests there have been; `None` where there is none, and has been none beyond
    /// those that were seen.
    pub(super) fn since(&self, seen: u64) -> Option<u64> {
        let requests = self.requests.load(Ordering::Relaxed);
        let is_busy = self.under_way.load(Ordering::Relaxed) > 0;
        (is_busy || requests > seen).then_some(requests)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
