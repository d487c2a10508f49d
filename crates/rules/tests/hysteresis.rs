//! `resolve_expr` and `on_data_lost`: alerts that do not end with their condition alone.

#[path = "engine/script.rs"]
mod script;

use std::fmt::Write as _;
use std::time::Duration;

use bellwire_model::{AlertState, Fingerprint, Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{
    Change, Checkpoint, Engine, RuleFile, RuleMode, RuleSet, Settings, State, load_in,
};
use proptest::prelude::*;
use script::{rules, run, told};

fn check(set: &str, script: &str) {
    let mut engine = Engine::new(rules(set));
    assert_eq!(run(&mut engine, script), told(script), "{set}");
}

const HOT: &str = "  - {alert: Hot, expr: t > 90, resolve_expr: t < 80}\n";
const LOSING: &str = "  - {alert: Hot, expr: t > 90, on_data_lost: keep}\n";

#[test]
fn an_alert_ends_only_when_its_end_is_reached() {
    check(
        HOT,
        r#"
        0 t{s="a"} 91 | t{s="b"} 95
          > 0 firing {alertname="Hot",s="a"} 91
          > 0 firing {alertname="Hot",s="b"} 95
        1000 t{s="a"} 85
        2000 t{s="a"} 80
        3000 t{s="a"} 79.9
          > 3000 resolved {alertname="Hot",s="a"} 91
        4000 t{s="a"} 85
        5000 t{s="a"} 92
          > 5000 firing {alertname="Hot",s="a"} 92
        "#,
    );
    // What is between neither begins one nor keeps a pending one from firing.
    check(
        "  - {alert: Hot, expr: t > 90, for: 10s, resolve_expr: t < 80}\n",
        r#"
        0 t 85
        1000 t 91
          > 1000 pending {alertname="Hot"} 91
        5000 t 85
        11000
          > 11000 firing {alertname="Hot"} 91
        12000 t 79
          > 12000 resolved {alertname="Hot"} 91
        13000 t 91
          > 13000 pending {alertname="Hot"} 91
        14000 t 79
          > 14000 inactive {alertname="Hot"} 91
          > removed
        "#,
    );
}

#[test]
fn the_end_is_seen_when_time_alone_brings_it() {
    check(
        "  - {alert: Hot, expr: t > 90, resolve_expr: 'max_over_time(t[10s]) < 80'}\n",
        r#"
        0 t 91
          > 0 firing {alertname="Hot"} 91
        1000 t 50
        9999
        10000
          > 10000 resolved {alertname="Hot"} 91
        "#,
    );
    // Then `keep_firing_for` begins.
    check(
        "  - {alert: Hot, expr: t > 90, resolve_expr: t < 80, keep_firing_for: 5s}\n",
        r#"
        0 t 91
          > 0 firing {alertname="Hot"} 91
        1000 t 85
        60000 t 79
        62000 t 85
        66000 t 79
        70999
        71000
          > 71000 resolved {alertname="Hot"} 91
        "#,
    );
}

#[test]
fn labels_but_the_metrics_name_tell_which_alert_ends() {
    check(
        "  - {alert: Hot, expr: 'sum by (s) (t) > 90', resolve_expr: u > 0}\n",
        r#"
        0 t{s="a"} 91 | t{s="b"} 91
          > 0 firing {alertname="Hot",s="a"} 91
          > 0 firing {alertname="Hot",s="b"} 91
        1000 t{s="a"} 1 | t{s="b"} 1
        2000 u{s="a",x="y"} 1
        3000 u{s="a"} 1
          > 3000 resolved {alertname="Hot",s="a"} 91
        "#,
    );
}

#[test]
fn an_alert_whose_series_is_gone_ends_though_its_end_was_not_reached() {
    check(
        HOT,
        r#"
        0 t 91
          > 0 firing {alertname="Hot"} 91
        1000 t 85
        300999
        301000
          > 301000 resolved {alertname="Hot"} 91
        "#,
    );
}

#[test]
fn an_alert_whose_series_falls_silent_is_kept_where_its_rule_says_so() {
    check(
        LOSING,
        r#"
        0 t{s="a"} 91
          > 0 firing {alertname="Hot",s="a"} 91
        300000
          > 300000 data_lost {alertname="Hot",s="a"} 91
        9000000
        9000001 t{s="a"} 92
          > 9000001 firing {alertname="Hot",s="a"} 92
        9000002 t{s="a"} stale
          > 9000002 data_lost {alertname="Hot",s="a"} 92
        9000003 t{s="a"} 12
          > 9000003 resolved {alertname="Hot",s="a"} 92
        "#,
    );
    // One that is pending ends, as it has told nobody anything.
    check(
        "  - {alert: Hot, expr: t > 90, for: 1h, on_data_lost: keep}\n",
        r#"
        0 t 91
          > 0 pending {alertname="Hot"} 91
        300000
          > 300000 inactive {alertname="Hot"} 91
          > removed
        "#,
    );
}

#[test]
fn data_that_does_not_come_back_is_given_up_in_the_end() {
    let mut engine = Engine::new(rules(LOSING));
    let day_ms = 86_400_000;
    let script = format!(
        "0 t 91\n> 0 firing {{alertname=\"Hot\"}} 91\n\
         300000\n> 300000 data_lost {{alertname=\"Hot\"}} 91\n{}\n{}\n\
         > {} resolved {{alertname=\"Hot\"}} 91\n",
        300_000 + day_ms - 1,
        300_000 + day_ms,
        300_000 + day_ms,
    );
    assert_eq!(run(&mut engine, &script), told(&script));
    assert!(engine.active().all(|alert| alert.state == AlertState::Resolved));
    engine.advance(Timestamp::from_ms(2 * day_ms));
    assert_eq!(engine.figures().series, 0, "nobody speaks for the series any more");
}

#[test]
fn silence_is_told_from_a_condition_that_ends() {
    let rule =
        |expression: &str| format!("  - {{alert: A, expr: '{expression}', on_data_lost: keep}}\n");
    // Each fires at 0 with `t` and `u` at 5 and 1, and is looked at again after the samples.
    let table = [
        ("t > 3", "t 1", "resolved"),
        ("t > 3", "t stale", "data_lost"),
        ("sum(t) > 3", "t 1", "resolved"),
        ("sum(t) > 3", "t stale", "data_lost"),
        ("t > u", "t 1", "resolved"),
        ("t > u", "u stale", "data_lost"),
        ("t > 3 and u == 1", "u 2", "resolved"),
        ("t > 3 and u == 1", "u stale", "data_lost"),
        ("t > 3 unless x", "x 1", "resolved"),
        ("t > 3 unless x", "t stale", "data_lost"),
        ("topk(1, t) > 3", "t stale", "data_lost"),
        ("topk(1, {__name__=~\"t|u\"}) > 3", "u 9", ""),
        ("absent(x)", "x 1", "resolved"),
        ("absent(x) > bool 0", "x 1", "resolved"),
        ("abs(t - 1) > 3", "t 2", "resolved"),
        ("abs(t - 1) > 3", "t stale", "data_lost"),
        ("label_replace(t, \"t\", \"x\", \"\", \"\") > 3", "t stale", "data_lost"),
        ("max_over_time(t[10m]) > 3", "t stale", ""),
        ("sum_over_time((t > 3)[10s:1s]) > 3", "t 1", ""),
        ("count_values(\"v\", t) > 0", "t stale", "resolved"),
        ("t > 3 or u > 0", "t 1", ""),
        ("vector(scalar(t)) > 3", "t stale", "resolved"),
    ];
    for (expression, samples, expected) in table {
        let mut engine = Engine::new(rules(&rule(expression)));
        run(&mut engine, "0 t 5 | u 1");
        let before = engine.active().count();
        assert!(before > 0, "{expression} does not fire");
        let told = run(&mut engine, &format!("1000 {samples}"));
        let kinds: Vec<&str> = told.lines().skip(1).filter_map(|l| l.split(' ').nth(2)).collect();
        let expected: Vec<&str> = Some(expected).filter(|e| !e.is_empty()).into_iter().collect();
        let found: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "firing").collect();
        assert_eq!(found, expected, "{expression} after {samples}: {told}");
    }
}

#[test]
fn ids_of_transitions_are_not_repeated() {
    let mut engine = Engine::new(rules(LOSING));
    let mut ids = Vec::new();
    let values = [(0, "91"), (1, "stale"), (2, "92"), (3, "stale"), (4, "93"), (5, "1"), (6, "95")];
    for (ms, value) in values {
        let time = Timestamp::from_ms(ms);
        let changes = engine.apply(time, &[script::sample(&format!("t {value}"), ms)]);
        ids.extend(changes.iter().filter_map(|change| match change {
            Change::Transition(transition) => Some(transition.id()),
            _ => None,
        }));
    }
    let fingerprint = ids[0].split('-').next().expect("a fingerprint").to_owned();
    let ids: Vec<&str> = ids.iter().map(|id| &id[fingerprint.len()..]).collect();
    let expected = [
        "-0-alert.firing",
        "-0-alert.data_lost-1",
        "-0-alert.firing-2",
        "-0-alert.data_lost-3",
        "-0-alert.firing-4",
        "-0-alert.resolved",
        "-6-alert.firing",
    ];
    assert_eq!(ids, expected);
}

#[test]
fn restored_alerts_lose_their_data_too() {
    let mut first = Engine::new(rules(LOSING));
    run(&mut first, "0 t 91");
    let firing: Vec<_> = first.active().map(|alert| (*alert).clone()).collect();
    let mut second = Engine::new(rules(LOSING));
    second.restore(Timestamp::from_ms(1000), firing);
    let script = r#"
        301000
          > 301000 data_lost {alertname="Hot"} 91
        400000 t 5
          > 400000 resolved {alertname="Hot"} 91
    "#;
    assert_eq!(run(&mut second, script), told(script));
}

#[test]
fn restored_alerts_end_where_their_rule_says() {
    for rule in [HOT, "  - {alert: Hot, expr: t > 90, resolve_expr: 'sum by (s) (t) < 80'}\n"] {
        let mut first = Engine::new(rules(rule));
        run(&mut first, r#"0 t{s="a"} 91"#);
        let firing: Vec<_> = first.active().map(|alert| (*alert).clone()).collect();
        let mut second = Engine::new(rules(rule));
        second.restore(Timestamp::from_ms(1000), firing);
        let script = r#"
            2000 t{s="a"} 85
            200000 t{s="a"} 85
            400000 t{s="a"} 79
              > 400000 resolved {alertname="Hot",s="a"} 91
        "#;
        assert_eq!(run(&mut second, script), told(script), "{rule}");
    }
}

const LOOKBACK: Duration = Duration::from_millis(20);
const END_MS: i64 = 120;

/// Conditions, what ends their alerts, and what becomes of them when their data is lost.
const RULES: [(&str, &str, &str); 12] = [
    ("a > 2", "a < 1", "keep"),
    ("a > 2", "", "keep"),
    ("a > 2", "a < 1", "resolve"),
    ("sum by (s) (a) > b", "a < 2", "keep"),
    ("sum(a) > 5", "sum(a) < 2", "keep"),
    ("max_over_time(a[7ms]) > 3", "max_over_time(a[12ms]) < 2", "keep"),
    ("rate(a[10ms]) > 151.3", "rate(a[15ms]) < 51.7", "keep"),
    ("a > 2 and b > 1", "b < 1 or a < 1", "keep"),
    ("absent(a{s=\"x\"})", "b{s=\"x\"} > 3", "keep"),
    ("topk(1, a) > 2", "avg_over_time(a[9ms]) < 2", "keep"),
    ("time() - timestamp(a) > 0.004", "time() - timestamp(a) < 0.0015", "keep"),
    ("a offset 3ms > 2", "a < 1", "keep"),
];

fn settings() -> Settings {
    Settings { lookback: LOOKBACK, ..Settings::default() }
}

fn set(mode: RuleMode) -> RuleSet {
    let mut text = "groups:\n- name: g\n  interval: 1ms\n  rules:\n".to_owned();
    for (index, (expression, resolve, lost)) in RULES.into_iter().enumerate() {
        let (hold, keep) = (index % 4 * 3, index % 3 * 4);
        writeln!(text, "  - alert: A{index}\n    expr: |-\n      {expression}").expect("text");
        if !resolve.is_empty() {
            writeln!(text, "    resolve_expr: |-\n      {resolve}").expect("text");
        }
        writeln!(text, "    on_data_lost: {lost}\n    for: {hold}ms").expect("text");
        writeln!(text, "    keep_firing_for: {keep}ms").expect("text");
    }
    load_in(&[RuleFile { name: "f", text: &text }], mode).expect("rules")
}

fn batches() -> impl Strategy<Value = Vec<(i64, Vec<Sample>)>> {
    const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
    let value = prop_oneof![8 => (0..5_u8).prop_map(f64::from), 1 => Just(STALE)];
    let shift = prop_oneof![6 => Just(0_i64), 2 => -15..0_i64, 1 => 0..15_i64];
    let sample = (0..4_usize, value, shift);
    let batch = (1..9_i64, prop::collection::vec(sample, 1..4));
    prop::collection::vec(batch, 1..25).prop_map(|batches| {
        let mut now = 0;
        let mut told = Vec::new();
        for (gap, samples) in batches {
            now += gap;
            let of = |(index, value, shift): (usize, f64, i64)| {
                let pairs = [(METRIC_NAME, ["a", "b"][index % 2]), ("s", ["x", "y"][index / 2])];
                let series = Labels::from_pairs(pairs).expect("labels");
                Sample { series, value, time: Timestamp::from_ms(now + shift) }
            };
            told.push((now, samples.into_iter().map(of).collect()));
        }
        told.retain(|(now, _)| *now < END_MS);
        told
    })
}

/// When alerts changed, and how. Before some batches the process ends, and another one goes on from
/// what it has written down.
fn changes(
    mode: RuleMode,
    batches: &[(i64, Vec<Sample>)],
    ends: &[usize],
) -> Vec<(i64, &'static str, Fingerprint)> {
    let mut engine = Engine::with_settings(set(mode), settings());
    engine.keep_log();
    let mut log = Vec::new();
    let mut changes = engine.apply(Timestamp::from_ms(0), &[]);
    for (index, (now, samples)) in batches.iter().enumerate() {
        log.push(engine.take_log());
        if ends.contains(&index) {
            let mut state = State::default();
            for piece in &log {
                state.read(piece).expect("a log");
            }
            // It goes on at the time at which the other one ended.
            let ended_at = batches[..index].last().map_or(0, |(now, _)| *now);
            let (next, since) =
                Engine::resume(set(mode), settings(), state, Timestamp::from_ms(ended_at));
            changes.extend(since);
            engine = next;
            engine.keep_log();
            log = vec![whole(&engine)];
        }
        changes.extend(engine.apply(Timestamp::from_ms(*now), samples));
    }
    changes.extend(engine.advance(Timestamp::from_ms(END_MS)));
    let told = changes.iter().filter_map(|change| match change {
        Change::Transition(t) => Some((t.time.as_ms(), t.kind.event_type(), t.alert.fingerprint)),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    told
}

/// A checkpoint of all that an engine has.
fn whole(engine: &Engine) -> Vec<u8> {
    let mut checkpoint = Checkpoint::default();
    let pieces = std::iter::from_fn(|| engine.checkpoint(&mut checkpoint, 1 << 20));
    pieces.flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_stream_says_what_a_tick_each_millisecond_says(batches in batches()) {
        let stream = changes(RuleMode::Stream, &batches, &[]);
        prop_assert_eq!(stream, changes(RuleMode::Tick, &batches, &[]));
    }

    #[test]
    fn a_process_that_ends_changes_nothing_in_either_mode(
        batches in batches(),
        ends in prop::collection::vec(0..25_usize, 1..4),
    ) {
        for mode in RuleMode::ALL {
            let expected = changes(mode, &batches, &[]);
            prop_assert_eq!(changes(mode, &batches, &ends), expected, "{:?}", mode);
        }
    }
}
