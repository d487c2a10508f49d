//! `cargo xtask demo`: from a clean checkout to a running demonstration.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{process, setup};

/// The profile of the build, and its folder below `target`: it leaves those of tests alone.
const PROFILE: &str = "demo";
/// What one core needs for a first build, and a sixth for cores that wait for each other.
const BUILD_CORE_SECONDS: u64 = 360;
/// Bytes of a build, about.
const BUILD_MIB: u64 = 800;
/// Beyond this many cores crates wait for each other.
const CORES_USED_MAX: u64 = 8;
/// How often it is said that it goes on.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);

/// Builds the binary, and becomes `bellwire demo`, so that signals reach it directly.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    setup::c_compiler()?;
    let binary = workspace.target.join(PROFILE).join("bellwire");
    if !binary.exists() {
        let cores = available_parallelism().map_or(1, |cores| cores.get() as u64);
        println!("{}", announcement(cores));
    }
    let start = now();
    let (ended, goes_on) = sync_channel::<()>(0);
    let progress = thread::spawn(move || {
        while goes_on.recv_timeout(PROGRESS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            println!("   … {}", text(start.elapsed()));
        }
    });
    let arguments_of_build = ["build", "--profile", PROFILE, "--locked", "-p", "bellwire"];
    let built = process::run(&mut process::cargo(&arguments_of_build));
    drop(ended);
    progress.join().expect("it only waits and prints");
    built.context("the demo was not built")?;
    println!("   built in {}", text(start.elapsed()));
    println!("Starting `bellwire demo {}`; Ctrl-C ends it.", arguments.join(" "));
    let error = Command::new(&binary).arg("demo").args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", binary.display()))
}

fn announcement(cores: u64) -> String {
    let cores = cores.clamp(1, CORES_USED_MAX);
    let time = text(Duration::from_secs(BUILD_CORE_SECONDS / cores));
    format!(
        "Building Bellwire for the demo, once: about {time} on this machine, {BUILD_MIB} MB below \
         target/{PROFILE}.\nCargo names each crate as it begins; later starts take a second."
    )
}

fn text(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {:02} s", seconds % 60),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a build takes is for people to see")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_announced_for_the_cores_there_are() {
        for (cores, expected) in [(0, "6 min 00 s"), (2, "3 min 00 s"), (64, "45 s")] {
            assert!(announcement(cores).contains(expected), "{}", announcement(cores));
        }
    }
}
