//! The topics that a journal has or had events of: their ids, figures, and what was removed.

use std::collections::BTreeMap;
use std::ops::Bound;

use bellwire_model::limits::TOPICS_RESERVED;
use bellwire_model::{FilterSet, Offset, Topic};
use rustc_hash::FxHashMap;

use crate::retention::RuleIndex;
use crate::{Append, TopicFigures};

/// Stands for a topic within one journal: small, and faster to compare than the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TopicId(pub(crate) u32);

/// What a journal knows of one topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicState {
    /// The name.
    pub(crate) topic: Topic,
    /// The retention rule that holds for it.
    pub(crate) rule: Option<RuleIndex>,
    /// Events kept.
    pub(crate) events: u64,
    /// Bytes kept.
    pub(crate) bytes: u64,
    /// The newest event, kept or not.
    pub(crate) last: Offset,
    /// The newest event that was removed.
    pub(crate) trimmed: Offset,
}

impl TopicState {
    /// A topic without events.
    pub(crate) fn new(topic: Topic, rule: Option<RuleIndex>) -> Self {
        Self { topic, rule, events: 0, bytes: 0, last: Offset::ZERO, trimmed: Offset::ZERO }
    }
}

/// Whether there is room for a batch that brings so many new topics to those that there are, where
/// clients may begin topics until there are so many. The server's own have room when clients have
/// used up theirs; what brings no new one always has.
pub(crate) fn has_room(batch: &[Append], (new, known): (usize, usize), of_clients: usize) -> bool {
    let topics = || batch.iter().map(|append| &append.event.topic);
    if new == 0 || topics().all(Topic::always_has_room) {
        return true;
    }
    let reserved = if topics().all(Topic::is_reserved) { TOPICS_RESERVED } else { 0 };
    known + new <= of_clients + reserved
}

/// What was removed of one topic in one step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Removed {
    /// Events removed.
    pub(crate) events: u64,
    /// Bytes removed.
    pub(crate) bytes: u64,
    /// The newest of them.
    pub(crate) newest: Offset,
}

impl Removed {
    /// One more event goes.
    pub(crate) fn add(&mut self, offset: Offset, bytes: u64) {
        self.events += 1;
        self.bytes += bytes;
        self.newest = self.newest.max(offset);
    }

    /// Events that are lost were counted in and are not there.
    pub(crate) fn add_lost(&mut self, events: u64, bytes: u64) {
        self.events += events;
        self.bytes += bytes;
    }
}

/// All topics of a journal.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    ids: FxHashMap<Topic, TopicId>,
    /// The same, sorted, for listings.
    names: BTreeMap<Topic, TopicId>,
    states: FxHashMap<TopicId, TopicState>,
    /// Topics by the newest event removed: an offset belongs to one topic only.
    by_trimmed: BTreeMap<Offset, TopicId>,
    /// The newest event of any topic that was forgotten.
    forgotten: Offset,
    /// Above every id in use.
    next: u32,
}

impl Topics {
    /// No topics; those forgotten earlier had events up to `forgotten`.
    pub(crate) fn new(forgotten: Offset) -> Self {
        Self { forgotten, ..Self::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// The id that the next new topic gets.
    pub(crate) fn next_id(&self) -> TopicId {
        TopicId(self.next)
    }

    /// The id of `topic`.
    pub(crate) fn id(&self, topic: &Topic) -> Option<TopicId> {
        self.ids.get(topic).copied()
    }

    /// How many events of `batch` are of topics that are not known yet.
    pub(crate) fn count_unknown(&self, batch: &[Append]) -> usize {
        batch.iter().filter(|append| self.id(&append.event.topic).is_none()).count()
    }

    /// What is known of `id`.
    pub(crate) fn get(&self, id: TopicId) -> Option<&TopicState> {
        self.states.get(&id)
    }

    /// Takes a topic in.
    pub(crate) fn insert(&mut self, id: TopicId, state: TopicState) {
        self.next = self.next.max(id.0 + 1);
        self.ids.insert(state.topic.clone(), id);
        self.names.insert(state.topic.clone(), id);
        if state.trimmed > Offset::ZERO {
            self.by_trimmed.insert(state.trimmed, id);
        }
        self.states.insert(id, state);
    }

    /// Counts `events` of `bytes` in, the newest at `last`. Returns the rule that holds for them.
    pub(crate) fn add(
        &mut self,
        id: TopicId,
        events: u64,
        bytes: u64,
        last: Offset,
    ) -> Option<RuleIndex> {
        let state = self.state_mut(id);
        state.events += events;
        state.bytes += bytes;
        state.last = state.last.max(last);
        state.rule
    }

    /// Counts removed events out.
    pub(crate) fn remove(&mut self, id: TopicId, removed: Removed) {
        let state = self.state_mut(id);
        // A damaged event may have more bytes than were counted in.
        state.events = state.events.saturating_sub(removed.events);
        state.bytes = state.bytes.saturating_sub(removed.bytes);
        if removed.newest > state.trimmed {
            let before = std::mem::replace(&mut state.trimmed, removed.newest);
            self.by_trimmed.remove(&before);
            self.by_trimmed.insert(removed.newest, id);
        }
    }

    fn state_mut(&mut self, id: TopicId) -> &mut TopicState {
        self.states.get_mut(&id).expect("a topic is taken in before its first event")
    }

    /// The newest removed event of any topic.
    pub(crate) fn trimmed_any(&self) -> Offset {
        let newest = self.by_trimmed.last_key_value();
        newest.map_or(Offset::ZERO, |(offset, _)| *offset).max(self.forgotten)
    }

    /// The newest removed event of the topics that match `filters`.
    pub(crate) fn trimmed(&self, filters: &FilterSet) -> Offset {
        let found = if filters.iter().all(bellwire_model::Filter::is_exact) {
            self.trimmed_exact(filters)
        } else {
            let matching = |id: &TopicId| filters.matches(&self.states[id].topic);
            self.by_trimmed.iter().rev().find(|(_, id)| matching(id)).map(|(offset, _)| *offset)
        };
        // Nobody knows any more which filters the forgotten topics would match.
        found.unwrap_or(Offset::ZERO).max(self.forgotten)
    }

    fn trimmed_exact(&self, filters: &FilterSet) -> Option<Offset> {
        let topics = filters.iter().filter_map(|filter| filter.as_str().parse::<Topic>().ok());
        topics.filter_map(|topic| self.id(&topic)).map(|id| self.states[&id].trimmed).max()
    }

    /// The newest removed event of the topics that were forgotten.
    pub(crate) fn forgotten(&self) -> Offset {
        self.forgotten
    }

    /// Figures of up to `limit` topics that begin with `prefix` and come after `after`, sorted by
    /// name.
    pub(crate) fn figures(&self, (prefix, after): (&str, &str), limit: usize) -> Vec<TopicFigures> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let names = self.names.range::<str, _>((from, Bound::Unbounded));
        names
            .take_while(|(topic, _)| topic.as_str().starts_with(prefix))
            .take(limit)
            .map(|(topic, id)| {
                let TopicState { events, bytes, last, .. } = self.states[id];
                TopicFigures { topic: topic.clone(), events, bytes, last }
            })
            .collect()
    }

    /// Up to `count_max` topics without events, those first that lost their last one longest ago.
    pub(crate) fn emptied(&self, count_max: usize) -> Vec<(TopicId, Offset)> {
        self.by_trimmed
            .iter()
            .filter(|(_, id)| self.states[id].events == 0)
            .take(count_max)
            .map(|(trimmed, id)| (*id, *trimmed))
            .collect()
    }

    /// Forgets topics, so that short-lived names do not fill the journal for ever. From then on
    /// [`Topics::trimmed`] is at least what was removed of them, whatever the filters.
    pub(crate) fn forget(&mut self, emptied: &[(TopicId, Offset)]) {
        for (id, trimmed) in emptied {
            self.by_trimmed.remove(trimmed);
            self.forgotten = self.forgotten.max(*trimmed);
            if let Some(state) = self.states.remove(id) {
                self.ids.remove(&state.topic);
                self.names.remove(&state.topic);
            }
        }
    }
}
