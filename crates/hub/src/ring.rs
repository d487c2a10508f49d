//! The ring of recent entries: what a subscriber that lags a little catches up from.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_model::Offset;

use crate::entry::Entry;

/// Holds every entry after `floor`, up to the tail, within limits of number and bytes.
///
/// ```text
/// floor ── retired: here alone ── window ── here and in the lanes that they reach ── tail
/// ```
#[derive(Debug)]
pub(crate) struct Ring<P> {
    entries: VecDeque<Arc<Entry<P>>>,
    /// Every entry after this offset is here.
    floor: Offset,
    /// The number of entries, from the oldest on, that lanes have let go of.
    retired: usize,
    size_bytes: usize,
}

impl<P> Ring<P> {
    /// An empty ring: everything up to `tail` is in the journal alone.
    pub(crate) fn new(tail: Offset) -> Self {
        Self { entries: VecDeque::new(), floor: tail, retired: 0, size_bytes: 0 }
    }

    pub(crate) fn floor(&self) -> Offset {
        self.floor
    }

    /// Lanes have every entry after this offset that they want.
    pub(crate) fn window(&self) -> Offset {
        let newest_retired = self.retired.checked_sub(1).and_then(|last| self.entries.get(last));
        newest_retired.map_or(self.floor, |entry| entry.offset)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn push(&mut self, entry: Arc<Entry<P>>) {
        self.size_bytes += entry.size_bytes;
        self.entries.push_back(entry);
    }

    /// Takes the oldest entry out while the ring is over a limit. Those that are not retired come
    /// back: lanes have them.
    pub(crate) fn pop_over(&mut self, events_max: usize, bytes_max: usize) -> Popped<P> {
        if self.entries.len() <= events_max && self.size_bytes <= bytes_max {
            return Popped::Nothing;
        }
        let Some(entry) = self.entries.pop_front() else { return Popped::Nothing };
        self.size_bytes -= entry.size_bytes;
        self.floor = entry.offset;
        match self.retired.checked_sub(1) {
            Some(retired) => {
                self.retired = retired;
                Popped::Retired
            }
            None => Popped::Held(entry),
        }
    }

    /// The oldest entry that lanes have, which they are to let go of.
    pub(crate) fn retire(&mut self) -> Option<Arc<Entry<P>>> {
        let entry = self.entries.get(self.retired).cloned()?;
        self.retired += 1;
        Some(entry)
    }

    /// The entries after `after` and up to `upto`, oldest first.
    pub(crate) fn between(
        &self,
        after: Offset,
        upto: Offset,
    ) -> impl DoubleEndedIterator<Item = &Arc<Entry<P>>> {
        let start = self.entries.partition_point(|entry| entry.offset <= after);
        let end = self.entries.partition_point(|entry| entry.offset <= upto);
        self.entries.range(start..end.max(start))
    }
}

/// What became of the oldest entry of a ring.
#[derive(Debug)]
pub(crate) enum Popped<P> {
    /// The ring is within its limits.
    Nothing,
    /// Lanes had let go of it before.
    Retired,
    /// Lanes have it.
    Held(Arc<Entry<P>>),
}
