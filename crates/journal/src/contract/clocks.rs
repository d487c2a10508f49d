//! Clauses about the wall clock: people set it, and nothing must be lost by it.

use std::time::Duration;

use bellwire_model::limits::IDEMPOTENCY_AGE;
use bellwire_model::{Offset, Timestamp};

use super::{Open, Rig, keyed, rule};
use crate::{Appended, ClockReading, RetentionRule};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const YEAR_MS: i64 = 365 * DAY_MS;

/// A journal whose events live for a day, and the clocks that it sees.
struct Set {
    rig: Rig,
    wall_ms: i64,
    uptime_ms: i64,
}

impl Set {
    fn open(open: Open<'_>) -> Self {
        let age = Some(Duration::from_hours(24));
        let rig = Rig::open(open, vec![RetentionRule { age, ..rule("**") }]);
        // As far from zero as each other: nobody has set the clock yet.
        Self { rig, wall_ms: 40 * YEAR_MS, uptime_ms: 40 * YEAR_MS }
    }

    /// Retention comes by. Returns by how much it says that the clock was set.
    fn look(&self) -> Option<i64> {
        let wall = Timestamp::from_ms(self.wall_ms);
        let uptime = Duration::from_millis(self.uptime_ms.unsigned_abs());
        let now = ClockReading { wall, uptime };
        self.rig.journal.apply_retention(now).expect("it is applied").map(|step| step.by_ms)
    }

    /// So much time goes by, with looks in between.
    fn pass(&mut self, passed_ms: i64) {
        let mut left_ms = passed_ms;
        while left_ms > 0 {
            let step_ms = left_ms.min(10 * MINUTE_MS);
            left_ms -= step_ms;
            self.wall_ms += step_ms;
            self.uptime_ms += step_ms;
            assert_eq!(self.look(), None);
        }
    }

    fn append(&self, key: &str) -> Appended {
        self.rig.append_one(keyed("a", key, self.wall_ms))
    }

    fn kept(&self) -> Vec<Offset> {
        self.rig.read_all("**").iter().map(|entry| entry.offset).collect()
    }
}

/// Ways to set the clock: by so much, one after the other.
const WAYS: [&[i64]; 10] = [
    &[HOUR_MS],
    &[-HOUR_MS],
    &[DAY_MS + HOUR_MS],
    &[-DAY_MS - HOUR_MS],
    &[YEAR_MS],
    &[-YEAR_MS],
    &[YEAR_MS, -YEAR_MS],
    &[-YEAR_MS, YEAR_MS],
    &[2 * DAY_MS, -DAY_MS, -3 * DAY_MS, 2 * DAY_MS, YEAR_MS],
    &[-20 * YEAR_MS, 20 * YEAR_MS + 3 * DAY_MS, -HOUR_MS],
];

/// However the clock is set, no event goes and no key is forgotten: nothing has become older.
pub fn a_clock_that_is_set_makes_nothing_older(open: Open<'_>) {
    for way in WAYS {
        let mut set = Set::open(open);
        assert_eq!(set.look(), None);
        let mut appended = vec![set.append("0").offset];
        set.pass(HOUR_MS);
        for (index, by_ms) in way.iter().enumerate() {
            appended.push(set.append(&format!("before {index}")).offset);
            set.wall_ms += by_ms;
            // Before anybody has looked at the clock.
            assert!(set.append("0").duplicate, "{way:?}");
            appended.push(set.append(&format!("after {index}")).offset);
            assert_eq!(set.look(), Some(*by_ms), "{way:?}");
            assert_eq!(set.kept(), appended, "{way:?}");
            set.pass(HOUR_MS);
            assert_eq!(set.kept(), appended, "{way:?}");
            assert!(set.append("0").duplicate, "{way:?}");
        }
    }
}

/// After the clock was set an event goes when it has been there for its time, as without it.
pub fn ages_count_on_after_the_clock_was_set(open: Open<'_>) {
    for way in WAYS {
        let mut set = Set::open(open);
        assert_eq!(set.look(), None);
        set.append("0");
        let later_ms = 2 * HOUR_MS;
        set.pass(later_ms);
        let later = set.append("later").offset;
        set.pass(MINUTE_MS);
        for by_ms in way {
            set.wall_ms += by_ms;
            assert_eq!(set.look(), Some(*by_ms), "{way:?}");
        }
        let age_ms = IDEMPOTENCY_AGE.as_millis() as i64;
        set.pass(age_ms - later_ms);
        assert_eq!(set.kept(), [later], "{way:?}");
        assert!(set.append("later").duplicate, "{way:?}");
        let again = set.append("0");
        assert!(!again.duplicate, "{way:?}");
        set.pass(later_ms);
        assert_eq!(set.kept(), [again.offset], "{way:?}");
        assert!(!set.append("later").duplicate, "{way:?}");
    }
}
