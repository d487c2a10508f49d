//! The rules' state on the disk: a write-ahead log and its checkpoints.
//!
//! ```text
//! <data>/rules/checkpoint-00000007    what there was when log 7 began
//!              log-00000007           what happened since
//! ```
//!
//! What the engine says after each step is written before the next batch is looked at, so that a
//! process that is killed loses nothing of it; once a second it is synced, for power cuts. When
//! the log has grown long, a new one begins, and a checkpoint is written between the steps, piece
//! by piece. Only when it is complete, synced and in its place do the files before it go.
//!
//! A file is frames: length and CRC-32 of the bytes behind them, both 32 bits, little-endian.

mod files;
mod keeper;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{CHECKPOINT_PIECE_BYTES, RULE_WAL_BYTES_MAX};
use bellwire_rules::{Checkpoint, Engine};

pub(super) use self::files::read;
use self::files::{Numbered, frame};
use self::keeper::{Chore, Keeper};
use crate::clock;
use crate::observe::Figures;

/// How often what was written is synced.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How long after a failure it is tried again, with a checkpoint.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Writes the rules' state down.
#[derive(Debug)]
pub(super) struct RuleWal {
    folder: PathBuf,
    /// Where it writes; nothing after a failure, until it is tried again.
    log: Option<Log>,
    checkpoint: Option<Pending>,
    keeper: Keeper,
    /// The number of the newest log that was begun.
    number: u64,
    looked_at: Timestamp,
    failed_at: Option<Timestamp>,
    figures: Arc<Figures>,
}

/// The log that is being written.
#[derive(Debug)]
struct Log {
    file: Arc<File>,
    bytes: u64,
    /// Whether it was written to since it was synced.
    is_dirty: bool,
}

/// A checkpoint that is being written.
#[derive(Debug)]
struct Pending {
    checkpoint: Checkpoint,
    file: File,
    number: u64,
}

impl RuleWal {
    /// Begins with a checkpoint of the engine as it is. A disk that is full is tried again later.
    pub(super) fn start(
        folder: PathBuf,
        engine: &mut Engine,
        figures: &Arc<Figures>,
    ) -> io::Result<Self> {
        let number = if folder.exists() { files::newest(&folder)? } else { 0 };
        let keeper = Keeper::start(folder.clone(), Arc::clone(figures))?;
        let mut wal = Self {
            folder,
            log: None,
            checkpoint: None,
            keeper,
            number,
            looked_at: Timestamp::MIN,
            failed_at: None,
            figures: Arc::clone(figures),
        };
        engine.keep_log();
        match wal.begin_whole(engine) {
            Err(error) if is_full(&error) => wal.fail(&error, clock::now()),
            result => result?,
        }
        Ok(wal)
    }

    /// Whether a checkpoint is being written.
    pub(super) fn is_in_checkpoint(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// Writes what the engine says, and a piece of a checkpoint where one is due.
    pub(super) fn turn(&mut self, engine: &mut Engine, now: Timestamp) {
        let records = engine.take_log();
        let result = self.append(&records).and_then(|()| self.go_on(engine));
        if let Err(error) = result {
            self.fail(&error, now);
        }
        if now.saturating_since(self.looked_at) >= SYNC_INTERVAL {
            self.looked_at = now;
            self.keep_house(engine, now);
        }
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let Some(log) = self.log.as_mut().filter(|_| !records.is_empty()) else { return Ok(()) };
        let frame = frame(records);
        (&*log.file).write_all(&frame)?;
        log.bytes += frame.len() as u64;
        log.is_dirty = true;
        Ok(())
    }

    /// Goes on with a checkpoint.
    fn go_on(&mut self, engine: &Engine) -> io::Result<()> {
        let Some(pending) = &mut self.checkpoint else { return Ok(()) };
        if let Some(piece) = engine.checkpoint(&mut pending.checkpoint, CHECKPOINT_PIECE_BYTES) {
            return pending.file.write_all(&frame(&piece));
        }
        let Pending { file, number, .. } =
            self.checkpoint.take().expect("it was there a few lines ago");
        self.keeper.do_later(Chore::Finish { file, number });
        Ok(())
    }

    /// Syncs, begins a checkpoint where the log is long, and tries again what has failed.
    fn keep_house(&mut self, engine: &Engine, now: Timestamp) {
        let result = match &mut self.log {
            Some(log) => {
                if std::mem::take(&mut log.is_dirty) {
                    self.keeper.do_later(Chore::Sync(Arc::clone(&log.file)));
                }
                if log.bytes >= RULE_WAL_BYTES_MAX && self.checkpoint.is_none() {
                    self.begin()
                } else {
                    Ok(())
                }
            }
            None if self.failed_at.is_none_or(|at| now.saturating_since(at) >= RETRY_INTERVAL) => {
                self.begin_whole(engine)
            }
            None => Ok(()),
        };
        if let Err(error) = result {
            self.fail(&error, now);
        }
    }

    /// Begins a log, and a checkpoint beside it.
    fn begin(&mut self) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        self.number += 1;
        let file = files::create_unfinished(&self.folder, self.number)?;
        let log = files::create(&self.folder, Numbered::Log(self.number))?;
        self.log = Some(Log { file: Arc::new(log), bytes: 0, is_dirty: true });
        let checkpoint = Checkpoint::default();
        self.checkpoint = Some(Pending { checkpoint, file, number: self.number });
        Ok(())
    }

    /// Begins a log with a checkpoint that is complete and synced.
    fn begin_whole(&mut self, engine: &Engine) -> io::Result<()> {
        self.begin()?;
        let Pending { mut checkpoint, mut file, number } =
            self.checkpoint.take().expect("it was begun a line ago");
        while let Some(piece) = engine.checkpoint(&mut checkpoint, CHECKPOINT_PIECE_BYTES) {
            file.write_all(&frame(&piece))?;
        }
        files::finish(&self.folder, &file, number)?;
        self.failed_at = None;
        self.figures.rule_state_unkept.set(0);
        Ok(())
    }

    /// The rules go on without: a full disk must not keep them from alerting.
    fn fail(&mut self, error: &io::Error, now: Timestamp) {
        tracing::error!(%error, "The rules' state cannot be written; trying again. If the server ends before, rules begin anew.");
        self.log = None;
        self.checkpoint = None;
        self.failed_at = Some(now);
        self.figures.rule_state_unkept.set(1);
        self.figures.rule_state_failures.add(1);
    }
}

/// Whether an error says that there is no room, which may change.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
