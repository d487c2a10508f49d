//! The changes of one topic, in order, and the deletions of all.

use std::collections::VecDeque;

use bellwire_model::limits::DELETIONS_OF_TOPIC_MIN;
use bellwire_model::{Progress, Topic, Version};

use super::slots::{NONE, Neighbours, Slots};
use crate::entry::Payload;

/// The keys of one topic, in the order of their changes: each slot knows its neighbours.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) topic: Topic,
    /// The slots of the oldest and the newest.
    ends: Neighbours,
    pub(super) live: usize,
    /// How many there have been since the topic came about, those included that count no more.
    pub(super) count: u64,
    pub(super) deletions: Deletions,
    /// The newest deletion that is forgotten.
    pub(super) horizon: Progress,
}

/// Deletions beyond twice those that count before the others are forgotten.
const STALE_DELETIONS_SLACK: usize = 8;

impl Changes {
    pub(super) fn new(topic: Topic) -> Self {
        let ends = Neighbours { older: NONE, newer: NONE };
        let (deletions, horizon) = (Deletions::default(), Progress::ZERO);
        Self { topic, ends, live: 0, count: 0, deletions, horizon }
    }

    /// Whether there is nothing to be known of the topic.
    pub(super) fn is_over(&self) -> bool {
        self.live == 0 && self.deletions.count == 0
    }

    /// Whether it has more deletions than it is to remember.
    pub(super) fn remembers_too_much(&self) -> bool {
        self.deletions.count > self.live.max(DELETIONS_OF_TOPIC_MIN)
    }

    /// Puts the newest change of a key last, which is not here.
    pub(super) fn push<P: Payload>(&mut self, id: u32, slots: &mut Slots<P>) {
        let newest = self.ends.newer;
        slots.get_mut(id).neighbours = Neighbours { older: newest, newer: NONE };
        if newest == NONE {
            self.ends.older = id;
        } else {
            slots.get_mut(newest).neighbours.newer = id;
        }
        self.ends.newer = id;
    }

    /// Takes out a change that is here.
    pub(super) fn remove<P: Payload>(&mut self, id: u32, slots: &mut Slots<P>) {
        let Neighbours { older, newer } = slots.get(id).neighbours;
        if older == NONE {
            self.ends.older = newer;
        } else {
            slots.get_mut(older).neighbours.newer = newer;
        }
        if newer == NONE {
            self.ends.newer = older;
        } else {
            slots.get_mut(newer).neighbours.older = older;
        }
    }

    /// The number of keys, those included that are gone and remembered.
    pub(super) fn len(&self) -> usize {
        self.live + self.deletions.count
    }

    /// The slot of the newest change of all.
    pub(super) fn newest(&self) -> Option<u32> {
        Some(self.ends.newer).filter(|id| *id != NONE)
    }

    /// The slots of the newest change of each key, in order.
    pub(super) fn in_order<P: Payload>(&self, slots: &Slots<P>) -> impl Iterator<Item = u32> {
        self.in_order_behind(None, slots)
    }

    /// The same behind that of one of these slots.
    pub(super) fn in_order_behind<P: Payload>(
        &self,
        slot: Option<u32>,
        slots: &Slots<P>,
    ) -> impl Iterator<Item = u32> {
        let is_slot = |id: &u32| *id != NONE;
        let newer = move |id: &u32| Some(slots.get(*id).neighbours.newer).filter(is_slot);
        let first = slot.map_or(Some(self.ends.older).filter(is_slot), |id| newer(&id));
        std::iter::successors(first, newer)
    }
}

/// Deletions that are remembered, oldest first.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    /// Some are of keys that are there again.
    queue: VecDeque<(Version, u32)>,
    /// Those that count.
    pub(super) count: usize,
}

impl Deletions {
    pub(super) fn push<P: Payload>(&mut self, deletion: (Version, u32), slots: &Slots<P>) {
        if self.queue.len() >= self.count * 2 + STALE_DELETIONS_SLACK {
            self.queue.retain(|(version, id)| slots.is_newest(*id, *version));
            self.queue.shrink_to(self.queue.len() * 2 + STALE_DELETIONS_SLACK);
        }
        self.queue.push_back(deletion);
        self.count += 1;
    }

    /// The slot of the oldest that counts.
    pub(super) fn oldest<P: Payload>(&mut self, slots: &Slots<P>) -> Option<u32> {
        while let Some((version, id)) = self.queue.front().copied() {
            if slots.is_newest(id, version) {
                return Some(id);
            }
            self.queue.pop_front();
        }
        None
    }
}
