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
    /// By how much entries have grown since they came, from the oldest on; of the newest that is
    /// yet to be seen.
    grown: VecDeque<u32>,
    size_bytes: usize,
}

impl<P> Ring<P> {
    /// An empty ring: everything up to `tail` is in the journal alone.
    pub(crate) fn new(tail: Offset) -> Self {
        let (entries, grown) = (VecDeque::new(), VecDeque::new());
        Self { entries, floor: tail, retired: 0, grown, size_bytes: 0 }
    }

    pub(crate) fn floor(&self) -> Offset {
        self.floor
    }

    /// Lanes have every entry after this offset that they want.
    pub(crate) fn window(&self) -> Offset {
        let newest_retired = self.retired.checked_sub(1).and_then(|last| self.entries.get(last));
        newest_retired.map_or(self.floor, |entry| entry.offset)
    }

    /// Whoever has nothing from here on lacks so many of the newest entries at least, or what is here no
    /// more.
    pub(crate) fn first_of_newest(&self, count: usize) -> Offset {
        let first = self.entries.len().checked_sub(count).and_then(|at| self.entries.get(at));
        first.map_or(self.floor, |entry| entry.offset)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn push(&mut self, entry: Arc<Entry<P>>) {
        self.size_bytes += entry.size_bytes;
        self.entries.push_back(entry);
    }

    /// Counts what the entries have grown by that came since this was last done.
    pub(crate) fn count_growth(&mut self, grown_bytes: impl Fn(&P) -> usize) {
        for entry in self.entries.range(self.grown.len()..) {
            let grown_bytes = u32::try_from(grown_bytes(&entry.payload)).unwrap_or(u32::MAX);
            self.size_bytes += grown_bytes as usize;
            self.grown.push_back(grown_bytes);
        }
    }

    /// Takes the oldest entry out while the ring is over a limit. Those that are not retired come
    /// back: lanes have them.
    pub(crate) fn pop_over(&mut self, events_max: usize, bytes_max: usize) -> Popped<P> {
        if self.entries.len() <= events_max && self.size_bytes <= bytes_max {
            return Popped::Nothing;
        }
        let Some(entry) = self.entries.pop_front() else { return Popped::Nothing };
        self.size_bytes -= entry.size_bytes + self.grown.pop_front().unwrap_or(0) as usize;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: u64, payload: usize) -> Arc<Entry<usize>> {
        let topic = "a".parse().expect("a topic");
        Arc::new(Entry { offset: Offset::new(offset), topic, size_bytes: 100, payload })
    }

    #[test]
    fn what_entries_have_grown_by_counts_until_they_go() {
        let mut ring = Ring::new(Offset::ZERO);
        for offset in 1..=4 {
            ring.push(entry(offset, 50));
        }
        assert_eq!(ring.size_bytes(), 400, "nobody has looked yet");
        ring.count_growth(|payload| *payload);
        ring.count_growth(|payload| *payload);
        assert_eq!(ring.size_bytes(), 600, "each counts once");
        ring.push(entry(5, 50));
        assert_eq!(ring.size_bytes(), 700);
        let mut held = 0;
        while let Popped::Held(_) = ring.pop_over(100, 400) {
            held += 1;
        }
        assert_eq!((held, ring.size_bytes(), ring.floor()), (2, 400, Offset::new(2)));
        while let Popped::Held(_) = ring.pop_over(0, 0) {}
        assert_eq!(ring.size_bytes(), 0, "nothing is left, be it counted or not");
    }
}
