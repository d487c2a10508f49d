//! The hub: ring, lanes and history of one shard.

mod following;
mod lag;

use std::sync::Arc;

use bellwire_model::{Cursor, EffectiveFilter, Epoch, FilterSet, Offset, Version, limits};

use crate::delivery::{Delivery, Gap, GapReason, Phase, Turn};
use crate::entry::{Arrival, Entry, Value};
use crate::history::{History, HistoryPage};
use crate::lane::{Lane, LaneId};
use crate::lanes::Lanes;
use crate::next::{Entries, Next, Values};
use crate::ring::Ring;

pub use following::{LaneEnd, LaneEnds};
pub use lag::Lag;

/// How much the ring holds.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// Entries.
    pub ring_events_max: usize,
    /// Bytes of payload.
    pub ring_bytes_max: usize,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self { ring_events_max: limits::RING_EVENTS_MAX, ring_bytes_max: limits::RING_BYTES_MAX }
    }
}

/// Ring, lanes and history of one shard. See the crate's documentation.
#[derive(Debug)]
pub struct Hub<P> {
    epoch: Epoch,
    limits: HubLimits,
    /// The newest offset pushed.
    tail: Offset,
    /// The newest change of a state topic pushed.
    version: Version,
    /// The newest arrival of a value in any lane.
    arrivals: Arrival,
    /// The newest time that it was told of.
    now_ms: u64,
    ring: Ring<P>,
    lanes: Lanes<P>,
    history: History<P>,
}

impl<P> Hub<P> {
    /// An empty hub behind a journal whose newest offset is `tail`.
    pub fn new(epoch: Epoch, tail: Offset, limits: HubLimits) -> Self {
        Self {
            epoch,
            limits,
            tail,
            version: Version::ZERO,
            arrivals: Arrival::ZERO,
            now_ms: 0,
            ring: Ring::new(tail),
            lanes: Lanes::new(),
            history: History::new(),
        }
    }

    /// The newest entry pushed, as a cursor.
    pub fn tail(&self) -> Cursor {
        Cursor { epoch: self.epoch, offset: self.tail }
    }

    /// The number of lanes.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Whether somebody follows just this.
    pub fn has_lane(&self, follows: &EffectiveFilter) -> bool {
        self.lanes.find(follows).is_some()
    }

    /// What those who are on a lane follow.
    pub fn follows(&self, lane: LaneId) -> &EffectiveFilter {
        &self.lanes.get(lane).follows
    }

    /// The same without rates.
    pub fn filters(&self, lane: LaneId) -> &FilterSet {
        self.follows(lane).filters()
    }

    /// Takes in durable entries, in order. Adds each lane that they touch to `touched`, perhaps
    /// more than once.
    pub fn push(&mut self, entries: &[Arc<Entry<P>>], touched: &mut Vec<LaneId>) {
        for entry in entries {
            assert!(entry.offset > self.tail, "offsets strictly increase");
            self.tail = entry.offset;
            self.lanes.for_each_reached(&entry.topic, |id, lane| {
                lane.push(Arc::clone(entry));
                touched.push(id);
            });
            self.ring.push(Arc::clone(entry));
        }
        let HubLimits { ring_events_max, ring_bytes_max } = self.limits;
        while let Some(old) = self.ring.pop_over(ring_events_max, ring_bytes_max) {
            self.lanes.for_each_reached(&old.topic, |_, lane| lane.trim(old.offset));
        }
    }

    /// Takes in changes of state topics, in order. Adds each lane that they touch to `touched`,
    /// perhaps more than once. Time is in milliseconds of any clock that never goes back.
    pub fn push_values(
        &mut self,
        values: &[Arc<Value<P>>],
        now_ms: u64,
        touched: &mut Vec<LaneId>,
    ) {
        self.now_ms = self.now_ms.max(now_ms);
        let now_ms = self.now_ms;
        for value in values {
            assert!(value.version > self.version, "versions strictly increase");
            self.version = value.version;
            let arrival = self.arrivals.advance();
            let mut paced = Vec::new();
            self.lanes.for_each_reached(&value.topic, |id, lane| {
                if lane.is_paced() {
                    paced.push(id);
                } else {
                    lane.push_value(value, arrival);
                    touched.push(id);
                }
            });
            for id in paced {
                if self.lanes.pacing(id, |lane| lane.push_paced(value, arrival, now_ms)) {
                    touched.push(id);
                }
            }
        }
    }

    /// Lets values in that rates have held back until now. Adds each lane that they touch to
    /// `touched`.
    pub fn release(&mut self, now_ms: u64, touched: &mut Vec<LaneId>) {
        self.now_ms = self.now_ms.max(now_ms);
        self.lanes.release(self.now_ms, &mut self.arrivals, touched);
    }

    /// When [`release`](Self::release) has something to do.
    pub fn next_release(&self) -> Option<u64> {
        self.lanes.next_release()
    }

    /// Takes in a page that [`Next::History`] asked for. The lane may have ended meanwhile.
    pub fn push_history(&mut self, page: HistoryPage<P>) {
        self.history.push(page);
    }

    /// Frees the pages of history: call it when nobody catches up any more.
    pub fn clear_history(&mut self) {
        self.history.clear();
    }

    /// What comes next for this subscriber.
    pub fn next(&mut self, delivery: &mut Delivery) -> Next<'_, P> {
        self.settle(delivery);
        let lane = self.lanes.get(delivery.lane);
        let (has_values, has_stream) = (has_values(lane, delivery), has_stream(lane, delivery));
        // The snapshot comes whole and first.
        let in_snapshot = delivery.arrival < delivery.snapshot;
        if has_values && (in_snapshot || !has_stream || delivery.turn == Turn::Values) {
            delivery.turn = Turn::Stream;
            let lane = self.lanes.get(delivery.lane);
            return Next::Values(Values::new(lane, delivery, (self.version, self.arrivals)));
        }
        delivery.turn = Turn::Values;
        if delivery.offset < lane.since {
            return self.next_behind(delivery);
        }
        if has_stream {
            let lane = self.lanes.get(delivery.lane);
            let start = lane.entries.partition_point(|entry| entry.offset <= delivery.offset);
            return Next::Entries(Entries::Lane(lane.entries.range(start..)));
        }
        match delivery.phase {
            Phase::CatchingUp => Next::Ready(self.cursor(delivery)),
            Phase::Live => Next::Nothing,
        }
    }

    /// The subscriber lacks entries that its lane no longer holds, or never did.
    fn next_behind(&mut self, delivery: &Delivery) -> Next<'_, P> {
        if let Some(page) = self.history.find(delivery.lane, delivery.offset) {
            if page.trimmed > delivery.offset.max(delivery.gap_known_to) {
                return Next::Gap(Gap {
                    from: Cursor { epoch: self.epoch, offset: delivery.offset },
                    to: Cursor { epoch: self.epoch, offset: page.trimmed },
                    reason: GapReason::Expired,
                });
            }
            let start = page.entries.partition_point(|entry| entry.offset <= delivery.offset);
            return Next::Entries(Entries::Page(page.entries[start..].iter(), page.end));
        }
        if delivery.offset < self.ring.floor() {
            return Next::History(delivery.offset);
        }
        // The ring still has it all: let the lane have it too, for whoever comes next.
        let lane = self.lanes.get_mut(delivery.lane);
        let since = lane.since;
        lane.extend_back(delivery.offset, self.ring.between(delivery.offset, since));
        let start = lane.entries.partition_point(|entry| entry.offset <= delivery.offset);
        Next::Entries(Entries::Lane(lane.entries.range(start..)))
    }

    /// Where the subscriber may resume. For one that has all there is, that is the hub's tail.
    pub fn cursor(&self, delivery: &Delivery) -> Cursor {
        let has_stream = has_stream(self.lanes.get(delivery.lane), delivery);
        let offset = if has_stream { delivery.offset } else { delivery.offset.max(self.tail) };
        Cursor { epoch: self.epoch, offset }
    }

    /// Whether the subscriber has all there is: nothing comes next, or that it is ready.
    ///
    /// One whose cursor is ahead of the hub, which may be a moment behind the journal, is not
    /// complete before the hub is there.
    pub fn is_complete(&self, delivery: &Delivery) -> bool {
        let lane = self.lanes.get(delivery.lane);
        let is_ahead = delivery.offset > self.tail;
        !is_ahead && !has_values(lane, delivery) && !has_stream(lane, delivery)
    }

    /// Moves a subscriber that has all there is to the tail, so that its cursor stays young, and to
    /// the newest arrival, so that it holds no deletion back.
    fn settle(&self, delivery: &mut Delivery) {
        delivery.offset = self.cursor(delivery).offset;
        if !has_values(self.lanes.get(delivery.lane), delivery) {
            delivery.arrival = self.arrivals;
        }
    }

    /// Whether a lane holds so many stale values that [`compact`](Self::compact) is worth it.
    pub fn wants_compaction(&self, lane: LaneId) -> bool {
        self.lanes.get(lane).wants_compaction()
    }

    /// Drops a lane's stale values; `seen` is the oldest arrival among those that its subscribers
    /// have. Returns how many deletions it must keep for them.
    pub fn compact(&mut self, lane: LaneId, seen: Arrival) -> usize {
        self.lanes.get_mut(lane).compact(seen, self.version)
    }
}

fn has_entries<P>(lane: &Lane<P>, delivery: &Delivery) -> bool {
    lane.entries.back().is_some_and(|entry| entry.offset > delivery.offset)
}

/// Whether it lacks entries, be they in the lane or behind it.
fn has_stream<P>(lane: &Lane<P>, delivery: &Delivery) -> bool {
    delivery.offset < lane.since || has_entries(lane, delivery)
}

fn has_values<P>(lane: &Lane<P>, delivery: &Delivery) -> bool {
    lane.values.back().is_some_and(|newest| newest.arrival > delivery.arrival)
}
