//! Pages of history: read from the journal once, shared by all who catch up along one lane.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_model::Offset;

use crate::entry::Entry;
use crate::lane::LaneId;

/// Pages kept at a time. Each holds at most a page's limit of bytes, so this bounds the memory of
/// a reconnect storm.
const PAGES_MAX: usize = 32;

/// A stretch of the journal along one lane.
#[derive(Debug)]
pub struct HistoryPage<P> {
    /// The lane it was read for.
    pub lane: LaneId,
    /// The page holds every matching entry after this…
    pub after: Offset,
    /// …and up to this.
    pub end: Offset,
    /// The newest offset of a matching event that retention had removed when it was read.
    pub trimmed: Offset,
    /// The entries, in order.
    pub entries: Vec<Arc<Entry<P>>>,
}

/// The newest pages, of all lanes.
#[derive(Debug)]
pub(crate) struct History<P> {
    pages: VecDeque<HistoryPage<P>>,
}

impl<P> History<P> {
    pub(crate) fn new() -> Self {
        Self { pages: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, page: HistoryPage<P>) {
        if self.pages.len() >= PAGES_MAX {
            self.pages.pop_front();
        }
        self.pages.push_back(page);
    }

    /// The page that carries a subscriber of `lane` on from `offset`. The newest counts: it knows
    /// best what retention has removed.
    pub(crate) fn find(&self, lane: LaneId, offset: Offset) -> Option<&HistoryPage<P>> {
        let carries_on =
            |page: &&HistoryPage<P>| page.lane == lane && page.after <= offset && offset < page.end;
        self.pages.iter().rev().find(carries_on)
    }

    pub(crate) fn forget(&mut self, lane: LaneId) {
        self.pages.retain(|page| page.lane != lane);
    }

    /// Frees all pages: nobody catches up any more.
    pub(crate) fn clear(&mut self) {
        self.pages = VecDeque::new();
    }
}
