//! Lanes: one per distinct filter, shared by all connections that follow it.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_model::{FilterSet, Offset, Topic, Version};
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::entry::{Entry, Value};

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

/// What matches one filter set.
#[derive(Debug)]
pub(crate) struct Lane<P> {
    pub(crate) filters: FilterSet,
    /// Connections that follow it; the last one to leave ends it.
    pub(crate) subscribers: usize,
    /// Every matching entry after `since`, up to the hub's tail.
    pub(crate) entries: VecDeque<Arc<Entry<P>>>,
    pub(crate) since: Offset,
    /// Every matching change that is not stale, in order, and some that are.
    pub(crate) values: VecDeque<Arc<Value<P>>>,
    /// When `values` is worth compacting.
    compact_at: usize,
}

impl<P> Lane<P> {
    fn new(filters: FilterSet, tail: Offset) -> Self {
        Self {
            filters,
            subscribers: 0,
            entries: VecDeque::new(),
            since: tail,
            values: VecDeque::new(),
            compact_at: STALE_VALUES_SLACK,
        }
    }

    pub(crate) fn push(&mut self, entry: Arc<Entry<P>>) {
        self.entries.push_back(entry);
    }

    /// Puts entries in front that the ring still has; `older` runs from the newest backwards.
    pub(crate) fn extend_back<'a>(
        &mut self,
        since: Offset,
        older: impl Iterator<Item = &'a Arc<Entry<P>>>,
    ) where
        P: 'a,
    {
        for entry in older {
            if self.filters.matches(&entry.topic) {
                self.entries.push_front(Arc::clone(entry));
            }
        }
        self.since = since;
    }

    /// The ring let go of everything up to `offset`.
    pub(crate) fn trim(&mut self, offset: Offset) {
        while self.entries.front().is_some_and(|entry| entry.offset <= offset) {
            self.entries.pop_front();
        }
        self.since = self.since.max(offset);
    }

    pub(crate) fn push_value(&mut self, value: &Arc<Value<P>>) {
        self.values.push_back(Arc::clone(value));
    }

    /// Adds changes that a snapshot or another lane has. What is here already comes once.
    pub(crate) fn merge(&mut self, values: impl IntoIterator<Item = Arc<Value<P>>>) {
        let mut merged: Vec<_> = std::mem::take(&mut self.values).into();
        merged.extend(values);
        merged.sort_unstable_by_key(|value| value.version);
        merged.dedup_by_key(|value| value.version);
        self.values = merged.into();
        self.compact_at = self.values.len() * 2 + STALE_VALUES_SLACK;
    }

    pub(crate) fn wants_compaction(&self) -> bool {
        self.values.len() >= self.compact_at
    }

    /// Drops what no subscriber needs any more: stale values, and deletions up to `seen`, the
    /// oldest version that all of them have. `as_of` is the newest change pushed.
    /// Returns how many deletions remain.
    pub(crate) fn compact(&mut self, seen: Version, as_of: Version) -> usize {
        let is_spent =
            |value: &Value<P>| value.is_stale(as_of) || value.is_deletion && value.version <= seen;
        self.values.retain(|value| !is_spent(value));
        self.compact_at = self.values.len() * 2 + STALE_VALUES_SLACK;
        self.values.iter().filter(|value| value.is_deletion).count()
    }
}

/// All lanes, and which of them a topic reaches.
#[derive(Debug)]
pub(crate) struct Lanes<P> {
    slab: Slab<Lane<P>>,
    by_filters: FxHashMap<FilterSet, LaneId>,
    /// Lanes that name a topic.
    exact: FxHashMap<Box<str>, Vec<LaneId>>,
    /// Lanes with a wildcard; few, since equal filters share one.
    patterns: Vec<LaneId>,
    /// Which of `patterns` a topic reaches; emptied when they change.
    reached: FxHashMap<Topic, Arc<[LaneId]>>,
}

/// Topics in the memory of pattern matches; beyond it the memory starts anew.
const REACHED_TOPICS_MAX: usize = 65_536;

impl<P> Lanes<P> {
    pub(crate) fn new() -> Self {
        Self {
            slab: Slab::new(),
            by_filters: FxHashMap::default(),
            exact: FxHashMap::default(),
            patterns: Vec::new(),
            reached: FxHashMap::default(),
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

    pub(crate) fn find(&self, filters: &FilterSet) -> Option<LaneId> {
        self.by_filters.get(filters).copied()
    }

    /// A new lane that has no entries up to `tail`, and `values`.
    pub(crate) fn create(
        &mut self,
        filters: FilterSet,
        (tail, values): (Offset, Vec<Arc<Value<P>>>),
    ) -> LaneId {
        let mut lane = Lane::new(filters.clone(), tail);
        lane.merge(values);
        let id = LaneId(self.slab.insert(lane) as u32);
        for filter in filters.iter().filter(|filter| filter.is_exact()) {
            self.exact.entry(filter.as_str().into()).or_default().push(id);
        }
        if filters.iter().any(|filter| !filter.is_exact()) {
            self.patterns.push(id);
            self.reached.clear();
        }
        self.by_filters.insert(filters, id);
        id
    }

    pub(crate) fn remove(&mut self, id: LaneId) {
        let lane = self.slab.remove(id.index());
        self.by_filters.remove(&lane.filters);
        for filter in lane.filters.iter().filter(|filter| filter.is_exact()) {
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
            let filters = &self.slab[id.index()].filters;
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
