//! The files of the rules' log, as the standby reads them while they are written.
//!
//! What the standby has begun to read stays open: it is there although the keeper has removed it.
//!
//! All here blocks on the disk, which may hang, but for what says that it does not. Which files are open is
//! behind a lock of its own, which nobody holds meanwhile.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::limits::STANDBY_PIECE_BYTES;

use super::asking::{Piece, Want};
use super::following::Place;
use crate::log_files::{Numbered, list};

/// Where a file ends.
#[derive(Clone, Copy, Debug)]
struct End {
    bytes: u64,
    /// Whether nothing more is written to it.
    is_all: bool,
}

type OpenFiles = Vec<(Numbered, Arc<File>)>;

/// What somebody begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    /// The newest checkpoint that is complete.
    pub(super) checkpoint: u64,
    files: OpenFiles,
}

/// Files that nobody reads any more. To let go of the last of one that is removed takes the disk's time.
#[derive(Debug, Default)]
pub(super) struct Closed(OpenFiles);

impl Closed {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// See the module.
pub(super) struct Files {
    folder: PathBuf,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Of which copy.
    stream: Option<u64>,
    files: OpenFiles,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest checkpoint that is complete.
    fn newest(&self) -> io::Result<Option<u64>> {
        let checkpoints = list(&self.folder)?.into_iter().filter_map(|file| match file {
            Numbered::Checkpoint(number) => Some(number),
            Numbered::Unfinished(_) | Numbered::Log(_) | Numbered::Start(_) => None,
        });
        Ok(checkpoints.max())
    }

    /// What somebody would begin with now; nothing where there is no checkpoint.
    pub(super) fn beginning(&self) -> io::Result<Option<Beginning>> {
        let Some(checkpoint) = self.newest()? else { return Ok(None) };
        let of = [Numbered::Checkpoint(checkpoint), Numbered::Log(checkpoint)];
        let open = |file: Numbered| Ok((file, Arc::new(File::open(file.path(&self.folder))?)));
        let files = of.into_iter().map(open).collect::<io::Result<_>>()?;
        Ok(Some(Beginning { checkpoint, files }))
    }

    /// Somebody begins with that, whose copy is known by this: the number behind that of the one before. Does not
    /// block.
    pub(super) fn begin(&self, stream: u64, beginning: Beginning) -> Closed {
        let mut all = self.all();
        let is_older = |other: u64| stream.wrapping_sub(other) > u64::MAX / 2;
        if all.stream.is_some_and(is_older) {
            return Closed(beginning.files);
        }
        let open = Open { stream: Some(stream), files: beginning.files };
        Closed(std::mem::replace(&mut *all, open).files)
    }

    /// Nobody reads that copy any more: what is removed is to take no room on the disk. Does not block.
    pub(super) fn close(&self, stream: u64) -> Closed {
        let mut all = self.all();
        let is_it = all.stream == Some(stream);
        Closed(if is_it { std::mem::take(&mut all.files) } else { OpenFiles::new() })
    }

    /// What is wanted, where the log is written up to there.
    pub(super) fn read(&self, want: &Want, written: Place) -> io::Result<Piece> {
        let newest = self.newest()?.unwrap_or(0);
        let (file, goes_on_to) = match *want {
            Want::Checkpoint { number, .. } => (Numbered::Checkpoint(number), None),
            Want::Log { place, .. } => {
                let goes_on_to = (place.log == written.log).then_some(written.bytes);
                (Numbered::Log(place.log), goes_on_to)
            }
        };
        if matches!(want, Want::Log { place, .. } if *place > written) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let opened = self.file(want.stream(), file)?;
        let end = match goes_on_to {
            Some(bytes) => End { bytes, is_all: false },
            None => End { bytes: opened.metadata()?.len(), is_all: true },
        };
        read(&opened, (want.from(), end), newest)
    }

    /// A file of that copy. Those before it are let go of.
    fn file(&self, stream: u64, file: Numbered) -> io::Result<Arc<File>> {
        let is_over = |it: Numbered| match (file, it) {
            (Numbered::Log(wanted), Numbered::Log(number)) => number < wanted,
            (Numbered::Checkpoint(wanted), Numbered::Checkpoint(number)) => number != wanted,
            _ => false,
        };
        let (known, closed) = {
            let mut all = self.all();
            if all.stream != Some(stream) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let closed: OpenFiles = all.files.extract_if(.., |(it, _)| is_over(*it)).collect();
            let known = all.files.iter().find(|(it, _)| *it == file);
            (known.map(|(_, open)| Arc::clone(open)), closed)
        };
        drop(closed);
        if let Some(open) = known {
            return Ok(open);
        }
        let open = Arc::new(File::open(file.path(&self.folder))?);
        let mut all = self.all();
        if all.stream == Some(stream) {
            all.files.push((file, Arc::clone(&open)));
        }
        Ok(open)
    }
}

/// Reads the next piece of a file.
fn read(file: &File, (from, end): (u64, End), checkpoint: u64) -> io::Result<Piece> {
    let left = end.bytes.checked_sub(from).ok_or(io::ErrorKind::UnexpectedEof)?;
    let length = left.min(STANDBY_PIECE_BYTES as u64);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, from)?;
    Ok(Piece { bytes, is_end: end.is_all && length == left, checkpoint })
}
