//! What flows through the hub: entries of streams, values of state topics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwire_model::{Labels, Life, Offset, Progress, Topic, Version};

/// What the owner of a hub sends.
pub trait Payload: Sized {
    /// The labels of what it tells of; `None` where that has none, or nobody knows them. Asked for
    /// only on behalf of those who may not see everything.
    fn labels(&self) -> Option<&Labels>;

    /// What tells that the key of this value is gone.
    #[must_use]
    fn gone(&self) -> Self;

    /// Writes what a state table keeps of it while nobody else has the value: what
    /// [`unpack`](Self::unpack) needs beside the change.
    fn pack(&self, into: &mut Vec<u8>);

    /// The payload that was packed, of this change in a table of this life.
    fn unpack(packed: &[u8], of: &Value<()>, life: Life) -> Self;

    /// Whether it tells that its topic has ended, behind which none of its values may come.
    fn ends_topic(&self) -> bool {
        false
    }
}

/// Where there is nothing to send there is nothing to hide.
impl Payload for () {
    fn labels(&self) -> Option<&Labels> {
        None
    }

    fn gone(&self) -> Self {}

    fn pack(&self, _: &mut Vec<u8>) {}

    fn unpack(_: &[u8], _: &Value<()>, _: Life) -> Self {}
}

/// A stream event, as the hub sees it.
#[derive(Debug)]
pub struct Entry<P> {
    /// Its place in the journal.
    pub offset: Offset,
    /// Where it was published.
    pub topic: Topic,
    /// What it counts against the ring's limit in bytes.
    pub size_bytes: usize,
    /// What the owner sends for it.
    pub payload: P,
}

/// One change of one key of a state topic.
#[derive(Debug)]
pub struct Value<P> {
    /// The state topic.
    pub topic: Topic,
    /// The key that changed.
    pub key: Arc<str>,
    /// Its place in the order of changes.
    pub version: Version,
    /// The newest change that is on the disk, up to and with this one.
    pub durable: Offset,
    /// Whether it is this one.
    pub is_durable: bool,
    /// Whether this is the newest value, or says that the key is gone.
    pub is_deletion: bool,
    /// What the owner sends for it.
    pub payload: P,
    /// The next change of the key; zero where there is none, [`FORGOTTEN`] where the table would not
    /// know.
    pub(crate) successor: AtomicU64,
}

/// The successor of a deletion that the table remembers no more.
const FORGOTTEN: u64 = u64::MAX;

impl<P> Value<P> {
    /// Whether a newer value of the key exists among the changes up to `as_of`. A subscriber that
    /// has not got this one yet skips it: the newer one is behind it. That is conflation.
    ///
    /// A newer one that is still on its way does not count: until it is here, this one is it.
    pub(crate) fn is_stale(&self, as_of: Version) -> bool {
        let successor = Version::new(self.successor.load(Ordering::Relaxed));
        successor != Version::ZERO && successor <= as_of
    }

    /// What somebody has who has this and all before it.
    pub(crate) fn reach(&self) -> Progress {
        Progress { version: self.version, durable: self.durable }
    }

    /// What somebody has who has all before this.
    pub(crate) fn before(&self) -> Progress {
        let (version, durable) = (self.version.previous(), self.durable);
        let durable = if self.is_durable { Offset::new(durable.get() - 1) } else { durable };
        Progress { version, durable }
    }

    /// What cannot be resumed from before, where this is remembered no more.
    pub(crate) fn horizon(&self) -> Progress {
        let durable = if self.is_durable { self.durable } else { Offset::ZERO };
        Progress { version: self.version, durable }
    }

    /// The table remembers this deletion no more: whoever has not got it cannot resume.
    pub(crate) fn forget(&self) {
        self.successor.store(FORGOTTEN, Ordering::Relaxed);
    }

    /// Whether the table remembers this deletion no more.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.successor.load(Ordering::Relaxed) == FORGOTTEN
    }

    /// The key has changed once more.
    pub(crate) fn supersede(&self, successor: Version) {
        self.successor.store(successor.get(), Ordering::Relaxed);
    }
}

impl Value<()> {
    /// The same with a payload.
    pub(crate) fn with<P>(self, payload: P) -> Value<P> {
        let Self { topic, key, version, durable, is_durable, is_deletion, successor, .. } = self;
        Value { topic, key, version, durable, is_durable, is_deletion, payload, successor }
    }
}

impl<P: Payload> Value<P> {
    /// This change for those who may see its key no more.
    pub(crate) fn gone(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            key: Arc::clone(&self.key),
            version: self.version,
            durable: self.durable,
            is_durable: self.is_durable,
            is_deletion: true,
            payload: self.payload.gone(),
            successor: AtomicU64::new(0),
        }
    }
}

/// When a value came into a lane: a hub counts them. Not the same order as that of versions, since
/// a lane may hold a value back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival(u64);

impl Arrival {
    /// Before the first.
    pub(crate) const ZERO: Self = Self(0);
    /// After every arrival.
    pub const MAX: Self = Self(u64::MAX);

    /// Counts one more, and names it.
    pub(crate) fn advance(&mut self) -> Self {
        self.0 += 1;
        *self
    }
}
