//! `cargo xtask compare`: the same measurements of this system and of others, in turns.
//!
//! What can be installed without asking is installed; a system that is not there is noted in the
//! results, and so is what a system cannot do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{process, setup};

/// In the order in which they take turns.
const SYSTEMS: &[&str] = &["floor", "bellwire", "nchan", "centrifugo", "mercure"];

/// Arguments of `bellwire bench`.
const MEASUREMENTS: &[&str] = &[
    "connect",
    "connect --transport websocket",
    "connect --tls",
    "latency",
    "latency --transport websocket",
    "latency --tls",
    "fanout --subscribers 18000 --rate 5 --events 100",
    "fanout --subscribers 18000 --rate 5 --events 100 --transport websocket",
    "fanout --rate 0",
    "fanout --rate 0 --transport websocket",
    "resume-storm",
    "resume-storm --transport websocket",
    "slow-reader",
    "fairness",
    "idle",
    "idle --transport websocket",
    "idle --tls",
];

/// What of the module in `bench/peers` is built.
const PEERS: &[&str] =
    &["github.com/centrifugal/centrifugo/v6", "github.com/dunglas/mercure/cmd/mercure"];

/// Without it Mercure's module builds only as a part of another server.
const PEERS_TAGS: &str = "deprecated_server";

/// The command: `OUT [ROUNDS]`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (out, rounds) = match arguments {
        [out] => (out, 1),
        [out, rounds] => (out, rounds.parse().context("how many rounds?")?),
        _ => {
            bail!("say where results go: `cargo xtask compare bench/results/NAME.ndjson [ROUNDS]`")
        }
    };
    let tools = workspace.target.join("tools");
    provide_nchan();
    provide_peers(workspace, &tools);
    process::run(&mut process::cargo(&["build", "--release", "--locked", "-p", "bellwire"]))?;
    let program = workspace.target.join("release").join("bellwire");
    let path = path_with(&tools)?;
    for round in 1..=rounds {
        for measurement in MEASUREMENTS {
            println!("   round {round} of {rounds}: {measurement}");
            for system in SYSTEMS {
                let mut command = Command::new(&program);
                command.arg("bench").args(measurement.split(' ')).args(["--system", system]);
                command.args(["--json", "--note-failure", "--out", out]).env("PATH", &path);
                process::run(&mut command)?;
            }
        }
    }
    Ok(())
}

/// Nginx with nchan, from the system's packages.
fn provide_nchan() {
    if process::find_on_path(&["nginx"]).is_some() {
        return;
    }
    if let Err(error) = setup::install_packages(&["nginx", "libnginx-mod-nchan"]) {
        println!("   no nchan: {error:#}");
    }
}

/// Centrifugo and Mercure, from their sources.
fn provide_peers(workspace: &Workspace, tools: &Path) {
    if PEERS.iter().all(|peer| tools.join(program_of(peer)).is_file()) {
        return;
    }
    let build = || {
        let mut command = Command::new("go");
        command.args(["build", "-buildvcs=false", "-tags", PEERS_TAGS, "-o"]).arg(tools);
        command.args(PEERS).current_dir(workspace.root.join("bench").join("peers"));
        std::fs::create_dir_all(tools)?;
        process::run(&mut command)
    };
    if let Err(error) = build() {
        println!("   no Centrifugo and no Mercure: {error:#}");
    }
}

/// What a Go package is called once it is built: its last part that is no version.
fn program_of(package: &str) -> &str {
    let is_version = |part: &&str| {
        part.strip_prefix('v').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    package.rsplit('/').find(|part| !is_version(part)).unwrap_or(package)
}

/// The folders where programs are looked for, this one first.
fn path_with(folder: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(PathBuf::from(folder)).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("the PATH cannot be extended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_called_like_their_packages() {
        assert_eq!(
            PEERS.iter().map(|peer| program_of(peer)).collect::<Vec<_>>(),
            ["centrifugo", "mercure"]
        );
    }
}
