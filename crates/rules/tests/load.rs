//! Rule files: what loads, and where and why the rest is refused.

use std::time::Duration;

use bellwire_rules::{RuleFile, RuleKind, RuleMode, RuleSet, inspect, load};

/// Loads one file called `f`; the errors as text.
fn load_one(text: &str) -> Result<RuleSet, Vec<String>> {
    load(&[RuleFile { name: "f", text }])
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// A file of one rule with this expression, which starts at line 4, column 13.
fn file_of(expression: &str) -> String {
    format!("groups:\n- name: g\n  rules:\n  - {{expr: {expression}, alert: A}}\n")
}

#[test]
fn a_prometheus_file_loads() {
    let text = r#"
groups:
  - name: boilers
    interval: 30s
    limit: 10
    query_offset: 1m
    labels: {team: heat, severity: info}
    rules:
      - alert: BoilerHot
        expr: |
          boiler_celsius{site!=""}
            > 90
        for: 1h30m
        keep_firing_for: 2m
        labels:
          severity: critical
          level: 1
        annotations:
          summary: "{{ $labels.site }} is at {{ $value }} °C"
      - {alert: Any, expr: boiler_celsius, annotations: , labels: ~}
      - record: site:boiler_celsius:avg
        expr: avg by (site) (boiler_celsius)
        labels: {unit: celsius}
  - name: empty
---
groups:
"#;
    let set = load_one(text).expect("rules");
    assert_eq!((set.len(), set.groups().len()), (3, 2));
    let group = &set.groups()[0];
    assert_eq!((&*group.file, &*group.name), ("f", "boilers"));
    let settings = group.settings;
    assert_eq!(settings.interval, Some(Duration::from_secs(30)));
    assert_eq!((settings.limit, settings.query_offset), (10, Duration::from_mins(1)));
    let rule = &group.rules[0];
    assert_eq!(&*rule.name.alert, "BoilerHot");
    let alert = rule.alert().expect("an alerting rule");
    assert_eq!(alert.hold, Duration::from_mins(90));
    assert_eq!(alert.keep_firing, Duration::from_mins(2));
    assert!(matches!(group.rules[2].kind, RuleKind::Record(_)));
    assert_eq!(&*rule.expression, "boiler_celsius{site!=\"\"}\n  > 90");
}

#[test]
fn a_kubernetes_object_loads() {
    let text = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: x}\n\
                spec:\n  groups:\n  - name: g\n    rules:\n    - alert: A\n      expr: up == 0\n";
    assert_eq!(load_one(text).expect("rules").len(), 1);
}

#[test]
fn aliases_load_and_files_add_up() {
    let one = "groups:\n- name: g\n  rules:\n  - &a {alert: A, expr: x > 1}\n  - *a\n";
    let two = "groups: []\n";
    let files = [("1", one), ("2", two), ("3", one)].map(|(name, text)| RuleFile { name, text });
    assert_eq!(load(&files).expect("rules").len(), 4);
    assert!(load_one("").expect("rules").is_empty());
    assert!(load_one("# nothing\n").expect("rules").is_empty());
}

/// The labels of the rules of a group, each as JSON would have it.
fn labels_of(text: &str) -> Vec<String> {
    let set = load_one(text).expect(text);
    let rules = set.groups().iter().flat_map(|group| &group.rules);
    rules.map(|rule| format!("{:?}", rule.labels())).collect()
}

#[test]
fn maps_merge_others_as_in_go() {
    let text = r#"
groups:
- name: g
  labels: &common {team: a, severity: warning}
  rules:
  - &base {alert: A, expr: x > 1, for: 5m, labels: &own {<<: *common, team: b, page: "yes"}}
  - <<: *base
    alert: B
    labels: {<<: *own, severity: b}
  - <<: [{alert: C, for: 1m}, *base]
    labels: {severity: own, <<: [*own, *common]}
"#;
    let set = load_one(text).expect("rules");
    let rules = &set.groups()[0].rules;
    let seconds = |nth: usize| rules[nth].alert().expect("an alert").hold.as_secs();
    assert_eq!([seconds(0), seconds(1), seconds(2)], [300, 300, 60]);
    let mut labels = rules.iter().map(|rule| {
        let mut labels = rule.labels();
        labels.sort_unstable();
        labels
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    });
    assert_eq!(labels.next().as_deref(), Some("page=yes severity=warning team=b"));
    assert_eq!(labels.next().as_deref(), Some("page=yes severity=b team=b"));
    assert_eq!(labels.next().as_deref(), Some("page=yes severity=own team=b"));
}

#[test]
fn what_is_null_is_empty_and_an_alert_has_its_rules_name() {
    let text = "groups:\n- name: g\n  labels: {owner: ~, zone: null}\n  rules:\n  \
                - {alert: A, expr: x, labels: {alertname: c, a: NULL, b: }}\n  \
                - {record: r, expr: x, labels: {alertname: c, a: 'null'}}\n";
    assert_eq!(
        labels_of(text),
        [
            r#"[("owner", ""), ("zone", ""), ("a", ""), ("b", "")]"#,
            r#"[("owner", ""), ("zone", ""), ("alertname", "c"), ("a", "null")]"#,
        ]
    );
}

#[test]
fn expressions_that_are_supported_load() {
    let table = [
        "up",
        "up == 0",
        "0 == up",
        "(up) != (0)",
        "((up > 1) < 5)",
        "up > -(2 + 3) * 4 / 5 % 6 ^ 7",
        "-1 < up",
        "up > +Inf",
        "up == NaN",
        "up > 5m",
        "up > 0x10",
        "up > 1e-3 # why",
        "sum > 1",
        "inf_total > inf",
        "{__name__=~\"a.*\"} > 1",
        "{\"dotted.name\", \"dotted.label\"=\"x\"} >= 1",
        "up{job=~\"a|b\",site!~'c.*',x!=`y`,} <= 1",
        "up{offset=\"1\"} > 1 atan2 2",
        "1",
        "time() - node_boot_time_seconds < 600",
        "rate(x[5m]) > 1",
        "sum by (job) (rate(x[5m] offset 1h)) / on (job) group_left (team) y > bool 0.5",
        "sum without (a) (x) unless ignoring (a) y or z and -w ^ +2 % 3 atan2 4",
        "topk(5, x) == quantile(0.9, x)",
        "count_values(\"version\", x) by (sum, on, bool) > 1",
        "histogram_quantile(0.99, sum(rate(x_bucket[5m])) by (le, \"dotted.name\",))",
        "label_replace(x, \"a\", \"$1\", 'b', `c`) != 0x1F * 1e-3 + Inf - NaN",
        "label_join(x, \"a\", \"-\", \"b\", \"c\")",
        "absent(x{a=\"b\"}) or absent_over_time(x[1h])",
        "x and on () (hour() > 8 < 18)",
        "predict_linear(x[1h], 4 * 3600) < 0",
        "max_over_time(rate(x[5m])[1h:1m] offset 1m) > 1",
        "a * on (x) group_left (b) c",
        "a * on (x) group_left () (b)",
        "a * on (x) group_left b",
        "sum / on (on) (avg)",
        "sum(sum) by (by)",
        "clamp(x, 0, 1) + clamp_min(x, 0) + round(x, 0.1) + scalar(y) * vector(1)",
    ];
    for expression in table {
        let text = file_of(&format!("'{}'", expression.replace('\'', "''")));
        assert!(load_one(&text).is_ok(), "{expression}: {:?}", load_one(&text).err());
    }
}

#[test]
fn expressions_are_refused_at_the_column_of_the_fault() {
    let table = [
        (
            "1 < histogram_fraction(0, 1, x)",
            5,
            "`histogram_fraction(…)` is not supported: it is of tier 3",
        ),
        ("x > (info(y))", 6, "`info(…)` is not supported: it is of tier 3"),
        ("x @ 5 > 1", 3, "`@` with a fixed time is not supported: it is of tier 3"),
        ("x + on (a) fill(0) y", 12, "`fill` is not supported: it is of tier 3"),
        (
            "{a=\"b\" or c=\"d\"} > 1",
            1,
            "`or` in braces is not supported: it is no part of Prometheus",
        ),
        (
            "label_replace(x, \"a\", \"b\", \"c\", \"(\")",
            1,
            "invalid regular expression in label_replace(): (",
        ),
        (
            "x or label_join(x, \"\", \"-\", \"c\")",
            6,
            "invalid destination label name in label_join(): ",
        ),
        ("x[5m]", 1, "a rule's expression is a vector or a number, this one is a range of samples"),
        (
            " x[5m:1m]",
            2,
            "a rule's expression is a vector or a number, this one is a range of samples",
        ),
        ("\"text\"", 1, "a rule's expression is a vector or a number, this one is a text"),
    ];
    check_columns(&table);
}

#[test]
fn what_is_no_promql_is_refused_at_the_column_of_the_fault() {
    let table = [
        ("\"\"", 1, "a rule's expression is a vector or a number, this one is a text"),
        ("x > > 1", 5, "unexpected `>`"),
        ("x > 1 5", 7, "unexpected `5`"),
        ("x >", 4, "the expression ends too early"),
        ("x{a=}", 5, "unexpected `}`"),
        ("x{a b}", 5, "unexpected `b`"),
        ("x y", 3, "unexpected `y`"),
        ("sum(x) by y", 11, "unexpected `y`"),
        ("x[5m", 2, "this `[` is not closed"),
        ("(x > 1", 1, "this `(` is not closed"),
        ("x > 1)", 6, "this `)` closes nothing"),
        ("x{a=\"1\")", 8, "this `)` does not close `{`"),
        ("x{a=\"b}", 5, "this text is not closed"),
        ("x > $y", 5, "unexpected character `$`"),
        ("x > 1 ? 2", 7, "unexpected character `?`"),
        ("x > foo(y)", 5, "unknown function with name 'foo'"),
        ("y > rate(x)", 5, "expected type matrix in call to function 'rate', got vector"),
        (
            "x{a=~\"b\",c=~\"*\"}",
            13,
            "error parsing regexp: missing argument to repetition operator: `*`",
        ),
        (
            "x{a=~\".*\"} > 1 > {a=~\".*\"}",
            1,
            "vector selector must contain at least one non-empty matcher",
        ),
        // What the parser would panic at.
        ("x offset 1e999", 10, "`1e999` is no duration"),
        ("x OFFSET - inf", 12, "`inf` is no duration"),
        ("x[5m:1e30]", 6, "`1e30` is no duration"),
        ("x[NaN]", 3, "`NaN` is no duration"),
        ("1 > 2", 1, "comparisons between scalars must use BOOL modifier"),
    ];
    check_columns(&table);
}

/// The column counts from the expression's first character, from 1.
fn check_columns(table: &[(&str, usize, &str)]) {
    for (expression, column, reason) in table {
        let text = file_of(&format!("'{expression}'"));
        let expected = format!("f:4:{}: {reason}", 12 + column);
        assert_eq!(load_one(&text).expect_err(expression), [expected], "{expression}");
    }
}

#[test]
fn places_are_exact_however_the_expression_is_written() {
    // In each the fault is the last `info(` of the file.
    let table = [
        "expr: 1 < info(x)",
        "expr: '1 < info(x{a=\"it''s\"})'",
        "expr: 'x{a=\"it''s\"} < 1 < info(x)'",
        "expr: \"1 < info(x{a=\\\"é\\\"})\"",
        "expr: \"x{a=\\\"é\\x41\\u0041\\\"}\\n< 1 \\t< info(x)\"",
        "expr: \"x{} <\\\n      1 < info(x)\"",
        "expr: \"x{a='ü'} <\n      1 < info(x)\"",
        "expr: x{a='ü'}\n      < 1 < info(x)",
        "expr: |\n      x{a='ü'} < 1\n        < info(x)",
        "expr: |2-\n      x < 1\n        < info(x)",
        "expr: | # why\n\n      # a comment of PromQL\n      1 < info(x)",
        "expr: >\n      x{a='ü'} < 1\n      < info(x)",
        "expr: >-\n\n      x < 1\n\n        < info(x)\n\n",
        "expr: |\r\n      x < 1\r\n        < info(x)\r\n",
        "for: &e info(x)\n    expr: *e",
        "annotations: {a: b}\n    expr: >-\n      1\n      <\n      info(x)",
    ];
    for fields in table {
        let text = format!("groups:\n- name: g\n  rules:\n  - alert: A\n    {fields}\n");
        let before = &text[..text.rfind("info(").expect("a fault")];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
        let errors = load_one(&text).expect_err(fields);
        let expected = format!("f:{line}:{column}: `info(…)` is not supported: it is of tier 3");
        assert!(errors.contains(&expected), "{text}: {errors:?}");
    }
}

/// A file with a fault of every kind.
const FAULTY: &str = "\
groups:
- name: g
  interval: 5
  limit: -3
  query_offset: soon
  extra: 1
  rules:
  - alert: A
    expr: info(x) > 1
    for: 5 minutes
    keep_firing_for: 1
  - record: a:b
    expr: x
    for: 5m
    annotations: {a: b}
  - alert: A
    record: b
    expr: x
  - expr: x
  - alert: A
  - alert: ''
    expr: x
    labels: {alertname: B, __name__: c, \"a\\nb\": d}
  - alert: B
    expr: x
    labels: {severity: '{{ $external }}', severity: b}
    annotations:
      summary: |-
        it is
        {{ $value | humanise }}
    fro: 5m
  - alert: [x]
    expr: {a: b}
    labels: [c]
  - text
- name: g
  rules: {}
- interval: 1m
- []
";

/// Its faults, in the order of the file.
const FAULTS: [&str; 27] = [
    "3:13: `5` is no duration; write it as `5m`, `1h30m` or `250ms`",
    "4:10: `-3` is no whole number",
    "5:17: `soon` is no duration; write it as `5m`, `1h30m` or `250ms`",
    "6:3: unknown field `extra` in a group",
    "9:11: `info(…)` is not supported: it is of tier 3",
    "10:10: `5 minutes` is no duration; write it as `5m`, `1h30m` or `250ms`",
    "11:22: `1` is no duration; write it as `5m`, `1h30m` or `250ms`",
    "14:10: `for` is for rules with `alert`",
    "15:18: `annotations` is for rules with `alert`",
    "17:13: a rule has `alert` or `record`, not both",
    "19:5: a rule has the field `alert` or `record`",
    "20:5: a rule has the field `expr`",
    "21:12: this name is empty",
    "23:28: the label `__name__` is the metric's name, which labels cannot set",
    "23:41: a label name has no control characters",
    "26:28: there is no variable `$external`",
    "26:43: `severity` stands twice",
    "30:21: there is no function `humanise`",
    "31:5: unknown field `fro` in a rule",
    "32:12: expected a text, found a list",
    "33:11: expected a text, found a map",
    "34:13: expected a map, found a list",
    "35:5: expected a rule, found a text",
    "36:9: the group `g` stands twice in this file",
    "37:10: expected a list, found a map",
    "38:3: a group has the field `name`",
    "39:3: expected a group, found a list",
];

#[test]
fn every_error_of_all_files_is_reported() {
    let second = "groups: [{name: g, rules: [{alert: A}]}]";
    let files = [RuleFile { name: "1", text: FAULTY }, RuleFile { name: "2", text: second }];
    let errors = load(&files).expect_err("errors");
    let mut found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found.pop().as_deref(), Some("2:1:28: a rule has the field `expr`"));
    found.sort_by_key(|error| {
        let mut parts = error.split(':').skip(1).map(|part| part.parse::<usize>().unwrap_or(0));
        (parts.next(), parts.next())
    });
    let expected: Vec<String> = FAULTS.iter().map(|error| format!("1:{error}")).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_broken_file_is_refused_where_it_breaks() {
    let table = [
        ("groups: [\n", "f:1:9: unclosed bracket"),
        ("groups: 'x", "f:1:9: unclosed quote"),
        ("groups: *a\n", "f:1:9: while parsing node, found unknown anchor"),
        ("groups:\n- &a [*a]\n", "f:2:7: this alias is inside itself"),
        ("rules: []\n", "f:1:1: unknown field `rules` in a rule file"),
        ("- a\n", "f:1:1: expected a rule file, found a list"),
        ("text\n", "f:1:1: expected a rule file, found a text"),
        ("groups: x\n", "f:1:9: expected a list, found a text"),
        ("kind: PrometheusRule\nmeta: x\n", "f:1:1: a rule file has the field `spec`"),
        ("groups: []\ngroups: []\n", "f:2:1: `groups` stands twice"),
        ("groups: []\n? [a]\n: b\n", "f:2:3: unknown field `a list` in a rule file"),
        ("groups: [{<<: x}]\n", "f:1:15: `<<` merges a map or a list of maps"),
        ("groups: [{<<: {}, <<: {}}]\n", "f:1:19: `<<` stands twice"),
        ("---\ngroups: []\n---\nother: 1\n", "f:4:1: unknown field `other` in a rule file"),
    ];
    for (text, expected) in table {
        let errors = load_one(text).expect_err(text);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(errors[0].starts_with(expected), "{text}: {errors:?}");
    }
}

#[test]
fn bounds_are_refused_with_their_numbers() {
    let long = " ".repeat(bellwire_model::limits::RULE_FILE_BYTES_MAX + 1);
    assert!(
        load_one(&long).expect_err("too long")[0].starts_with("f:1:1: a rule file has at most")
    );

    let rule = "  - &r {alert: A, expr: x > 1}\n";
    let many = "  - *r\n".repeat(bellwire_model::limits::RULES_MAX);
    let errors = load_one(&format!("groups:\n- name: g\n  rules:\n{rule}{many}"));
    let errors = errors.expect_err("too many");
    assert_eq!(errors, ["f:4:8: all files together have at most 50000 rules"]);

    // Deep expressions and deep YAML end in an error, not in a stack that overflows.
    for expression in ["1+".repeat(3_000) + "x", "-".repeat(3_000) + "x"] {
        let errors = load_one(&file_of(&expression)).expect_err("too deep");
        assert!(errors[0].contains("an expression has at most 1500 tokens"), "{errors:?}");
    }
    for expression in [
        "x+".repeat(740) + "x",
        "-".repeat(1_490) + "x",
        "abs(".repeat(300) + "x" + &")".repeat(300),
    ] {
        let errors = load_one(&file_of(&expression)).expect_err("too deep");
        assert!(errors[0].contains("an expression is at most 200 levels deep"), "{errors:?}");
    }
    let parentheses = "(".repeat(740) + "x" + &")".repeat(740);
    assert!(load_one(&file_of(&parentheses)).is_ok());
    assert!(load_one(&format!("groups: {}", "[".repeat(100_000))).is_err());
    assert!(load_one(&format!("groups: {}", "- ".repeat(100_000))).is_err());
}

#[test]
fn a_report_has_the_rules_that_are_fine_and_names_the_others() {
    let text = "groups:\n- name: g\n  rules:\n  - {alert: Fine, expr: up == 0}\n  \
                - {alert: Wrong, expr: rate(up) > 0, fro: 5m}\n  - {record: r, expr: up @ 5}\n  \
                - {expr: up}\n";
    let (set, errors) = inspect(&[RuleFile { name: "f", text }], RuleMode::Stream);
    assert_eq!(set.len(), 1);
    assert_eq!(&*set.groups()[0].rules[0].name.alert, "Fine");
    let name = |error: &bellwire_rules::LoadError| error.rule.as_ref().map(|r| r.alert.to_string());
    let names: Vec<_> = errors.iter().map(name).collect();
    let expected = [Some("Wrong"), Some("Wrong"), Some("r"), None];
    assert_eq!(names, expected.map(|name| name.map(ToOwned::to_owned)), "{errors:?}");
}
