//! `promtool`'s own tests of rules, and ours in the same format.

use std::fs;
use std::path::{Path, PathBuf};

use bellwire_rules::ruletest::Verdict::{Failed, NotRun, Passed};
use bellwire_rules::ruletest::{Engines, Outcome, Report, TestFile, rule_files, run};
use bellwire_rules::{RuleFile, UnknownFields};

const UPSTREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/promtool");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules");

fn run_file(folder: &Path, name: &str, unknown_fields: UnknownFields) -> Report {
    let text = fs::read_to_string(folder.join(name)).expect(name);
    let file = TestFile { name, text: &text };
    let names = match rule_files(&file) {
        Ok(names) => names,
        Err(fault) => return Report { errors: vec![fault.to_string().into()], tests: vec![] },
    };
    let read = |name: &String| (name.clone(), fs::read_to_string(folder.join(name)).expect(name));
    let files: Vec<(String, String)> = names.iter().map(read).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| RuleFile { name, text }).collect();
    run(&file, &files, unknown_fields, Engines::Both)
}

#[test]
fn promtools_tests_have_the_outcomes_that_they_have_there() {
    let folder = Path::new(UPSTREAM);
    if !folder.is_dir() {
        #[expect(clippy::print_stderr, reason = "that the tests are absent is told")]
        {
            eprintln!("SKIPPED: there is no folder {UPSTREAM}");
        }
        return;
    }
    let passing = [
        "at-modifier-test.yml",
        "negative-offset-test.yml",
        "no-test-group-interval.yml",
        "start-time-test.yml",
    ];
    for name in passing {
        let report = run_file(folder, name, UnknownFields::Refused);
        assert!(report.is_success(), "{name}: {report:?}");
    }
    let failing = [
        "bad-input-series.yml",
        "bad-promql.yml",
        "bad-rules-error-test.yml",
        "bad-rules-syntax-test.yml",
        "failing.yml",
        "rules_run_no_fuzzy.yml",
        "rules_run.yml",
        "rules_run_fuzzy.yml",
        "rules_run_extrafields.yml",
    ];
    for name in failing {
        let report = run_file(folder, name, UnknownFields::Refused);
        assert!(!report.is_success(), "{name}");
        for test in report.tests.iter().filter(|_| name != "rules_run_no_fuzzy.yml") {
            // Their names say what becomes of them.
            assert!(!test.name.starts_with("correct") || test.failures.is_empty(), "{test:?}");
            assert!(!test.name.starts_with("wrong") || !test.failures.is_empty(), "{test:?}");
        }
    }
    let report = run_file(folder, "rules_run_extrafields.yml", UnknownFields::Ignored);
    assert!(report.is_success(), "{report:?}");
    let report = run_file(folder, "failing.yml", UnknownFields::Refused);
    let failures: Vec<usize> = report.tests.iter().map(|test| test.failures.len()).collect();
    assert_eq!(failures, [2, 2], "{report:?}");
}

#[test]
fn our_own_tests_pass() {
    let entries = fs::read_dir(OURS).expect("a folder of tests");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with("_test.yml"));
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let name = path.file_name().expect("a name").to_string_lossy();
        let report = run_file(Path::new(OURS), &name, UnknownFields::Refused);
        assert!(report.is_success(), "{name}: {report:#?}");
    }
}

#[test]
fn checks_of_native_histograms_are_unsupported_and_all_others_run() {
    let text = r#"
rule_files: []
tests:
  - input_series:
      - {series: h, values: "{{count:1 sum:2 buckets:[1]}}x2"}
      - {series: x, values: "1 2 3"}
    promql_expr_test:
      - {expr: h, eval_time: 1m, exp_samples: [{labels: h, histogram: "{{count:1}}"}]}
      - {expr: x, eval_time: 1m, exp_samples: [{labels: x, value: 2}]}
      - {expr: x, eval_time: 2m, exp_samples: [{labels: x, value: 9}]}
"#;
    let report = run(&TestFile { name: "t", text }, &[], UnknownFields::Refused, Engines::Both);
    let [outcome] = &report.tests[..] else { panic!("{report:?}") };
    assert_eq!((outcome.unsupported.len(), outcome.failures.len()), (1, 1), "{outcome:?}");
    assert!(outcome.unsupported[0].contains("native histograms"), "{outcome:?}");
}

/// Between two ticks a value is high, so that by ticks nothing fires.
#[test]
fn both_ways_of_evaluating_must_come_to_what_is_expected() {
    let rules = "groups: [{name: g, rules: [\
                 {alert: Hot, expr: t > 90, keep_firing_for: 2m}, {alert: Cold, expr: t < 1}]}]";
    let suite = |values: &str, hot: &str| {
        format!(
            "rule_files: [r.yml]\nevaluation_interval: 1m\ntests:\n- interval: 30s\n  \
             input_series: [{{series: 't{{s=\"a\"}}', values: '{values}'}}]\n  alert_rule_test:\n  \
             - {{eval_time: 1m, alertname: Hot, exp_alerts: [{hot}]}}\n  \
             - {{eval_time: 2m, alertname: Cold, exp_alerts: [{{exp_labels: {{s: a}}}}]}}\n"
        )
    };
    let outcome = |values: &str, hot: &str, engines: Engines| {
        let text = suite(values, hot);
        let rules = [RuleFile { name: "r.yml", text: rules }];
        let file = TestFile { name: "test.yml", text: &text };
        let mut report = run(&file, &rules, UnknownFields::Refused, engines);
        assert_eq!(report.errors, [] as [Box<str>; 0]);
        report.tests.remove(0)
    };
    let verdicts = |of: &Outcome| (of.by_ticks, of.as_samples_arrive);

    let same = outcome("5 5 5 5 0", "", Engines::Both);
    assert_eq!((verdicts(&same), same.differences.len()), ((Passed, Passed), 0), "{same:?}");
    let (missed, fires) = ("5 95 5 5 0", "{exp_labels: {s: a}}");
    let alert = "{alertname=\"Hot\",s=\"a\"}";
    let differs = format!("alertname: Hot, time: 60s: as samples arrive {alert}, by ticks nothing");
    for (expected, engines, verdict, failures) in [
        (
            "",
            Engines::Both,
            (Passed, Failed),
            vec![format!(
                "alertname: Hot, time: 60s, as samples arrive: expected nothing, got {alert}"
            )],
        ),
        (
            fires,
            Engines::Both,
            (Failed, Passed),
            vec![format!("alertname: Hot, time: 60s, by ticks: expected {alert}, got nothing")],
        ),
        ("", Engines::Ticks, (Passed, NotRun), vec![]),
        (fires, Engines::Stream, (NotRun, Passed), vec![]),
    ] {
        let told = outcome(missed, expected, engines);
        assert_eq!((verdicts(&told), told.differences.len()), (verdict, 1), "{told:?}");
        assert_eq!(*told.differences[0], *differs);
        let texts: Vec<&str> = told.failures.iter().map(|failure| &**failure).collect();
        assert_eq!(texts, failures, "{told:?}");
    }
    // What both say is said once.
    let wrong = outcome("5 5 5 5 0", fires, Engines::Both);
    assert_eq!(verdicts(&wrong), (Failed, Failed));
    let told = format!("alertname: Hot, time: 60s: expected {alert}, got nothing");
    assert_eq!(wrong.failures, [told.into()]);
}

#[test]
fn what_rules_record_is_compared_as_samples_arrive_too() {
    // The reader stands before the rule that it reads: by ticks it is a tick behind.
    let rules = "groups: [{name: g, rules: [\
                 {record: late, expr: now * 10}, {record: now, expr: sum(t)}]}]";
    let text = r#"
rule_files: [r.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series: [{series: t, values: "1 2 3"}]
    promql_expr_test:
      - {expr: now, eval_time: 2m, exp_samples: [{labels: now, value: 3}]}
      - {expr: late, eval_time: 2m, exp_samples: [{labels: late, value: 20}]}
      - {expr: t, eval_time: 2m, exp_samples: [{labels: t, value: 3}]}
"#;
    let rules = [RuleFile { name: "r.yml", text: rules }];
    let file = TestFile { name: "t", text };
    let report = run(&file, &rules, UnknownFields::Refused, Engines::Both);
    let told = "expr: \"late\", time: 120s, as samples arrive: expected late 20, got late 30";
    assert_eq!(report.tests[0].failures, [told.into()], "{report:?}");
}

#[test]
fn rules_that_a_server_refuses_are_tested_by_ticks_alone() {
    let text = "rule_files: [r.yml]\ntests:\n- input_series: [{series: t, values: 1x3}]\n  \
                alert_rule_test: [{eval_time: 1m, alertname: A, exp_alerts: [{}]}]\n";
    let rules = "groups: [{name: g, rules: [{alert: A, expr: t @ 60 > 0}]}]";
    let rules = [RuleFile { name: "r.yml", text: rules }];
    let file = TestFile { name: "t", text };
    let report = run(&file, &rules, UnknownFields::Refused, Engines::Both);
    let outcome = &report.tests[0];
    assert_eq!((outcome.by_ticks, outcome.as_samples_arrive), (Passed, NotRun));
    let warning = &outcome.warnings[0];
    assert!(
        warning.starts_with("it was not run as samples arrive: a server refuses r.yml:1:"),
        "{warning}"
    );
}
