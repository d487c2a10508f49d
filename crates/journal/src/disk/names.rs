//! Names of files that belong to others.

use std::path::{Path, PathBuf};

/// The name of a file with something behind it, as SQLite names what it keeps beside the main file.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}
