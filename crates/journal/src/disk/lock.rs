//! The lock on the data directory: one server each.
//!
//! The operating system drops it with the process, however that ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::Error;

/// The lock's file in the data directory; holds the id of the process that has the lock.
pub(super) const FILE: &str = "bellwire.lock";

/// Keeps all others out of a data directory for as long as it lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Creates the data directory where it is missing, and locks it.
    pub fn take(directory: &Path) -> Result<Self, Error> {
        make(directory).map_err(|error| Error::open(directory, error))?;
        let path = directory.join(FILE);
        let open =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(|error| Error::open(&path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = fs::read_to_string(&path).unwrap_or_default();
                return Err(Error::Locked {
                    path: directory.into(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(Error::open(&path, error)),
        }
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        // On a full disk the file stays empty: the lock holds all the same, and reading goes on.
        drop(noted);
        Ok(Self(file))
    }
}

/// Makes a folder that is this user's alone, whatever the umask. One that is there stays as it is.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(directory: &Path) -> u32 {
        fs::metadata(directory).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_is_made_for_its_owner_alone_and_one_that_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = folder.path().join("new").join("data");
        let _lock = Lock::take(&made).expect("it is free");
        assert_eq!((mode(&made), mode(made.parent().expect("one"))), (0o700, 0o700));
        let theirs = folder.path().join("theirs");
        fs::create_dir(&theirs).expect("made");
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o750)).expect("set");
        let _lock = Lock::take(&theirs).expect("it is free");
        assert_eq!(mode(&theirs), 0o750);
    }
}
