//! The thread that appends: it gathers what waits into one commit, tells the observer, replies.
//!
//! ```text
//! append ─┐  bounded   ┌──────────────────────────────────────────────┐
//! append ─┼─▶ queue ──▶│ gather ─▶ Store::commit ─▶ on_commit ─▶ replies │
//! trim   ─┘            └──────────────────────────────────────────────┘
//! ```
//!
//! Every engine in this process shares it, so that the order of these steps is written once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use bellwire_model::limits::{
    APPENDS_QUEUED_BYTES_MAX, APPENDS_QUEUED_MAX, BYTES_PER_COMMIT_MAX, EVENTS_PER_COMMIT_MAX,
};
use bellwire_model::{Entry, Offset, Timestamp};

use crate::records::{self, RecordChanges};
use crate::{Append, Appended, Error, Observer, RecordChange, RecordReply, Reply};

/// What an engine does on the writer's thread.
pub(crate) trait Store: Send + 'static {
    /// Appends the batches in order, in one commit. An error says that none of them is there.
    fn commit(&mut self, batches: Vec<Vec<Append>>) -> Result<Committed, Error>;

    /// Changes records, all or none, and syncs.
    fn write_records(&mut self, changes: RecordChanges) -> Result<(), Error>;

    /// Removes a little of what retention does not keep, looking from `from` on. Returns where
    /// to look next, or nothing at the end.
    fn trim(&mut self, from: Offset, now: Timestamp) -> Result<Option<Offset>, Error>;

    /// Makes everything durable; nothing follows.
    fn close(&mut self) -> Result<(), Error>;
}

/// What became of a commit.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// The new events.
    pub(crate) entries: Vec<Entry>,
    /// One result for each batch.
    pub(crate) results: Vec<Result<Vec<Appended>, Error>>,
}

struct QueuedAppend {
    batch: Vec<Append>,
    bytes: usize,
    reply: Reply,
}

enum Command {
    Append(QueuedAppend),
    Records { changes: RecordChanges, reply: RecordReply },
    Trim { from: Offset, now: Timestamp, reply: SyncSender<Result<Option<Offset>, Error>> },
}

/// The handle of the writer's thread. Dropping it closes the journal.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` once closed: with the last sender gone the thread ends after what is queued.
    queue: RwLock<Option<SyncSender<Command>>>,
    queued_bytes: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<Result<(), Error>>>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn spawn(store: impl Store, observer: Box<dyn Observer>) -> Self {
        let (sender, queue) = sync_channel(APPENDS_QUEUED_MAX);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let turns = Turns { store, observer, queue, queued_bytes: queued_bytes.clone() };
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(|| turns.run())
            .expect("the system starts a thread for each journal");
        Self { queue: RwLock::new(Some(sender)), queued_bytes, thread: Mutex::new(Some(thread)) }
    }

    /// Queues a batch.
    pub(crate) fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(Error::Closed)?;
        let bytes = batch.iter().map(|append| append.event.size_bytes()).sum();
        if self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) >= APPENDS_QUEUED_BYTES_MAX {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Error::Busy);
        }
        queue.try_send(Command::Append(QueuedAppend { batch, bytes, reply })).map_err(|error| {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Disconnected(_) => Error::Closed,
            }
        })
    }

    /// Queues changes of records.
    pub(crate) fn write_records(
        &self,
        changes: Vec<RecordChange>,
        reply: RecordReply,
    ) -> Result<(), Error> {
        let changes = records::gathered(changes)?;
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(Error::Closed)?;
        queue.try_send(Command::Records { changes, reply }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => Error::Closed,
        })
    }

    /// Applies retention step by step; appends go on between the steps.
    pub(crate) fn trim(&self, now: Timestamp) -> Result<(), Error> {
        let mut from = Offset::ZERO;
        loop {
            // Cloned for one step only: `close` waits for the last sender to go.
            let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner).clone();
            let (reply, answer) = sync_channel(1);
            let command = Command::Trim { from, now, reply };
            queue.ok_or(Error::Closed)?.send(command).map_err(|_| Error::Closed)?;
            match answer.recv().map_err(|_| Error::Closed)?? {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Commits what is queued and ends the thread.
    pub(crate) fn close(&self) -> Result<(), Error> {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        // Held while joining, so that a second closer waits too.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match thread.take() {
            // A reply holds the last handle: the thread ends by itself after this turn.
            Some(own) if own.thread().id() == thread::current().id() => Ok(()),
            Some(thread) => thread.join().unwrap_or(Err(Error::Closed)),
            None => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `close`.
        let _ = self.close();
    }
}

/// The thread's own side.
struct Turns<S> {
    store: S,
    observer: Box<dyn Observer>,
    queue: Receiver<Command>,
    queued_bytes: Arc<AtomicUsize>,
}

impl<S: Store> Turns<S> {
    fn run(mut self) -> Result<(), Error> {
        let mut next = self.queue.recv().ok();
        while let Some(command) = next {
            let ahead = match command {
                Command::Append(append) => self.append(append),
                Command::Records { changes, reply } => {
                    reply(self.store.write_records(changes));
                    None
                }
                Command::Trim { from, now, reply } => {
                    // The caller may have gone; then nobody wants the answer.
                    let _ = reply.send(self.store.trim(from, now));
                    None
                }
            };
            next = ahead.or_else(|| self.queue.recv().ok());
        }
        self.store.close()
    }

    /// One commit: `first` and what else waits and fits. Returns what was taken but did not fit.
    fn append(&mut self, first: QueuedAppend) -> Option<Command> {
        // 1. Gather.
        let (mut events, mut bytes) = (first.batch.len(), first.bytes);
        let (mut batches, mut replies) = (vec![first.batch], vec![first.reply]);
        let mut ahead = None;
        while let Ok(command) = self.queue.try_recv() {
            match command {
                Command::Append(append)
                    if events + append.batch.len() <= EVENTS_PER_COMMIT_MAX
                        && bytes + append.bytes <= BYTES_PER_COMMIT_MAX =>
                {
                    events += append.batch.len();
                    bytes += append.bytes;
                    batches.push(append.batch);
                    replies.push(append.reply);
                }
                other => {
                    ahead = Some(other);
                    break;
                }
            }
        }
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);

        // 2. Durable, 3. visible, 4. acknowledged: in this order.
        match self.store.commit(batches) {
            Ok(Committed { entries, results }) => {
                if !entries.is_empty() {
                    self.observer.on_commit(entries);
                }
                for (reply, result) in replies.into_iter().zip(results) {
                    reply(result);
                }
            }
            Err(error) => {
                for reply in replies {
                    reply(Err(error.clone()));
                }
            }
        }
        ahead
    }
}
