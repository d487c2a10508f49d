//! Tests of rules in the format of `promtool test rules`: series are given, rules are evaluated, and
//! alerts and expressions are compared with what they must be. Rules are evaluated twice: plainly at
//! every tick, as promtool does it, and by an engine as the samples arrive, as a server does it.

mod elements;
mod file;
mod judgement;
mod probe;
mod run;
mod stream;

use std::sync::Arc;

use crate::load::{LoadAs, LoadError, RuleFile, Scope, UnknownFields};
use crate::rule::{RuleMode, RuleSet};

pub use self::file::rule_files;
pub(crate) use self::probe::{Probed, probe};

/// A test file that has been read.
#[derive(Clone, Copy, Debug)]
pub struct TestFile<'a> {
    /// Its name, for errors.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// What became of a test file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Why the file or its rules cannot be read; then nothing was run.
    pub errors: Vec<Box<str>>,
    /// What became of each test.
    pub tests: Vec<Outcome>,
}

/// What became of one test of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The test's name, or its number where it has none.
    pub name: Box<str>,
    /// What is wrong; nothing where it passed. Where one way of evaluating alone is wrong, it is named.
    pub failures: Vec<Box<str>>,
    /// How it went by ticks.
    pub by_ticks: Verdict,
    /// How it went as samples arrive.
    pub as_samples_arrive: Verdict,
    /// Checks of what is not evaluated.
    pub unsupported: Vec<Box<str>>,
    /// Where alerts fire as samples arrive that do not by ticks, or the other way round. A test fails
    /// only for what is not as it expects.
    pub differences: Vec<Box<str>>,
    /// What was compared: a test that compares nothing passes whatever the rules say.
    pub compared: Compared,
    /// Why it may say less than it seems to.
    pub warnings: Vec<Box<str>>,
}

/// How rules are evaluated for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engines {
    /// At every tick, as promtool does it.
    Ticks,
    /// As samples arrive, as a server does it.
    Stream,
    /// Both must come to what is expected.
    #[default]
    Both,
}

/// What becomes of a test in one way of evaluating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as it must be, of what is compared in this way.
    Passed,
    /// Something is not.
    Failed,
    /// Nothing was evaluated in this way: nobody has asked for it, or a server refuses the rules.
    NotRun,
}

/// How much was compared with what it must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Alerts of one name at one time.
    pub alerts: usize,
    /// Expressions at one time.
    pub expressions: usize,
}

impl Report {
    /// Whether everything passed.
    pub fn is_success(&self) -> bool {
        self.errors.is_empty() && self.tests.iter().all(|test| test.failures.is_empty())
    }
}

/// Runs a test file with the rule files that it names.
pub fn run(
    test: &TestFile<'_>,
    rules: &[RuleFile<'_>],
    unknown_fields: UnknownFields,
    engines: Engines,
) -> Report {
    let suite = match file::suite(test) {
        Ok(suite) => suite,
        Err(fault) => return Report { errors: vec![fault.to_string().into()], tests: vec![] },
    };
    let reading = LoadAs { scope: Scope::Tests, mode: RuleMode::Tick, unknown_fields };
    let (mut set, errors) = crate::load::inspect_as(rules, reading);
    if !errors.is_empty() {
        let told = |error: &LoadError| error.to_string().into();
        return Report { errors: errors.iter().map(told).collect(), tests: Vec::new() };
    }
    let place = |name: &Arc<str>| suite.group_order.iter().position(|group| **group == **name);
    // Groups that are not named come first, as they stand.
    set.groups.sort_by_key(|group| place(&group.name));
    let streamed = streamed(rules, unknown_fields);
    let rules = run::Rules { by_ticks: &set, streamed: streamed.as_ref() };
    let outcome = |test| run::outcome(test, &suite, rules, engines);
    let tests = suite.tests.iter().map(outcome).collect();
    Report { errors: Vec::new(), tests }
}

/// The rules as a server evaluates them where nothing else is said; why, where it refuses some.
fn streamed(rules: &[RuleFile<'_>], unknown_fields: UnknownFields) -> Result<RuleSet, LoadError> {
    let reading = LoadAs { scope: Scope::Server, mode: RuleMode::Stream, unknown_fields };
    let (set, errors) = crate::load::inspect_as(rules, reading);
    errors.into_iter().next().map_or(Ok(set), Err)
}
