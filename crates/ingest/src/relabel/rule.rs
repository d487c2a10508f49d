//! One rule: as it is configured, and made ready to be applied.

use bellwire_re2::{Dot, Pattern, Regex};
use md5::{Digest, Md5};
use serde::Deserialize;
use thiserror::Error;

use super::{LabelSet, Verdict};

const SEPARATOR: &str = ";";
const REPLACEMENT: &str = "$1";
const REGEX: &str = "(.*)";

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the module's table says it
pub enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

impl Action {
    /// Whether it is done to a label, and needs to be told which.
    const fn has_target(self) -> bool {
        matches!(
            self,
            Self::Replace
                | Self::HashMod
                | Self::Lowercase
                | Self::Uppercase
                | Self::KeepEqual
                | Self::DropEqual
        )
    }
}

/// A rule as it is configured, with Prometheus' names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Labels whose values are looked at.
    pub source_labels: Option<Vec<String>>,
    /// What stands between those values; by default `;`.
    pub separator: Option<String>,
    /// What has to match all of it; by default `(.*)`.
    pub regex: Option<String>,
    /// For `hashmod`.
    pub modulus: Option<u64>,
    /// The label that is set, or compared with.
    pub target_label: Option<String>,
    /// What it is set to; by default `$1`.
    pub replacement: Option<String>,
    /// What is done; by default `replace`.
    #[serde(default)]
    pub action: Action,
}

/// Why a rule cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The action is done to a label.
    #[error("{0:?} needs a `target_label`")]
    NoTarget(Action),
    /// The action has no use for a key.
    #[error("{0:?} has no `{1}`")]
    Needless(Action, &'static str),
    /// A modulus of nothing.
    #[error("hashmod needs a `modulus` of at least 1")]
    NoModulus,
    /// Labels would be mapped to no name.
    #[error("labelmap needs a `replacement`")]
    NoReplacement,
    /// The expression is none.
    #[error("`regex`: {0}")]
    Regex(#[from] bellwire_re2::Error),
}

/// A rule, ready to be applied.
#[derive(Clone, Debug)]
pub struct Rule {
    sources: Vec<String>,
    separator: String,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    Replace { regex: Regex, target: String, replacement: String },
    Match { pattern: Pattern, matching: Verdict },
    Equal { target: String, equal: Verdict },
    HashMod { target: String, modulus: u64 },
    LabelMap { regex: Regex, replacement: String },
    LabelMatch { pattern: Pattern, matching: Verdict },
    Lowercase { target: String },
    Uppercase { target: String },
}

impl Rule {
    /// A rule of its configuration.
    pub fn new(config: Config) -> Result<Self, Error> {
        check(&config)?;
        let Config { regex, target_label, replacement, modulus, action, .. } = config;
        let expression = regex.unwrap_or_else(|| REGEX.into());
        let target = target_label.unwrap_or_default();
        let replacement = replacement.unwrap_or_else(|| REPLACEMENT.into());
        let pattern = || Pattern::new(&expression, Dot::Every);
        let step = match action {
            Action::Replace => Step::Replace { regex: whole(&expression)?, target, replacement },
            Action::Keep => Step::Match { pattern: pattern()?, matching: Verdict::Kept },
            Action::Drop => Step::Match { pattern: pattern()?, matching: Verdict::Dropped },
            Action::KeepEqual => Step::Equal { target, equal: Verdict::Kept },
            Action::DropEqual => Step::Equal { target, equal: Verdict::Dropped },
            Action::HashMod => Step::HashMod { target, modulus: modulus.unwrap_or(1) },
            Action::LabelMap => Step::LabelMap { regex: whole(&expression)?, replacement },
            Action::LabelKeep => Step::LabelMatch { pattern: pattern()?, matching: Verdict::Kept },
            Action::LabelDrop => {
                Step::LabelMatch { pattern: pattern()?, matching: Verdict::Dropped }
            }
            Action::Lowercase => Step::Lowercase { target },
            Action::Uppercase => Step::Uppercase { target },
        };
        Ok(Self {
            sources: config.source_labels.unwrap_or_default(),
            separator: config.separator.unwrap_or_else(|| SEPARATOR.into()),
            step,
        })
    }

    /// Applies it.
    pub fn apply(&self, labels: &mut LabelSet) -> Verdict {
        match &self.step {
            Step::Match { pattern, matching } => {
                let is_match = pattern.matches(&self.source(labels));
                return if is_match { *matching } else { matching.opposite() };
            }
            Step::Equal { target, equal } => {
                let is_equal = *self.source(labels) == *labels.get(target);
                return if is_equal { *equal } else { equal.opposite() };
            }
            Step::Replace { regex, target, replacement } => {
                replace(labels, &self.source(labels), regex, [target, replacement]);
            }
            Step::HashMod { target, modulus } => {
                let rest = hash(&self.source(labels)) % modulus;
                labels.set(target, &rest.to_string());
            }
            Step::LabelMap { regex, replacement } => map(labels, regex, replacement),
            Step::LabelMatch { pattern, matching } => {
                labels.retain(|name| pattern.matches(name) == (*matching == Verdict::Kept));
            }
            Step::Lowercase { target } => labels.set(target, &lowercase(&self.source(labels))),
            Step::Uppercase { target } => labels.set(target, &uppercase(&self.source(labels))),
        }
        Verdict::Kept
    }

    /// The values that it looks at.
    fn source(&self, labels: &LabelSet) -> String {
        let values: Vec<&str> = self.sources.iter().map(|name| labels.get(name)).collect();
        values.join(&self.separator)
    }
}

/// Refuses what Prometheus refuses.
fn check(config: &Config) -> Result<(), Error> {
    let action = config.action;
    let is_empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    if action.has_target() && is_empty(&config.target_label) {
        return Err(Error::NoTarget(action));
    }
    if action == Action::HashMod && config.modulus.is_none_or(|modulus| modulus == 0) {
        return Err(Error::NoModulus);
    }
    if action == Action::LabelMap && config.replacement.as_deref() == Some("") {
        return Err(Error::NoReplacement);
    }
    let is_other = |value: &Option<String>, default| value.as_ref().is_some_and(|v| v != default);
    let is_equality = matches!(action, Action::KeepEqual | Action::DropEqual);
    let is_of_names = matches!(action, Action::LabelKeep | Action::LabelDrop);
    let is_case = matches!(action, Action::Lowercase | Action::Uppercase);
    let needless = [
        ("source_labels", is_of_names && config.source_labels.is_some()),
        ("target_label", is_of_names && !is_empty(&config.target_label)),
        ("regex", is_equality && is_other(&config.regex, REGEX)),
        ("modulus", (is_equality || is_of_names) && config.modulus.is_some_and(|m| m != 0)),
        ("separator", (is_equality || is_of_names) && is_other(&config.separator, SEPARATOR)),
        (
            "replacement",
            (is_equality || is_of_names || is_case) && is_other(&config.replacement, REPLACEMENT),
        ),
    ];
    match needless.into_iter().find(|(_, is_needless)| *is_needless) {
        Some((key, _)) => Err(Error::Needless(action, key)),
        None => Ok(()),
    }
}

/// An expression that has to match all of a text.
fn whole(expression: &str) -> Result<Regex, bellwire_re2::Error> {
    // By itself first, so that no parenthesis reaches out of it.
    Regex::new(expression)?;
    Regex::new(&format!("^(?s:{expression})$"))
}

/// Sets a label that is named by a template to what another comes to.
fn replace(labels: &mut LabelSet, source: &str, regex: &Regex, templates: [&str; 2]) {
    let [target, replacement] = templates.map(|template| regex.expand(source, template));
    if let (Some(target), Some(replacement)) = (target, replacement)
        && !target.is_empty()
    {
        labels.set(&target, &replacement);
    }
}

/// Copies labels to the names that theirs are mapped to. What is set meanwhile is not mapped again.
fn map(labels: &mut LabelSet, regex: &Regex, replacement: &str) {
    let mapped = |(name, value): (&str, &str)| {
        regex.expand(name, replacement).map(|name| (name, value.to_owned()))
    };
    let mapped: Vec<(String, String)> = labels.iter().filter_map(mapped).collect();
    for (name, value) in mapped {
        if !name.is_empty() {
            labels.set(&name, &value);
        }
    }
}

/// The last half of MD5: whoever spreads targets over several servers has the same share from each.
fn hash(text: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    (u128::from_be_bytes(digest) & u128::from(u64::MAX)) as u64
}

/// Letter by letter, as Go does: no letter becomes two, and none looks at its neighbours.
fn lowercase(text: &str) -> String {
    text.chars().map(|c| single(c, c.to_lowercase())).collect()
}

/// Likewise.
fn uppercase(text: &str) -> String {
    text.chars().map(|c| single(c, c.to_uppercase())).collect()
}

/// The other case of a letter, where that is one letter.
fn single(letter: char, mut cased: impl Iterator<Item = char>) -> char {
    match (cased.next(), cased.next()) {
        (Some(cased), None) => cased,
        // What is two letters here is one in the tables that Go has.
        _ if letter == 'İ' => 'i',
        _ => letter,
    }
}
