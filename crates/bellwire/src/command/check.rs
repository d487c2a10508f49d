//! `bellwire check`: is the configuration valid, and what becomes of each rule? Do tests of rules
//! pass, and is `PromQL` evaluated as it must be?

mod cost;
mod queries;
mod report;
mod scripts;
mod tests;

use std::path::PathBuf;

use anyhow::{Result, bail};
use bellwire_rules::ruletest::Engines;
use bellwire_rules::{RuleMode, UnknownFields};
use bellwire_server::{Reach, RuleFiles, load_alertmanager_config, read_rule_files};

use self::queries::QueriesReport;
use self::report::{Report, Source};
use self::scripts::ScriptsReport;
use self::tests::TestsReport;
use super::serve::{SettingFlags, load, passed_over};
use crate::output::{self, AlreadyTold};

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration file; the environment is checked too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
    /// Alertmanager's configuration file, in place of the one that the configuration names.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["test", "promqltest"])]
    alertmanager_config: Option<PathBuf>,
    /// Run tests of rules, in the format of `promtool test rules`.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["config", "rules"])]
    test: Vec<PathBuf>,
    /// Pass over fields that rule files do not have, when tests are run.
    #[arg(long, requires = "test")]
    ignore_unknown_fields: bool,
    /// How tests are evaluated: at each tick as promtool does it, as samples arrive as a server does it,
    /// or both, which must agree with what is expected.
    #[arg(long, value_enum, value_name = "ENGINE", requires = "test", default_value = "both")]
    engine: Engine,
    /// Run scripts in the language of Prometheus' own tests of `PromQL`.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["config", "rules", "test"])]
    promqltest: Vec<PathBuf>,
    /// Say whether expressions may be followed by `query=`, and what that costs.
    #[arg(long, value_name = "EXPRESSION", num_args = 1.., conflicts_with_all = ["config", "rules", "test", "promqltest"])]
    query: Vec<String>,
    /// Rule files, or patterns of them, in place of those that the configuration names.
    #[arg(value_name = "RULES")]
    rules: Vec<String>,
}

/// How tests are evaluated.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Engine {
    Ticks,
    Stream,
    Both,
}

/// Fails if anything is wrong or not supported.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.test.is_empty() {
        return run_tests(arguments);
    }
    if !arguments.promqltest.is_empty() {
        return run_scripts(arguments);
    }
    if !arguments.query.is_empty() {
        return run_queries(arguments);
    }
    let mut report = Report::of_environment(passed_over());
    let mut patterns = arguments.rules.clone();
    let source = if patterns.is_empty() { Source::Configuration } else { Source::CommandLine };
    let mut mode = RuleMode::default();
    let mut reach = Reach::default();
    let mut alertmanager_config = arguments.alertmanager_config.clone();
    match load(arguments.config.as_deref(), &SettingFlags::default()) {
        Ok(config) => {
            report.add_files(&config);
            mode = config.rule_mode;
            reach = Reach::of_webhooks(config.webhook_networks());
            alertmanager_config = alertmanager_config.or(config.alertmanager_config);
            if patterns.is_empty() {
                patterns = config.rules;
            }
        }
        Err(errors) => report.add_configuration(&errors),
    }
    if report.error_count() == 0
        && patterns.iter().all(String::is_empty)
        && arguments.config.is_none()
        && alertmanager_config.is_none()
    {
        bail!(
            "there is nothing to check: name rule files, or a configuration with `--config FILE`"
        );
    }
    match read_rule_files(&patterns) {
        Ok(RuleFiles { files, unmatched }) => {
            report.add_unmatched(&unmatched, source);
            report.add_rules(&files, mode);
        }
        Err(error) => report.add_unreadable(&error),
    }
    if let Some(path) = &alertmanager_config {
        report.add_alertmanager_config(path, load_alertmanager_config(Some(path)), &reach);
    }
    let text = if arguments.json { report.json() } else { report.text() };
    output::line(&text)?;
    tell(report.error_count())
}

/// Fails if a test does.
fn run_tests(arguments: &Arguments) -> Result<()> {
    let unknown_fields = if arguments.ignore_unknown_fields {
        UnknownFields::Ignored
    } else {
        UnknownFields::Refused
    };
    let engines = match arguments.engine {
        Engine::Ticks => Engines::Ticks,
        Engine::Stream => Engines::Stream,
        Engine::Both => Engines::Both,
    };
    let report = TestsReport::of(&arguments.test, unknown_fields, engines)?;
    output::line(&if arguments.json { report.json() } else { report.text() })?;
    tell(report.failed())
}

/// Fails if one of them may not be followed.
fn run_queries(arguments: &Arguments) -> Result<()> {
    let report = QueriesReport::of(&arguments.query);
    output::line(&if arguments.json { report.json() } else { report.text() })?;
    tell(report.refused())
}

/// Fails if a check does; one that asks for what is not supported is told, and no failure.
fn run_scripts(arguments: &Arguments) -> Result<()> {
    let report = ScriptsReport::of(&arguments.promqltest)?;
    output::line(&if arguments.json { report.json() } else { report.text() })?;
    tell(report.failed())
}

/// Each error, and how many there are, stands in what was printed.
fn tell(failed: usize) -> Result<()> {
    if failed > 0 { Err(AlreadyTold.into()) } else { Ok(()) }
}
