//! `bellwire check`.

use std::path::Path;

use crate::harness::{Authority, Process, bellwire};

const GOOD: &str = "groups:
- name: boilers
  rules:
  - alert: BoilerHot
    expr: boiler_temperature_celsius > 90
  - alert: BoilerCold
    expr: boiler_temperature_celsius < 10
";

const WRONG: &str = "groups:
- name: boilers
  rules:
  - alert: BoilerHot
    expr: boiler_temperature_celsius >
  - alert: Fine
    expr: up == 0
    fro: 5m
";

fn check(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = bellwire(&["check"]);
    command.args(arguments).current_dir(folder);
    Process::spawn(command).finish()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

/// A rule's mode and name, of the report's JSON.
fn rule(rule: &serde_json::Value) -> String {
    let text = |name: &str| rule[name].as_str().expect("a text").to_owned();
    format!("{} {}", text("mode"), text("name"))
}

#[test]
fn rules_that_are_fine_are_listed() {
    let folder = folder(&[("good.yml", GOOD)]);
    let (code, output, errors) = check(folder.path(), &["*.yml"]);
    let lines: Vec<&str> = output.lines().collect();
    let [hot, cold, total] = lines[..] else { panic!("{output}") };
    let cost = "each series, 1 selector, the newest sample, ";
    assert!(hot.starts_with(&format!("stream  good.yml:boilers:BoilerHot: {cost}")), "{hot}");
    assert!(cold.starts_with(&format!("stream  good.yml:boilers:BoilerCold: {cost}")), "{cold}");
    assert_eq!((code, total), (Some(0), "2 rules, 0 errors"), "{errors}");
}

#[test]
fn each_rule_is_told_with_its_mode_its_cost_and_why() {
    let rules = "groups:
- name: g
  rules:
  - {record: r, expr: 'sum by (job) (rate(x[5m]))'}
  - {alert: A, expr: 'rate(x[5m]) / rate(y[5m]) > 1'}
  - {alert: B, expr: absent(x)}
  - {alert: C, expr: info(x)}
- name: ticking
  interval: 30s
  mode: tick
  rules:
  - {alert: D, expr: x > 1}
- name: other
  rules:
  - {record: s, expr: 'limitk(1, x)'}
";
    let folder = folder(&[("r.yml", rules)]);
    let (code, output, _) = check(folder.path(), &["r.yml", "--json"]);
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let [sum, ratio, absent, asked, limit, info] = &report["rules"].as_array().expect("rules")[..]
    else {
        panic!("{output}")
    };
    assert_eq!((&sum["mode"], &sum["reason"]), (&"stream".into(), &serde_json::Value::Null));
    assert_eq!(sum["cost"]["parts"], serde_json::json!({"kind": "by", "labels": ["job"]}));
    assert_eq!(sum["cost"]["windows_ms"], serde_json::json!([300_000]));
    assert_eq!(ratio["cost"]["parts"], serde_json::json!({"kind": "without", "labels": []}));
    assert_eq!(
        (&sum["cost"]["restless"], &ratio["cost"]["restless"]),
        (&false.into(), &true.into())
    );
    assert_eq!(absent["cost"]["parts"], serde_json::json!({"kind": "whole"}));
    assert_eq!(
        (&asked["mode"], &asked["reason"]),
        (&"tick".into(), &"its group has `mode: tick`".into())
    );
    assert_eq!(asked["cost"]["interval_ms"], 30_000);
    let reason = "15:24: `limitk(…)` is of tier 3: it is evaluated on a tick";
    assert_eq!((&limit["mode"], &limit["reason"]), (&"tick".into(), &reason.into()));
    assert_eq!((&info["mode"], &info["cost"]), (&"refused".into(), &serde_json::Value::Null));
    assert_eq!(info["reason"], "7:22: `info(…)` is not supported: it is of tier 3");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let folder = folder(&[("good.yml", GOOD), ("wrong.yml", WRONG)]);
    let (code, output, errors) = check(folder.path(), &["good.yml", "wrong.yml", "--json"]);
    assert_eq!(code, Some(1), "{errors}");
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let names: Vec<_> = report["rules"].as_array().expect("rules").iter().map(rule).collect();
    let expected = ["stream BoilerHot", "stream BoilerCold", "refused BoilerHot", "refused Fine"];
    assert_eq!(names, expected, "{output}");
    assert_eq!(report["rules"][3]["reason"], "8:5: unknown field `fro` in a rule");
    let found: Vec<_> = report["errors"].as_array().expect("errors").iter().collect();
    assert_eq!(found.len(), 2, "{output}");
    for (error, (line, column)) in found.iter().zip([(5, 39), (8, 5)]) {
        assert_eq!(error["file"], "wrong.yml");
        assert_eq!((error["line"].as_u64(), error["column"].as_u64()), (Some(line), Some(column)));
    }
}

#[test]
fn each_error_is_printed_once() {
    let folder = folder(&[("good.yml", GOOD), ("wrong.yml", WRONG)]);
    let (code, output, errors) = check(folder.path(), &["*.yml"]);
    assert_eq!((code, errors.as_str()), (Some(1), ""));
    for once in ["unknown field `fro`", "wrong.yml:5:39: ", "wrong.yml:8:5: ", "2 errors"] {
        assert_eq!(output.matches(once).count(), 1, "{once}\n{output}");
    }
    assert!(output.contains("refused wrong.yml:boilers:Fine\n"), "{output}");
}

#[test]
fn what_checks_nothing_is_an_error() {
    let folder = folder(&[("c.toml", "rules = [\"*.yml\"]\n"), ("empty.toml", "")]);
    let (code, output, errors) = check(folder.path(), &[]);
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert!(errors.contains("there is nothing to check: name rule files"), "{errors}");
    let (code, output, _) = check(folder.path(), &["*.yml"]);
    assert_eq!(code, Some(1));
    assert!(output.contains("error   rules: no rule file matches `*.yml`\n"), "{output}");
    // Where a configuration says so, a server would start.
    let (code, output, _) = check(folder.path(), &["--config", "c.toml"]);
    assert_eq!(code, Some(0));
    assert!(output.contains("warning no rule file matches `*.yml`\n"), "{output}");
    assert_eq!(check(folder.path(), &["--config", "empty.toml"]).0, Some(0));
}

#[test]
fn tests_of_rules_are_run() {
    let rules = "groups:\n- name: g\n  rules:\n  - {alert: Hot, expr: t > 90, for: 1m}\n";
    let test = |firing: &str| {
        format!(
            "rule_files: [hot.yml]\ntests:\n- name: boiler\n  input_series:\n  - series: t\n    \
             values: 91x3\n  alert_rule_test:\n  - {{eval_time: {firing}, alertname: Hot, \
             exp_alerts: [{{}}]}}\n"
        )
    };
    let (passing, failing) = (test("1m"), test("59s"));
    let folder =
        folder(&[("hot.yml", rules), ("good_test.yml", &passing), ("bad_test.yml", &failing)]);
    let (code, output, errors) = check(folder.path(), &["--test", "good_test.yml"]);
    assert_eq!(code, Some(0), "{output}{errors}");
    let (code, output, _) =
        check(folder.path(), &["--test", "good_test.yml", "bad_test.yml", "--json"]);
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!((&report["total"]["passed"], &report["total"]["failed"]), (&1.into(), &1.into()));
    assert_eq!(report["files"][1]["file"], "bad_test.yml");
    let failure = report["files"][1]["tests"][0]["failures"][0].as_str().expect("a failure");
    assert!(failure.starts_with("alertname: Hot, time: 59s"), "{failure}");
}

#[test]
fn tests_are_run_as_samples_arrive_too() {
    let rules =
        "groups:\n- name: g\n  rules:\n  - {alert: Hot, expr: t > 90, keep_firing_for: 2m}\n";
    let test = "rule_files: [hot.yml]\ntests:\n- name: boiler\n  interval: 30s\n  input_series:\n  \
                - {series: t, values: 5 95 5}\n  alert_rule_test:\n  \
                - {eval_time: 1m, alertname: Hot, exp_alerts: []}\n";
    let folder = folder(&[("hot.yml", rules), ("test.yml", test)]);
    let (code, output, _) = check(folder.path(), &["--test", "test.yml"]);
    assert_eq!(code, Some(1), "{output}");
    let failure = "failed  test.yml: boiler: alertname: Hot, time: 60s, as samples arrive: expected \
                   nothing, got {alertname=\"Hot\"}\n";
    assert!(output.contains(failure), "{output}");
    let engines = |arguments: &[&str]| {
        let (code, output, _) = check(folder.path(), &[&["--json"], arguments].concat());
        let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
        (code, report["files"][0]["tests"][0]["engines"].clone())
    };
    let told = |ticks: Option<&str>, stream: Option<&str>| serde_json::json!({"ticks": ticks, "stream": stream});
    let both = engines(&["--test", "test.yml"]);
    assert_eq!(both, (Some(1), told(Some("passed"), Some("failed"))));
    let ticks = engines(&["--engine", "ticks", "--test", "test.yml"]);
    assert_eq!(ticks, (Some(0), told(Some("passed"), None)));
    let stream = engines(&["--engine", "stream", "--test", "test.yml"]);
    assert_eq!(stream, (Some(1), told(None, Some("failed"))));
}

#[test]
fn tests_that_compare_nothing_are_told() {
    let rules = "groups:\n- name: g\n  rules:\n  - {alert: Hot, expr: t > 90}\n";
    let nothing = "rule_files: [hot.yml]\ntests:\n- name: boiler\n  input_series:\n  - {series: t, \
                   values: 91x3}\n";
    let misspelt = format!(
        "{nothing}  alert_rule_test:\n  - {{eval_time: 1m, alertname: Hott, exp_alerts: []}}\n  \
         promql_expr_test:\n  - {{expr: t, eval_time: 1m, exp_samples: [{{labels: t, value: 91}}]}}\n"
    );
    let files = [
        ("hot.yml", rules),
        ("nothing.yml", nothing),
        ("none.yml", "rule_files: [hot.yml]\ntests: []\n"),
        ("misspelt.yml", &misspelt),
    ];
    let folder = folder(&files);
    // It passes, as with promtool; that it says nothing is said.
    let (code, output, _) = check(folder.path(), &["--test", "nothing.yml"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("warning  nothing.yml: boiler: it compares nothing: "), "{output}");
    assert!(output.ends_with("total: 1 passed, 0 failed; NOTHING WAS COMPARED\n"), "{output}");
    let (code, output, _) = check(folder.path(), &["--test", "none.yml"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("warning  none.yml: it has no tests, and compares nothing\n"),
        "{output}"
    );
    let (code, output, _) = check(folder.path(), &["--test", "nothing.yml", "misspelt.yml"]);
    assert_eq!(code, Some(0), "{output}");
    let warning = "warning  misspelt.yml: boiler: alertname: Hott, time: 60s: no rule raises it";
    assert!(output.contains(warning), "{output}");
    let total = "total: 2 passed, 0 failed; 1 check of alerts and 1 expression compared\n";
    assert!(output.ends_with(total), "{output}");
    let (_, output, _) = check(folder.path(), &["--test", "nothing.yml", "misspelt.yml", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let compared = serde_json::json!({"alerts": 1, "expressions": 1});
    assert_eq!(report["total"]["compared"], compared);
    assert_eq!(report["files"][0]["compared"]["alerts"], 0);
    assert_eq!(report["files"][1]["tests"][0]["compared"], compared);
}

#[test]
fn scripts_of_promql_are_run() {
    let script = "load 1m\n  x 1 2 3\n\neval instant at 1m x\n  x 2\n\neval instant at 1m x * 2\n  \
                  {} 5\n\neval instant at 1m info(x)\n  x 2\n";
    let folder = folder(&[("x.test", script)]);
    let (code, output, _) = check(folder.path(), &["--promqltest", "x.test", "--json"]);
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let total = serde_json::json!({"passed": 1, "failed": 1, "unsupported": 1});
    assert_eq!(report["total"], total);
    assert_eq!(report["files"][0]["failures"][0]["reason"], "expected {} 5, got {} 4");
    let (_, output, _) = check(folder.path(), &["--promqltest", "x.test"]);
    assert!(output.ends_with("total: 1 passed, 1 failed, 1 unsupported\n"), "{output}");
}

#[test]
fn the_examples_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (code, output, errors) =
        check(&root, &["--config", "examples/bellwire.toml", "examples/rules/*.yml"]);
    assert_eq!(code, Some(0), "{output}{errors}");
}

#[test]
fn the_configuration_is_checked_with_the_rules_it_names() {
    let config = "rules = [\"good.yml\"]\n[[topic]]\nmatch = \"a//b\"\n";
    let folder =
        folder(&[("good.yml", GOOD), ("c.toml", config), ("d.toml", "rules = [\"*.yml\"]")]);
    let (code, output, _) = check(folder.path(), &["--config", "c.toml", "--json"]);
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(report["errors"][0]["file"], "c.toml");
    assert_eq!(report["errors"][0]["line"], 3);
    let (code, output, errors) = check(folder.path(), &["--config", "d.toml"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("2 rules, 0 errors"), "{output}");
    let ticking = "rules = [\"*.yml\"]\nrule_mode = \"tick\"\n";
    std::fs::write(folder.path().join("e.toml"), ticking).expect("written");
    let (_, output, _) = check(folder.path(), &["--config", "e.toml"]);
    assert!(output.starts_with("tick    good.yml:boilers:BoilerHot: whole each 1m, "), "{output}");
    assert!(output.contains(": `rule_mode` is `tick`\n"), "{output}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = folder(&[]);
    let (code, output, _) = check(folder.path(), &["nowhere.yml"]);
    assert_eq!(code, Some(1));
    assert!(output.contains("there is no rule file `nowhere.yml`"), "{output}");
}

#[test]
fn what_a_server_would_not_start_with_is_an_error() {
    let folder = folder(&[("file", "no directory"), ("good.yml", GOOD)]);
    let authority = Authority::new();
    let (certificate, key) = (authority.path("certificate.pem"), authority.path("key.pem"));
    let other = authority.pair();
    authority.write("other.pem", &other.key);
    let other_key = authority.path("other.pem");
    let cases = [
        (
            format!("tls_certificate = \"{certificate}\"\ntls_key = \"no.pem\""),
            "cannot read no.pem",
        ),
        (format!("tls_certificate = \"no.pem\"\ntls_key = \"{key}\""), "cannot read no.pem"),
        (format!("tls_certificate = \"{certificate}\""), "set `tls_key` too, or neither"),
        (
            format!("tls_certificate = \"{certificate}\"\ntls_key = \"{other_key}\""),
            "does not belong to the first certificate",
        ),
        ("data = \"file\"".to_owned(), "file cannot be a directory: file is none"),
        (
            "data = \"file/below/it\"".to_owned(),
            "file/below/it cannot be a directory: file is none",
        ),
        ("memory_bytes_max = \"10\"".to_owned(), "it is 64MiB at least"),
        ("rules = [\"nowhere.yml\"]".to_owned(), "there is no rule file `nowhere.yml`"),
        ("alertmanager_config = \"nowhere.yml\"".to_owned(), "cannot read nowhere.yml"),
    ];
    for (config, expected) in cases {
        std::fs::write(folder.path().join("c.toml"), &config).expect("written");
        let (code, output, errors) = check(folder.path(), &["--config", "c.toml"]);
        assert_eq!(code, Some(1), "{config}: {output}{errors}");
        assert!(output.contains(expected), "{config}: {output}");
        assert!(output.ends_with("0 rules, 1 error\n"), "{config}: {output}");
        // It is told of the same.
        let mut serve = bellwire(&["serve", "--listen", "127.0.0.1:0", "--config", "c.toml"]);
        serve.current_dir(folder.path());
        let (code, output, errors) = Process::spawn(serve).finish();
        assert_eq!((code, output.as_str()), (Some(1), ""), "{config}: {errors}");
    }
    let good =
        format!("data = \"new/data\"\ntls_certificate = \"{certificate}\"\ntls_key = \"{key}\"\n");
    std::fs::write(folder.path().join("c.toml"), good).expect("written");
    let (code, output, _) = check(folder.path(), &["--config", "c.toml"]);
    assert_eq!((code, output.as_str()), (Some(0), "0 rules, 0 errors\n"));
    assert!(!folder.path().join("new").exists(), "it looks and touches nothing");
}

/// Access for one who has a key.
fn access() -> String {
    let hash = "0".repeat(64);
    format!("[[access.key]]\nid = \"01234567\"\nhash = \"{hash}\"\nsubject = \"a\"\nroles = []\n")
}

#[test]
fn access_that_lets_in_nobody_is_told() {
    let nobody = "warning `[access]` lets in nobody: it has no `[[access.key]]`, no \
                  `[[access.issuer]]`, no `[[access.user]]`, no `[access.proxy]` and no \
                  `anonymous`\n";
    let folder = folder(&[("nobody.toml", "[access]\n"), ("one.toml", &access())]);
    for (file, warning) in [("nobody.toml", nobody), ("one.toml", "")] {
        let (code, output, _) = check(folder.path(), &["--config", file]);
        assert_eq!((code, output), (Some(0), format!("{warning}0 rules, 0 errors\n")));
    }
}

#[test]
fn a_secret_where_the_name_of_its_file_belongs_is_not_told() {
    const SECRET: &str = "c29tZWJvZHkgaGFzIHBhc3RlZCB0aGlz";
    for (setting, reason) in [
        ("secret_file", "the file cannot be read"),
        ("secret_variable", "there is no such variable"),
        ("public_key_file", "the file cannot be read"),
        ("secret", "unknown field `secret`"),
    ] {
        let config = format!(
            "[[access.issuer]]\nname = \"i\"\n[[access.issuer.key]]\n{setting} = \"{SECRET}\"\n"
        );
        let folder = folder(&[("c.toml", &config)]);
        let (code, output, errors) = check(folder.path(), &["--config", "c.toml"]);
        assert_eq!(code, Some(1), "{output}{errors}");
        let mut serve = bellwire(&["serve", "--listen", "127.0.0.1:0", "--config", "c.toml"]);
        serve.current_dir(folder.path());
        let (_, output_of_start, errors_of_start) = Process::spawn(serve).finish();
        let told = [output + &errors, output_of_start + &errors_of_start];
        for told in told {
            assert!(told.contains(reason) && !told.contains(SECRET), "{told}");
        }
    }
}

#[test]
fn alertmanagers_configuration_is_told_with_what_it_has() {
    let config = "route: {receiver: a, routes: [{receiver: b, matchers: [x=y]}]}\n\
        receivers: [{name: a}, {name: b, webhook_configs: [{url: 'http://localhost/'}]}]\n";
    let allowed = format!("webhook_networks_allowed = [\"loopback\"]\n{}", access());
    let folder = folder(&[("a.yml", config), ("c.toml", &allowed), ("none.toml", &access())]);
    let arguments = ["--alertmanager-config", "a.yml"];
    let fine = "fine    a.yml: 2 routes, 2 receivers, 1 webhook, 0 inhibition rules\n";
    let out_of_reach = "warning a.yml: receiver `b`: webhooks may not reach 127.0.0.1, a loopback \
                        address, unless `--webhook-networks-allowed 127.0.0.1` says so\n";
    let cases = [
        // Of a server that only this machine comes to.
        (&[][..], ""),
        (&["--config", "none.toml"], out_of_reach),
        (&["--config", "c.toml"], ""),
    ];
    for (more, warning) in cases {
        let (code, output, _) = check(folder.path(), &[&arguments[..], more].concat());
        assert_eq!((code, output), (Some(0), format!("{fine}{warning}0 rules, 0 errors\n")));
    }
    let (_, output, _) = check(folder.path(), &["--alertmanager-config", "a.yml", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(report["alertmanager_config"]["file"], "a.yml");
    assert_eq!(report["alertmanager_config"]["receivers"], 2);
}

#[test]
fn errors_are_told_in_the_order_of_the_file() {
    let wrong = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up >\n    fro: 5m\n  - {alert: B}\n  - fro: 1\n    expr: up >\n";
    let config = "retention_age = \"x\"\nlistn = \"y\"\njournal = \"z\"\n";
    let folder = folder(&[("wrong.yml", wrong), ("c.toml", config)]);
    for arguments in [&["wrong.yml"][..], &["--config", "c.toml"]] {
        let (_, output, _) = check(folder.path(), arguments);
        let errors = output.lines().filter_map(|line| line.strip_prefix("error   "));
        let places: Vec<Vec<u32>> = errors
            .map(|line| {
                line.split(':').skip(1).take(2).map(|n| n.parse().expect("a number")).collect()
            })
            .collect();
        assert!(places.len() >= 3 && places.is_sorted(), "{output}");
    }
}

#[test]
fn what_is_no_rule_file_is_told_with_what_to_do() {
    let folder = folder(&[("empty.yml", ""), ("comment.yml", "# to come\n"), ("good.yml", GOOD)]);
    std::fs::create_dir(folder.path().join("rules")).expect("made");
    std::fs::write(folder.path().join("utf-16.yml"), b"\xff\xfeg\0").expect("written");

    let (code, output, _) = check(folder.path(), &["empty.yml", "comment.yml", "good.yml"]);
    assert_eq!(code, Some(0), "{output}");
    let warnings: Vec<_> = output.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(warnings, ["warning comment.yml has no rules", "warning empty.yml has no rules"]);

    for (argument, expected) in [
        ("rules", "cannot read rules: it is a folder; `rules/*.yml` are the files in it: "),
        ("utf-16.yml", "cannot read utf-16.yml: rule files are UTF-8: "),
    ] {
        let (code, output, _) = check(folder.path(), &[argument]);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains(expected), "{output}");
    }
}
