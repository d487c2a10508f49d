//! The engine, which evaluates when something can have changed, against the plain evaluator, which
//! is asked at every millisecond: both must see every condition begin and end at the same instant.

#[path = "engine/arrivals.rs"]
mod arrivals;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use bellwire_model::{Fingerprint, Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{
    Change, Conventions, Engine, Plan, RuleFile, Settings, Storage, Value, load, query,
};
use proptest::prelude::*;

use arrivals::Batch;

const LOOKBACK: Duration = Duration::from_millis(20);
const END_MS: i64 = 150;
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Conditions on the metrics `a` and `b`, each with the label `s`; time alone changes most. Where
/// values are extrapolated, thresholds are such that no value meets one but for rounding.
const EXPRESSIONS: [&str; 63] = [
    "a > 1",
    "a > b",
    "a + on (s) b > 3",
    "a == on () group_left b{s=\"x\"}",
    "sum(a) > 3",
    "sum by (s) ({s=~\".+\"}) >= 2",
    "sum without (s) (a) - sum(b) > 0",
    "avg(a) < 2",
    "count(a) == 1",
    "absent(a)",
    "absent(a{s=\"x\"}) and on () b",
    "a unless b",
    "a and b > 1",
    "a or b",
    "a > 1 or vector(0)",
    "max_over_time(a[7ms]) > 2",
    "min_over_time(a[7ms]) < 1",
    "count_over_time(a[10ms]) > 1",
    "avg_over_time(a[9ms]) > 1",
    "sum_over_time(a[9ms]) > sum_over_time(b[5ms])",
    "changes(a[12ms]) >= 2",
    "resets(a[12ms]) > 0",
    "quantile_over_time(0.5, a[9ms]) > 1",
    "stddev_over_time(a[9ms]) > 1",
    "rate(a[10ms]) > 151.3",
    "rate(a[10ms]) > bool 151.3 == 1",
    "increase(a[10ms]) > 2.1",
    "increase(a[25ms]) < 3.1",
    "delta(a[10ms]) > 1.1",
    "delta(a[14ms]) < -1.53",
    "increase(a[10ms]) > increase(b[10ms]) + 0.13",
    "sum(increase(a[10ms])) > 3.1",
    "avg(delta(a[12ms])) <= 0.13",
    "2 * increase(a[10ms]) - 1 > 4.1",
    "irate(a[10ms]) > 0",
    "idelta(a[10ms]) == 1",
    "deriv(a[10ms]) > 100",
    "predict_linear(a[10ms], 0.01) > 3.1",
    "predict_linear(a[15ms] offset 3ms, 0.01) < -0.1",
    "a offset 5ms > 1",
    "a > a offset 3ms",
    "increase(a[10ms] offset 4ms) > 1.1",
    "topk(1, a)",
    "bottomk by (s) (1, {s=~\".+\"}) > 0",
    "quantile(0.5, a) > 1",
    "stddev(a) > 0.5",
    "count_values(\"value\", a)",
    "time() - timestamp(a) > 0.004",
    "timestamp(a) < time() - 0.0065",
    "vector(scalar(b{s=\"x\"})) < 2",
    "a > scalar(b{s=\"x\"})",
    "present_over_time(a[5ms])",
    "absent_over_time(b[5ms])",
    "last_over_time(a[6ms]) == 2",
    "max_over_time(a[6ms:2ms]) > 2",
    "sum by (s) (increase(a[60ms])) > 3.1",
    "count_over_time(b[45ms]) > 2",
    "max_over_time(a[30ms] offset 25ms) > 2",
    "max(a offset 40ms) > 2",
    "sum(max_over_time(b[50ms])) > max_over_time(a[5ms]) or sum(delta(b[50ms])) > 1.13",
    "count_over_time((a > 1)[8ms:3ms]) > 1",
    "label_replace(a, \"t\", \"$1\", \"s\", \"(x)\") > 1",
    "-a < 0 and on () vector(time()) > 0.05",
];

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let value = prop_oneof![
        10 => (0..5_u8).prop_map(f64::from),
        1 => Just(STALE),
        1 => Just(f64::NAN),
    ];
    arrivals::batches(value, END_MS)
}

/// When an alert began or ended.
type Told = (i64, &'static str, Fingerprint);

fn by_engine(expression: &str, batches: &[Batch]) -> Vec<Told> {
    let rule =
        format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |-\n      {expression}\n");
    let set = load(&[RuleFile { name: "f", text: &rule }]).expect("a rule");
    let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
    let mut engine = Engine::with_settings(set, settings);
    let mut changes = engine.apply(Timestamp::from_ms(0), &[]);
    for batch in batches {
        changes.extend(engine.apply(Timestamp::from_ms(batch.arrives_ms), &batch.samples));
    }
    changes.extend(engine.advance(Timestamp::from_ms(END_MS)));
    let told = changes.iter().filter_map(|change| match change {
        Change::Transition(transition) => Some((
            transition.time.as_ms(),
            transition.kind.event_type(),
            transition.alert.fingerprint,
        )),
        _ => None,
    });
    let told: Vec<Told> = told.collect();
    assert!(told.is_sorted_by_key(|(time, ..)| *time), "time never goes back");
    told
}

fn by_evaluator(expression: &str, batches: &[Batch]) -> Vec<Told> {
    let plan = Plan::parse(expression).expect("an expression");
    let conventions = Conventions { lookback: LOOKBACK, ..Conventions::default() };
    let mut storage = Storage::new();
    let mut ahead: Vec<&Sample> = Vec::new();
    let mut raised: BTreeSet<Fingerprint> = BTreeSet::new();
    let mut told = Vec::new();
    for now in 0..=END_MS {
        let time = Timestamp::from_ms(now);
        let (due, later): (Vec<_>, Vec<_>) = ahead.into_iter().partition(|s| s.time <= time);
        ahead = later;
        for sample in due {
            storage.add(sample);
        }
        for batch in batches.iter().filter(|batch| batch.arrives_ms == now) {
            for sample in &batch.samples {
                if sample.time <= time {
                    storage.add(sample);
                } else {
                    ahead.retain(|other| {
                        (other.time, &other.series) != (sample.time, &sample.series)
                    });
                    ahead.push(sample);
                }
            }
        }
        let answer = query(&plan, &storage, &conventions, time).expect("a value");
        let Value::Vector(elements) = answer.value else { panic!("{expression} is no vector") };
        let alert = |labels: &Labels| {
            let labels = labels.filtered(|name| name != METRIC_NAME);
            Fingerprint::of(&labels.with("alertname", "A").expect("labels"))
        };
        let held: BTreeSet<_> = elements.iter().map(|element| alert(&element.labels)).collect();
        told.extend(raised.difference(&held).map(|alert| (now, "alert.resolved", *alert)));
        told.extend(held.difference(&raised).map(|alert| (now, "alert.firing", *alert)));
        raised = held;
    }
    told
}

/// What rules record while series come and go: each is what a query gives at any instant.
const RECORDED: [&str; 14] = [
    "a * 2",
    "a > 1",
    "a + on (s) b",
    "a * on () group_left b{s=\"x\"}",
    "sum({__name__=~\"a|b\"})",
    "sum by (s) ({__name__=~\"a|b\"})",
    "avg without (s) (a) - max(b)",
    "count by (s) (a > 1)",
    "sum(max by (s) ({__name__=~\"a|b\"}))",
    "topk(1, a)",
    "a or b",
    "a unless on (s) b > 2",
    "absent(a)",
    "label_replace(a, \"t\", \"$1\", \"s\", \"(x)\")",
];

/// The elements of an expression, without the metric's name, each value as bits.
fn elements(expression: &str, storage: &Storage, now: i64) -> BTreeSet<(Labels, u64)> {
    let plan = Plan::parse(expression).expect("an expression");
    let conventions = Conventions { lookback: LOOKBACK, ..Conventions::default() };
    let answer = query(&plan, storage, &conventions, Timestamp::from_ms(now)).expect("a value");
    let Value::Vector(elements) = answer.value else { panic!("{expression} is no vector") };
    let bare = |labels: &Labels| labels.filtered(|name| name != METRIC_NAME);
    elements.iter().map(|element| (bare(&element.labels), element.value.to_bits())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn conditions_begin_and_end_at_the_very_millisecond(
        batches in batches(),
        first in 0..EXPRESSIONS.len(),
    ) {
        for step in 0..12 {
            let expression = EXPRESSIONS[(first + step * 5) % EXPRESSIONS.len()];
            let mut engine = by_engine(expression, &batches);
            let mut evaluator = by_evaluator(expression, &batches);
            engine.sort_unstable();
            evaluator.sort_unstable();
            prop_assert_eq!(engine, evaluator, "{}", expression);
        }
    }

    #[test]
    fn what_is_recorded_is_what_a_query_gives(batches in batches()) {
        let mut rules = "groups:\n- name: g\n  interval: 5ms\n  rules:\n".to_owned();
        for (number, expression) in RECORDED.iter().enumerate() {
            writeln!(rules, "  - record: r{number}\n    expr: |-\n      {expression}").expect("text");
        }
        let set = load(&[RuleFile { name: "f", text: &rules }]).expect("rules");
        let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
        let mut engine = Engine::with_settings(set, settings);
        let mut batches = batches.iter().peekable();
        for now in 0..=END_MS {
            let batch = batches.next_if(|batch| batch.arrives_ms == now);
            let samples = batch.map_or(&[][..], |batch| &batch.samples);
            engine.apply(Timestamp::from_ms(now), samples);
            if samples.is_empty() && now % 4 > 0 {
                continue;
            }
            for (number, expression) in RECORDED.iter().enumerate() {
                let recorded = elements(&format!("r{number}"), engine.storage(), now);
                let given = elements(expression, engine.storage(), now);
                prop_assert_eq!(recorded, given, "{} at {}", expression, now);
            }
        }
    }
}
