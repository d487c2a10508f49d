//! `bellwire check --test`: the test files of `promtool test rules`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwire_rules::UnknownFields;
use bellwire_rules::ruletest::{self, Engines, Report, TestFile, Verdict, rule_files, run};
use bellwire_server::{RuleFileText, RuleFiles, read_rule_files};
use serde::Serialize;

use crate::output::{self, counted};

/// What became of all test files; its JSON is for programs to rely on.
#[derive(Debug, Default, Serialize)]
pub(super) struct TestsReport {
    files: Vec<FileReport>,
    total: Total,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Total {
    #[serde(flatten)]
    counts: Counts,
    compared: Compared,
}

#[derive(Debug, Serialize)]
struct FileReport {
    file: String,
    #[serde(flatten)]
    counts: Counts,
    compared: Compared,
    /// Why nothing was run.
    errors: Vec<String>,
    tests: Vec<TestReport>,
}

#[derive(Debug, Serialize)]
struct TestReport {
    name: String,
    failures: Vec<String>,
    /// How it went in each way of evaluating.
    engines: EnginesReport,
    unsupported: Vec<String>,
    /// Where other alerts fire as samples arrive than by ticks.
    differences: Vec<String>,
    compared: Compared,
    /// Where it may say less than it seems to; the test does not fail for that either.
    warnings: Vec<String>,
}

/// `passed` or `failed`; `null` where nothing was evaluated in this way.
#[derive(Clone, Copy, Debug, Serialize)]
struct EnginesReport {
    ticks: Option<&'static str>,
    stream: Option<&'static str>,
}

/// How much was compared with what it must be.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Compared {
    alerts: usize,
    expressions: usize,
}

/// Tests by outcome. A file that cannot be run counts as one that failed; a test that passes but
/// for checks of what is not evaluated is unsupported.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

impl TestsReport {
    /// Runs test files one after the other.
    pub(super) fn of(
        paths: &[PathBuf],
        unknown_fields: UnknownFields,
        engines: Engines,
    ) -> Result<Self> {
        let mut report = Self::default();
        for path in paths {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            report.add(path, run_file(path, &text, unknown_fields, engines));
        }
        Ok(report)
    }

    fn add(&mut self, path: &Path, report: Report) {
        let mut counts =
            Counts { failed: usize::from(!report.errors.is_empty()), ..Counts::default() };
        for test in &report.tests {
            match (test.failures.is_empty(), test.unsupported.is_empty()) {
                (true, true) => counts.passed += 1,
                (true, false) => counts.unsupported += 1,
                (false, _) => counts.failed += 1,
            }
        }
        let mut compared = Compared::default();
        for test in &report.tests {
            compared.add(Compared::of(test.compared));
        }
        self.total.counts.add(counts);
        self.total.compared.add(compared);
        let texts = |texts: Vec<Box<str>>| texts.into_iter().map(String::from).collect();
        let told = report.tests.into_iter().map(|test| TestReport {
            name: test.name.into(),
            failures: texts(test.failures),
            engines: EnginesReport {
                ticks: word(test.by_ticks),
                stream: word(test.as_samples_arrive),
            },
            unsupported: texts(test.unsupported),
            differences: texts(test.differences),
            compared: Compared::of(test.compared),
            warnings: texts(test.warnings),
        });
        self.files.push(FileReport {
            file: path.display().to_string(),
            counts,
            compared,
            tests: told.collect(),
            errors: texts(report.errors),
        });
    }

    pub(super) fn failed(&self) -> usize {
        self.total.counts.failed
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are JSON")
    }

    /// What failed and why, a line for each file with what it has compared, and one for all.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for FileReport { file, counts, compared, errors, tests } in &self.files {
            for error in errors {
                let _ = writeln!(text, "failed  {error}");
            }
            if errors.is_empty() && tests.is_empty() {
                let _ = writeln!(text, "warning  {file}: it has no tests, and compares nothing");
            }
            for TestReport { name, failures, unsupported, differences, warnings, .. } in tests {
                for failure in failures {
                    let _ = writeln!(text, "failed  {file}: {name}: {failure}");
                }
                for check in unsupported {
                    let _ = writeln!(text, "unsupported  {file}: {name}: {check}");
                }
                for difference in differences {
                    let _ = writeln!(text, "differs  {file}: {name}: {difference}");
                }
                for warning in warnings {
                    let _ = writeln!(text, "warning  {file}: {name}: {warning}");
                }
            }
            let _ = writeln!(text, "{file}: {}; {}", counts.text(), compared.text());
        }
        let Total { counts, compared } = self.total;
        text + "total: " + &counts.text() + "; " + &compared.text()
    }
}

impl Compared {
    fn of(ruletest::Compared { alerts, expressions }: ruletest::Compared) -> Self {
        Self { alerts, expressions }
    }

    fn add(&mut self, Self { alerts, expressions }: Self) {
        self.alerts += alerts;
        self.expressions += expressions;
    }

    fn text(self) -> String {
        let Self { alerts, expressions } = self;
        if alerts + expressions == 0 {
            return "NOTHING WAS COMPARED".to_owned();
        }
        let alerts = counted(alerts as u64, "check");
        format!("{alerts} of alerts and {} compared", counted(expressions as u64, "expression"))
    }
}

impl Counts {
    fn add(&mut self, Self { passed, failed, unsupported }: Self) {
        self.passed += passed;
        self.failed += failed;
        self.unsupported += unsupported;
    }

    fn text(self) -> String {
        let Self { passed, failed, unsupported } = self;
        match unsupported {
            0 => format!("{passed} passed, {failed} failed"),
            _ => format!("{passed} passed, {failed} failed, {unsupported} unsupported"),
        }
    }
}

fn word(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Passed => Some("passed"),
        Verdict::Failed => Some("failed"),
        Verdict::NotRun => None,
    }
}

/// Runs a test file with the rule files that it names, which stand beside it.
fn run_file(path: &Path, text: &str, unknown_fields: UnknownFields, engines: Engines) -> Report {
    let name = path.display().to_string();
    let file = TestFile { name: &name, text };
    let refusal = |error: String| Report { errors: vec![error.into()], tests: Vec::new() };
    let patterns = match rule_files(&file) {
        Ok(patterns) => patterns,
        Err(fault) => return refusal(fault.to_string()),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let patterns: Vec<String> =
        patterns.iter().map(|pattern| folder.join(pattern).display().to_string()).collect();
    match read_rule_files(&patterns) {
        Ok(RuleFiles { files, unmatched }) => {
            for pattern in unmatched {
                output::notice(&format!("warning: {name}: no rule file matches `{pattern}`"));
            }
            let files: Vec<_> = files.iter().map(RuleFileText::as_file).collect();
            run(&file, &files, unknown_fields, engines)
        }
        Err(error) => refusal(format!("{name}: {error}")),
    }
}
