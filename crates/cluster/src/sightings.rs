//! Where the log was seen to end, and when: what stands behind that place was stored later. Clocks of other
//! machines are not asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellwire_shared_log::Position;

/// So many are remembered, a second apart or more. Who is further behind knows less well when something
/// was stored.
const SIGHTINGS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sightings(Mutex<VecDeque<Sighting>>);

#[derive(Clone, Copy, Debug)]
struct Sighting {
    tail: Position,
    /// The uptime before it was asked.
    at: Duration,
}

impl Sightings {
    /// The log ended there, when it was asked at this uptime.
    pub(crate) fn note(&self, tail: Position, at: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(Sighting { tail, at });
        if all.len() > SIGHTINGS_MAX {
            // The oldest one tells of whoever is far behind.
            all.remove(1);
        }
    }

    /// Since which uptime the entry there was stored, if it is known to have been.
    pub(crate) fn stored_since(&self, position: Position) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().find(|seen| seen.tail < position).map(|seen| seen.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_where_the_log_ended_was_stored_later() {
        let sightings = Sightings::default();
        let since = |position| {
            let at = sightings.stored_since(Position::new(position));
            at.map(|at| at.as_secs())
        };
        assert_eq!(since(1), None);
        for second in 1..=1_000 {
            sightings.note(Position::new(10 * second), Duration::from_secs(second));
        }
        for (position, expected) in
            [(10, None), (11, Some(1)), (9_000, Some(1)), (9_991, Some(999)), (20_000, Some(1_000))]
        {
            assert_eq!(since(position), expected, "{position}");
        }
        assert_eq!(sightings.0.lock().unwrap().len(), SIGHTINGS_MAX);
        // A log that was made anew: its places were given out before.
        sightings.note(Position::new(5), Duration::from_secs(2_000));
        assert_eq!((since(5), since(6)), (None, Some(2_000)));
    }
}
