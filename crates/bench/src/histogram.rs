//! Latencies, counted in buckets whose width is below one percent of their value.

use std::time::Duration;

/// Bits of a value that a bucket keeps.
const PRECISION_BITS: u32 = 7;
const BUCKETS: usize = (65 - PRECISION_BITS as usize) << PRECISION_BITS;

/// Counts of durations.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, max_ns: 0 }
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// What another has counted counts here, too.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, others) in self.counts.iter_mut().zip(&other.counts) {
            *count += others;
        }
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The longest is not over yet, and has taken so long.
    pub(crate) fn reach(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.max_ns = self.max_ns.max(ns);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration, in milliseconds, that the given share of all does not exceed.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut passed = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return ms(end_of(bucket).min(self.max_ns));
            }
        }
        0.0
    }

    /// The longest, in milliseconds; exact.
    pub(crate) fn max_ms(&self) -> f64 {
        ms(self.max_ns)
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn bucket_of(ns: u64) -> usize {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    ((shift as usize) << PRECISION_BITS) + (ns >> shift) as usize
}

/// The largest value of a bucket.
fn end_of(bucket: usize) -> u64 {
    let shift = (bucket >> PRECISION_BITS).saturating_sub(1);
    let first = (bucket - (shift << PRECISION_BITS)) as u64;
    (first << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_narrow_bucket() {
        for exponent in 0..64 {
            for ns in [1 << exponent, (1 << exponent) + (1 << exponent) / 3, u64::MAX >> exponent] {
                let end = end_of(bucket_of(ns));
                assert!(end >= ns, "{ns}");
                assert!(end - ns <= ns / 100, "{ns} is in a bucket that ends at {end}");
                assert!(bucket_of(ns) < BUCKETS);
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::new();
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        for (share, expected_ms) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile_ms(share);
            assert!((found - expected_ms).abs() <= expected_ms / 100.0, "{share}: {found}");
        }
        assert!((histogram.max_ms() - 1000.0).abs() < f64::EPSILON);
        let mut longer = Histogram::new();
        longer.record(Duration::from_secs(2));
        histogram.add(&longer);
        assert_eq!(histogram.count(), 1001);
        assert!((histogram.max_ms() - 2000.0).abs() < f64::EPSILON);
    }
}
