//! Rules in place of others: those that stay the same do not notice, the others end and begin.

#[path = "engine/arrivals.rs"]
mod arrivals;
#[path = "engine/script.rs"]
mod script;

use std::time::Duration;

use bellwire_model::{AlertState, Labels, Timestamp};
use bellwire_rules::{
    Change, Conventions, Engine, Plan, RuleFile, Settings, State, Value, load, query,
};
use proptest::prelude::*;

use arrivals::Batch;
use script::{describe, rules, run, told};

const HOT: &str = "  - {alert: Hot, expr: t > 90, for: 10s}\n";

/// Runs a script, replaces the rules at a time, and goes on with another script.
fn check(before: (&str, &str), at_ms: i64, after: (&str, &str), replaced: &str) {
    let mut engine = Engine::new(rules(before.0));
    assert_eq!(run(&mut engine, before.1), told(before.1), "{}", before.0);
    let changes = engine.replace(Timestamp::from_ms(at_ms), rules(after.0));
    let lines = changes.iter().map(|change| format!("> {}\n", describe(change)));
    assert_eq!(lines.collect::<String>(), told(replaced), "{} by {}", before.0, after.0);
    assert_eq!(run(&mut engine, after.1), told(after.1), "{}", after.0);
}

#[test]
fn what_stays_the_same_goes_on() {
    let before = r#"
        0 t{s="a"} 91
          > 0 pending {alertname="Hot",s="a"} 91
    "#;
    let after = r#"
        9999
        10000
          > 10000 firing {alertname="Hot",s="a"} 91
    "#;
    check((HOT, before), 4000, (HOT, after), "");
    // Wherever it stands among the others, and whichever come and go.
    let more = format!("  - {{alert: Cold, expr: t < 10}}\n{HOT}");
    check((HOT, before), 4000, (&more, after), "");
    check((&more, before), 4000, (HOT, after), "");
}

#[test]
fn rules_whose_file_is_elsewhere_go_on() {
    let set = |file: &str| {
        let text = format!(
            "groups:\n- name: g\n  rules:\n{HOT}- name: h\n  mode: tick\n  interval: 10s\n  \
             rules:\n  - {{alert: Ticked, expr: t > 90, for: 20s}}\n"
        );
        load(&[RuleFile { name: file, text: &text }]).expect("rules")
    };
    let mut engine = Engine::new(set("here.yml"));
    let before = r#"
        0 t{s="a"} 91
          > 0 pending {alertname="Ticked",s="a"} 91
          > 0 pending {alertname="Hot",s="a"} 91
    "#;
    assert_eq!(run(&mut engine, before), told(before));
    assert_eq!(engine.replace(Timestamp::from_ms(4_000), set("/mnt/there.yml")), []);
    let after = r#"
        10000
          > 10000 firing {alertname="Hot",s="a"} 91
        20000
          > 20000 firing {alertname="Ticked",s="a"} 91
    "#;
    assert_eq!(run(&mut engine, after), told(after));
    for alert in engine.active() {
        assert_eq!(alert.rule().map(|rule| &*rule.file), Some("/mnt/there.yml"), "{alert:?}");
    }
}

#[test]
fn alerts_of_rules_that_are_gone_resolve() {
    check(
        (
            "  - {alert: Hot, expr: t > 90}\n  - {alert: Warm, expr: t > 50, for: 1m}\n",
            r#"
            0 t{s="a"} 91
              > 0 firing {alertname="Hot",s="a"} 91
              > 0 pending {alertname="Warm",s="a"} 91
            "#,
        ),
        1000,
        (
            "  - {alert: Any, expr: absent(x)}\n",
            "
            2000 x 1
              > 2000 resolved {alertname=\"Any\"} 1
            ",
        ),
        r#"
        > 1000 firing {alertname="Any"} 1
        > 1000 resolved {alertname="Hot",s="a"} 91
        > 1000 inactive {alertname="Warm",s="a"} 91
        > removed
        "#,
    );
}

#[test]
fn an_alert_that_a_changed_rule_raises_too_keeps_its_times() {
    let before = r#"
        0 t{s="a"} 95 | t{s="b"} 91
          > 0 pending {alertname="Hot",s="a"} 95
          > 0 pending {alertname="Hot",s="b"} 91
    "#;
    check(
        (HOT, before),
        4000,
        (
            "  - {alert: Hot, expr: t > 93, for: 5s, annotations: {text: more}}\n",
            r#"
            4999
            5000
              > 5000 firing {alertname="Hot",s="a"} 95
            "#,
        ),
        r#"
        > 4000 inactive {alertname="Hot",s="b"} 91
        > removed
        "#,
    );
    // The new rule asks for less than has passed.
    check(
        (HOT, before),
        4000,
        ("  - {alert: Hot, expr: t > 90, for: 2s}\n", ""),
        r#"
        > 4000 firing {alertname="Hot",s="a"} 95
        > 4000 firing {alertname="Hot",s="b"} 91
        "#,
    );
}

#[test]
fn an_alert_that_a_changed_rule_does_not_raise_ends_whatever_becomes_of_lost_data() {
    let rule =
        |threshold: u8| format!("  - {{alert: Hot, expr: t > {threshold}, on_data_lost: keep}}\n");
    check(
        (&rule(90), "0 t 91\n> 0 firing {alertname=\"Hot\"} 91\n"),
        1000,
        (&rule(95), ""),
        "> 1000 resolved {alertname=\"Hot\"} 91\n",
    );
}

#[test]
fn annotations_of_a_changed_rule_are_those_of_the_new_one() {
    let rule =
        |text: &str| format!("  - {{alert: A, expr: t > 1, annotations: {{text: {text}}}}}\n");
    let mut engine = Engine::new(rules(&rule("old")));
    run(&mut engine, "0 t 2");
    assert_eq!(engine.replace(Timestamp::from_ms(1), rules(&rule("new"))), []);
    let alert = engine.active().next().expect("an alert");
    assert_eq!(alert.annotations.get("text"), Some("new"));
    assert_eq!(alert.active_at, Timestamp::from_ms(0));
}

#[test]
fn new_rules_see_the_samples_that_others_have_kept() {
    check(
        (
            "  - {record: r, expr: 'sum_over_time(t[1m])'}\n",
            "
            0 t 1
              > 0 recorded r 1
            10000 t 2
              > 10000 recorded r 3
            ",
        ),
        20_000,
        (
            "  - {record: r, expr: 'sum_over_time(t[1m])'}\n  \
             - {alert: Many, expr: 'count_over_time(t[30s]) > 1'}\n",
            "
            30000
              > 30000 resolved {alertname=\"Many\"} 2
            60000
              > 60000 recorded r 2
            ",
        ),
        "
        > 20000 firing {alertname=\"Many\"} 2
        ",
    );
}

#[test]
fn what_is_recorded_no_longer_ends_at_once_and_feeds_nobody() {
    check(
        (
            "  - {record: r, expr: t * 2}\n  - {record: q, expr: r + 1}\n",
            "
            0 t 1
              > 0 recorded r 2
              > 0 recorded q 3
            ",
        ),
        1000,
        (
            "  - {record: q, expr: r + 1}\n  - {alert: A, expr: r > 1}\n",
            "
            2000 r 3
              > 2000 recorded q 4
              > 2000 firing {alertname=\"A\"} 3
            ",
        ),
        "
        > 1000 ended q
        > 1000 ended r
        ",
    );
    // Another rule records the same series: it does not end.
    check(
        (
            "  - {record: r, expr: t * 2}\n  - {alert: A, expr: r > 1}\n",
            "
            0 t 1
              > 0 recorded r 2
              > 0 firing {alertname=\"A\"} 2
        ",
        ),
        1000,
        ("  - {record: r, expr: t * 3}\n  - {alert: A, expr: r > 1}\n", ""),
        "
        > 1000 recorded r 3
        ",
    );
}

#[test]
fn series_that_no_rule_selects_any_more_are_forgotten() {
    let mut engine = Engine::new(rules(HOT));
    run(&mut engine, "0 t{s=\"a\"} 1 | t{s=\"b\"} 1 @ 5000");
    assert_eq!(engine.figures().series, 2);
    engine.replace(Timestamp::from_ms(1000), rules("  - {alert: A, expr: x > 1}\n"));
    let figures = engine.figures();
    assert_eq!((figures.series, figures.samples_ahead), (0, 0));
    assert_eq!(run(&mut engine, "6000 t 99"), "6000 t 99\n");
    assert_eq!(engine.figures().series, 0);
}

/// Rules in tick mode, with what is said of them beside their conditions.
fn ticking(rules_text: &str) -> bellwire_rules::RuleSet {
    let text = format!("groups:\n- name: g\n  mode: tick\n  interval: 10s\n  rules:\n{rules_text}");
    load(&[RuleFile { name: "f", text: &text }]).expect("rules")
}

#[test]
fn an_edited_rule_in_tick_mode_goes_on_with_its_alerts_and_series() {
    let set = |text: &str| {
        ticking(&format!(
            "  - {{record: r, expr: t * 2, labels: {{text: same}}}}\n  \
             - {{alert: Hot, expr: t > 90, for: 10s, keep_firing_for: 20s, \
             annotations: {{text: {text}}}}}\n  \
             - {{alert: Twice, expr: r > 180, annotations: {{text: {text}}}}}\n  \
             - {{alert: Any, expr: 'count(ALERTS{{alertstate=\"firing\"}}) > 1', \
             annotations: {{text: {text}}}}}\n"
        ))
    };
    let before = r#"
        1000 t{s="a"} 95 | t{s="b"} 91
        10000
          > 10000 recorded r{s="a",text="same"} 190
          > 10000 recorded r{s="b",text="same"} 182
          > 10000 pending {alertname="Hot",s="a"} 95
          > 10000 pending {alertname="Hot",s="b"} 91
          > 10000 firing {alertname="Twice",s="a",text="same"} 190
          > 10000 firing {alertname="Twice",s="b",text="same"} 182
          > 10000 firing {alertname="Any"} 2
        15000 t{s="b"} 10
        20000
          > 20000 recorded r{s="b",text="same"} 20
          > 20000 firing {alertname="Hot",s="a"} 95
          > 20000 inactive {alertname="Hot",s="b"} 91
          > removed
          > 20000 resolved {alertname="Twice",s="b",text="same"} 182
    "#;
    let after = r#"
        31000 t{s="a"} 20
        40000
          > 40000 recorded r{s="a",text="same"} 40
          > 40000 resolved {alertname="Twice",s="a",text="same"} 190
        70000
          > 50000 resolved {alertname="Any"} 3
          > 60000 resolved {alertname="Hot",s="a"} 95
    "#;
    let mut calm = Engine::new(set("old"));
    let expected = (run(&mut calm, before), run(&mut calm, after));
    let mut engine = Engine::new(set("old"));
    assert_eq!(run(&mut engine, before), expected.0);
    let recorded = |engine: &Engine| elements(engine, "r", 22_000);
    let series = recorded(&engine);
    assert_eq!(series.len(), 2);
    for text in ["new", "newer"] {
        assert_eq!(engine.replace(Timestamp::from_ms(22_000), set(text)), []);
        assert_eq!(recorded(&engine), series);
    }
    let firing = engine.active().filter(|alert| alert.state == AlertState::Firing);
    assert!(firing.count() == 3);
    assert_eq!(run(&mut engine, after), expected.1);
    assert!(expected.1.contains("60000 resolved"), "{}", expected.1);
}

#[test]
fn a_rule_that_changes_its_mode_goes_on_with_its_alerts() {
    let streaming = |text: &str| {
        let text = format!("groups:\n- name: g\n  interval: 10s\n  rules:\n{text}");
        load(&[RuleFile { name: "f", text: &text }]).expect("rules")
    };
    let hot = "  - {alert: Hot, expr: t > 90, for: 10s}\n  - {record: r, expr: t}\n";
    let script = "1000 t 95\n20000";
    let mut engine = Engine::new(streaming(hot));
    run(&mut engine, script);
    assert_eq!(engine.replace(Timestamp::from_ms(21_000), ticking(hot)), []);
    let now = Timestamp::from_ms(32_000);
    assert_eq!(engine.advance(now), []);
    // The values of series are told anew.
    let again = engine.replace(now, streaming(hot));
    assert_eq!(texts(&again), ["32000 recorded r 95"]);
    assert_eq!(engine.replace(now, ticking(hot)), []);
    let end = "33000 t 10\n40000\n> 40000 resolved {alertname=\"Hot\"} 95\n> 40000 recorded r 10\n";
    assert_eq!(run(&mut engine, end), end);
}

#[test]
fn what_is_kept_firing_is_kept_though_its_rule_is_edited() {
    let rule = |text: &str| {
        format!(
            "  - {{alert: Hot, expr: t > 90, keep_firing_for: 1m, annotations: {{text: {text}}}}}\n"
        )
    };
    check(
        (&rule("old"), "0 t 95\n> 0 firing {alertname=\"Hot\"} 95\n10000 t 20\n"),
        20_000,
        (&rule("new"), "69999\n70000\n> 70000 resolved {alertname=\"Hot\"} 95\n"),
        "",
    );
}

fn elements(engine: &Engine, expression: &str, ms: i64) -> Vec<(Labels, u64)> {
    let plan = Plan::parse(expression).expect("an expression");
    let now = Timestamp::from_ms(ms);
    let answer = query(&plan, engine.storage(), &Conventions::default(), now).expect("a value");
    let Value::Vector(elements) = answer.value else { panic!("{expression} is no vector") };
    elements.into_iter().map(|element| (element.labels, element.value.to_bits())).collect()
}

const LOOKBACK: Duration = Duration::from_millis(20);
const END_MS: i64 = 120;

const EXPRESSIONS: [&str; 18] = [
    "a > 1",
    "a > b",
    "sum(a) > 3",
    "sum by (s) ({s=~\".+\",__name__=~\"a|b\"}) >= 2",
    "absent(a)",
    "a unless b",
    "max_over_time(a[7ms]) > 2",
    "rate(a[10ms]) > 151.3",
    "increase(a[10ms]) > increase(b[10ms]) + 0.13",
    "a > a offset 3ms",
    "topk(1, a)",
    "time() - timestamp(a) > 0.004",
    "max_over_time(a[6ms:2ms]) > 2",
    "twice > 4",
    "max(total) > 2",
    "twice unless b",
    "count(ALERTS{alertname=~\"A[0-5]\",alertstate=\"firing\"}) > 2",
    "ALERTS_FOR_STATE{alertname=\"A0\"} >= 0",
];

/// The alert of `time() - timestamp(a)`.
const MOVES_WITH_THE_TIME: &str = "alertname=\"A11\"";

/// Rules of every shape; the first of them is at a place among the others.
fn set(first_at: usize) -> bellwire_rules::RuleSet {
    set_without(first_at, None)
}

/// Without the alert of that number.
fn set_without(first_at: usize, missing: Option<usize>) -> bellwire_rules::RuleSet {
    let mut texts = vec![
        "  - {record: total, expr: sum by (s) (a)}\n".to_owned(),
        "  - {record: twice, expr: total * 2}\n".to_owned(),
    ];
    for (index, expression) in EXPRESSIONS.into_iter().enumerate() {
        if missing == Some(index) {
            continue;
        }
        let (hold, keep) = (index % 4 * 3, index % 3 * 4);
        texts.push(format!(
            "  - alert: A{index}\n    expr: |-\n      {expression}\n    for: {hold}ms\n    \
             keep_firing_for: {keep}ms\n"
        ));
    }
    let first = texts.remove(0);
    texts.insert(first_at.min(texts.len()), first);
    rules(&texts.concat())
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    arrivals::batches((0..5_u8).prop_map(f64::from), END_MS)
}

/// When the rules are replaced by the same ones, and where the first of them stands then.
type Replacements = Vec<(i64, usize)>;

/// An engine, and all that it has written down.
struct Logged {
    engine: Engine,
    state: State,
}

impl Logged {
    fn new() -> Self {
        let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
        let mut engine = Engine::with_settings(set(0), settings);
        engine.keep_log();
        Self { engine, state: State::default() }
    }

    fn note(&mut self) {
        self.state.read(&self.engine.take_log()).expect("a log");
    }
}

/// What an engine says of batches while its rules are replaced, and what is left of it then.
fn replaced(batches: &[Batch], replacements: &Replacements) -> (Vec<String>, Logged) {
    let mut logged = Logged::new();
    let mut changes = logged.engine.apply(Timestamp::from_ms(0), &[]);
    logged.note();
    for Batch { arrives_ms, samples } in batches {
        let now = Timestamp::from_ms(*arrives_ms);
        for (_, first_at) in replacements.iter().filter(|(at, _)| *at == now.as_ms()) {
            changes.extend(logged.engine.replace(now, set(*first_at)));
            logged.note();
        }
        changes.extend(logged.engine.apply(now, samples));
        logged.note();
    }
    (texts(&changes), logged)
}

fn texts(changes: &[Change]) -> Vec<String> {
    // Rules in another order say the same in another order.
    let mut texts: Vec<String> = changes.iter().map(describe).collect();
    texts.sort();
    texts
}

/// What an engine says of all alerts but one, whose rule comes and goes.
fn beside(batches: &[Batch], changing: usize, replacements: &[i64]) -> Vec<String> {
    let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
    let mut engine = Engine::with_settings(set(0), settings);
    let mut changes = engine.apply(Timestamp::from_ms(0), &[]);
    let mut is_there = true;
    for Batch { arrives_ms: now, samples } in batches {
        if replacements.contains(now) {
            is_there = !is_there;
            let missing = (!is_there).then_some(changing);
            // Just before the samples: to replace rules is a step of its own.
            let before = Timestamp::from_ms(*now - 1);
            changes.extend(engine.replace(before, set_without(0, missing)));
        }
        changes.extend(engine.apply(Timestamp::from_ms(*now), samples));
    }
    changes.extend(engine.advance(Timestamp::from_ms(END_MS)));
    let name = format!("alertname=\"A{changing}\"");
    let mut texts = texts(&changes);
    texts.retain(|text| text != "removed" && !text.contains(&name));
    // How long samples are kept depends on all rules, and a late one that is kept makes its series
    // be looked at: a value that moves with the time is as it was then.
    for text in texts.iter_mut().filter(|text| text.contains(MOVES_WITH_THE_TIME)) {
        *text = without_value(text).to_owned();
    }
    texts
}

/// What is told of an alert, but for its value, which stands last.
fn without_value(text: &str) -> &str {
    text.rsplit_once(' ').map_or(text, |(told, _)| told)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_same_rules_in_place_of_themselves_change_nothing(
        batches in batches(),
        replacements in prop::collection::vec((0..END_MS, 0..20_usize), 0..40),
    ) {
        let (expected, mut untouched) = replaced(&batches, &Vec::new());
        let (told, mut logged) = replaced(&batches, &replacements);
        prop_assert_eq!(told, expected);
        // What was written down meanwhile is enough to go on from.
        let last = batches.last().map_or(0, |batch| batch.arrives_ms);
        let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
        let state = std::mem::take(&mut logged.state);
        let now = Timestamp::from_ms(last);
        let (mut resumed, _) = Engine::resume(set(3), settings, state, now);
        let end = Timestamp::from_ms(END_MS);
        let expected = texts(&untouched.engine.advance(end));
        prop_assert_eq!(texts(&logged.engine.advance(end)), expected.clone());
        // A value that moves with the time is as it was when it was looked at last.
        let bare = |texts: &[String]| -> Vec<String> {
            texts.iter().map(|text| without_value(text).to_owned()).collect()
        };
        prop_assert_eq!(bare(&texts(&resumed.advance(end))), bare(&expected));
    }

    #[test]
    fn rules_that_stay_do_not_notice_that_others_come_and_go(
        batches in batches(),
        changing in 6..EXPRESSIONS.len() - 2,
        replacements in prop::collection::vec(0..END_MS, 0..40),
    ) {
        let expected = beside(&batches, changing, &[]);
        prop_assert_eq!(beside(&batches, changing, &replacements), expected);
    }
}
