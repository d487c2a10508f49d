//! What was shown and taken: it is taken once, though it would count for some time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellwire_model::limits::NODE_REQUEST_AGE_MAX;

/// So many are remembered. More than are given in the time for which they count.
const SHOWN_MAX: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Once(Mutex<VecDeque<(Box<str>, Duration)>>);

impl Once {
    /// Whether it is shown for the first time. Where so many are that they cannot be remembered, none is
    /// taken.
    pub(super) fn take(&self, shown: &str, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // From a clock that is ahead to one that is behind.
        let is_over = |since: Duration| now.saturating_sub(since) > 2 * NODE_REQUEST_AGE_MAX;
        while all.front().is_some_and(|(_, since)| is_over(*since)) {
            all.pop_front();
        }
        if all.len() >= SHOWN_MAX || all.iter().any(|(before, _)| **before == *shown) {
            return false;
        }
        all.push_back((shown.into(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_counts_once_for_as_long_as_it_would_count() {
        let (once, start) = (Once::default(), Duration::from_secs(1_000));
        assert!(once.take("a", start) && once.take("b", start));
        let last = start + 2 * NODE_REQUEST_AGE_MAX;
        assert!(!once.take("a", start) && !once.take("a", last));
        // By then it is too old, whatever the clocks say.
        assert!(once.take("a", last + Duration::from_secs(1)));
        for number in 0..2 * SHOWN_MAX {
            once.take(&number.to_string(), last);
        }
        assert_eq!(once.0.lock().unwrap().len(), SHOWN_MAX);
        assert!(!once.take("c", last));
    }
}
