//! Wall time that never goes back, though the wall clock does.
//!
//! After a step back time goes on a little more slowly than it passes, until the clock has caught
//! up. So what is measured in it keeps its order and nearly its length: a `for` of an hour takes a
//! minute longer, and a step back of a minute is met after fifty.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellwire_model::Timestamp;

/// By which part of itself time is slower until the clock has caught up: a fiftieth.
const SLOWER_BY: i64 = 50;

/// Being ahead of the clock by less counts as not being ahead: two clocks cannot be read at once.
const AHEAD_MIN_US: i64 = 10_000;

/// Turns readings of a wall clock and of a monotonic one into time that never goes back.
#[derive(Debug)]
pub(crate) struct Slew {
    /// How far the slower time is behind the wall clock where that was furthest, in microseconds.
    lead_us: AtomicI64,
}

/// A reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slewed {
    /// The time.
    pub now: Timestamp,
    /// How far it is ahead of the wall clock, which has stepped back.
    pub ahead: Duration,
}

impl Slew {
    pub(crate) const fn new() -> Self {
        Self { lead_us: AtomicI64::new(i64::MIN) }
    }

    /// The time, where the wall clock says so much since 1970, and so much has passed since some
    /// beginning.
    pub(crate) fn read(&self, wall: Duration, passed: Duration) -> Slewed {
        let (wall_us, slow_us) = (micros(wall), slower(passed));
        let lead_us = wall_us.saturating_sub(slow_us);
        let lead_us = self.lead_us.fetch_max(lead_us, Ordering::Relaxed).max(lead_us);
        let now_us = slow_us.saturating_add(lead_us);
        let ahead_us = now_us.saturating_sub(wall_us);
        let ahead_us = if ahead_us < AHEAD_MIN_US { 0 } else { ahead_us as u64 };
        let now = Timestamp::from_ms(now_us.div_euclid(1_000));
        Slewed { now, ahead: Duration::from_micros(ahead_us) }
    }

    /// Goes on from a time at the earliest: that of a process before this one.
    pub(crate) fn go_on_from(&self, time: Timestamp, passed: Duration) {
        let time_us = time.as_ms().saturating_mul(1_000);
        self.lead_us.fetch_max(time_us.saturating_sub(slower(passed)), Ordering::Relaxed);
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn slower(passed: Duration) -> i64 {
    let passed_us = micros(passed);
    passed_us - passed_us / SLOWER_BY
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn read(slew: &Slew, wall_ms: u64, passed_ms: u64) -> (u64, u64) {
        let slewed = slew.read(Duration::from_millis(wall_ms), Duration::from_millis(passed_ms));
        (slewed.now.as_ms() as u64, slewed.ahead.as_millis() as u64)
    }

    #[test]
    fn a_clock_that_goes_forward_is_followed_whatever_its_steps() {
        let slew = Slew::new();
        for (wall, passed) in [(5_000, 0), (6_000, 1_000), (9 * HOUR, 1_001), (9 * HOUR, 1_002)] {
            assert_eq!(read(&slew, wall, passed), (wall, 0));
        }
    }

    #[test]
    fn a_step_back_is_met_after_fifty_times_as_long() {
        let slew = Slew::new();
        assert_eq!(read(&slew, 100 * HOUR, 0), (100 * HOUR, 0));
        // An hour back: time goes on, a fiftieth slower.
        assert_eq!(read(&slew, 99 * HOUR, 0), (100 * HOUR, HOUR));
        let (ten_minutes, twelve_seconds) = (HOUR / 6, 12_000);
        let at = 99 * HOUR + ten_minutes;
        let expected = (at + HOUR - twelve_seconds, HOUR - twelve_seconds);
        assert_eq!(read(&slew, at, ten_minutes), expected);
        assert_eq!(read(&slew, 149 * HOUR, 50 * HOUR), (149 * HOUR, 0));
        assert_eq!(read(&slew, 150 * HOUR, 51 * HOUR), (150 * HOUR, 0));
    }

    #[test]
    fn who_goes_on_from_a_time_that_is_ahead_is_ahead() {
        let slew = Slew::new();
        slew.go_on_from(Timestamp::MIN, Duration::ZERO);
        slew.go_on_from(Timestamp::from_ms(2 * HOUR as i64), Duration::from_secs(1));
        assert_eq!(read(&slew, HOUR, 1_000), (2 * HOUR, HOUR));
    }

    #[test]
    fn time_never_goes_back_and_is_that_of_the_clock_or_ahead_of_it() {
        let mut random = 1_u64;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % bound
        };
        for _ in 0..100 {
            let slew = Slew::new();
            let (mut wall, mut passed, mut before) = (10_000_000, 0, 0);
            for _ in 0..100 {
                let (gap, back, forth) = (below(100_000), below(9) * below(99), below(9_999));
                passed += gap;
                wall = wall + gap + below(2) * forth - back;
                let (now, ahead) = read(&slew, wall, passed);
                assert!(now >= before, "{now} behind {before}");
                assert!(now == wall + ahead || (ahead == 0 && now < wall + 11));
                before = now;
            }
        }
    }
}
