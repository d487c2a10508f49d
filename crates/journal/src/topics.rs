//! The topics that a journal has or had events of: their ids, figures, and what was removed.

use std::collections::BTreeMap;
use std::ops::Bound;

use bellwire_model::limits::TOPICS_RESERVED;
use bellwire_model::{FilterSet, Keep, NameMap, Offset, Topic};
use rustc_hash::FxHashMap;

use crate::retention::RuleIndex;
pub(crate) use crate::topic_id::TopicId;
use crate::trims::{Search, Trims};
use crate::{Append, TopicFigures};

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
    let topics =
        || batch.iter().filter(|append| is_of_stream(append)).map(|append| &append.event.topic);
    if new == 0 || topics().all(Topic::always_has_room) {
        return true;
    }
    let reserved = if topics().all(Topic::is_reserved) { TOPICS_RESERVED } else { 0 };
    known + new <= of_clients + reserved
}

/// State topics are counted by those who keep them in memory.
pub(crate) fn is_of_stream(append: &Append) -> bool {
    append.keep == Keep::Every
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

/// What every topic with an event is.
const KNOWN: &str = "a topic is taken in before its first event";

/// All topics of a journal.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    ids: NameMap<Topic, TopicId>,
    /// The same, sorted, for listings.
    names: BTreeMap<Topic, TopicId>,
    states: FxHashMap<TopicId, TopicState>,
    /// What was removed of each.
    trims: Trims,
    /// Topics without events, by the newest one that was removed.
    emptied: BTreeMap<Offset, TopicId>,
    /// Above every id in use.
    next: u32,
}

impl Topics {
    /// No topics; those forgotten earlier had events up to `forgotten`.
    pub(crate) fn new(forgotten: Offset) -> Self {
        Self { trims: Trims::new(forgotten), ..Self::default() }
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

    /// How many events of `batch` are of streams that are not known yet.
    pub(crate) fn count_unknown(&self, batch: &[Append]) -> usize {
        let is_unknown = |append: &&Append| self.id(&append.event.topic).is_none();
        batch.iter().filter(|append| is_of_stream(append)).filter(is_unknown).count()
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
            self.trims.note(id, (Offset::ZERO, state.trimmed));
            self.emptied.insert(state.trimmed, id);
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
        let state = self.states.get_mut(&id).expect(KNOWN);
        if state.events == 0 && events > 0 && state.trimmed > Offset::ZERO {
            self.emptied.remove(&state.trimmed);
        }
        state.events += events;
        state.bytes += bytes;
        state.last = state.last.max(last);
        state.rule
    }

    /// Counts removed events out.
    pub(crate) fn remove(&mut self, id: TopicId, removed: Removed) {
        let state = self.states.get_mut(&id).expect(KNOWN);
        // A damaged event may have more bytes than were counted in.
        state.events = state.events.saturating_sub(removed.events);
        state.bytes = state.bytes.saturating_sub(removed.bytes);
        let before = state.trimmed;
        if removed.newest > before {
            state.trimmed = removed.newest;
            self.trims.note(id, (before, removed.newest));
        }
        if state.events == 0 && state.trimmed > Offset::ZERO {
            self.emptied.insert(state.trimmed, id);
        }
    }

    /// The newest removed event of any topic.
    pub(crate) fn trimmed_any(&self) -> Offset {
        self.trims.newest()
    }

    /// The newest removed event of the topics that match `filters`.
    pub(crate) fn trimmed(&self, filters: &FilterSet) -> Offset {
        let mut search = Search::new(filters);
        loop {
            if let Some(trimmed) = self.search(&mut search) {
                return trimmed;
            }
        }
    }

    /// A piece of a search for that. Returns it once nothing is left to look at.
    pub(crate) fn search(&self, search: &mut Search<'_>) -> Option<Offset> {
        let state_of = |id| self.states.get(&id).map(|state| (&state.topic, state.trimmed));
        if let Some(topics) = search.names() {
            let found = topics.filter_map(|topic| state_of(self.id(&topic)?)).map(|(_, at)| at);
            return Some(found.max().unwrap_or_default().max(self.trims.forgotten()));
        }
        self.trims.search(search, state_of)
    }

    /// The newest removed event of the topics that were forgotten.
    pub(crate) fn forgotten(&self) -> Offset {
        self.trims.forgotten()
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
        let oldest = self.emptied.iter().take(count_max);
        oldest.map(|(trimmed, id)| (*id, *trimmed)).collect()
    }

    /// Forgets topics, so that short-lived names do not fill the journal for ever. From then on
    /// [`Topics::trimmed`] is at least what was removed of them, whatever the filters.
    pub(crate) fn forget(&mut self, emptied: &[(TopicId, Offset)]) {
        for (id, trimmed) in emptied {
            self.trims.forget(*trimmed);
            self.emptied.remove(trimmed);
            if let Some(state) = self.states.remove(id) {
                self.ids.remove(&state.topic);
                self.names.remove(&state.topic);
            }
        }
    }
}
