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
//! What came before is kept for a while all the same where that is configured (`keeping`), for replays.
//!
//! A file is frames: length and CRC-32 of the bytes behind them, both 32 bits, little-endian.

pub(crate) mod files;
mod keeper;
mod keeping;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{CHECKPOINT_PIECE_BYTES, RULE_WAL_BYTES_MIN, RULE_WAL_SHARE};
use bellwire_rules::{Checkpoint, Engine};

pub(super) use self::files::read;
use self::keeper::{Chore, Keeper};
pub use self::keeping::RecordKept;
use super::intake::Unkept;
use crate::figures::Figures;
use crate::log_files::{self, Numbered, frame};
use crate::standby::{Place, Standby};

/// How often what was written is synced.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How long after a failure it is tried again, with a checkpoint.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Writes the rules' state down.
#[derive(Debug)]
pub(crate) struct RuleWal {
    folder: PathBuf,
    /// Where it writes; nothing after a failure, until it is tried again.
    log: Option<Log>,
    checkpoint: Option<Pending>,
    /// How large the last one was that is complete.
    checkpoint_bytes: u64,
    keeper: Keeper,
    /// What is kept of logs that are over.
    kept: RecordKept,
    /// Whether the log has said that a checkpoint is too large to be kept.
    has_said_too_large: bool,
    /// The number of the newest log that was begun.
    number: u64,
    /// When it kept house last; times here are what has passed since some beginning.
    looked_at: Option<Duration>,
    failed: Option<Failed>,
    figures: Arc<Figures>,
    /// Another node that has what is written, where there may be one.
    standby: Option<Arc<Standby>>,
}

/// A failure, until all is written down again.
#[derive(Clone, Copy, Debug)]
struct Failed {
    at: Duration,
    unkept: Unkept,
}

/// The log that is being written.
#[derive(Debug)]
struct Log {
    file: Arc<File>,
    bytes: u64,
    began_at: Duration,
    /// Whether it was written to since it was synced.
    is_dirty: bool,
}

/// A checkpoint that is being written.
#[derive(Debug)]
struct Pending {
    checkpoint: Checkpoint,
    file: File,
    bytes: u64,
    number: u64,
}

impl Pending {
    /// Writes the next piece; says whether there was one.
    fn write_on(&mut self, engine: &Engine) -> io::Result<bool> {
        let Some(piece) = engine.checkpoint(&mut self.checkpoint, CHECKPOINT_PIECE_BYTES) else {
            return Ok(false);
        };
        let frame = frame(&piece);
        self.bytes += frame.len() as u64;
        self.file.write_all(&frame)?;
        Ok(true)
    }
}

impl RuleWal {
    /// Begins with a checkpoint of the engine as it is. A disk that is full is tried again later.
    pub(crate) fn start(
        (folder, kept): (PathBuf, RecordKept),
        engine: &mut Engine,
        figures: &Arc<Figures>,
        standby: Option<Arc<Standby>>,
    ) -> io::Result<Self> {
        let number = if folder.exists() { files::newest(&folder)? } else { 0 };
        let keeper = Keeper::start(folder.clone(), kept)?;
        let mut wal = Self {
            folder,
            log: None,
            checkpoint: None,
            checkpoint_bytes: 0,
            keeper,
            kept,
            has_said_too_large: false,
            number,
            looked_at: None,
            failed: None,
            figures: Arc::clone(figures),
            standby,
        };
        engine.keep_log();
        match wal.begin_whole(engine, Duration::ZERO) {
            Err(error) if is_full(&error) => wal.fail(&error, Duration::ZERO),
            result => result?,
        }
        Ok(wal)
    }

    /// Whether a checkpoint is being written.
    pub(crate) fn is_in_checkpoint(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// Writes what the engine says.
    pub(crate) fn write(&mut self, engine: &mut Engine, passed: Duration) {
        if let Err(error) = self.append(&engine.take_log()) {
            self.fail(&error, passed);
        }
    }

    /// Writes what the engine says, and a piece of a checkpoint where one is due; what there is has
    /// been announced.
    pub(crate) fn turn(&mut self, engine: &mut Engine, passed: Duration) {
        let records = engine.take_log();
        let synced = self.keeper.failure().map_or(Ok(()), Err);
        let result = synced.and_then(|()| self.append(&records)).and_then(|()| self.go_on(engine));
        if let Err(error) = result {
            self.fail(&error, passed);
        }
        if self.looked_at.is_none_or(|at| passed.saturating_sub(at) >= SYNC_INTERVAL) {
            self.looked_at = Some(passed);
            self.keep_house(engine, passed);
        }
    }

    /// Whether all that the engine knows is written down.
    pub(super) fn kept(&self) -> Result<(), Unkept> {
        self.failed.map_or(Ok(()), |failed| Err(failed.unkept))
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let Some(log) = self.log.as_mut().filter(|_| !records.is_empty()) else { return Ok(()) };
        let frame = frame(records);
        (&*log.file).write_all(&frame)?;
        log.bytes += frame.len() as u64;
        log.is_dirty = true;
        self.tell_standby();
        Ok(())
    }

    /// Another node may have what is written up to here.
    fn tell_standby(&self) {
        if let (Some(standby), Some(log)) = (&self.standby, &self.log) {
            standby.wrote(Place { log: self.number, bytes: log.bytes });
        }
    }

    /// Goes on with a checkpoint.
    fn go_on(&mut self, engine: &Engine) -> io::Result<()> {
        let Some(pending) = &mut self.checkpoint else { return Ok(()) };
        if pending.write_on(engine)? {
            return Ok(());
        }
        let Pending { file, number, bytes, .. } =
            self.checkpoint.take().expect("it was there a few lines ago");
        self.took_checkpoint(bytes);
        let _ = self.keeper.do_later(Chore::Finish { file, number });
        Ok(())
    }

    /// A checkpoint is complete.
    fn took_checkpoint(&mut self, bytes: u64) {
        self.checkpoint_bytes = bytes;
        let has_room = !self.kept.is_some() || self.kept.has_room(bytes);
        if !has_room && !std::mem::replace(&mut self.has_said_too_large, true) {
            let record_bytes_max = self.kept.bytes;
            tracing::warn!(
                bytes,
                record_bytes_max,
                "A checkpoint of the rules' state alone is larger than `record_bytes_max`: nothing is kept of their log for replays."
            );
        }
    }

    /// Syncs, begins a checkpoint where the log is long, and tries again what has failed.
    fn keep_house(&mut self, engine: &Engine, passed: Duration) {
        let is_late = |failed: Failed| passed.saturating_sub(failed.at) >= RETRY_INTERVAL;
        let result = match &mut self.log {
            Some(log) => {
                if log.is_dirty {
                    log.is_dirty = !self.keeper.do_later(Chore::Sync(Arc::clone(&log.file)));
                }
                let age = passed.saturating_sub(log.began_at);
                let is_long = log.bytes >= log_bytes_max(self.checkpoint_bytes, self.kept)
                    || age >= self.kept.log_age_max(self.checkpoint_bytes + log.bytes);
                // Once another has begun nobody syncs this one any more.
                if is_long && !log.is_dirty && self.checkpoint.is_none() {
                    self.begin(passed).map(|()| self.tell_standby())
                } else {
                    Ok(())
                }
            }
            None if self.failed.is_none_or(is_late) => self.begin_whole(engine, passed),
            None => Ok(()),
        };
        if let Err(error) = result {
            self.fail(&error, passed);
        }
    }

    /// Begins a log, and a checkpoint beside it.
    fn begin(&mut self, passed: Duration) -> io::Result<()> {
        self.number += 1;
        log_files::create_folder(&self.folder)?;
        let file = log_files::create(&self.folder, Numbered::Unfinished(self.number))?;
        let log = log_files::create(&self.folder, Numbered::Log(self.number))?;
        self.log = Some(Log { file: Arc::new(log), bytes: 0, began_at: passed, is_dirty: true });
        let checkpoint = Checkpoint::default();
        self.checkpoint = Some(Pending { checkpoint, file, bytes: 0, number: self.number });
        Ok(())
    }

    /// Begins a log with a checkpoint that is complete and synced; leaves nothing behind where
    /// that fails.
    fn begin_whole(&mut self, engine: &Engine, passed: Duration) -> io::Result<()> {
        let result = self.begin(passed).and_then(|()| self.write_whole(engine));
        if result.is_err() {
            self.discard(Numbered::Unfinished(self.number));
            self.discard(Numbered::Log(self.number));
            self.discard(Numbered::Start(self.number));
        }
        result
    }

    fn write_whole(&mut self, engine: &Engine) -> io::Result<()> {
        let mut pending = self.checkpoint.take().expect("it was begun a line ago");
        while pending.write_on(engine)? {}
        log_files::create(&self.folder, Numbered::Start(pending.number))?;
        files::finish(&self.folder, (&pending.file, pending.number), self.kept)?;
        self.took_checkpoint(pending.bytes);
        self.failed = None;
        self.figures.rule_state_unkept.set(0);
        self.tell_standby();
        Ok(())
    }

    /// The rules go on without: a full disk must not keep them from alerting.
    fn fail(&mut self, error: &io::Error, passed: Duration) {
        tracing::error!(%error, "The rules' state cannot be written; trying again. If the server ends before, rules begin anew.");
        self.log = None;
        if let Some(standby) = &self.standby {
            standby.broke();
        }
        if let Some(Pending { number, .. }) = self.checkpoint.take() {
            self.discard(Numbered::Unfinished(number));
        }
        let unkept = if is_full(error) { Unkept::Full } else { Unkept::Failed };
        if is_full(error) {
            self.shed();
        }
        self.failed = Some(Failed { at: passed, unkept });
        self.figures.rule_state_unkept.set(1);
        self.figures.rule_state_failures.add(1);
    }

    /// The disk is full, whoever has met that: nothing is kept there but what a start needs.
    pub(super) fn shed(&self) {
        if self.kept.is_some() {
            let _ = self.keeper.do_later(Chore::Shed);
        }
    }

    /// Removes a file that nobody will read, so that a disk that is full has room for others.
    fn discard(&self, file: Numbered) {
        if let Err(error) = log_files::remove(&self.folder, file) {
            tracing::warn!(%error, ?file, "A file of the rules' state cannot be removed.");
        }
    }
}

#[cfg(test)]
impl RuleWal {
    /// Begins another log, as when this one is long.
    pub(crate) fn begin_next(&mut self) {
        self.begin(Duration::ZERO).expect("a log");
        self.tell_standby();
    }
}

/// Bytes of a log after which a checkpoint is taken, where the last one was so large. What is written
/// beside the log is in proportion to it, and so is what is read at a start beside the checkpoint.
fn log_bytes_max(checkpoint_bytes: u64, kept: RecordKept) -> u64 {
    (checkpoint_bytes / RULE_WAL_SHARE)
        .max(kept.log_bytes_max((checkpoint_bytes, RULE_WAL_BYTES_MIN)))
}

/// Whether an error says that there is no room, which may change.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use bellwire_rules::RuleSet;

    use super::*;

    const NOTHING: RecordKept = RecordKept { age: Duration::ZERO, bytes: 0 };

    #[test]
    fn a_log_may_grow_with_the_checkpoint_before_it() {
        assert_eq!(log_bytes_max(0, NOTHING), RULE_WAL_BYTES_MIN);
        assert_eq!(log_bytes_max(3 << 30, NOTHING), 768 << 20);
        // Five bytes at most for each of a log: it, and a checkpoint four times as large.
        for checkpoint in [0, 1 << 20, 1 << 30, 1 << 33] {
            assert!(checkpoint <= 4 * log_bytes_max(checkpoint, NOTHING), "{checkpoint}");
        }
    }

    #[test]
    fn what_fails_leaves_no_files_behind() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().join("rules");
        let mut engine = Engine::new(RuleSet::default());
        let figures = Arc::new(Figures::default());
        let mut wal = RuleWal::start((folder.clone(), NOTHING), &mut engine, &figures, None)
            .expect("a folder");
        let names = || {
            let entries = std::fs::read_dir(&folder).expect("a folder");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
            names.sort_unstable();
            names
        };
        let whole = ["checkpoint-00000001", "log-00000001", "start-00000001"];
        assert_eq!(names(), whole);
        // Where the next checkpoint belongs there is something else.
        let obstacle = folder.join("checkpoint-00000002");
        std::fs::create_dir(&obstacle).expect("a folder");
        wal.begin_whole(&engine, Duration::ZERO).expect_err("its place is taken");
        wal.fail(&io::Error::other("its place is taken"), Duration::ZERO);
        std::fs::remove_dir(&obstacle).expect("it is empty");
        assert_eq!(names(), whole);
        // A checkpoint that is under way when the log fails.
        wal.begin(Duration::ZERO).expect("a log");
        wal.fail(&io::ErrorKind::StorageFull.into(), Duration::ZERO);
        assert_eq!(names(), [whole[0], whole[1], "log-00000003", whole[2]]);
        // Until all is written down again, it is not.
        let soon = RETRY_INTERVAL.saturating_sub(Duration::from_millis(1));
        wal.turn(&mut engine, soon);
        assert_eq!(wal.kept(), Err(Unkept::Full));
        wal.turn(&mut engine, soon + SYNC_INTERVAL);
        assert_eq!(wal.kept(), Ok(()));
    }

    #[test]
    fn what_is_too_large_to_be_kept_is_not_written_for_its_age() {
        let data = tempfile::tempdir().expect("a folder");
        let mut engine = Engine::new(RuleSet::default());
        let figures = Arc::new(Figures::default());
        let folder = data.path().join("rules");
        let kept = RecordKept { age: Duration::from_hours(8), bytes: 1 << 20 };
        let mut wal =
            RuleWal::start((folder, kept), &mut engine, &figures, None).expect("a folder");
        let hour = Duration::from_hours(1);
        for (checkpoint, log, begins) in
            [(2 << 20, 0, false), (1 << 20, 1, false), ((1 << 20) - 1, 1, true)]
        {
            wal.took_checkpoint(checkpoint);
            let writes = wal.log.as_mut().expect("a log");
            (writes.bytes, writes.is_dirty) = (log, false);
            let before = wal.number;
            wal.keep_house(&engine, hour);
            assert_eq!(wal.number > before, begins, "{checkpoint} {log}");
        }
        assert!(wal.has_said_too_large);
        // Nor is it shorter than where nothing is to be kept.
        assert_eq!(log_bytes_max(2 << 20, kept), log_bytes_max(2 << 20, NOTHING));
        assert_eq!(log_bytes_max(1 << 18, kept), 1 << 17);
    }

    #[test]
    fn a_log_is_synced_before_another_begins() {
        let data = tempfile::tempdir().expect("a folder");
        let mut engine = Engine::new(RuleSet::default());
        let figures = Arc::new(Figures::default());
        let folder = data.path().join("rules");
        let mut wal =
            RuleWal::start((folder, NOTHING), &mut engine, &figures, None).expect("a folder");
        let prompt = std::mem::replace(&mut wal.keeper, Keeper::without_room());
        let log = wal.log.as_mut().expect("a log");
        (log.bytes, log.is_dirty) = (RULE_WAL_BYTES_MIN, true);
        wal.turn(&mut engine, Duration::ZERO);
        assert_eq!((wal.number, wal.is_in_checkpoint()), (1, false));
        wal.keeper = prompt;
        wal.turn(&mut engine, SYNC_INTERVAL);
        assert_eq!((wal.number, wal.is_in_checkpoint()), (2, true));
    }

    #[test]
    fn a_sync_that_fails_is_a_failure_and_all_is_written_anew() {
        let data = tempfile::tempdir().expect("a folder");
        let mut engine = Engine::new(RuleSet::default());
        let figures = Arc::new(Figures::default());
        let folder = data.path().join("rules");
        let mut wal = RuleWal::start((folder.clone(), NOTHING), &mut engine, &figures, None)
            .expect("a folder");
        wal.turn(&mut engine, Duration::ZERO);
        assert_eq!(wal.kept(), Ok(()));
        wal.keeper.note(io::ErrorKind::Other.into());
        wal.turn(&mut engine, Duration::ZERO);
        assert_eq!(wal.kept(), Err(Unkept::Failed));
        assert_eq!(figures.rule_state_unkept.get(), 1);
        wal.turn(&mut engine, RETRY_INTERVAL);
        assert_eq!(wal.kept(), Ok(()));
        assert_eq!(figures.rule_state_unkept.get(), 0);
        assert!(folder.join("checkpoint-00000002").exists());
    }
}
