//! Rule files from the field: every rule loads, or is refused at a place inside its file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bellwire_rules::{Reason, RuleFile, load};

const KUBE_PROMETHEUS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/rules/kube-prometheus");

#[test]
#[expect(clippy::print_stderr, reason = "what the corpus holds, and that it is absent, is told")]
fn every_rule_of_kube_prometheus_loads_or_is_refused_in_its_place() {
    let Ok(folder) = fs::read_dir(Path::new(KUBE_PROMETHEUS)) else {
        eprintln!("SKIPPED: there is no folder {KUBE_PROMETHEUS}");
        return;
    };
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let (mut files, mut rules, mut refused) = (0, 0, 0);
    for entry in folder {
        let path = entry.expect("a folder's entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml" && extension != "yml") {
            continue;
        }
        let name = path.to_string_lossy();
        let text = fs::read_to_string(&path).expect("a file");
        files += 1;
        rules += text.matches("\n      expr:").count() + text.matches("- expr:").count();
        let errors = load(&[RuleFile { name: &name, text: &text }]).err().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let mut faulty_rules = Vec::new();
        for error in &errors {
            assert_eq!(*error.file, *name);
            let line = lines[error.line - 1];
            assert!(error.column <= line.chars().count(), "{error} is outside its line");
            let rest: String = line.chars().skip(error.column - 1).collect();
            let stands_there = match &error.reason {
                Reason::Template(_) => "{{",
                Reason::Expression(reason) => {
                    // The reason quotes what stands at the place.
                    let text = reason.to_string();
                    let quoted = text.split('`').nth(1).unwrap_or_default().to_owned();
                    assert!(rest.starts_with(quoted.trim_end_matches("(…)")), "{error}: {rest}");
                    *reasons.entry(text).or_default() += 1;
                    ""
                }
                reason => {
                    *reasons.entry(reason.to_string()).or_default() += 1;
                    ""
                }
            };
            assert!(rest.starts_with(stands_there), "{error}: {rest}");
            faulty_rules.push(rule_of(&lines, error.line));
        }
        faulty_rules.sort_unstable();
        faulty_rules.dedup();
        refused += faulty_rules.len();
    }
    eprintln!("{files} files, {rules} rules: {} load, {refused} are refused", rules - refused);
    for (reason, count) in reasons {
        eprintln!("{count:4} × {reason}");
    }
    assert!(files > 0 && rules > refused, "the folder holds rules that load");
}

/// The line at which the rule around a line starts.
fn rule_of(lines: &[&str], line: usize) -> usize {
    let starts_rule =
        |line: &&str| line.starts_with("    - alert:") || line.starts_with("    - expr:");
    let before = lines[..line].iter().rposition(starts_rule);
    before.expect("an error stands in a rule")
}
