//! The witness: a file of its own that says up to where events were acknowledged, and how often
//! records were changed.
//!
//! ```text
//!  0  "BellWtns"        8 bytes
//!  8  format            u32, 1
//! 12  state             u32: 0 nothing was begun, 1 a server runs or was killed, 2 closed
//! 16  epoch             u64
//! 24  newest offset     u64
//! 32  record changes    u64
//! 40  CRC-32 of these   u32
//! ```
//!
//! All numbers are little-endian. It is written after each commit and before the answer, and
//! synced at the start and the end of a run, so after a power cut it may say less than there is,
//! and never more. A database that has less than its witness says has lost something: its
//! write-ahead file, its end, or all of it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bellwire_model::{Epoch, Offset};

use super::names::beside;
use super::schema::LastRun;
use crate::Error;

/// The file in the data directory.
pub(super) const FILE: &str = "journal.witness";

const MARK: &[u8; 8] = b"BellWtns";
const FORMAT: u32 = 1;
const BYTES: usize = 44;

/// What the journal was doing when the witness was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is no database yet, or it is about to be changed so that a witness of what it was
    /// would contradict it.
    New,
    /// It is open, or its process was killed.
    Running,
    /// It was closed.
    Closed,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Testimony {
    pub(super) state: State,
    pub(super) epoch: Epoch,
    pub(super) tail: Offset,
    /// How many transactions have changed records.
    pub(super) record_changes: u64,
}

impl Testimony {
    pub(super) fn of_nothing() -> Self {
        Self { state: State::New, epoch: Epoch::new(0), tail: Offset::ZERO, record_changes: 0 }
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let state: u32 = match self.state {
            State::New => 0,
            State::Running => 1,
            State::Closed => 2,
        };
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MARK);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&state.to_le_bytes());
        bytes[16..24].copy_from_slice(&u64::from(self.epoch.get()).to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tail.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.record_changes.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Fails with what is wrong.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Box<str>> {
        let Ok(bytes) = <&[u8; BYTES]>::try_from(bytes) else {
            return Err(format!("has {} bytes instead of {BYTES}", bytes.len()).into());
        };
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
        let long = |at: usize| u64::from(number(at)) | u64::from(number(at + 4)) << 32;
        if number(40) != crc32fast::hash(&bytes[..40]) {
            return Err("has a checksum that is not of what it says".into());
        }
        if !bytes.starts_with(MARK) || number(8) != FORMAT {
            return Err("is of a format that this Bellwire does not know".into());
        }
        let state = match number(12) {
            0 => State::New,
            1 => State::Running,
            2 => State::Closed,
            other => return Err(format!("tells the state {other}, which there is not").into()),
        };
        let epoch =
            u32::try_from(long(16)).map_err(|_| "tells an epoch beyond all that there are")?;
        Ok(Self {
            state,
            epoch: Epoch::new(epoch),
            tail: Offset::new(long(24)),
            record_changes: long(32),
        })
    }
}

impl Testimony {
    /// Fails where the database at `file` has less than what is testified.
    pub(super) fn check(self, file: &Path, last: LastRun, tail: Offset) -> Result<(), Error> {
        let what = if self.state == State::New {
            return Ok(());
        } else if last.epoch != Some(self.epoch) {
            "is of another epoch than its witness".into()
        } else if tail < self.tail {
            format!("ends at offset {tail}, but events were acknowledged up to {}", self.tail)
                .into()
        } else if last.record_changes < self.record_changes {
            let changes = match self.record_changes - last.record_changes {
                1 => "change".into(),
                missing => format!("{missing} changes"),
            };
            format!("lacks the last {changes} of silences, acknowledgements and the like").into()
        } else {
            return Ok(());
        };
        Err(Error::Less { path: file.to_owned(), what })
    }
}

/// Looks at the files before SQLite does, which takes an empty file for a new one and deletes what
/// belongs to none. Returns what the witness says. A new journal gets one that says so.
pub(super) fn before_opening(file: &Path) -> Result<Option<Testimony>, Error> {
    let directory = file.parent().unwrap_or(file);
    let testimony = read(directory)?;
    let size = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.len());
    let (main, write_ahead) = (size(file), size(&beside(file, "-wal")));
    let has_main = main.is_some_and(|bytes| bytes > 0);
    let is_begun = testimony.is_some_and(|testimony| testimony.state != State::New);
    let is_empty = if main.is_none() { "is missing" } else { "is empty" };
    let what = if !has_main && write_ahead.is_some_and(|bytes| bytes > 0) {
        format!("{is_empty}, but its write-ahead file is there")
    } else if !has_main && is_begun {
        format!("{is_empty}, but events were acknowledged in it")
    } else if main == Some(0) && testimony.is_none() {
        is_empty.into()
    } else if testimony.is_some_and(|said| said.state == State::Running) && write_ahead.is_none() {
        "has lost its write-ahead file, `journal.sqlite-wal`".into()
    } else {
        if !has_main && testimony.is_none() {
            Witness::begin(directory, Testimony::of_nothing())?;
        }
        return Ok(testimony);
    };
    Err(Error::Less { path: file.to_owned(), what: what.into() })
}

/// What the witness in `directory` says, if there is one.
pub(super) fn read(directory: &Path) -> Result<Option<Testimony>, Error> {
    let path = directory.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::open(&path, error)),
    };
    Testimony::from_bytes(&bytes).map(Some).map_err(|what| Error::Witness { path, what })
}

/// The witness of an open journal.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    path: PathBuf,
    testimony: Testimony,
}

impl Witness {
    /// Writes it and syncs it. A new one gets its name once it is whole: half of one, on a disk
    /// that is full, would be taken for one that was damaged.
    pub(super) fn begin(directory: &Path, testimony: Testimony) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let begin = || {
            let draft = if path.exists() { path.clone() } else { beside(&path, ".new") };
            let mut options = OpenOptions::new();
            let file = options.create(true).truncate(false).write(true).open(&draft)?;
            file.write_all_at(&testimony.to_bytes(), 0)?;
            file.sync_all()?;
            if draft != path {
                fs::rename(&draft, &path)?;
            }
            // The name has to last as well.
            File::open(directory)?.sync_all()?;
            Ok(file)
        };
        let file = begin().map_err(|error| Error::open(&path, error))?;
        Ok(Self { file, path, testimony })
    }

    /// The epoch of the run.
    pub(super) fn epoch(&self) -> Epoch {
        self.testimony.epoch
    }

    /// How often records were changed.
    pub(super) fn record_changes(&self) -> u64 {
        self.testimony.record_changes
    }

    /// Events up to `tail` are about to be acknowledged.
    pub(super) fn note(&mut self, tail: Offset) {
        self.testimony.tail = tail;
        self.write();
    }

    /// The same, and how often records were changed.
    pub(super) fn note_applied(&mut self, tail: Offset, record_changes: u64) {
        self.testimony.record_changes = record_changes;
        self.note(tail);
    }

    /// Until it is changed it tells of nothing: what it told is about to go.
    pub(super) fn withdraw(&self) -> Result<(), Error> {
        let bytes = Testimony::of_nothing().to_bytes();
        let withdrawn = self.file.write_all_at(&bytes, 0).and_then(|()| self.file.sync_all());
        withdrawn.map_err(|error| Error::open(&self.path, error))
    }

    /// It goes on to tell what it told.
    pub(super) fn restore(&self) {
        self.write();
    }

    /// A replica has begun anew.
    pub(super) fn begin_anew(&mut self, epoch: Epoch, base: Offset) {
        let state = State::Running;
        self.testimony = Testimony { state, epoch, tail: base, record_changes: 0 };
        self.write();
        // Where that fails it says less than there is.
        let _ = self.file.sync_all();
    }

    /// A replica goes on in another epoch.
    pub(super) fn enter_epoch(&mut self, epoch: Epoch, tail: Offset, record_changes: u64) {
        self.testimony = Testimony { state: State::Running, epoch, tail, record_changes };
        self.write();
        // Where that fails it says less than there is.
        let _ = self.file.sync_all();
    }

    /// The newest change of records is about to be acknowledged.
    pub(super) fn note_records(&mut self, changes: u64) {
        self.testimony.record_changes = changes;
        self.write();
    }

    /// Where it fails it says less than there is, which harms nobody.
    fn write(&self) {
        let _ = self.file.write_all_at(&self.testimony.to_bytes(), 0);
    }

    /// The journal is closed.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        self.testimony.state = State::Closed;
        let bytes = self.testimony.to_bytes();
        let closed = self.file.write_all_at(&bytes, 0).and_then(|()| self.file.sync_all());
        closed.map_err(|error| Error::open(&self.path, error))
    }
}
