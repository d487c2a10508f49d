//! What happened is recorded, and other rules are tried on it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Process, Server, bellwire, post};

const THEN: &str = "groups:
- name: g
  rules:
  - {alert: Hot, expr: t > 90, labels: {severity: page}}
  - {alert: Sum, expr: total > 150}
  - {record: total, expr: sum(t)}
";

/// What `bellwire` says with these arguments.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = bellwire(arguments);
    command.current_dir(folder);
    Process::spawn(command).finish()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

/// What is told in milliseconds is told of others than the sample before.
fn send(server: &Server, site: &str, value: f64) {
    std::thread::park_timeout(Duration::from_millis(2));
    let sample = json!({ "name": "t", "labels": { "site": site }, "value": value });
    assert_eq!(post(server.address(), "/v1/samples", sample.to_string()).status, 200);
}

/// Oslo gets hot over some samples, bergen does not; in between the server is killed.
fn incident(folder: &Path) -> Server {
    write(folder, "then.yml", THEN);
    let mut server =
        Server::start_with(&["--rules", folder.join("then.yml").to_str().expect("UTF-8")]);
    send(&server, "bergen", 10.0);
    for value in [50.0, 80.0, 91.0] {
        send(&server, "oslo", value);
    }
    server.kill();
    server.restart();
    // Series have other numbers now.
    send(&server, "rome", 5.0);
    for value in [95.0, 85.0, 40.0] {
        send(&server, "oslo", value);
    }
    send(&server, "bergen", 50.0);
    server
}

fn replayed(folder: &Path, rules: &str, more: &[&str]) -> (Option<i32>, Value) {
    write(folder, "now.yml", rules);
    let arguments = ["replay", "incident.record", "--rules", "now.yml", "--json"];
    let (code, output, errors) = run(folder, &[&arguments, more].concat());
    (code, serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{errors}")))
}

/// What differs, with the alert's name and site, and whether it fires earlier or later.
fn differing(report: &Value) -> Vec<String> {
    let alerts = report["alerts"].as_array().expect("alerts").iter();
    let text = |alert: &Value| {
        let (name, site) = (&alert["labels"]["alertname"], alert["labels"].get("site"));
        let site = site.and_then(Value::as_str).unwrap_or_default();
        let later = alert["fires_later_ms"].as_i64().map(i64::signum);
        let ends = alert["resolves_later_ms"].as_i64().map(i64::signum);
        format!("{} {} {site} {later:?} {ends:?}", alert["difference"], name)
    };
    alerts.map(|alert| text(alert).replace('"', "")).collect()
}

#[test]
fn an_incident_is_recorded_and_replayed_with_other_thresholds() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut server = incident(folder);
    let data = server.data().to_str().expect("UTF-8").to_owned();
    let (code, output, errors) = run(folder, &["record", "incident.record", "--data", &data]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.starts_with("incident.record: until 2"), "{output}");

    // The rules of then find what happened, to the millisecond.
    let (code, report) = replayed(folder, THEN, &["--exit-code"]);
    assert_eq!(differing(&report), ["same Hot oslo Some(0) Some(0)"], "{report}");
    assert_eq!((code, &report["warnings"], &report["gaps"]), (Some(0), &json!([]), &json!([])));
    assert_eq!((&report["summary"]["same"], &report["rules"]), (&1.into(), &3.into()));

    // 80 is hot enough for one, and 10 + 85 too much for another; 95 is not for the third.
    let others = "groups:\n- name: other\n  rules:\n  \
                  - {alert: Hot, expr: t > 75, labels: {severity: page}}\n  \
                  - {record: total, expr: sum(t)}\n  - {alert: Sum, expr: total > 100}\n  \
                  - {alert: Never, expr: other > 1}\n";
    let (code, report) = replayed(folder, others, &["--exit-code"]);
    let told = ["earlier Hot oslo Some(-1) Some(1)", "only_now Sum  None None"];
    assert_eq!((code, differing(&report)), (Some(1), told.map(str::to_owned).to_vec()), "{report}");
    let warning =
        "rule Never looks at `other`, of which nothing is recorded: no rule looked at it then";
    assert_eq!(report["warnings"], json!([warning]));
    assert_eq!(report["alerts"][0]["then"]["value"], "91");
    assert_eq!(report["alerts"][0]["now"]["value"], "80");
    let higher = "groups:\n- name: other\n  rules:\n  - {alert: Hot, expr: t > 99}\n";
    let (code, report) = replayed(folder, higher, &[]);
    assert_eq!((code, differing(&report)), (Some(0), vec!["only_then Hot oslo None None".into()]));

    // What was recorded then is there for rules that do not record it themselves.
    let sum = "groups:\n- name: other\n  rules:\n  - {alert: Sum, expr: total > 100}\n";
    let (_, report) = replayed(folder, sum, &[]);
    assert!(differing(&report).contains(&"only_now Sum  None None".to_owned()), "{report}");

    // People get a table.
    write(folder, "now.yml", higher);
    let (code, output, _) = run(folder, &["replay", "incident.record", "--rules", "now.yml"]);
    assert_eq!(code, Some(0));
    let row = "only then   Hot{severity=\"page\",site=\"oslo\"}  2";
    assert!(output.contains(row) && output.contains(", 91  -\n"), "{output}");
    let total = "1 only then, 0 only now, 0 earlier, 0 later, 0 shorter, 0 longer, 0 of another value, \
                 0 the same\n";
    assert!(output.ends_with(total), "{output}");
    // A server that has ended leaves as much.
    server.end();
    let (code, _, errors) =
        run(folder, &["record", "ended.record", "--data", &data, "--from", "1h"]);
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let server = incident(folder);
    let data = server.data().to_str().expect("UTF-8").to_owned();
    let record = |name: &str, more: &[&str]| {
        run(folder, &[&["record", name, "--data", &data], more].concat())
    };
    assert_eq!(record("whole.record", &[]).0, Some(0));
    for (name, more, expected) in [
        ("whole.record", &[][..], "cannot make whole.record"),
        ("late.record", &["--to", "2020-01-01T00:00:00Z"], "what is recorded begins at "),
        ("odd.record", &["--from", "1h", "--to", "2h"], "`--from` is later than `--to`"),
    ] {
        let (code, _, errors) = record(name, more);
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(expected), "{errors}");
        assert_eq!(folder.join(name).exists(), name == "whole.record");
    }
    let (code, _, errors) = run(folder, &["record", "no.record", "--data", "nowhere"]);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("nothing was recorded of nowhere: nothing is recorded there"),
        "{errors}"
    );

    let whole = std::fs::read(folder.join("whole.record")).expect("a record");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(folder.join("damaged.record"), &damaged).expect("written");
    std::fs::write(folder.join("cut.record"), &whole[..whole.len() - 3]).expect("written");
    write(folder, "rules.record", THEN);
    write(folder, "empty.record", "");
    write(folder, "wrong.yml", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: t >}\n");
    for (file, rules, expected) in [
        ("damaged.record", "then.yml", "damaged.record: it is "),
        ("cut.record", "then.yml", "cut.record: it is cut at byte "),
        ("rules.record", "then.yml", "rules.record: it is no record of `bellwire record`"),
        ("empty.record", "then.yml", "empty.record: it is no record of `bellwire record`"),
        ("missing.record", "then.yml", "cannot read missing.record"),
        (".", "then.yml", ". is no file: "),
        ("/dev/stdin", "then.yml", "/dev/stdin is no file: "),
        ("whole.record", "wrong.yml", "wrong.yml:4:"),
        ("whole.record", "none.yml", "there is no rule file `none.yml`"),
    ] {
        let (code, output, errors) = run(folder, &["replay", file, "--rules", rules]);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{file}");
        assert!(errors.contains(expected), "{file}: {errors}");
    }
    let future =
        ["replay", "whole.record", "--rules", "then.yml", "--from", "2100-01-01T00:00:00Z"];
    let (code, _, errors) = run(folder, &future);
    assert_eq!(code, Some(1));
    assert!(errors.contains("whole.record: it ends at 2"), "{errors}");
    // Used wrongly.
    assert_eq!(run(folder, &["replay", "whole.record"]).0, Some(2));
    assert_eq!(
        run(folder, &["replay", "whole.record", "--rules", "then.yml", "--to", "soon"]).0,
        Some(2)
    );
}

#[test]
fn a_test_is_made_of_an_incident() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let server = incident(folder);
    // Nothing changes for a while.
    std::thread::park_timeout(Duration::from_millis(60));
    send(&server, "bergen", 50.0);
    let data = server.data().to_str().expect("UTF-8").to_owned();
    assert_eq!(run(folder, &["record", "incident.record", "--data", &data]).0, Some(0));
    std::fs::create_dir(folder.join("tests")).expect("made");
    let others = "groups:\n- name: other\n  rules:\n  - {record: total, expr: sum(t)}\n  \
                  - {alert: Hot, expr: t > 75, labels: {severity: page}, annotations: {at: '{{ $value }}'}}\n  \
                  - {alert: Sum, expr: total > 1000}\n";
    let flags = ["--test", "tests/now_test.yml", "--test-interval", "5ms"];
    let (code, report) = replayed(folder, others, &flags);
    assert_eq!(code, Some(0), "{report}");
    let written = &report["test"];
    assert_eq!(
        (&written["file"], &written["interval_ms"]),
        (&"tests/now_test.yml".into(), &5.into())
    );
    assert!(written["checks"].as_u64().expect("a count") >= 2, "{report}");
    let text = std::fs::read_to_string(folder.join("tests/now_test.yml")).expect("a test");
    assert!(text.contains("rule_files:\n  - \"../now.yml\"\n"), "{text}");
    assert!(text.contains("- exp_labels: {\"severity\": \"page\", \"site\": \"oslo\"}"), "{text}");
    assert!(!text.contains("series: \"total"), "{text}");

    let (code, output, _) = run(folder, &["check", "--test", "tests/now_test.yml"]);
    assert_eq!(code, Some(0), "{text}{output}");
    // It says something: other rules fail it.
    write(folder, "now.yml", &others.replace("> 75", "> 99"));
    let (code, output, _) = run(folder, &["check", "--test", "tests/now_test.yml"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("alertname: Hot"), "{output}");

    // A file that is there stays, and ticks that are too far apart see nothing.
    let replay = ["replay", "incident.record", "--rules", "now.yml", "--test"];
    let (code, _, errors) = run(folder, &[&replay[..], &["tests/now_test.yml"]].concat());
    assert_eq!(code, Some(1));
    assert!(errors.contains("tests/now_test.yml"), "{errors}");
    let (code, _, errors) =
        run(folder, &[&replay[..], &["none.yml", "--test-interval", "1h"]].concat());
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("no test was written to none.yml: there is nothing to compare"),
        "{errors}"
    );
    assert!(!folder.join("none.yml").exists());
}
