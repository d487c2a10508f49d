//! When a target is scraped: spread over the interval, always at the same moments of it.

use std::time::Duration;

use bellwire_model::Timestamp;

use super::job::Pace;

/// How far a scrape may be late so that it counts as of its moment, as Prometheus has it.
const TOLERANCE: Duration = Duration::from_millis(2);

impl Pace {
    /// How long it is from now until the moment of a target. It goes by the time of day and a hash,
    /// so that neither a restart nor a reload moves it.
    pub(super) fn until_first(self, now: Timestamp, hash: u64) -> Duration {
        let interval_ms = self.interval_ms();
        let passed_ms = now.as_ms().rem_euclid(interval_ms as i64) as u64;
        let moment_ms = hash % interval_ms;
        Duration::from_millis((moment_ms + interval_ms - passed_ms) % interval_ms)
    }

    /// The time of a scrape that happens now: its moment's where it is hardly late, so that the samples
    /// of a series are evenly spaced.
    pub(super) fn aligned(self, now: Timestamp, hash: u64) -> Timestamp {
        let interval_ms = self.interval_ms();
        let moment_ms = (hash % interval_ms) as i64;
        let late =
            Duration::from_millis((now.as_ms() - moment_ms).rem_euclid(interval_ms as i64) as u64);
        if late <= TOLERANCE.min(self.interval / 100) { now.saturating_sub(late) } else { now }
    }

    fn interval_ms(self) -> u64 {
        (self.interval.as_millis() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { interval: Duration::from_secs(10), timeout: Duration::from_secs(10) };

    #[test]
    fn a_target_has_its_moment_in_each_interval() {
        for (now_ms, hash, until_ms) in [
            (0, 0, 0),
            (0, 3_000, 3_000),
            (1_000, 3_000, 2_000),
            (3_000, 3_000, 0),
            (3_001, 3_000, 9_999),
            (1_700_000_009_000, 13_000, 4_000),
            (-1_000, 0, 1_000),
            (0, u64::MAX, 1_615),
        ] {
            let until = PACE.until_first(Timestamp::from_ms(now_ms), hash);
            assert_eq!(until.as_millis(), until_ms, "{now_ms} {hash}");
        }
    }

    #[test]
    fn moments_are_spread_over_the_interval() {
        let mut tenths = [0; 10];
        for number in 0_u64..1_000 {
            let mut hash = bellwire_model::Fnv1a::default();
            hash.write_text(&format!("http://10.0.0.{number}:9100/metrics"));
            let until = PACE.until_first(Timestamp::from_ms(0), hash.finish());
            tenths[until.as_secs() as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (50..200).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_scrape_that_is_hardly_late_is_of_its_moment() {
        for (now_ms, time_ms) in
            [(13_000, 13_000), (13_002, 13_000), (13_003, 13_003), (12_999, 12_999)]
        {
            let time = PACE.aligned(Timestamp::from_ms(now_ms), 3_000);
            assert_eq!(time.as_ms(), time_ms);
        }
        // At most a hundredth of the interval.
        let short = Pace { interval: Duration::from_millis(100), ..PACE };
        assert_eq!(short.aligned(Timestamp::from_ms(1_002), 0).as_ms(), 1_002);
    }
}
