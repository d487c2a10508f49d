//! All lanes of a hub, and what they hold together.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bellwire_model::{EffectiveFilter, Filter, NameHasher, Offset};
use slab::Slab;

use crate::entry::{Arrival, Entry, Payload, Value};
use crate::lane::{Holding, Lane, LaneId};
use crate::routes::{Routes, Unknown};
use crate::scopes::Scopes;

/// All lanes, and which of them a topic reaches.
#[derive(Debug)]
pub(crate) struct Lanes<P> {
    shelf: Shelf<P>,
    by_filter: HashMap<EffectiveFilter, LaneId, NameHasher>,
    routes: Routes,
    /// When a lane lets in what it holds back.
    releases: BTreeSet<(u64, LaneId)>,
    /// Bytes of what all of them follow.
    filter_bytes: usize,
    /// What may be seen through them.
    scopes: Scopes,
    hasher: NameHasher,
}

/// The lanes, and what changes as something reaches them.
#[derive(Debug)]
struct Shelf<P> {
    slab: Slab<Lane<P>>,
    /// What all of them hold.
    holding: Holding,
    /// Counts the topics that were looked up.
    lookups: u64,
    /// The lookups before the batch that is being pushed.
    before_batch: u64,
    /// Lanes that a lookup has led to and that do not take everything; empty between lookups.
    apart: Vec<LaneId>,
}

impl<P> Lanes<P> {
    /// No lanes. The hasher's secret keeps strangers from choosing names that collide.
    pub(crate) fn new(hasher: NameHasher) -> Self {
        Self {
            shelf: Shelf::new(),
            by_filter: HashMap::with_hasher(hasher),
            routes: Routes::new(hasher),
            releases: BTreeSet::new(),
            filter_bytes: 0,
            scopes: Scopes::default(),
            hasher,
        }
    }

    /// A batch begins: a lane is named once, however much of it reaches the lane.
    pub(crate) fn begin_batch(&mut self) {
        self.shelf.before_batch = self.shelf.lookups;
    }

    pub(crate) fn get(&self, id: LaneId) -> &Lane<P> {
        &self.shelf.slab[id.index()]
    }

    /// A lane, to change what it does not hold.
    pub(crate) fn get_mut(&mut self, id: LaneId) -> &mut Lane<P> {
        &mut self.shelf.slab[id.index()]
    }

    pub(crate) fn len(&self) -> usize {
        self.shelf.slab.len()
    }

    /// What all lanes hold.
    pub(crate) fn holding(&self) -> Holding {
        self.shelf.holding
    }

    /// Bytes that lanes take with what they hold.
    pub(crate) fn size_bytes(&self) -> usize {
        let lanes = self.shelf.slab.len() * size_of::<Lane<P>>() + self.filter_bytes;
        let scopes = self.scopes.size_bytes();
        lanes + scopes + self.routes.size_bytes() + self.shelf.holding.size_bytes::<P>()
    }

    pub(crate) fn find(&self, follows: &EffectiveFilter) -> Option<LaneId> {
        self.by_filter.get(follows).copied()
    }

    /// A lane that may have ended.
    pub(crate) fn get_if_any(&self, id: LaneId) -> Option<&Lane<P>> {
        self.shelf.slab.get(id.index())
    }

    /// A new lane that has no entries up to `tail`, and no values.
    pub(crate) fn create(&mut self, follows: EffectiveFilter, tail: Offset) -> LaneId {
        let lane = Lane::new(follows.clone(), tail, self.hasher);
        let id = LaneId(self.shelf.slab.insert(lane) as u32);
        self.routes.insert(id, follows.filters());
        self.filter_bytes += filter_bytes(&follows);
        self.scopes.add(&follows);
        self.by_filter.insert(follows, id);
        id
    }

    pub(crate) fn remove(&mut self, id: LaneId) {
        let lane = self.shelf.slab.remove(id.index());
        self.by_filter.remove(&lane.follows);
        self.routes.remove(id);
        self.filter_bytes -= filter_bytes(&lane.follows);
        self.scopes.remove(&lane.follows);
        self.shelf.holding -= lane.holding();
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
        let lane = &mut self.shelf.slab[id.index()];
        let before = (lane.next_release(), lane.holding());
        let result = act(lane);
        let after = (lane.next_release(), lane.holding());
        self.shelf.holding -= before.1;
        self.shelf.holding += after.1;
        if before.0 != after.0 {
            before.0.map(|at_ms| self.releases.remove(&(at_ms, id)));
            after.0.map(|at_ms| self.releases.insert((at_ms, id)));
        }
        result
    }

    /// Takes in an entry, and names the lanes that it reaches.
    #[inline]
    pub(crate) fn push(&mut self, entry: &Arc<Entry<P>>, touched: &mut Vec<LaneId>)
    where
        P: Payload,
    {
        self.shelf.lookups += 1;
        match self.routes.known(&entry.topic) {
            Ok(lanes) => lanes.iter().for_each(|id| _ = self.shelf.push(*id, entry, touched)),
            Err(unknown) => self.push_unknown(unknown, entry, touched),
        }
        if !self.shelf.apart.is_empty() {
            self.push_apart(entry, touched);
        }
    }

    /// A topic ends with an entry, which is pushed next.
    pub(crate) fn end(&mut self, entry: &Entry<P>, arrivals: &mut Arrival)
    where
        P: Payload,
    {
        let mut reached = Vec::new();
        // Whether it is new is told where the entry itself is pushed: here none is remembered.
        self.routes.visit(&entry.topic, |id| reached.push(id));
        // One lane may have it by several filters.
        reached.sort_unstable();
        reached.dedup();
        for id in reached {
            self.change(id, |lane| lane.end(entry, arrivals));
        }
    }

    /// [`push`](Self::push) where it is not remembered whom the topic reaches.
    #[inline]
    fn push_unknown(&mut self, unknown: Unknown, entry: &Arc<Entry<P>>, touched: &mut Vec<LaneId>) {
        let Self { shelf, routes, .. } = self;
        routes.look_up(&entry.topic, unknown, |id| shelf.push(id, entry, touched));
    }

    /// [`push`](Self::push) to lanes that do not show everything.
    #[inline(never)]
    fn push_apart(&mut self, entry: &Arc<Entry<P>>, touched: &mut Vec<LaneId>)
    where
        P: Payload,
    {
        let Shelf { slab, holding, lookups, before_batch, apart } = &mut self.shelf;
        for id in apart.drain(..) {
            let lane = &mut slab[id.index()];
            if lane.shows(entry) {
                lane.push(Arc::clone(entry));
                holding.entries += 1;
                // What was kept out has looked it up, and not named it.
                if lane.name_once(*lookups, *before_batch) {
                    touched.push(id);
                }
            }
        }
    }

    /// Lets go of an entry, the oldest that there is.
    pub(crate) fn trim(&mut self, entry: &Entry<P>) {
        let Self { shelf: Shelf { slab, holding, .. }, routes, .. } = self;
        // Once more for another of a lane's filters does nothing.
        routes.for_each(&entry.topic, |id| {
            *holding -= slab[id.index()].trim(entry.offset);
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
        self.shelf.lookups += 1;
        let Self { shelf, routes, .. } = self;
        routes.for_each(&value.topic, |id| shelf.push_value(id, (value, arrival), touched));
        if !self.shelf.apart.is_empty() {
            self.push_value_apart(value, (arrival, arrivals, now_ms), touched);
        }
    }

    /// [`push_value`](Self::push_value) to lanes that do not take everything at once.
    #[inline(never)]
    fn push_value_apart(
        &mut self,
        value: &Arc<Value<P>>,
        (arrival, arrivals, now_ms): (Arrival, &mut Arrival, u64),
        touched: &mut Vec<LaneId>,
    ) where
        P: Payload,
    {
        let mut apart = std::mem::take(&mut self.shelf.apart);
        for id in apart.drain(..) {
            if self.change(id, |lane| lane.push_restrained(value, (arrival, arrivals), now_ms)) {
                touched.push(id);
            }
        }
        self.shelf.apart = apart;
    }
}

impl<P> Shelf<P> {
    fn new() -> Self {
        let (slab, holding, apart) = (Slab::new(), Holding::default(), Vec::new());
        Self { slab, holding, lookups: 0, before_batch: 0, apart }
    }

    /// An entry reaches a lane; returns whether this is the first time by this lookup.
    #[inline]
    fn push(&mut self, id: LaneId, entry: &Arc<Entry<P>>, touched: &mut Vec<LaneId>) -> bool {
        let lane = &mut self.slab[id.index()];
        let last_lookup = lane.last_lookup;
        if last_lookup >= self.lookups {
            return self.reach_again(id);
        }
        lane.last_lookup = self.lookups;
        lane.push(Arc::clone(entry));
        self.holding.entries += 1;
        // Whatever else of the batch has reached it has named it.
        if last_lookup <= self.before_batch {
            touched.push(id);
        }
        true
    }

    /// A change of a state topic reaches a lane; returns whether this is the first time by this
    /// lookup.
    #[inline]
    fn push_value(
        &mut self,
        id: LaneId,
        (value, arrival): (&Arc<Value<P>>, Arrival),
        touched: &mut Vec<LaneId>,
    ) -> bool {
        let lane = &mut self.slab[id.index()];
        let last_lookup = lane.last_lookup;
        if last_lookup >= self.lookups {
            return self.reach_again(id);
        }
        lane.last_lookup = self.lookups;
        if lane.is_paced() {
            set_apart(&mut self.apart, id);
            return true;
        }
        lane.push_value(value, arrival);
        self.holding.values += 1;
        if last_lookup <= self.before_batch {
            touched.push(id);
        }
        true
    }

    /// Another of a lane's filters has led there, or the lane does not show everything: then it is
    /// set apart. Returns whether this is the first time by this lookup.
    ///
    /// Out of line, as what follows: what most lanes take is to stay small enough to be a part of
    /// the lookup.
    #[cold]
    #[inline(never)]
    fn reach_again(&mut self, id: LaneId) -> bool {
        let is_first = self.slab[id.index()].is_first_screened(self.lookups);
        if is_first {
            self.apart.push(id);
        }
        is_first
    }
}

/// Notes a lane that does not take everything at once.
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
