//! Programs that come in the version that tests need from Go's own tool alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process;

/// Prometheus 3.16: those of systems' packages are too old to send remote write 2.0.
const PROMETHEUS: &str = "github.com/prometheus/prometheus/cmd/prometheus";
const PROMETHEUS_VERSION: &str = "v0.316.0";
/// Leaves out what finds targets in clouds, most of the build.
const PROMETHEUS_TAGS: &str = "remove_all_sd";
const PROMETHEUS_VARIABLE: &str = "PROMETHEUS3_BIN";

/// A Prometheus 3, by the variable that tells tests of it: the one that the variable names already,
/// or one that is built once, in two minutes of two cores. Without Go tests that need it say that
/// they are skipped.
pub(crate) fn prometheus_3(folder: &Path) -> Result<Option<(String, PathBuf)>> {
    let found = |path| Ok(Some((PROMETHEUS_VARIABLE.to_owned(), path)));
    if let Some(path) = std::env::var_os(PROMETHEUS_VARIABLE) {
        return found(path.into());
    }
    let path = folder.join(format!("prometheus-{PROMETHEUS_VERSION}"));
    if !path.exists() {
        if process::find_on_path(&["go"]).is_none() {
            println!("   there is no Go: tests with Prometheus 3 are skipped");
            return Ok(None);
        }
        println!("   Prometheus 3 is built, once; this takes some minutes");
        if let Err(error) = build(folder, &path) {
            println!("   {error:#}: tests with Prometheus 3 are skipped");
            return Ok(None);
        }
    }
    println!("   prometheus 3: {}", path.display());
    found(path)
}

fn build(folder: &Path, path: &Path) -> Result<()> {
    let bin = folder.join("go");
    let package = format!("{PROMETHEUS}@{PROMETHEUS_VERSION}");
    let mut install = Command::new("go");
    install.args(["install", "-tags", PROMETHEUS_TAGS, &package]).env("GOBIN", &bin);
    process::run(&mut install)?;
    fs::rename(bin.join("prometheus"), path)?;
    Ok(())
}
