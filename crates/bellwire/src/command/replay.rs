//! `bellwire replay`: what other rules would have done.

mod report;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bellwire_rules::replay::{Outcome, Replay, Stretch};
use bellwire_rules::{RuleMode, RuleSet, Settings, load_in};
use bellwire_server::{RecordReader, RuleFileText, RuleFiles, read_rule_files, rule_settings};

use self::report::Report;
use super::serve::{SettingFlags, load, refusal};
use super::stretch::StretchFlags;
use crate::output::{self, AlreadyTold};

const EXAMPLES: &str = "\
Examples:
  bellwire record incident.record --data bellwire-data --from 2h
  bellwire replay incident.record --rules 'new/*.yml'
  bellwire replay incident.record --rules new.yml --from 2026-11-29T10:00:00Z --json
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
    /// Fail where anything differs.
    #[arg(long)]
    exit_code: bool,
}

/// The other rules, and how a server would evaluate them.
struct Rules {
    set: RuleSet,
    settings: Settings,
}

/// Fails if the record or the rules cannot be read; and where that is asked for, if anything differs.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let rules = Rules::load(arguments)?;
    let stretch = arguments.stretch.stretch()?;
    let report =
        Report::of(&arguments.file, rules.set.len(), replayed(&arguments.file, rules, stretch)?);
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
        let RuleFiles { files, unmatched } = read_rule_files(&patterns)?;
        if let Some(pattern) = unmatched.first() {
            bail!("no rule file matches `{pattern}`");
        }
        let files: Vec<_> = files.iter().map(RuleFileText::as_file).collect();
        let set = load_in(&files, mode).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the rules are not valid:\n  {}", errors.join("\n  "))
        })?;
        if set.is_empty() {
            bail!("there are no rules: name some with `--rules`");
        }
        Ok(Self { set, settings })
    }
}

fn replayed(path: &Path, rules: Rules, stretch: Stretch) -> Result<Outcome> {
    let shown = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let length = file.metadata().with_context(|| format!("cannot read {shown}"))?.len();
    let mut reader =
        RecordReader::open(BufReader::new(file), length).with_context(|| shown.clone())?;
    let mut replay = Replay::new(rules.set, rules.settings, stretch);
    loop {
        let at = reader.at();
        let Some(piece) = reader.next_piece().with_context(|| shown.clone())? else { break };
        replay.read(piece).with_context(|| format!("{shown}, byte {at}"))?;
        if replay.is_done() {
            break;
        }
    }
    replay.finish().context(shown)
}
