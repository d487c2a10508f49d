//! Alertmanager's configuration file: whom to notify of what.
//!
//! All of it that concerns routing, grouping, inhibition and webhooks is read as Alertmanager reads
//! it. What it has beside that is refused by name and place.

mod document;
mod reading;
mod receiver;
mod schedule;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::LabelsError;
use bellwire_model::limits::{ALERTMANAGER_CONFIG_BYTES_MAX, ALERTMANAGER_REGEX_BYTES_MAX};
use thiserror::Error;

use self::reading::Reading;
pub use self::receiver::{
    Authorization, HttpSettings, Receiver, Redirects, Resolved, Secret, Webhook,
};
use crate::MatcherError;
use crate::inhibition::InhibitionRule;
use crate::route::Routes;

/// How long an alert that is posted without an end goes on where the file does not say.
const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);

/// What an empty configuration comes to, in Alertmanager's terms.
const DEFAULT: &str = "route:\n  receiver: default\nreceivers:\n- name: default\n";

/// Whom to notify of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How long an alert that is posted without an end goes on.
    pub resolve_timeout: Duration,
    /// Where alerts go.
    pub routes: Routes,
    /// Which alerts keep which others quiet.
    pub inhibition: Vec<InhibitionRule>,
    /// Who is there to be notified.
    pub receivers: Vec<Receiver>,
    original: Arc<str>,
}

impl Config {
    /// Reads `alertmanager.yml`: all of it, or what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<ConfigError>> {
        if text.len() > ALERTMANAGER_CONFIG_BYTES_MAX {
            let reason = Reason::FileTooLong { bytes: text.len() };
            return Err(vec![ConfigError { line: 1, column: 1, reason }]);
        }
        Reading::default().config(text)
    }

    /// Takes the names of files in it as relative to `folder`, where the file itself lies.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        for receiver in &mut self.receivers {
            receiver.resolve_files(folder);
        }
        self
    }

    /// The text that it was read from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The receiver of that name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| *receiver.name == *name)
    }
}

impl Default for Config {
    /// One receiver, `default`, that goes nowhere.
    fn default() -> Self {
        Self::parse(DEFAULT).expect("the default is valid")
    }
}

/// What is wrong with a configuration file, and where.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{line}:{column}: {reason}")]
pub struct ConfigError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    #[source]
    pub reason: Reason,
}

/// Why a configuration file is refused.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// More bytes than [`ALERTMANAGER_CONFIG_BYTES_MAX`].
    #[error("this file has at most {ALERTMANAGER_CONFIG_BYTES_MAX} bytes, this one has {bytes}")]
    FileTooLong {
        /// The bytes found.
        bytes: usize,
    },
    /// No YAML, or a value of another kind than the field has.
    #[error("{text}")]
    Yaml {
        /// What the parser says.
        text: Box<str>,
    },
    /// A field that is not supported, or does not exist.
    #[error("`{name}` is not supported here; these are: {known}")]
    UnknownField {
        /// Its name.
        name: Box<str>,
        /// Those that are.
        known: Box<str>,
    },
    /// A kind of receiver that there is not.
    #[error("`{name}`: notifications go out as webhooks only, so write `webhook_configs`")]
    WebhooksOnly {
        /// The field's name.
        name: Box<str>,
    },
    /// A file of templates.
    #[error("webhooks have no templates: take the `templates` out")]
    Templates,
    /// A template where there must be a text.
    #[error("`{{{{` begins a template, and templates are not supported: write the text itself")]
    Template,
    /// No root.
    #[error("the file has a `route`")]
    RouteMissing,
    /// A root without receiver.
    #[error("the topmost route has a `receiver`")]
    RootReceiver,
    /// A root that does not take every alert at any time.
    #[error("the topmost route takes every alert: it has no `{field}`")]
    RootField {
        /// What it must not have.
        field: &'static str,
    },
    /// A receiver or interval that is not there.
    #[error("there is no {noun} `{name}`")]
    Undefined {
        /// What should be there.
        noun: &'static str,
        /// Its name.
        name: Box<str>,
    },
    /// A name twice.
    #[error("the {noun} `{name}` stands twice")]
    Twice {
        /// What has the name.
        noun: &'static str,
        /// The name.
        name: Box<str>,
    },
    /// A name without letters.
    #[error("this name is empty")]
    EmptyName,
    /// `...` and labels.
    #[error("`...` groups by all labels: name no others beside it")]
    GroupByAllAndLabels,
    /// No duration.
    #[error("`{text}` is no duration; write it as `5m`, `1h30m` or `250ms`")]
    Duration {
        /// What stands there.
        text: Box<str>,
    },
    /// A duration that must not be zero.
    #[error("`{field}` is more than zero")]
    Zero {
        /// Its name.
        field: &'static str,
    },
    /// Neither or both of two fields.
    #[error("write one of {fields}")]
    OneOf {
        /// Their names.
        fields: &'static str,
    },
    /// No address to send anything to.
    #[error("this is no `http://` or `https://` URL")]
    Url,
    /// A time, day or range that there is not.
    #[error("`{text}` is not {expected}")]
    Calendar {
        /// What stands there.
        text: Box<str>,
        /// What belongs there.
        expected: &'static str,
    },
    /// A time zone that there is not.
    #[error("there is no time zone `{name}`; write one such as `Europe/Oslo`, or `UTC`")]
    Location {
        /// What stands there.
        name: Box<str>,
    },
    /// A receiver whose label `name` is not its name.
    #[error("the label `name` is the receiver's name")]
    ReceiverName,
    /// More routes, receivers or rules than there may be.
    #[error("there are at most {max} {noun}")]
    TooMany {
        /// Of what.
        noun: &'static str,
        /// How many.
        max: usize,
    },
    /// Expressions that take more than [`ALERTMANAGER_REGEX_BYTES_MAX`].
    #[error(
        "the regular expressions of a file take at most {ALERTMANAGER_REGEX_BYTES_MAX} bytes \
         compiled, and this one takes more: repeat smaller classes, or fewer times"
    )]
    RegexesTooLarge,
    /// What should be matchers is none.
    #[error("{0}")]
    Matcher(#[from] MatcherError),
    /// Labels that break a bound.
    #[error(transparent)]
    Labels(#[from] LabelsError),
}

#[cfg(test)]
mod tests;
