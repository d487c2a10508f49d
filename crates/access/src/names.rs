//! Different names that somebody has used lately, counted: the topics that they publish to, the series
//! that they send.

use core::time::Duration;

use bellwire_model::NameSet;
use bellwire_model::limits::NAMES_LATELY;

/// Names by their hashes, which whoever chooses the names must not know. A name counts until it was
/// not used for [`NAMES_LATELY`], or for half of that.
///
/// Two sets take turns, one for each half: to forget is to drop a set, however many names there are.
#[derive(Debug, Default)]
pub struct Names {
    /// Which half it is.
    half: u64,
    newer: NameSet<u64>,
    /// Those of the half before that were not used since.
    older: NameSet<u64>,
}

/// Half of the time, in nanoseconds.
const HALF: u64 = (NAMES_LATELY.as_nanos() / 2) as u64;

impl Names {
    /// Uses a name, which counts from now on where it did not. An error says that as many as `most` do
    /// already, and after how long some may not. `now` is in nanoseconds and never goes back.
    pub fn take(&mut self, now: u64, name: u64, most: u64) -> Result<(), Duration> {
        self.turn(now);
        if self.newer.contains(&name) {
            return Ok(());
        }
        if !self.older.remove(&name) && self.counted() as u64 >= most {
            return Err(Duration::from_nanos(HALF - now % HALF));
        }
        self.newer.insert(name);
        Ok(())
    }

    /// How many count.
    pub fn len(&mut self, now: u64) -> usize {
        self.turn(now);
        self.counted()
    }

    /// How many counted when it was last looked at.
    pub fn counted(&self) -> usize {
        self.newer.len() + self.older.len()
    }

    /// Whether it is as if no name had ever been used.
    pub fn is_empty(&self, now: u64) -> bool {
        match now / HALF - self.half {
            0 => self.counted() == 0,
            1 => self.newer.is_empty(),
            _ => true,
        }
    }

    fn turn(&mut self, now: u64) {
        let half = now / HALF;
        if half == self.half {
            return;
        }
        let before = core::mem::take(&mut self.newer);
        self.older = if half == self.half + 1 { before } else { NameSet::default() };
        self.half = half;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_counts_until_it_was_not_used_for_a_while() {
        let mut names = Names::default();
        let last = HALF - 1;
        assert_eq!(names.take(last, 1, 1), Ok(()));
        assert_eq!(names.take(last, 1, 1), Ok(()), "it counts already");
        assert_eq!(names.take(last, 2, 1), Err(Duration::from_nanos(1)));
        assert_eq!(names.take(2 * HALF - 1, 2, 1), Err(Duration::from_nanos(1)), "as yet");
        assert_eq!(names.take(2 * HALF - 1, 1, 1), Ok(()));
        assert_eq!(names.take(2 * HALF, 2, 1), Err(Duration::from_nanos(HALF)), "it was used");
        assert!(!names.is_empty(3 * HALF - 1) && names.is_empty(3 * HALF));
        assert_eq!(names.take(3 * HALF, 2, 1), Ok(()));
        assert_eq!((names.len(3 * HALF), names.len(9 * HALF)), (1, 0));
    }

    proptest! {
        /// The model keeps of each name when it was last used.
        #[test]
        fn it_counts_what_a_list_with_times_counts(
            most in 1_u64..6,
            steps in prop::collection::vec((0..HALF, 0_u64..12), 1..80),
        ) {
            let (mut names, mut now) = (Names::default(), 0);
            let mut used: BTreeMap<u64, u64> = BTreeMap::new();
            for (pause, name) in steps {
                now += pause;
                used.retain(|_, at| now / HALF - *at / HALF < 2);
                prop_assert_eq!(names.is_empty(now), used.is_empty());
                let is_known = used.contains_key(&name);
                let taken = names.take(now, name, most);
                prop_assert_eq!(taken.is_ok(), is_known || (used.len() as u64) < most);
                if taken.is_ok() {
                    used.insert(name, now);
                }
                prop_assert_eq!(names.len(now), used.len());
                // What counts was used within the time, and what was used within half of it counts.
                let ages = used.values().map(|at| now - at);
                prop_assert!(ages.max().is_none_or(|age| age < 2 * HALF));
            }
        }
    }
}
