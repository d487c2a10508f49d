//! Pages of history: read from the journal once, shared by all who catch up along one lane.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_model::Offset;
use bellwire_model::limits::HISTORY_BYTES_MAX;

use crate::entry::Entry;
use crate::lane::LaneId;
use crate::next::Entries;

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
    pages: VecDeque<Kept<P>>,
    size_bytes: usize,
}

#[derive(Debug)]
struct Kept<P> {
    page: HistoryPage<P>,
    /// What it counts against the limit of all pages.
    size_bytes: usize,
}

impl<P> HistoryPage<P> {
    /// Whether it has what comes next for a subscriber of `lane` after `offset`.
    pub(crate) fn carries_on(&self, lane: LaneId, offset: Offset) -> bool {
        self.lane == lane && self.after <= offset && offset < self.end
    }

    /// What it has for one who has everything up to `offset`, up to a limit if there is one.
    pub(crate) fn entries_after(&self, offset: Offset, limit: Option<Offset>) -> Entries<'_, P> {
        let start = self.entries.partition_point(|entry| entry.offset <= offset);
        let end = limit.map_or(self.end, |limit| limit.min(self.end));
        let rest = &self.entries[start..];
        let upto = rest.partition_point(|entry| entry.offset <= end);
        Entries::Page(rest[..upto].iter(), end)
    }

    fn size_bytes(&self, grown_bytes: impl Fn(&P) -> usize) -> usize {
        self.entries.iter().map(|entry| entry.size_bytes + grown_bytes(&entry.payload)).sum()
    }
}

impl<P> History<P> {
    pub(crate) fn new() -> Self {
        Self { pages: VecDeque::new(), size_bytes: 0 }
    }

    /// Takes a page in, and lets go of the oldest beyond the limits. The newest stays in any case:
    /// somebody waits for it. The one before it has been in use meanwhile, and may have grown.
    pub(crate) fn push(&mut self, page: HistoryPage<P>, grown_bytes: impl Fn(&P) -> usize) {
        if let Some(last) = self.pages.back_mut() {
            self.size_bytes -= last.size_bytes;
            last.size_bytes = last.page.size_bytes(grown_bytes);
            self.size_bytes += last.size_bytes;
        }
        let size_bytes = page.size_bytes(|_| 0);
        self.size_bytes += size_bytes;
        self.pages.push_back(Kept { page, size_bytes });
        while self.pages.len() > 1
            && (self.size_bytes > HISTORY_BYTES_MAX || self.pages.len() > PAGES_MAX)
            && let Some(oldest) = self.pages.pop_front()
        {
            self.size_bytes -= oldest.size_bytes;
        }
    }

    /// The page that carries a subscriber of `lane` on from `offset`. The newest counts: it knows
    /// best what retention has removed.
    pub(crate) fn find(&self, lane: LaneId, offset: Offset) -> Option<&HistoryPage<P>> {
        let mut pages = self.pages.iter().rev().map(|kept| &kept.page);
        pages.find(|page| page.carries_on(lane, offset))
    }

    pub(crate) fn forget(&mut self, lane: LaneId) {
        let is_other = |kept: &Kept<P>| kept.page.lane != lane;
        if self.pages.iter().all(is_other) {
            return;
        }
        self.pages.retain(is_other);
        self.size_bytes = self.pages.iter().map(|kept| kept.size_bytes).sum();
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
        (0..PAGES_MAX as u64).for_each(|number| history.push(page(number, 100), |()| 0));
        assert_eq!(kept(&history, 1_000).len(), PAGES_MAX);
        history.push(page(PAGES_MAX as u64, 100), |()| 0);
        assert_eq!(kept(&history, 1_000).first(), Some(&1), "the oldest goes");
    }

    #[test]
    fn pages_are_bounded_in_bytes_and_the_newest_stays() {
        let mut history = History::new();
        (0..4).for_each(|number| history.push(page(number, HISTORY_BYTES_MAX / 2), |()| 0));
        assert_eq!(kept(&history, 4), [2, 3]);
        history.push(page(4, 2 * HISTORY_BYTES_MAX), |()| 0);
        assert_eq!(kept(&history, 5), [4]);
        history.push(page(5, 1), |()| 0);
        assert_eq!(kept(&history, 6), [5]);
        history.forget(LaneId(0));
        history.push(page(6, HISTORY_BYTES_MAX), |()| 0);
        assert_eq!(kept(&history, 7), [6]);
    }

    #[test]
    fn a_page_counts_what_it_has_grown_by_once_the_next_one_comes() {
        let mut history = History::new();
        history.push(page(0, HISTORY_BYTES_MAX / 4), |()| 0);
        history.push(page(1, HISTORY_BYTES_MAX / 4), |()| HISTORY_BYTES_MAX / 4);
        assert_eq!(kept(&history, 2), [0, 1]);
        history.push(page(2, HISTORY_BYTES_MAX / 4), |()| HISTORY_BYTES_MAX / 4);
        assert_eq!(kept(&history, 3), [1, 2], "two of them take as much as four");
        history.forget(LaneId(0));
        assert_eq!(history.size_bytes, 0);
    }
}
