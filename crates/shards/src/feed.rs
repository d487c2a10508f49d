//! The way from the journal and the state table to every hub.
//!
//! ```text
//! journal's writer ─ Committer ─┐
//!                               ├─▶ Feed ─▶ inbox of shard 0, 1, …
//! state table ──────────────────┘
//! ```
//!
//! Inboxes are bounded. Whoever feeds waits for room *before* it takes a lock or commits, and
//! then pushes without blocking, so that no lock is ever held while waiting. Shards never block
//! on a socket, so the wait is for CPU alone: a slow reader cannot cause it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bellwire_hub::{Entry, Value};
use bellwire_journal::Observer;
use bellwire_model::Epoch;
use bellwire_process::crash;

use crate::frames::{self, Frames};
use crate::topics::TopicRates;

/// What all hubs take in.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Durable entries, in order.
    Entries(Arc<[Arc<Entry<Frames>>]>),
    /// Changes of state topics, in order.
    Values(Arc<[Arc<Value<Frames>>]>),
}

impl Batch {
    /// What it counts against limits in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Entries(entries) => entries.iter().map(|entry| entry.size_bytes).sum(),
            Self::Values(values) => {
                values.iter().map(|value| value.payload.event().size_bytes()).sum()
            }
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
}

impl Feed {
    /// A feed of these.
    pub fn new(destinations: Vec<Arc<dyn Destination>>) -> Self {
        Self { destinations }
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
    }
}

/// Passes what the journal has made durable on to the feed. The journal is opened with it before
/// the hubs exist (they start from the journal's tail), so the feed is filled in afterwards, and
/// before the first append.
#[derive(Debug)]
pub struct Committer {
    pub feed: Arc<OnceLock<(Epoch, Arc<Feed>)>>,
    pub rates: Arc<TopicRates>,
}

impl Observer for Committer {
    fn on_commit(&mut self, entries: Vec<bellwire_model::Entry>) {
        // A hub that missed an event would never tell: better no process than that.
        crash::run_essential(|| self.pass_on(entries));
    }
}

impl Committer {
    fn pass_on(&self, entries: Vec<bellwire_model::Entry>) {
        let (epoch, feed) = self.feed.get().expect("the feed stands before the first append");
        self.rates.count(entries.iter().map(|entry| &entry.event.topic));
        let entries = entries.into_iter().map(|entry| frames::entry(*epoch, entry)).collect();
        feed.wait_for_room();
        feed.push(&Batch::Entries(entries));
    }
}
