//! What was found: rules with what becomes of each, and everything that is wrong.

use std::error::Error;

use bellwire_model::RuleName;
use bellwire_rules::{Cost, LoadError, Rule, RuleMode};
use bellwire_server::{AlertmanagerConfigError, ConfigError, RuleFileText, RuleFilesError};
use serde::Serialize;

use super::cost::CostReport;

/// The outcome of a check; its JSON is for programs to rely on.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    rules: Vec<RuleReport>,
    errors: Vec<Problem>,
    /// What a server would start with, and say.
    warnings: Vec<String>,
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
        for said in cost.as_ref().map(CostReport::text).iter().chain(reason) {
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
        let reason = with_causes(error);
        self.errors.push(Problem { file: "rules".into(), line: None, column: None, reason });
    }

    /// Patterns that no file matches: wrong where that is all that was asked for.
    pub(super) fn add_unmatched(&mut self, patterns: &[String], source: Source) {
        for pattern in patterns {
            let text = format!("no rule file matches `{pattern}`");
            match source {
                Source::CommandLine => self.errors.push(Problem {
                    file: "rules".into(),
                    line: None,
                    column: None,
                    reason: text,
                }),
                Source::Configuration => self.warnings.push(text),
            }
        }
    }

    pub(super) fn add_alertmanager_config(&mut self, error: &AlertmanagerConfigError) {
        let AlertmanagerConfigError::Content { path, errors } = error else {
            let (file, reason) = ("alertmanager_config".into(), with_causes(error));
            return self.errors.push(Problem { file, line: None, column: None, reason });
        };
        self.errors.extend(errors.iter().map(|error| Problem {
            file: path.display().to_string(),
            line: Some(error.line),
            column: Some(error.column),
            reason: error.reason.to_string(),
        }));
    }

    /// Every rule, those that are fine first; and every error, with its place.
    pub(super) fn add_rules(&mut self, files: &[RuleFileText], mode: RuleMode) {
        let files: Vec<_> = files.iter().map(RuleFileText::as_file).collect();
        let (set, errors) = bellwire_rules::inspect(&files, mode);
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
        lines.extend(self.warnings.iter().map(|warning| format!("warning {warning}")));
        lines.extend(self.errors.iter().map(|error| format!("error   {}", error.text())));
        let rules = self.rules.len();
        lines.push(format!("{rules} rules, {} errors", self.errors.len()));
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
