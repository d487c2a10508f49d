//! Idempotency keys in memory.

use std::collections::VecDeque;

use bellwire_model::limits::{IDEMPOTENCY_AGE, IDEMPOTENCY_KEYS_MAX};
use bellwire_model::{NameMap, Offset, Timestamp, Topic};

use crate::steps::Now;

/// Idempotency keys, the oldest first in `order`.
#[derive(Debug)]
pub(super) struct Keys {
    offsets: NameMap<(Topic, Box<str>), (Offset, Timestamp)>,
    order: VecDeque<(Offset, Topic, Box<str>)>,
    count_max: usize,
}

impl Default for Keys {
    fn default() -> Self {
        Self::with_count_max(IDEMPOTENCY_KEYS_MAX)
    }
}

impl Keys {
    /// Nothing is known, and of more than so many the oldest go.
    pub(super) fn with_count_max(count_max: usize) -> Self {
        Self { offsets: NameMap::default(), order: VecDeque::new(), count_max }
    }

    /// Nothing is known any more.
    pub(super) fn forget_all(&mut self) {
        *self = Self::with_count_max(self.count_max);
    }

    /// Where the event is that came with this key.
    pub(super) fn find(&self, topic: &Topic, key: &str) -> Option<Offset> {
        self.offsets.get(&(topic.clone(), key.into())).map(|(offset, _)| *offset)
    }

    /// The event at an offset came with this key.
    pub(super) fn remember(
        &mut self,
        (topic, key): (Topic, Box<str>),
        offset: Offset,
        time: Timestamp,
    ) {
        self.order.push_back((offset, topic.clone(), key.clone()));
        self.offsets.insert((topic, key), (offset, time));
    }

    /// Forgets those that there are too many of.
    pub(super) fn forget_excess(&mut self) {
        while self.order.len() > self.count_max {
            self.forget_oldest();
        }
    }

    /// Forgets those that are too old.
    pub(super) fn forget(&mut self, now: &Now) {
        while let Some((offset, topic, key)) = self.order.front() {
            let newest = self.offsets.get(&(topic.clone(), key.clone()));
            let is_young = |(newest_offset, time): &(Offset, Timestamp)| {
                newest_offset == offset
                    && now.at(*offset).saturating_since(*time) <= IDEMPOTENCY_AGE
            };
            if newest.is_some_and(is_young) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((offset, topic, key)) = self.order.pop_front() else { return };
        let id = (topic, key);
        // The key may have been used again since.
        if self.offsets.get(&id).is_some_and(|(newest, _)| *newest == offset) {
            self.offsets.remove(&id);
        }
    }
}
