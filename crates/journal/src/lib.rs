//! The journal: durable, ordered, one offset for each event.
//!
//! ```text
//!             trimmed                                  tail
//!                │                                       │
//!   (removed)    ▼   41   42   44   45  …  1041   1042   ▼    (not yet written)
//! ───────────────┼──────────────────────────────────────┼──────────────────────▶ offset
//!                 ◀────────── read(after, …) ──────────▶
//! ```
//!
//! A [`Journal`] appends batches of events and tells its [`Observer`] of each event once, in
//! order of offsets, when it is as durable as the engine was asked to make it, and only then
//! answers the publisher. So whatever the observer shows to subscribers survives a crash.
//!
//! # The contract
//!
//! Every engine passes [`contract`], an executable suite of it:
//! - offsets strictly increase within an epoch and are never given out twice; holes are allowed;
//! - a batch is appended whole or not at all, its events in order;
//! - the observer sees every appended event exactly once, in order, before the reply;
//! - `bounds` and `read` are never behind what the observer saw; for a moment they are ahead of it,
//!   by the commit that it is being told of;
//! - `read` returns what the observer saw, in order, without holes other than those that
//!   [`Page::trimmed`] tells; an event that is damaged is told like one that is gone;
//! - an append with an idempotency key that the journal remembers adds nothing and answers with
//!   the first append's offset;
//! - an append with a fence is appended once: in each epoch of its producer on its topic each sequence
//!   follows the one before, an epoch that is over appends nothing, and what was appended is known for
//!   as long as the producer is remembered; what is refused is refused by itself;
//! - where an append that has to be made would be refused by itself, nothing of its batch is appended;
//! - an append that rides on the one before it adds nothing where that adds nothing, and is answered
//!   alike, so that one fence is good for several events;
//! - ages are counted in time that has passed, whatever the wall clock is set to meanwhile;
//! - a failed append leaves nothing behind;
//! - a change of a state topic is an event of the same order, batch and commit: the newest of each key
//!   is kept whatever retention says, and that a key is gone is remembered within bounds; `state`
//!   returns both, and `state_horizons` tells what was forgotten;
//! - a key that has a time to live is deleted by the writer once that has passed, whatever the wall
//!   clock is set to, in the order of these times and as an event of the one order; another process
//!   goes on with it. To renew a key changes nothing but that time;
//! - an event that says that its topic ends is the last one of it: what comes behind it, in the same
//!   batch or ever, is refused by itself and says where the topic has ended, until an event says that
//!   it is reopened. That holds for state topics, too, of which nothing goes by itself meanwhile. To
//!   end it twice adds nothing, and neither does to reopen what has not ended. It
//!   has ended also when retention has removed all that was in it;
//! - changes of records are made whole or not at all, and once they are acknowledged they survive
//!   whatever the machine survives.

mod capacity;
mod check;
pub mod contract;
mod deadlines;
mod disk;
mod ends;
mod epoch;
mod error;
mod fences;
mod health;
mod lane;
mod memory;
mod newest;
mod passed;
mod placing;
mod records;
mod replica;
mod retention;
mod role;
mod steps;
mod topic_id;
mod topics;
mod trims;
mod writer;

use std::fmt;
use std::time::Duration;

use bellwire_model::limits::{PAGE_BYTES_MAX, PAGE_EVENTS_MAX};
use bellwire_model::{
    Condition, Entry, Epoch, Event, Fence, Filter, FilterSet, Keep, Offset, Topic,
};

pub use disk::{
    Arrival, Conversion, Converted, ConvertedJournal, DiskJournal, DiskOptions, Durability, Lock,
    Owner, RepairSource, Repaired, Snapshot, repair,
};
pub use ends::Ended;
pub use error::{Cause, Error, Found, Unmet, in_the_way};
pub use fences::Fenced;
pub use memory::MemoryJournal;
pub use records::{Record, RecordChange, RecordReply, RecordWatcher};
pub use replica::{AppliedReply, Due, DueKey, Placed, PlacedBatch, Replica};
pub use steps::{ClockReading, ClockStep};

/// An event to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The event.
    pub event: Event,
    /// Appends with the same topic and key within [`limits::IDEMPOTENCY_AGE`] are one.
    ///
    /// [`limits::IDEMPOTENCY_AGE`]: bellwire_model::limits::IDEMPOTENCY_AGE
    pub idempotency_key: Option<Box<str>>,
    /// What is kept: on a state topic the newest event of each key. One without a body deletes the
    /// key; where that is not there, nothing is appended.
    pub keep: Keep,
    /// Of a change of a state topic, what has to be so of the key when the order is made; else nothing
    /// of its batch is appended. An append that is known by its idempotency key has been made.
    pub condition: Condition,
    /// Of a change of a state topic, the system's [uptime](ClockReading::uptime) at which its key is to
    /// go by itself. After a change without one the key stays.
    pub expires_at: Option<Duration>,
    /// Of a deletion since that time is over, where it was said last ([`DueKey::timed_at`]): it is made
    /// only where it was not said again since. [`Offset::ZERO`]: it is no such deletion.
    pub timed_at: Offset,
    /// By which it counts once, where its writer has one: what is sent again adds nothing, and what is
    /// out of order or of an epoch that is over is refused by itself.
    pub fence: Option<Box<Fence>>,
    /// Whether nothing of its batch is appended where this is refused by itself.
    pub must_be_made: bool,
    /// Whether it goes with the append right before it, of the same topic: where that was made before,
    /// or is refused by itself, so is this.
    pub rides: bool,
}

impl Append {
    /// An event of a stream.
    pub fn new(event: Event, idempotency_key: Option<Box<str>>) -> Self {
        let (keep, condition) = (Keep::Every, Condition::Always);
        let (expires_at, timed_at, fence) = (None, Offset::ZERO, None);
        let (must_be_made, rides) = (false, false);
        Self {
            event,
            idempotency_key,
            keep,
            condition,
            expires_at,
            timed_at,
            fence,
            must_be_made,
            rides,
        }
    }

    /// A change of a state topic.
    pub fn of_state(event: Event, idempotency_key: Option<Box<str>>) -> Self {
        Self { keep: Keep::Newest, ..Self::new(event, idempotency_key) }
    }

    /// Has a key of a state topic go at another time: `event` is what would delete it. Its value stays
    /// as it is, nothing is added, and the answer is where the value is.
    pub fn renewal(event: Event, expires_at: Duration) -> Self {
        Self { expires_at: Some(expires_at), ..Self::of_state(event, None) }
    }

    /// Whether it is that: what deletes a key has no time otherwise.
    pub(crate) fn is_renewal(&self) -> bool {
        self.expires_at.is_some() && self.event.body.is_none()
    }
}

/// What became of one [`Append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where the event is.
    pub offset: Offset,
    /// Whether an earlier append with the same idempotency key put it there, or there was nothing to
    /// be done: a key is deleted or renewed that is not there. Then it is where the key went, if that is
    /// remembered, and the tail if not. Of an event that says what
    /// becomes of its topic: whether that was so before.
    pub duplicate: bool,
    /// Whether nothing was added, since the topic has ended there.
    pub has_ended: bool,
    /// Why nothing was added, where that is for its fence; the offset is then what its producer has
    /// written last, as far as that is known.
    pub fenced: Option<Fenced>,
}

impl Appended {
    /// It was added.
    pub(crate) fn new(offset: Offset) -> Self {
        Self { offset, duplicate: false, has_ended: false, fenced: None }
    }

    /// It was there before.
    pub(crate) fn again(offset: Offset) -> Self {
        Self { duplicate: true, ..Self::new(offset) }
    }

    /// Its topic has ended.
    pub(crate) fn refused(end: Offset) -> Self {
        Self { has_ended: true, ..Self::new(end) }
    }

    /// Its fence keeps it out, or knows it.
    pub(crate) fn fenced(fenced: Fenced, tail: Offset) -> Self {
        let duplicate = matches!(fenced, Fenced::Known { .. });
        Self { duplicate, fenced: Some(fenced), ..Self::new(tail) }
    }
}

/// Called once, on the journal's writer, when a batch is durable or has failed. Must not block.
pub type Reply = Box<dyn FnOnce(Result<Vec<Appended>, Error>) + Send>;

/// Sees every event once it is durable, in order of offsets, on the journal's writer.
pub trait Observer: Send {
    /// Called before the publishers of `entries` get their replies.
    fn on_commit(&mut self, entries: Vec<Entry>);

    /// The journal ends at `tail` now, though no event stands there: called behind the events before it. Only
    /// replicas have places without events.
    fn on_reach(&mut self, _tail: Offset) {}

    /// A replica has begun anew: all that was seen before is of another life, and offsets of this epoch
    /// follow `base`. No other journal does.
    fn on_begin_anew(&mut self, _epoch: Epoch, _base: Offset) {}

    /// A replica has all that it had, in another epoch: offsets of it follow `tail`. No other journal
    /// does.
    fn on_enter_epoch(&mut self, _epoch: Epoch, _tail: Offset) {}
}

/// Takes in what a journal has of state topics while it is opened, so that its rows are read once.
pub trait StateLoader {
    /// Changes follow, of a journal of this epoch whose newest offset is `tail`.
    fn begin(&mut self, epoch: Epoch, tail: Offset);

    /// The next change, in order. Of each key the last one that comes is the newest.
    fn take(&mut self, entry: Entry);
}

/// Nobody wants them.
impl StateLoader for () {
    fn begin(&mut self, _: Epoch, _: Offset) {}

    fn take(&mut self, _: Entry) {}
}

/// Where the journal begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The newest offset that retention removed, of any topic; [`Offset::ZERO`] where nothing was.
    pub trimmed: Offset,
    /// The newest durable offset, removed or not; [`Offset::ZERO`] in an empty journal.
    pub tail: Offset,
}

/// How much one [`Journal::read`] returns at most; the first matching event always fits.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Events.
    pub events: usize,
    /// Bytes, as [`Event::size_bytes`] counts them.
    pub bytes: usize,
}

impl ReadLimit {
    /// What those read at once who catch up.
    pub const PAGE: Self = Self { events: PAGE_EVENTS_MAX, bytes: PAGE_BYTES_MAX };
}

/// A stretch of the journal through a filter.
#[derive(Clone, Debug)]
pub struct Page {
    /// The matching events, in order.
    pub entries: Vec<Entry>,
    /// Every matching event after the read's start and up to here is in `entries`. Read on from
    /// here. Equal to the tail when the end was reached.
    pub end: Offset,
    /// The newest offset of a matching event that retention has removed, as of this page.
    pub trimmed: Offset,
    /// Matching events, or events that may have matched, that should be in this page and are
    /// damaged. `trimmed` is beyond what is known of retention then, so that a gap is told.
    pub lost: u64,
}

/// A stretch of the changes of state topics.
#[derive(Clone, Debug)]
pub struct StatePage {
    /// Changes, in order. Of each key there is the newest; one that it has replaced may come before.
    pub entries: Vec<Entry>,
    /// Read on from here. Equal to the tail, as of this page, when the end was reached.
    pub end: Offset,
}

/// Up to where what is deleted of a state topic may be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateHorizon {
    /// The topic.
    pub topic: Topic,
    /// The newest deletion that is.
    pub offset: Offset,
}

/// The horizons of all state topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateHorizons {
    /// Those of topics that have one.
    pub topics: Vec<StateHorizon>,
    /// That of every other topic.
    pub forgotten: Offset,
}

/// Figures of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFigures {
    /// The topic.
    pub topic: Topic,
    /// Events kept.
    pub events: u64,
    /// Bytes kept, as [`Event::size_bytes`] counts them.
    pub bytes: u64,
    /// Offset of the newest event, kept or not.
    pub last: Offset,
    /// Whether the topic has ended.
    pub has_ended: bool,
}

/// How long events are kept. The first rule whose `pattern` matches a topic holds for it; bytes
/// and events are counted over all topics that a rule holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// The topics.
    pub pattern: Filter,
    /// Older events go.
    pub age: Option<Duration>,
    /// Beyond this many bytes the oldest events go.
    pub bytes_max: Option<u64>,
    /// Beyond this many events the oldest events go.
    pub events_max: Option<u64>,
}

/// A journal engine. See the crate's documentation for the contract.
pub trait Journal: Send + Sync + fmt::Debug {
    /// The epoch of every offset that this journal gives out. That of a [`Replica`] may change while it
    /// runs.
    fn epoch(&self) -> Epoch;

    /// Queues `batch` to be appended whole. `reply` is called unless this returns an error,
    /// which says that nothing was queued: [`Error::Busy`] when the queue is full.
    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error>;

    /// Where the journal begins and ends now.
    fn bounds(&self) -> Bounds;

    /// The newest offset that somebody may know of: where others append, too, that may be one which
    /// has not come here yet.
    fn known(&self) -> Offset {
        self.bounds().tail
    }

    /// The newest offset of an event matching `filters` that retention has removed.
    fn trimmed(&self, filters: &FilterSet) -> Offset;

    /// Events after `after` that match `filters`. Blocks on the disk.
    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error>;

    /// The newest change of each key of state topics after `after`, and the deletions that are
    /// remembered. Blocks on the disk.
    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error>;

    /// Up to where deletions are forgotten. Blocks on the disk.
    fn state_horizons(&self) -> Result<StateHorizons, Error>;

    /// Where the topic of this name has ended, if it has. Waits for nobody, and looks nobody up where
    /// no topic has.
    fn ended(&self, topic: &str) -> Option<Ended>;

    /// Figures of stream topics that have or had events, sorted by name: up to `limit` of those whose
    /// names begin with `prefix` and come after `after`. Its work grows with `limit` alone.
    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures>;

    /// The figures of all of them.
    fn topics(&self) -> Vec<TopicFigures> {
        self.list_topics("", "", usize::MAX)
    }

    /// Queues changes of records, to be made whole. `reply` is called once they are synced,
    /// whatever the engine's durability, unless this returns an error, which says that nothing
    /// was queued: [`Error::Busy`] when the queue is full.
    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error>;

    /// Has somebody told of all changes of records whose keys begin so, in their order: right after each was
    /// made, before whoever asked for it is answered, and maybe more than once. A journal whose records
    /// nobody else changes tells nothing.
    fn watch_records(&self, _prefix: &'static str, _watcher: RecordWatcher) {}

    /// The records whose keys begin with `prefix`, sorted by key. Blocks on the disk.
    fn records(&self, prefix: &str) -> Result<Vec<Record>, Error>;

    /// Whether it takes what it is given: fails as the last attempt to write did, be it somebody's
    /// or, while nobody writes, its own. Where it has failed it tries again by itself.
    fn health(&self) -> Result<(), Error>;

    /// How often a read has met a damaged event.
    fn damaged(&self) -> u64;

    /// How many blocks of events retention leaves as they are, since they are damaged.
    fn damaged_blocks(&self) -> u64;

    /// Removes what retention no longer keeps, in small steps. Ages are the time that has passed:
    /// where the wall clock was set, events keep their times and nothing is older for it. Returns
    /// by how much it was set since the last call.
    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error>;

    /// Deletes keys whose time is over, the first of them first and so many that others wait no longer
    /// than for any commit. Returns at which uptime the next one goes, which may be over, too. Blocks.
    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error>;

    /// Commits what is queued, syncs, and stops. Later appends fail with [`Error::Closed`].
    fn close(&self) -> Result<(), Error>;
}
