//! The standby's end: a copy of the files of the keeper's rules' log, as they are written.
//!
//! ```text
//! <data>/standby/mark                   whose rules these are, and by what the keeper knows the copy
//!                checkpoint-00000007    complete: the copy counts
//!                unfinished-00000009    a newer one on its way
//!                log-00000007 …         up to where the keeper is told that it has all
//! ```
//!
//! The bytes are those of the keeper's files, and each piece goes where the last one ended: what is cut
//! anywhere is as what a process leaves that is killed there, which a start can read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwire_process::clock;
use serde::{Deserialize, Serialize};

use super::asking::{Piece, Want};
use super::following::Place;
use super::{Begun, Named};
use crate::log_files::{self, Numbered, list};

/// Whose rules a copy is of.
const MARK_FILE: &str = "mark";

/// How often what was written is synced, as the keeper does.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How many bytes of a checkpoint are synced at once: the keeper hears nothing meanwhile.
const CHECKPOINT_SYNC_BYTES: u64 = 16 * 1024 * 1024;

/// What the copy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    stream: u64,
    /// Whose rules these are.
    evaluation: Box<str>,
    /// Which evaluation has gone on with it.
    taken_by: Option<Box<str>>,
}

/// A file that is being written.
#[derive(Debug)]
struct Writing {
    number: u64,
    file: File,
    bytes: u64,
    /// Bytes that may not be on the disk.
    unsynced: u64,
}

impl Writing {
    fn open(folder: &Path, file: Numbered) -> io::Result<Self> {
        let number = file.number();
        let file = log_files::create(folder, file)?;
        let bytes = file.metadata()?.len();
        Ok(Self { number, file, bytes, unsynced: bytes })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        self.file.sync_data()
    }
}

/// See the module. What fails makes it void: it begins anew.
#[derive(Debug)]
pub struct StateCopy {
    folder: PathBuf,
    stream: u64,
    /// The checkpoint that is complete.
    checkpoint: Option<u64>,
    /// The one that is on its way.
    arrives: Option<Writing>,
    log: Writing,
    /// Whether a piece of a checkpoint is asked for next, where one is on its way.
    is_checkpoint_next: bool,
    synced_at: Duration,
}

impl StateCopy {
    /// Goes on with the copy in a folder; nothing where there is none that counts.
    pub fn resume(folder: &Path) -> io::Result<Option<Self>> {
        let Some(mark) = read_mark(folder)?.filter(|mark| mark.taken_by.is_none()) else {
            return Ok(None);
        };
        let (checkpoint, log) = newest(folder)?;
        let Some(checkpoint) = checkpoint else { return Ok(None) };
        for file in list(folder)? {
            if matches!(file, Numbered::Unfinished(_)) {
                log_files::remove(folder, file)?;
            }
        }
        let log = Writing::open(folder, Numbered::Log(log.unwrap_or(checkpoint)))?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            stream: mark.stream,
            checkpoint: Some(checkpoint),
            arrives: None,
            log,
            is_checkpoint_next: false,
            synced_at: clock::uptime(),
        }))
    }

    /// Begins anew, in the place of what is in the folder.
    pub fn begin(folder: &Path, begun: &Begun) -> io::Result<Self> {
        remove(folder)?;
        log_files::create_folder(folder)?;
        let Begun { stream, evaluation, checkpoint } = begun.clone();
        write_mark(folder, &Mark { stream, evaluation, taken_by: None })?;
        let arrives = Writing::open(folder, Numbered::Unfinished(checkpoint))?;
        let log = Writing::open(folder, Numbered::Log(checkpoint))?;
        Ok(Self {
            folder: folder.to_owned(),
            stream,
            checkpoint: None,
            arrives: Some(arrives),
            log,
            is_checkpoint_next: true,
            synced_at: clock::uptime(),
        })
    }

    /// What is wanted next.
    pub fn want(&self) -> Want {
        let place = Place { log: self.log.number, bytes: self.log.bytes };
        let has = self.checkpoint.is_some().then_some(place);
        match &self.arrives {
            Some(arrives) if has.is_none() || self.is_checkpoint_next => Want::Checkpoint {
                stream: self.stream,
                has,
                number: arrives.number,
                from: arrives.bytes,
            },
            arrives => Want::Log { stream: self.stream, place, waits: arrives.is_none() },
        }
    }

    /// Takes what was wanted. Blocks on the disk.
    pub fn take(&mut self, want: Want, piece: &Piece) -> io::Result<()> {
        if want != self.want() {
            return Err(io::Error::other("this was not asked for"));
        }
        match want {
            Want::Checkpoint { .. } => self.take_checkpoint(piece)?,
            Want::Log { .. } => self.take_log(piece)?,
        }
        let now = clock::uptime();
        if now.saturating_sub(self.synced_at) >= SYNC_INTERVAL {
            self.synced_at = now;
            self.log.sync()?;
        }
        Ok(())
    }

    fn take_checkpoint(&mut self, piece: &Piece) -> io::Result<()> {
        let Some(arrives) = &mut self.arrives else { return Ok(()) };
        arrives.write(&piece.bytes)?;
        if arrives.unsynced >= CHECKPOINT_SYNC_BYTES {
            arrives.sync()?;
        }
        // What happens meanwhile is not to wait for a checkpoint that is large.
        self.is_checkpoint_next = false;
        if piece.is_end {
            let number = arrives.number;
            log_files::put_in_place(&self.folder, (&arrives.file, number))?;
            for file in list(&self.folder)?.into_iter().filter(|file| file.number() < number) {
                log_files::remove(&self.folder, file)?;
            }
            (self.arrives, self.checkpoint) = (None, Some(number));
        }
        Ok(())
    }

    fn take_log(&mut self, piece: &Piece) -> io::Result<()> {
        self.log.write(&piece.bytes)?;
        self.is_checkpoint_next = true;
        if piece.is_end {
            self.log.sync()?;
            self.log = Writing::open(&self.folder, Numbered::Log(self.log.number + 1))?;
        }
        let is_newer = self.checkpoint.is_some_and(|have| piece.checkpoint > have);
        if is_newer && self.arrives.is_none() && piece.checkpoint <= self.log.number {
            let arrives = Numbered::Unfinished(piece.checkpoint);
            self.arrives = Some(Writing::open(&self.folder, arrives)?);
        }
        Ok(())
    }

    /// Whether what is in a folder is all that an evaluation has answered for, where the log of the cluster
    /// names its standby so; or was taken over already by this one, which has not begun by then.
    pub fn is_whole(
        folder: &Path,
        (last, named): (&str, Option<(&Named, &str)>),
    ) -> io::Result<bool> {
        let Some(mark) = read_mark(folder)? else { return Ok(false) };
        let is_taken = mark.taken_by.as_deref() == Some(last);
        let is_named = named.is_some_and(|(named, evaluation)| {
            named.stream == mark.stream && *mark.evaluation == *last && evaluation == last
        });
        Ok((is_taken || is_named) && newest(folder)?.0.is_some())
    }

    /// An evaluation is about to go on with what is in a folder.
    pub fn note_taken(folder: &Path, evaluation: &str) -> io::Result<()> {
        let Some(mark) = read_mark(folder)? else { return Ok(()) };
        write_mark(folder, &Mark { taken_by: Some(evaluation.into()), ..mark })
    }

    /// Removes a copy that nobody needs.
    pub fn remove(folder: &Path) -> io::Result<()> {
        remove(folder)
    }

    /// How many bytes of a disk a copy has.
    pub fn bytes(folder: &Path) -> io::Result<u64> {
        let mut bytes = 0;
        match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            files => {
                for file in files? {
                    bytes += file?.metadata()?.len();
                }
            }
        }
        Ok(bytes)
    }
}

/// The newest checkpoint that is complete, and the newest log.
fn newest(folder: &Path) -> io::Result<(Option<u64>, Option<u64>)> {
    let (mut checkpoint, mut log) = (None, None);
    for file in list(folder)? {
        match file {
            Numbered::Checkpoint(number) => checkpoint = checkpoint.max(Some(number)),
            Numbered::Log(number) => log = log.max(Some(number)),
            Numbered::Unfinished(_) | Numbered::Start(_) => {}
        }
    }
    Ok((checkpoint, log))
}

fn read_mark(folder: &Path) -> io::Result<Option<Mark>> {
    match fs::read(folder.join(MARK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        // One that was cut off is of no copy that counts.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
    }
}

/// Writes it so that whoever is killed meanwhile finds this or what was there, and whoever has lost the power
/// behind it finds this.
fn write_mark(folder: &Path, mark: &Mark) -> io::Result<()> {
    let (draft, place) = (folder.join("mark.new"), folder.join(MARK_FILE));
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(mark)?)?;
    file.sync_all()?;
    fs::rename(draft, place)?;
    File::open(folder)?.sync_all()
}

fn remove(folder: &Path) -> io::Result<()> {
    // First that it counts for nothing.
    match fs::remove_file(folder.join(MARK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
