//! One result: what was measured, on what, and how to measure it again.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::date;
use super::machine::{self, Machine};
use super::number::grouped;
use super::target::{self, Target};
use crate::Print;
use crate::histogram::Histogram;
use crate::system::SystemFlags;

/// Where results go.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OutputFlags {
    /// Print each result as a line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Append each result to this file as well, as a line of JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where something cannot be measured, keep the reason as a result, and do not fail.
    #[arg(long, requires = "out")]
    note_failure: bool,
}

/// What was so before it became a parameter.
const DEFAULTS: &[(&str, &str)] = &[("system", "bellwire"), ("transport", "sse"), ("tls", "false")];

/// A result as it is kept: one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) workload: String,
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    pub(crate) command: String,
    pub(crate) parameters: Map<String, Value>,
    /// Numbers; their names end with their unit.
    pub(crate) figures: Map<String, Value>,
    /// Why there are no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_measured: Option<String>,
}

impl Record {
    /// A result of this run, without parameters and figures yet.
    pub(crate) fn new(workload: &str) -> Self {
        Self {
            workload: workload.to_owned(),
            date: date::today(),
            commit: machine::commit(),
            machine: Machine::this(),
            command: command(std::env::args().skip(1)),
            parameters: Map::new(),
            figures: Map::new(),
            not_measured: None,
        }
    }

    /// A result of this run with a push system.
    pub(crate) fn of_system(workload: &str, flags: &SystemFlags) -> Self {
        Self::new(workload)
            .parameter("system", flags.system.as_str())
            .parameter("transport", flags.transport.as_str())
            .parameter("tls", flags.tls)
            .parameter("durability", flags.server.durability_text(flags.durability))
    }

    pub(crate) fn parameter(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a figure, rounded to what is meaningful.
    pub(crate) fn figure(mut self, name: &str, value: f64) -> Self {
        self.figures.insert(name.to_owned(), rounded(value).into());
        self
    }

    /// Adds a figure where there is one.
    pub(crate) fn maybe_figure(self, name: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.figure(name, value),
            None => self,
        }
    }

    /// Adds the median, the 99th percentile and the longest of durations.
    pub(crate) fn latency(self, name: &str, durations: &Histogram) -> Self {
        self.figure(&format!("{name}_p50_ms"), durations.quantile_ms(0.5))
            .figure(&format!("{name}_p99_ms"), durations.quantile_ms(0.99))
            .figure(&format!("{name}_max_ms"), durations.max_ms())
    }

    /// Adds the CPU time of one of several things, where it was measured.
    pub(crate) fn cpu(self, name: &str, cpu: Option<Duration>, things: f64) -> Self {
        self.maybe_figure(name, cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / things))
    }

    /// A figure's number.
    pub(crate) fn number(&self, figure: &str) -> Option<f64> {
        self.figures.get(figure).and_then(Value::as_f64)
    }

    /// A parameter's text. Results of old lack those that came later.
    pub(crate) fn text(&self, parameter: &str) -> Option<String> {
        let plain =
            |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let added = || DEFAULTS.iter().find(|(name, _)| *name == parameter);
        self.parameters.get(parameter).map(plain).or_else(|| Some(added()?.1.to_owned()))
    }

    /// What one of its figures shall be.
    pub(crate) fn target(&self, figure: &str) -> Option<&'static Target> {
        target::of((&self.workload, figure), |parameter| self.text(parameter))
    }

    /// Measures, prints what was measured, and keeps it where asked to.
    pub(crate) fn complete(
        self,
        flags: &OutputFlags,
        print: Print,
        measure: impl FnOnce(Self) -> Result<Self>,
    ) -> Result<()> {
        let record = match measure(self.clone()) {
            Err(reason) if flags.note_failure => {
                Self { not_measured: Some(format!("{reason:#}")), ..self }
            }
            result => result?,
        };
        record.publish(flags, print)
    }

    /// Prints the result, and keeps it where asked to.
    pub(crate) fn publish(&self, flags: &OutputFlags, print: Print) -> Result<()> {
        let line = serde_json::to_string(self).context("a result is JSON")?;
        let append = |path: &PathBuf| {
            let append = || {
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                file.write_all(format!("{line}\n").as_bytes())
            };
            append().with_context(|| format!("cannot append to {}", path.display()))
        };
        // What cannot be kept was measured all the same, which may have taken long.
        let kept = flags.out.as_ref().map_or(Ok(()), append);
        let text = if flags.json { line } else { self.table() };
        let printed = print(text.trim_end());
        kept.and(printed)
    }

    fn table(&self) -> String {
        let mut table = format!("{}\n", self.workload);
        for name in self.parameters.keys() {
            let value = self.text(name).unwrap_or_default();
            // A text takes all that is written to it.
            let _ = writeln!(table, "  {name:<40}{value:>14}");
        }
        table.push('\n');
        if let Some(reason) = &self.not_measured {
            let _ = writeln!(table, "  not measured: {reason}");
        }
        for (name, value) in &self.figures {
            let value = value.as_f64().unwrap_or_default();
            let verdict = self.target(name).map(|target| target.verdict(value, None));
            let verdict = verdict.unwrap_or_default();
            let line = format!("  {name:<40}{:>14}  {verdict}", grouped(value));
            table.push_str(line.trim_end());
            table.push('\n');
        }
        table
    }
}

/// The command line that measures this again: without what only says where results go.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut command = "bellwire".to_owned();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" | "--note-failure" => {}
            "--out" | "--so-far" => drop(arguments.next()),
            "--engine-url" => {
                let url = arguments.next().unwrap_or_default();
                command.extend([" --engine-url ", &without_secrets(&url)]);
            }
            other if other.starts_with("--out=") || other.starts_with("--so-far=") => {}
            other => {
                let shown = match other.split_once("--engine-url=") {
                    Some(("", url)) => format!("--engine-url={}", without_secrets(url)),
                    _ => other.to_owned(),
                };
                command.extend([" ", &shown]);
            }
        }
    }
    command
}

/// Addresses with commas between, without users and passwords.
fn without_secrets(urls: &str) -> String {
    let bare = |url: &str| {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), url),
        };
        format!("{scheme}{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
    };
    urls.split(',').map(bare).collect::<Vec<_>>().join(",")
}

/// Four digits, or all in front of the point.
fn rounded(value: f64) -> f64 {
    const DIGITS: i32 = 4;
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let decimals = (DIGITS - 1 - value.abs().log10().floor() as i32).max(0);
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn numbers_show_what_is_meaningful() {
        for (value, expected) in [
            (0.0, "0"),
            (0.001_234_56, "0.001235"),
            (3.456_78, "3.457"),
            (99.999, "100"),
            (12_345.678, "12,346"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
            (-123.44, "-123.4"),
        ] {
            assert_eq!(grouped(rounded(value)), expected, "{value}");
        }
    }

    #[test]
    fn the_command_can_be_run_again_anywhere() {
        let arguments =
            "bench publish --out a/b --json --so-far d --batch 100 --out=c --so-far=e".split(' ');
        let command = command(arguments.map(ToOwned::to_owned));
        assert_eq!(command, "bellwire bench publish --batch 100");
    }

    #[test]
    fn an_engines_password_is_kept_nowhere() {
        for (said, kept) in [
            ("--engine-url redis://:s3cret@a:1/0", "--engine-url redis://a:1/0"),
            ("--engine-url=nats://u:s3cr@t@a:1,u:s3cret@b:2", "--engine-url=nats://a:1,b:2"),
            ("--engine-url nats://a:1", "--engine-url nats://a:1"),
        ] {
            let command = command(said.split(' ').map(ToOwned::to_owned));
            assert_eq!(command, format!("bellwire {kept}"));
        }
    }

    #[test]
    fn what_cannot_be_kept_is_printed() {
        static PRINTED: AtomicBool = AtomicBool::new(false);
        let print: Print = |text| {
            PRINTED.store(text.contains("rss_bytes"), Ordering::Relaxed);
            Ok(())
        };
        let flags = OutputFlags { json: false, out: Some("/dev/full".into()), note_failure: false };
        let record = Record::new("idle").figure("rss_bytes", 1.5);
        let error = record.publish(&flags, print).expect_err("there is no room");
        assert!(error.to_string().contains("/dev/full"), "{error}");
        assert!(PRINTED.load(Ordering::Relaxed));
    }

    #[test]
    fn a_record_reads_back() {
        let record = Record::new("idle").parameter("connections", 10).figure("rss_bytes", 1.5);
        let line = serde_json::to_string(&record).expect("JSON");
        assert_eq!(serde_json::from_str::<Record>(&line).expect("a record"), record);
        assert_eq!(record.number("rss_bytes"), Some(1.5));
    }
}
