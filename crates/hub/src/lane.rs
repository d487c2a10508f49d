//! Lanes: one per distinct filter, shared by all connections that follow it and may see the same.

use std::cmp::Reverse;
use std::collections::{VecDeque, vec_deque};
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use bellwire_model::{EffectiveFilter, NameHasher, Offset, Progress, Topic, Version};

use crate::ends::Ends;
use crate::entry::{Arrival, Entry, Payload, Value};
use crate::heights::Heights;
use crate::pacer::{Held, Pacer};
use crate::screen::Screen;

/// Names a lane of one hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub(crate) u32);

impl LaneId {
    /// A dense number, for tables beside the hub's.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Values beyond twice the live ones that a lane holds before it wants to be compacted.
const STALE_VALUES_SLACK: usize = 64;

/// What comes to those who follow the same and may see the same: what one of them gets is for all of
/// them.
#[derive(Debug)]
pub(crate) struct Lane<P> {
    pub(crate) follows: EffectiveFilter,
    /// Connections that follow it; the last one to leave ends it.
    pub(crate) subscribers: usize,
    /// Every matching entry after `since`, up to the hub's tail.
    pub(crate) entries: VecDeque<Arc<Entry<P>>>,
    pub(crate) since: Offset,
    /// Every matching change that is not stale, in the order of arrival, and some that are.
    pub(crate) values: VecDeque<Arrived<P>>,
    /// Deletions up to here may be here no more.
    pub(crate) horizon: Progress,
    /// After this arrival values come in the order of their versions, each newer than all before.
    pub(crate) ordered_after: Arrival,
    /// Which values come before which entries.
    ends: Ends,
    /// Of what is not in that order: of a lane with rates all, else what arrived up to then.
    heights: Heights,
    /// When `values` is worth compacting.
    compact_at: usize,
    /// Holds back what comes too soon, where there are rates.
    pacer: Option<Box<Pacer<P>>>,
    /// Keeps out what may not be seen, where that is anything.
    screen: Option<Box<Screen>>,
    /// The last of the lookups that led here; [`SCREENED`] where a screen knows it. So it takes one
    /// comparison to tell a lane that shows everything and is reached for the first time.
    pub(crate) last_lookup: u64,
}

/// More than any lookup's number.
const SCREENED: u64 = u64::MAX;

/// What lanes hold: pointers to entries and values, which others may hold, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) entries: usize,
    pub(crate) values: usize,
    /// Keys that have changed within their interval.
    pub(crate) resting: usize,
    /// Keys that screens remember.
    pub(crate) screened: usize,
    /// Places that lanes remember which are out of order.
    pub(crate) heights: usize,
    /// Ends of topics that lanes remember.
    pub(crate) ends: usize,
}

impl Holding {
    /// Bytes of the pointers, and of what is around those that rates hold back.
    pub(crate) fn size_bytes<P>(self) -> usize {
        self.entries * size_of::<Arc<Entry<P>>>()
            + self.values * size_of::<Arrived<P>>()
            + self.resting * Pacer::<P>::RESTING_BYTES
            + self.screened * Screen::KEY_BYTES
            + self.heights * Heights::HEIGHT_BYTES
            + self.ends * Ends::MARK_BYTES
    }
}

impl AddAssign for Holding {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.values += other.values;
        self.resting += other.resting;
        self.screened += other.screened;
        self.heights += other.heights;
        self.ends += other.ends;
    }
}

impl SubAssign for Holding {
    fn sub_assign(&mut self, other: Self) {
        self.entries -= other.entries;
        self.values -= other.values;
        self.resting -= other.resting;
        self.screened -= other.screened;
        self.heights -= other.heights;
        self.ends -= other.ends;
    }
}

/// A value of a lane.
#[derive(Debug)]
pub(crate) struct Arrived<P> {
    pub(crate) arrival: Arrival,
    pub(crate) value: Arc<Value<P>>,
}

impl<P> Clone for Arrived<P> {
    fn clone(&self) -> Self {
        Self { arrival: self.arrival, value: Arc::clone(&self.value) }
    }
}

impl<P> Lane<P> {
    pub(crate) fn new(follows: EffectiveFilter, tail: Offset, hasher: NameHasher) -> Self {
        let pacer = || Box::new(Pacer::new(hasher));
        let screen = || Box::new(Screen::new(hasher));
        let last_lookup = if follows.sight().is_all() { 0 } else { SCREENED };
        Self {
            pacer: follows.is_paced().then(pacer),
            screen: (!follows.sight().is_all()).then(screen),
            follows,
            subscribers: 0,
            entries: VecDeque::new(),
            since: tail,
            values: VecDeque::new(),
            horizon: Progress::ZERO,
            ordered_after: Arrival::ZERO,
            ends: Ends::default(),
            heights: Heights::default(),
            compact_at: STALE_VALUES_SLACK,
            last_lookup,
        }
    }

    pub(crate) fn holding(&self) -> Holding {
        let resting = self.pacer.as_ref().map_or(0, |pacer| pacer.resting());
        let screened = self.screen.as_ref().map_or(0, |screen| screen.keys());
        let (entries, values) = (self.entries.len(), self.values.len());
        let (heights, ends) = (self.heights.len(), self.ends.len());
        Holding { entries, values, resting, screened, heights, ends }
    }

    /// The place of the first entry after `offset`.
    pub(crate) fn first_after(&self, offset: Offset) -> usize {
        // Mostly somebody who keeps up lacks the newest alone.
        let newest = self.entries.len().saturating_sub(1);
        let has_others = newest.checked_sub(1).is_none_or(|it| self.entries[it].offset <= offset);
        if has_others && self.entries.back().is_some_and(|entry| entry.offset > offset) {
            return newest;
        }
        self.entries.partition_point(|entry| entry.offset <= offset)
    }

    /// The entries after `offset`, up to a limit if there is one.
    pub(crate) fn entries_after(
        &self,
        offset: Offset,
        limit: Option<Offset>,
    ) -> vec_deque::Iter<'_, Arc<Entry<P>>> {
        let start = self.first_after(offset);
        let upto =
            |limit: Offset| self.entries.partition_point(|entry| entry.offset <= limit).max(start);
        self.entries.range(start..limit.map_or(self.entries.len(), upto))
    }

    /// How far the stream may come to somebody who has it up to an offset, and values up to an
    /// arrival: to the end of a topic that values come before. `None` where nothing keeps it.
    pub(crate) fn stream_limit(&self, offset: Offset, arrival: Arrival) -> Option<Offset> {
        self.ends.limit(offset, arrival)
    }

    pub(crate) fn push(&mut self, entry: Arc<Entry<P>>) {
        self.entries.push_back(entry);
    }

    /// Whether those who are on it may see an entry of a topic that they follow.
    pub(crate) fn shows(&self, entry: &Entry<P>) -> bool
    where
        P: Payload,
    {
        self.screen.is_none() || self.shows_labels_of(entry)
    }

    #[cold]
    #[inline(never)]
    fn shows_labels_of(&self, entry: &Entry<P>) -> bool
    where
        P: Payload,
    {
        self.follows.sight().shows(&entry.topic, || entry.payload.labels())
    }

    /// Puts entries in front that the ring still has, all after `since`; `older` runs from the
    /// newest backwards.
    pub(crate) fn extend_back<'a>(
        &mut self,
        since: Offset,
        older: impl Iterator<Item = &'a Arc<Entry<P>>>,
    ) where
        P: Payload + 'a,
    {
        for entry in older {
            if self.follows.filters().matches(&entry.topic) && self.shows(entry) {
                self.entries.push_front(Arc::clone(entry));
            }
        }
        self.since = since;
    }

    /// Lets go of everything up to `offset`; returns what that was.
    pub(crate) fn trim(&mut self, offset: Offset) -> Holding {
        let (before, ends_before) = (self.entries.len(), self.ends.len());
        self.ends.trim(offset);
        while self.entries.front().is_some_and(|entry| entry.offset <= offset) {
            self.entries.pop_front();
        }
        let kept = self.entries.len();
        // What a screen kept out is nothing that the lane had.
        if kept < before || self.screen.is_none() {
            self.since = self.since.max(offset);
        }
        if kept < self.entries.capacity() / 4 {
            self.entries.shrink_to(kept * 2);
        }
        let ends = ends_before - self.ends.len();
        Holding { entries: before - kept, ends, ..Holding::default() }
    }

    /// Whether it may keep entries out.
    pub(crate) fn is_screened(&self) -> bool {
        self.screen.is_some()
    }

    /// Whether it may hold values back.
    pub(crate) fn is_paced(&self) -> bool {
        self.pacer.is_some()
    }

    /// The screen, if the lane does not show everything of a topic.
    fn screen_of(&self, topic: &Topic) -> Option<&Screen> {
        let screen = self.screen.as_ref()?;
        self.follows.sight().on(topic).map(|_| &**screen)
    }

    fn screen_mut(&mut self, topic: &Topic) -> Option<&mut Screen> {
        let screen = self.screen.as_mut()?;
        self.follows.sight().on(topic).map(|_| &mut **screen)
    }

    /// Notes that a lookup has led here, if the lane does not show everything; returns whether it
    /// does not, and had not been led to by this one.
    pub(crate) fn is_first_screened(&mut self, lookup: u64) -> bool {
        let Some(screen) = &mut self.screen else { return false };
        std::mem::replace(&mut screen.last_lookup, lookup) != lookup
    }

    /// Notes that the lane is named for the lookup of an entry; returns whether that is the first
    /// time since the lookup that came `before` a batch.
    pub(crate) fn name_once(&mut self, lookup: u64, before: u64) -> bool {
        let Some(screen) = &mut self.screen else { return true };
        std::mem::replace(&mut screen.named_at, lookup) <= before
    }

    pub(crate) fn push_value(&mut self, value: &Arc<Value<P>>, arrival: Arrival) {
        self.values.push_back(Arrived { arrival, value: Arc::clone(value) });
    }

    /// Takes in what of a change may be seen, unless it comes too soon; returns whether it did.
    pub(crate) fn push_restrained(
        &mut self,
        value: &Arc<Value<P>>,
        (mut arrival, arrivals): (Arrival, &mut Arrival),
        now_ms: u64,
    ) -> bool
    where
        P: Payload,
    {
        let mut value = Arc::clone(value);
        if let Some(screen) = &mut self.screen
            && let Some(scope) = self.follows.sight().on(&value.topic)
        {
            let Some(seen) = screen.let_in(&value, scope) else { return false };
            if !Arc::ptr_eq(&seen, &value) {
                // An arrival names one thing, and by that others tell what has been made of it.
                arrival = arrivals.advance();
            }
            value = seen;
        }
        if let Some(pacer) = &mut self.pacer
            && let Some(rate) = self.follows.max_rate(&value.topic)
            && !pacer.admit(&value, rate, now_ms)
        {
            return false;
        }
        self.note_height(arrival, value.version);
        self.values.push_back(Arrived { arrival, value });
        true
    }

    /// Something comes in: with rates it may be older than what came before.
    fn note_height(&mut self, arrival: Arrival, version: Version) {
        if self.pacer.is_some() {
            self.heights.note(arrival, version);
        }
    }

    /// Takes in what came too soon and is due by now; returns whether there was any.
    pub(crate) fn release(&mut self, now_ms: u64, arrivals: &mut Arrival) -> bool {
        let Some(pacer) = &mut self.pacer else { return false };
        let released = pacer.release(now_ms);
        self.let_in(released, arrivals)
    }

    /// A topic ends with an entry: what was held back of it comes in, and all that has come does so
    /// before that.
    pub(crate) fn end(&mut self, entry: &Entry<P>, arrivals: &mut Arrival)
    where
        P: Payload,
    {
        if let Some(pacer) = &mut self.pacer {
            let released = pacer.release_of(&entry.topic);
            self.let_in(released, arrivals);
        }
        if self.shows(entry) {
            self.ends.note(entry.offset, *arrivals);
        }
    }

    /// Takes in what was held back; returns whether there was any.
    fn let_in(&mut self, released: Vec<Held<P>>, arrivals: &mut Arrival) -> bool {
        // What was held for a newcomer alone is here already: now it comes once more, for all.
        let repeated = released.iter().filter(|held| held.shown == held.value.version);
        let mut repeated: Vec<Version> = repeated.map(|held| held.shown).collect();
        if !repeated.is_empty() {
            repeated.sort_unstable();
            self.values.retain(|arrived| repeated.binary_search(&arrived.value.version).is_err());
        }
        let before = self.values.len();
        for Held { value, .. } in released {
            let arrival = arrivals.advance();
            self.note_height(arrival, value.version);
            self.values.push_back(Arrived { arrival, value });
        }
        self.values.len() > before
    }

    /// When there is something to [`release`](Self::release).
    pub(crate) fn next_release(&self) -> Option<u64> {
        self.pacer.as_ref()?.next_release()
    }

    /// Fills a new lane with values in the order of their arrival.
    pub(crate) fn fill(&mut self, values: impl Iterator<Item = Arrived<P>>) {
        debug_assert!(self.values.is_empty(), "a new lane");
        for arrived in values {
            self.note(&arrived.value);
            self.values.push_back(arrived);
        }
        self.note_order();
        self.compact_at = self.values.len() * 2 + STALE_VALUES_SLACK;
    }

    /// Takes note of what was let in elsewhere.
    fn note(&mut self, value: &Value<P>) {
        if let Some(screen) = self.screen_mut(&value.topic) {
            screen.note(value);
        }
    }

    /// Adds values that other lanes have. Each comes once, when it arrived last.
    pub(crate) fn merge(&mut self, values: impl IntoIterator<Item = Arrived<P>>) {
        let mut merged: Vec<_> = std::mem::take(&mut self.values).into();
        for arrived in values {
            self.note(&arrived.value);
            merged.push(arrived);
        }
        merged.sort_unstable_by_key(|arrived| (arrived.value.version, Reverse(arrived.arrival)));
        merged.dedup_by_key(|arrived| arrived.value.version);
        merged.sort_unstable_by_key(|arrived| arrived.arrival);
        self.values = merged.into();
        self.note_order();
        self.compact_at = self.values.len() * 2 + STALE_VALUES_SLACK;
    }

    /// Fills a new lane with the changes that other lanes have, in their own order: nobody has any of
    /// them here.
    pub(crate) fn fill_anew(&mut self, changes: Vec<Arrived<P>>, arrivals: &mut Arrival) {
        let mut changes = changes;
        changes.sort_unstable_by_key(|arrived| arrived.value.version);
        changes.dedup_by_key(|arrived| arrived.value.version);
        let arrive = |Arrived { value, .. }| Arrived { arrival: arrivals.advance(), value };
        let changes: Vec<_> = changes.into_iter().map(arrive).collect();
        self.fill(changes.into_iter());
    }

    /// What came from other lanes may be out of order; what comes from now on is newer than all.
    fn note_order(&mut self) {
        let mut versions = self.values.iter().map(|arrived| arrived.value.version);
        if !versions.by_ref().is_sorted()
            && let Some(newest) = self.values.back()
        {
            self.ordered_after = newest.arrival;
        }
        if let Some(newest) = self.values.back() {
            // A new lane has all values before it is given entries, up to the hub's tail.
            let tail = self.entries.back().map_or(Offset::ZERO, |entry| entry.offset);
            self.ends.blur(tail.max(self.since), newest.arrival);
        }
        self.note_heights();
    }

    /// Takes note of all heights anew.
    fn note_heights(&mut self) {
        let Self { values, heights, ordered_after, .. } = self;
        let (is_paced, ordered_after) = (self.pacer.is_some(), *ordered_after);
        let is_noted = |it: &&Arrived<P>| is_paced || it.arrival <= ordered_after;
        let noted = values.iter().take_while(is_noted);
        *heights = noted.map(|it| (it.arrival, it.value.version)).collect();
    }

    /// The values that are there now, without keys that are gone.
    pub(crate) fn live(&self, as_of: Version) -> impl Iterator<Item = &Arrived<P>> {
        let is_live = move |arrived: &&Arrived<P>| {
            !arrived.value.is_deletion && !self.is_stale(&arrived.value, as_of)
        };
        self.values.iter().filter(is_live)
    }

    /// The same with keys that are gone, as far as they are remembered.
    pub(crate) fn remembered(&self, as_of: Version) -> impl Iterator<Item = &Arrived<P>> {
        self.values.iter().filter(move |arrived| !self.is_stale(&arrived.value, as_of))
    }

    /// Where somebody is who has every change up to a version: it lacks what arrived after this.
    /// Whatever it gets twice because of what is out of order does no harm.
    pub(crate) fn has_upto(&self, version: Version, newest: Arrival) -> Arrival {
        let first = match self.heights.first_above(version) {
            Some(first) => self.values.partition_point(|arrived| arrived.arrival < first),
            None if self.is_paced() => self.values.len(),
            // What is out of order it has, and behind it there is order.
            None => self.values.partition_point(|arrived| arrived.value.version <= version),
        };
        if first == self.values.len() {
            return newest;
        }
        first.checked_sub(1).map_or(Arrival::ZERO, |last| self.values[last].arrival)
    }

    /// The same of somebody who has every change up to an offset, where all that the lane follows is on
    /// the disk. `None` where that would take a look at each.
    pub(crate) fn has_upto_durable(&self, offset: Offset, newest: Arrival) -> Option<Arrival> {
        if self.ordered_after > Arrival::ZERO {
            return None;
        }
        let first = self.values.partition_point(|arrived| arrived.value.durable <= offset);
        if first == self.values.len() {
            return Some(newest);
        }
        Some(first.checked_sub(1).map_or(Arrival::ZERO, |last| self.values[last].arrival))
    }

    /// What somebody who has everything up to an arrival, and began with a snapshot of what had
    /// arrived then, has of all changes; `as_of` is the newest that was pushed. `None` where that is
    /// nothing that can be said.
    pub(crate) fn claim(
        &self,
        (arrival, snapshot): (Arrival, Arrival),
        as_of: Progress,
    ) -> Option<(Progress, Progress)> {
        if self.is_screened() {
            return None;
        }
        if self.values.back().is_none_or(|newest| newest.arrival <= arrival) {
            let oldest_held = self.pacer.as_ref().and_then(|pacer| pacer.before_held());
            let reach = oldest_held.unwrap_or(as_of);
            return Some((reach, reach));
        }
        if self.pacer.is_some() || arrival < self.ordered_after {
            return None;
        }
        let upto =
            |arrival: Arrival| self.values.partition_point(|arrived| arrived.arrival <= arrival);
        let reach = self.values[upto(arrival)].value.before();
        if arrival >= snapshot {
            return Some((reach, reach));
        }
        let last = upto(snapshot).checked_sub(1).map(|last| self.values[last].value.reach());
        Some((reach, last.map_or(reach, |last| last.max(reach))))
    }

    /// Values that are held back.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held<P>> {
        self.pacer.iter().flat_map(|pacer| pacer.held())
    }

    /// Takes in what other lanes held back, for a subscriber that comes from there.
    pub(crate) fn hold(&mut self, held: Vec<Held<P>>, arrivals: &mut Arrival, now_ms: u64) {
        let mut arrived = Vec::new();
        for held in held {
            self.note(&held.value);
            let rate = self.follows.max_rate(&held.value.topic);
            if let (Some(pacer), Some(rate)) = (&mut self.pacer, rate) {
                pacer.hold(held, rate, now_ms);
            } else {
                arrived.push(Arrived { arrival: arrivals.advance(), value: held.value });
            }
        }
        if !arrived.is_empty() {
            self.merge(arrived);
        }
    }

    /// Whether a change of this value's key is held back.
    pub(crate) fn holds(&self, value: &Value<P>) -> bool {
        self.pacer.as_ref().is_some_and(|pacer| pacer.holds(value))
    }

    /// Whether the newest change of this value's key is here to be seen.
    pub(crate) fn shows_newest_of(&self, value: &Value<P>) -> bool {
        self.follows.filters().matches(&value.topic) && !self.holds(value)
    }

    /// Whether nobody has a use for a value: a newer one of its key is shown. `as_of` is the newest
    /// change that was pushed to the hub.
    pub(crate) fn is_stale(&self, value: &Value<P>, as_of: Version) -> bool {
        let is_shown = || self.pacer.as_ref().is_some_and(|pacer| pacer.shows(value));
        self.is_superseded(value, as_of) && !is_shown()
    }

    /// Whether a newer value of the key has come into the lane, be it held back.
    pub(crate) fn is_superseded(&self, value: &Value<P>, as_of: Version) -> bool {
        match self.screen_of(&value.topic) {
            Some(screen) => screen.is_stale(value),
            None => value.is_stale(as_of),
        }
    }

    pub(crate) fn wants_compaction(&self) -> bool {
        self.values.len() >= self.compact_at
    }

    /// Drops what no subscriber needs any more: stale values, and deletions up to `seen`, which none
    /// of them has any use for, once the table remembers them no more. `as_of` is the newest change
    /// that was pushed. Returns for how many deletions somebody has yet to come.
    pub(crate) fn compact(&mut self, seen: Arrival, as_of: Version) -> usize {
        let mut values = std::mem::take(&mut self.values);
        let mut waiting = 0;
        values.retain(|Arrived { arrival, value }| {
            if self.is_stale(value, as_of) {
                return false;
            }
            if !value.is_deletion {
                return true;
            }
            if *arrival > seen {
                waiting += 1;
                return true;
            }
            if let Some(screen) = self.screen_mut(&value.topic) {
                screen.forget(value);
                return false;
            }
            if value.is_forgotten() || self.screen.is_some() {
                self.horizon = self.horizon.max(value.horizon());
                return false;
            }
            true
        });
        self.values = values;
        self.compact_at = self.values.len() * 2 + STALE_VALUES_SLACK;
        if self.heights.len() > 0 {
            self.note_heights();
        }
        waiting
    }
}
