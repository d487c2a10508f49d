//! The time of a run, for all who take part.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time since the run began, and when it is over.
#[derive(Debug)]
pub(super) struct Clock {
    begin: Instant,
    /// How long who has all of it listens on: an event that comes again comes behind the last one.
    linger: Duration,
    /// The number of the last event, once that is known.
    last: AtomicU64,
    /// When nobody waits any more, in nanoseconds.
    end_ns: AtomicU64,
}

impl Clock {
    pub(super) fn new(linger: Duration) -> Self {
        let (last, end_ns) = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
        Self { begin: Instant::now(), linger, last, end_ns }
    }

    pub(super) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Whether somebody who waits for this event, and to whom something came last at that time, waits
    /// in vain.
    pub(super) fn is_over(&self, next: u64, heard_at: Duration) -> bool {
        let now = self.now();
        let has_all = next > self.last.load(Ordering::Acquire) && now >= heard_at + self.linger;
        has_all || now.as_nanos() >= u128::from(self.end_ns.load(Ordering::Acquire))
    }

    /// Nothing comes behind this event; who has not got it has so much time.
    pub(super) fn end(&self, last: u64, patience: Duration) {
        let end = (self.now() + patience).as_nanos() as u64;
        self.end_ns.store(end, Ordering::Release);
        self.last.store(last, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn who_has_the_last_event_listens_on_for_a_while() {
        let over = |linger, patience| {
            let clock = Clock::new(linger);
            assert!(!clock.is_over(6, Duration::ZERO), "more may come");
            clock.end(5, patience);
            [5, 6].map(|next| clock.is_over(next, clock.now()))
        };
        assert_eq!(over(LONG, LONG), [false, false]);
        assert_eq!(over(Duration::ZERO, LONG), [false, true]);
        assert_eq!(over(LONG, Duration::ZERO), [true, true]);
    }
}
