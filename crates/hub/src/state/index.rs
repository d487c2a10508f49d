//! Where the slot of a key is: found by topic and key, which stand in no other place than there.

use std::hash::{BuildHasher, Hasher};

use bellwire_model::{NameHasher, Topic};
use hashbrown::HashTable;
use slab::Slab;

use super::changes::Changes;
use super::slots::Slots;
use crate::entry::Payload;

/// Tables that share the keys: each grows by itself, so that nobody waits for all keys to be found
/// new places. A power of two.
const TABLES: usize = 1_024;
/// The bits of a hash that tell which: the tables make use of its lowest and its highest.
const TABLE_BITS_FROM: u32 = 32;

/// The numbers of all slots. Keys are what strangers chose, so their hashes have a secret.
#[derive(Debug)]
pub(super) struct Index {
    hasher: NameHasher,
    tables: Vec<HashTable<u32>>,
}

/// What the index leads to.
#[derive(Debug)]
pub(super) struct Keys<'a, P> {
    pub(super) slots: &'a Slots<P>,
    pub(super) topics: &'a Slab<Changes>,
}

impl<P> Clone for Keys<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Keys<'_, P> {}

impl<P: Payload> Keys<'_, P> {
    /// Whether a slot is that of a key.
    pub(super) fn is(self, id: u32, (topic, key): (&Topic, &str)) -> bool {
        let slot = self.slots.find(id).filter(|slot| slot.key() == key.as_bytes());
        slot.is_some_and(|slot| self.topics[slot.topic as usize].topic == *topic)
    }

    fn hash(self, id: u32, hasher: NameHasher) -> u64 {
        let slot = self.slots.get(id);
        hash(hasher, &self.topics[slot.topic as usize].topic, slot.key())
    }
}

fn hash(hasher: NameHasher, topic: &Topic, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(topic.as_str().as_bytes());
    // No text has it: it tells where the topic ends.
    hasher.write_u8(u8::MAX);
    hasher.write(key);
    hasher.finish()
}

fn table_of(hash: u64) -> usize {
    (hash >> TABLE_BITS_FROM) as usize % TABLES
}

impl Index {
    pub(super) fn new(hasher: NameHasher) -> Self {
        Self { hasher, tables: (0..TABLES).map(|_| HashTable::new()).collect() }
    }

    /// The slot of a key.
    pub(super) fn find<P: Payload>(
        &self,
        (topic, key): (&Topic, &str),
        keys: Keys<'_, P>,
    ) -> Option<u32> {
        let hash = hash(self.hasher, topic, key.as_bytes());
        let is_it = |id: &u32| keys.is(*id, (topic, key));
        self.tables[table_of(hash)].find(hash, is_it).copied()
    }

    /// Takes a new slot in.
    pub(super) fn insert<P: Payload>(&mut self, id: u32, keys: Keys<'_, P>) {
        let hasher = self.hasher;
        let hash = keys.hash(id, hasher);
        let table = &mut self.tables[table_of(hash)];
        table.insert_unique(hash, id, |id| keys.hash(*id, hasher));
    }

    /// Forgets a slot that is still there.
    pub(super) fn remove<P: Payload>(&mut self, id: u32, keys: Keys<'_, P>) {
        let hasher = self.hasher;
        let hash = keys.hash(id, hasher);
        let table = &mut self.tables[table_of(hash)];
        table.find_entry(hash, |other| *other == id).expect("every slot is here").remove();
        if table.len() < table.capacity() / 4 {
            table.shrink_to(table.len() * 2, |id| keys.hash(*id, hasher));
        }
    }
}
