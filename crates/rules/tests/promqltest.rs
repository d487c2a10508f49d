//! Prometheus' own scripts, and ours in the same language.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bellwire_rules::promqltest::{Report, run};

const UPSTREAM: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/promqltest");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/promql");

fn scripts(folder: &str) -> Option<Vec<PathBuf>> {
    let entries = fs::read_dir(Path::new(folder)).ok()?;
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    Some(paths)
}

#[expect(clippy::print_stderr, reason = "what was run is told")]
fn check(paths: Vec<PathBuf>) -> Report {
    let mut total = Report::default();
    let mut reasons: BTreeMap<Box<str>, usize> = BTreeMap::new();
    for path in paths {
        let report = run(&fs::read_to_string(&path).expect("a script"));
        let name = path.file_name().expect("a name").to_string_lossy();
        for finding in &report.failed {
            eprintln!("{name}:{}: {}\n    {}", finding.line, finding.command, finding.reason);
        }
        for finding in &report.unsupported {
            *reasons.entry(finding.reason.clone()).or_default() += 1;
        }
        let (failed, unsupported) = (report.failed.len(), report.unsupported.len());
        eprintln!("{name}: {} passed, {failed} failed, {unsupported} unsupported", report.passed);
        total.passed += report.passed;
        total.failed.extend(report.failed);
        total.unsupported.extend(report.unsupported);
    }
    for (reason, count) in reasons {
        eprintln!("{count:5} × {reason}");
    }
    total
}

#[test]
fn every_check_of_prometheus_passes_or_is_told_to_be_unsupported() {
    let Some(paths) = scripts(UPSTREAM) else {
        #[expect(clippy::print_stderr, reason = "that the scripts are absent is told")]
        {
            eprintln!("SKIPPED: there is no folder {UPSTREAM}");
        }
        return;
    };
    let report = check(paths);
    assert_eq!(report.failed, []);
}

#[test]
fn our_own_scripts_pass() {
    let report = check(scripts(OURS).expect("a folder of scripts"));
    assert!(report.passed > 0);
    assert_eq!((report.failed, report.unsupported), (vec![], vec![]));
}
