//! Who waits for which page of history.
//!
//! A page is read by a reader's thread, encoded once, and shared by all who are on the same lane at
//! the same place. Few are read at a time: who needs another one waits for admission, so that a
//! reconnect storm does not starve live traffic.

use std::collections::VecDeque;

use bellwire_hub::LaneId;
use bellwire_model::Offset;
use bellwire_model::limits::CATCH_UPS_PER_SHARD_MAX;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Token;

/// Pages that are on their way, and who needs more of them.
#[derive(Debug, Default)]
pub(super) struct PageQueue {
    next_ticket: u64,
    /// Pages that a reader is reading.
    reading: FxHashMap<u64, Reading>,
    /// Connections that wait until fewer pages are read at once, each of them once.
    admission: VecDeque<Token>,
    in_admission: FxHashSet<Token>,
    /// Connections whose sockets were full in the middle of a page.
    readers: FxHashSet<Token>,
}

/// A page that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    /// `None`: the lane ended meanwhile, and its number may name another. The page is still read.
    pub(super) lane: Option<LaneId>,
    pub(super) after: Offset,
    /// Each of them once, however often it has asked.
    pub(super) waiting: FxHashSet<Token>,
}

/// What becomes of who needs a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It waits: for the page, or for admission.
    Begun,
    /// It waits for a page that is to be read now, and brought with this ticket.
    ToRead(u64),
}

impl PageQueue {
    /// Somebody needs a page.
    pub(super) fn wait(&mut self, token: Token, lane: LaneId, after: Offset) -> Wait {
        let mut reading = self.reading.values_mut();
        if let Some(same) = reading.find(|page| page.lane == Some(lane) && page.after == after) {
            same.waiting.insert(token);
            return Wait::Begun;
        }
        if self.reading.len() >= CATCH_UPS_PER_SHARD_MAX {
            // Who changes what it follows asks again.
            if self.in_admission.insert(token) {
                self.admission.push_back(token);
            }
            return Wait::Begun;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let waiting: FxHashSet<Token> = FxHashSet::from_iter([token]);
        self.reading.insert(ticket, Reading { lane: Some(lane), after, waiting });
        Wait::ToRead(ticket)
    }

    /// A page has come.
    pub(super) fn take(&mut self, ticket: u64) -> Reading {
        self.reading.remove(&ticket).expect("a page was asked for")
    }

    /// How many more pages may be read.
    pub(super) fn vacant(&self) -> usize {
        CATCH_UPS_PER_SHARD_MAX.saturating_sub(self.reading.len())
    }

    /// Whether somebody waits although another page may be read.
    pub(super) fn may_admit(&self) -> bool {
        !self.admission.is_empty() && self.vacant() > 0
    }

    /// The next who waits for admission.
    pub(super) fn admit(&mut self) -> Option<Token> {
        let token = self.admission.pop_front()?;
        self.in_admission.remove(&token);
        Some(token)
    }

    /// A connection is in the middle of a page.
    pub(super) fn note_reader(&mut self, token: Token) {
        self.readers.insert(token);
    }

    /// A connection is in the middle of no page any more.
    pub(super) fn forget_reader(&mut self, token: Token) {
        // Mostly there is none.
        if !self.readers.is_empty() {
            self.readers.remove(&token);
        }
    }

    /// The lane has ended: nobody waits for its pages. Their places stay taken until they come.
    pub(super) fn abandon(&mut self, lane: LaneId) {
        for page in self.reading.values_mut().filter(|page| page.lane == Some(lane)) {
            page.lane = None;
            page.waiting = FxHashSet::default();
        }
    }

    /// Whether nobody needs any page.
    pub(super) fn is_empty(&self) -> bool {
        self.reading.is_empty() && self.admission.is_empty() && self.readers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use bellwire_hub::{Begin, Hub, HubLimits, Start, StateTable};
    use bellwire_model::{Cursor, EffectiveFilter, Epoch, Filter, FilterSet, Life, NameHasher};

    use super::*;

    fn lane() -> LaneId {
        let tail = Cursor::new(Epoch::new(1), Offset::ZERO);
        let mut hub: Hub<()> = Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]));
        let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
        let follows = EffectiveFilter::from(filters.clone());
        let begin = Begin { start: Start::Latest, tail: Offset::ZERO, trimmed: Offset::ZERO };
        let mut nothing = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        hub.join(&follows, begin, |_| nothing.snapshot(&filters)).expect("room").delivery.lane()
    }

    /// Who changes what it follows asks again, as often as it says something: nothing is to grow by
    /// that while a disk takes its time.
    #[test]
    fn who_asks_again_and_again_waits_once() {
        let (mut queue, lane) = (PageQueue::default(), lane());
        let reads = CATCH_UPS_PER_SHARD_MAX as u64;
        let tickets: Vec<u64> = (0..reads)
            .map(|after| match queue.wait(after as Token, lane, Offset::new(after)) {
                Wait::ToRead(ticket) => ticket,
                Wait::Begun => panic!("there is room"),
            })
            .collect();
        for _ in 0..1_000 {
            for token in [100, 200] {
                assert_eq!(queue.wait(token, lane, Offset::new(0)), Wait::Begun);
                assert_eq!(queue.wait(token, lane, Offset::new(reads)), Wait::Begun);
            }
        }
        assert_eq!(queue.admission, [100, 200]);
        assert_eq!(queue.take(tickets[0]).waiting.len(), 3, "it, and those who came to it");
        assert_eq!((queue.admit(), queue.admit(), queue.admit()), (Some(100), Some(200), None));
        for ticket in &tickets[1..] {
            queue.take(*ticket);
        }
        assert!(queue.is_empty());
    }
}
