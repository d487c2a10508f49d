//! What push messages are signed with, and whom their services may write to.

use bellwire_alerting::{VapidKey, VapidKeyError};
use std::io;

use super::StartError;
use crate::config::{Config, Engine};

/// The file in the data folder.
const FILE: &str = "push.key";

/// The key of the data folder, which the first start draws; one that is this process's own where nothing
/// is kept. `None`: nobody is told.
pub(super) fn key(config: &Config) -> Result<Option<VapidKey>, StartError> {
    if !config.push.enabled {
        return Ok(None);
    }
    let draw = || VapidKey::draw().map_err(|_| io::Error::other("the system gives no randomness"));
    let of_file = |source| StartError::PushKey { path: config.data.join(FILE), source };
    let pem = match config.journal {
        Engine::Disk => {
            let opened = bellwire_authn::secret_of_data_folder(&config.data, FILE, draw);
            opened.map_err(|error| of_file(PushKeyError::File(error)))?
        }
        Engine::Memory => draw()?,
    };
    let key = VapidKey::read(&pem).map_err(|error| of_file(PushKeyError::Key(error)))?;
    Ok(Some(key))
}

/// Whom those may write to who run push services: they want a way, and not all of them look whether
/// anybody is there.
pub(super) fn contact(config: &Config, url: &str) -> Box<str> {
    let known = [&*config.push.contact, &*config.external_url, url];
    let is_one = |text: &&str| text.starts_with("mailto:") || text.starts_with("https://");
    known.into_iter().find(is_one).unwrap_or("mailto:nobody@bellwire.invalid").into()
}

/// Why the key for push messages cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushKeyError {
    /// The file cannot be read or made.
    #[error(transparent)]
    File(io::Error),
    /// It is none.
    #[error(transparent)]
    Key(VapidKeyError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PushConfig;

    #[test]
    fn push_services_get_a_way_to_write_to_somebody() {
        let contact = |own: &str, external: &str, url: &str| {
            let mut config = Config { external_url: external.to_owned(), ..Config::default() };
            own.clone_into(&mut config.push.contact);
            contact(&config, url)
        };
        let plain = "http://127.0.0.1:8080";
        let ours = "mailto:ops@bell.example";
        assert_eq!(&*contact(ours, "https://bell.example", plain), ours);
        assert_eq!(&*contact("", "https://bell.example", plain), "https://bell.example");
        assert_eq!(&*contact("", "http://bell", "https://[::1]:1"), "https://[::1]:1");
        assert_eq!(&*contact("", "", plain), "mailto:nobody@bellwire.invalid");
    }

    #[test]
    fn a_file_that_has_no_key_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().to_owned();
        let config = Config { data, journal: Engine::Disk, ..Config::default() };
        let first = key(&config).expect("drawn").expect("a key");
        let again = key(&config).expect("found").expect("a key");
        assert_eq!(format!("{first:?}"), format!("{again:?}"));
        std::fs::write(folder.path().join(FILE), "none").expect("written");
        let error = key(&config).expect_err("none").to_string();
        assert!(error.contains("push.key"), "{error}");
        let off = PushConfig { enabled: false, ..PushConfig::default() };
        assert!(key(&Config { push: off, ..config }).expect("off").is_none());
    }
}
