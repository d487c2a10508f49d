//! Rule files to rules: all of them, or every error with its file, line and column.

mod group;
mod source;
pub(crate) mod yaml;

use std::sync::Arc;

use bellwire_model::limits::{RULE_FILE_BYTES_MAX, RULES_MAX};
use bellwire_model::{LabelsError, NameMap, NameSet, RuleName};
use thiserror::Error;

use self::source::Source;
use crate::expression::ExpressionReason;
use crate::patterns::Patterns;
use crate::rule::{Group, RuleMode, RuleSet};
use crate::template::{Template, TemplateError, TemplateReason};

/// A rule file that has been read.
#[derive(Clone, Copy, Debug)]
pub struct RuleFile<'a> {
    /// Its name, for errors and for [`RuleName`](bellwire_model::RuleName).
    pub name: &'a str,
    /// Its content: a Prometheus rule file, or a Kubernetes object of kind `PrometheusRule`.
    pub text: &'a str,
}

/// Why a rule file is refused, and where.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct LoadError {
    /// The file's name.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The rule that it stands in, if that has a name.
    pub rule: Option<Arc<RuleName>>,
    /// Why.
    #[source]
    pub reason: Reason,
}

/// Why a rule file is refused.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// More bytes than [`RULE_FILE_BYTES_MAX`].
    #[error("a rule file has at most {RULE_FILE_BYTES_MAX} bytes, this one has {bytes}")]
    FileTooLong {
        /// The bytes found.
        bytes: usize,
    },
    /// More rules than [`RULES_MAX`].
    #[error("all files together have at most {RULES_MAX} rules")]
    TooManyRules,
    /// No YAML.
    #[error("{text}")]
    Yaml {
        /// What the YAML parser says.
        text: Box<str>,
    },
    /// A value of another kind than the field has.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What belongs here.
        expected: &'static str,
        /// What stands here.
        found: &'static str,
    },
    /// A field that does not exist.
    #[error("unknown field `{name}` in {within}")]
    UnknownField {
        /// Its name.
        name: Box<str>,
        /// What it stands in.
        within: &'static str,
    },
    /// A field twice.
    #[error("`{name}` stands twice")]
    FieldTwice {
        /// Its name.
        name: Box<str>,
    },
    /// A field that must be there.
    #[error("{within} has the field `{name}`")]
    FieldMissing {
        /// Its name.
        name: &'static str,
        /// What it belongs in.
        within: &'static str,
    },
    /// A group's name twice in one file.
    #[error("the group `{name}` stands twice in this file")]
    GroupTwice {
        /// Its name.
        name: Box<str>,
    },
    /// Neither `alert` nor `record`.
    #[error("a rule has the field `alert` or `record`")]
    NoName,
    /// Both `alert` and `record`.
    #[error("a rule has `alert` or `record`, not both")]
    AlertAndRecord,
    /// A field of alerting rules in a recording rule.
    #[error("`{name}` is for rules with `alert`")]
    OnlyForAlerts {
        /// Its name.
        name: &'static str,
    },
    /// An empty name.
    #[error("this name is empty")]
    EmptyName,
    /// No duration.
    #[error("`{text}` is no duration; write it as `5m`, `1h30m` or `250ms`")]
    Duration {
        /// What stands there.
        text: Box<str>,
    },
    /// A number that is not whole or is negative.
    #[error("`{text}` is no whole number")]
    Whole {
        /// What stands there.
        text: Box<str>,
    },
    /// Something that is none of the values of a field.
    #[error("`{text}` is none of {choices}")]
    Choice {
        /// What stands there.
        text: Box<str>,
        /// What may stand there.
        choices: &'static str,
    },
    /// A label that rules cannot set.
    #[error("the label `{name}` is the metric's name, which labels cannot set")]
    ReservedLabel {
        /// Its name.
        name: Box<str>,
    },
    /// Labels or annotations that break a bound.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The expression.
    #[error(transparent)]
    Expression(#[from] ExpressionReason),
    /// A label or annotation is no template.
    #[error(transparent)]
    Template(#[from] TemplateReason),
}

/// How rule files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoadAs {
    pub(crate) scope: Scope,
    /// How rules are evaluated where their group does not say.
    pub(crate) mode: RuleMode,
    pub(crate) unknown_fields: UnknownFields,
}

/// Which expressions rules may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those whose samples a server keeps.
    Server,
    /// All that can be evaluated, since tests know every sample beforehand.
    Tests,
}

/// What becomes of fields that rule files do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFields {
    /// They are errors.
    Refused,
    /// They are passed over.
    Ignored,
}

/// Loads rule files: all of them, or every error found, in the order of the files.
pub fn load(files: &[RuleFile<'_>]) -> Result<RuleSet, Vec<LoadError>> {
    load_in(files, RuleMode::Stream)
}

/// Loads rule files; groups that do not say how they are evaluated are in a mode.
pub fn load_in(files: &[RuleFile<'_>], mode: RuleMode) -> Result<RuleSet, Vec<LoadError>> {
    let (set, errors) = inspect(files, mode);
    if errors.is_empty() { Ok(set) } else { Err(errors) }
}

/// Reads rule files for a report on them: the rules that are fine, and every error.
pub fn inspect(files: &[RuleFile<'_>], mode: RuleMode) -> (RuleSet, Vec<LoadError>) {
    let unknown_fields = UnknownFields::Refused;
    inspect_as(files, LoadAs { scope: Scope::Server, mode, unknown_fields })
}

pub(crate) fn inspect_as(files: &[RuleFile<'_>], reading: LoadAs) -> (RuleSet, Vec<LoadError>) {
    let mut set = RuleSet::default();
    let mut errors = Vec::new();
    let mut rules_left = RULES_MAX;
    let mut known = Known::new();
    for file in files {
        let mut loader = Loader::new(Source::new(file), reading, rules_left);
        loader.known = known;
        loader.file();
        known = loader.known;
        rules_left = loader.rules_left;
        set.groups.append(&mut loader.groups);
        // What a rule as a whole lacks is found after what is wrong further down in it.
        loader.errors.sort_by_key(|error| (error.line, error.column));
        errors.append(&mut loader.errors);
    }
    (set, errors)
}

/// What rules so far have, which others may have too: it is read once, and they share it.
struct Known {
    patterns: Patterns,
    templates: NameMap<Box<str>, Template>,
}

impl Known {
    fn new() -> Self {
        Self { patterns: Patterns::of_rules(), templates: NameMap::default() }
    }

    fn template(&mut self, text: &str) -> Result<Template, TemplateError> {
        if let Some(known) = self.templates.get(text) {
            return Ok(known.clone());
        }
        let template = Template::parse(text)?;
        self.templates.insert(text.into(), template.clone());
        Ok(template)
    }
}

/// Loads one file.
struct Loader<'a> {
    source: Source<'a>,
    reading: LoadAs,
    groups: Vec<Group>,
    group_names: NameSet<Arc<str>>,
    known: Known,
    errors: Vec<LoadError>,
    rules_left: usize,
}

impl<'a> Loader<'a> {
    fn new(source: Source<'a>, reading: LoadAs, rules_left: usize) -> Self {
        Self {
            source,
            reading,
            groups: Vec::new(),
            group_names: NameSet::default(),
            known: Known::new(),
            errors: Vec::new(),
            rules_left,
        }
    }

    fn file(&mut self) {
        let bytes = self.source.text().len();
        if bytes > RULE_FILE_BYTES_MAX {
            return self.refuse(0, Reason::FileTooLong { bytes });
        }
        match yaml::read(self.source.text()) {
            Ok(documents) => documents.iter().for_each(|document| self.document(document)),
            Err((offset, text)) => self.refuse(offset, Reason::Yaml { text: text.into() }),
        }
    }

    fn refuse(&mut self, offset: usize, reason: Reason) {
        let (line, column) = self.source.line_and_column(offset);
        let file = self.source.file();
        self.errors.push(LoadError { file, line, column, rule: None, reason });
    }
}
