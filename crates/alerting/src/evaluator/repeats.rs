//! Batches that come again as they were: a sender has not heard that the rules have seen them.
//!
//! Of a series at which no rule looks back only the newest sample is kept. So when its samples come
//! again all but that one look late, although each has counted; a sender that was told so would
//! count as lost what is not.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use bellwire_model::limits::BATCHES_REMEMBERED;
use bellwire_model::{NameHasher, Sample};
use bellwire_rules::RefusedSamples;

/// What a batch is known by: samples, times and values, and the series at its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch(u64);

impl Batch {
    /// What this one is known by; nothing where none of its samples can look late to another of it.
    pub(super) fn of(samples: &[Sample]) -> Option<Self> {
        let [first, .., last] = samples else { return None };
        let mut hasher = NameHasher::default().build_hasher();
        samples.len().hash(&mut hasher);
        for end in [first, last] {
            end.series.hash(&mut hasher);
        }
        for sample in samples {
            hasher.write_i64(sample.time.as_ms());
            hasher.write_u64(sample.value.to_bits());
        }
        Some(Self(hasher.finish()))
    }
}

/// Batches of which nothing was late, the newest [`BATCHES_REMEMBERED`] of them.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seen: VecDeque<Batch>,
}

impl Repeats {
    /// Remembers a batch that the rules have just seen; where they have seen all of it before, it is
    /// not late.
    pub(super) fn settle(&mut self, batch: Option<Batch>, refused: &mut RefusedSamples) {
        let Some(batch) = batch else { return };
        if refused.late() == 0 {
            if self.seen.len() == BATCHES_REMEMBERED {
                self.seen.pop_front();
            }
            self.seen.push_back(batch);
        } else if self.seen.contains(&batch) {
            refused.forget_late();
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::{Labels, Timestamp};
    use bellwire_rules::{Engine, RuleFile};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000 + seconds * 1_000)
    }

    /// Samples of one series, a second apart.
    fn batch(site: &str, seconds: std::ops::Range<i64>) -> Vec<Sample> {
        let series = Labels::from_pairs([("__name__", "t"), ("site", site)]).expect("labels");
        let sample = |second| Sample { series: series.clone(), value: 1.0, time: at(second) };
        seconds.map(sample).collect()
    }

    #[test]
    fn a_batch_that_comes_again_is_not_late_and_another_is() {
        let text = "groups: [{name: g, rules: [{alert: Hot, expr: t > 90}]}]";
        let rules = bellwire_rules::load(&[RuleFile { name: "r.yml", text }]).expect("valid");
        let mut engine = Engine::new(rules);
        let mut repeats = Repeats::default();
        let mut late = |samples: &[Sample]| {
            let _ = engine.apply(at(100), samples);
            let mut refused = engine.take_refused();
            repeats.settle(Batch::of(samples), &mut refused);
            assert_eq!(refused.first_late.len(), refused.late());
            refused.late()
        };
        let (oslo, voss) = (batch("oslo", 0..3), batch("voss", 0..3));
        assert_eq!([late(&oslo), late(&oslo), late(&voss), late(&oslo)], [0; 4]);
        // What it begins with was seen, but not together with what it ends with.
        assert_eq!(late(&batch("oslo", 1..3)), 1);
        assert_eq!(late(&batch("oslo", 0..4)), 2);
        // What was late once is late again.
        assert_eq!(late(&batch("oslo", 0..4)), 3);
        for hour in 0..BATCHES_REMEMBERED as i64 {
            assert_eq!(late(&batch(&hour.to_string(), 0..2)), 0);
        }
        assert_eq!(late(&voss), 2);
        assert_eq!(Batch::of(&batch("oslo", 0..1)), None);
    }
}
