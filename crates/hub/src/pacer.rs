//! Pacing: a key changes in a lane no more often than those who follow it there asked for.
//!
//! ```text
//! change ─▶ admit ─┬─ the key rests no more ─▶ into the lane; the key rests for the interval
//!                  └─ it rests ─▶ held, the newest wins ─▶ release ─▶ into the lane, rests again
//! ```
//!
//! A deletion is a change like any other: it is held, and a value that is put meanwhile takes its
//! place. What a lane shows is the newest value that was let in, to new subscribers too: what is
//! held comes to all of them alike. So the cost is by key and lane, and no subscriber has any.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use bellwire_model::{MaxRate, NameHasher, Offset, Progress, Topic, Version};
use hashbrown::HashMap;

use crate::entry::Value;
use crate::key::{Key, Named};

/// The keys of one lane that have changed within their interval.
#[derive(Debug)]
pub(crate) struct Pacer<P> {
    resting: HashMap<Key, Resting<P>, NameHasher>,
    /// When each of them has rested, the soonest on top.
    ends: BinaryHeap<Reverse<RestEnd>>,
    held: HeldVersions,
}

/// What is held.
#[derive(Debug)]
struct HeldVersions {
    /// By version, each with the newest change on the disk before it.
    before: BTreeMap<Version, Offset>,
    /// By topic: one that ends must not cost what there is of all others.
    of_topic: HashMap<Topic, BTreeMap<Version, Key>, NameHasher>,
}

impl HeldVersions {
    fn new(hasher: NameHasher) -> Self {
        Self { before: BTreeMap::new(), of_topic: HashMap::with_hasher(hasher) }
    }

    fn insert<P>(&mut self, value: &Value<P>) {
        self.before.insert(value.version, value.before().durable);
        let of_topic = self.of_topic.entry(value.topic.clone()).or_default();
        of_topic.insert(value.version, Key::of(value));
    }

    fn remove<P>(&mut self, value: &Value<P>) {
        self.before.remove(&value.version);
        let Some(of_topic) = self.of_topic.get_mut(&value.topic) else { return };
        of_topic.remove(&value.version);
        if of_topic.is_empty() {
            self.of_topic.remove(&value.topic);
        }
    }

    /// The keys that are held of a topic, the oldest change first.
    fn keys_of(&self, topic: &Topic) -> Vec<Key> {
        self.of_topic.get(topic).map_or_else(Vec::new, |keys| keys.values().cloned().collect())
    }
}

#[derive(Debug)]
struct Resting<P> {
    /// The newest change that the lane shows.
    shown: Version,
    /// A newer one.
    held: Option<Arc<Value<P>>>,
}

/// A value that a pacer holds, and the older one that its lane shows meanwhile.
#[derive(Debug)]
pub(crate) struct Held<P> {
    pub(crate) value: Arc<Value<P>>,
    pub(crate) shown: Version,
}

impl<P> Held<P> {
    /// The same where the value is shown all the same.
    pub(crate) fn shown(self) -> Self {
        Self { shown: self.value.version, ..self }
    }
}

/// Ordered by time alone.
#[derive(Debug)]
struct RestEnd {
    at_ms: u64,
    interval_ms: u64,
    key: Key,
}

impl Ord for RestEnd {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at_ms.cmp(&other.at_ms)
    }
}

impl PartialOrd for RestEnd {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RestEnd {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RestEnd {}

impl<P> Pacer<P> {
    /// Bytes that a key takes while it rests.
    pub(crate) const RESTING_BYTES: usize = size_of::<(Key, Resting<P>)>()
        + size_of::<Reverse<RestEnd>>()
        + size_of::<Progress>()
        + size_of::<(Version, Key)>();

    pub(crate) fn new(hasher: NameHasher) -> Self {
        let (ends, held) = (BinaryHeap::new(), HeldVersions::new(hasher));
        Self { resting: HashMap::with_hasher(hasher), ends, held }
    }

    /// Whether the lane takes in a change at once. If not, it is held.
    pub(crate) fn admit(&mut self, value: &Arc<Value<P>>, rate: MaxRate, now_ms: u64) -> bool {
        if let Some(resting) = self.resting.get_mut(&Named::of(value)) {
            if let Some(before) = resting.held.replace(Arc::clone(value)) {
                self.held.remove(&before);
            }
            self.held.insert(value);
            return false;
        }
        self.rest(value, rate, now_ms).shown = value.version;
        true
    }

    /// Holds what another lane held, for a subscriber that comes from there.
    pub(crate) fn hold(&mut self, held: Held<P>, rate: MaxRate, now_ms: u64) {
        let Held { value, shown } = held;
        let resting = match self.resting.get_mut(&Named::of(&value)) {
            Some(resting) => resting,
            None => self.rest(&value, rate, now_ms),
        };
        // What is held here already is not shown yet, though it was elsewhere.
        if resting.held.is_none() || shown < value.version {
            resting.shown = resting.shown.max(shown);
        }
        if let Some(before) = resting.held.replace(Arc::clone(&value)) {
            self.held.remove(&before);
        }
        self.held.insert(&value);
    }

    fn rest(&mut self, value: &Value<P>, rate: MaxRate, now_ms: u64) -> &mut Resting<P> {
        let key = Key::of(value);
        let interval_ms = rate.interval_ms();
        let end = RestEnd { at_ms: now_ms + interval_ms, interval_ms, key: key.clone() };
        self.ends.push(Reverse(end));
        self.resting.entry(key).or_insert(Resting { shown: Version::ZERO, held: None })
    }

    /// The number of keys that rest.
    pub(crate) fn resting(&self) -> usize {
        self.resting.len()
    }

    /// When there is something to [`release`](Self::release).
    pub(crate) fn next_release(&self) -> Option<u64> {
        self.ends.peek().map(|Reverse(end)| end.at_ms)
    }

    /// What was held for keys that have rested. Those keys rest again.
    pub(crate) fn release(&mut self, now_ms: u64) -> Vec<Held<P>> {
        let mut released = Vec::new();
        while let Some(Reverse(end)) = self.ends.peek()
            && end.at_ms <= now_ms
        {
            let Reverse(mut end) = self.ends.pop().expect("it was there a moment ago");
            let resting = self.resting.get_mut(&end.key).expect("its rest is yet to end");
            if let Some(value) = resting.held.take() {
                self.held.remove(&value);
                let shown = std::mem::replace(&mut resting.shown, value.version);
                released.push(Held { value, shown });
                end.at_ms = now_ms + end.interval_ms;
                self.ends.push(Reverse(end));
            } else {
                self.resting.remove(&end.key);
            }
        }
        if self.resting.is_empty() {
            // A lane that was busy once is not to keep the room for it.
            self.resting.shrink_to(0);
            self.ends = BinaryHeap::new();
        }
        released
    }

    /// What was held of a topic, of which nothing more comes.
    pub(crate) fn release_of(&mut self, topic: &Topic) -> Vec<Held<P>> {
        let mut released = Vec::new();
        for key in self.held.keys_of(topic) {
            let Some(resting) = self.resting.get_mut(&key) else { continue };
            if let Some(value) = resting.held.take() {
                self.held.remove(&value);
                let shown = std::mem::replace(&mut resting.shown, value.version);
                released.push(Held { value, shown });
            }
        }
        released
    }

    /// What somebody has who lacks the oldest change that is held.
    pub(crate) fn before_held(&self) -> Option<Progress> {
        let (version, durable) = self.held.before.first_key_value()?;
        Some(Progress { version: version.previous(), durable: *durable })
    }

    /// What is held, in no order.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held<P>> {
        self.resting.values().filter_map(|resting| {
            let value = Arc::clone(resting.held.as_ref()?);
            Some(Held { value, shown: resting.shown })
        })
    }

    /// Whether a change of the same key is held.
    pub(crate) fn holds(&self, value: &Value<P>) -> bool {
        self.resting.get(&Named::of(value)).is_some_and(|resting| resting.held.is_some())
    }

    /// Whether the lane shows this value although there is a newer one, which is held.
    pub(crate) fn shows(&self, value: &Value<P>) -> bool {
        let resting = self.resting.get(&Named::of(value));
        resting.is_some_and(|resting| resting.held.is_some() && resting.shown == value.version)
    }
}
