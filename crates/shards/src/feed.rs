//! The way from the journal and the state table to every hub.
//!
//! ```text
//! journal's writer ─ Committer ─┐
//!                       │       ├─▶ Feed ─▶ inbox of shard 0, 1, …
//!                       ▼       │
//!                  state table ─┘
//! ```
//!
//! Inboxes are bounded. Whoever feeds waits for room *before* it takes a lock or commits, and
//! then pushes without blocking, so that no lock is ever held while waiting. Shards never block
//! on a socket, so the wait is for CPU alone: a slow reader cannot cause it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwire_hub::{Entry, Value};
use bellwire_model::{Life, Offset, Progress, Version};

use crate::frames::Frames;

/// What all hubs take in.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Durable entries, in order.
    Entries(Arc<[Arc<Entry<Frames>>]>),
    /// Changes of state topics, in order.
    Values(Arc<[Arc<Value<Frames>>]>),
    /// The journal ends here now, though nothing stands there.
    Reached(Offset),
}

impl Batch {
    /// What it counts against limits in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Entries(entries) => entries.iter().map(|entry| entry.size_bytes).sum(),
            Self::Values(values) => {
                values.iter().map(|value| value.payload.event().size_bytes()).sum()
            }
            Self::Reached(_) => 0,
        }
    }
}

/// Where what is new goes: the way to one hub.
pub trait Destination: fmt::Debug + Send + Sync {
    /// Whether it takes another batch.
    fn has_room(&self) -> bool;

    /// Blocks until it takes another batch. Call it without a lock in hand.
    fn wait_for_room(&self);

    /// Gives it a batch. Never blocks: callers have waited for room.
    fn push(&self, batch: &Batch);
}

/// The ways to all hubs of the process. Those who are fed know the feed, and it none of them.
#[derive(Debug)]
pub struct Feed {
    destinations: Vec<Arc<dyn Destination>>,
    /// The state table's life.
    life: Life,
    /// Up to here all hubs were given what there is of streams.
    offset: AtomicU64,
    /// The newest change of state topics that all hubs were given.
    version: AtomicU64,
    /// The newest of these that is on the disk.
    durable: AtomicU64,
}

impl Feed {
    /// A feed of these, which begin behind `tail`, and of a state table of this life and
    /// with these changes.
    pub fn new(
        destinations: Vec<Arc<dyn Destination>>,
        (tail, life, state): (Offset, Life, Progress),
    ) -> Self {
        let (offset, version) = (AtomicU64::new(tail.get()), AtomicU64::new(state.version.get()));
        let durable = AtomicU64::new(state.durable.get());
        Self { destinations, life, offset, version, durable }
    }

    /// Up to here all hubs were given what there is of streams.
    pub(crate) fn offset(&self) -> Offset {
        Offset::new(self.offset.load(Ordering::Relaxed))
    }

    /// The newest change of state topics that all hubs were given, in the life of its table.
    pub(crate) fn state(&self) -> (Life, Progress) {
        // First: whoever has every change up to a version has those on the disk that came before it.
        let durable = Offset::new(self.durable.load(Ordering::Acquire));
        let version = Version::new(self.version.load(Ordering::Relaxed));
        (self.life, Progress { version, durable })
    }

    /// Whether every inbox takes another batch.
    pub fn has_room(&self) -> bool {
        self.destinations.iter().all(|destination| destination.has_room())
    }

    /// Blocks until every inbox takes another batch. Call it without a lock in hand.
    pub fn wait_for_room(&self) {
        self.destinations.iter().for_each(|destination| destination.wait_for_room());
    }

    pub fn push(&self, batch: &Batch) {
        self.destinations.iter().for_each(|destination| destination.push(batch));
        // Whatever is made from now on may be stamped with it. What a connection is told by a stamp is
        // held against what its hub has: one that is too old or too new is no lie.
        match batch {
            Batch::Entries(entries) => {
                let newest = entries.last().map_or(0, |entry| entry.offset.get());
                self.offset.fetch_max(newest, Ordering::Relaxed);
            }
            Batch::Reached(tail) => {
                self.offset.fetch_max(tail.get(), Ordering::Relaxed);
            }
            Batch::Values(values) => {
                let newest = values.last().map_or(0, |value| value.version.get());
                self.version.fetch_max(newest, Ordering::Relaxed);
                let on_disk = values.iter().rev().find(|value| value.is_durable);
                let offset = on_disk.map_or(0, |value| value.durable.get());
                self.offset.fetch_max(offset, Ordering::Relaxed);
                self.durable.fetch_max(offset, Ordering::Release);
            }
        }
    }
}
