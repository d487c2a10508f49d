//! Alertmanager's configuration from its file.

use std::path::{Path, PathBuf};

use bellwire_alerts::config::{Config, ConfigError};
use bellwire_model::limits::ALERTMANAGER_CONFIG_BYTES_MAX;
use thiserror::Error;

/// Why Alertmanager's configuration could not be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AlertmanagerConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What it says is wrong, or not supported.
    #[error("{}", listed(path, errors))]
    Content {
        /// The file.
        path: PathBuf,
        /// Every mistake.
        errors: Vec<ConfigError>,
    },
}

fn listed(path: &Path, errors: &[ConfigError]) -> String {
    let lines = errors.iter().map(|error| format!("{}:{error}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads the file; without one nobody is notified.
pub fn load(path: Option<&Path>) -> Result<Config, AlertmanagerConfigError> {
    let Some(path) = path else { return Ok(Config::default()) };
    let read = || {
        if std::fs::metadata(path)?.len() > ALERTMANAGER_CONFIG_BYTES_MAX as u64 {
            let reason = format!("it has more than {ALERTMANAGER_CONFIG_BYTES_MAX} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason));
        }
        std::fs::read_to_string(path)
    };
    let text =
        read().map_err(|source| AlertmanagerConfigError::Read { path: path.to_owned(), source })?;
    let config = Config::parse(&text)
        .map_err(|errors| AlertmanagerConfigError::Content { path: path.to_owned(), errors })?;
    Ok(config.in_folder(path.parent().unwrap_or(Path::new(""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_valid() {
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
        let path = Path::new(&folder).join("../../examples/alertmanager.yml");
        let config = load(Some(&path)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.receivers.len(), 2);
    }
}
