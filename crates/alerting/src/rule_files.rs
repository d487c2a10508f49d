//! Finding and reading rule files.

use std::io;
use std::path::{Path, PathBuf};

use bellwire_model::limits::RULE_FILE_BYTES_MAX;
use bellwire_rules::{LoadError, RuleFile, RuleMode, RuleSet};
use thiserror::Error;

/// A rule file as read.
#[derive(Clone, Debug)]
pub struct RuleFileText {
    /// Its path.
    pub name: String,
    /// Its content.
    pub text: String,
}

impl RuleFileText {
    /// As the rules' loader takes it.
    pub fn as_file(&self) -> RuleFile<'_> {
        RuleFile { name: &self.name, text: &self.text }
    }
}

/// Why rule files could not be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuleFilesError {
    /// The pattern is no glob.
    #[error("`{pattern}` is not a pattern of files: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pattern without wildcards names no file.
    #[error("there is no rule file `{path}`")]
    Missing {
        /// The path.
        path: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}{}", path.display(), remedy(path, source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Rules that are wrong or not supported.
    #[error("{}", listed(.0))]
    Rules(Vec<LoadError>),
}

/// What to do where a file cannot be read.
fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::IsADirectory => {
            format!(": it is a folder; `{}` are the files in it", path.join("*.yml").display())
        }
        io::ErrorKind::InvalidData => ": rule files are UTF-8".to_owned(),
        _ => String::new(),
    }
}

fn listed(errors: &[LoadError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What patterns of rule files have led to.
#[derive(Clone, Debug, Default)]
pub struct RuleFiles {
    /// The files, each once, sorted by path.
    pub files: Vec<RuleFileText>,
    /// Patterns with wildcards that no file matches.
    pub unmatched: Vec<String>,
}

/// Reads the files that match the patterns.
pub fn read(patterns: &[String]) -> Result<RuleFiles, RuleFilesError> {
    let mut paths = Vec::new();
    let mut unmatched = Vec::new();
    for pattern in patterns.iter().filter(|pattern| !pattern.is_empty()) {
        let found = glob::glob(pattern).map_err(|error| RuleFilesError::Pattern {
            pattern: pattern.clone(),
            reason: error.to_string(),
        })?;
        let before = paths.len();
        for path in found {
            paths.push(path.map_err(|error| RuleFilesError::Read {
                path: error.path().to_owned(),
                source: error.into(),
            })?);
        }
        if paths.len() > before {
            continue;
        }
        if !pattern.contains(['*', '?', '[']) {
            return Err(RuleFilesError::Missing { path: pattern.clone() });
        }
        unmatched.push(pattern.clone());
    }
    paths.sort();
    paths.dedup();
    let files = paths.into_iter().map(read_file).collect::<Result<_, _>>()?;
    Ok(RuleFiles { files, unmatched })
}

fn read_file(path: PathBuf) -> Result<RuleFileText, RuleFilesError> {
    let read = |path: &PathBuf| {
        if std::fs::metadata(path)?.len() > RULE_FILE_BYTES_MAX as u64 {
            let reason = format!("a rule file has at most {RULE_FILE_BYTES_MAX} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason));
        }
        std::fs::read_to_string(path)
    };
    match read(&path) {
        Ok(text) => Ok(RuleFileText { name: path.display().to_string(), text }),
        Err(source) => Err(RuleFilesError::Read { path, source }),
    }
}

/// Reads and loads, all or nothing, and says what there was.
pub fn load(patterns: &[String], mode: RuleMode) -> Result<RuleSet, RuleFilesError> {
    let RuleFiles { files: texts, unmatched } = read(patterns)?;
    let files: Vec<RuleFile<'_>> = texts.iter().map(RuleFileText::as_file).collect();
    let set = bellwire_rules::load_in(&files, mode).map_err(RuleFilesError::Rules)?;
    for pattern in unmatched {
        tracing::warn!(pattern, "No rule file matches this pattern.");
    }
    tell(&set, files.len());
    Ok(set)
}

fn tell(set: &RuleSet, files: usize) {
    let rules = || set.groups().iter().flat_map(|group| &group.rules);
    let (groups, rules, alerting) = (
        set.groups().len(),
        rules().count(),
        rules().filter(|rule| rule.alert().is_some()).count(),
    );
    if rules == 0 {
        tracing::info!(
            files,
            "No rules are loaded: only what others post can fire. Rules are given by `--rules`."
        );
    } else {
        let recording = rules - alerting;
        tracing::info!(files, groups, alerting, recording, "Rules are loaded.");
    }
}
