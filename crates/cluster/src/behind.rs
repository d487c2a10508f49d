//! How long a node is behind: since when it knows of something in the log that it has not applied.
//!
//! Where the log ends is asked once a second, and the answer kept with its time until all of that is
//! applied. So it is time by this node's clock alone, and never more than has passed.

use std::collections::VecDeque;
use std::time::Duration;

use bellwire_shared_log::Position;

/// So many ends are kept. Of more, those that come later count as the last that there was room for:
/// whoever is behind by so much is so in any case.
const KNOWN_MAX: usize = 128;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// Where the log ended when, the oldest first.
    known: VecDeque<(Position, Duration)>,
}

impl Behind {
    /// The log ends there now.
    pub(crate) fn know(&mut self, tail: Position, now: Duration) {
        let is_full = self.known.len() == KNOWN_MAX;
        match self.known.back_mut() {
            Some((last, _)) if tail <= *last => {}
            Some((last, _)) if is_full => *last = tail,
            _ => self.known.push_back((tail, now)),
        }
    }

    /// All up to there is applied: how long what is not has been known.
    pub(crate) fn look(&mut self, reached: Position, now: Duration) -> Duration {
        while self.known.front().is_some_and(|(tail, _)| *tail <= reached) {
            self.known.pop_front();
        }
        self.known.front().map_or(Duration::ZERO, |(_, since)| now.saturating_sub(*since))
    }

    /// It is followed anew: nothing is known of it.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(number: u64) -> Position {
        Position::new(number)
    }

    #[test]
    fn a_node_is_behind_for_as_long_as_it_knows_of_what_it_has_not() {
        let mut behind = Behind::default();
        assert_eq!(behind.look(at(0), SECOND), Duration::ZERO);
        for second in 1..=10 {
            behind.know(at(10 * u64::from(second)), SECOND * second);
        }
        // The same end again is no news.
        behind.know(at(100), SECOND * 11);
        for (reached, expected) in [(0, 11), (9, 11), (10, 10), (55, 6), (99, 2), (100, 0)] {
            assert_eq!(behind.look(at(reached), SECOND * 12), SECOND * expected, "{reached}");
        }
        behind.know(at(101), SECOND * 20);
        assert_eq!(behind.look(at(100), SECOND * 21), SECOND);
        behind.forget();
        assert_eq!(behind.look(at(100), SECOND * 21), Duration::ZERO);
    }

    #[test]
    fn whoever_gets_on_with_all_that_comes_is_never_behind_for_long() {
        let mut behind = Behind::default();
        for second in 1..1_000_u32 {
            behind.know(at(u64::from(second)), SECOND * second);
            let now = SECOND * second + SECOND / 2;
            assert!(behind.look(at(u64::from(second) - 1), now) <= SECOND);
        }
    }

    #[test]
    fn so_many_are_kept_and_whoever_is_behind_by_more_stays_behind() {
        let mut behind = Behind::default();
        for second in 1..=1_000_u32 {
            behind.know(at(u64::from(second)), SECOND * second);
        }
        assert_eq!(behind.known.len(), KNOWN_MAX);
        let since = SECOND * KNOWN_MAX as u32;
        assert_eq!(behind.look(at(999), SECOND * 1_000), (SECOND * 1_000).saturating_sub(since));
        assert_eq!(behind.look(at(1_000), SECOND * 1_000), Duration::ZERO);
    }
}
