//! `bellwire check`: is the configuration valid, and what becomes of each rule?

mod report;

use std::path::PathBuf;

use anyhow::{Result, bail};
use bellwire_server::read_rule_files;

use self::report::Report;
use super::serve::{SettingFlags, load};
use crate::output;

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration file; the environment is checked too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
    /// Rule files, or patterns of them, in place of those that the configuration names.
    #[arg(value_name = "RULES")]
    rules: Vec<String>,
}

/// Fails if anything is wrong or not supported.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::default();
    let mut patterns = arguments.rules.clone();
    match load(arguments.config.as_deref(), &SettingFlags::default()) {
        Ok(config) if patterns.is_empty() => patterns = config.rules,
        Ok(_) => {}
        Err(errors) => report.add_configuration(&errors),
    }
    match read_rule_files(&patterns) {
        Ok(files) => report.add_rules(&files),
        Err(error) => report.add_unreadable(&error),
    }
    let text = if arguments.json { report.json() } else { report.text() };
    output::line(&text)?;
    match report.error_count() {
        0 => Ok(()),
        1 => bail!("1 error"),
        count => bail!("{count} errors"),
    }
}
