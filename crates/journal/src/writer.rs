//! The thread that appends: it gathers what waits into one commit, tells the observer, replies.
//!
//! ```text
//! append ─┐  bounded   ┌──────────────────────────────────────────────┐
//! append ─┼─▶ queue ──▶│ gather ─▶ Store::commit ─▶ on_commit ─▶ replies │
//! trim   ─┘            └──────────────────────────────────────────────┘
//!                                  ▲
//! alerts, records ──▶ own lane ────┘ first
//! ```
//!
//! Every engine in this process shares it, so that the order of these steps is written once.

mod applying;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bellwire_model::limits::{
    APPENDS_QUEUED_BYTES_MAX, APPENDS_QUEUED_MAX, BYTES_PER_COMMIT_MAX, EVENTS_PER_COMMIT_MAX,
    JOURNAL_LOOK_INTERVAL, STATE_LOOKS_MAX,
};
use bellwire_model::{Entry, Epoch, Event, Fence, Offset, Timestamp};

use crate::capacity::Capacity;
use crate::deadlines::DueValue;
use crate::health::Health;
use crate::lane::Lane;
use crate::placing::Placing;
use crate::records::{self, RecordChanges};
use crate::{
    Append, Appended, ClockReading, ClockStep, Due, Error, Observer, RecordChange, RecordReply,
    Reply,
};
use applying::QueuedPlaced;

/// What an engine does on the writer's thread.
pub(crate) trait Store: Send + 'static {
    /// Appends the batches in order, in one commit. An error says that none of them is there.
    fn commit(&mut self, batches: Vec<Vec<Append>>) -> Result<Committed, Error>;

    /// The same of a replica: applies group commits, in order, in one transaction.
    fn apply(&mut self, group: Vec<Placing>) -> Result<Committed, Error>;

    /// Of a replica: forgets everything.
    fn begin_anew(&mut self, epoch: Epoch, base: Offset) -> Result<(), Error>;

    /// Of a replica: goes on in another epoch, and syncs.
    fn enter_epoch(
        &mut self,
        epoch: Epoch,
        base: Offset,
        records: RecordChanges,
    ) -> Result<(), Error>;

    /// The newest offset, or what was applied where that is further.
    fn tail(&self) -> Offset;

    /// The epoch of its offsets.
    fn epoch(&self) -> Epoch;

    /// Changes records, all or none, and syncs.
    fn write_records(&mut self, changes: RecordChanges) -> Result<(), Error>;

    /// Takes note of what the clocks say, before retention. Returns the wall clock's step.
    fn look_at_clocks(&mut self, reading: ClockReading) -> Option<ClockStep>;

    /// Removes a little of what retention does not keep, looking from `from` on. Returns where
    /// to look next, or nothing at the end.
    fn trim(&mut self, from: Offset, now: Timestamp) -> Result<Option<Offset>, Error>;

    /// Keys whose time is over, up to so many, those first that are to go first.
    fn due(&mut self, now: Duration, count_max: usize) -> Result<Vec<DueValue>, Error>;

    /// At which uptime the first goes behind so many.
    fn next_due(&self, behind: usize) -> Option<Duration>;

    /// Looks whether it could be written now, without writing.
    fn look(&mut self) -> Result<(), Error>;

    /// Writes something of no meaning, and syncs.
    fn probe(&mut self) -> Result<(), Error>;

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
    /// Something waits in the server's own lane.
    Wake,
    Records {
        changes: RecordChanges,
        reply: RecordReply,
    },
    Clocks {
        reading: ClockReading,
        reply: SyncSender<Option<ClockStep>>,
    },
    Trim {
        from: Offset,
        now: Timestamp,
        reply: SyncSender<Result<Option<Offset>, Error>>,
    },
    Expire {
        now: ClockReading,
        reply: SyncSender<Result<Option<Duration>, Error>>,
    },
    Apply(Box<QueuedPlaced>),
    BeginAnew {
        epoch: Epoch,
        base: Offset,
        reply: SyncSender<Result<(), Error>>,
    },
    EnterEpoch {
        epoch: Epoch,
        base: Offset,
        records: RecordChanges,
        reply: SyncSender<Result<(), Error>>,
    },
    Due {
        now: ClockReading,
        count_max: usize,
        reply: SyncSender<Result<Due, Error>>,
    },
}

/// The handle of the writer's thread. Dropping it closes the journal.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` once closed: with the last sender gone the thread ends after what is queued.
    queue: RwLock<Option<SyncSender<Command>>>,
    /// Of what is in the queue.
    queued_bytes: Arc<AtomicUsize>,
    own: Arc<Lane<Command>>,
    /// For what is applied.
    room: Arc<Capacity>,
    health: Arc<Health>,
    thread: Mutex<Option<JoinHandle<Result<(), Error>>>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn spawn(store: impl Store, observer: Box<dyn Observer>) -> Self {
        let (sender, queue) = sync_channel(APPENDS_QUEUED_MAX);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let own = Arc::new(Lane::default());
        let room = Arc::new(Capacity::default());
        let health = Arc::new(Health::default());
        let turns = Turns {
            store,
            observer,
            queue,
            own: Arc::clone(&own),
            queued_bytes: Arc::clone(&queued_bytes),
            room: Arc::clone(&room),
            missing: None,
            health: Arc::clone(&health),
        };
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(|| turns.run())
            .expect("the system starts a thread for each journal");
        let (queue, thread) = (RwLock::new(Some(sender)), Mutex::new(Some(thread)));
        Self { queue, queued_bytes, own, room, health, thread }
    }

    /// Queues a batch; one of the server's own topics in the server's own lane.
    pub(crate) fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(Error::Closed)?;
        let bytes = batch.iter().map(bytes_of).sum();
        if is_own(&batch) {
            return self.push_own(
                Command::Append(QueuedAppend { batch, bytes, reply }),
                bytes,
                queue,
            );
        }
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
        let bytes = records::bytes_of(&changes);
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(Error::Closed)?;
        // They follow what was appended before them.
        self.push_own(Command::Records { changes, reply }, bytes, queue)
    }

    fn push_own(
        &self,
        command: Command,
        bytes: usize,
        queue: &SyncSender<Command>,
    ) -> Result<(), Error> {
        self.own.push(command, bytes)?;
        match queue.try_send(Command::Wake) {
            Err(TrySendError::Disconnected(_)) => Err(Error::Closed),
            // Where the queue is full the writer is awake, and looks into the lane first.
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
        }
    }

    /// How the last attempt to write ended.
    pub(crate) fn health(&self) -> Result<(), Error> {
        self.health.check()
    }

    /// Applies retention step by step; appends go on between the steps.
    pub(crate) fn trim(&self, reading: ClockReading) -> Result<Option<ClockStep>, Error> {
        let step = self.ask(|reply| Command::Clocks { reading, reply })?;
        let mut next = Some(Offset::ZERO);
        while let Some(from) = next {
            next = self.ask(|reply| Command::Trim { from, now: reading.wall, reply })??;
        }
        Ok(step)
    }

    /// Deletes some of the keys whose time is over. Returns when the next one's is.
    pub(crate) fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.ask(|reply| Command::Expire { now, reply })?
    }

    /// Queues a command and waits for its answer.
    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> Result<T, Error> {
        // Cloned for one command only: `close` waits for the last sender to go.
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, answer) = sync_channel(1);
        queue.ok_or(Error::Closed)?.send(command(reply)).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)
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

/// What an event takes while it waits: of a very small one, most is what holds it.
fn bytes_of(append: &Append) -> usize {
    let key_bytes = append.idempotency_key.as_ref().map_or(0, |key| key.len());
    let fence_bytes =
        append.fence.as_ref().map_or(0, |fence| size_of::<Fence>() + fence.producer.len());
    size_of::<Append>() + append.event.size_bytes() + key_bytes + fence_bytes
}

/// Whether a batch is of the server's own topics alone.
fn is_own(batch: &[Append]) -> bool {
    batch.iter().all(|append| append.event.topic.is_reserved())
}

/// The thread's own side.
struct Turns<S> {
    store: S,
    observer: Box<dyn Observer>,
    queue: Receiver<Command>,
    queued_bytes: Arc<AtomicUsize>,
    own: Arc<Lane<Command>>,
    room: Arc<Capacity>,
    /// The base of what could not be applied and has to be first.
    missing: Option<Offset>,
    health: Arc<Health>,
}

impl<S> Drop for Turns<S> {
    fn drop(&mut self) {
        self.room.close();
    }
}

impl<S: Store> Turns<S> {
    fn run(mut self) -> Result<(), Error> {
        let mut next = self.wait();
        while let Some(command) = next {
            let ahead = match command {
                Command::Append(append) => self.append(append),
                Command::Wake => None,
                Command::Records { changes, reply } => {
                    let written = self.store.write_records(changes);
                    self.note(written.as_ref().err());
                    reply(written);
                    None
                }
                Command::Clocks { reading, reply } => {
                    let _ = reply.send(self.store.look_at_clocks(reading));
                    None
                }
                Command::Trim { from, now, reply } => {
                    // The caller may have gone; then nobody wants the answer.
                    let _ = reply.send(self.store.trim(from, now));
                    None
                }
                Command::Expire { now, reply } => {
                    let _ = reply.send(self.expire(now));
                    None
                }
                Command::Apply(placed) => self.apply(*placed),
                Command::BeginAnew { epoch, base, reply } => {
                    let _ = reply.send(self.begin_anew(epoch, base));
                    None
                }
                Command::EnterEpoch { epoch, base, records, reply } => {
                    let _ = reply.send(self.enter_epoch(epoch, base, records));
                    None
                }
                Command::Due { now, count_max, reply } => {
                    let _ = reply.send(self.due(now, count_max));
                    None
                }
            };
            next = ahead.or_else(|| self.wait());
        }
        self.store.close()
    }

    /// What comes next; nothing once the journal is closed. While nothing comes, it looks whether
    /// something could be written, so that whoever asks knows before it is tried.
    fn wait(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = self.own.pop() {
                return Some(command);
            }
            match self.queue.recv_timeout(JOURNAL_LOOK_INTERVAL) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return self.own.pop(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let is_well = self.health.check().is_ok();
            let looked = if is_well { self.store.look() } else { self.store.probe() };
            self.note(looked.as_ref().err());
        }
    }

    /// Something was written, or was not. What was refused for what it is tells nothing.
    fn note(&self, error: Option<&Error>) {
        let is_refusal = matches!(
            error,
            Some(
                Error::TooManyTopics
                    | Error::TooManyEndedTopics
                    | Error::TooManyRecords
                    | Error::Condition(_)
            )
        );
        if !is_refusal {
            self.health.note(error.cloned().map_or(Ok(()), Err));
        }
    }

    /// Deletes some keys whose time is over: that is decided here, behind what has renewed them.
    fn expire(&mut self, now: ClockReading) -> Result<Option<Duration>, Error> {
        let due = self.store.due(now.uptime, STATE_LOOKS_MAX)?;
        if !due.is_empty() {
            let end = |DueValue { topic, key, .. }| {
                let event_type = Some(Event::EXPIRED.into());
                let event = Event { topic, key: Some(key), event_type, time: now.wall, body: None };
                Append::of_state(event, None)
            };
            let committed = self.store.commit(vec![due.into_iter().map(end).collect()]);
            self.note(committed.as_ref().err());
            let entries = committed?.entries;
            if !entries.is_empty() {
                self.observer.on_commit(entries);
            }
        }
        Ok(self.store.next_due(0))
    }

    /// One commit: `first` and what else waits and fits. Returns what was taken but did not fit.
    fn append(&mut self, first: QueuedAppend) -> Option<Command> {
        // 1. Gather.
        let of_queue = |append: &QueuedAppend| if is_own(&append.batch) { 0 } else { append.bytes };
        let (mut events, mut bytes) = (first.batch.len(), first.bytes);
        let mut bytes_of_queue = of_queue(&first);
        let (mut batches, mut replies) = (vec![first.batch], vec![first.reply]);
        let mut ahead = None;
        while let Some(command) = self.own.pop().or_else(|| self.queue.try_recv().ok()) {
            match command {
                Command::Wake => {}
                Command::Append(append)
                    if events + append.batch.len() <= EVENTS_PER_COMMIT_MAX
                        && bytes + append.bytes <= BYTES_PER_COMMIT_MAX =>
                {
                    events += append.batch.len();
                    bytes += append.bytes;
                    bytes_of_queue += of_queue(&append);
                    batches.push(append.batch);
                    replies.push(append.reply);
                }
                other => {
                    ahead = Some(other);
                    break;
                }
            }
        }
        self.queued_bytes.fetch_sub(bytes_of_queue, Ordering::Relaxed);

        // 2. Durable, 3. visible, 4. acknowledged: in this order.
        let committed = self.store.commit(batches);
        self.note(committed.as_ref().err());
        match committed {
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
