//! Slots: one for each key, found by topic and key.

use std::hash::BuildHasher;
use std::sync::Arc;

use bellwire_model::{NameHasher, Topic, Version};
use hashbrown::HashTable;
use slab::Slab;

use super::deadlines::Deadlines;
use crate::entry::Value;

/// What a key costs beside its value: the slot, its entry in the index, two in its topic's log, and
/// the allocators' share.
const SLOT_OVERHEAD_BYTES: usize = 128;
/// What a key costs more that goes by itself: its place among those.
const DEADLINE_BYTES: usize = 64;

/// The newest change of a key.
#[derive(Debug)]
pub(super) struct Slot<P> {
    pub(super) value: Arc<Value<P>>,
    /// The topic's number.
    pub(super) topic: u32,
    /// By how much the value has grown since it came, as far as that is known.
    grown_bytes: u32,
    /// What the slot is charged with beside that.
    pub(super) size_bytes: usize,
}

impl<P> Slot<P> {
    pub(super) fn new(value: Arc<Value<P>>, topic: u32, size_bytes: usize) -> Self {
        let size_bytes = Slots::<P>::charge_bytes(&value.key, size_bytes);
        Self { value, topic, grown_bytes: 0, size_bytes }
    }

    /// All that the slot is charged with.
    pub(super) fn charged_bytes(&self) -> usize {
        self.size_bytes + self.grown_bytes as usize
    }

    pub(super) fn charge(&self) -> Charge {
        Charge { size_bytes: self.size_bytes, charged_bytes: self.charged_bytes() }
    }

    pub(super) fn is_live(&self) -> bool {
        !self.value.is_deletion
    }
}

/// What a key takes of the table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charge {
    /// When its value came.
    pub(super) size_bytes: usize,
    /// With what that has grown by.
    pub(super) charged_bytes: usize,
}

/// All slots. Keys are what strangers chose, so their hashes have a secret.
#[derive(Debug)]
pub(super) struct Slots<P> {
    hasher: NameHasher,
    slab: Slab<Slot<P>>,
    index: HashTable<u32>,
    live: usize,
    /// What keys are charged with that are gone, and that are there.
    bytes: [usize; 2],
    deadlines: Deadlines,
}

impl<P> Slots<P> {
    pub(super) fn new(hasher: NameHasher) -> Self {
        let (slab, index) = (Slab::new(), HashTable::new());
        let deadlines = Deadlines::new(hasher);
        Self { hasher, slab, index, live: 0, bytes: [0; 2], deadlines }
    }

    /// What a key with a payload of this size is charged with.
    pub(super) fn charge_bytes(key: &str, payload_bytes: usize) -> usize {
        size_of::<Value<P>>() + key.len() + payload_bytes + SLOT_OVERHEAD_BYTES
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Keys that are gone and remembered.
    pub(super) fn gone(&self) -> usize {
        self.slab.len() - self.live
    }

    /// What keys are charged with that are there.
    pub(super) fn live_bytes(&self) -> usize {
        self.bytes[usize::from(true)]
    }

    /// What keys are charged with that are gone.
    pub(super) fn gone_bytes(&self) -> usize {
        self.bytes[usize::from(false)]
    }

    pub(super) fn find(&self, topic: &Topic, key: &str) -> Option<u32> {
        let is_it = |id: &u32| self.is(*id, topic, key);
        self.index.find(self.hasher.hash_one((topic.as_str(), key)), is_it).copied()
    }

    /// Whether a slot is that of a key.
    pub(super) fn is(&self, id: u32, topic: &Topic, key: &str) -> bool {
        let slot = self.slab.get(id as usize);
        slot.is_some_and(|slot| *slot.value.key == *key && slot.value.topic == *topic)
    }

    pub(super) fn get(&self, id: u32) -> &Slot<P> {
        &self.slab[id as usize]
    }

    /// The number that the next new slot has.
    pub(super) fn vacant(&self) -> u32 {
        self.slab.vacant_key() as u32
    }

    /// Puts the newest change of a key into its slot, or into the vacant one.
    pub(super) fn set(&mut self, id: u32, slot: Slot<P>) {
        self.deadlines.forget(id);
        let is_live = slot.is_live();
        self.bytes[usize::from(is_live)] += slot.size_bytes;
        self.live += usize::from(is_live);
        if let Some(old) = self.slab.get_mut(id as usize) {
            let old = std::mem::replace(old, slot);
            self.bytes[usize::from(old.is_live())] -= old.charged_bytes();
            self.live -= usize::from(old.is_live());
        } else {
            let inserted = self.slab.insert(slot);
            assert_eq!(inserted, id as usize, "the slot that was vacant");
            let Self { hasher, slab, index, .. } = self;
            let hash = |id: &u32| {
                let value = &slab[*id as usize].value;
                hasher.hash_one((value.topic.as_str(), &*value.key))
            };
            index.insert_unique(hash(&id), id, hash);
        }
    }

    /// Says when the key of a slot goes by itself, which is there.
    pub(super) fn set_deadline(&mut self, id: u32, at_ms: u64) {
        if self.deadlines.set(id, at_ms) {
            self.slab[id as usize].size_bytes += DEADLINE_BYTES;
            self.bytes[usize::from(true)] += DEADLINE_BYTES;
        }
    }

    pub(super) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// Frees the slot of a key that is gone.
    pub(super) fn forget(&mut self, id: u32) -> Slot<P> {
        let slot = self.slab.remove(id as usize);
        debug_assert!(!slot.is_live(), "a key that is there is not forgotten");
        let hash = self.hasher.hash_one((slot.value.topic.as_str(), &*slot.value.key));
        let found = self.index.find_entry(hash, |other| *other == id);
        found.expect("every slot is in the index").remove();
        self.bytes[usize::from(false)] -= slot.charged_bytes();
        slot.value.forget();
        slot
    }

    /// The newest change of a key, if it is this version.
    pub(super) fn newest(&self, id: u32, version: Version) -> Option<&Arc<Value<P>>> {
        let slot = self.slab.get(id as usize)?;
        (slot.value.version == version).then_some(&slot.value)
    }

    /// The number of places that slots may have.
    pub(super) fn places(&self) -> usize {
        self.slab.capacity()
    }

    /// Counts anew what the values in some places have grown by.
    pub(super) fn count_growth(
        &mut self,
        (start, end): (usize, usize),
        grown_bytes: impl Fn(&P) -> usize,
    ) {
        for id in start..end {
            let Some(slot) = self.slab.get_mut(id) else { continue };
            let now = u32::try_from(grown_bytes(&slot.value.payload)).unwrap_or(u32::MAX);
            let before = std::mem::replace(&mut slot.grown_bytes, now);
            let bytes = &mut self.bytes[usize::from(slot.is_live())];
            *bytes = *bytes + now as usize - before as usize;
        }
    }

    /// The values in some places.
    pub(super) fn between(&self, start: usize, end: usize) -> impl Iterator<Item = &Arc<Value<P>>> {
        let slots = (start..end).filter_map(|id| self.slab.get(id));
        slots.filter(|slot| slot.is_live()).map(|slot| &slot.value)
    }
}
