//! The thread that moves pages from the write-ahead file to the main file, and that syncs where
//! the writer does not.

use std::ffi::c_int;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use bellwire_model::limits::{
    CHECKPOINT_BYTES, SYNC_INTERVAL, WRITE_AHEAD_BYTES_MAX, WRITE_AHEAD_PAUSE_MAX,
};
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::doubt::{Doubt, Emptied, empty, is_failed_sync};
use super::index::IndexLock;
use super::place::SharedPlace;
use super::{Durability, schema};
use crate::Error;
use crate::error::Cause;
use crate::health::Health;

/// The thread's handle, held by the writer. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    /// Wakes the thread; `None` once it shall end.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    written: Written,
}

/// What the writer has written into the write-ahead file. Each commit writes whole pages, however
/// little it changes of them.
#[derive(Debug)]
struct Written {
    /// Pages in the file as of the writer's newest commit.
    pages: Arc<AtomicU64>,
    pages_before: u64,
    page_bytes: u64,
    /// Since the thread was woken last.
    bytes: u64,
}

impl Written {
    /// Nothing yet; the commits of `writer` count.
    fn by(writer: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU64::new(0));
        let noted = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut Wal, pages: c_int| {
            noted.store(u64::from(pages.unsigned_abs()), Ordering::Relaxed);
            Ok(())
        }))?;
        let page_bytes =
            writer.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?;
        Ok(Self { pages, pages_before: 0, page_bytes: page_bytes.unsigned_abs(), bytes: 0 })
    }

    /// Counts what was committed since the last time.
    fn count(&mut self) {
        let pages = self.pages.load(Ordering::Relaxed);
        // Where there are fewer the file has begun anew.
        let new = pages.checked_sub(self.pages_before).unwrap_or(pages);
        self.pages_before = pages;
        self.bytes += new * self.page_bytes;
    }
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    durability: Durability,
    /// Something was committed since the last sync.
    is_unsynced: AtomicBool,
    /// The write-ahead file is too long: it starts afresh only when the writer pauses.
    is_too_long: AtomicBool,
    /// Whether the files are in their place.
    place: Health,
    doubt: Doubt,
}

impl Shared {
    /// A statement has failed, of whatever connection. With `sync` a commit that cannot be synced
    /// has only its own pages to lose, and they are written once more by the next.
    fn on_error(&self, error: &rusqlite::Error) {
        if self.durability == Durability::Interval && is_failed_sync(error) {
            self.doubt.cast(Arc::new(io::Error::other(error.to_string())));
        }
    }

    /// Settles what is in doubt, if it can be.
    fn settle(&self, connection: &Connection) {
        if let Some((_, count)) = self.doubt.cause() {
            match empty(connection) {
                Ok(Emptied::Whole) => self.doubt.settle(count),
                Ok(Emptied::Busy) => {
                    self.doubt.cast(Arc::new(io::Error::from(io::ErrorKind::ResourceBusy)));
                }
                Err(error) => self.doubt.cast(Arc::new(error)),
            }
        }
    }
}

impl Checkpointer {
    /// Starts the thread for the journal at `file`, into which `writer` writes.
    pub(super) fn spawn(
        (file, writer): (PathBuf, &mut Connection),
        place: SharedPlace,
        durability: Durability,
    ) -> rusqlite::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let connection = schema::open_to_checkpoint(&file)?;
        let written = Written::by(writer)?;
        let shared = Arc::new(Shared {
            file,
            durability,
            is_unsynced: AtomicBool::new(false),
            is_too_long: AtomicBool::new(false),
            place: Health::default(),
            doubt: Doubt::default(),
        });
        let rounds = Rounds { connection, place, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new()
            .name("checkpointer".into())
            .spawn(move || rounds.run(&woken))
            .expect("the system starts a thread for each journal");
        Ok(Self { wake: Some(wake), thread: Some(thread), shared, written })
    }

    /// Fails while the files are not in their place, and after a sync has failed until all that
    /// there is has been synced another way.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some((source, _)) = self.shared.doubt.cause() {
            return Err(Error::Unsynced { path: self.shared.file.clone(), source });
        }
        self.shared.place.check()
    }

    /// The last run was not closed, and what it left could not be moved to the main file.
    pub(super) fn doubt(&self, cause: Cause) {
        self.shared.doubt.cast(cause);
    }

    /// A statement of the writer has failed.
    pub(super) fn on_error(&self, error: &rusqlite::Error) {
        self.shared.on_error(error);
        if self.shared.doubt.cause().is_some() {
            self.wake();
        }
    }

    /// Ends the thread: from now on nobody else syncs, or casts doubt. What is in doubt is settled
    /// through `writer` if it can be.
    pub(super) fn stop(&mut self, writer: &Connection) {
        self.join();
        self.shared.settle(writer);
    }

    fn join(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            // Its panic has been told where it happened.
            let _ = thread.join();
        }
    }

    /// Where the channel is full the thread is about to look anyway.
    fn wake(&self) {
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }

    /// The writer has committed.
    pub(super) fn on_commit(&mut self) {
        self.shared.is_unsynced.store(true, Ordering::Release);
        self.written.count();
        if self.written.bytes >= CHECKPOINT_BYTES {
            self.written.bytes = 0;
            self.wake();
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
        restarted.inspect_err(|error| self.on_error(error))
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.join();
    }
}

/// The thread's own side.
struct Rounds {
    connection: Connection,
    place: SharedPlace,
    shared: Arc<Shared>,
}

impl Rounds {
    fn run(self, woken: &Receiver<()>) {
        loop {
            let wake = woken.recv_timeout(SYNC_INTERVAL);
            let placed = self.place.check();
            if placed.is_ok() {
                self.sync();
            }
            self.shared.place.note(placed);
            match wake {
                Ok(()) => self.checkpoint(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Settles what is in doubt, or syncs the write-ahead file where the writer does not. What has
    /// left it was synced by the checkpoint.
    fn sync(&self) {
        let Shared { doubt, durability, is_unsynced, .. } = &*self.shared;
        let is_unsynced = is_unsynced.swap(false, Ordering::Acquire);
        if doubt.cause().is_some() {
            self.shared.settle(&self.connection);
        } else if is_unsynced
            && *durability == Durability::Interval
            && let Err(error) = self.place.sync()
        {
            doubt.cast(Arc::new(error));
        }
    }

    fn checkpoint(&self) {
        match checkpoint(&self.connection) {
            Ok(bytes) if bytes > WRITE_AHEAD_BYTES_MAX => {
                self.shared.is_too_long.store(true, Ordering::Relaxed);
            }
            Ok(_) => {}
            // A failure, such as a full disk, leaves the pages where they are: the next round
            // tries again. But it syncs the write-ahead file first.
            Err(error) => self.shared.on_error(&error),
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
