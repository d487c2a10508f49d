//! How evaluations go, rule by rule, and who is named when bounds are met.

#[path = "engine/script.rs"]
mod script;

use bellwire_model::limits::REJECTIONS_REPORTED_MAX;
use bellwire_model::{AlertState, Sample, Timestamp};
use bellwire_rules::{
    Change, Engine, Health, RefusedSamples, Report, RuleFile, RuleMode, SampleRefusal, Settings,
    load_in,
};
use script::{rules, run, sample, told};

fn health(engine: &Engine) -> Health {
    let rules = engine.report(&mut Report::default(), |_| true).expect("there are few");
    rules.into_iter().next().expect("a rule").health
}

/// The last evaluation and the last error.
fn last(engine: &Engine) -> (Option<i64>, Option<Box<str>>) {
    let health = health(engine);
    (health.last_evaluation.map(Timestamp::as_ms), health.last_error)
}

#[test]
fn a_rule_is_well_until_a_part_of_it_fails_and_well_again_when_none_does() {
    let mut engine = Engine::new(rules("  - {alert: A, expr: t * on (s) u > 5}\n"));
    assert_eq!(health(&engine), Health::default());
    run(&mut engine, r#"0 t{s="a"} 1 | u{s="a"} 9 | t{s="b"} 1 | u{s="b"} 1"#);
    assert_eq!(last(&engine), (Some(0), None));
    run(&mut engine, r#"1000 u{s="a",x="y"} 9"#);
    let (at, error) = last(&engine);
    let error = error.expect("an error");
    assert!(at == Some(1000) && error.starts_with("found duplicate series"), "{error}");
    assert_eq!(engine.figures().failures.count, 1);
    // The other part does well, the rule as a whole does not.
    run(&mut engine, r#"2000 t{s="b"} 2"#);
    assert_eq!(last(&engine), (Some(2000), Some(error)));
    run(&mut engine, r#"3000 u{s="a",x="y"} stale"#);
    assert_eq!(last(&engine), (Some(3000), None));
    assert_eq!(health(&engine).failures, 1);
}

#[test]
fn what_a_rule_has_looked_at_and_when_its_last_sample_came_is_told() {
    let text = "  - {alert: A, expr: t > 5}\n  - {alert: B, expr: sum(t) > 50}\n  \
                - {alert: C, expr: misspelt > 5}\n";
    let mut engine = Engine::new(rules(text));
    let told = |engine: &Engine| {
        let rules = engine.report(&mut Report::default(), |_| true).expect("there are few");
        let told = |it: &bellwire_rules::RuleReport| {
            let at = it.health.last_sample.map(Timestamp::as_ms);
            (it.series, it.parts, it.health.looks, at)
        };
        rules.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(engine.figures().sampled_at, None);
    assert_eq!(engine.figures().rules_without_series, 3);
    run(&mut engine, r#"1000 t{s="a"} 1 | t{s="b"} 2"#);
    // Each series is a part of the first rule, and both are one of the second.
    let first = told(&engine);
    assert_eq!((first[0].0, first[0].1, first[0].3), (2, 2, Some(1000)));
    assert_eq!((first[1].0, first[1].1, first[1].3), (2, 1, Some(1000)));
    assert_eq!(first[2], (0, 0, 0, None));
    assert_eq!(first[0].2, 2);
    run(&mut engine, r#"2000 t{s="a"} 1 | other 3"#);
    let second = told(&engine);
    assert_eq!(second[0].2, 3);
    assert!(second[1].2 >= first[1].2 + 2, "{second:?}");
    run(&mut engine, "3000 other 3");
    let figures = engine.figures();
    assert_eq!(figures.sampled_at.map(Timestamp::as_ms), Some(2000), "no rule selects the other");
    assert_eq!((figures.rules_without_series, figures.rules_failing), (1, 0));
}

#[test]
fn a_rule_that_gives_more_than_its_group_allows_is_not_well() {
    for mode in RuleMode::ALL {
        let text = "groups:\n- name: g\n  limit: 1\n  interval: 1s\n  rules:\n  \
                    - {alert: A, expr: t > 5}\n";
        let set = load_in(&[RuleFile { name: "f", text }], mode).expect("rules");
        let mut engine = Engine::new(set);
        run(&mut engine, r#"1000 t{s="a"} 9 | t{s="b"} 9"#);
        let error = health(&engine).last_error.expect("an error");
        assert!(error.starts_with("exceeded limit"), "{error}");
        assert_eq!(engine.figures().rules_failing, 1);
        run(&mut engine, r#"2000 t{s="a"} 1"#);
        assert_eq!(health(&engine).last_error, None, "{mode:?}");
    }
}

#[test]
fn series_that_a_rules_labels_make_one_are_an_error_until_one_is_left() {
    for mode in RuleMode::ALL {
        let text = "groups:\n- name: g\n  interval: 1s\n  rules:\n  \
                    - {record: rec, expr: c, labels: {inst: fixed}}\n  \
                    - {alert: R, expr: rec}\n";
        let set = load_in(&[RuleFile { name: "f", text }], mode).expect("rules");
        let mut engine = Engine::new(set);
        let rec = "rec{inst=\"fixed\"}";
        let said = run(&mut engine, r#"1000 c{inst="a"} 1 | c{inst="b"} 2"#);
        let error = health(&engine).last_error.expect("an error");
        assert_eq!(
            &*error,
            "vector contains metrics with the same labelset after applying rule labels"
        );
        assert!(!said.contains(rec), "{said}");
        // They take turns.
        let said = run(&mut engine, r#"2000 c{inst="a"} stale"#);
        assert!(said.contains(&format!("{rec} 2")), "{mode:?}: {said}");
        assert_eq!(health(&engine).last_error, None, "{mode:?}");
        run(&mut engine, r#"3000 c{inst="a"} 3 | c{inst="b"} stale"#);
        let said = run(&mut engine, r#"5000 c{inst="a"} 4"#);
        assert!(said.contains(&format!("{rec} 4")), "{mode:?}: {said}");
    }
}

#[test]
fn who_meets_a_bound_is_named() {
    let settings =
        Settings { series_max: 2, alerts_max: 1, samples_ahead_max: 1, ..Settings::default() };
    let set = rules("  - {alert: Any, expr: t}\n  - {alert: Other, expr: u}\n");
    let mut engine = Engine::with_settings(set, settings);
    let script = "0 t 1 | u 1\n> 0 firing {alertname=\"Any\"} 1\n";
    assert_eq!(run(&mut engine, script), told(script));
    let figures = engine.figures();
    assert_eq!(figures.alerts_refused, 1);
    assert_eq!(figures.refused_rule.expect("a rule").alert, "Other".into());
    run(&mut engine, "1000 t 2 @ 2000 | u 3 @ 3000");
    let figures = engine.figures();
    assert_eq!((figures.dropped.ahead, figures.refused_metric.as_deref()), (1, Some("u")));
    run(&mut engine, r#"1001 t{s="a"} 2"#);
    let figures = engine.figures();
    assert_eq!((figures.dropped.series, figures.refused_metric.as_deref()), (1, Some("t")));
}

#[test]
fn a_flood_under_one_name_leaves_room_for_others_and_for_what_rules_record() {
    let settings = Settings { series_max: 90, series_reserved: 2, ..Settings::default() };
    let text = "  - {alert: Hot, expr: t > 90}\n  - {alert: Cold, expr: u < 0}\n  \
                - {record: rec, expr: u * 2}\n  - {alert: Any, expr: 'ALERTS{alertname=\"Cold\"}'}\n";
    let mut engine = Engine::with_settings(rules(text), settings);
    let flood = |name: &str, count: usize| -> Vec<Sample> {
        (0..count).map(|number| sample(&format!("{name}{{s=\"{number}\"}} 1"), 0)).collect()
    };
    let mut apply = |samples: &[Sample]| {
        let changes = engine.apply(Timestamp::from_ms(0), samples);
        let fired = changes.iter().filter(|change| {
            matches!(change, Change::Transition(told) if told.alert.state == AlertState::Firing)
        });
        (fired.count(), engine.take_refused(), engine.figures().series)
    };
    let (_, refused, series) = apply(&flood("t", 1_000));
    assert_eq!((refused.without_room(), series), (920, 80), "eight times what is left");
    assert_eq!(refused.first.len(), REJECTIONS_REPORTED_MAX);
    assert_eq!(
        (refused.first[0].place, refused.first[0].refusal),
        (80, SampleRefusal::SeriesOfMetric)
    );
    // `u` of it all, what is recorded of it, the alert, and the alert that looks at that one.
    let (fired, refused, series) = apply(&[sample("u -1", 0)]);
    assert_eq!((fired, refused.without_room(), series), (2, 0, 83));
    let (_, refused, series) = apply(&flood("u", 1_000));
    assert!(refused.without_room() > 900 && series <= 92, "{refused:?} {series}");
    // A series that is known is never refused.
    let (_, refused, _) = apply(&flood("t", 80));
    assert_eq!(refused, RefusedSamples::default());
}
