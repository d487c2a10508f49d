//! Whether the journal's files are still where they were opened.
//!
//! A file that was removed can still be written: the system keeps it until the process ends, and
//! nobody finds it afterwards. So whoever acknowledges has to look.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::StatVfsMountFlags;

use super::names::beside;
use super::{lock, witness};
use crate::Error;

/// The files of an open journal.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    files: Vec<Placed>,
    /// Held to see it removed. Closing it drops the locks that SQLite has through other handles
    /// of the same file, so this must outlive every connection.
    main: File,
    write_ahead: File,
}

#[derive(Debug)]
struct Placed {
    path: PathBuf,
    identity: Identity,
}

/// Tells a file from another one under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Place {
    /// Remembers the files of the journal at `file`, which a connection has open.
    pub(super) fn of(file: &Path) -> Result<Self, Error> {
        let directory = file.parent().unwrap_or(file).to_owned();
        let [write_ahead, shared] = ["-wal", "-shm"].map(|suffix| beside(file, suffix));
        let place = |path: PathBuf| match Identity::of(&path) {
            Ok(identity) => Ok(Placed { path, identity }),
            Err(error) => Err(Error::open(&path, error)),
        };
        let [lock, witness] = [lock::FILE, witness::FILE].map(|name| directory.join(name));
        let paths = [file.to_owned(), write_ahead.clone(), shared, lock, witness];
        Ok(Self {
            directory,
            files: paths.into_iter().map(place).collect::<Result<_, _>>()?,
            main: File::open(file).map_err(|error| Error::open(file, error))?,
            write_ahead: File::open(&write_ahead)
                .map_err(|error| Error::open(&write_ahead, error))?,
        })
    }

    /// Fails where a file that takes events has no name any more. Costs a fraction of a
    /// microsecond, so each commit can afford it.
    pub(super) fn check_held(&self) -> Result<(), Error> {
        for (held, placed) in [&self.main, &self.write_ahead].into_iter().zip(&self.files) {
            if held.metadata().is_ok_and(|metadata| metadata.nlink() == 0) {
                return Err(Error::Displaced { path: placed.path.clone() });
            }
        }
        Ok(())
    }

    /// Fails where a file is gone, is another one, or may not be written.
    pub(super) fn check(&self) -> Result<(), Error> {
        for Placed { path, identity } in &self.files {
            match Identity::of(path) {
                Ok(found) if found == *identity => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::open(path, error));
                }
                Ok(_) | Err(_) => return Err(Error::Displaced { path: path.clone() }),
            }
        }
        match rustix::fs::statvfs(&self.directory) {
            Ok(system) if system.f_flag.contains(StatVfsMountFlags::RDONLY) => {
                Err(Error::open(&self.directory, io::ErrorKind::ReadOnlyFilesystem.into()))
            }
            // Who cannot be asked is found out by the next commit.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Syncs the write-ahead file.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.write_ahead.sync_data()
    }
}

/// Shared by the writer, the checkpointer, and the journal, which drops it last.
pub(super) type SharedPlace = Arc<Place>;
