//! When to connect again: later after each failure, and never all clients at once.

use std::time::Duration;

/// The shortest wait, and the first one's bound.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait that is chosen here.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest wait that a server may ask for.
const WAIT_ASKED_MAX: Duration = Duration::from_mins(5);

/// Waits with full jitter: a random time up to a bound that doubles with each failure in a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// The stream's `retry:`, which then stands in for [`WAIT_MIN`] as the first bound.
    retry: Option<Duration>,
    /// What the server asked for once: by `bye`, or by `Retry-After`.
    asked: Option<Duration>,
}

impl Backoff {
    /// The stream works: the next failure is the first one again.
    pub(super) fn on_healthy(&mut self) {
        self.failures = 0;
        self.asked = None;
    }

    /// The stream says how long to wait before reconnecting.
    pub(super) fn on_retry(&mut self, retry: Duration) {
        self.retry = Some(retry);
    }

    /// The server says when to come back this time. It spreads its clients itself.
    pub(super) fn on_asked(&mut self, wait: Duration) {
        self.asked = Some(wait.min(WAIT_ASKED_MAX));
    }

    /// How long to wait now; `share` is a random number from 0 to 1.
    pub(super) fn next(&mut self, share: f64) -> Duration {
        let first = self.retry.unwrap_or(WAIT_MIN).max(WAIT_MIN);
        let doubled = first.saturating_mul(1 << self.failures.min(5));
        let bound = doubled.min(WAIT_MAX);
        self.failures = self.failures.saturating_add(1);
        match self.asked.take() {
            Some(asked) => asked.max(WAIT_MIN.mul_f64(share)),
            None => WAIT_MIN + bound.saturating_sub(WAIT_MIN).mul_f64(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(backoff: &mut Backoff, count: usize) -> Vec<u64> {
        (0..count).map(|_| backoff.next(1.0).as_secs()).collect()
    }

    #[test]
    fn bounds_double_up_to_the_longest() {
        assert_eq!(bounds(&mut Backoff::default(), 7), [1, 2, 4, 8, 16, 30, 30]);
        let mut backoff = Backoff::default();
        backoff.on_retry(Duration::from_secs(3));
        assert_eq!(bounds(&mut backoff, 5), [3, 6, 12, 24, 30]);
        backoff.on_healthy();
        assert_eq!(bounds(&mut backoff, 1), [3]);
    }

    #[test]
    fn waits_lie_anywhere_up_to_the_bound() {
        let mut backoff = Backoff { failures: 3, ..Backoff::default() };
        assert_eq!(backoff.next(0.0), WAIT_MIN);
        assert_eq!(backoff.next(0.5), Duration::from_millis(8_500));
    }

    #[test]
    fn the_server_may_choose_once() {
        let mut backoff = Backoff::default();
        backoff.on_asked(Duration::from_secs(4));
        assert_eq!(backoff.next(0.1), Duration::from_secs(4));
        assert_eq!(backoff.next(1.0), Duration::from_secs(2));
        backoff.on_asked(Duration::from_hours(9));
        assert_eq!(backoff.next(0.1), WAIT_ASKED_MAX);
    }

    #[test]
    fn a_wild_retry_harms_nobody() {
        let mut backoff = Backoff::default();
        backoff.on_retry(Duration::from_millis(u64::MAX));
        assert_eq!(backoff.next(1.0), WAIT_MAX);
        backoff.on_retry(Duration::ZERO);
        assert_eq!(backoff.next(0.0), WAIT_MIN);
    }
}
