//! Ends: which values of a lane come before which of its entries. A topic ends behind the last of
//! its values.
//!
//! Each end has a mark of its own, which stays where it is: so the stream comes to somebody who reads
//! values more slowly than they change, however often something ends.

use std::collections::VecDeque;

use bellwire_model::Offset;

use crate::entry::Arrival;

/// The ends of a lane.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Where each is, and up to where values come before it: both rise. The first may stand for
    /// others before it, of which nobody knows where they were.
    marks: VecDeque<(Offset, Arrival)>,
}

impl Ends {
    /// Bytes that each takes.
    pub(crate) const MARK_BYTES: usize = size_of::<(Offset, Arrival)>();

    /// A topic ends with an entry, the newest, behind all values up to an arrival.
    pub(crate) fn note(&mut self, offset: Offset, arrival: Arrival) {
        debug_assert!(self.marks.back().is_none_or(|newest| newest.0 < offset), "offsets rise");
        self.marks.push_back((offset, arrival));
    }

    /// Values up to an arrival may be of any topic that has ended up to an offset.
    pub(crate) fn blur(&mut self, offset: Offset, arrival: Arrival) {
        let newest = self.marks.back().copied().unwrap_or((Offset::ZERO, Arrival::ZERO));
        self.marks.clear();
        self.marks.push_back((newest.0.max(offset), newest.1.max(arrival)));
    }

    /// Nobody gets entries up to an offset from the lane any more. For those who get them from
    /// elsewhere one mark stands for all.
    pub(crate) fn trim(&mut self, offset: Offset) {
        while self.marks.get(1).is_some_and(|(end, _)| *end <= offset) {
            self.marks.pop_front();
        }
        if self.marks.len() < self.marks.capacity() / 4 {
            self.marks.shrink_to(self.marks.len() * 2);
        }
    }

    /// How far the stream may come to somebody who has it up to an offset, and values up to an
    /// arrival. `None` where nothing keeps it.
    pub(crate) fn limit(&self, offset: Offset, arrival: Arrival) -> Option<Offset> {
        let is_passed = |(end, before): &(Offset, Arrival)| *end <= offset || *before <= arrival;
        let first = self.marks.partition_point(is_passed);
        let (end, _) = self.marks.get(first)?;
        let before_end = Offset::new(end.get() - 1);
        Some(if first == 0 { offset } else { before_end.max(offset) })
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }
}
