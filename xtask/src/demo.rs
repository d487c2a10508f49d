//! `cargo xtask demo`: from a clean checkout to a running demonstration.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Builds the release binary and becomes `bellwire demo`, so that signals reach it directly.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    println!("Building the release binary (minutes the first time, seconds after that).");
    process::run(&mut process::cargo(&["build", "--release", "--locked", "-p", "bellwire"]))?;
    let binary = workspace.target.join("release").join("bellwire");
    println!("Starting `bellwire demo {}`; Ctrl-C ends it.", arguments.join(" "));
    let error = Command::new(&binary).arg("demo").args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", binary.display()))
}
