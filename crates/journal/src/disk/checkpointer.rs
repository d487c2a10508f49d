//! The thread that moves pages from the write-ahead file to the main file, and that syncs where
//! the writer does not.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use bellwire_model::limits::{
    CHECKPOINT_BYTES, SYNC_INTERVAL, WRITE_AHEAD_BYTES_MAX, WRITE_AHEAD_PAUSE_MAX,
};
use rusqlite::Connection;

use super::index::IndexLock;
use super::place::SharedPlace;
use super::{Durability, schema};
use crate::Error;
use crate::health::Health;

/// The thread's handle, held by the writer. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    /// Wakes the thread; `None` once it shall end.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// Bytes since the thread was woken last.
    written_bytes: usize,
}

#[derive(Debug, Default)]
struct Shared {
    /// Something was committed since the last sync.
    is_unsynced: AtomicBool,
    /// The write-ahead file is too long: it starts afresh only when the writer pauses.
    is_too_long: AtomicBool,
    /// Why nothing may be acknowledged.
    health: Health,
}

impl Checkpointer {
    /// Starts the thread for the journal at `file`.
    pub(super) fn spawn(
        file: PathBuf,
        place: SharedPlace,
        durability: Durability,
    ) -> rusqlite::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let rounds = Rounds {
            connection: schema::open_to_checkpoint(&file)?,
            file,
            place,
            shared: Arc::clone(&shared),
            is_unsure: false,
        };
        let thread = thread::Builder::new()
            .name("checkpointer".into())
            .spawn(move || rounds.run(&woken, durability))
            .expect("the system starts a thread for each journal");
        Ok(Self { wake: Some(wake), thread: Some(thread), shared, written_bytes: 0 })
    }

    /// Fails while the files are not in their place, and after a sync has failed until all that
    /// there is has been synced another way.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.shared.health.check()
    }

    /// The writer has committed about so many bytes.
    pub(super) fn on_commit(&mut self, bytes: usize) {
        self.shared.is_unsynced.store(true, Ordering::Release);
        self.written_bytes += bytes;
        if self.written_bytes >= CHECKPOINT_BYTES {
            self.written_bytes = 0;
            // Where it is full the thread is about to look anyway.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
    }

    /// Starts the write-ahead file afresh if it is too long. Under steady load only the writer
    /// can: it moves the little that the thread has left over, and waits for readers to let go.
    pub(super) fn shorten(&self, writer: &Connection, index: &IndexLock) -> rusqlite::Result<()> {
        if !self.shared.is_too_long.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        // Nobody takes a new snapshot meanwhile.
        let _index = index.write();
        writer.busy_timeout(WRITE_AHEAD_PAUSE_MAX)?;
        // Where a reader takes too long, the thread will ask again after its next round.
        let restarted = writer.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        writer.busy_timeout(schema::BUSY_TIMEOUT)?;
        restarted
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            // Its panic has been told where it happened.
            let _ = thread.join();
        }
    }
}

/// The thread's own side.
struct Rounds {
    connection: Connection,
    file: PathBuf,
    place: SharedPlace,
    shared: Arc<Shared>,
    /// A sync has failed: what the write-ahead file has on the disk, nobody knows.
    is_unsure: bool,
}

impl Rounds {
    fn run(mut self, woken: &Receiver<()>, durability: Durability) {
        loop {
            let wake = woken.recv_timeout(SYNC_INTERVAL);
            let mut outcome = self.place.check();
            if outcome.is_ok() && durability == Durability::Interval {
                outcome = self.sync();
            }
            self.shared.health.note(outcome);
            match wake {
                Ok(()) => self.checkpoint(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Syncs the write-ahead file. What has left it was synced by the checkpoint.
    ///
    /// After a failure the system may take what it could not write for written, so that a second
    /// sync would succeed without it. Then everything goes to the main file, which is synced, and
    /// the write-ahead file begins anew: what was in it counts no more.
    fn sync(&mut self) -> Result<(), Error> {
        let is_unsynced = self.shared.is_unsynced.swap(false, Ordering::Acquire);
        if self.is_unsure {
            let cause = match empty(&self.connection) {
                Ok(Emptied::Whole) => {
                    self.is_unsure = false;
                    return Ok(());
                }
                Ok(Emptied::Busy) => Arc::new(io::Error::from(io::ErrorKind::ResourceBusy)) as _,
                Err(error) => Arc::new(error) as _,
            };
            return Err(Error::Unsynced { path: self.file.clone(), source: cause });
        }
        if !is_unsynced {
            return Ok(());
        }
        self.place.sync().map_err(|error| {
            self.is_unsure = true;
            Error::Unsynced { path: self.file.clone(), source: Arc::new(error) }
        })
    }

    fn checkpoint(&self) {
        // A failure, such as a full disk, leaves the pages where they are: the next round
        // tries again.
        if let Ok(bytes) = checkpoint(&self.connection)
            && bytes > WRITE_AHEAD_BYTES_MAX
        {
            self.shared.is_too_long.store(true, Ordering::Relaxed);
        }
    }
}

/// Moves pages to the main file, as far as no reader needs the old ones, without waiting.
/// Returns the bytes of the write-ahead file in use.
fn checkpoint(connection: &Connection) -> rusqlite::Result<u64> {
    let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    let pages: i64 = statement.query_row([], |row| row.get(1))?;
    Ok(pages.max(0) as u64 * page_bytes as u64)
}

/// Whether the write-ahead file could be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emptied {
    Whole,
    /// A reader held on to it for too long.
    Busy,
}

/// Moves everything to the main file, syncs that, and empties the write-ahead file. Waits for
/// readers.
fn empty(connection: &Connection) -> rusqlite::Result<Emptied> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(if busy == 0 { Emptied::Whole } else { Emptied::Busy })
}
