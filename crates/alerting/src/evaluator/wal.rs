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
use bellwire_process::clock;
use bellwire_rules::{Checkpoint, Engine};

pub(super) use self::files::read;
use self::files::{Numbered, frame};
use self::keeper::{Chore, Keeper};
use crate::figures::Figures;

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
        self.number += 1;
        std::fs::create_dir_all(&self.folder)?;
        let file = files::create(&self.folder, Numbered::Unfinished(self.number))?;
        let log = files::create(&self.folder, Numbered::Log(self.number))?;
        self.log = Some(Log { file: Arc::new(log), bytes: 0, is_dirty: true });
        let checkpoint = Checkpoint::default();
        self.checkpoint = Some(Pending { checkpoint, file, number: self.number });
        Ok(())
    }

    /// Begins a log with a checkpoint that is complete and synced; leaves nothing behind where
    /// that fails.
    fn begin_whole(&mut self, engine: &Engine) -> io::Result<()> {
        let result = self.begin().and_then(|()| self.write_whole(engine));
        if result.is_err() {
            self.discard(Numbered::Unfinished(self.number));
            self.discard(Numbered::Log(self.number));
        }
        result
    }

    fn write_whole(&mut self, engine: &Engine) -> io::Result<()> {
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
        if let Some(Pending { number, .. }) = self.checkpoint.take() {
            self.discard(Numbered::Unfinished(number));
        }
        self.failed_at = Some(now);
        self.figures.rule_state_unkept.set(1);
        self.figures.rule_state_failures.add(1);
    }

    /// Removes a file that nobody will read, so that a disk that is full has room for others.
    fn discard(&self, file: Numbered) {
        if let Err(error) = files::remove(&self.folder, file) {
            tracing::warn!(%error, ?file, "A file of the rules' state cannot be removed.");
        }
    }
}

/// Whether an error says that there is no room, which may change.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use bellwire_rules::RuleSet;

    use super::*;

    #[test]
    fn what_fails_leaves_no_files_behind() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().join("rules");
        let mut engine = Engine::new(RuleSet::default());
        let figures = Arc::new(Figures::default());
        let mut wal = RuleWal::start(folder.clone(), &mut engine, &figures).expect("a folder");
        let names = || {
            let entries = std::fs::read_dir(&folder).expect("a folder");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
            names.sort_unstable();
            names
        };
        let whole = ["checkpoint-00000001", "log-00000001"];
        assert_eq!(names(), whole);
        // Where the next checkpoint belongs there is something else.
        let obstacle = folder.join("checkpoint-00000002");
        std::fs::create_dir(&obstacle).expect("a folder");
        wal.begin_whole(&engine).expect_err("its place is taken");
        wal.fail(&io::Error::other("its place is taken"), clock::now());
        std::fs::remove_dir(&obstacle).expect("it is empty");
        assert_eq!(names(), whole);
        // A checkpoint that is under way when the log fails.
        wal.begin().expect("a log");
        wal.fail(&io::Error::other("the disk is full"), clock::now());
        assert_eq!(names(), [whole[0], whole[1], "log-00000003"]);
    }
}
