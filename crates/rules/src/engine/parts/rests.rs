//! How long parts rest that look at very many series.
//!
//! One alone takes a tenth of the time. A hundred of them would take all of it and more, so that
//! alerts of others came late: where more than a few rest at a time, each rests longer in proportion.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::PARTS_RESTING_MAX;

/// Until when each part rests that does; there is one for each at most.
#[derive(Debug, Default)]
pub(super) struct Rests(BinaryHeap<Reverse<Timestamp>>);

impl Rests {
    /// One more rests, which would do so for `spacing` if it were alone. Says until when.
    pub(super) fn begin(&mut self, spacing: Duration, now: Timestamp) -> Timestamp {
        while self.0.peek().is_some_and(|Reverse(until)| *until <= now) {
            self.0.pop();
        }
        let shares = (self.0.len() + 1).div_ceil(PARTS_RESTING_MAX);
        let until = now.saturating_add(spacing.saturating_mul(shares as u32));
        self.0.push(Reverse(until));
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_take_so_many_shares_of_the_time_together_however_many_there_are() {
        let spacing = Duration::from_millis(5);
        for parts in [1, 2, 3, 10, 100] {
            let mut rests = Rests::default();
            let mut until = vec![Timestamp::MIN; parts];
            let mut evaluations = 0;
            for ms in 0..10_000 {
                let now = Timestamp::from_ms(ms);
                for until in until.iter_mut().filter(|until| **until <= now) {
                    *until = rests.begin(spacing, now);
                    evaluations += usize::from(ms >= 1_000);
                }
            }
            // So often would one alone be evaluated in nine seconds.
            let alone = 1_800;
            let least = alone * parts.min(PARTS_RESTING_MAX) * 9 / 10;
            let most = alone * parts.min(PARTS_RESTING_MAX);
            assert!((least..=most).contains(&evaluations), "{parts}: {evaluations}");
            assert!(rests.0.len() <= parts);
        }
    }
}
