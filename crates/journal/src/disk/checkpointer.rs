//! The thread that moves pages from the write-ahead file to the main file, and that syncs where
//! the writer does not.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use bellwire_model::limits::{
    CHECKPOINT_BYTES, SYNC_INTERVAL, WRITE_AHEAD_BYTES_MAX, WRITE_AHEAD_PAUSE_MAX,
};
use rusqlite::Connection;

use super::index::IndexLock;
use super::{Durability, schema};
use crate::Error;

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
    /// The sync that failed.
    failure: OnceLock<Error>,
}

impl Checkpointer {
    /// Starts the thread for the journal at `file`.
    pub(super) fn spawn(file: PathBuf, durability: Durability) -> rusqlite::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let rounds =
            Rounds { connection: schema::open_to_checkpoint(&file)?, file, shared: shared.clone() };
        let thread = thread::Builder::new()
            .name("checkpointer".into())
            .spawn(move || rounds.run(&woken, durability))
            .expect("the system starts a thread for each journal");
        Ok(Self { wake: Some(wake), thread: Some(thread), shared, written_bytes: 0 })
    }

    /// Fails once a sync has failed: after that nobody knows what is on the disk, and a later
    /// sync would succeed without the data of this one. A restart finds out.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.shared.failure.get().map_or(Ok(()), |error| Err(error.clone()))
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
    shared: Arc<Shared>,
}

impl Rounds {
    fn run(self, woken: &Receiver<()>, durability: Durability) {
        loop {
            let wake = woken.recv_timeout(SYNC_INTERVAL);
            if durability == Durability::Interval {
                self.sync();
            }
            match wake {
                Ok(()) => self.checkpoint(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Syncs the write-ahead file. What has left it was synced by the checkpoint.
    fn sync(&self) {
        if !self.shared.is_unsynced.swap(false, Ordering::Acquire) {
            return;
        }
        let mut path = self.file.clone().into_os_string();
        path.push("-wal");
        match File::open(&path).and_then(|file| file.sync_data()) {
            Ok(()) => {}
            // Nothing was written yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let failure = Error::Storage { path: self.file.clone(), source: Arc::new(error) };
                // The first failure is the one to tell.
                let _ = self.shared.failure.set(failure);
            }
        }
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
