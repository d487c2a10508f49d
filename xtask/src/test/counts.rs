//! How many tests there were, as those who run them say.

use std::fmt;
use std::ops::AddAssign;

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Counts {
    pub(super) fn all(self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    /// Adds what a line of output says, if it says anything: the summary of a binary of Rust tests,
    /// that of the Python client's in the same form, or a part of that of Node's runner.
    pub(super) fn read(&mut self, line: &str) {
        if let Some((_, summary)) = line.split_once("test result: ") {
            for part in summary.split([';', '.']) {
                let mut words = part.split_whitespace();
                match (words.next().map(str::parse::<u64>), words.next()) {
                    (Some(Ok(count)), Some("passed")) => self.passed += count,
                    (Some(Ok(count)), Some("failed")) => self.failed += count,
                    (Some(Ok(count)), Some("ignored")) => self.skipped += count,
                    _ => {}
                }
            }
        }
        // An information sign, so that no test's own output is taken for it.
        let mut words = line.strip_prefix('ℹ').unwrap_or_default().split_whitespace();
        match (words.next(), words.next().map(str::parse::<u64>), words.next()) {
            (Some("pass"), Some(Ok(count)), None) => self.passed += count,
            (Some("fail" | "cancelled"), Some(Ok(count)), None) => self.failed += count,
            (Some("skipped" | "todo"), Some(Ok(count)), None) => self.skipped += count,
            _ => {}
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_read() {
        let output = "
test a::b ... ok
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s
✔ curl shows events as they come (12.5ms)
pass 100
ℹ pass through the proxy
ℹ tests 7
ℹ suites 0
ℹ pass 4
ℹ fail 0
ℹ cancelled 1
ℹ skipped 2
ℹ todo 0
ℹ duration_ms 8123.4
";
        let mut counts = Counts::default();
        output.lines().for_each(|line| counts.read(line));
        assert_eq!(counts, Counts { passed: 19, failed: 3, skipped: 3 });
        assert_eq!(counts.to_string(), "19 passed, 3 failed, 3 skipped");
        assert_eq!(counts.all(), 25);
    }
}
