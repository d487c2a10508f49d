//! The hub: ring, lanes and history of one shard.

mod following;
mod lag;

use std::cell::Cell;
use std::sync::Arc;

use bellwire_model::{
    Cursor, EffectiveFilter, Epoch, FilterSet, Life, NameHasher, Offset, Progress, StateMark,
    Version, limits,
};

use crate::delivery::{Delivery, Gap, GapReason, Phase, Turn};
use crate::entry::{Arrival, Entry, Payload, Value};
use crate::history::{Gone, History, HistoryPage};
use crate::lane::{Lane, LaneId};
use crate::lanes::Lanes;
use crate::next::{Entries, Looks, Next, Values};
use crate::ring::{Popped, Ring};

pub use following::{Joined, LaneEnd, LaneEnds, LanesExhausted};
pub use lag::Lag;

/// How much a hub holds, and how much it does at once.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// Entries of the ring.
    pub ring_events_max: usize,
    /// Their bytes.
    pub ring_bytes_max: usize,
    /// Pointers to entries in all lanes together. Beyond it lanes reach back less far than the
    /// ring, whatever each of them holds.
    pub lane_entries_max: usize,
    /// Entries of the ring that one call looks at for a subscriber that is behind its lane, and values
    /// that are left out of what another is given.
    pub ring_looks_max: usize,
    /// Lanes.
    pub lanes_max: usize,
    /// Bytes of the lanes' pointers beyond which there is no new lane.
    pub lanes_bytes_max: usize,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            ring_events_max: limits::RING_EVENTS_MAX,
            ring_bytes_max: limits::RING_BYTES_MAX,
            lane_entries_max: limits::LANE_ENTRIES_MAX,
            ring_looks_max: limits::RING_LOOKS_MAX,
            lanes_max: limits::LANES_PER_SHARD_MAX,
            lanes_bytes_max: limits::LANES_BYTES_MAX,
        }
    }
}

/// What a hub holds in memory, beside what it shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubSize {
    /// Bytes of the entries of the ring. All hubs hold the same.
    pub ring_bytes: usize,
    /// Bytes of the lanes: what they follow, and their pointers to entries and values.
    pub lane_bytes: usize,
}

/// Ring, lanes and history of one shard. See the crate's documentation.
#[derive(Debug)]
pub struct Hub<P> {
    epoch: Epoch,
    limits: HubLimits,
    /// The state table's, once a lane was made of it.
    life: Option<Life>,
    /// The newest offset pushed.
    tail: Offset,
    /// The newest change of a state topic pushed.
    version: Version,
    /// The newest of these that is on the disk.
    durable: Offset,
    /// The newest arrival of a value in any lane.
    arrivals: Arrival,
    /// The newest time that it was told of.
    now_ms: u64,
    ring: Ring<P>,
    lanes: Lanes<P>,
    history: History<P>,
    /// What was last read from the ring for one subscriber.
    ring_page: Option<HistoryPage<P>>,
    /// Things that were looked at for those who come, move or are behind.
    looks: u64,
    /// And values that were left out of what they were given.
    left_out: Cell<u64>,
}

impl<P: Payload> Hub<P> {
    /// An empty hub behind a journal that ends at `tail`. The hasher's secret keeps strangers from
    /// choosing names that collide.
    pub fn new(tail: Cursor, limits: HubLimits, hasher: NameHasher) -> Self {
        let Cursor { epoch, offset: tail, .. } = tail;
        Self {
            epoch,
            limits,
            life: None,
            tail,
            version: Version::ZERO,
            durable: Offset::ZERO,
            arrivals: Arrival::ZERO,
            now_ms: 0,
            ring: Ring::new(tail),
            lanes: Lanes::new(hasher),
            history: History::new(),
            ring_page: None,
            looks: 0,
            left_out: Cell::default(),
        }
    }

    /// The same where the state table has changes already.
    #[must_use]
    pub fn with_state(self, Progress { version, durable }: Progress) -> Self {
        Self { version, durable, ..self }
    }

    /// The newest entry pushed, as a cursor.
    pub fn tail(&self) -> Cursor {
        Cursor::new(self.epoch, self.tail)
    }

    /// The newest change of a state topic pushed.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The same in the life of the state table, once that is known.
    pub fn state(&self) -> Option<(Life, Progress)> {
        Some((self.life?, self.reach()))
    }

    fn reach(&self) -> Progress {
        Progress { version: self.version, durable: self.durable }
    }

    /// The number of lanes.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// What it holds.
    pub fn size(&self) -> HubSize {
        HubSize { ring_bytes: self.ring.size_bytes(), lane_bytes: self.lanes.size_bytes() }
    }

    /// How many things it has looked at so far for those who come, move or are behind: what that
    /// costs is the difference. Pushes are not counted, nor what a subscriber takes.
    pub fn looks(&self) -> u64 {
        self.looks + self.left_out.get()
    }

    /// What those who are on a lane follow.
    pub fn follows(&self, lane: LaneId) -> &EffectiveFilter {
        &self.lanes.get(lane).follows
    }

    /// The same without rates, and whatever they may see of it.
    pub fn filters(&self, lane: LaneId) -> &FilterSet {
        self.follows(lane).filters()
    }

    /// Takes in durable entries, in order. Adds each lane that they touch to `touched`, once.
    pub fn push(&mut self, entries: &[Arc<Entry<P>>], touched: &mut Vec<LaneId>) {
        self.lanes.begin_batch();
        for entry in entries {
            assert!(entry.offset > self.tail, "offsets strictly increase");
            self.tail = entry.offset;
            if entry.payload.ends_topic() {
                self.lanes.end(entry, &mut self.arrivals);
            }
            self.lanes.push(entry, touched);
            self.ring.push(Arc::clone(entry));
            // With each entry: a batch of many may reach many lanes.
            if self.lanes.holding().entries > self.limits.lane_entries_max {
                self.retire();
            }
        }
        let HubLimits { ring_events_max, ring_bytes_max, .. } = self.limits;
        loop {
            match self.ring.pop_over(ring_events_max, ring_bytes_max) {
                Popped::Held(old) => self.lanes.trim(&old),
                Popped::Retired => {}
                Popped::Nothing => break,
            }
        }
    }

    /// Counts what the entries of the last pushes have grown by: they may take more than when they
    /// came, once they are in use. The ring's limit in bytes holds for that, too.
    pub fn count_growth(&mut self, grown_bytes: impl Fn(&P) -> usize) {
        self.ring.count_growth(grown_bytes);
    }

    /// Lets lanes go of their oldest entries while they hold too many of them; the ring has these
    /// still.
    fn retire(&mut self) {
        while self.lanes.holding().entries > self.limits.lane_entries_max
            && let Some(old) = self.ring.retire()
        {
            self.lanes.trim(&old);
        }
    }

    /// Takes in changes of state topics, in order; those that are on the disk behind the entries that
    /// were committed with them. Adds each lane that they touch to `touched`,
    /// those with rates and those that do not show everything perhaps more than once. Time is in milliseconds of any clock that never
    /// goes back.
    pub fn push_values(
        &mut self,
        values: &[Arc<Value<P>>],
        now_ms: u64,
        touched: &mut Vec<LaneId>,
    ) {
        self.now_ms = self.now_ms.max(now_ms);
        let now_ms = self.now_ms;
        self.lanes.begin_batch();
        for value in values {
            assert!(value.version > self.version, "versions strictly increase");
            (self.version, self.durable) = (value.version, value.durable);
            if value.is_durable {
                // Its place in the journal has no event of a stream.
                self.tail = self.tail.max(value.durable);
            }
            self.lanes.push_value(value, (&mut self.arrivals, now_ms), touched);
        }
    }

    /// The journal ends there now: all that it has up to there has been taken in.
    pub fn end_at(&mut self, tail: Offset) {
        self.tail = self.tail.max(tail);
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

    /// Takes in a page that [`Next::History`] asked for, with all that passes the lane's filters:
    /// what may not be seen there is left out here. The lane may have ended meanwhile. The pages'
    /// limit in bytes holds for what entries have grown by, too.
    pub fn push_history(&mut self, mut page: HistoryPage<P>, grown_bytes: impl Fn(&P) -> usize) {
        let Some(lane) = self.lanes.get_if_any(page.lane) else { return };
        if lane.is_screened() {
            self.looks += page.entries.len() as u64;
            page.entries.retain(|entry| lane.shows(entry));
        }
        self.history.push(page, grown_bytes);
    }

    /// Whether a page of history carries this subscriber on.
    pub fn has_page(&self, delivery: &Delivery) -> bool {
        self.history.find(delivery.lane, delivery.offset).is_some()
    }

    /// Frees the pages of history: call it when nobody catches up any more.
    pub fn clear_history(&mut self) {
        self.history.clear();
        self.ring_page = None;
    }

    /// What comes next for this subscriber.
    pub fn next(&mut self, delivery: &mut Delivery) -> Next<'_, P> {
        self.next_within(delivery, self.limits.ring_looks_max)
    }

    /// [`next`](Self::next) where no more of the ring, and of what is left out of values, may be looked
    /// at than this, or than one call may.
    pub fn next_within(&mut self, delivery: &mut Delivery, looks_max: usize) -> Next<'_, P> {
        self.settle(delivery);
        // With none it would never get on.
        let looks_max = looks_max.min(self.limits.ring_looks_max).max(1);
        let lane = self.lanes.get(delivery.lane);
        let has_values = has_values(lane, delivery);
        // The snapshot comes whole and first, and values do before the end of their topic.
        let in_snapshot = delivery.arrival < delivery.snapshot;
        let limit = lane.stream_limit(delivery.offset, delivery.arrival).filter(|_| has_values);
        let has_stream = has_stream_upto(lane, delivery, limit);
        if has_values && (in_snapshot || !has_stream || delivery.turn == Turn::Values) {
            delivery.turn = Turn::Stream;
            let lane = self.lanes.get(delivery.lane);
            let looks = Looks { left: looks_max, counted: &self.left_out };
            return Next::Values(Values::new(lane, delivery, (self.version, self.arrivals), looks));
        }
        delivery.turn = Turn::Values;
        if delivery.offset < lane.since {
            return self.next_behind(delivery, limit, looks_max);
        }
        if has_stream {
            let lane = self.lanes.get(delivery.lane);
            return Next::Entries(Entries::Lane(lane.entries_after(delivery.offset, limit)));
        }
        match delivery.phase {
            Phase::Beginning | Phase::CatchingUp => Next::Ready(self.cursor(delivery)),
            Phase::Live => Next::Nothing,
        }
    }

    /// The subscriber lacks entries that its lane no longer holds, or never did.
    #[inline(never)]
    fn next_behind(
        &mut self,
        delivery: &mut Delivery,
        limit: Option<Offset>,
        looks_max: usize,
    ) -> Next<'_, P> {
        let (lane, offset) = (delivery.lane, delivery.offset);
        if self.history.find(lane, offset).is_none() {
            let carries_on = |page: &HistoryPage<P>| page.carries_on(lane, offset);
            return if self.ring_page.as_ref().is_some_and(carries_on) {
                self.rest_of_ring_page(offset, limit)
            } else if offset < self.ring.floor() {
                Next::History(offset)
            } else if offset < self.ring.window() {
                self.next_of_ring(delivery, limit, looks_max)
            } else {
                self.extend_back(delivery, limit, looks_max)
            };
        }
        let page = self.history.find(lane, offset).expect("it was there a moment ago");
        if delivery.begins() && page.gone == Gone::Retired {
            // Who asks for what there is does not miss what is gone.
            delivery.gap_known_to = page.trimmed;
        }
        if page.trimmed > offset.max(delivery.gap_known_to) {
            return Next::Gap(Gap {
                from: Cursor::new(self.epoch, offset),
                to: Cursor::new(self.epoch, page.trimmed),
                reason: GapReason::Expired,
            });
        }
        Next::Entries(page.entries_after(offset, limit))
    }

    /// The ring still has it all: the lane is to have it, too, for whoever comes next. A lane of
    /// few events may mean many looks, so each call makes some of them.
    fn extend_back(
        &mut self,
        delivery: &Delivery,
        limit: Option<Offset>,
        looks_max: usize,
    ) -> Next<'_, P> {
        let Self { lanes, ring, .. } = self;
        let looks = lanes.change(delivery.lane, |lane| {
            let older: Vec<_> =
                ring.between(delivery.offset, lane.since).rev().take(looks_max).collect();
            let since = match older.last() {
                // Every entry from this one on, which is: after what may stand before it.
                Some(oldest) if older.len() == looks_max => Offset::new(oldest.offset.get() - 1),
                _ => delivery.offset,
            };
            lane.extend_back(since, older.iter().copied());
            older.len()
        });
        self.looks += looks as u64;
        self.retire();
        let lane = self.lanes.get(delivery.lane);
        if delivery.offset < lane.since {
            return Next::Later;
        }
        Next::Entries(Entries::Lane(lane.entries_after(delivery.offset, limit)))
    }

    /// Lanes hold too much to have what the ring has: some of that, as if it were a page. Where it
    /// has nothing for the subscriber, that goes on behind it.
    fn next_of_ring(
        &mut self,
        delivery: &mut Delivery,
        limit: Option<Offset>,
        looks_max: usize,
    ) -> Next<'_, P> {
        let lane = self.lanes.get(delivery.lane);
        let filters = lane.follows.filters();
        let (mut end, mut looks, mut size_bytes) = (delivery.offset, 0, 0);
        let mut entries = Vec::new();
        for entry in self.ring.between(delivery.offset, self.tail) {
            if looks >= looks_max || size_bytes >= limits::WRITE_BYTES_MAX {
                break;
            }
            looks += 1;
            end = entry.offset;
            if filters.matches(&entry.topic) && lane.shows(entry) {
                size_bytes += entry.size_bytes;
                entries.push(Arc::clone(entry));
            }
        }
        self.looks += looks as u64;
        if entries.is_empty() {
            delivery.took_page(end);
            return Next::Later;
        }
        let (lane, after) = (delivery.lane, delivery.offset);
        let page =
            HistoryPage { lane, after, end, trimmed: Offset::ZERO, gone: Gone::Retired, entries };
        self.ring_page = Some(page);
        self.rest_of_ring_page(after, limit)
    }

    /// What was last read from the ring, after `offset`: to look at all of it again for each write
    /// would cost many looks for few events.
    fn rest_of_ring_page(&self, offset: Offset, limit: Option<Offset>) -> Next<'_, P> {
        let page = self.ring_page.as_ref().expect("the caller has looked");
        Next::Entries(page.entries_after(offset, limit))
    }

    /// Where the subscriber may resume. For one that has all there is, that is the hub's tail.
    pub fn cursor(&self, delivery: &Delivery) -> Cursor {
        Cursor::new(self.epoch, self.offset(delivery))
    }

    /// The same with what it has of state topics, where that can be said in one version: for one that
    /// has all there is up to the newest change.
    pub fn full_cursor(&self, delivery: &Delivery) -> Cursor {
        Cursor { state: self.state_mark(delivery), ..self.cursor(delivery) }
    }

    /// The newest offset that the subscriber has, or does not follow.
    pub fn offset(&self, delivery: &Delivery) -> Offset {
        let has_stream = has_stream(self.lanes.get(delivery.lane), delivery);
        if has_stream { delivery.offset } else { delivery.offset.max(self.tail) }
    }

    /// A cursor from before there is worth a newer one: half of the ring or more would be read behind it.
    /// Offsets alone do not tell, since there may be holes between them.
    pub fn half_ring(&self) -> Offset {
        let events_max = self.limits.ring_events_max / 2;
        // Where bytes bound the ring it has fewer.
        let is_half_full = self.ring.size_bytes() > self.limits.ring_bytes_max / 2;
        let half = if is_half_full { self.ring.len().div_ceil(2) } else { events_max };
        self.ring.first_of_newest(half.min(events_max))
    }

    /// What the subscriber has of state topics, where that can be said in one version.
    pub fn state_mark(&self, delivery: &Delivery) -> Option<StateMark> {
        let lane = self.lanes.get(delivery.lane);
        let claim = lane.claim((delivery.arrival, delivery.snapshot), self.reach());
        let ((upto, since), life) = (claim?, self.life?);
        Some(StateMark::between(life, upto, since))
    }

    /// Whether the subscriber lacks values that there were when it began.
    pub fn lacks_snapshot(&self, delivery: &Delivery) -> bool {
        let lane = self.lanes.get(delivery.lane);
        delivery.arrival < delivery.snapshot && has_values(lane, delivery)
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
        delivery.offset = self.offset(delivery);
        if !has_values(self.lanes.get(delivery.lane), delivery) {
            delivery.arrival = self.arrivals;
            delivery.is_ahead = false;
        }
    }

    /// Whether a lane holds so many stale values that [`compact`](Self::compact) is worth it.
    pub fn wants_compaction(&self, lane: LaneId) -> bool {
        self.lanes.get(lane).wants_compaction()
    }

    /// Drops a lane's stale values; `seen` is the oldest arrival up to which all of its subscribers
    /// have seen the deletions. Returns how many deletions some of them are yet to see.
    pub fn compact(&mut self, lane: LaneId, seen: Arrival) -> usize {
        let Self { lanes, version, looks, .. } = self;
        lanes.change(lane, |lane| {
            *looks += lane.values.len() as u64;
            lane.compact(seen, *version)
        })
    }
}

fn has_entries<P>(lane: &Lane<P>, delivery: &Delivery) -> bool {
    lane.entries.back().is_some_and(|entry| entry.offset > delivery.offset)
}

/// Whether it lacks entries up to a limit, if there is one.
fn has_stream_upto<P>(lane: &Lane<P>, delivery: &Delivery, limit: Option<Offset>) -> bool {
    let Some(limit) = limit else { return has_stream(lane, delivery) };
    if delivery.offset < lane.since {
        return delivery.offset < limit;
    }
    lane.entries_after(delivery.offset, Some(limit)).len() > 0
}

/// Whether it lacks entries, be they in the lane or behind it.
fn has_stream<P>(lane: &Lane<P>, delivery: &Delivery) -> bool {
    delivery.offset < lane.since || has_entries(lane, delivery)
}

fn has_values<P>(lane: &Lane<P>, delivery: &Delivery) -> bool {
    lane.values.back().is_some_and(|newest| newest.arrival > delivery.arrival)
}
