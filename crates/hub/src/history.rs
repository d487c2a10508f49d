//! Pages of history: read from the journal once, shared by all who catch up along one lane.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_model::Offset;
use bellwire_model::limits::HISTORY_BYTES_MAX;

use crate::entry::Entry;
use crate::lane::LaneId;

/// Pages kept at a time: each is looked at for whoever catches up.
const PAGES_MAX: usize = 256;

/// A stretch of the journal along one lane.
#[derive(Debug)]
pub struct HistoryPage<P> {
    /// The lane it was read for.
    pub lane: LaneId,
    /// The page holds every matching entry after this…
    pub after: Offset,
    /// …and up to this.
    pub end: Offset,
    /// The newest offset of a matching event that was gone when it was read.
    pub trimmed: Offset,
    /// What had become of the events that are gone.
    pub gone: Gone,
    /// The entries, in order.
    pub entries: Vec<Arc<Entry<P>>>,
}

/// Why events of a page's stretch, or before it, are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Retention has removed them.
    Retired,
    /// Some should be there and cannot be read: even who asks for what there is is told.
    Damaged,
}

/// The newest pages, of all lanes.
#[derive(Debug)]
pub(crate) struct History<P> {
    pages: VecDeque<HistoryPage<P>>,
    size_bytes: usize,
}

impl<P> HistoryPage<P> {
    /// What it counts against the limit of all pages.
    fn size_bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.size_bytes).sum()
    }
}

impl<P> History<P> {
    pub(crate) fn new() -> Self {
        Self { pages: VecDeque::new(), size_bytes: 0 }
    }

    /// Takes a page in, and lets go of the oldest beyond the limits. The newest stays in any case:
    /// somebody waits for it.
    pub(crate) fn push(&mut self, page: HistoryPage<P>) {
        self.size_bytes += page.size_bytes();
        self.pages.push_back(page);
        while self.pages.len() > 1
            && (self.size_bytes > HISTORY_BYTES_MAX || self.pages.len() > PAGES_MAX)
            && let Some(oldest) = self.pages.pop_front()
        {
            self.size_bytes -= oldest.size_bytes();
        }
    }

    /// The page that carries a subscriber of `lane` on from `offset`. The newest counts: it knows
    /// best what retention has removed.
    pub(crate) fn find(&self, lane: LaneId, offset: Offset) -> Option<&HistoryPage<P>> {
        let carries_on =
            |page: &&HistoryPage<P>| page.lane == lane && page.after <= offset && offset < page.end;
        self.pages.iter().rev().find(carries_on)
    }

    pub(crate) fn forget(&mut self, lane: LaneId) {
        let is_other = |page: &HistoryPage<P>| page.lane != lane;
        if self.pages.iter().all(is_other) {
            return;
        }
        self.pages.retain(is_other);
        self.size_bytes = self.pages.iter().map(HistoryPage::size_bytes).sum();
    }

    /// Frees all pages: nobody catches up any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64, size_bytes: usize) -> HistoryPage<()> {
        let (after, end) = (Offset::new(number), Offset::new(number + 1));
        let topic = "a".parse().expect("a topic");
        let entry = Entry { offset: end, topic, size_bytes, payload: () };
        let entries = vec![Arc::new(entry)];
        HistoryPage {
            lane: LaneId(0),
            after,
            end,
            trimmed: Offset::ZERO,
            gone: Gone::Retired,
            entries,
        }
    }

    fn kept(history: &History<()>, upto: u64) -> Vec<u64> {
        let is_kept = |number: &u64| history.find(LaneId(0), Offset::new(*number)).is_some();
        (0..upto).filter(is_kept).collect()
    }

    #[test]
    fn many_readers_of_small_pages_keep_each_its_own() {
        let mut history = History::new();
        (0..PAGES_MAX as u64).for_each(|number| history.push(page(number, 100)));
        assert_eq!(kept(&history, 1_000).len(), PAGES_MAX);
        history.push(page(PAGES_MAX as u64, 100));
        assert_eq!(kept(&history, 1_000).first(), Some(&1), "the oldest goes");
    }

    #[test]
    fn pages_are_bounded_in_bytes_and_the_newest_stays() {
        let mut history = History::new();
        (0..4).for_each(|number| history.push(page(number, HISTORY_BYTES_MAX / 2)));
        assert_eq!(kept(&history, 4), [2, 3]);
        history.push(page(4, 2 * HISTORY_BYTES_MAX));
        assert_eq!(kept(&history, 5), [4]);
        history.push(page(5, 1));
        assert_eq!(kept(&history, 6), [5]);
        history.forget(LaneId(0));
        history.push(page(6, HISTORY_BYTES_MAX));
        assert_eq!(kept(&history, 7), [6]);
    }
}
