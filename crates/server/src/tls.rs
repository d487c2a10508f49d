//! The certificate and key of the front door: read at the start, and again when they change.
//!
//! A connection keeps the configuration that it was accepted with, so a change drops nobody. A new
//! pair that cannot be used is told loudly, and the old one stays.

mod expiry;
mod pair;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use bellwire_model::limits::TLS_LOOK_INTERVAL;
use bellwire_process::clock;
use rustls::ServerConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

use self::expiry::Expiry;
use self::pair::Pair;
use crate::config::{Config, Hosts};
use crate::hosts::KnownHosts;
use crate::observe::Figures;

/// Where certificate and key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// Both, or neither.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, TlsError> {
        match (&config.tls_certificate, &config.tls_key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(TlsError::Half { missing: "tls_key" }),
            (None, Some(_)) => Err(TlsError::Half { missing: "tls_certificate" }),
            (Some(certificate), Some(key)) => {
                Ok(Some(Self { certificate: certificate.clone(), key: key.clone() }))
            }
        }
    }
}

/// What is wrong with certificate and key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One of the two is not configured.
    #[error("`tls_certificate` and `tls_key` go together: set `{missing}` too, or neither")]
    Half {
        /// The setting that is missing.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is broken PEM.
    #[error("{} is not valid PEM", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The file of the certificate has none.
    #[error("{} has no certificate; expected PEM with `BEGIN CERTIFICATE`", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file of the key has none.
    #[error("{} has no private key; expected PEM with `BEGIN PRIVATE KEY`", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is protected by a passphrase.
    #[error(
        "the private key in {} is encrypted; decrypt it, for example with `openssl pkey`",
        path.display()
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key are not a pair.
    #[error(
        "the private key in {} does not belong to the first certificate in {}",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The pair is of a kind that is not supported, or broken inside.
    #[error("the pair of {} and {} cannot be used", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// Looks at the pair of a configuration as a start does; tells what a start would complain of.
pub fn check_tls(config: &Config) -> Result<Option<String>, TlsError> {
    let Some(files) = Files::of(config)? else { return Ok(None) };
    let expiry = pair::load(&files)?.expiry;
    let expired = expiry.filter(|expiry| !expiry.is_ahead_of(clock::now()));
    let certificate = files.certificate.display();
    Ok(expired.map(|expiry| format!("the certificate {certificate} has expired: {expiry}")))
}

/// What the front door shakes hands with.
#[derive(Debug)]
pub(crate) struct Tls {
    files: Files,
    figures: Arc<Figures>,
    /// Whom the certificate makes known.
    hosts: Arc<KnownHosts>,
    /// The files as they were just before they were read first.
    loaded: Stamp,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    pub(crate) fn load(
        files: Files,
        figures: Arc<Figures>,
        hosts: Arc<KnownHosts>,
    ) -> Result<Self, TlsError> {
        let loaded = Stamp::of(&files);
        let Pair { config, names, expiry } = pair::load(&files)?;
        let config = RwLock::new(Arc::new(config));
        let tls = Self { files, figures, hosts, loaded, config };
        tls.announce(names, expiry);
        Ok(tls)
    }

    /// The configuration for the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().expect("not poisoned"))
    }

    /// Reads the pair again at `SIGHUP`, and when its files have changed and are at rest: they are
    /// two, and seldom replaced at once.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "Changes of the TLS certificate will not be noticed.");
                return;
            }
        };
        let mut looks = interval(TLS_LOOK_INTERVAL);
        let (mut loaded, mut last) = (self.loaded, self.loaded);
        loop {
            let is_asked = tokio::select! {
                _ = hangup.recv() => true,
                _ = looks.tick() => false,
            };
            let stamp = Stamp::of(&self.files);
            let is_at_rest = std::mem::replace(&mut last, stamp) == stamp;
            if is_asked || (stamp != loaded && is_at_rest) {
                loaded = stamp;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match pair::load(&self.files) {
            Ok(Pair { config, names, expiry }) => {
                *self.config.write().expect("not poisoned") = Arc::new(config);
                self.announce(names, expiry);
            }
            Err(error) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::error!(
                    error,
                    "The new certificate and key cannot be used; the old ones stay in use."
                );
            }
        }
    }

    fn announce(&self, names: Hosts, expiry: Option<Expiry>) {
        self.hosts.certify(names);
        let certificate = self.files.certificate.display();
        let Some(expiry) = expiry else {
            tracing::info!(%certificate, "New connections get this certificate.");
            return;
        };
        self.figures.door.certificate_expiry.set(expiry.timestamp_s());
        let valid_until = expiry.to_string();
        if expiry.is_ahead_of(clock::now()) {
            tracing::info!(%certificate, valid_until, "New connections get this certificate.");
        } else {
            tracing::error!(%certificate, valid_until, "The certificate has expired.");
        }
    }
}

/// Tells one state of the two files from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    certificate: Option<FileStamp>,
    key: Option<FileStamp>,
}

/// Inode, length and time of the last change, in seconds and nanoseconds.
type FileStamp = (u64, u64, i64, i64);

impl Stamp {
    fn of(files: &Files) -> Self {
        let of = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
        };
        Self { certificate: of(&files.certificate), key: of(&files.key) }
    }
}
