//! A job: targets that are scraped alike.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwire_ingest::exposition::Format;
use bellwire_ingest::relabel;
use bellwire_ingest::scrape::{Conflict, SeriesLimits, Times};

use super::group::Group;
use crate::tls::TlsFiles;

/// A job as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name, which becomes the label `job`.
    pub name: String,
    /// How often, and for how long at most.
    pub pace: Pace,
    /// Where its targets show what they know, if their labels do not say.
    pub place: Place,
    /// Where its targets are found.
    pub discovery: Discovery,
    /// `relabel_configs`.
    pub relabel: Vec<relabel::Config>,
    /// Targets beyond which all of its scrapes fail; 0 for no limit of its own.
    pub targets_max: usize,
    /// What is made of what is exposed.
    pub series: Series,
    /// Bytes of what a target exposes, as it is and not compressed.
    pub body_bytes_max: usize,
    /// How a body is written that does not say.
    pub fallback: Option<Format>,
    /// How targets are spoken to.
    pub http: Http,
}

/// How often a target is scraped, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one scrape to the next.
    pub interval: Duration,
    /// From the beginning of a scrape to the last byte; not longer than the interval.
    pub timeout: Duration,
}

/// The parts of a target's URL beside its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `http` or `https`.
    pub scheme: String,
    /// `metrics_path`.
    pub path: String,
    /// `params`.
    pub parameters: BTreeMap<String, Vec<String>>,
}

/// Where targets are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// `static_configs`.
    pub groups: Vec<Group>,
    /// `file_sd_configs`.
    pub files: Vec<FileDiscovery>,
    /// `http_sd_configs`.
    pub urls: Vec<HttpDiscovery>,
}

/// Files with targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiscovery {
    /// Patterns of their paths.
    pub patterns: Vec<String>,
}

/// A server that knows targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpDiscovery {
    /// Whom to ask.
    pub url: url::Url,
    /// How often.
    pub interval: Duration,
    /// How it is spoken to.
    pub http: Http,
}

/// What is made of the series that targets expose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// `honor_labels`.
    pub conflict: Conflict,
    /// `honor_timestamps` and `track_timestamps_staleness`.
    pub times: Times,
    /// `metric_relabel_configs`.
    pub relabel: Vec<relabel::Config>,
    /// `sample_limit` and the limits of labels.
    pub limits: SeriesLimits,
}

/// How a server is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// What shows who we are.
    pub credentials: Option<Credentials>,
    /// Whom to trust, and with which certificate to come.
    pub tls: TlsFiles,
    /// Whether redirects are followed.
    pub redirects: Redirects,
    /// What may be compressed.
    pub coding: Coding,
}

/// Whether redirects are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// They are; with credentials within one origin alone.
    #[default]
    Followed,
    /// They are failures.
    Refused,
}

/// What a server may compress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Gzip is asked for: `enable_compression`.
    #[default]
    Gzip,
    /// Nothing is.
    Plain,
}

/// What is shown to a server; its secret is read from its file each time.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `basic_auth`.
    Basic {
        /// Not secret.
        username: String,
        /// The password's file.
        password: Option<PathBuf>,
    },
    /// `authorization`.
    Scheme {
        /// Such as `Bearer`.
        scheme: String,
        /// The credentials' file.
        credentials: PathBuf,
    },
}

impl Credentials {
    /// The file with the secret.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Basic { password, .. } => password.as_deref(),
            Self::Scheme { credentials, .. } => Some(credentials),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Basic { .. } => "Basic",
            Self::Scheme { scheme, .. } => scheme,
        };
        write!(f, "{name} of {:?}", self.file())
    }
}
