//! `promtool`'s own tests of rules, and ours in the same format.

use std::fs;
use std::path::{Path, PathBuf};

use bellwire_rules::ruletest::{Report, TestFile, rule_files, run};
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
    run(&file, &files, unknown_fields)
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
    let report = run(&TestFile { name: "t", text }, &[], UnknownFields::Refused);
    let [outcome] = &report.tests[..] else { panic!("{report:?}") };
    assert_eq!((outcome.unsupported.len(), outcome.failures.len()), (1, 1), "{outcome:?}");
    assert!(outcome.unsupported[0].contains("native histograms"), "{outcome:?}");
}

/// Between two ticks a value is high, so that by ticks nothing fires.
#[test]
fn where_samples_as_they_arrive_say_something_else_is_told() {
    let rules = "groups: [{name: g, rules: [\
                 {alert: Hot, expr: t > 90, keep_firing_for: 2m}, {alert: Cold, expr: t < 1}]}]";
    let suite = |values: &str| {
        format!(
            "rule_files: [r.yml]\nevaluation_interval: 1m\ntests:\n- interval: 30s\n  \
             input_series: [{{series: 't{{s=\"a\"}}', values: '{values}'}}]\n  alert_rule_test:\n  \
             - {{eval_time: 1m, alertname: Hot, exp_alerts: []}}\n  \
             - {{eval_time: 2m, alertname: Cold, exp_alerts: [{{exp_labels: {{s: a}}}}]}}\n"
        )
    };
    let outcome = |values: &str| {
        let text = suite(values);
        let rules = [RuleFile { name: "r.yml", text: rules }];
        let file = TestFile { name: "test.yml", text: &text };
        let report = run(&file, &rules, UnknownFields::Refused);
        assert!(report.is_success(), "{report:?}");
        report.tests[0].differences.clone()
    };
    assert_eq!(outcome("5 5 5 5 0"), [] as [Box<str>; 0]);
    let told = "alertname: Hot, time: 60s: as samples arrive {alertname=\"Hot\",s=\"a\"}, by ticks \
                nothing";
    assert_eq!(outcome("5 95 5 5 0"), [told.into()]);
}
