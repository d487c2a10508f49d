//! Time never goes back, whatever comes from long ago.

#[path = "engine/script.rs"]
mod script;

use std::time::Duration;

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Change, Conventions, Engine, Plan, RuleFile, RuleSet, Value, load, query};
use script::{rules, run, told};

const MINUTE: i64 = 60_000;

/// Rules of a group that looks back.
fn looking_back(settings: &str, rules: &str) -> RuleSet {
    let text = format!("groups:\n- name: g\n  {settings}\n  rules:\n{rules}");
    load(&[RuleFile { name: "f", text: &text }]).expect("rules")
}

fn sample(name: &str, value: f64, ms: i64) -> Sample {
    let series = Labels::from_pairs([(METRIC_NAME, name)]).expect("labels");
    Sample { series, value, time: Timestamp::from_ms(ms) }
}

fn value(engine: &Engine, expression: &str, ms: i64) -> Vec<f64> {
    let plan = Plan::parse(expression).expect("an expression");
    let now = Timestamp::from_ms(ms);
    let answer = query(&plan, engine.storage(), &Conventions::default(), now).expect("a value");
    let Value::Vector(elements) = answer.value else { panic!("{expression} is no vector") };
    elements.iter().map(|element| element.value).collect()
}

#[test]
fn what_a_rule_records_bears_the_time_that_it_has_looked_at() {
    for mode in ["stream", "tick"] {
        let settings = format!("mode: {mode}\n  interval: 10s\n  query_offset: 30s");
        let set = looking_back(&settings, "  - {record: r, expr: t * 2}\n");
        let mut engine = Engine::new(set);
        engine.apply(Timestamp::from_ms(MINUTE), &[sample("t", 1.0, MINUTE)]);
        let changes = engine.advance(Timestamp::from_ms(2 * MINUTE));
        let Some(Change::Recorded(first)) = changes.first() else { panic!("{mode}: {changes:?}") };
        assert_eq!((first.value, first.time.as_ms()), (Some(2.0), MINUTE), "{mode}");
        // The newest one was recorded at the last interval.
        assert_eq!(value(&engine, "timestamp(r)", 2 * MINUTE), [90.0], "{mode}");
        // What has ended ended as of then, too.
        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
        engine.apply(Timestamp::from_ms(3 * MINUTE), &[sample("t", stale, 3 * MINUTE)]);
        engine.advance(Timestamp::from_ms(210_000 - 1));
        assert_eq!(value(&engine, "r", 210_000).len(), 1, "{mode}");
        engine.advance(Timestamp::from_ms(210_000));
        assert_eq!(value(&engine, "r", 3 * MINUTE).len(), 0, "{mode}");
    }
}

#[test]
fn time_does_not_go_back_for_what_is_recorded_as_of_long_ago() {
    for mode in ["stream", "tick"] {
        let settings = format!("mode: {mode}\n  interval: 10s\n  query_offset: 10m");
        let set = looking_back(&settings, "  - {record: r, expr: t}\n  - {alert: A, expr: r}\n");
        let mut engine = Engine::new(set);
        let mut times = Vec::new();
        for at in (0..30 * MINUTE).step_by(7_000) {
            let changes = engine.apply(Timestamp::from_ms(at), &[sample("t", at as f64, at)]);
            let time = |change: &Change| match change {
                Change::Transition(transition) => Some(transition.time.as_ms()),
                _ => None,
            };
            times.extend(changes.iter().filter_map(time));
            let next = engine.next_deadline().expect("a series that may end");
            assert!(next >= Timestamp::from_ms(at), "{mode}: {next} at {at}");
        }
        assert!(times.is_sorted(), "{mode}");
    }
}

#[test]
fn a_backlog_does_not_end_an_alert_before_it_fired() {
    let mut engine = Engine::new(rules(
        "  - {alert: Much, expr: 'sum by (job) (sum_over_time(x[1h])) > 100', for: 90s}\n",
    ));
    // One sensor is heard all the time, the other one falls silent at once.
    let script = r#"
        0 x{job="j",s="a"} 1 | x{job="j",s="b"} 1
        600000 x{job="j",s="a"} 90
        1140000 x{job="j",s="a"} 20
          > 1140000 pending {alertname="Much",job="j"} 112
        1200000 x{job="j",s="b"} 1 @ 300000 | x{job="j",s="b"} 2 @ 720000
        1229999
        1230000
          > 1230000 firing {alertname="Much",job="j"} 115
    "#;
    assert_eq!(run(&mut engine, script), told(script));
}

#[test]
fn a_series_that_is_new_or_was_forgotten_brings_what_its_sensor_has_kept() {
    let set = "  - {alert: Often, expr: 'count_over_time(x[1h]) > 2'}\n";
    let script = r#"
        7200000 x 1 @ 5000000 | x 1 @ 6000000 | x 1 @ 6100000
          > 7200000 firing {alertname="Often"} 3
        8599999
        8600000
          > 8600000 resolved {alertname="Often"} 3
        20000000 x 1 @ 16400000 | x 1 @ 16400001 | x 1 @ 16400002
          > removed
        20000000 x 1 @ 16400003
          > 20000000 firing {alertname="Often"} 3
        20000001
          > 20000001 resolved {alertname="Often"} 3
    "#;
    let mut engine = Engine::new(rules(set));
    assert_eq!(run(&mut engine, script), told(script));
    // Of what no window reaches there is no series.
    let mut engine = Engine::new(rules(set));
    run(&mut engine, "7200000 x 1 @ 3600000 | y 1 @ 7000000 | y 1 @ 1");
    let figures = engine.figures();
    assert_eq!((figures.series, figures.dropped.late), (0, 2));
}

#[test]
fn alerts_beyond_the_limit_of_a_tick_are_told_to_nobody() {
    let settings = "mode: tick\n  interval: 1s\n  limit: 2";
    let set = looking_back(settings, "  - {alert: A, expr: t > 1, keep_firing_for: 4s}\n");
    let mut engine = Engine::new(set);
    let script = r#"
        1 t{s="a"} 2 | t{s="b"} 2
        1000
          > 1000 firing {alertname="A",s="a"} 2
          > 1000 firing {alertname="A",s="b"} 2
        1500 t{s="c"} 2 | t{s="d"} 2
        2000
          > 2000 resolved {alertname="A",s="a"} 2
          > 2000 resolved {alertname="A",s="b"} 2
        9000
        9500 t{s="a"} 0 | t{s="b"} 0
        10000
          > 10000 firing {alertname="A",s="c"} 2
          > 10000 firing {alertname="A",s="d"} 2
        10500 t{s="c"} 0 | t{s="b"} 2
        11000
          > 11000 resolved {alertname="A",s="c"} 2
          > 11000 resolved {alertname="A",s="d"} 2
        30000
          > 12000 firing {alertname="A",s="b"} 2
          > 12000 firing {alertname="A",s="d"} 2
    "#;
    assert_eq!(run(&mut engine, script), told(script));
    // As long as it is beyond the limit its rule fails, at each tick.
    assert_eq!(engine.figures().failures.count, 8 + 1);
}

#[test]
fn a_pause_that_was_passed_over_ends_nothing_whose_samples_come_again() {
    let mut engine = Engine::new(rules("  - {alert: Hot, expr: t > 90, for: 10s}\n"));
    run(&mut engine, "0 t{s=\"a\"} 95 | t{s=\"b\"} 95\n9999\n10000");
    let hour = Timestamp::from_ms(60 * MINUTE);
    assert_eq!(engine.pass_over(hour), []);
    let script = r#"
        3600500 t{s="a"} 96
        3601000 t{s="b"} 20
          > 3601000 resolved {alertname="Hot",s="b"} 95
        3899999
        3901000
          > 3900500 resolved {alertname="Hot",s="a"} 96
    "#;
    assert_eq!(run(&mut engine, script), told(script));
    // Time that has passed is not passed over again.
    assert_eq!(engine.pass_over(hour.saturating_sub(Duration::from_secs(1))), []);
}
