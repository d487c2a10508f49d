//! Replicas: journals that are filled by an order that is made elsewhere, the same one on every node.
//!
//! ```text
//! the one order ──▶ apply ──▶ apply ──▶ apply        on each node, by one thread, in this order
//!   base 16384      32768     65536                  holes between them are normal
//! ```
//!
//! Whoever applies the same order has the same events at the same offsets, and gives the same answers:
//! what counts once, what is fenced, whose condition holds and what has ended is decided while it is
//! applied, by nothing but what was applied before. So nothing of this is decided by what differs
//! between nodes: the wall clock, how long one has been up, what retention has removed, how much was
//! made in one transaction. What depends on these is looked at by who makes a batch, before it is put
//! in the order ([`Replica::check_room`]), or is no part of an answer:
//! - an append that adds nothing since its key is not there, or its topic has not ended, is answered
//!   with the tail, since retention may have forgotten where that was;
//! - idempotency keys and producers are forgotten by their number and by [`Placed::time`], which never
//!   goes back: of one that is behind, the newest before it counts;
//! - nothing is refused while it is applied because there would be too much of it, but for producers,
//!   of whom all replicas know the same ones.
//!
//! Whether a journal is a replica is said when it is opened: it is the same file and the same code, and
//! whoever has a [`Journal`](crate::Journal) has to be able to have either. A replica refuses what others
//! append to it ([`Error::Replica`]), and every other journal refuses to apply ([`Error::NoReplica`]).
//! A directory that was the one and is opened as the other begins another epoch.

use std::fmt;
use std::time::Duration;

use bellwire_model::{Condition, Epoch, Event, KeyVersion, Offset, Timestamp, Topic};

use crate::{Append, ClockReading, Error, Journal, RecordChange, Reply};

/// A group commit at a place in an order that is made elsewhere.
#[derive(Debug)]
pub struct Placed {
    /// The first event's offset; the others follow it without holes. At least 1.
    pub base: Offset,
    /// How late it is, as the order says: ages of idempotency keys and producers count by it, never by the
    /// own clock.
    pub time: Timestamp,
    /// What the clocks of this machine say as it is applied, the wall clock as much later than `time` as it
    /// was made ago: what has a time to live goes by them here.
    /// The only thing that differs from node to node, and no answer depends on it.
    pub now: ClockReading,
    /// Batches, in order.
    pub batches: Vec<PlacedBatch>,
    /// Changes of records, made in the same transaction.
    pub records: Vec<RecordChange>,
}

/// A batch, appended whole or not.
pub struct PlacedBatch {
    /// Its appends. [`Append::expires_at`] is no uptime in these, which would be that of one machine, but
    /// how long after [`Placed::time`] the key goes.
    pub appends: Vec<Append>,
    /// Called as that of an append; what others made has none. Where to apply it fails it says so, and
    /// it may be applied later all the same. It says [`Error::Applied`] where that was done before.
    pub reply: Option<Reply>,
}

impl fmt::Debug for PlacedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlacedBatch").field("appends", &self.appends).finish_non_exhaustive()
    }
}

/// Called once, on the journal's writer, when a group commit was applied or could not be. Must not block.
pub type AppliedReply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Keys whose time is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Up to so many as were asked for, those first that are to go first.
    pub keys: Vec<DueKey>,
    /// At which uptime the first goes that is not among them; it may be over, too.
    pub next: Option<Duration>,
}

/// A key whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey {
    /// The topic.
    pub topic: Topic,
    /// The key.
    pub key: Box<str>,
    /// Its value.
    pub version: KeyVersion,
    /// Where its time was said last: with the value, or when it was renewed. That does not change the
    /// version.
    pub timed_at: Offset,
}

impl DueKey {
    /// What deletes it, unless it is another value by then or was renewed: whatever was ordered before
    /// counts. It is best a batch of its own, since nothing of a batch is made where that is so.
    pub fn deletion(self, time: Timestamp) -> Append {
        let Self { topic, key, version, timed_at } = self;
        let event_type = Some(Event::EXPIRED.into());
        let event = Event { topic, key: Some(key), event_type, time, body: None };
        let condition = Condition::At(version);
        Append { condition, timed_at, ..Append::of_state(event, None) }
    }
}

/// A journal that is filled by an order that is made elsewhere. See the module.
pub trait Replica: Journal {
    /// Queues a group commit. Blocks while the queue has no room: it is called by the one thread that
    /// follows the order. `applied` is called unless this returns an error.
    ///
    /// Once it was applied the tail is at least its base, also where no event came of it, in the same
    /// transaction: whoever dies knows from the tail what was applied. What is at or before the tail was
    /// applied: nothing is done then.
    ///
    /// Where it fails nothing of it is left behind, and nothing behind it is applied before it: that is
    /// refused with [`Error::OutOfOrder`], until it is tried again from there on.
    fn apply(&self, placed: Placed, applied: AppliedReply) -> Result<(), Error>;

    /// Forgets all that there is, records included, and begins with this epoch behind `base`, which is
    /// the tail then, and what was removed. Blocks until that is done and on the disk; what was queued
    /// before is applied first. Whoever is killed meanwhile finds the one or the other. The observer is
    /// told, behind all that it has seen before; who reads compares the [`epoch`](Journal::epoch) before
    /// and after.
    fn begin_anew(&self, epoch: Epoch, base: Offset) -> Result<(), Error>;

    /// Goes on with all that there is in another epoch, behind `base` or the tail, whichever is further,
    /// which is the tail then, and changes records. Blocks until that, and all that was applied before,
    /// is on the disk, also where the epoch is the same; what was queued before is applied first. Whoever
    /// is killed meanwhile finds the one or the other. The observer is told of another epoch, as of
    /// [`begin_anew`](Self::begin_anew).
    fn enter_epoch(
        &self,
        epoch: Epoch,
        base: Offset,
        records: Vec<RecordChange>,
    ) -> Result<(), Error>;

    /// Keys whose time is over, up to so many, without deleting them: who holds the lease to do so puts
    /// what deletes them ([`DueKey::deletion`]) into the order. What has ended is left out. Blocks.
    fn due(&self, now: ClockReading, count_max: usize) -> Result<Due, Error>;

    /// Whether there is room for the topics that a batch brings or ends: for who puts it into the order,
    /// since whoever applies it does not ask. Blocks for a moment.
    fn check_room(&self, batch: &[Append]) -> Result<(), Error>;

    /// The same of records. Blocks on the disk.
    fn check_room_for_records(&self, changes: &[RecordChange]) -> Result<(), Error>;
}
