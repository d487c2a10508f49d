//! `cargo xtask test`: from a fresh machine to every test passed.
//!
//! The steps go from quick to slow. Checks and builds stop at the first failure; tests that fail let
//! the others run, so that one run says all that is wrong. Everything is built in one profile, debug,
//! and the tests with real clients and a browser run the debug binary: a release build would cost more
//! than all tests together.

mod again;
mod counts;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use self::again::Kind;
use self::counts::Counts;
use crate::workspace::Workspace;
use crate::{audit, fuzz, layers, process, setup, tidy};

/// What random tests begin with, by the variable that each kind reads: the same at every run, so
/// that a change is not refused for what it did not touch. `cargo test` looks elsewhere each time,
/// and a variable that is set stays as it is.
const SEEDS: [(&str, &str); 2] = [("PROPTEST_RNG_SEED", "1"), ("BELLWIRE_TEST_SEED", "1")];

/// Runs steps, and remembers how they went.
#[derive(Debug, Default)]
struct Runner {
    ended: Vec<Step>,
    tests: Counts,
    /// What is wrong where tests failed.
    failures: Vec<String>,
}

/// A step that has ended.
#[derive(Debug)]
struct Step {
    name: &'static str,
    outcome: String,
    elapsed: Duration,
}

/// The command. Its last line of output counts tests: `N passed, N failed`, and `, N skipped`.
pub(crate) fn run(workspace: &Workspace) -> ExitCode {
    let start = now();
    let mut runner = Runner::default();
    let result = steps(workspace, &mut runner);
    println!("\n── summary");
    for Step { name, outcome, elapsed } in &runner.ended {
        println!("   {name:<14}{:>7.1} s   {outcome}", elapsed.as_secs_f64());
    }
    println!("   {:<14}{:>7.1} s\n", "in all", start.elapsed().as_secs_f64());
    let mut counts = runner.tests;
    let mut failures = runner.failures;
    failures.extend(result.err().map(|error| format!("{error:#}")));
    for failure in &failures {
        println!("error: {failure}\n");
        // What fails may be no test.
        counts.failed = counts.failed.max(1);
    }
    println!("{counts}");
    // The error was printed above, so that this line stays the last.
    if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What tests need beside what cargo builds.
#[derive(Debug, Default)]
struct Tools {
    browser: PathBuf,
    /// The programs that tests speak to, by the variables that tell tests of them.
    programs: Vec<(String, PathBuf)>,
    /// A Python with what the client for Python needs.
    python: PathBuf,
}

fn set_up(workspace: &Workspace) -> Result<Tools> {
    setup::tools()?;
    let browser = setup::browser()?;
    let folder = workspace.target.join("test-programs");
    let mut programs = setup::test_programs(&folder, &workspace.real_clients_folder())?;
    let requirements = workspace.real_clients_folder().join("requirements.txt");
    programs.push(("PYTHON_BIN".into(), setup::python(&folder.join("python"), &requirements)?));
    let requirements = workspace.python_client_folder().join("requirements.txt");
    let python = setup::python(&folder.join("python-client"), &requirements)?;
    workspace.npm_folders().iter().try_for_each(|folder| setup::npm_packages(folder))?;
    Ok(Tools { browser, programs, python })
}

fn steps(workspace: &Workspace, runner: &mut Runner) -> Result<()> {
    let root = workspace.root.as_path();
    let cargo = |arguments: &[&str]| process::run(process::cargo(arguments).current_dir(root));

    let mut tools = Tools::default();
    runner.step("set-up", || {
        tools = set_up(workspace)?;
        Ok(())
    })?;
    runner.step("format", || {
        cargo(&["fmt", "--all", "--check"])?;
        cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
    })?;
    runner.step("layers", || layers::run(workspace))?;
    runner.step("tidy", || tidy::run(workspace))?;
    runner.step("audit", || audit::run(workspace))?;
    if process::cargo(&["deny", "--version"]).output().is_ok_and(|out| out.status.success()) {
        runner.step("deny", || cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    } else {
        runner.skip("deny", "skipped: there is no cargo-deny; `audit` has checked the same");
    }
    runner.step("lint", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    })?;
    // The tests' own features are selected here too, so that `cargo test` builds nothing twice.
    runner.step("build", || {
        cargo(&["build", "--workspace", "--bins", "--tests", "--examples", "--locked"])
    })?;
    runner.suite("rust tests", Kind::Rust, || {
        let mut tests = process::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
        tests.envs(seeds()).envs(tools.programs.iter().cloned()).current_dir(root);
        // Most of the time goes to tests that wait for servers.
        tests.env("RUST_TEST_THREADS", (2 * cores()).to_string());
        tests
    });
    runner.tests("fuzz", |counts| fuzz::run(workspace, || counts.passed += 1));
    clients(workspace, runner, &tools);
    Ok(())
}

/// Tests of the binary from without: with others' clients, ours and a browser.
fn clients(workspace: &Workspace, runner: &mut Runner, tools: &Tools) {
    let Tools { browser, programs, python } = tools;
    let binary = workspace.target.join("debug").join("bellwire");
    runner.suite("real clients", Kind::Node, || {
        let mut tests = node_test(&workspace.real_clients_folder());
        tests.env("BELLWIRE_BIN", &binary).envs(programs.iter().cloned());
        tests
    });
    if built(runner, "js client's build", &workspace.js_client_folder()) {
        runner.suite("js client", Kind::Node, || {
            let mut tests = node_test(&workspace.js_client_folder());
            tests.env("BELLWIRE_BIN", &binary).envs(seeds()).envs(programs.iter().cloned());
            tests
        });
    }
    runner.tests("pages", |counts| {
        let folder = workspace.web_folder();
        process::run(Command::new("node").arg("scripts/check.mjs").current_dir(&folder))?;
        let mut tests = Command::new("node");
        tests.arg("scripts/test.mjs").current_dir(&folder).envs(seeds());
        process::run_reading(&mut tests, |line| counts.read(line))
    });
    // Behind the client that they stand on, which is built by then.
    if built(runner, "react hooks' build", &workspace.react_folder()) {
        runner.suite("react hooks", Kind::Node, || {
            let mut tests = node_test(&workspace.react_folder());
            tests.env("BELLWIRE_BIN", &binary).env("CHROMIUM_BIN", browser);
            tests
        });
    }
    runner.tests("python client", |counts| {
        let mut tests = Command::new(python);
        tests.args(["-B", "-m", "tests"]).current_dir(workspace.python_client_folder());
        tests.env("BELLWIRE_BIN", &binary).envs(seeds());
        process::run_reading(&mut tests, |line| counts.read(line))
    });
    runner.suite("conformance", Kind::Node, || {
        let mut tests = node_test(&workspace.conformance_folder());
        tests.env("BELLWIRE_BIN", &binary).env("PYTHON_CLIENT_BIN", python).envs(seeds());
        tests
    });
    runner.suite("browser tests", Kind::Node, || {
        let mut tests = node_test(&workspace.browser_folder());
        tests.env("BELLWIRE_BIN", &binary).env("CHROMIUM_BIN", browser);
        tests.envs(programs.iter().cloned());
        tests
    });
}

/// Whether the client of a folder was built, without which its tests fail one and all.
fn built(runner: &mut Runner, name: &'static str, folder: &Path) -> bool {
    let build = || process::run(Command::new("node").arg("scripts/build.mjs").current_dir(folder));
    let result = runner.step(name, build);
    let is_built = result.is_ok();
    runner.failures.extend(result.err().map(|error| format!("{error:#}")));
    is_built
}

impl Runner {
    /// A check, or what tests need.
    fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        self.run(name, || step().map(|()| "done".to_owned()))
    }

    /// Tests that are tried again where they fail. Those that pass then stand in the summary.
    fn suite(&mut self, name: &'static str, kind: Kind, command: impl Fn() -> Command) {
        let mut again = Vec::new();
        self.tests(name, |counts| {
            again = again::run(kind, counts, command)?;
            Ok(())
        });
        if !again.is_empty() {
            self.skip(name, &format!("passed only by themselves: {}", again.join(", ")));
        }
    }

    /// Tests, which count themselves. Where there were none, something is wrong with the step. What
    /// fails is told at the end.
    fn tests(&mut self, name: &'static str, tests: impl FnOnce(&mut Counts) -> Result<()>) {
        let mut counts = Counts::default();
        let result = self.run(name, || {
            tests(&mut counts)?;
            ensure!(counts.failed == 0, "{} of {} tests failed", counts.failed, counts.all());
            ensure!(counts.passed > 0, "no test ran ({counts})");
            Ok(counts.to_string())
        });
        self.tests += counts;
        if let Err(error) = result {
            let failure = format!("{error:#}");
            println!("   {failure}");
            let outcome = format!("failed: {counts}");
            self.ended.push(Step { name, outcome, elapsed: Duration::ZERO });
            self.failures.push(failure);
        }
    }

    fn skip(&mut self, name: &'static str, reason: &str) {
        println!("\n── {name}\n   {reason}");
        self.ended.push(Step { name, outcome: reason.to_owned(), elapsed: Duration::ZERO });
    }

    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<String>) -> Result<()> {
        println!("\n── {name}");
        let start = now();
        match step() {
            Ok(outcome) => {
                let elapsed = start.elapsed();
                println!("   {name}: {outcome} in {:.1} s", elapsed.as_secs_f64());
                self.ended.push(Step { name, outcome, elapsed });
                Ok(())
            }
            Err(error) => {
                bail!("{name} failed after {:.1} s: {error:#}", start.elapsed().as_secs_f64())
            }
        }
    }
}

/// The variables of [`SEEDS`], as they are set or as they stand there; they are printed.
fn seeds() -> [(&'static str, String); SEEDS.len()] {
    SEEDS.map(|(variable, seed)| {
        let seed = std::env::var(variable).unwrap_or_else(|_| seed.to_owned());
        println!("   {variable}={seed}");
        (variable, seed)
    })
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

fn node_test(folder: &Path) -> Command {
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec"]).current_dir(folder);
    command
}

#[expect(clippy::disallowed_methods, reason = "how long steps take is for people to see")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_remembered_until_one_fails() {
        let mut runner = Runner::default();
        runner.step("a", || Ok(())).unwrap();
        let error = runner.step("b", || bail!("no luck")).unwrap_err().to_string();
        assert!(error.starts_with("b failed after") && error.ends_with("no luck"), "{error}");
        assert_eq!(runner.ended.len(), 1);
        assert_eq!(runner.ended[0].name, "a");
    }

    #[test]
    fn tests_are_counted_and_none_is_a_failure() {
        let mut runner = Runner::default();
        let count = |passed, failed, skipped| {
            move |counts: &mut Counts| {
                *counts = Counts { passed, failed, skipped };
                Ok(())
            }
        };
        runner.tests("some", count(3, 0, 1));
        for (tests, reason) in [
            (count(0, 0, 0), "no test ran (0 passed, 0 failed)"),
            (count(0, 0, 2), "no test ran (0 passed, 0 failed, 2 skipped)"),
            (count(1, 1, 0), "1 of 2 tests failed"),
        ] {
            runner.tests("others", tests);
            let failure = runner.failures.last().unwrap();
            assert!(failure.ends_with(reason), "{failure}");
        }
        assert_eq!(runner.tests, Counts { passed: 4, failed: 1, skipped: 3 });
        assert_eq!(runner.failures.len(), 3);
        assert_eq!(runner.ended.len(), 4);
        assert_eq!(runner.ended[0].outcome, "3 passed, 0 failed, 1 skipped");
    }
}
