//! Whether a connection of HTTP/2 is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

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
        Busy { activity: Arc::clone(self), is_given_up: AtomicBool::new(false) }
    }

    /// How many requests there have been; `None` where there is none beyond those that are not
    /// waited for, and has been none beyond those that were seen.
    pub(super) fn since(&self, seen: u64, unawaited: usize) -> Option<u64> {
        let requests = self.requests.load(Ordering::Relaxed);
        let is_busy = self.under_way.load(Ordering::Relaxed) > unawaited;
        (is_busy || requests > seen).then_some(requests)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
    /// Whether its client takes nothing of its answer, which ends for that.
    is_given_up: AtomicBool,
}

impl Busy {
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
