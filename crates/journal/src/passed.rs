//! The time that has passed in a journal's life, whatever the wall clock is set to: what keys go by
//! that have a time to live.
//!
//! While the system is up its uptime tells, across processes, too. How long it was down only the wall
//! clock says, which may be wrong then: that counts once the clock has run on for [`CLOCK_TRUST_AGE`]
//! without being set. In doubt a key stays.

use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{CLOCK_STEP_MIN, CLOCK_TRUST_AGE};

use crate::steps::Boot;
use crate::{ClockReading, ClockStep};

/// How much had passed, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// What had passed at the last look.
    base: Moment,
    /// The clocks then.
    seen: ClockReading,
    /// How long the system was down, in milliseconds, and the uptime at which the clock said so.
    unsure: Option<(i64, Duration)>,
}

impl Passed {
    /// A journal's life begins.
    pub(crate) fn since(reading: ClockReading) -> Self {
        Self { seen: reading, ..Self::default() }
    }

    /// A journal is opened again. The wall clock may have been set since the last look, as far as the
    /// uptime tells.
    pub(crate) fn resume(&mut self, reading: ClockReading, boot: Boot, step: Option<ClockStep>) {
        if boot.since(self.seen.uptime, reading) == Boot::Same {
            return self.look(reading, step);
        }
        let down_ms = reading.wall.as_ms().saturating_sub(self.seen.wall.as_ms());
        // A clock that is behind what it said before was wrong then, or is now.
        let is_behind = down_ms < -as_ms(CLOCK_STEP_MIN);
        let earlier_ms = self.unsure.filter(|_| !is_behind).map_or(0, |(by_ms, _)| by_ms);
        let by_ms = down_ms.max(0).saturating_add(earlier_ms);
        self.unsure = (by_ms > 0).then_some((by_ms, reading.uptime));
        self.seen = reading;
    }

    /// Looks at the clocks, of which the wall clock may have been set.
    pub(crate) fn look(&mut self, reading: ClockReading, step: Option<ClockStep>) {
        self.base = self.at(reading.uptime);
        self.seen = reading;
        if step.is_some() {
            // What it said before counts for nothing.
            self.unsure = None;
        }
        let trusted = |(_, since): &mut (i64, Duration)| {
            reading.uptime.saturating_sub(*since) >= CLOCK_TRUST_AGE
        };
        if let Some((by_ms, _)) = self.unsure.take_if(trusted) {
            self.base.0 = self.base.0.saturating_add(by_ms);
        }
    }

    /// What has passed at an uptime of the system.
    pub(crate) fn at(&self, uptime: Duration) -> Moment {
        let since_ms = as_ms(uptime).saturating_sub(as_ms(self.seen.uptime));
        Moment(self.base.0.saturating_add(since_ms))
    }

    /// At which uptime so much will have passed.
    pub(crate) fn uptime_at(&self, Moment(ms): Moment) -> Duration {
        let uptime_ms = as_ms(self.seen.uptime).saturating_add(ms.saturating_sub(self.base.0));
        Duration::from_millis(u64::try_from(uptime_ms).unwrap_or(0))
    }

    /// As a text to store.
    pub(crate) fn to_text(self) -> String {
        let Self { base, seen, unsure } = self;
        let (by_ms, since) = unsure.unwrap_or_default();
        let numbers = [base.0, as_ms(seen.uptime), seen.wall.as_ms(), by_ms, as_ms(since)]
            .map(|it| it.to_string());
        numbers.join(" ")
    }

    /// Reads [`to_text`](Self::to_text)'s text; nothing where it is none.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let numbers: Vec<i64> = text.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [base, uptime, wall, by_ms, since] = numbers[..] else { return None };
        let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        let seen = ClockReading { wall: Timestamp::from_ms(wall), uptime: duration(uptime) };
        let unsure = (by_ms > 0).then(|| (by_ms, duration(since)));
        Some(Self { base: Moment(base), seen, unsure })
    }
}

fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 60 * 60 * 1_000;
    const SET: ClockStep = ClockStep { by_ms: 1 };

    fn reading(wall_ms: i64, uptime_ms: i64) -> ClockReading {
        let uptime = Duration::from_millis(uptime_ms.unsigned_abs());
        ClockReading { wall: Timestamp::from_ms(wall_ms), uptime }
    }

    /// What has passed after a time within which nobody has looked.
    fn after(passed: &Passed, uptime_ms: i64) -> i64 {
        passed.at(Duration::from_millis(uptime_ms.unsigned_abs())).0
    }

    fn stored(passed: &Passed) -> Passed {
        Passed::from_text(&passed.to_text()).expect("it reads back")
    }

    #[test]
    fn time_passes_evenly_however_the_wall_clock_is_set() {
        let mut passed = Passed::since(reading(1_000 * HOUR_MS, 5_000));
        for (wall_ms, uptime_ms, was_set) in
            [(1_000 * HOUR_MS, 6_000, false), (0, 7_000, true), (9_000 * HOUR_MS, 9_000, true)]
        {
            assert_eq!(after(&passed, uptime_ms), uptime_ms - 5_000);
            passed.look(reading(wall_ms, uptime_ms), was_set.then_some(SET));
            assert_eq!(after(&passed, uptime_ms), uptime_ms - 5_000);
            assert_eq!(passed.uptime_at(Moment(10_000)), Duration::from_secs(15));
        }
        // Another process of the same system, whose clock was set while there was none.
        let mut again = stored(&passed);
        again.resume(reading(17, 20_000), Boot::Same, Some(SET));
        assert_eq!(after(&again, 21_000), 16_000);
    }

    #[test]
    fn what_the_clock_says_of_a_time_without_a_system_counts_once_it_has_run_on() {
        let start = || {
            let passed = Passed::since(reading(0, 0));
            let mut again = stored(&passed);
            again.resume(reading(10 * HOUR_MS, 30_000), Boot::Other, None);
            assert_eq!(after(&again, 30_000), 0, "it may be wrong");
            again
        };
        let mut trusted = start();
        trusted.look(reading(10 * HOUR_MS + HOUR_MS - 1, 30_000 + HOUR_MS - 1), None);
        assert_eq!(after(&trusted, 30_000 + HOUR_MS), HOUR_MS);
        trusted.look(reading(11 * HOUR_MS, 30_000 + HOUR_MS), None);
        assert_eq!(after(&trusted, 30_000 + HOUR_MS), 11 * HOUR_MS);
        let mut set = start();
        set.look(reading(50 * HOUR_MS, 40_000), Some(SET));
        set.look(reading(52 * HOUR_MS, 40_000 + 2 * HOUR_MS), None);
        assert_eq!(after(&set, 40_000 + 2 * HOUR_MS), 10_000 + 2 * HOUR_MS);
        // Down once more before anybody could know, and a clock that is behind.
        let mut twice = stored(&start());
        twice.resume(reading(12 * HOUR_MS, 1_000), Boot::Other, None);
        twice.look(reading(13 * HOUR_MS, 1_000 + HOUR_MS), None);
        assert_eq!(after(&twice, 1_000 + HOUR_MS), 13 * HOUR_MS);
        let mut behind = stored(&Passed::since(reading(10 * HOUR_MS, 0)));
        behind.resume(reading(HOUR_MS, 1_000), Boot::Other, None);
        behind.look(reading(3 * HOUR_MS, 1_000 + 2 * HOUR_MS), None);
        assert_eq!(after(&behind, 1_000 + 2 * HOUR_MS), 2 * HOUR_MS);
    }

    #[test]
    fn a_clock_that_was_wrong_counts_for_nothing_wherever_it_is_set_right() {
        const YEARS_MS: i64 = 20 * 365 * 24 * HOUR_MS;
        let wrong = || {
            let mut passed = stored(&Passed::since(reading(0, 0)));
            passed.resume(reading(YEARS_MS, 30_000), Boot::Other, None);
            stored(&passed)
        };
        // While there is no process.
        let mut again = wrong();
        again.resume(reading(60_000, 90_000), Boot::Same, Some(ClockStep { by_ms: -YEARS_MS }));
        again.look(reading(60_000 + HOUR_MS, 90_000 + HOUR_MS), None);
        assert_eq!(after(&again, 90_000 + HOUR_MS), 60_000 + HOUR_MS);
        // While there is no system: what it says now is no more than what it has said before.
        let mut again = wrong();
        again.resume(reading(10 * HOUR_MS, 30_000), Boot::Other, None);
        again.look(reading(12 * HOUR_MS, 30_000 + 2 * HOUR_MS), None);
        assert_eq!(after(&again, 30_000 + 2 * HOUR_MS), 2 * HOUR_MS);
    }

    #[test]
    fn an_uptime_that_begins_anew_is_of_another_system_whatever_that_says() {
        let mut passed = Passed::since(reading(0, 50 * HOUR_MS));
        passed.look(reading(HOUR_MS, 51 * HOUR_MS), None);
        let mut again = stored(&passed);
        again.resume(reading(HOUR_MS + 5_000, 1_000), Boot::Same, None);
        assert_eq!(after(&again, 2_000), HOUR_MS + 1_000, "time does not go back");
    }

    #[test]
    fn another_text_is_none() {
        for text in ["", "1", "1 2 3 4", "1 2 3 4 x", "1 2 3 4 5 6"] {
            assert_eq!(Passed::from_text(text), None, "{text:?}");
        }
    }
}
