//! Receivers: who is notified, and how to reach them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwire_model::Labels;

/// Whom to notify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// What routes call it.
    pub name: Box<str>,
    /// What it is found by beside its name; `name` is one of them.
    pub labels: Labels,
    /// Where its notifications go: to all of them.
    pub webhooks: Vec<Webhook>,
}

/// An address that is sent notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to send them.
    pub url: Secret,
    /// Whether it is told of alerts that have ended.
    pub resolved: Resolved,
    /// Alerts in one notification at most; the rest are only counted. None for all.
    pub alerts_max: Option<usize>,
    /// How long one attempt may take. None for as long as there is until the next notification.
    pub timeout: Option<Duration>,
    /// How to speak to it.
    pub http: HttpSettings,
}

/// What becomes of alerts that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// They are told.
    Sent,
    /// They are left out.
    LeftOut,
}

/// How to speak to a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// How to show that one may.
    pub authorization: Option<Authorization>,
    /// What to do where the answer points elsewhere.
    pub redirects: Redirects,
    /// Certificates to trust in place of the system's, in a PEM file.
    pub ca_file: Option<PathBuf>,
}

/// What to do where an answer points elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// Go there.
    #[default]
    Followed,
    /// Count it as a refusal.
    Refused,
}

/// How to show that one may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// By name and password.
    Basic {
        /// The name.
        username: Box<str>,
        /// The password, where there is one.
        password: Option<Secret>,
    },
    /// By credentials of some scheme, such as `Bearer`.
    Scheme {
        /// The scheme.
        scheme: Box<str>,
        /// The credentials.
        credentials: Secret,
    },
}

/// What nobody else should read: neither errors nor figures show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// It is written in the configuration.
    Text(Box<str>),
    /// It is what a file holds at the time that it is needed, without space around it.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("<secret>"),
            Self::File(path) => path.fmt(f),
        }
    }
}

impl Receiver {
    /// Takes the names of files as relative to `folder`.
    pub(super) fn resolve_files(&mut self, folder: &Path) {
        for webhook in &mut self.webhooks {
            webhook.url.resolve_file(folder);
            if let Some(path) = &mut webhook.http.ca_file {
                *path = folder.join(&*path);
            }
            if let Some(
                Authorization::Basic { password: Some(secret), .. }
                | Authorization::Scheme { credentials: secret, .. },
            ) = &mut webhook.http.authorization
            {
                secret.resolve_file(folder);
            }
        }
    }
}

impl Secret {
    fn resolve_file(&mut self, folder: &Path) {
        if let Self::File(path) = self {
            *path = folder.join(&*path);
        }
    }
}
