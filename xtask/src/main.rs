//! The project's own commands, run as `cargo xtask <command>`.
//!
//! Automation is in Rust so that a fresh machine needs no second tool for it, and so that
//! `layers` and `tidy` run as unit tests too: an editor's test run catches what they catch.

#![expect(clippy::print_stdout, reason = "what a command prints is its purpose")]

mod audit;
mod cluster;
mod compare;
mod demo;
mod fuzz;
mod layers;
mod process;
mod setup;
mod soak;
mod source;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};

use crate::workspace::Workspace;

const USAGE: &str = "\
cargo xtask <command>

  test     set everything up, then run every check and every test; what CI runs
  demo     build the binary and run `bellwire demo` with the arguments that follow
  compare  measure this system and others in turns: `compare OUT [ROUNDS]`
  soak     follow over a network that fails: `soak [--hours N | --minutes N] [OUT]`
  cluster  kill and pause nodes and their engine: `cluster [--seconds S] [--engine nats|redis] …`
  sim      play clusters in trouble on virtual time: `sim [--seeds N] [--seed N] [--jobs N] …`
  layers   check which crate may depend on which, and modules on which
  tidy     check the house style
  fuzz     run each fuzz target for a few seconds
  audit    check licences and sources of all dependencies against deny.toml
";

/// What there is, as [`USAGE`] lists it.
const COMMANDS: &[&str] =
    &["test", "demo", "compare", "soak", "cluster", "sim", "layers", "tidy", "fuzz", "audit"];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    run(&command, &arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: &str, arguments: &[String]) -> Result<ExitCode> {
    if matches!(command, "" | "help" | "-h" | "--help") {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(COMMANDS.contains(&command), "there is no command `{command}`\n\n{USAGE}");
    if !matches!(command, "demo" | "compare" | "soak" | "cluster" | "sim") && !arguments.is_empty()
    {
        bail!("`{command}` takes no arguments\n\n{USAGE}");
    }
    let workspace = Workspace::read()?;
    match command {
        "test" => return Ok(test::run(&workspace)),
        "demo" => demo::run(&workspace, arguments)?,
        "compare" => compare::run(&workspace, arguments)?,
        "soak" => soak::run(&workspace, arguments)?,
        "cluster" => cluster::run(&workspace, arguments)?,
        "sim" => {
            let mut played = process::cargo(&["run", "--package", "bellwire-sim", "--"]);
            process::run(played.args(arguments).current_dir(&workspace.root))?;
        }
        "layers" => layers::run(&workspace)?,
        "tidy" => tidy::run(&workspace)?,
        "fuzz" => fuzz::run(&workspace, || {})?,
        _ => audit::run(&workspace)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_wrongly_is_told_with_what_there_is() {
        for (command, arguments, reason) in [
            ("tset", &[][..], "there is no command `tset`"),
            ("tset", &["hub".to_owned()], "there is no command `tset`"),
            ("tidy", &["hub".to_owned()], "`tidy` takes no arguments"),
        ] {
            let error = run(command, arguments).unwrap_err().to_string();
            assert!(error.starts_with(reason) && error.ends_with(USAGE), "{error}");
        }
        let listed = USAGE.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        assert_eq!(listed.collect::<Vec<_>>(), COMMANDS);
    }
}
