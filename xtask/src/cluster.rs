//! `cargo xtask cluster`: three nodes over an engine behind a proxy, in trouble, for as long as asked.
//!
//! What plays it is `tests/clients/cluster`; this builds and fetches what it needs. The ledgers that it
//! leaves can be checked again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;
use crate::{process, setup};

/// How long it takes where nobody says so.
const SECONDS_DEFAULT: u32 = 60;

/// Clients of each kind beyond which one process follows too much.
const EACH_MAX: u32 = 50;

const ENGINES: [&str; 2] = ["nats", "redis"];

/// What nodes are run with, beside their engine.
const PROGRAMS: [&str; 3] = ["haproxy", "nats-server", "redis-server"];

const USAGE: &str = "`cargo xtask cluster [--seconds S] [--engine nats|redis] [--each N] [--seed N]`, where there are \
     N clients of each kind, and a seed plays the same faults again";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    seconds: u32,
    engine: &'static str,
    each: u32,
    seed: Option<u32>,
}

impl Order {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut order = Self { seconds: SECONDS_DEFAULT, engine: ENGINES[0], each: 1, seed: None };
        for pair in arguments.chunks(2) {
            let flag = pair[0].as_str();
            let text = pair.get(1).map_or("", String::as_str);
            let number = || {
                text.parse::<u32>().ok().with_context(|| format!("{flag} takes a number: {USAGE}"))
            };
            match flag {
                "--seconds" => order.seconds = number()?,
                "--each" => order.each = number()?,
                "--seed" => order.seed = Some(number()?),
                "--engine" => {
                    let engine = ENGINES.into_iter().find(|engine| *engine == text);
                    order.engine =
                        engine.with_context(|| format!("there is no engine `{text}`: {USAGE}"))?;
                }
                _ => bail!("there is no `{flag}`: {USAGE}"),
            }
        }
        ensure!(order.seconds > 0, "--seconds takes a number above 0: {USAGE}");
        ensure!((1..=EACH_MAX).contains(&order.each), "--each takes 1 to {EACH_MAX}: {USAGE}");
        Ok(order)
    }
}

/// The command. Fails where an event was missed, or came twice or out of order.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let order = Order::parse(arguments)?;
    setup::tools()?;
    let tests = workspace.real_clients_folder();
    let programs = setup::programs_of(&PROGRAMS, &workspace.target.join("test-programs"), &tests)?;
    setup::npm_packages(&tests)?;
    setup::npm_packages(&workspace.js_client_folder())?;
    process::run(&mut process::cargo(&["build", "--release", "--locked", "-p", "bellwire"]))?;
    let ledgers = workspace.target.join("cluster");
    println!("   for {} s; what all write down: {}", order.seconds, ledgers.display());
    let mut soak = soak(&tests, &order, &ledgers);
    soak.env("BELLWIRE_BIN", workspace.target.join("release").join("bellwire")).envs(programs);
    process::run(&mut soak)
}

fn soak(tests: &Path, order: &Order, ledgers: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg("cluster/main.mjs").current_dir(tests);
    command.args(["--seconds", &order.seconds.to_string()]);
    command.args(["--engine", order.engine]);
    command.args(["--each", &order.each.to_string()]);
    command.arg("--folder").arg(ledgers);
    if let Some(seed) = order.seed {
        command.env("BELLWIRE_TEST_SEED", seed.to_string());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Order> {
        Order::parse(&text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_run_is_what_is_asked_for() {
        for (text, (seconds, engine, each, seed)) in [
            ("", (60, "nats", 1, None)),
            ("--seconds 3600 --engine redis", (3600, "redis", 1, None)),
            ("--seed 7 --each 4", (60, "nats", 4, Some(7))),
        ] {
            assert_eq!(parse(text).expect(text), Order { seconds, engine, each, seed });
        }
    }

    #[test]
    fn what_is_asked_wrongly_is_told() {
        for (text, reason) in [
            ("--seconds", "--seconds takes a number"),
            ("--seconds 0", "--seconds takes a number above 0"),
            ("--seed -1", "--seed takes a number"),
            ("--each 0", "--each takes 1 to 50"),
            ("--engine kafka", "there is no engine `kafka`"),
            ("--hours 2", "there is no `--hours`"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(reason) && error.contains("cargo xtask cluster"), "{error}");
        }
    }
}
