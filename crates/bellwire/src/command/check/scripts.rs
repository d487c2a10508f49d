//! `bellwire check --promqltest`: how much of `PromQL` is evaluated as Prometheus does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwire_rules::promqltest::{Finding, Report, run};
use serde::Serialize;

/// What became of all scripts; its JSON is for programs to rely on.
#[derive(Debug, Default, Serialize)]
pub(super) struct ScriptsReport {
    files: Vec<ScriptReport>,
    total: Counts,
}

#[derive(Debug, Serialize)]
struct ScriptReport {
    file: String,
    #[serde(flatten)]
    counts: Counts,
    failures: Vec<FindingReport>,
    unsupported_checks: Vec<FindingReport>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

#[derive(Debug, Serialize)]
struct FindingReport {
    line: usize,
    command: String,
    reason: String,
}

impl From<&Finding> for FindingReport {
    fn from(finding: &Finding) -> Self {
        let Finding { line, command, reason } = finding;
        Self { line: *line, command: command.to_string(), reason: reason.to_string() }
    }
}

impl ScriptsReport {
    /// Runs scripts one after the other.
    pub(super) fn of(paths: &[PathBuf]) -> Result<Self> {
        let mut report = Self::default();
        for path in paths {
            let script = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            report.add(path, &run(&script));
        }
        Ok(report)
    }

    fn add(&mut self, path: &Path, report: &Report) {
        let Report { passed, failed, unsupported } = report;
        let counts =
            Counts { passed: *passed, failed: failed.len(), unsupported: unsupported.len() };
        self.total.passed += counts.passed;
        self.total.failed += counts.failed;
        self.total.unsupported += counts.unsupported;
        self.files.push(ScriptReport {
            file: path.display().to_string(),
            counts,
            failures: failed.iter().map(FindingReport::from).collect(),
            unsupported_checks: unsupported.iter().map(FindingReport::from).collect(),
        });
    }

    pub(super) fn failed(&self) -> usize {
        self.total.failed
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are JSON")
    }

    /// A line for each check that did not pass, for each file, and for all.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for ScriptReport { file, counts, failures, unsupported_checks } in &self.files {
            for (kind, findings) in [("failed", failures), ("unsupported", unsupported_checks)] {
                for FindingReport { line, command, reason } in findings {
                    let _ = writeln!(text, "{kind:<12}{file}:{line}: {command}: {reason}");
                }
            }
            let _ = writeln!(text, "{file}: {}", counts.text());
        }
        text + "total: " + &self.total.text()
    }
}

impl Counts {
    fn text(self) -> String {
        let Self { passed, failed, unsupported } = self;
        format!("{passed} passed, {failed} failed, {unsupported} unsupported")
    }
}
