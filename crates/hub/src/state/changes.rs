//! The changes of one topic, in order, and the deletions of all.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_model::limits::DELETIONS_OF_TOPIC_MIN;
use bellwire_model::{Progress, Version};

use super::slots::Slots;
use crate::entry::Value;

/// The keys of one topic, in the order of their changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Each key's newest change, those included that are gone and remembered, and some that are none
    /// any more.
    log: Vec<(Version, u32)>,
    pub(super) live: usize,
    pub(super) deletions: Deletions,
    /// The newest deletion that is forgotten.
    pub(super) horizon: Progress,
}

/// Changes beyond twice the keys that a topic remembers before it forgets those that no longer
/// count.
const STALE_CHANGES_SLACK: usize = 8;

impl Changes {
    /// Whether there is nothing to be known of the topic.
    pub(super) fn is_over(&self) -> bool {
        self.live == 0 && self.deletions.count == 0
    }

    /// Whether it has more deletions than it is to remember.
    pub(super) fn remembers_too_much(&self) -> bool {
        self.deletions.count > self.live.max(DELETIONS_OF_TOPIC_MIN)
    }

    /// Takes in the newest change of a key.
    pub(super) fn push<P>(&mut self, change: (Version, u32), slots: &Slots<P>) {
        self.tidy(slots);
        self.log.push(change);
    }

    /// Forgets changes that no longer count where there are many.
    pub(super) fn tidy<P>(&mut self, slots: &Slots<P>) {
        let keys = self.live + self.deletions.count;
        if self.log.len() >= keys * 2 + STALE_CHANGES_SLACK {
            self.log.retain(|(version, id)| slots.newest(*id, *version).is_some());
            self.log.shrink_to(self.log.len() * 2 + STALE_CHANGES_SLACK);
        }
    }

    /// The changes behind a version, in order, and some that are none any more.
    pub(super) fn behind(&self, version: Version) -> &[(Version, u32)] {
        &self.log[self.log.partition_point(|(before, _)| *before <= version)..]
    }

    /// How many changes [`newest`](Self::newest) looks at.
    pub(super) fn looks(&self) -> usize {
        self.log.len()
    }

    /// The newest change of each key, in order.
    pub(super) fn newest<'a, P>(
        &'a self,
        slots: &'a Slots<P>,
    ) -> impl Iterator<Item = &'a Arc<Value<P>>> {
        self.log.iter().filter_map(|(version, id)| slots.newest(*id, *version))
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
    pub(super) fn push<P>(&mut self, deletion: (Version, u32), slots: &Slots<P>) {
        if self.queue.len() >= self.count * 2 + STALE_CHANGES_SLACK {
            self.queue.retain(|(version, id)| slots.newest(*id, *version).is_some());
            self.queue.shrink_to(self.queue.len() * 2 + STALE_CHANGES_SLACK);
        }
        self.queue.push_back(deletion);
        self.count += 1;
    }

    /// The slot of the oldest that counts.
    pub(super) fn oldest<P>(&mut self, slots: &Slots<P>) -> Option<u32> {
        while let Some((version, id)) = self.queue.front().copied() {
            if slots.newest(id, version).is_some() {
                return Some(id);
            }
            self.queue.pop_front();
        }
        None
    }
}
