//! The engine against an oracle that keeps every sample and evaluates at every millisecond.

use std::collections::BTreeMap;

use bellwire_model::{Fingerprint, Labels, METRIC_NAME, Sample, Timestamp, Transition};
use bellwire_rules::{Change, Engine, RuleFile, Settings, load};
use proptest::prelude::*;
use std::time::Duration;

const LOOKBACK_MS: i64 = 20;
const END_MS: i64 = 150;
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// What a rule of the test asks; the oracle knows it without reading the rule file.
struct TestRule {
    alert: &'static str,
    metric: &'static str,
    holds: fn(f64) -> bool,
    hold_ms: i64,
}

const RULES: [TestRule; 5] = [
    TestRule { alert: "Now", metric: "a", holds: |value| value > 1.0, hold_ms: 0 },
    TestRule { alert: "Soon", metric: "a", holds: |value| value > 1.0, hold_ms: 7 },
    TestRule { alert: "Late", metric: "b", holds: |_| true, hold_ms: 20 },
    TestRule {
        alert: "Later",
        metric: "b",
        holds: |value| !(2.0..=2.0).contains(&value),
        hold_ms: 33,
    },
    TestRule { alert: "Less", metric: "a", holds: |value| value <= 1.0, hold_ms: 1 },
];

const FILE: &str = "\
groups:
- name: g
  rules:
  - {alert: Now, expr: a > 1}
  - {alert: Soon, expr: 1 < a, for: 7ms}
  - {alert: Late, expr: b, for: 20ms}
  - {alert: Later, expr: b != 2, for: 33ms}
  - {alert: Less, expr: a <= 1, for: 1ms}
";

/// A change, as both sides tell it. Values are bits, so that NaN equals itself.
type Told = (i64, &'static str, Fingerprint, i64, u64, i64);

struct Batch {
    arrives_ms: i64,
    /// Whether timers are run beside the batches, at this time.
    advances_to_ms: i64,
    samples: Vec<Sample>,
}

fn series(index: usize) -> Labels {
    let metric = if index < 2 { "a" } else { "b" };
    let name = ["x", "y", "x"][index];
    Labels::from_pairs([(METRIC_NAME, metric), ("s", name)]).expect("labels")
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let value = prop_oneof![
        4 => Just(0.0),
        6 => Just(2.0),
        4 => Just(3.0),
        1 => Just(f64::NAN),
        2 => Just(f64::from_bits(STALE_BITS)),
    ];
    // Late ones, ones of now, and ones ahead.
    let shift = prop_oneof![
        6 => Just(0_i64),
        3 => -30..0_i64,
        1 => -90..-30_i64,
        4 => 0..40_i64,
    ];
    let sample = (0..3_usize, value, shift);
    let gap = prop_oneof![9 => 1..12_i64, 1 => 12..60_i64];
    let batch = (gap, 0..6_i64, prop::collection::vec(sample, 1..5));
    prop::collection::vec(batch, 1..25).prop_map(|batches| {
        let mut now = 0;
        let mut told = Vec::new();
        for (gap, advance, samples) in batches {
            now += gap;
            let of = |(index, value, shift): (usize, f64, i64)| Sample {
                series: series(index),
                value,
                time: Timestamp::from_ms(now + shift),
            };
            let samples = samples.into_iter().map(of).collect();
            told.push(Batch { arrives_ms: now, advances_to_ms: now + advance, samples });
        }
        told.retain(|batch| batch.arrives_ms < END_MS);
        told
    })
}

fn tell(transition: &Transition) -> Told {
    let alert = &transition.alert;
    (
        transition.time.as_ms(),
        transition.kind.event_type(),
        alert.fingerprint,
        alert.active_at.as_ms(),
        alert.value.to_bits(),
        alert.sample_time.as_ms(),
    )
}

fn by_engine(batches: &[Batch]) -> Vec<Told> {
    let set = load(&[RuleFile { name: "f", text: FILE }]).expect("rules");
    let lookback = Duration::from_millis(LOOKBACK_MS as u64);
    let mut engine = Engine::with_settings(set, Settings { lookback, ..Settings::default() });
    let mut changes = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        changes.extend(engine.apply(Timestamp::from_ms(batch.arrives_ms), &batch.samples));
        // Not past the next batch: time would not go back for it.
        let next = batches.get(index + 1).map_or(END_MS, |next| next.arrives_ms - 1);
        changes.extend(engine.advance(Timestamp::from_ms(batch.advances_to_ms.min(next))));
    }
    changes.extend(engine.advance(Timestamp::from_ms(END_MS)));
    let tell_transition = |change: &Change| match change {
        Change::Transition(transition) => Some(tell(transition)),
        _ => None,
    };
    changes.iter().filter_map(tell_transition).collect()
}

/// What the oracle knows of an alert that is pending or firing.
#[derive(Clone, Copy)]
struct Raised {
    active_at: i64,
    has_fired: bool,
    value: f64,
    sample_time: i64,
}

fn by_oracle(batches: &[Batch]) -> Vec<Told> {
    let mut history: BTreeMap<(usize, i64), f64> = BTreeMap::new();
    let mut raised: BTreeMap<(usize, usize), Raised> = BTreeMap::new();
    let mut told = Vec::new();
    for now in 0..=END_MS {
        for sample in batches.iter().filter(|b| b.arrives_ms == now).flat_map(|b| &b.samples) {
            let index = (0..3).find(|index| series(*index) == sample.series).expect("known");
            history.insert((index, sample.time.as_ms()), sample.value);
        }
        for (rule, index) in (0..RULES.len()).flat_map(|rule| (0..3).map(move |i| (rule, i))) {
            let TestRule { alert, metric, holds, hold_ms } = &RULES[rule];
            let labels = series(index);
            if labels.metric_name() != Some(*metric) {
                continue;
            }
            let visible = history.range((index, now - LOOKBACK_MS + 1)..=(index, now)).next_back();
            let held = visible
                .filter(|(_, value)| value.to_bits() != STALE_BITS && holds(**value))
                .map(|((_, time), value)| (*time, *value));
            let identity = [("alertname", *alert), ("s", labels.get("s").expect("s"))];
            let fingerprint = Fingerprint::of(&Labels::from_pairs(identity).expect("labels"));
            let mut tell = |kind, r: &Raised| {
                let value = r.value.to_bits();
                told.push((now, kind, fingerprint, r.active_at, value, r.sample_time));
            };
            let Some((sample_time, value)) = held else {
                if let Some(r) = raised.remove(&(rule, index)) {
                    tell(if r.has_fired { "alert.resolved" } else { "alert.inactive" }, &r);
                }
                continue;
            };
            let was_raised = raised.contains_key(&(rule, index));
            let fresh = Raised { active_at: now, has_fired: false, value, sample_time };
            let r = raised.entry((rule, index)).or_insert(fresh);
            (r.value, r.sample_time) = (value, sample_time);
            if !r.has_fired && now - r.active_at >= *hold_ms {
                r.has_fired = true;
                tell("alert.firing", r);
            } else if !was_raised {
                tell("alert.pending", r);
            }
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_says_what_evaluating_every_millisecond_would(batches in batches()) {
        let (mut engine, mut oracle) = (by_engine(&batches), by_oracle(&batches));
        // Both tell the instants in order; within one the order of the alerts is free.
        prop_assert!(engine.is_sorted_by_key(|told| told.0));
        engine.sort_unstable();
        oracle.sort_unstable();
        prop_assert_eq!(engine, oracle);
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {} (advance to {}):", self.arrives_ms, self.advances_to_ms)?;
        for Sample { series, value, time } in &self.samples {
            write!(f, " {series} {value}@{time}")?;
        }
        Ok(())
    }
}
