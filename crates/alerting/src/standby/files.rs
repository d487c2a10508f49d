//! The files of the rules' log, as the standby reads them while they are written.
//!
//! What the standby has begun to read stays open: it is there although the keeper has removed it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bellwire_model::limits::STANDBY_PIECE_BYTES;

use super::copy::Want;
use super::following::Place;
use crate::log_files::{Numbered, list};

/// What comes next of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Nothing where nothing more is written yet.
    pub bytes: Vec<u8>,
    /// Whether the file ends behind that: a log is over, and the next one goes on.
    pub is_end: bool,
    /// The newest checkpoint: what came before it need not be kept.
    pub checkpoint: u64,
}

/// Where a file ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    bytes: u64,
    /// Whether nothing more is written to it.
    is_all: bool,
}

/// A file, where it ends, and the newest checkpoint.
pub(super) type Opened = (Arc<File>, End, u64);

/// See the module.
pub(super) struct Files {
    folder: PathBuf,
    open: Vec<(Numbered, Arc<File>)>,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Vec::new() }
    }

    /// The newest checkpoint that is complete.
    pub(super) fn newest(&self) -> io::Result<Option<u64>> {
        let checkpoints = list(&self.folder)?.into_iter().filter_map(|file| match file {
            Numbered::Checkpoint(number) => Some(number),
            Numbered::Unfinished(_) | Numbered::Log(_) | Numbered::Start(_) => None,
        });
        Ok(checkpoints.max())
    }

    /// Somebody begins with this checkpoint.
    pub(super) fn begin(&mut self, checkpoint: u64) -> io::Result<()> {
        self.open.clear();
        self.file(Numbered::Checkpoint(checkpoint))?;
        self.file(Numbered::Log(checkpoint))?;
        Ok(())
    }

    /// Nobody reads any more: what is removed is to take no room on the disk.
    pub(super) fn close(&mut self) {
        self.open.clear();
    }

    /// Opens what is wanted, where the log is written up to there.
    pub(super) fn open(&mut self, want: &Want, written: Place) -> io::Result<Opened> {
        let newest = self.newest()?.unwrap_or(0);
        let (file, goes_on_to) = match *want {
            Want::Checkpoint { number, .. } => (Numbered::Checkpoint(number), None),
            Want::Log { place, .. } => {
                self.open.retain(|(file, _)| match file {
                    Numbered::Log(number) => *number >= place.log,
                    _ => true,
                });
                let goes_on_to = (place.log == written.log).then_some(written.bytes);
                (Numbered::Log(place.log), goes_on_to)
            }
        };
        if matches!(want, Want::Log { place, .. } if *place > written) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let opened = self.file(file)?;
        let end = match goes_on_to {
            Some(bytes) => End { bytes, is_all: false },
            None => End { bytes: opened.metadata()?.len(), is_all: true },
        };
        Ok((opened, end, newest))
    }

    fn file(&mut self, file: Numbered) -> io::Result<Arc<File>> {
        if let Some((_, open)) = self.open.iter().find(|(it, _)| *it == file) {
            return Ok(Arc::clone(open));
        }
        if matches!(file, Numbered::Checkpoint(_)) {
            self.open.retain(|(it, _)| !matches!(it, Numbered::Checkpoint(_)));
        }
        let open = Arc::new(File::open(file.path(&self.folder))?);
        self.open.push((file, Arc::clone(&open)));
        Ok(open)
    }
}

/// Reads the next piece of a file. Blocks on the disk.
pub(super) fn read(file: &File, (from, end): (u64, End), checkpoint: u64) -> io::Result<Piece> {
    let left = end.bytes.checked_sub(from).ok_or(io::ErrorKind::UnexpectedEof)?;
    let length = left.min(STANDBY_PIECE_BYTES as u64);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, from)?;
    Ok(Piece { bytes, is_end: end.is_all && length == left, checkpoint })
}
