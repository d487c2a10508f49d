//! The delivery machine: where one subscriber is.
//!
//! ```text
//!            ┌────────── gap ◀──────────┐ (retention removed what it lacks)
//!            ▼                          │
//! start ─▶ catching up: state values, pages of history, ring ─▶ ready ─▶ live ⇄ lagging
//! ```
//!
//! Nothing is looked up where it starts: what retention has removed of what somebody follows is
//! known to the pages that come.

use bellwire_model::{Cursor, Offset};

use crate::entry::Arrival;
use crate::lane::LaneId;

/// Where a subscriber wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Latest,
    /// With the oldest event that is kept.
    Earliest,
    /// After the last event that it has seen.
    After(Cursor),
}

/// Where a subscriber begins, measured by the journal: the hub may be a moment behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// What the subscriber asks for.
    pub start: Start,
    /// The journal's newest offset.
    pub tail: Offset,
    /// Events up to here may be gone: of what the subscriber follows, or of other topics. Finding out
    /// which takes a walk over all topics; a page of history knows.
    pub trimmed: Offset,
}

/// Where a reader is when it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// It has, or does not want, everything up to here.
    pub offset: Offset,
    /// What it knows to be missing.
    pub known: Known,
    /// The gap to tell it first.
    pub gap: Option<Gap>,
}

/// What a reader that begins knows to be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Events up to here.
    To(Offset),
    /// Whatever is gone when it gets its first page: who asks for what there is misses nothing
    /// else.
    WhateverIsGone,
}

impl Begin {
    /// The same before a journal that others append to as well: what the subscriber has seen up to
    /// `known` is on its way here.
    #[must_use]
    pub fn among_others(self, known: Offset) -> Self {
        match self.start {
            Start::After(cursor) if cursor.offset <= known => {
                Self { tail: self.tail.max(cursor.offset), ..self }
            }
            _ => self,
        }
    }

    /// Begins, before a hub or a journal that ends at `tail`.
    pub fn begun(self, tail: Cursor) -> Begun {
        let (offset, known, gap) = match self.start {
            // The hub may be behind what the subscriber knows of already.
            Start::Latest => {
                let offset = tail.offset.max(self.tail);
                (offset, Known::To(offset), None)
            }
            Start::Earliest => (Offset::ZERO, Known::WhateverIsGone, None),
            Start::After(cursor) if cursor.epoch == tail.epoch && cursor.offset <= self.tail => {
                (cursor.offset, Known::To(cursor.offset), None)
            }
            Start::After(from) => {
                let to = Cursor::new(tail.epoch, self.trimmed);
                let gap = Gap { from, to, reason: GapReason::Epoch };
                (Offset::ZERO, Known::To(self.trimmed), Some(gap))
            }
        };
        Begun { offset, known, gap }
    }
}

/// Why events will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// Retention has removed them.
    Expired,
    /// The cursor is of another life of the journal, so nobody can tell what lies between.
    Epoch,
}

/// Some events after `from` and up to `to` will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The subscriber's cursor.
    pub from: Cursor,
    /// After this one it is complete again.
    pub to: Cursor,
    /// Why.
    pub reason: GapReason,
}

/// Where one subscriber is: the offset that it has, the newest value that it has, and its lane.
/// Fixed in size, however far behind it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub(crate) lane: LaneId,
    pub(crate) phase: Phase,
    pub(crate) turn: Turn,
    /// It may have newer values than its lane shows: it waits for those that are held back.
    pub(crate) is_ahead: bool,
    /// It has, or does not follow, everything up to here.
    pub(crate) offset: Offset,
    /// It knows that events up to here may be missing.
    pub(crate) gap_known_to: Offset,
    /// It has what its lane shows of each key as of here.
    pub(crate) arrival: Arrival,
    /// Up to here values are its snapshot: deletions that came before are none of its business.
    pub(crate) snapshot: Arrival,
}

/// How far the subscriber has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It wants what there is, and has none of it yet: its first page says what is gone.
    Beginning,
    /// It has not been told `ready` yet.
    CatchingUp,
    /// It has.
    Live,
}

/// What a subscriber gets next where it lacks both: they take turns, so that neither keeps the
/// other from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Values,
    Stream,
}

// A connection is O(1): this is what it costs in the hub.
const _: () = assert!(size_of::<Delivery>() <= 40);

impl Delivery {
    /// A subscriber of `lane` that begins at `begin`, and the gap to tell it first, if any.
    /// `tail` and `newest` are the hub's. It has nothing of state topics: see
    /// [`resume`](Self::resume).
    pub(crate) fn new(
        lane: LaneId,
        begin: Begin,
        tail: Cursor,
        newest: Arrival,
    ) -> (Self, Option<Gap>) {
        let Begun { offset, known, gap } = begin.begun(tail);
        let (phase, gap_known_to) = match known {
            Known::To(offset) => (Phase::CatchingUp, offset),
            Known::WhateverIsGone => (Phase::Beginning, Offset::ZERO),
        };
        let delivery = Self {
            lane,
            phase,
            turn: Turn::Values,
            is_ahead: false,
            offset,
            gap_known_to,
            arrival: Arrival::ZERO,
            snapshot: newest,
        };
        (delivery, gap)
    }

    /// It has every value up to an arrival, and no use for deletions up to another.
    pub(crate) fn resume(&mut self, arrival: Arrival, snapshot: Arrival) {
        (self.arrival, self.snapshot) = (arrival, snapshot);
    }

    /// It has, or has no use for, deletions that arrived up to here.
    pub fn deletions_seen(&self) -> Arrival {
        self.arrival.max(self.snapshot)
    }

    /// Whether it is in the middle of the values that there were when it began.
    pub fn is_in_snapshot(&self) -> bool {
        Arrival::ZERO < self.arrival && self.arrival < self.snapshot
    }

    /// Whether all that retention has removed so far is none of its business.
    pub(crate) fn begins(&self) -> bool {
        self.phase == Phase::Beginning && self.offset == Offset::ZERO
    }

    /// Whether it has been told `ready`.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// The lane that it follows.
    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// The newest offset that it has.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The newest arrival of a value that it has.
    pub fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// It has taken the entry at `offset`, or everything up to there.
    pub fn took_entry(&mut self, offset: Offset) {
        debug_assert!(offset > self.offset, "offsets strictly increase for every subscriber");
        self.offset = offset;
    }

    /// It has taken all that a page has for it, which ends at `end`: behind the last match, too.
    pub fn took_page(&mut self, end: Offset) {
        self.offset = self.offset.max(end);
    }

    /// It has taken the value that arrived then.
    pub fn took_value(&mut self, arrival: Arrival) {
        debug_assert!(arrival > self.arrival, "values come in the order of their arrival");
        self.arrival = arrival;
    }

    /// It has taken all values up to here.
    pub fn took_values(&mut self, end: Arrival) {
        self.arrival = self.arrival.max(end);
    }

    /// It has been told of `gap`.
    pub fn took_gap(&mut self, gap: &Gap) {
        self.gap_known_to = gap.to.offset;
    }

    /// It has been told `ready`.
    pub fn took_ready(&mut self) {
        self.phase = Phase::Live;
    }
}
