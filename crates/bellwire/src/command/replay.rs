//! `bellwire replay`: what other rules would have done.

mod report;
mod test_file;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwire_rules::replay::{Outcome, Piece, Replay, Stretch};
use bellwire_rules::{RuleMode, RuleSet, Settings, load_in};
use bellwire_server::{RecordReader, RuleFileText, RuleFiles, read_rule_files, rule_settings};

use self::report::Report;
use self::test_file::Order;
use super::serve::{SettingFlags, load, refusal};
use super::stretch::StretchFlags;
use crate::output::{self, AlreadyTold};

const EXAMPLES: &str = "\
Examples:
  bellwire record incident.record --data bellwire-data --from 2h
  bellwire replay incident.record --rules 'new/*.yml'
  bellwire replay incident.record --rules new.yml --from 2026-11-29T10:00:00Z --json
  bellwire replay incident.record --rules new.yml --test new_test.yml
";

/// What `replay` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A record that `bellwire record` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The other rules: rule files, or patterns of them.
    #[arg(long, value_name = "RULES", num_args = 1.., required_unless_present = "config")]
    rules: Vec<String>,
    /// Configuration file: how rules are evaluated, what templates name, and rules where none are given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    stretch: StretchFlags,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
    /// Write a test of `promtool test rules` that has what the rules would have done; there must be no
    /// such file.
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// How far apart the ticks of the test are, such as 15s; without it as far as its length asks.
    #[arg(long, value_name = "DURATION", requires = "test", value_parser = super::token::duration)]
    test_interval: Option<Duration>,
    /// Fail where anything differs.
    #[arg(long)]
    exit_code: bool,
}

/// The other rules, and how a server would evaluate them.
struct Rules {
    files: Vec<RuleFileText>,
    set: RuleSet,
    settings: Settings,
}

/// Fails if the record or the rules cannot be read; and where that is asked for, if anything differs.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let rules = Rules::load(arguments)?;
    let stretch = arguments.stretch.stretch()?;
    let outcome = replayed(&arguments.file, &rules, stretch)?;
    let mut report = Report::of(&arguments.file, rules.set.len(), &outcome);
    if let Some(path) = &arguments.test {
        let files: Vec<_> = rules.files.iter().map(RuleFileText::as_file).collect();
        let order = Order {
            record: &arguments.file,
            rules: &files,
            outcome: &outcome,
            stretch,
            interval: arguments.test_interval,
        };
        report.add_test(path, test_file::write(path, &order)?);
    }
    output::line(&if arguments.json { report.json() } else { report.text() })?;
    if arguments.exit_code && report.differs() { Err(AlreadyTold.into()) } else { Ok(()) }
}

impl Rules {
    fn load(arguments: &Arguments) -> Result<Self> {
        let (mut patterns, mut mode) = (arguments.rules.clone(), RuleMode::default());
        let mut settings = Settings::default();
        if let Some(path) = &arguments.config {
            let config = load(Some(path), &SettingFlags::default()).map_err(refusal)?;
            mode = config.rule_mode;
            settings = rule_settings(&config);
            if patterns.is_empty() {
                patterns = config.rules;
            }
        }
        let RuleFiles { files: texts, unmatched } = read_rule_files(&patterns)?;
        if let Some(pattern) = unmatched.first() {
            bail!("no rule file matches `{pattern}`");
        }
        let files: Vec<_> = texts.iter().map(RuleFileText::as_file).collect();
        let set = load_in(&files, mode).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the rules are not valid:\n  {}", errors.join("\n  "))
        })?;
        if set.is_empty() {
            bail!("there are no rules: name some with `--rules`");
        }
        Ok(Self { files: texts, set, settings })
    }
}

fn replayed(path: &Path, rules: &Rules, stretch: Stretch) -> Result<Outcome> {
    let mut replay = Replay::new(rules.set.clone(), rules.settings.clone(), stretch);
    each_piece(path, |piece| {
        replay.read(piece)?;
        Ok(!replay.is_done())
    })?;
    replay.finish().with_context(|| path.display().to_string())
}

/// Takes the pieces of a record, until it says that it has enough.
fn each_piece(path: &Path, mut take: impl FnMut(Piece<'_>) -> Result<bool>) -> Result<()> {
    let shown = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let metadata = file.metadata().with_context(|| format!("cannot read {shown}"))?;
    if !metadata.is_file() {
        bail!(
            "{shown} is no file: how long a record is says whether it is whole, so write it to one"
        );
    }
    let length = metadata.len();
    let mut reader =
        RecordReader::open(BufReader::new(file), length).with_context(|| shown.clone())?;
    loop {
        let at = reader.at();
        let Some(piece) = reader.next_piece().with_context(|| shown.clone())? else {
            return Ok(());
        };
        if !take(piece).with_context(|| format!("{shown}, byte {at}"))? {
            return Ok(());
        }
    }
}
