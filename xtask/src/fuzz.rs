//! Runs each fuzz target for a few seconds, from the seeds that stand beside it.
//!
//! No sanitizer is asked for: nothing here is `unsafe`, and without one the pinned toolchain will
//! do. What the seconds here do not find, hours of `cargo fuzz run` may.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// The version of cargo-fuzz that is installed.
const CARGO_FUZZ_VERSION: &str = "0.13.2";
/// The same on every machine, so that a finding can be repeated.
const SEED: u32 = 1;
/// How long each target runs.
const SECONDS: u32 = 10;
/// Bytes of an input at most: what matters shows with few.
const INPUT_BYTES_MAX: u32 = 4096;
/// Memory of a target at most: all that is read is bounded.
const MEMORY_MIB_MAX: u32 = 512;

/// The command. What is to be done as each target passes is `on_passed`.
pub(crate) fn run(workspace: &Workspace, mut on_passed: impl FnMut()) -> Result<()> {
    let cargo_fuzz = install(&workspace.target.join("tools"))?;
    let (folder, built) = (workspace.root.join("fuzz"), workspace.target.join("fuzz"));
    // The same versions as the product has; what only the targets need is added to them.
    fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))
        .context("cannot write fuzz/Cargo.lock")?;
    let targets = targets(&folder.join("fuzz_targets"))?;
    println!("   {} targets, {SECONDS} s each, seed {SEED}", targets.len());
    // Each target keeps one core busy.
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    for targets in targets.chunks(cores) {
        let runs = targets
            .iter()
            .map(|target| Ok((target, command(&cargo_fuzz, workspace, &built, target)?)))
            .collect::<Result<Vec<_>>>()?;
        thread::scope(|scope| {
            let runs: Vec<_> = runs
                .into_iter()
                .map(|(target, mut command)| scope.spawn(move || run_target(target, &mut command)))
                .collect();
            runs.into_iter().try_for_each(|run| {
                run.join().expect("the thread does not panic")?;
                on_passed();
                Ok::<_, anyhow::Error>(())
            })
        })?;
    }
    Ok(())
}

/// Builds a target and runs it from its seeds.
fn command(
    cargo_fuzz: &Path,
    workspace: &Workspace,
    built: &Path,
    target: &str,
) -> Result<Command> {
    let found = fresh_folder(&built.join("corpus").join(target))?;
    let mut command = Command::new(cargo_fuzz);
    command
        .args(["run", "--sanitizer", "none", "--codegen-units", "16", "--target-dir"])
        .args([built, Path::new(target), &found])
        .arg(workspace.root.join("fuzz/corpus").join(target))
        .arg("--")
        .args(options(&built.join(format!("{target}-"))))
        .current_dir(&workspace.root);
    Ok(command)
}

/// What libFuzzer says is long, and of interest only where it finds something.
fn run_target(target: &str, command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{said}\nthe fuzz target `{target}` fails; run with: {command:?}");
    }
    let inputs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("   {target}: {} inputs", inputs.unwrap_or("no").trim());
    Ok(())
}

/// What libFuzzer is told. An input that fails is written behind `finding`.
fn options(finding: &Path) -> Vec<String> {
    vec![
        format!("-seed={SEED}"),
        format!("-max_total_time={SECONDS}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-artifact_prefix={}", finding.display()),
        "-verbosity=0".into(),
        "-print_final_stats=1".into(),
    ]
}

/// The names of the targets, in order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// What a run finds worth keeping goes here and not to the seeds: every run begins alike.
fn fresh_folder(folder: &Path) -> Result<PathBuf> {
    // It may not be there.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.to_owned())
}

/// Installs cargo-fuzz below `root`, unless this version is there.
fn install(root: &Path) -> Result<PathBuf> {
    let program = root.join("bin").join("cargo-fuzz");
    let version = Command::new(&program).arg("--version").output();
    let is_there = version.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim().ends_with(CARGO_FUZZ_VERSION)
    });
    if !is_there {
        let arguments = ["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ_VERSION];
        process::run(process::cargo(&arguments).arg("--root").arg(root))?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds_and_is_built() {
        let root = Workspace::read().unwrap().root.join("fuzz");
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        for target in targets(&root.join("fuzz_targets")).unwrap() {
            let seeds = fs::read_dir(root.join("corpus").join(&target)).unwrap().count();
            assert!((1..=20).contains(&seeds), "{target} has {seeds} seeds");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        }
    }
}
