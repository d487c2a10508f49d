//! All lanes of a hub, and what they hold together.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bellwire_model::{EffectiveFilter, Filter, NameHasher, Offset, Topic};
use slab::Slab;

use crate::entry::{Arrival, Entry, Payload, Value};
use crate::lane::{Holding, Lane, LaneId};
use crate::routes::Routes;

/// All lanes, and which of them a topic reaches.
#[derive(Debug)]
pub(crate) struct Lanes<P> {
    slab: Slab<Lane<P>>,
    by_filter: HashMap<EffectiveFilter, LaneId, NameHasher>,
    routes: Routes,
    /// When a lane lets in what it holds back.
    releases: BTreeSet<(u64, LaneId)>,
    /// What all of them hold.
    holding: Holding,
    /// Bytes of what all of them follow.
    filter_bytes: usize,
    /// Counts the topics that were looked up.
    lookups: u64,
    /// The lookups before the batch that is being pushed.
    before_batch: u64,
    hasher: NameHasher,
}

impl<P> Lanes<P> {
    /// No lanes. The hasher's secret keeps strangers from choosing names that collide.
    pub(crate) fn new(hasher: NameHasher) -> Self {
        Self {
            slab: Slab::new(),
            by_filter: HashMap::with_hasher(hasher),
            routes: Routes::new(hasher),
            releases: BTreeSet::new(),
            holding: Holding::default(),
            filter_bytes: 0,
            lookups: 0,
            before_batch: 0,
            hasher,
        }
    }

    /// A batch begins: a lane is named once, however much of it reaches the lane.
    pub(crate) fn begin_batch(&mut self) {
        self.before_batch = self.lookups;
    }

    pub(crate) fn get(&self, id: LaneId) -> &Lane<P> {
        &self.slab[id.index()]
    }

    /// A lane, to change what it does not hold.
    pub(crate) fn get_mut(&mut self, id: LaneId) -> &mut Lane<P> {
        &mut self.slab[id.index()]
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// What all lanes hold.
    pub(crate) fn holding(&self) -> Holding {
        self.holding
    }

    /// Bytes that lanes take with what they hold.
    pub(crate) fn size_bytes(&self) -> usize {
        let lanes = self.slab.len() * size_of::<Lane<P>>() + self.filter_bytes;
        lanes + self.routes.size_bytes() + self.holding.size_bytes::<P>()
    }

    pub(crate) fn find(&self, follows: &EffectiveFilter) -> Option<LaneId> {
        self.by_filter.get(follows).copied()
    }

    /// A lane that may have ended.
    pub(crate) fn get_if_any(&self, id: LaneId) -> Option<&Lane<P>> {
        self.slab.get(id.index())
    }

    /// A new lane that has no entries up to `tail`, and no values.
    pub(crate) fn create(&mut self, follows: EffectiveFilter, tail: Offset) -> LaneId {
        let lane = Lane::new(follows.clone(), tail, self.hasher);
        let id = LaneId(self.slab.insert(lane) as u32);
        self.routes.insert(id, follows.filters());
        self.filter_bytes += filter_bytes(&follows);
        self.by_filter.insert(follows, id);
        id
    }

    pub(crate) fn remove(&mut self, id: LaneId) {
        let lane = self.slab.remove(id.index());
        self.by_filter.remove(&lane.follows);
        self.routes.remove(id);
        self.filter_bytes -= filter_bytes(&lane.follows);
        self.holding -= lane.holding();
        if let Some(at_ms) = lane.next_release() {
            self.releases.remove(&(at_ms, id));
        }
    }

    /// When [`release`](Self::release) has something to do.
    pub(crate) fn next_release(&self) -> Option<u64> {
        self.releases.first().map(|(at_ms, _)| *at_ms)
    }

    /// Lets in what lanes have held back until now, and names these lanes.
    pub(crate) fn release(
        &mut self,
        now_ms: u64,
        arrivals: &mut Arrival,
        touched: &mut Vec<LaneId>,
    ) {
        while let Some((at_ms, id)) = self.releases.first().copied()
            && at_ms <= now_ms
        {
            if self.change(id, |lane| lane.release(now_ms, arrivals)) {
                touched.push(id);
            }
        }
    }

    /// Does something to a lane, after which it may hold more or less, and may have to be looked
    /// after at another time.
    pub(crate) fn change<T>(&mut self, id: LaneId, act: impl FnOnce(&mut Lane<P>) -> T) -> T {
        let lane = &mut self.slab[id.index()];
        let before = (lane.next_release(), lane.holding());
        let result = act(lane);
        let after = (lane.next_release(), lane.holding());
        self.holding -= before.1;
        self.holding += after.1;
        if before.0 != after.0 {
            before.0.map(|at_ms| self.releases.remove(&(at_ms, id)));
            after.0.map(|at_ms| self.releases.insert((at_ms, id)));
        }
        result
    }

    /// Takes in an entry, and names the lanes that it reaches.
    pub(crate) fn push(&mut self, entry: &Arc<Entry<P>>, touched: &mut Vec<LaneId>)
    where
        P: Payload,
    {
        let (before_batch, mut reached) = (self.before_batch, 0);
        let mut screened = Vec::new();
        self.for_each_reached(&entry.topic, |id, lane, last_lookup| {
            if lane.is_screened() {
                set_apart(&mut screened, id);
                return;
            }
            lane.push(Arc::clone(entry));
            reached += 1;
            // Whatever else of the batch has reached it has named it.
            if last_lookup <= before_batch {
                touched.push(id);
            }
        });
        self.holding.entries += reached;
        if !screened.is_empty() {
            self.push_screened(&screened, entry, touched);
        }
    }

    /// [`push`](Self::push) to lanes that do not show everything.
    #[inline(never)]
    fn push_screened(
        &mut self,
        screened: &[LaneId],
        entry: &Arc<Entry<P>>,
        touched: &mut Vec<LaneId>,
    ) where
        P: Payload,
    {
        for id in screened {
            let lane = &mut self.slab[id.index()];
            if lane.shows(entry) {
                lane.push(Arc::clone(entry));
                self.holding.entries += 1;
                // What was kept out has looked it up, and not named it.
                if lane.name_once(self.lookups, self.before_batch) {
                    touched.push(*id);
                }
            }
        }
    }

    /// Lets go of an entry, the oldest that there is.
    pub(crate) fn trim(&mut self, entry: &Entry<P>) {
        let Self { slab, routes, holding, .. } = self;
        // Once more for another of a lane's filters does nothing.
        routes.for_each(&entry.topic, |id| {
            holding.entries -= slab[id.index()].trim(entry.offset);
            true
        });
    }

    /// Takes in a change of a state topic, and names the lanes in which it is to be seen; those that
    /// have rates or a screen perhaps once more.
    pub(crate) fn push_value(
        &mut self,
        value: &Arc<Value<P>>,
        (arrivals, now_ms): (&mut Arrival, u64),
        touched: &mut Vec<LaneId>,
    ) where
        P: Payload,
    {
        let arrival = arrivals.advance();
        let (before_batch, mut reached) = (self.before_batch, 0);
        let mut restrained = Vec::new();
        self.for_each_reached(&value.topic, |id, lane, last_lookup| {
            if lane.is_restrained() {
                set_apart(&mut restrained, id);
                return;
            }
            lane.push_value(value, arrival);
            reached += 1;
            if last_lookup <= before_batch {
                touched.push(id);
            }
        });
        self.holding.values += reached;
        for id in restrained {
            if self.change(id, |lane| lane.push_restrained(value, (arrival, arrivals), now_ms)) {
                touched.push(id);
            }
        }
    }

    /// Calls `visit` with each lane that `topic` reaches, once, and with the lookup that had led
    /// there last.
    #[inline]
    fn for_each_reached(
        &mut self,
        topic: &Topic,
        mut visit: impl FnMut(LaneId, &mut Lane<P>, u64),
    ) {
        self.lookups += 1;
        let Self { slab, routes, lookups, .. } = self;
        routes.for_each(topic, |id| {
            let lane = &mut slab[id.index()];
            let last_lookup = std::mem::replace(&mut lane.last_lookup, *lookups);
            // Another of its filters may have led here.
            let is_first = last_lookup != *lookups;
            if is_first {
                visit(id, lane, last_lookup);
            }
            is_first
        });
    }
}

/// Notes a lane that does not take everything. Out of line: what most lanes take is to stay small
/// enough to be a part of the lookup.
#[cold]
#[inline(never)]
fn set_apart(lanes: &mut Vec<LaneId>, id: LaneId) {
    lanes.push(id);
}

/// Bytes of filters: their texts, and the pointers to them.
fn filter_bytes(follows: &EffectiveFilter) -> usize {
    let filters = follows.filters().iter();
    filters.map(|filter| size_of::<Filter>() + filter.as_str().len()).sum()
}
