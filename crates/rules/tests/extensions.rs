//! What rule files may say beyond Prometheus: `mode`, `resolve_expr` and `on_data_lost`.

use bellwire_rules::{
    Cost, Mode, OnDataLost, Parts, RuleFile, RuleMode, RuleSet, TickReason, load, load_in,
};

/// Loads one file called `f`; the errors as text.
fn load_one(text: &str) -> Result<RuleSet, Vec<String>> {
    load(&[RuleFile { name: "f", text }])
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// A group with these lines about it and about its rules.
fn file(group: &str, rules: &str) -> String {
    format!("groups:\n- name: g\n{group}  rules:\n{rules}")
}

#[test]
fn what_is_beyond_streaming_is_evaluated_on_a_tick() {
    let table = [
        ("limitk(5, x) > 1", 1, "`limitk(…)`"),
        ("1 < mad_over_time(x[5m])", 5, "`mad_over_time(…)`"),
        ("sort_by_label(x, \"a\")", 1, "`sort_by_label(…)`"),
        ("rate(x{a=\"@\"}[5m] offset 1m @ end())", 29, "`@`"),
        ("x > 1 and y OFFSET -5m", 13, "an `offset` into the future"),
    ];
    for (expression, column, part) in table {
        for start in ["  - {alert: A, expr: ", "  - {alert: A, expr: x, resolve_expr: "] {
            let text = file("", &format!("{start}'{expression}'}}\n"));
            let set = load_one(&text).expect(expression);
            let Mode::Tick(reason) = &set.groups()[0].rules[0].mode else { panic!("{text}") };
            let place = format!("4:{}", start.len() + 1 + column);
            let expected = format!("{place}: {part} is of tier 3: it is evaluated on a tick");
            assert_eq!(reason.to_string(), expected, "{text}");
        }
    }
}

#[test]
fn a_group_or_the_setting_says_how_rules_are_evaluated() {
    let rule = "  - {alert: A, expr: x > 1}\n";
    let tick = |reason: TickReason| Mode::Tick(reason);
    let table = [
        ("", RuleMode::Stream, Mode::Stream),
        ("", RuleMode::Tick, tick(TickReason::Setting)),
        ("  mode: stream\n", RuleMode::Tick, Mode::Stream),
        ("  mode: tick\n", RuleMode::Stream, tick(TickReason::Group)),
        ("  mode: tick\n", RuleMode::Tick, tick(TickReason::Group)),
    ];
    for (group, setting, expected) in table {
        let text = file(group, rule);
        let set = load_in(&[RuleFile { name: "f", text: &text }], setting).expect("rules");
        assert_eq!(set.groups()[0].rules[0].mode, expected, "{text}");
    }
}

#[test]
fn a_group_says_what_becomes_of_lost_data_unless_a_rule_does() {
    let rules = "  - {alert: A, expr: x}\n  - {alert: B, expr: x, on_data_lost: resolve}\n  \
                 - {alert: C, expr: x, on_data_lost: keep}\n";
    let (keep, resolve) = (OnDataLost::Keep, OnDataLost::Resolve);
    let table = [
        ("", [resolve, resolve, keep]),
        ("  on_data_lost: keep\n", [keep, resolve, keep]),
        ("  on_data_lost: resolve\n", [resolve, resolve, keep]),
    ];
    for (group, expected) in table {
        let set = load_one(&file(group, rules)).expect("rules");
        let alerts = set.groups()[0].rules.iter().filter_map(|rule| rule.alert());
        let found: Vec<OnDataLost> = alerts.map(|alert| alert.on_data_lost).collect();
        assert_eq!(found, expected, "{group}");
    }
}

#[test]
fn the_end_of_alerts_is_a_part_of_what_a_rule_costs() {
    let rule = "  - {alert: A, expr: x > 90, resolve_expr: 'sum by (s) (rate(x[5m])) < 80'}\n";
    let set = load_one(&file("", rule)).expect("rules");
    let cost = Cost::of(&set.groups()[0].rules[0]);
    assert_eq!((cost.selectors, cost.parts), (2, Parts::By(["s".into()].into())));
    assert_eq!(cost.kept.as_secs(), 300);
}

#[test]
fn faults_are_told_where_they_stand() {
    let table = [
        ("  mode: fast\n", "", "f:3:9: `fast` is none of `stream` and `tick`"),
        ("  on_data_lost: drop\n", "", "f:3:17: `drop` is none of `keep` and `resolve`"),
        ("", ", on_data_lost: no", "f:4:39: `no` is none of `keep` and `resolve`"),
        ("", ", resolve_expr: x <", "f:4:42: the expression ends too early"),
        ("", ", resolve_expr: info(x)", "f:4:39: `info(…)` is not supported: it is of tier 3"),
        (
            "",
            ", resolve_expr: 'x[5m]'",
            "f:4:40: a rule's expression is a vector or a number, this one is a range of samples",
        ),
    ];
    for (group, fields, expected) in table {
        let text = file(group, &format!("  - {{alert: A, expr: x{fields}}}\n"));
        assert_eq!(load_one(&text).expect_err(&text), [expected], "{text}");
    }
    let recording = "  - {record: r, expr: x, resolve_expr: y, on_data_lost: keep}\n";
    let errors = load_one(&file("", recording)).expect_err("two errors");
    let expected = [
        "f:4:40: `resolve_expr` is for rules with `alert`",
        "f:4:57: `on_data_lost` is for rules with `alert`",
    ];
    assert_eq!(errors, expected);
}
