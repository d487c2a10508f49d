//! What was found: rules with what becomes of each, and everything that is wrong.

use std::error::Error;
use std::path::Path;

use bellwire_model::RuleName;
use bellwire_rules::{Cost, LoadError, Rule, RuleFile, RuleMode};
use bellwire_server::config::Engine;
use bellwire_server::{
    AlertmanagerConfig, AlertmanagerConfigError, Config, ConfigError, CostReport, NOBODY_COMES_IN,
    Reach, RuleFileText, RuleFilesError, check_access, check_tls,
};
use serde::Serialize;

use super::cost;
use crate::output::counted;

/// The outcome of a check; its JSON is for programs to rely on.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    rules: Vec<RuleReport>,
    /// Alertmanager's configuration, where there is one that is valid.
    alertmanager_config: Option<AlertmanagerReport>,
    errors: Vec<Problem>,
    /// What a server would start with, and say.
    warnings: Vec<String>,
}

/// What Alertmanager's configuration has.
#[derive(Debug, Serialize)]
struct AlertmanagerReport {
    file: String,
    routes: usize,
    receivers: usize,
    webhooks: usize,
    inhibition_rules: usize,
}

impl AlertmanagerReport {
    fn new(path: &Path, config: &AlertmanagerConfig) -> Self {
        Self {
            file: path.display().to_string(),
            routes: config.routes.count(),
            receivers: config.receivers.len(),
            webhooks: config.receivers.iter().map(|receiver| receiver.webhooks.len()).sum(),
            inhibition_rules: config.inhibition.len(),
        }
    }

    fn text(&self) -> String {
        let Self { file, routes, receivers, webhooks, inhibition_rules } = self;
        let counts = [
            counted(*routes as u64, "route"),
            counted(*receivers as u64, "receiver"),
            counted(*webhooks as u64, "webhook"),
            counted(*inhibition_rules as u64, "inhibition rule"),
        ];
        format!("fine    {file}: {}", counts.join(", "))
    }
}

/// A rule and what becomes of it.
#[derive(Debug, Serialize)]
struct RuleReport {
    file: String,
    group: String,
    name: String,
    mode: Mode,
    /// Why it has this mode; nothing where there is nothing to say.
    reason: Option<String>,
    /// What it costs, unless it is refused.
    cost: Option<CostReport>,
}

impl RuleReport {
    fn fine(rule: &Rule) -> Self {
        let (mode, reason) = match &rule.mode {
            bellwire_rules::Mode::Stream => (Mode::Stream, None),
            bellwire_rules::Mode::Tick(reason) => (Mode::Tick, Some(reason.to_string())),
        };
        let cost = CostReport::new(&Cost::of(rule));
        Self { cost: Some(cost), ..Self::new(&rule.name, mode, reason) }
    }

    fn refused(name: &RuleName, reason: String) -> Self {
        Self::new(name, Mode::Refused, Some(reason))
    }

    fn new(name: &RuleName, mode: Mode, reason: Option<String>) -> Self {
        let RuleName { file, group, alert } = name;
        let (file, group, name) = (file.to_string(), group.to_string(), alert.to_string());
        Self { file, group, name, mode, reason, cost: None }
    }

    /// The mode, the rule, what it costs, and why where there is something to say. Why a rule is
    /// refused stands among the errors.
    fn text(&self) -> String {
        let Self { file, group, name, mode, reason, cost } = self;
        let mut text = format!("{:<8}{file}:{group}:{name}", mode.as_str());
        if *mode == Mode::Refused {
            return text;
        }
        for said in cost.as_ref().map(cost::text).iter().chain(reason) {
            text.push_str(": ");
            text.push_str(said);
        }
        text
    }
}

/// How a rule is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// As each sample arrives.
    Stream,
    /// At each interval of its group.
    Tick,
    /// Not at all.
    Refused,
}

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Tick => "tick",
            Self::Refused => "refused",
        }
    }
}

/// Something wrong, and where. What is not in a file has a flag's or a variable's name for it.
#[derive(Debug, Serialize)]
struct Problem {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    reason: String,
}

impl Problem {
    fn at(place: &str, reason: String) -> Self {
        let mut parts = place.rsplitn(3, ':');
        let numbers = (parts.next().map(str::parse), parts.next().map(str::parse));
        match (numbers, parts.next()) {
            ((Some(Ok(column)), Some(Ok(line))), Some(file)) => {
                Self { file: file.into(), line: Some(line), column: Some(column), reason }
            }
            _ => Self { file: place.into(), line: None, column: None, reason },
        }
    }

    fn text(&self) -> String {
        let Self { file, line, column, reason } = self;
        match (line, column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}: {reason}"),
            _ => format!("{file}: {reason}"),
        }
    }
}

impl From<&LoadError> for Problem {
    fn from(error: &LoadError) -> Self {
        Self {
            file: error.file.to_string(),
            line: Some(error.line),
            column: Some(error.column),
            reason: error.reason.to_string(),
        }
    }
}

impl Report {
    /// With what the environment holds that a server passes over.
    pub(super) fn of_environment(warnings: Vec<String>) -> Self {
        Self { warnings, ..Self::default() }
    }

    pub(super) fn add_configuration(&mut self, errors: &[ConfigError]) {
        let problems = errors.iter().map(|error| Problem::at(&error.place, error.reason.clone()));
        self.errors.extend(problems);
    }

    pub(super) fn add_unreadable(&mut self, error: &RuleFilesError) {
        self.add("rules", with_causes(error));
    }

    /// Patterns that no file matches: wrong where that is all that was asked for.
    pub(super) fn add_unmatched(&mut self, patterns: &[String], source: Source) {
        for pattern in patterns {
            let text = format!("no rule file matches `{pattern}`");
            match source {
                Source::CommandLine => self.add("rules", text),
                Source::Configuration => self.warnings.push(text),
            }
        }
    }

    /// What a start looks at beside rules and Alertmanager's configuration: whom it lets in, the
    /// certificate with its key, and whether there can be a data directory.
    pub(super) fn add_files(&mut self, config: &Config) {
        if let Err(exposed) = config.check_exposure() {
            self.add("listen", exposed.to_string());
        }
        match check_tls(config) {
            Ok(warning) => self.warnings.extend(warning),
            Err(error) => self.add("tls_certificate", with_causes(&error)),
        }
        if let Some(access) = &config.access {
            if let Err(error) = check_access(access) {
                self.add("access", with_causes(&error));
            }
            self.warnings.extend(access.lets_in_nobody().then(|| NOBODY_COMES_IN.to_owned()));
        }
        if config.journal == Engine::Disk
            && let Some(file) = bellwire_journal::in_the_way(&config.data)
        {
            let (data, file) = (config.data.display(), file.display());
            self.add("data", format!("{data} cannot be a directory: {file} is none"));
        }
    }

    /// Something wrong that has no place in a file.
    fn add(&mut self, what: &str, reason: String) {
        self.errors.push(Problem { file: what.into(), line: None, column: None, reason });
    }

    pub(super) fn add_alertmanager_config(
        &mut self,
        path: &Path,
        loaded: Result<AlertmanagerConfig, AlertmanagerConfigError>,
        reach: &Reach,
    ) {
        match loaded {
            Ok(config) => {
                let file = path.display();
                let complaints = reach.complaints(&config).into_iter();
                self.warnings.extend(complaints.map(|complaint| format!("{file}: {complaint}")));
                self.alertmanager_config = Some(AlertmanagerReport::new(path, &config));
            }
            Err(AlertmanagerConfigError::Content { path, errors }) => {
                self.errors.extend(errors.iter().map(|error| Problem {
                    file: path.display().to_string(),
                    line: Some(error.line),
                    column: Some(error.column),
                    reason: error.reason.to_string(),
                }));
            }
            Err(error) => self.add("alertmanager_config", with_causes(&error)),
        }
    }

    /// Every rule, those that are fine first; and every error, with its place.
    pub(super) fn add_rules(&mut self, files: &[RuleFileText], mode: RuleMode) {
        let files: Vec<_> = files.iter().map(RuleFileText::as_file).collect();
        let (set, errors) = bellwire_rules::inspect(&files, mode);
        for RuleFile { name, .. } in &files {
            let has_rules =
                set.groups().iter().any(|group| *group.file == **name && !group.rules.is_empty());
            if !has_rules && errors.iter().all(|error| *error.file != **name) {
                self.warnings.push(format!("{name} has no rules"));
            }
        }
        let fine = set.groups().iter().flat_map(|group| &group.rules);
        self.rules.extend(fine.map(RuleReport::fine));
        let mut refused: Option<&RuleName> = None;
        for error in &errors {
            self.errors.push(Problem::from(error));
            // A rule may have several errors, one after the other: the first is its reason.
            let Some(name) = error.rule.as_deref().filter(|name| refused != Some(name)) else {
                continue;
            };
            refused = Some(name);
            let LoadError { line, column, reason, .. } = error;
            let reason = format!("{line}:{column}: {reason}");
            self.rules.push(RuleReport::refused(name, reason));
        }
    }

    pub(super) fn error_count(&self) -> usize {
        self.errors.len()
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are JSON")
    }

    /// A line for each rule and each error.
    pub(super) fn text(&self) -> String {
        let mut lines: Vec<String> = self.rules.iter().map(RuleReport::text).collect();
        lines.extend(self.alertmanager_config.as_ref().map(AlertmanagerReport::text));
        lines.extend(self.warnings.iter().map(|warning| format!("warning {warning}")));
        lines.extend(self.errors.iter().map(|error| format!("error   {}", error.text())));
        let (rules, errors) = (self.rules.len() as u64, self.errors.len() as u64);
        lines.push(format!("{}, {}", counted(rules, "rule"), counted(errors, "error")));
        lines.join("\n")
    }
}

/// Where patterns of rule files come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    CommandLine,
    Configuration,
}

/// An error with its causes: they say why a file cannot be read.
fn with_causes(error: &dyn Error) -> String {
    let mut reasons = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        reasons.push(error.to_string());
        cause = error.source();
    }
    reasons.join(": ")
}
