//! All lanes of a hub, and which of them a topic reaches.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwire_model::{EffectiveFilter, Offset, Topic};
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::entry::Arrival;
use crate::lane::{Arrived, Lane, LaneId};

/// All lanes, and which of them a topic reaches.
#[derive(Debug)]
pub(crate) struct Lanes<P> {
    slab: Slab<Lane<P>>,
    by_filter: FxHashMap<EffectiveFilter, LaneId>,
    /// Lanes that name a topic.
    exact: FxHashMap<Box<str>, Vec<LaneId>>,
    /// Lanes with a wildcard; few, since equal filters share one.
    patterns: Vec<LaneId>,
    /// Which of `patterns` a topic reaches; emptied when they change.
    reached: FxHashMap<Topic, Arc<[LaneId]>>,
    /// When a lane lets in what it holds back.
    releases: BTreeSet<(u64, LaneId)>,
}

/// Topics in the memory of pattern matches; beyond it the memory starts anew.
const REACHED_TOPICS_MAX: usize = 65_536;

impl<P> Lanes<P> {
    pub(crate) fn new() -> Self {
        Self {
            slab: Slab::new(),
            by_filter: FxHashMap::default(),
            exact: FxHashMap::default(),
            patterns: Vec::new(),
            reached: FxHashMap::default(),
            releases: BTreeSet::new(),
        }
    }

    pub(crate) fn get(&self, id: LaneId) -> &Lane<P> {
        &self.slab[id.index()]
    }

    pub(crate) fn get_mut(&mut self, id: LaneId) -> &mut Lane<P> {
        &mut self.slab[id.index()]
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn find(&self, follows: &EffectiveFilter) -> Option<LaneId> {
        self.by_filter.get(follows).copied()
    }

    /// A new lane that has no entries up to `tail`, and `values`.
    pub(crate) fn create(
        &mut self,
        follows: EffectiveFilter,
        (tail, values): (Offset, Vec<Arrived<P>>),
    ) -> LaneId {
        let mut lane = Lane::new(follows.clone(), tail);
        lane.merge(values);
        let id = LaneId(self.slab.insert(lane) as u32);
        let filters = follows.filters();
        for filter in filters.iter().filter(|filter| filter.is_exact()) {
            self.exact.entry(filter.as_str().into()).or_default().push(id);
        }
        if filters.iter().any(|filter| !filter.is_exact()) {
            self.patterns.push(id);
            self.reached.clear();
        }
        self.by_filter.insert(follows, id);
        id
    }

    pub(crate) fn remove(&mut self, id: LaneId) {
        let lane = self.slab.remove(id.index());
        self.by_filter.remove(&lane.follows);
        if let Some(at_ms) = lane.next_release() {
            self.releases.remove(&(at_ms, id));
        }
        for filter in lane.follows.filters().iter().filter(|filter| filter.is_exact()) {
            if let Some(ids) = self.exact.get_mut(filter.as_str()) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.exact.remove(filter.as_str());
                }
            }
        }
        let before = self.patterns.len();
        self.patterns.retain(|other| *other != id);
        if self.patterns.len() != before {
            self.reached.clear();
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
            if self.pacing(id, |lane| lane.release(now_ms, arrivals)) {
                touched.push(id);
            }
        }
    }

    /// Does something to a lane after which it may have to be looked after at another time.
    pub(crate) fn pacing<T>(&mut self, id: LaneId, act: impl FnOnce(&mut Lane<P>) -> T) -> T {
        let lane = &mut self.slab[id.index()];
        let before = lane.next_release();
        let result = act(lane);
        let after = lane.next_release();
        if before != after {
            before.map(|at_ms| self.releases.remove(&(at_ms, id)));
            after.map(|at_ms| self.releases.insert((at_ms, id)));
        }
        result
    }

    /// Calls `visit` with each lane that `topic` reaches, once.
    pub(crate) fn for_each_reached(
        &mut self,
        topic: &Topic,
        mut visit: impl FnMut(LaneId, &mut Lane<P>),
    ) {
        // A lane with both kinds of filter names topics that its patterns do not cover (filter
        // sets are canonical), so no lane is in both lists for one topic.
        if let Some(ids) = self.exact.get(topic.as_str()) {
            for id in ids {
                visit(*id, &mut self.slab[id.index()]);
            }
        }
        if self.patterns.is_empty() {
            return;
        }
        let by_pattern = match self.reached.get(topic) {
            Some(ids) => Arc::clone(ids),
            None => self.match_patterns(topic),
        };
        for id in by_pattern.iter() {
            visit(*id, &mut self.slab[id.index()]);
        }
    }

    fn match_patterns(&mut self, topic: &Topic) -> Arc<[LaneId]> {
        let passes = |id: &LaneId| {
            let filters = self.slab[id.index()].follows.filters();
            filters.iter().any(|filter| !filter.is_exact() && filter.matches(topic))
        };
        let ids: Arc<[LaneId]> = self.patterns.iter().copied().filter(|id| passes(id)).collect();
        if self.reached.len() >= REACHED_TOPICS_MAX {
            self.reached.clear();
        }
        self.reached.insert(topic.clone(), Arc::clone(&ids));
        ids
    }
}
