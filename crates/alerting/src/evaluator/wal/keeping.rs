//! How much of the log is kept beside what a start needs, for replays of what has happened.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bellwire_model::Timestamp;
use bellwire_process::clock;

use crate::log_files::{Numbered, list};

/// Into how many logs what is kept falls at least: the oldest goes as a whole.
const PARTS: u32 = 8;

/// How much of the log is kept beside what a start needs; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordKept {
    /// How long; zero keeps nothing.
    pub age: Duration,
    /// Bytes of the files, with their checkpoints.
    pub bytes: u64,
}

impl RecordKept {
    /// Whether anything is kept.
    pub(super) fn is_some(self) -> bool {
        !self.age.is_zero() && self.bytes > 0
    }

    /// Whether there is room for a log that is so large, with its checkpoint.
    pub(super) fn has_room(self, bytes: u64) -> bool {
        self.is_some() && bytes <= self.bytes
    }

    /// How long a log goes on before another begins that is so large by now, with its checkpoint; for
    /// ever where it would not be kept.
    pub(super) fn log_age_max(self, bytes: u64) -> Duration {
        if self.has_room(bytes) { self.age / PARTS } else { Duration::MAX }
    }

    /// Bytes of a log before another begins, whose checkpoint is so large, where it may have so many.
    pub(super) fn log_bytes_max(self, (checkpoint_bytes, otherwise): (u64, u64)) -> u64 {
        let is_kept = self.has_room(checkpoint_bytes);
        if is_kept { otherwise.min(self.bytes / u64::from(PARTS)) } else { otherwise }
    }
}

/// A log that is over, with its checkpoint.
#[derive(Debug, Default)]
struct Part {
    files: Vec<Numbered>,
    bytes: u64,
    ended_at: Option<Timestamp>,
    has_checkpoint: bool,
}

/// The files before a checkpoint that is complete which need not be kept. Of logs without the
/// checkpoint that they begin with nobody could make sense.
pub(super) fn superfluous(
    folder: &Path,
    checkpoint: u64,
    kept: RecordKept,
) -> io::Result<Vec<Numbered>> {
    let mut parts: BTreeMap<u64, Part> = BTreeMap::new();
    let mut superfluous = Vec::new();
    for file in list(folder)?.into_iter().filter(|file| file.number() < checkpoint) {
        // Another thread may have removed it.
        let Ok(metadata) = fs::metadata(file.path(folder)) else { continue };
        let part = parts.entry(file.number()).or_default();
        part.bytes += metadata.len();
        match file {
            Numbered::Unfinished(_) => superfluous.push(file),
            Numbered::Checkpoint(_) => part.has_checkpoint = true,
            Numbered::Log(_) => part.ended_at = metadata.modified().ok().map(timestamp),
            Numbered::Start(_) => {}
        }
        part.files.push(file);
    }
    let oldest = clock::now().saturating_sub(kept.age);
    let mut bytes = 0_u64;
    let mut is_kept = |part: &&Part| {
        bytes = bytes.saturating_add(part.bytes);
        kept.is_some() && bytes <= kept.bytes && part.ended_at.is_some_and(|at| at >= oldest)
    };
    let newest_first: Vec<Part> = parts.into_values().rev().collect();
    let count = newest_first.iter().take_while(|part| is_kept(part)).count();
    let (kept, gone) = newest_first.split_at(count);
    let whole = kept.iter().rposition(|part| part.has_checkpoint).map_or(0, |last| last + 1);
    let gone = kept[whole..].iter().chain(gone).flat_map(|part| &part.files);
    superfluous.extend(gone.filter(|file| !matches!(file, Numbered::Unfinished(_))));
    Ok(superfluous)
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::Numbered::{Checkpoint, Log, Start, Unfinished};
    use super::*;

    /// Logs 1 to 4 of 100 bytes with checkpoints of 50, each an hour older than the next; the last
    /// ended an hour and a minute ago, and 5 goes on.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let now_ms = clock::now().as_ms().unsigned_abs();
        let ended = |number: u64| {
            let ago_ms = (60 * (5 - number) + 1) * 60_000;
            SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms - ago_ms)
        };
        for number in 1..=5 {
            let files = [(Checkpoint(number), 50), (Log(number), 100), (Start(number), 0)];
            for (file, bytes) in files {
                let file = File::create(file.path(folder.path())).expect("a file");
                file.set_len(bytes).expect("room");
                file.set_modified(ended(number)).expect("a time");
            }
        }
        folder
    }

    fn gone(folder: &Path, hours: u64, bytes: u64) -> Vec<u64> {
        let kept = RecordKept { age: Duration::from_hours(hours), bytes };
        let files = superfluous(folder, 5, kept).expect("a folder");
        let mut numbers: Vec<u64> = files.into_iter().map(Numbered::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    #[test]
    fn the_oldest_goes_first_as_a_whole() {
        let folder = folder();
        let folder = folder.path();
        for (hours, bytes, expected) in [
            (0, 1_000, vec![1, 2, 3, 4]),
            (10, 0, vec![1, 2, 3, 4]),
            (10, 1_000, vec![]),
            (10, 599, vec![1]),
            (10, 300, vec![1, 2]),
            (10, 149, vec![1, 2, 3, 4]),
            (1, 1_000, vec![1, 2, 3, 4]),
            (2, 1_000, vec![1, 2, 3]),
        ] {
            assert_eq!(gone(folder, hours, bytes), expected, "{hours} {bytes}");
        }
    }

    #[test]
    fn what_lacks_its_beginning_and_what_was_never_finished_goes() {
        let folder = folder();
        let folder = folder.path();
        for missing in [2, 3] {
            fs::remove_file(Checkpoint(missing).path(folder)).expect("removed");
        }
        assert_eq!(gone(folder, 10, 1_000), [] as [u64; 0]);
        // Without the checkpoint of 1 nobody can read 2 and 3.
        assert_eq!(gone(folder, 10, 400), [1, 2, 3]);
        File::create(Unfinished(4).path(folder)).expect("a file");
        let kept = RecordKept { age: Duration::from_hours(10), bytes: 1_000 };
        let superfluous = superfluous(folder, 5, kept).expect("a folder");
        assert_eq!(superfluous, [Unfinished(4)]);
    }
}
