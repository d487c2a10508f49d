//! The ring of recent entries: what a subscriber that lags a little catches up from.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_model::Offset;

use crate::entry::Entry;

/// Holds every entry after `floor`, up to the tail, within limits of number and bytes.
#[derive(Debug)]
pub(crate) struct Ring<P> {
    entries: VecDeque<Arc<Entry<P>>>,
    /// Every entry after this offset is here.
    floor: Offset,
    size_bytes: usize,
}

impl<P> Ring<P> {
    /// An empty ring: everything up to `tail` is in the journal alone.
    pub(crate) fn new(tail: Offset) -> Self {
        Self { entries: VecDeque::new(), floor: tail, size_bytes: 0 }
    }

    pub(crate) fn floor(&self) -> Offset {
        self.floor
    }

    pub(crate) fn push(&mut self, entry: Arc<Entry<P>>) {
        self.size_bytes += entry.size_bytes;
        self.entries.push_back(entry);
    }

    /// Takes the oldest entry out while the ring is over a limit.
    pub(crate) fn pop_over(
        &mut self,
        events_max: usize,
        bytes_max: usize,
    ) -> Option<Arc<Entry<P>>> {
        if self.entries.len() <= events_max && self.size_bytes <= bytes_max {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.size_bytes -= entry.size_bytes;
        self.floor = entry.offset;
        Some(entry)
    }

    /// The entries after `after` and up to `upto`, newest first.
    pub(crate) fn between(
        &self,
        after: Offset,
        upto: Offset,
    ) -> impl Iterator<Item = &Arc<Entry<P>>> {
        let start = self.entries.partition_point(|entry| entry.offset <= after);
        let end = self.entries.partition_point(|entry| entry.offset <= upto);
        self.entries.range(start..end.max(start)).rev()
    }
}
