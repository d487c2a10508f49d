//! Doubt in the write-ahead file: once a sync has failed, nobody knows what of it is on the disk.
//!
//! The system may take what it could not write for written, so that a second sync would succeed
//! without it, and all that is committed behind it would be lost with it. So nothing is taken until
//! everything has gone to the main file, which is synced, and the write-ahead file begins anew:
//! what was in it counts no more.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, ffi};

use crate::error::Cause;

/// Bytes of a file that are written again at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Cast by whoever meets a sync that fails, settled by the checkpointer.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Spares the lock while all is well.
    is_cast: AtomicBool,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    /// How many there ever were.
    count: u64,
    /// What the system said last; nothing once all is settled.
    cause: Option<Cause>,
}

impl Doubt {
    /// A sync has failed.
    pub(super) fn cast(&self, cause: Cause) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count += 1;
        failures.cause = Some(cause);
        self.is_cast.store(true, Ordering::Release);
    }

    /// Why there is doubt, and how many syncs have failed so far.
    pub(super) fn cause(&self) -> Option<(Cause, u64)> {
        if !self.is_cast.load(Ordering::Acquire) {
            return None;
        }
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.cause.clone().map(|cause| (cause, failures.count))
    }

    /// All is on the disk that was written before so many syncs had failed.
    pub(super) fn settle(&self, count: u64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.count == count {
            failures.cause = None;
            self.is_cast.store(false, Ordering::Release);
        }
    }
}

/// Whether it is a sync that has failed.
pub(super) fn is_failed_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// Whether the write-ahead file could be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emptied {
    Whole,
    /// A reader held on to it for too long.
    Busy,
}

/// Moves everything to the main file, syncs that, and empties the write-ahead file. Waits for
/// readers.
pub(super) fn empty(connection: &Connection) -> rusqlite::Result<Emptied> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(if busy == 0 { Emptied::Whole } else { Emptied::Busy })
}

/// Writes a file once more where it is, which takes no room, and syncs it: so what the system takes for
/// written although it could not write it goes to the disk after all.
pub(super) fn write_again(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let bytes = file.read_at(&mut piece, at)?;
        if bytes == 0 {
            return file.sync_all();
        }
        file.write_all_at(&piece[..bytes], at)?;
        at += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_sync_that_fails_while_another_failure_is_settled_stays_in_doubt() {
        let doubt = Doubt::default();
        let cast = || doubt.cast(Arc::new(io::Error::other("the disk")));
        assert!(doubt.cause().is_none());
        cast();
        let (_, count) = doubt.cause().unwrap();
        cast();
        doubt.settle(count);
        let (cause, count) = doubt.cause().expect("the second failure counts");
        assert_eq!(cause.to_string(), "the disk");
        doubt.settle(count);
        assert!(doubt.cause().is_none());
    }
}
