//! Rules in place of others: those that stay the same do not notice, the others end and begin.

#[path = "engine/script.rs"]
mod script;

use std::time::Duration;

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Change, Engine, Settings, State};
use proptest::prelude::*;
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

fn batches() -> impl Strategy<Value = Vec<(i64, Vec<Sample>)>> {
    let shift = prop_oneof![6 => Just(0_i64), 2 => -15..0_i64, 1 => 0..15_i64];
    let sample = (0..4_usize, (0..5_u8).prop_map(f64::from), shift);
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
fn replaced(batches: &[(i64, Vec<Sample>)], replacements: &Replacements) -> (Vec<String>, Logged) {
    let mut logged = Logged::new();
    let mut changes = logged.engine.apply(Timestamp::from_ms(0), &[]);
    logged.note();
    for (now, samples) in batches {
        let now = Timestamp::from_ms(*now);
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
fn beside(batches: &[(i64, Vec<Sample>)], changing: usize, replacements: &[i64]) -> Vec<String> {
    let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
    let mut engine = Engine::with_settings(set(0), settings);
    let mut changes = engine.apply(Timestamp::from_ms(0), &[]);
    let mut is_there = true;
    for (now, samples) in batches {
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
    texts
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
        let last = batches.last().map_or(0, |(now, _)| *now);
        let settings = Settings { lookback: LOOKBACK, ..Settings::default() };
        let state = std::mem::take(&mut logged.state);
        let now = Timestamp::from_ms(last);
        let (mut resumed, _) = Engine::resume(set(3), settings, state, now);
        let end = Timestamp::from_ms(END_MS);
        let expected = texts(&untouched.engine.advance(end));
        prop_assert_eq!(texts(&logged.engine.advance(end)), expected.clone());
        // A value that moves with the time is as it was when it was looked at last.
        let bare = |texts: &[String]| -> Vec<String> {
            texts.iter().map(|text| text.rsplit_once(' ').unwrap_or((text, "")).0.into()).collect()
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
