//! When keys go by themselves.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bellwire_model::{NameHasher, Topic};

use super::{StateError, StateLimits, StateTable};
use crate::entry::{Payload, Value};

/// What a key costs more that goes by itself: its place among those.
pub(super) const DEADLINE_BYTES: usize = 64;

/// Slots whose keys have a time at which they go, by that time. Of what has none nothing is kept.
#[derive(Debug)]
pub(super) struct Deadlines {
    of_slot: HashMap<u32, u64, NameHasher>,
    queue: BTreeSet<(u64, u32)>,
    /// Slots of topics that had ended when the time was over: their keys stay until the topic is
    /// reopened.
    resting: HashMap<Topic, Vec<u32>, NameHasher>,
}

impl Deadlines {
    pub(super) fn new(hasher: NameHasher) -> Self {
        let (of_slot, resting) = (HashMap::with_hasher(hasher), HashMap::with_hasher(hasher));
        Self { of_slot, queue: BTreeSet::new(), resting }
    }

    /// Says when a slot's key goes. Returns whether it had no such time before.
    pub(super) fn set(&mut self, id: u32, at_ms: u64) -> bool {
        let before = self.of_slot.insert(id, at_ms);
        if let Some(before) = before {
            self.queue.remove(&(before, id));
        }
        self.queue.insert((at_ms, id));
        before.is_none()
    }

    /// The slot's key stays, or is gone.
    pub(super) fn forget(&mut self, id: u32) {
        // Where nothing has such a time nothing is looked up.
        if !self.of_slot.is_empty()
            && let Some(at_ms) = self.of_slot.remove(&id)
        {
            self.queue.remove(&(at_ms, id));
        }
    }

    /// The topic of a slot's key has ended, behind which nothing comes.
    fn rest(&mut self, id: u32, topic: &Topic) {
        let Some(at_ms) = self.of_slot.get(&id) else { return };
        if self.queue.remove(&(*at_ms, id)) {
            self.resting.entry(topic.clone()).or_default().push(id);
        }
    }

    /// A topic is reopened.
    fn go_on(&mut self, topic: &Topic) {
        for id in self.resting.remove(topic).unwrap_or_default() {
            self.queue.extend(self.of_slot.get(&id).map(|at_ms| (*at_ms, id)));
        }
    }

    /// Whether a slot's key goes by itself.
    pub(super) fn has(&self, id: u32) -> bool {
        self.of_slot.contains_key(&id)
    }

    /// The slot whose key goes first, and when.
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        self.queue.first().copied()
    }
}

impl<P: Payload> StateTable<P> {
    /// Says when a key goes by itself, in milliseconds of a clock that never goes back; to put or
    /// delete it takes that back. Returns whether there is such a key.
    pub fn set_deadline(&mut self, topic: &Topic, key: &str, at_ms: u64) -> bool {
        let id = self.find_live(topic, key);
        if let Some(id) = id {
            self.slots.set_deadline(id, at_ms);
        }
        id.is_some()
    }

    /// The topic of a key that is [due](Self::due) has ended: the key stays until that is reopened.
    pub fn rest(&mut self, topic: &Topic, key: &str) {
        if let Some(id) = self.find(topic, key) {
            self.slots.deadlines_mut().rest(id, topic);
        }
    }

    /// A topic is reopened: its keys go by themselves again.
    pub fn go_on(&mut self, topic: &Topic) {
        self.slots.deadlines_mut().go_on(topic);
    }

    /// Fails where there is no room for a key that stays to go by itself: what finds it takes a little
    /// more then.
    pub fn check_deadline(
        &self,
        (topic, key): (&Topic, &str),
        room: StateLimits,
    ) -> Result<(), StateError> {
        let found = self.find_live(topic, key);
        let has_one = found.is_some_and(|id| self.slots.deadlines().has(id));
        let Some(held) = self.charge_of(found).filter(|_| !has_one) else { return Ok(()) };
        room.check(self.taken(), (Some(held), held.charged_bytes + DEADLINE_BYTES))
    }

    /// When the first key goes by itself.
    pub fn next_deadline(&self) -> Option<u64> {
        self.slots.deadlines().first().map(|(at_ms, _)| at_ms)
    }

    /// A key that is to go by now, the one that is to go first. The owner deletes it.
    pub fn due(&self, now_ms: u64) -> Option<Arc<Value<P>>> {
        let (_, id) = self.slots.deadlines().first().filter(|(at_ms, _)| *at_ms <= now_ms)?;
        Some(self.value(id))
    }
}
