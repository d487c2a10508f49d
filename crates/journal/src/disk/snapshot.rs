//! Copies of a replica, from one node to another that cannot get there by itself.
//!
//! ```text
//! DiskJournal::snapshot ─▶ snapshots.tmp/made-1.sqlite, without a name once it is whole ─▶ sent
//!                                                                                          │
//! journal.sqlite ◀── Arrival::install ── snapshots.tmp/arriving.sqlite ◀─────── received ──┘
//! ```
//!
//! A copy is of one moment, and made through a connection of its own, so that nobody waits for it. While
//! it is made the write-ahead file goes on growing. What is in it is a function of the order alone, but
//! for the clocks of who made it, which count as those of a system that was down.
//!
//! Whatever happens the folder is emptied when the journal is opened next.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bellwire_model::limits::SNAPSHOT_SPACE_KEPT;
use bellwire_model::{Epoch, Offset};
use rusqlite::Connection;

use super::DiskJournal;
use super::lock::{self, Lock};
use super::names::beside;
use super::schema::{self, Applied, Format};
use super::witness::{Testimony, Witness};
use crate::Error;
use crate::role::Role;

/// The folder in the data directory.
pub(super) const FOLDER: &str = "snapshots.tmp";

const ARRIVING: &str = "arriving.sqlite";

/// A copy of a replica's file.
#[derive(Debug)]
pub struct Snapshot {
    /// The copy. It has no name any more, and is gone when this is.
    pub file: File,
    /// How many bytes it has.
    pub bytes: u64,
    /// The epoch of its offsets.
    pub epoch: Epoch,
    /// Up to where it was applied.
    pub tail: Offset,
}

/// Tells copies apart that are made at once.
static MADE: AtomicU64 = AtomicU64::new(0);

impl DiskJournal {
    /// Copies a replica as it is now. Blocks for as long as it takes to read and write all of it; neither
    /// who writes nor who reads waits for it.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        if self.role != Role::Replica {
            return Err(Error::NoReplica);
        }
        let folder = folder_in(self.path.parent().unwrap_or(&self.path))?;
        let copy = folder.join(format!("made-{}.sqlite", MADE.fetch_add(1, Ordering::Relaxed)));
        let made = make(&self.path, &copy);
        // Whoever is killed leaves nothing behind once it has no name.
        let removed = fs::remove_file(&copy);
        let snapshot = made?;
        removed.map_err(|error| Error::open(&copy, error))?;
        Ok(snapshot)
    }
}

fn make(from: &Path, copy: &Path) -> Result<Snapshot, Error> {
    let fail = |error| Error::sqlite(copy, error);
    let source = schema::open_to_read(from).map_err(|error| Error::sqlite(from, error))?;
    let pragma = |name| source.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count").map_err(fail)?.unsigned_abs();
    let bytes = pages * pragma("page_size").map_err(fail)?.unsigned_abs();
    check_space(copy, bytes)?;
    let name = copy.to_str().ok_or_else(|| {
        Error::open(copy, io::Error::new(io::ErrorKind::InvalidFilename, "it is not UTF-8"))
    })?;
    source.execute("VACUUM INTO ?1", [name]).map_err(fail)?;
    drop(source);
    let (epoch, tail) = read(copy)?;
    let file = File::open(copy).map_err(|error| Error::open(copy, error))?;
    let bytes = file.metadata().map_err(|error| Error::open(copy, error))?.len();
    Ok(Snapshot { file, bytes, epoch, tail })
}

/// Of which epoch a replica's file is, and up to where it was applied.
fn read(file: &Path) -> Result<(Epoch, Offset), Error> {
    let fail = |error| Error::sqlite(file, error);
    let connection = schema::open_to_read(file).map_err(fail)?;
    match Format::of(&connection).map_err(fail)? {
        Format::Known | Format::Old(_) => {}
        Format::Unknown(found) => return Err(schema::too_new(file, found)),
        Format::New | Format::Foreign => return Err(Error::Foreign { path: file.into() }),
    }
    let said = |connection: &Connection| {
        Ok((schema::meta(connection, "epoch")?, Applied::load(connection)?))
    };
    match said(&connection).map_err(fail)? {
        (Some(epoch), Some(applied)) => Ok((Epoch::new(epoch), applied.tail)),
        _ => Err(Error::NoReplica),
    }
}

/// Whether so many bytes fit on the disk beside it, and leave room for what goes on.
pub(super) fn check_space(path: &Path, bytes: u64) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    // Who cannot be asked is found out by writing.
    let Ok(system) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free < bytes.saturating_add(SNAPSHOT_SPACE_KEPT) {
        let why = format!("a copy of {bytes} bytes has no room beside it");
        let source = std::sync::Arc::new(io::Error::new(io::ErrorKind::StorageFull, why));
        return Err(Error::Full { path: path.into(), source });
    }
    Ok(())
}

fn folder_in(directory: &Path) -> Result<PathBuf, Error> {
    let folder = directory.join(FOLDER);
    lock::make(&folder).map_err(|error| Error::open(&folder, error))?;
    Ok(folder)
}

/// Removes what was left behind. Whoever calls has the lock.
pub(super) fn tidy(directory: &Path) {
    // Where it stays it takes room, and the next one tries again.
    let _ = fs::remove_dir_all(directory.join(FOLDER));
}

/// A copy that comes into a data directory which nobody uses meanwhile. What is there stays as it is until
/// the copy takes its place.
#[derive(Debug)]
pub struct Arrival {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    _lock: Lock,
}

impl Arrival {
    /// Makes way for one of so many bytes.
    pub fn begin(directory: &Path, bytes: u64) -> Result<Self, Error> {
        let lock = Lock::take(directory)?;
        tidy(directory);
        let path = folder_in(directory)?.join(ARRIVING);
        check_space(&path, bytes)?;
        let opened = OpenOptions::new().create(true).truncate(true).write(true).open(&path);
        let file = opened.map_err(|error| Error::open(&path, error))?;
        Ok(Self { directory: directory.into(), path, file, _lock: lock })
    }

    /// Where its bytes go.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it in the place of the journal that is there, if it is a replica of this epoch. Returns up to
    /// where it was applied. Whoever is killed meanwhile finds the one or the other.
    pub fn install(self, epoch: Epoch) -> Result<Offset, Error> {
        let Self { directory, path, file, _lock } = self;
        let failed = |error| Error::open(&path, error);
        file.sync_all().map_err(failed)?;
        // What SQLite locks it would let go of.
        drop(file);
        let (found, tail) = read(&path)?;
        if found != epoch {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is of epoch {found} instead of {epoch}"),
            )));
        }
        let journal = directory.join(schema::FILE);
        // It tells of the journal that goes.
        drop(Witness::begin(&directory, Testimony::of_nothing())?);
        // SQLite would take what is in these for changes of the file that comes.
        for suffix in ["-wal", "-shm"] {
            match fs::remove_file(beside(&journal, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                Ok(()) | Err(_) => {}
            }
        }
        let sync = || File::open(&directory)?.sync_all();
        sync().map_err(failed)?;
        fs::rename(&path, &journal).and_then(|()| sync()).map_err(failed)?;
        tidy(&directory);
        Ok(tail)
    }
}
