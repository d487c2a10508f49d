//! The embedded engine: one SQLite database in the data directory.
//!
//! ```text
//! publishers ─▶ Writer ─▶ store ──▶ journal.sqlite ◀── readers ◀─ subscribers that catch up
//!                           │            ▲
//!                           ▼            │ moves pages, syncs
//!                         index     checkpointer
//!               (topics, blocks, tail: what readers need to know)
//! ```
//!
//! The layout and what is promised of it is told in `docs/internals/journal.md`.

mod block_number;
mod blocks;
mod bounds;
mod checkpointer;
mod conversion;
mod doubt;
mod fences;
mod index;
mod keys;
mod load;
mod lock;
mod names;
mod originals;
mod place;
mod placed;
mod pool;
mod present;
mod reader;
mod records;
mod repair;
mod rows;
mod schema;
mod snapshot;
mod stage;
mod state;
mod store;
mod sums;
mod sweep;
#[cfg(test)]
mod tests;
mod walk;
mod witness;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_model::{Epoch, FilterSet, Offset};

use crate::ends::Ends;
use crate::epoch::SharedEpoch;
use crate::records::SharedTally;
use crate::role::Role;
use crate::writer::Writer;
use crate::{
    Append, AppliedReply, Bounds, ClockReading, ClockStep, Due, Ended, Error, Journal, Observer,
    Page, Placed, ReadLimit, Record, RecordChange, RecordReply, Replica, Reply, RetentionRule,
    StateHorizons, StateLoader, StatePage, TopicFigures,
};
use bounds::StoreBounds;
pub use conversion::{Conversion, Converted, ConvertedJournal, Owner};
use index::SharedIndex;
pub use lock::Lock;
use place::SharedPlace;
use reader::Readers;
pub use repair::{RepairSource, Repaired, repair};
pub use snapshot::{Arrival, Snapshot};
use store::DiskStore;

/// When an append counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is synced to the disk: nothing acknowledged is lost to a power cut.
    Sync,
    /// Once it is handed to the system, which syncs each [`SYNC_INTERVAL`]: nothing is lost when
    /// the process dies, but a power cut may take the last interval. Then a new epoch begins.
    ///
    /// [`SYNC_INTERVAL`]: bellwire_model::limits::SYNC_INTERVAL
    Interval,
}

impl Durability {
    /// The text that is stored and configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Interval => "interval",
        }
    }
}

/// How to open a [`DiskJournal`].
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// The data directory; it is created where it is missing.
    pub path: PathBuf,
    /// When an append counts as durable.
    pub durability: Durability,
    /// How long events are kept.
    pub retention: Vec<RetentionRule>,
    /// What says which state topics are kept here. Where the last run had it otherwise, nobody goes
    /// on with what the state was: keys may have come and gone elsewhere.
    pub state_places: String,
    /// A random number, used where a new epoch must begin.
    pub fresh_epoch: Epoch,
    /// Changes with each start of the operating system, where it tells.
    pub boot_id: Option<String>,
    /// The time now.
    pub now: ClockReading,
    /// Bounds that tests lower.
    #[cfg(test)]
    pub(crate) bounds: StoreBounds,
}

/// A journal on the local disk.
pub struct DiskJournal {
    // Declared in the order in which they must go: the lock last.
    readers: Readers,
    writer: Writer,
    index: SharedIndex,
    ends: Arc<Ends>,
    epoch: SharedEpoch,
    records: SharedTally,
    bounds: StoreBounds,
    role: Role,
    path: PathBuf,
    _place: SharedPlace,
    /// Let go of once it is closed, though somebody may still read.
    lock: Mutex<Option<Lock>>,
}

impl DiskJournal {
    /// Opens the journal in a data directory, or begins one.
    pub fn open(options: DiskOptions, observer: Box<dyn Observer>) -> Result<Self, Error> {
        Self::open_into(options, observer, &mut ())
    }

    /// Whether there is one in a data directory.
    pub fn is_in(path: &Path) -> bool {
        path.join(schema::FILE).exists()
    }

    /// The same, and hands on what there is of state topics.
    pub fn open_into(
        options: DiskOptions,
        observer: Box<dyn Observer>,
        states: &mut dyn StateLoader,
    ) -> Result<Self, Error> {
        Self::open_as((options, Role::Alone), observer, states)
    }

    /// The same of a [`Replica`], which goes on in the epoch that it was left in, or begins one that is
    /// nobody else's.
    pub fn open_replica(
        options: DiskOptions,
        observer: Box<dyn Observer>,
        states: &mut dyn StateLoader,
    ) -> Result<Self, Error> {
        Self::open_as((options, Role::Replica), observer, states)
    }

    fn open_as(
        (options, role): (DiskOptions, Role),
        observer: Box<dyn Observer>,
        states: &mut dyn StateLoader,
    ) -> Result<Self, Error> {
        let lock = Lock::take(&options.path)?;
        snapshot::tidy(&options.path);
        let file = options.path.join(schema::FILE);
        let store = DiskStore::open(&file, (options, role), states)?;
        let index = Arc::clone(store.index());
        let place = Arc::clone(store.place());
        let ends = Arc::clone(index.read().topics.ends());
        let epoch = store.shared_epoch().clone();
        let (records, bounds) = (store.records().clone(), store.bounds());
        Ok(Self {
            readers: Readers::new(file.clone(), Arc::clone(&index)),
            writer: Writer::spawn(store, observer),
            index,
            ends,
            epoch,
            records,
            bounds,
            role,
            path: file,
            _place: place,
            lock: Mutex::new(Some(lock)),
        })
    }
}

impl Journal for DiskJournal {
    fn epoch(&self) -> Epoch {
        self.epoch.get()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        self.role.check_alone()?;
        self.writer.append(batch, reply)
    }

    fn bounds(&self) -> Bounds {
        self.index.bounds()
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.index.trimmed(filters)
    }

    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error> {
        self.readers.read(after, filters, limit).map_err(|error| Error::sqlite(&self.path, error))
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error> {
        // Before the snapshot: it has everything up to there, and what is newer comes with a later
        // page.
        let tail = self.index.bounds().tail;
        let page = self.readers.with(|connection| state::page(connection, (after, tail), limit));
        page.map_err(|error| Error::sqlite(&self.path, error))
    }

    fn state_horizons(&self) -> Result<StateHorizons, Error> {
        self.readers.with(state::horizons).map_err(|error| Error::sqlite(&self.path, error))
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.ends.of(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.index.read().topics.figures((prefix, after), limit)
    }

    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error> {
        self.role.check_alone()?;
        self.writer.write_records(changes, reply)
    }

    fn records(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        self.readers.records(prefix).map_err(|error| Error::sqlite(&self.path, error))
    }

    fn health(&self) -> Result<(), Error> {
        self.writer.health()
    }

    fn damaged(&self) -> u64 {
        self.readers.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.index.read().damaged.len() as u64
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error> {
        self.writer.trim(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.role.check_alone()?;
        self.writer.expire(now)
    }

    fn close(&self) -> Result<(), Error> {
        // With the writer's the last connection, SQLite leaves the main file alone behind.
        self.readers.close_idle();
        let closed = self.writer.close();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        closed
    }
}

impl Replica for DiskJournal {
    fn apply(&self, placed: Placed, applied: AppliedReply) -> Result<(), Error> {
        self.role.check_replica()?;
        self.writer.apply(placed, applied)
    }

    fn begin_anew(&self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        self.role.check_replica()?;
        self.writer.begin_anew(epoch, base)
    }

    fn enter_epoch(
        &self,
        epoch: Epoch,
        base: Offset,
        records: Vec<RecordChange>,
    ) -> Result<(), Error> {
        self.role.check_replica()?;
        self.writer.enter_epoch(epoch, base, records)
    }

    fn due(&self, now: ClockReading, count_max: usize) -> Result<Due, Error> {
        self.writer.due(now, count_max)
    }

    fn check_room(&self, batch: &[Append]) -> Result<(), Error> {
        let index = self.index.read();
        index.topics.check_room(batch, (self.bounds.topics, self.bounds.ended_bytes))
    }

    fn check_room_for_records(&self, changes: &[RecordChange]) -> Result<(), Error> {
        let changes = crate::records::gathered(changes.to_vec())?;
        let tally = self.records.get();
        let with = self.readers.with(|connection| records::tally_with(connection, &changes, tally));
        with.map_err(|error| Error::sqlite(&self.path, error))?.check(tally)
    }
}

impl fmt::Debug for DiskJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskJournal")
            .field("path", &self.path)
            .field("epoch", &self.epoch.get())
            .field("tail", &self.index.read().tail)
            .finish_non_exhaustive()
    }
}
