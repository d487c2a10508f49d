//! The engine against scripts of samples and time.

#[path = "engine/collisions.rs"]
mod collisions;
#[path = "engine/kinds.rs"]
mod kinds;
#[path = "engine/script.rs"]
mod script;

use std::sync::Arc;

use bellwire_model::{Alert, Sample, Timestamp};
use bellwire_rules::{Change, Engine, SampleRefusal, Settings};
use script::{rules, run, sample, series, told};

fn check(set: &str, script: &str) {
    let mut engine = Engine::new(rules(set));
    assert_eq!(run(&mut engine, script), told(script), "{set}");
}

const HOT: &str = "  - {alert: Hot, expr: t > 90}\n";
const HOT_FOR_10S: &str = "  - {alert: Hot, expr: t > 90, for: 10s}\n";

#[test]
fn without_for_it_fires_at_once_and_resolves_when_the_condition_ends() {
    check(
        HOT,
        r#"
        1000 t{s="a"} 90
        1001 t{s="a"} 90.5
          > 1001 firing {alertname="Hot",s="a"} 90.5
        1002 t{s="a"} 99
        1003 t{s="a"} 12
          > 1003 resolved {alertname="Hot",s="a"} 99
        1004 t{s="a"} 91
          > 1004 firing {alertname="Hot",s="a"} 91
        "#,
    );
}

#[test]
fn with_for_it_fires_to_the_millisecond_and_no_earlier() {
    check(
        HOT_FOR_10S,
        r#"
        0 t{s="a"} 91
          > 0 pending {alertname="Hot",s="a"} 91
        5000 t{s="a"} 92
        9999
        10000
          > 10000 firing {alertname="Hot",s="a"} 92
        20000
        "#,
    );
    // Time that jumps gives the change the time at which it was due.
    check(
        HOT_FOR_10S,
        r#"
        0 t{s="a"} 91 | t{s="b"} 91
          > 0 pending {alertname="Hot",s="a"} 91
          > 0 pending {alertname="Hot",s="b"} 91
        12000 t{s="b"} 1
          > 10000 firing {alertname="Hot",s="a"} 91
          > 10000 firing {alertname="Hot",s="b"} 91
          > 12000 resolved {alertname="Hot",s="b"} 91
        "#,
    );
}

#[test]
fn a_condition_that_ends_while_pending_is_not_announced() {
    check(
        HOT_FOR_10S,
        r#"
        0 t 91
          > 0 pending {alertname="Hot"} 91
        10000 t 5
          > 10000 inactive {alertname="Hot"} 91
          > removed
        11000 t 91
          > 11000 pending {alertname="Hot"} 91
        20999
        21000
          > 21000 firing {alertname="Hot"} 91
        "#,
    );
}

#[test]
fn a_series_disappears_exactly_when_the_lookback_has_passed() {
    check(
        HOT,
        r#"
        0 t 91
          > 0 firing {alertname="Hot"} 91
        100000 t 92
        399999
        400000
          > 400000 resolved {alertname="Hot"} 92
        1299999
        1300000
          > removed
        "#,
    );
    // A sample at that very instant keeps it.
    check(
        HOT,
        r#"
        0 t 91
          > 0 firing {alertname="Hot"} 91
        300000 t 92
        600000
          > 600000 resolved {alertname="Hot"} 92
        "#,
    );
}

#[test]
fn a_stale_marker_ends_a_series_at_once_and_a_plain_nan_does_not() {
    check(
        "  - {alert: Any, expr: t}\n",
        r#"
        0 t 1
          > 0 firing {alertname="Any"} 1
        1000 t NaN
        2000 t stale
          > 2000 resolved {alertname="Any"} NaN
        3000 t 1 @ 1500
        4000 t 0
          > 4000 firing {alertname="Any"} 0
        "#,
    );
}

#[test]
fn numbers_compare_as_in_prometheus() {
    let table = [
        ("t > 1", &[(1.0, false), (1.5, true), (f64::NAN, false), (f64::INFINITY, true)][..]),
        ("t >= 1", &[(0.9, false), (1.0, true), (f64::NAN, false)]),
        ("t < 1", &[(1.0, false), (0.5, true), (f64::NEG_INFINITY, true)]),
        ("t <= 1", &[(1.0, true), (1.5, false), (f64::NAN, false)]),
        ("t == 1", &[(1.0, true), (1.5, false), (f64::NAN, false)]),
        ("t != 1", &[(1.0, false), (1.5, true), (f64::NAN, true)]),
        ("t == NaN", &[(f64::NAN, false)]),
        ("t == 0", &[(-0.0, true)]),
        ("1 < t", &[(1.0, false), (1.5, true)]),
        ("1 >= t", &[(1.0, true), (1.5, false)]),
        ("1 == t", &[(1.0, true), (1.5, false)]),
        ("1 < t < 3", &[(1.0, false), (2.0, true), (3.0, false)]),
        ("t > -(2 ^ 3 - 1)", &[(-7.0, false), (-6.0, true)]),
        ("t{s!=\"a\"} > 7 % 4", &[(3.0, false), (4.0, true)]),
    ];
    for (expression, cases) in table {
        for (value, fires) in cases {
            let set = rules(&format!("  - alert: A\n    expr: {expression}\n"));
            let now = Timestamp::from_ms(5);
            let sample = Sample { series: series("t"), value: *value, time: now };
            let changes = Engine::new(set).apply(now, &[sample]);
            assert_eq!(!changes.is_empty(), *fires, "{expression} with {value}");
        }
    }
}

#[test]
fn a_batch_is_applied_whole_and_evaluated_once() {
    // What is between the first and the last sample of the batch never existed.
    check(
        HOT,
        r#"
        1000 t 95 @ 998 | t 5 @ 999
        2000 t 95 @ 1999 | t 96 @ 2000 | t 5 @ 1998
          > 2000 firing {alertname="Hot"} 96
        "#,
    );
}

#[test]
fn late_samples_change_nothing_and_of_two_with_one_time_the_last_counts() {
    check(
        HOT,
        r#"
        1000 t 5
        1001 t 95 @ 999
        1002 t 95 @ 1000
          > 1002 firing {alertname="Hot"} 95
        2000 t 95 | t 5
          > 2000 resolved {alertname="Hot"} 95
        3000 t 5 | t 95
          > 3000 firing {alertname="Hot"} 95
        400000 u 1
          > 303000 resolved {alertname="Hot"} 95
        400001 t 95 @ 100001
        400002 t 95 @ 100003
          > 400002 firing {alertname="Hot"} 95
        400003
          > 400003 resolved {alertname="Hot"} 95
        "#,
    );
    let mut engine = Engine::new(rules(HOT));
    run(&mut engine, "1000 t 5\n1001 t 9 @ 999\n1002 t 9 @ 1000\n500000 t 5 @ 200000");
    assert_eq!(engine.figures().dropped.late, 2);
    // The batch of the last one knows which it was; those that others have sent are not its own.
    let refused = engine.take_refused();
    assert_eq!((refused.late(), refused.without_room()), (1, 0));
    assert_eq!(
        (refused.first_late[0].place, refused.first_late[0].refusal),
        (0, SampleRefusal::Late)
    );
    run(&mut engine, "500001 t 6 @ 500001");
    assert_eq!(engine.take_refused(), bellwire_rules::RefusedSamples::default());
}

#[test]
fn samples_ahead_of_the_time_wait_for_it() {
    check(
        HOT,
        r#"
        1000 t 7 @ 5000 | t 5 @ 7000 | t 95 @ 5000
        2000 t 3
        4999
        5000
          > 5000 firing {alertname="Hot"} 95
        6000 t 96
        9000
          > 7000 resolved {alertname="Hot"} 96
        "#,
    );
    // A series is remembered for a sample that is yet to come, however long it has been silent.
    check(
        HOT,
        r#"
        0 t 95 | t 96 @ 550000
          > 0 firing {alertname="Hot"} 95
        300000
          > 300000 resolved {alertname="Hot"} 95
        550000
          > 550000 firing {alertname="Hot"} 96
        850000
          > 850000 resolved {alertname="Hot"} 96
        "#,
    );
}

#[test]
fn alerts_take_labels_from_the_series_and_the_rule() {
    check(
        "  - alert: Hot\n    expr: t > 90\n    labels: {severity: 'high{{ $labels.s }}', s: , job: x}\n",
        r#"
        0 t{s="a",job="j",alertname="y"} 91
          > 0 firing {alertname="Hot",job="x",severity="higha"} 91
        "#,
    );
    // A value in a label makes another alert of every value.
    check(
        "  - {alert: Hot, expr: t > 90, labels: {value: '{{ $value }}'}}\n",
        r#"
        0 t 91
          > 0 firing {alertname="Hot",value="91"} 91
        1 t 91
        2 t 92
          > 2 resolved {alertname="Hot",value="91"} 91
          > 2 firing {alertname="Hot",value="92"} 92
        3 t 5
          > 3 resolved {alertname="Hot",value="92"} 92
        "#,
    );
}

#[test]
fn every_rule_is_evaluated_for_its_own_series() {
    check(
        "  - {alert: A, expr: 't{s=\"a\"} > 90'}\n  - {alert: B, expr: '{s=~\"a|b\"} > 95'}\n\
         \x20 - {alert: C, expr: 'u > 1'}\n",
        r#"
        0 t{s="a"} 96
          > 0 firing {alertname="A",s="a"} 96
          > 0 firing {alertname="B",s="a"} 96
        1 t{s="b"} 96
          > 1 firing {alertname="B",s="b"} 96
        2 u{s="c"} 96 | t{s="c"} 96
          > 2 firing {alertname="C",s="c"} 96
        3 t{s="a"} 94
          > 3 resolved {alertname="B",s="a"} 96
        "#,
    );
}

#[test]
fn of_two_series_with_the_same_alert_the_first_has_it() {
    let set = "  - {alert: Hot, expr: t > 90, labels: {s: ''}}\n";
    let mut engine = Engine::new(rules(set));
    let script = r#"
        0 t{s="a"} 91 | t{s="b"} 92
          > 0 firing {alertname="Hot"} 91
        1 t{s="b"} 5
        2 t{s="b"} 93
        3 t{s="a"} 5
          > 3 resolved {alertname="Hot"} 91
        4 t{s="b"} 94
          > 4 firing {alertname="Hot"} 94
        "#;
    assert_eq!(run(&mut engine, script), told(script));
    assert_eq!(engine.figures().alerts_duplicate, 2);
}

#[test]
fn annotations_and_values_follow_the_samples() {
    let set = "  - alert: Hot\n    expr: t > 90\n    for: 1s\n    \
               annotations: {summary: '{{ $labels.s }}: {{ $value }}', long: 'x{{ $labels.l }}'}\n";
    let mut engine = Engine::new(rules(set));
    let long = format!("0 t{{s=\"a\",l=\"{}\"}} 91", "é".repeat(2048));
    run(&mut engine, &long);
    let alert = engine.active().next().expect("an alert");
    // Cut at a whole character where it is too long.
    assert_eq!(alert.annotations.get("long").map(str::len), Some(4095));

    let mut engine = Engine::new(rules(set));
    run(&mut engine, "0 t{s=\"a\"} 91\n500 t{s=\"a\"} 1e6\n600 t{s=\"a\"} 3000000 @ 550");
    let alert = engine.active().next().expect("an alert");
    assert_eq!((alert.value, alert.sample_time.as_ms()), (3e6, 550));
    assert_eq!(alert.annotations.get("summary"), Some("a: 3e+06"));
    let changes = engine.advance(Timestamp::from_ms(1000));
    let [Change::Transition(fired)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(fired.alert.annotations.get("summary"), Some("a: 3e+06"));
    assert_eq!(fired.alert.fired_at, Some(Timestamp::from_ms(1000)));
    assert_eq!(fired.id(), format!("{}-0-alert.firing", fired.alert.fingerprint));
    run(&mut engine, "1500 t{s=\"a\"} 95\n1600 t{s=\"a\"} 5");
    let alert = engine.active().next().expect("a resolved alert");
    assert_eq!(alert.annotations.get("summary"), Some("a: 95"));
    assert_eq!((alert.value, alert.resolved_at), (95.0, Some(Timestamp::from_ms(1600))));
}

#[test]
fn values_are_asked_for_where_there_are_new_ones_alone() {
    let set = "  - {alert: Hot, expr: t > 90, annotations: {summary: '{{ $value }}'}}\n";
    let mut engine = Engine::new(rules(set));
    let mut asked = |script: &str| {
        run(&mut engine, script);
        let mut read: Vec<_> = engine
            .take_read()
            .iter()
            .map(|alert| {
                let text = |labels: &bellwire_model::Labels, name| {
                    labels.get(name).expect("is there").to_owned()
                };
                (text(&alert.labels, "s"), text(&alert.annotations, "summary"))
            })
            .collect();
        read.sort_unstable();
        read
    };
    let pair = |site: &str, value: &str| (site.to_owned(), value.to_owned());
    assert_eq!(asked("0 t{s=\"a\"} 91 | t{s=\"b\"} 92"), [pair("a", "91"), pair("b", "92")]);
    assert_eq!(asked("1000"), [], "the time alone is no reason");
    assert_eq!(asked("2000 t{s=\"a\"} 91 @ 0 | t{s=\"c\"} 1"), [], "the same sample again");
    assert_eq!(asked("3000 t{s=\"a\"} 95 | t{s=\"a\"} 96 @ 2500"), [pair("a", "95")]);
    assert_eq!(asked("4000 t{s=\"b\"} 5"), [pair("b", "92")], "it has resolved");
}

#[test]
fn alerts_come_back_after_a_restart() {
    let set = "  - {alert: Hot, expr: t > 90, for: 10s}\n  - {alert: Cold, expr: t < 0}\n";
    let before = r#"
        0 t{s="a"} 91 | t{s="b"} 91 | t{s="c"} 91
        10000 t{s="d"} 91 | t{s="e"} 91 | t{s="f"} -1
        11000 t{s="f"} 1
        "#;
    let mut engine = Engine::new(rules(set));
    run(&mut engine, before);
    let kept: Vec<Alert> = engine.active().map(Arc::unwrap_or_clone).collect();
    assert_eq!(kept.len(), 6);
    let mut engine = Engine::new(rules(set));
    engine.restore(Timestamp::from_ms(15_000), kept);
    let figures = engine.figures().alerts;
    assert_eq!((figures.pending, figures.firing, figures.resolved), (2, 3, 1));
    let script = r#"
        16000 t{s="a"} 92 | t{s="b"} 5 | t{s="e"} 5
          > 16000 resolved {alertname="Hot",s="b"} 91
          > 16000 inactive {alertname="Hot",s="e"} 91
          > removed
        17000 t{s="d"} 93 @ 16500
        20000
          > 20000 firing {alertname="Hot",s="d"} 93
        21000 t{s="a"} 5
          > 21000 resolved {alertname="Hot",s="a"} 92
        314999
        315000
          > 315000 resolved {alertname="Hot",s="c"} 91
        316500
          > 316500 resolved {alertname="Hot",s="d"} 93
        911000
          > removed
        "#;
    assert_eq!(run(&mut engine, script), told(script));
    assert_eq!(engine.figures().series, 0);
}

#[test]
fn a_restored_alert_keeps_its_times_and_its_id() {
    let mut engine = Engine::new(rules(HOT_FOR_10S));
    run(&mut engine, "0 t 91\n10000 t 91");
    let kept: Vec<Alert> = engine.active().map(Arc::unwrap_or_clone).collect();
    let mut engine = Engine::new(rules(HOT_FOR_10S));
    engine.restore(Timestamp::from_ms(20_000), kept);
    let changes = engine.apply(Timestamp::from_ms(21_000), &[sample("t stale", 21_000)]);
    let [Change::Transition(resolved)] = &changes[..] else { panic!("{changes:?}") };
    assert!(resolved.id().ends_with("-0-alert.resolved"), "{}", resolved.id());
    assert_eq!(resolved.alert.fired_at, Some(Timestamp::from_ms(10_000)));
}

#[test]
fn bounds_refuse_and_count() {
    let settings = Settings { series_max: 2, samples_ahead_max: 1, ..Settings::default() };
    let mut engine = Engine::with_settings(rules(HOT), settings);
    run(
        &mut engine,
        r#"0 t{s="a"} 1 | t{s="b"} 1 | t{s="c"} 1 | u 1 | t{s="a"} 2 @ 50 | t{s="b"} 2 @ 50"#,
    );
    let figures = engine.figures();
    assert_eq!((figures.rules, figures.series, figures.samples_ahead), (1, 2, 1));
    assert_eq!((figures.dropped.series, figures.dropped.ahead), (1, 1));
    assert_eq!(figures.refused_metric.as_deref(), Some("t"));
    let refused = engine.take_refused();
    assert_eq!((refused.without_room(), refused.late()), (2, 0));
    let first: Vec<_> = refused.first.iter().map(|it| (it.place, it.refusal)).collect();
    assert_eq!(first, [(2, SampleRefusal::Series), (5, SampleRefusal::Ahead)]);
    assert_eq!(refused.first[0].series.to_string(), r#"t{s="c"}"#);

    // What is far ahead leaves room for what is hardly so.
    let settings = Settings { samples_ahead_max: 3, ..Settings::default() };
    let mut engine = Engine::with_settings(rules(HOT), settings);
    run(&mut engine, "0 t 1 | t 2 @ 300000 | t 3 @ 400000 | t 4 @ 10001 | t 5 @ 10000 | t 6 @ 50");
    let refused: Vec<_> = engine.take_refused().first.iter().map(|it| it.place).collect();
    assert_eq!((engine.figures().samples_ahead, refused), (3, vec![3, 5]));

    let settings = Settings { alerts_max: 2, ..Settings::default() };
    let mut engine = Engine::with_settings(rules(HOT), settings);
    let script = r#"
        0 t{s="a"} 91 | t{s="b"} 91 | t{s="c"} 91
          > 0 firing {alertname="Hot",s="a"} 91
          > 0 firing {alertname="Hot",s="b"} 91
        1 t{s="b"} 5
          > 1 resolved {alertname="Hot",s="b"} 91
        2 t{s="c"} 92
          > removed
          > 2 firing {alertname="Hot",s="c"} 92
        "#;
    assert_eq!(run(&mut engine, script), told(script));
    assert_eq!(engine.figures().alerts_refused, 1);

    let set = "  - {alert: Hot, expr: t > 90, labels: {x: 'y{{ $labels.s }}'}}\n";
    let mut engine = Engine::new(rules(set));
    assert_eq!(
        run(&mut engine, &format!("0 t{{s=\"{}\"}} 95", "z".repeat(4096))).lines().count(),
        1
    );
    assert_eq!(engine.figures().alerts_invalid, 1);
}

#[test]
fn time_never_goes_back_and_silence_leaves_nothing_behind() {
    let mut engine = Engine::new(rules(HOT_FOR_10S));
    assert_eq!(engine.next_deadline(), None);
    let script = r#"
        5000 t 91
          > 5000 pending {alertname="Hot"} 91
        1000 t 92 @ 5001
        1000
        15000
          > 15000 firing {alertname="Hot"} 92
        305001
          > 305001 resolved {alertname="Hot"} 92
        1205001
          > removed
        "#;
    assert_eq!(run(&mut engine, script), told(script));
    assert_eq!((engine.figures().series, engine.next_deadline()), (0, None));
    assert_eq!(engine.active().count(), 0);
}
