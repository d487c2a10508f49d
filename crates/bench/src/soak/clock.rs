//! The time of a run, for all who take part.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time since the run began, and when it is over.
#[derive(Debug)]
pub(super) struct Clock {
    begin: Instant,
    /// The number of the last event, once that is known.
    last: AtomicU64,
    /// When nobody waits any more, in nanoseconds.
    end_ns: AtomicU64,
}

impl Clock {
    pub(super) fn new() -> Self {
        let (last, end_ns) = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
        Self { begin: Instant::now(), last, end_ns }
    }

    pub(super) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Whether somebody who waits for this event waits in vain.
    pub(super) fn is_over(&self, next: u64) -> bool {
        next > self.last.load(Ordering::Acquire)
            || self.now().as_nanos() >= u128::from(self.end_ns.load(Ordering::Acquire))
    }

    /// Nothing comes behind this event; who has not got it has so much time.
    pub(super) fn end(&self, last: u64, patience: Duration) {
        let end = (self.now() + patience).as_nanos() as u64;
        self.end_ns.store(end, Ordering::Release);
        self.last.store(last, Ordering::Release);
    }
}
