//! Tests that failed are run once more by themselves.
//!
//! Several servers, a broker and a browser on two cores make some tests wait longer than any patience.
//! Whatever fails by itself, too, has failed; what passes then is told by name in the summary, so that
//! it is seen and mended. More than a few are no accident.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, ensure};

use super::counts::Counts;
use crate::process;

/// So many may fail beside others and pass by themselves.
const AGAIN_MAX: usize = 3;

/// Who runs tests, and how they are asked for some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `cargo test`, which takes names.
    Rust,
    /// Node's runner with its reporter `spec`, which takes files.
    Node,
}

/// Runs tests and counts them; those that fail a second time.
///
/// Returns the names of those that passed at the second try.
///
/// # Errors
/// Where tests failed twice or too many failed, and where the runner itself did not come to its end.
pub(super) fn run(
    kind: Kind,
    counts: &mut Counts,
    command: impl Fn() -> Command,
) -> Result<Vec<String>> {
    let mut failed = Failed::default();
    let first = process::run_reading(&mut command(), |line| {
        counts.read(line);
        failed.read(line);
    });
    let Err(error) = first else { return Ok(Vec::new()) };
    let names = failed.names(kind);
    let are_few = (1..=AGAIN_MAX as u64).contains(&counts.failed);
    if !are_few || names.is_empty() || !failed.is_whole() {
        return Err(error);
    }
    println!("   once more, by themselves: {}", names.join(", "));
    let mut second = Counts::default();
    process::run_reading(&mut kind.only(command(), &names), |line| second.read(line))?;
    ensure!(second.passed >= counts.failed, "{} failed, {} ran again", counts.failed, second.all());
    counts.passed += std::mem::take(&mut counts.failed);
    Ok(names)
}

impl Kind {
    fn only(self, mut command: Command, names: &[String]) -> Command {
        if self == Self::Rust {
            command.args(["--", "--exact", "--test-threads=1"]);
        }
        command.args(names);
        command
    }
}

/// What failed, as runners print it.
#[derive(Debug, Default)]
struct Failed {
    tests: BTreeSet<String>,
    files: BTreeSet<String>,
    /// Binaries of Rust tests that began and ended: one that crashed names no test.
    begun: u64,
    ended: u64,
}

impl Failed {
    fn read(&mut self, line: &str) {
        self.begun += u64::from(line.starts_with("running ") && line.contains(" test"));
        self.ended += u64::from(line.starts_with("test result: "));
        let test = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
        self.tests.extend(test.map(str::to_owned));
        // Such as `test at browser/board.test.mjs:12:1`.
        let place = line.trim_start().strip_prefix("test at ");
        let file = place.and_then(|place| place.rsplitn(3, ':').nth(2));
        self.files.extend(file.map(str::to_owned));
    }

    fn is_whole(&self) -> bool {
        self.begun == self.ended
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        let names = match kind {
            Kind::Rust => &self.tests,
            Kind::Node => &self.files,
        };
        names.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A runner that prints the one thing and fails the first time, and runs the other script then.
    fn try_twice(kind: Kind, first: &str, second: &str) -> (Result<Vec<String>>, Counts) {
        let (is_first, mut counts) = (Cell::new(true), Counts::default());
        let result = run(kind, &mut counts, || {
            let mut command = Command::new("/bin/sh");
            let fails = format!("printf '{first}'; exit 1");
            command.args(["-c", if is_first.take() { &fails } else { second }]);
            command
        });
        (result, counts)
    }

    const FAILS: &str = "running 3 tests\\ntest a::b ... FAILED\\ntest c ... ok\\n\
                         test result: FAILED. 2 passed; 1 failed; 0 ignored\\n";

    #[test]
    fn who_passes_by_itself_has_passed_and_is_named() {
        let (names, counts) = try_twice(Kind::Rust, FAILS, "echo 'test result: ok. 1 passed'");
        assert_eq!(names.unwrap(), ["a::b"]);
        assert_eq!(counts, Counts { passed: 3, ..Counts::default() });

        let first = "ℹ pass 9\\nℹ fail 1\\n✖ failing tests:\\n\\ntest at b/board.test.mjs:12:1\\n";
        let (names, counts) = try_twice(Kind::Node, first, "echo 'ℹ pass 4'");
        assert_eq!(names.unwrap(), ["b/board.test.mjs"]);
        assert_eq!(counts, Counts { passed: 10, ..Counts::default() });
    }

    #[test]
    fn who_fails_twice_or_does_not_run_again_has_failed() {
        for second in ["echo 'test result: FAILED. 0 passed; 1 failed'; exit 1", "true"] {
            let (names, counts) = try_twice(Kind::Rust, FAILS, second);
            assert!(names.is_err(), "{names:?}");
            assert_eq!(counts.failed, 1);
        }
    }

    #[test]
    fn many_failures_and_crashes_are_not_tried_again() {
        let passes = "echo 'test result: ok. 9 passed'";
        let many = "test a ... FAILED\\ntest result: FAILED. 0 passed; 4 failed\\n";
        let crashed = format!("{FAILS}running 1 test\\n");
        for first in ["", many, &crashed] {
            assert!(try_twice(Kind::Rust, first, passes).0.is_err(), "{first}");
        }
    }
}
