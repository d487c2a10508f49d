//! What the table forgets of keys that are gone, and when.

use bellwire_model::limits::{DELETIONS_REMEMBERED_BYTES_MAX, DELETIONS_REMEMBERED_MAX};

use super::StateTable;
use super::changes::Changes;
use super::index::Keys;
use crate::entry::Payload;

impl<P: Payload> StateTable<P> {
    /// Takes in what is on the disk, in its order: no deletion is forgotten before all keys are
    /// known, of which as many are remembered.
    pub fn load<R>(&mut self, fill: impl FnOnce(&mut Self) -> R) -> R {
        self.begin_load();
        let filled = fill(self);
        self.end_load();
        filled
    }

    /// What is on the disk follows: see [`load`](Self::load).
    pub fn begin_load(&mut self) {
        self.is_loading = true;
    }

    /// All of it has come.
    pub fn end_load(&mut self) {
        self.is_loading = false;
        // Some stay of each topic, so that none goes.
        for id in self.names.values().copied().collect::<Vec<_>>() {
            self.forget_beyond_those_of(id);
        }
        self.forget_beyond_all();
    }

    pub(super) fn forget_beyond_those_of(&mut self, topic_id: u32) {
        while self.topics[topic_id as usize].remembers_too_much() {
            let oldest = self.topics[topic_id as usize].deletions.oldest(&self.slots);
            self.forget(oldest.expect("as many are remembered as are counted"));
        }
    }

    pub(super) fn forget_beyond_all(&mut self) {
        while self.slots.gone() > DELETIONS_REMEMBERED_MAX
            || self.slots.gone_bytes() > DELETIONS_REMEMBERED_BYTES_MAX
        {
            self.forget_oldest();
        }
    }

    /// Forgets deletions while everything together takes more than this. Where values alone do, which
    /// others may who have more room, that would be of no use.
    pub fn make_room(&mut self, bytes_max: usize) {
        if self.slots.live_bytes() > bytes_max {
            return;
        }
        while self.slots.gone() > 0 && self.size_bytes() > bytes_max {
            self.forget_oldest();
        }
    }

    pub(super) fn forget_oldest(&mut self) {
        let oldest = self.deletions.oldest(&self.slots);
        self.forget(oldest.expect("as many are remembered as are counted"));
    }

    /// Forgets a deletion, and the topic of which nothing else is known.
    pub(super) fn forget(&mut self, id: u32) {
        let slot = self.slots.get(id);
        let (topic_id, horizon) = (slot.topic, slot.horizon());
        self.pasts.forget((topic_id, id));
        let Self { index, slots, topics, .. } = self;
        index.remove(id, Keys { slots, topics });
        self.deletions.count -= 1;
        let changes = &mut self.topics[topic_id as usize];
        changes.remove(id, &mut self.slots);
        self.slots.forget(id);
        changes.deletions.count -= 1;
        changes.horizon = changes.horizon.max(horizon);
        if changes.is_over() {
            self.horizon = self.horizon.max(changes.horizon);
            let Changes { topic, .. } = self.topics.remove(topic_id as usize);
            self.names.remove(&topic);
        }
    }
}
