//! Rules of all kinds: recorded ones, those with limits, and what moves with the time.

use bellwire_model::Timestamp;
use bellwire_rules::Engine;

use crate::script::{rules, run, sample, told};
use crate::{HOT, check};

#[test]
fn an_alert_keeps_firing_for_as_long_as_it_is_told_to() {
    check(
        "  - {alert: Hot, expr: t > 90, keep_firing_for: 10s}\n",
        r#"
        0 t 91
          > 0 firing {alertname="Hot"} 91
        1000 t 5
        10999
        11000
          > 11000 resolved {alertname="Hot"} 91
        20000 t 92
          > 20000 firing {alertname="Hot"} 92
        21000 t 5
        25000 t 93
        26000 t 5
        35999
        36000
          > 36000 resolved {alertname="Hot"} 93
        "#,
    );
    // The series may be gone meanwhile, and one that is pending is not kept.
    check(
        "  - {alert: Hot, expr: t > 90, for: 1s, keep_firing_for: 10m}\n",
        r#"
        0 t 91
          > 0 pending {alertname="Hot"} 91
        500 t 5
          > 500 inactive {alertname="Hot"} 91
          > removed
        600 t 91
          > 600 pending {alertname="Hot"} 91
        1600
          > 1600 firing {alertname="Hot"} 91
        300600
        900599
        900600
          > 900600 resolved {alertname="Hot"} 91
        "#,
    );
}

#[test]
fn what_a_rule_records_is_seen_by_others_at_the_same_instant() {
    check(
        "  - {alert: Hot, expr: 'site:t:max > 90'}\n  \
         - {record: 'all:t:max', expr: 'max(site:t:max)', labels: {kind: x}}\n  \
         - {record: 'site:t:max', expr: 'max by (site) (t)'}\n",
        r#"
        1000 t{site="a",i="1"} 50 | t{site="a",i="2"} 91 | t{site="b",i="1"} 1
          > 1000 recorded site:t:max{site="a"} 91
          > 1000 recorded site:t:max{site="b"} 1
          > 1000 recorded all:t:max{kind="x"} 91
          > 1000 firing {alertname="Hot",site="a"} 91
        2000 t{site="a",i="1"} 51
        3000 t{site="a",i="2"} 52
          > 3000 recorded site:t:max{site="a"} 52
          > 3000 resolved {alertname="Hot",site="a"} 91
          > 3000 recorded all:t:max{kind="x"} 52
        301000
          > 301000 ended site:t:max{site="b"}
        "#,
    );
}

#[test]
fn a_recorded_series_stays_while_its_rule_gives_it() {
    // Without a sample each interval it would leave the lookback.
    let mut engine = Engine::new(rules(
        "  - {record: r, expr: vector(1)}\n  - {alert: Gone, expr: absent(r)}\n",
    ));
    let script = r"
        0 u 1
          > 0 recorded r 1
        3000000
        ";
    assert_eq!(run(&mut engine, script), told(script));
    assert_eq!(engine.figures().series, 1);
}

#[test]
fn a_rule_that_gives_more_than_its_group_allows_gives_nothing() {
    let text = "groups:\n- name: g\n  limit: 1\n  rules:\n  - {alert: Hot, expr: t > 90}\n";
    let set = bellwire_rules::load(&[bellwire_rules::RuleFile { name: "f", text }]);
    let mut engine = Engine::new(set.expect("rules"));
    let script = r#"
        0 t{s="a"} 91
          > 0 firing {alertname="Hot",s="a"} 91
        1000 t{s="b"} 92
          > 1000 resolved {alertname="Hot",s="a"} 91
        2000 t{s="c"} 93
        3000 t{s="b"} 5
        4000 t{s="c"} 5
        5000
          > 4001 firing {alertname="Hot",s="a"} 91
        "#;
    assert_eq!(run(&mut engine, script), told(script));
    assert_eq!(engine.figures().failures.count, 1);
}

#[test]
fn an_expression_that_fails_leaves_its_alerts_as_they_are() {
    let mut engine = Engine::new(rules("  - {alert: More, expr: a > on (s) b}\n"));
    let script = r#"
        0 a{s="x"} 5 | b{s="x",i="1"} 3
          > 0 firing {alertname="More",s="x"} 5
        1000 b{s="x",i="2"} 9
        2000 b{s="x",i="2"} stale
        3000 a{s="x"} 1
          > 3000 resolved {alertname="More",s="x"} 5
        "#;
    assert_eq!(run(&mut engine, script), told(script));
    let failures = engine.figures().failures;
    assert_eq!(failures.count, 1);
    let (rule, reason) = failures.last.expect("a failure");
    assert!(&*rule.alert == "More" && reason.contains("many-to-many"), "{reason}");
}

#[test]
fn an_expression_is_evaluated_as_far_back_as_its_group_says() {
    let text = "groups:\n- name: g\n  query_offset: 1s\n  rules:\n  - {alert: Hot, expr: t > 90}\n";
    let set = bellwire_rules::load(&[bellwire_rules::RuleFile { name: "f", text }]);
    let mut engine = Engine::new(set.expect("rules"));
    let script = r#"
        1000 t 91
        1999
        2000
          > 2000 firing {alertname="Hot"} 91
        2500 t 5
        3500
          > 3500 resolved {alertname="Hot"} 91
        "#;
    assert_eq!(run(&mut engine, script), told(script));
}

#[test]
fn silence_leaves_nothing_behind_of_rules_of_all_kinds() {
    let set = "  - {alert: A, expr: 'rate(t_total[1m]) > 1'}\n  \
               - {alert: B, expr: 'sum by (s) (t_total) / on (s) u > 0', keep_firing_for: 7m}\n  \
               - {record: r, expr: 'max by (s) (u offset 2m)'}\n  - {alert: C, expr: r > 100}\n";
    let mut engine = Engine::new(rules(set));
    run(
        &mut engine,
        "0 t_total{s=\"a\"} 5 | u{s=\"a\"} 7\n30000 t_total{s=\"a\"} 500 | u{s=\"b\"} 1",
    );
    assert!(engine.figures().alerts.firing > 0);
    engine.advance(Timestamp::from_ms(3_600_000));
    let figures = engine.figures();
    assert_eq!((figures.series, figures.failures.count), (0, 0));
    assert_eq!((engine.next_deadline(), engine.active().count()), (None, 0));
}

#[test]
fn a_rate_that_moves_in_no_bend_is_not_looked_at_before_something_happens() {
    // A counter that began lately: its range reaches back to where it was zero.
    let mut engine = Engine::new(rules("  - {alert: Fast, expr: 'rate(t[5m]) > 1000'}\n"));
    for at in [0, 15_000, 30_000, 45_000] {
        let batch = [sample(&format!("t {}", 10 + at / 100), at)];
        engine.apply(Timestamp::from_ms(at), &batch);
        let next = engine.next_deadline().expect("the sample leaves the range");
        assert!(next.as_ms() >= at + 1_000, "at {at} the next look is at {next}");
    }
}

#[test]
fn what_begins_again_within_a_millisecond_has_a_time_of_its_own() {
    check(
        HOT,
        r#"
        1000 t 91
          > 1000 firing {alertname="Hot"} 91
        1000 t 5
          > 1000 resolved {alertname="Hot"} 91
        1000 t 92
          > 1001 firing {alertname="Hot"} 92
        1000 t 5
          > 1000 resolved {alertname="Hot"} 92
        "#,
    );
}
