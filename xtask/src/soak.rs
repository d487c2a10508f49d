//! `cargo xtask soak`: Server-Sent Events, WebSocket and long poll side by side over a network that
//! fails, for as long as asked.
//!
//! What there is so far is written all the time, so that a run that is broken off has a result, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::workspace::Workspace;

/// How long it takes where nobody says so.
const TIME_DEFAULT: Duration = Duration::from_mins(10);

const USAGE: &str = "`cargo xtask soak [--hours N | --minutes N] [OUT]`, where OUT is a file such as \
                     bench/results/NAME.ndjson that results are appended to";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    time: Duration,
    out: Option<PathBuf>,
}

impl Order {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut order = Self { time: TIME_DEFAULT, out: None };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let seconds_each = match argument.as_str() {
                "--hours" => 3600.0,
                "--minutes" => 60.0,
                flag if flag.starts_with('-') => bail!("there is no `{flag}`: {USAGE}"),
                path => {
                    ensure!(order.out.replace(path.into()).is_none(), "two files: {USAGE}");
                    continue;
                }
            };
            let number = arguments.next().and_then(|text| text.parse::<f64>().ok());
            let seconds = number.map(|number| (number * seconds_each).ceil());
            let is_possible = |seconds: &f64| (1.0..1e9).contains(seconds);
            let seconds = seconds.filter(is_possible);
            let seconds = seconds.with_context(|| format!("{argument} takes a number: {USAGE}"))?;
            order.time = Duration::from_secs_f64(seconds);
        }
        Ok(order)
    }
}

/// The command. Fails where an event was missed, or came twice or out of order.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let order = Order::parse(arguments)?;
    process::run(&mut process::cargo(&["build", "--release", "--locked", "-p", "bellwire"]))?;
    let folder = workspace.target.join("soak");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let so_far = folder.join("so-far.ndjson");
    let seconds = order.time.as_secs();
    println!("   for {seconds} s; results so far: {}", so_far.display());
    let program = workspace.target.join("release").join("bellwire");
    process::run(&mut soak(&program, &order, &so_far))
}

fn soak(program: &Path, order: &Order, so_far: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["bench", "soak", "--seconds", &order.time.as_secs().to_string()]);
    command.arg("--so-far").arg(so_far);
    if let Some(out) = &order.out {
        command.arg("--out").arg(out);
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
    fn the_time_is_what_is_asked_for() {
        for (text, seconds, out) in [
            ("", 600, None),
            ("--hours 8", 28_800, None),
            ("--minutes 2 a.ndjson", 120, Some("a.ndjson")),
            ("a.ndjson --hours 0.5", 1_800, Some("a.ndjson")),
        ] {
            let expected =
                Order { time: Duration::from_secs(seconds), out: out.map(PathBuf::from) };
            assert_eq!(parse(text).expect(text), expected);
        }
    }

    #[test]
    fn what_is_asked_wrongly_is_told() {
        for (text, reason) in [
            ("--hours", "--hours takes a number"),
            ("--minutes x", "--minutes takes a number"),
            ("--minutes -3", "--minutes takes a number"),
            ("--hours NaN", "--hours takes a number"),
            ("--days 2", "there is no `--days`"),
            ("a b", "two files"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(reason) && error.contains("cargo xtask soak"), "{error}");
        }
    }
}
