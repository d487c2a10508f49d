//! An engine in tick mode against the runner of tests of rules, which keeps all samples and
//! evaluates every rule at every tick: both give the same series and the same alerts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bellwire_model::{AlertState, METRIC_NAME, Sample, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::engine::Settings;
use crate::evaluation::{Conventions, Value, query};
use crate::load::{RuleFile, load_in};
use crate::plan::Plan;
use crate::rule::{RuleMode, RuleSet};
use crate::storage::{STALE, Storage};
use crate::template::Externals;
use crate::tick::Ticker;
use bellwire_model::Labels;

const LOOKBACK: Duration = Duration::from_millis(40);
const INTERVAL_MS: i64 = 7;
const END_MS: i64 = 300;

/// Recorded one after the other, so that some see what others have recorded.
const RECORDED: [&str; 22] = [
    "sum by (s) (a)",
    "r0 * 2",
    "rate(a[30ms])",
    "increase(b[21ms] offset 3ms)",
    "avg_over_time(r1[40ms])",
    "max_over_time(sum(a)[40ms:5ms])",
    "limitk(1, a)",
    "a offset -5ms",
    "sum(a @ end()) by (s)",
    "mad_over_time(a[40ms])",
    "absent(b)",
    "topk(1, r0 or b)",
    "stddev by (s) ({s=~\".+\",__name__=~\"a|b\"})",
    "time() - timestamp(a)",
    "count_over_time(r5[50ms])",
    "last_over_time(a[60ms])",
    "a / on (s) b",
    "count by (alertname, alertstate) (ALERTS)",
    "max_over_time(ALERTS{alertname=\"A0\"}[30ms])",
    "changes(ALERTS_FOR_STATE[50ms])",
    "count({s=\"x\"})",
    // Fails where both are there.
    "label_replace(b, \"s\", \"z\", \"\", \"\")",
];

const CONDITIONS: [&str; 8] = [
    "a > 1",
    "sum by (s) (a) > b",
    "r0 > 3",
    "absent(a{s=\"x\"})",
    "rate(a[30ms]) > 100",
    "a > 3",
    "b > 3",
    "topk(1, a) > 2",
];

/// What ends the alerts of these conditions, and what becomes of them when their data is lost.
const HYSTERESIS: [(&str, &str); 8] = [
    ("", "resolve"),
    ("sum by (s) (a) < b - 1", "keep"),
    ("", "keep"),
    ("", "keep"),
    ("", "keep"),
    ("a < 2", "resolve"),
    ("avg_over_time(b[20ms]) < 1", "keep"),
    ("a < 1", "keep"),
];

/// Every series that rules give, as `query` gives it: what tells them apart is their name.
const ALL_RECORDED: &str = "{__name__=~\"r[0-9]+|ALERTS.*\"}";

fn rules() -> RuleSet {
    let group = |name: &str, offset_ms: u64| {
        format!(
            "- name: {name}\n  interval: {INTERVAL_MS}ms\n  query_offset: {offset_ms}ms\n  rules:\n"
        )
    };
    let mut text = format!("groups:\n{}", group("g", 0));
    for (index, expression) in RECORDED.into_iter().enumerate() {
        if index == RECORDED.len() / 2 {
            text += &group("h", 4);
        }
        writeln!(text, "  - record: r{index}\n    expr: |-\n      {expression}").expect("text");
    }
    for (index, expression) in CONDITIONS.into_iter().enumerate() {
        let (hold, keep) = (index % 3 * 10, index % 2 * 15);
        writeln!(text, "  - alert: A{index}\n    expr: |-\n      {expression}").expect("text");
        writeln!(text, "    for: {hold}ms\n    keep_firing_for: {keep}ms").expect("text");
        let (resolve, lost) = HYSTERESIS[index];
        if !resolve.is_empty() {
            writeln!(text, "    resolve_expr: |-\n      {resolve}").expect("text");
        }
        writeln!(text, "    on_data_lost: {lost}").expect("text");
    }
    load_in(&[RuleFile { name: "f", text: &text }], RuleMode::Tick).expect("rules")
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let value = prop_oneof![
        12 => (0..6_u8).prop_map(f64::from),
        1 => Just(STALE),
        1 => Just(f64::NAN),
    ];
    let sample = (0..9_i64, 0..4_usize, value);
    prop::collection::vec(sample, 1..60).prop_map(|samples| {
        let mut now = 0;
        let sample = |(gap, index, value): (i64, usize, f64)| {
            now += gap;
            let pairs = [(METRIC_NAME, ["a", "b"][index % 2]), ("s", ["x", "y"][index / 2])];
            let series = Labels::from_pairs(pairs).expect("labels");
            Sample { series, value, time: Timestamp::from_ms(now) }
        };
        samples.into_iter().map(sample).collect()
    })
}

/// The values of all recorded series, to the last bit, with their times.
fn recorded(storage: &Storage, now: Timestamp) -> Vec<(Labels, u64)> {
    let conventions = Conventions { lookback: LOOKBACK, ..Conventions::default() };
    let plan = Plan::parse(ALL_RECORDED).expect("an expression");
    let value = query(&plan, storage, &conventions, now).expect("a value").value;
    let Value::Vector(elements) = value else { panic!("a selector gives a vector") };
    let elements = elements.into_iter();
    let mut all: Vec<_> = elements.map(|e| (e.labels, e.value.to_bits())).collect();
    all.sort_by(|a, b| a.0.iter().cmp(b.0.iter()));
    all
}

/// What alerts are doing, and since when they are active.
type Alerts = BTreeMap<Labels, (AlertState, i64)>;

fn of_engine(engine: &Engine) -> Alerts {
    let active = engine.active().filter(|alert| alert.state != AlertState::Resolved);
    active.map(|alert| (alert.labels.clone(), (alert.state, alert.active_at.as_ms()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 25,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn tick_mode_is_what_the_runner_of_tests_computes(samples in samples()) {
        let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
        let mut engine = Engine::with_settings(rules(), settings);
        let conventions = Conventions { lookback: LOOKBACK, ..Conventions::default() };
        let mut ticker = Ticker::new(rules(), conventions, Externals::default());
        let mut failed = 0;
        let mut coming = samples.iter().peekable();
        for ms in 0..END_MS {
            let now = Timestamp::from_ms(ms);
            let due = std::iter::from_fn(|| coming.next_if(|sample| sample.time <= now));
            let due: Vec<Sample> = due.cloned().collect();
            for sample in &due {
                ticker.storage.add(sample);
            }
            engine.apply(now, &due);
            if ms % INTERVAL_MS != 0 {
                continue;
            }
            failed += ticker.tick(now).len() as u64;
            prop_assert_eq!(engine.figures().failures.count, failed, "at {}", ms);
            let (found, expected) = (engine.storage(), &ticker.storage);
            prop_assert_eq!(recorded(found, now), recorded(expected, now), "at {}", ms);
            prop_assert_eq!(of_engine(&engine), ticker.active(), "at {}", ms);
        }
    }
}

#[test]
fn a_group_ticks_at_multiples_of_its_interval_and_not_between() {
    let text = "groups:\n- name: g\n  interval: 10s\n  mode: tick\n  rules:\n  \
                - {alert: A, expr: t > 1, for: 15s, keep_firing_for: 5s}\n";
    let set = load_in(&[RuleFile { name: "f", text }], RuleMode::Stream).expect("rules");
    let mut engine = Engine::new(set);
    let series = Labels::from_pairs([(METRIC_NAME, "t")]).expect("labels");
    let mut told = Vec::new();
    let values = [(3_000, 2.0), (12_000, 0.0), (13_000, 2.0), (34_000, 0.0)];
    for (ms, value) in values {
        let time = Timestamp::from_ms(ms);
        let sample = Sample { series: series.clone(), value, time };
        told.extend(engine.apply(time, &[sample]));
    }
    assert_eq!(engine.next_deadline(), Some(Timestamp::from_ms(40_000)));
    told.extend(engine.advance(Timestamp::from_ms(60_000)));
    let told: Vec<String> = told
        .iter()
        .filter_map(|change| match change {
            Change::Transition(transition) => Some(transition),
            _ => None,
        })
        .map(|t| format!("{} {}", t.time, t.kind.event_type()))
        .collect();
    // What was between two ticks was not seen; each time is that of a tick.
    assert_eq!(told, ["10000 alert.pending", "30000 alert.firing", "50000 alert.resolved"]);
}

#[test]
fn a_restored_alert_waits_for_the_tick_of_its_group() {
    let text = "groups:\n- name: g\n  interval: 10m\n  rules:\n  - {alert: A, expr: vector(1)}\n";
    let set = || load_in(&[RuleFile { name: "f", text }], RuleMode::Tick).expect("rules");
    let mut first = Engine::new(set());
    first.apply(Timestamp::from_ms(0), &[]);
    let firing: Vec<_> = first.active().map(|alert| (*alert).clone()).collect();
    assert_eq!(firing.len(), 1);
    let mut second = Engine::new(set());
    second.restore(Timestamp::from_ms(1_000), firing);
    assert_eq!(second.advance(Timestamp::from_ms(3_600_000)), []);
    assert_eq!(second.figures().alerts.firing, 1);
}

#[test]
fn a_clock_that_jumps_passes_over_ticks() {
    let text = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {record: r, expr: time()}\n";
    let set = load_in(&[RuleFile { name: "f", text }], RuleMode::Tick).expect("rules");
    let mut engine = Engine::new(set);
    engine.apply(Timestamp::from_ms(0), &[]);
    let day_ms = 86_400_000;
    let changes = engine.apply(Timestamp::from_ms(365 * day_ms), &[]);
    assert_eq!(changes.len(), 3_601);
}

#[test]
fn rules_see_what_others_record_at_the_same_instant_whatever_their_mode() {
    let text = "groups:\n- name: first\n  rules: [{alert: Top, expr: c > 3}]\n\
                - name: ticking\n  interval: 10s\n  mode: tick\n  \
                rules: [{record: b, expr: a + 1}, {record: c, expr: b + 1}]\n\
                - name: last\n  rules: [{record: a, expr: t + 1}]\n";
    let set = load_in(&[RuleFile { name: "f", text }], RuleMode::Stream).expect("rules");
    let mut engine = Engine::new(set);
    let series = Labels::from_pairs([(METRIC_NAME, "t")]).expect("labels");
    let time = Timestamp::from_ms(10_000);
    let changes = engine.apply(time, &[Sample { series, value: 1.0, time }]);
    let told: Vec<String> = changes
        .iter()
        .map(|change| match change {
            Change::Recorded(recorded) => {
                format!("{} {:?}", recorded.series, recorded.value)
            }
            Change::Transition(transition) => transition.kind.event_type().to_owned(),
            Change::Removed(_) => "removed".to_owned(),
        })
        .collect();
    assert_eq!(told, ["a Some(2.0)", "b Some(3.0)", "c Some(4.0)", "alert.firing"]);
}
