//! How long to wait before the next try: full jitter, so that not all who lost one server come back
//! to it at once.

use std::time::Duration;

use bellwire_process::jittered;

/// What the first wait is drawn below.
const FIRST: Duration = Duration::from_secs(1);
/// What no wait is drawn above.
const MOST: Duration = Duration::from_secs(30);
/// Doublings after which it is the longest bound.
const DOUBLINGS_MAX: u32 = 5;

/// Waits that are drawn below a bound, which doubles with each failure in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    failures: u32,
    draw: fn(Duration) -> Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { failures: 0, draw: jittered }
    }
}

impl Backoff {
    /// Waits for as long as the bound is.
    #[cfg(test)]
    pub(crate) fn longest() -> Self {
        Self { failures: 0, draw: |most| most }
    }

    /// The next wait; where the server has asked for one, that is the shortest.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX)).min(MOST);
        self.failures = self.failures.saturating_add(1);
        (self.draw)(bound).max(asked.unwrap_or_default())
    }

    /// What was tried went well for a while.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_the_longest() {
        let mut backoff = Backoff::longest();
        let bounds: Vec<_> = (0..7).map(|_| backoff.next(None).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.next(None), FIRST);
    }

    #[test]
    fn waits_lie_anywhere_below_the_bound() {
        let mut halves = [0, 0];
        for _ in 0..1_000 {
            let wait = Backoff::default().next(None);
            assert!(wait <= FIRST, "{wait:?}");
            halves[usize::from(wait >= FIRST / 2)] += 1;
        }
        assert!(halves.iter().all(|count| *count > 300), "{halves:?}");
    }

    #[test]
    fn the_server_says_how_long_to_wait_at_least() {
        let mut backoff = Backoff::longest();
        assert_eq!(backoff.next(Some(Duration::from_secs(9))), Duration::from_secs(9));
        assert_eq!(backoff.next(Some(Duration::from_millis(9))), Duration::from_secs(2));
    }
}
