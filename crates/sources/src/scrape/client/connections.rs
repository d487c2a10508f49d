//! Connections to targets, made with certificates as their files have them by now.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Mutex;

use crate::tls::{TlsError, TlsFiles};

use super::reach::{Reach, Resolver};
use super::tls;

/// Longer than most intervals, so that a target's connection is used again.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// Connections that wait for another request to one host.
const IDLE_MAX: usize = 2;

type Client = legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>;

/// What connects. Where a file has changed all connections are made anew.
#[derive(Debug)]
pub(super) struct Connections {
    files: TlsFiles,
    reach: Reach,
    current: Mutex<Option<Current>>,
}

#[derive(Clone, Debug)]
struct Current {
    client: Client,
    stamps: Vec<Stamp>,
}

/// What tells one version of a file from another: when it was changed, its length and its number.
/// Nothing where it is not there.
type Stamp = Option<(i64, i64, u64, u64)>;

impl Connections {
    /// Reads the files, so that the first scrape need not wait for it. What cannot be read now is read
    /// when something is asked.
    pub(super) fn new(files: &TlsFiles, reach: &Reach) -> Self {
        let current = look((files, Resolver(reach.clone())), None).ok().map(|(current, _)| current);
        Self { files: files.clone(), reach: reach.clone(), current: Mutex::new(current) }
    }

    /// What connects with the files as they are. Where they cannot be read any more, or not yet as a
    /// whole, those that were read go on.
    pub(super) async fn now(&self) -> Result<Client, TlsError> {
        // One at a time looks: those of all targets begin at once.
        let mut current = self.current.lock().await;
        if paths(&self.files).next().is_none()
            && let Some(current) = &*current
        {
            return Ok(current.client.clone());
        }
        let (files, resolver) = (self.files.clone(), Resolver(self.reach.clone()));
        let known = current.clone();
        let looked = tokio::task::spawn_blocking(move || look((&files, resolver), known));
        let (looked, error) = match looked.await {
            Ok(looked) => looked?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends.
            Err(_) => std::future::pending().await,
        };
        if let Some(error) = error {
            tracing::warn!(%error, "Certificates are not read anew; those known go on.");
        }
        Ok(current.insert(looked).client.clone())
    }
}

/// Reads the files where they are not those that are known; an error where these go on.
fn look(
    (files, resolver): (&TlsFiles, Resolver),
    known: Option<Current>,
) -> Result<(Current, Option<TlsError>), TlsError> {
    // Before they are read: what changes meanwhile is read once more.
    let stamps: Vec<Stamp> = paths(files).map(stamp).collect();
    match known {
        Some(known) if known.stamps == stamps => Ok((known, None)),
        known => match (tls::connector(files, resolver), known) {
            (Ok(connector), _) => Ok((Current { client: client(connector), stamps }, None)),
            (Err(error), Some(known)) => Ok((Current { stamps, ..known }, Some(error))),
            (Err(error), None) => Err(error),
        },
    }
}

fn client(connector: HttpsConnector<HttpConnector<Resolver>>) -> Client {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MAX)
        .build(connector)
}

fn paths(files: &TlsFiles) -> impl Iterator<Item = &Path> {
    let identity = files.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    files.ca.iter().chain(identity).map(AsRef::as_ref)
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[tokio::test]
    async fn files_are_read_when_they_are_there_and_again_when_they_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let [ca, cert, key] =
            ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let files = TlsFiles {
            ca: Some(ca.clone()),
            identity: Some((cert.clone(), key.clone())),
            ..TlsFiles::default()
        };
        let connections = Connections::new(&files, &Reach::All);
        let stamps = || {
            let current = connections.current.try_lock().expect("nobody looks");
            current.as_ref().map(|current| current.stamps.clone())
        };
        connections.now().await.expect_err("nothing is there");
        let write = |to: [&Path; 3]| {
            let (certificate, secret) = certificate();
            for (path, text) in to.into_iter().zip([&certificate, &certificate, &secret]) {
                fs::write(path, text).expect("written");
            }
        };
        write([&ca, &cert, &key]);
        connections.now().await.expect("they are read");
        let first = stamps();
        connections.now().await.expect("they are known");
        assert_eq!(stamps(), first);
        // Another certificate, and not yet its key: those known go on.
        fs::write(&cert, certificate().0).expect("written");
        connections.now().await.expect("those known");
        let between = stamps();
        assert_ne!(between, first);
        write([&ca, &cert, &key]);
        connections.now().await.expect("they are read anew");
        assert_ne!(stamps(), between);
        fs::remove_file(&ca).expect("removed");
        connections.now().await.expect("those known");
    }
}
