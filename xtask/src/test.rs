//! `cargo xtask test`: from a fresh machine to every test passed.
//!
//! The steps go from quick to slow and stop at the first failure. Everything is built in one
//! profile, debug, and the tests with real clients and a browser run the debug binary: a release
//! build would cost more than all tests together.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::workspace::Workspace;
use crate::{audit, fuzz, layers, process, setup, tidy};

/// Runs steps until one fails, and remembers how they went.
#[derive(Debug, Default)]
struct Runner {
    passed: Vec<(&'static str, Duration)>,
}

/// The command. Its last line of output is `N passed, N failed`.
pub(crate) fn run(workspace: &Workspace) -> ExitCode {
    let start = now();
    let mut runner = Runner::default();
    let result = steps(workspace, &mut runner);
    println!("\n── summary");
    for (name, elapsed) in &runner.passed {
        println!("   {name:<14}{:>7.1} s", elapsed.as_secs_f64());
    }
    println!("   {:<14}{:>7.1} s\n", "in all", start.elapsed().as_secs_f64());
    let failed = usize::from(result.is_err());
    if let Err(error) = &result {
        println!("error: {error:#}\n");
    }
    println!("{} passed, {failed} failed", runner.passed.len());
    // The error was printed above, so that this line stays the last.
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folders with npm packages to install before their tests run.
pub(crate) fn npm_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = node_folders(root);
    folders.extend([real_clients_folder(root), browser_folder(root)]);
    folders.retain(|folder| folder.join("package-lock.json").exists());
    folders
}

fn steps(workspace: &Workspace, runner: &mut Runner) -> Result<()> {
    let root = workspace.root.as_path();
    let cargo = |arguments: &[&str]| process::run(process::cargo(arguments).current_dir(root));

    let mut browser = PathBuf::new();
    let mut alert_tools = Vec::new();
    runner.step("set-up", || {
        setup::tools()?;
        browser = setup::browser()?;
        alert_tools = setup::alert_tools(&workspace.target.join("alert-tools"))?;
        npm_folders(root).iter().try_for_each(|folder| setup::npm_packages(folder))
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
    }
    runner.step("lint", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    })?;
    // The tests' own features are selected here too, so that `cargo test` builds nothing twice.
    runner.step("build", || cargo(&["build", "--workspace", "--bins", "--tests", "--locked"]))?;
    runner.step("rust tests", || cargo(&["test", "--workspace", "--locked"]))?;
    runner.step("fuzz", || fuzz::run(workspace))?;
    runner.step("client tests", || {
        let folders = node_folders(root);
        println!("   {} packages with tests of their own", folders.len());
        folders.iter().try_for_each(|folder| process::run(&mut node_test(folder)))
    })?;
    let binary = workspace.target.join("debug").join("bellwire");
    runner.step("real clients", || {
        ensure!(binary.exists(), "{} was not built", binary.display());
        let mut tests = node_test(&real_clients_folder(root));
        process::run(tests.env("BELLWIRE_BIN", &binary).envs(alert_tools.iter().cloned()))
    })?;
    runner.step("browser tests", || {
        process::run(
            node_test(&browser_folder(root))
                .env("BELLWIRE_BIN", &binary)
                .env("CHROMIUM_BIN", &browser),
        )
    })
}

impl Runner {
    fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n── {name}");
        let start = now();
        if let Err(error) = step() {
            bail!("{name} failed after {:.1} s: {error:#}", start.elapsed().as_secs_f64());
        }
        let elapsed = start.elapsed();
        println!("   {name}: passed in {:.1} s", elapsed.as_secs_f64());
        self.passed.push((name, elapsed));
        Ok(())
    }
}

/// The client packages and the web page, as far as they bring tests of Node's own runner.
fn node_folders(root: &Path) -> Vec<PathBuf> {
    let clients = fs::read_dir(root.join("clients")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = clients.map(|entry| entry.path()).collect();
    folders.push(root.join("web"));
    folders.retain(|folder| folder.join("package.json").exists());
    folders.sort();
    folders
}

/// Clients that others wrote, against the binary.
fn real_clients_folder(root: &Path) -> PathBuf {
    root.join("tests").join("clients")
}

fn browser_folder(root: &Path) -> PathBuf {
    root.join("tests").join("browser")
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
        assert_eq!(runner.passed.len(), 1);
        assert_eq!(runner.passed[0].0, "a");
    }
}
