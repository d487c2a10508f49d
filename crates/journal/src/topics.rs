//! The topics that a journal has or had events of: their ids, figures, and what was removed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bellwire_model::limits::TOPICS_RESERVED;
use bellwire_model::{FilterSet, Keep, NameMap, Offset, Topic};
use rustc_hash::FxHashMap;

use crate::ends::{self, Ended, Ends, Standing};
use crate::retention::RuleIndex;
pub(crate) use crate::topic_id::TopicId;
use crate::trims::{Search, Trims};
use crate::{Append, Error, TopicFigures};

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
    /// The event that says that it has ended; [`Offset::ZERO`] where it has not.
    pub(crate) ended: Offset,
}

impl TopicState {
    /// A topic without events.
    pub(crate) fn new(topic: Topic, rule: Option<RuleIndex>) -> Self {
        let (last, trimmed, ended) = (Offset::ZERO, Offset::ZERO, Offset::ZERO);
        Self { topic, rule, events: 0, bytes: 0, last, trimmed, ended }
    }

    /// Whether it has ended.
    fn has_ended(&self) -> bool {
        self.ended > Offset::ZERO
    }

    /// Where it has ended, as others see it.
    fn end(&self) -> Option<Ended> {
        let Self { ended, trimmed, .. } = *self;
        self.has_ended().then_some(Ended { at: ended, is_kept: trimmed < ended })
    }

    /// Whether it may be forgotten.
    fn is_spent(&self) -> bool {
        self.events == 0 && self.trimmed > Offset::ZERO && !self.has_ended()
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
    /// Where topics have ended.
    ends: Arc<Ends>,
    /// What those take.
    ended_bytes: usize,
    /// Topics without events that have not ended, by the newest one that was removed.
    emptied: BTreeMap<Offset, TopicId>,
    /// Above every id in use.
    next: u32,
}

impl Topics {
    /// No topics; those forgotten earlier had events up to `forgotten`.
    pub(crate) fn new(forgotten: Offset) -> Self {
        Self { trims: Trims::new(forgotten), ..Self::default() }
    }

    /// All are forgotten, of which there were events up to `forgotten`.
    pub(crate) fn forget_all(&mut self, forgotten: Offset) {
        let (ends, next) = (Arc::clone(&self.ends), self.next);
        ends.clear();
        *self = Self { ends, next, ..Self::new(forgotten) };
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

    /// Where the topic of this name stands.
    pub(crate) fn of(&self, topic: &Topic) -> Standing {
        self.id(topic).and_then(|id| self.get(id)).map_or_else(Standing::default, |state| {
            Standing { last: state.last, ended: state.ended }
        })
    }

    /// How many events of `batch` are of streams that are not known yet.
    pub(crate) fn count_unknown(&self, batch: &[Append]) -> usize {
        let is_unknown = |append: &&Append| self.id(&append.event.topic).is_none();
        batch.iter().filter(|append| is_of_stream(append)).filter(is_unknown).count()
    }

    /// Whether there is room for what a batch brings and ends, where so many topics may be begun and
    /// those that have ended may take so many bytes.
    pub(crate) fn check_room(
        &self,
        batch: &[Append],
        (topics_max, ended_bytes_max): (usize, usize),
    ) -> Result<(), Error> {
        if !has_room(batch, (self.count_unknown(batch), self.len()), topics_max) {
            Err(Error::TooManyTopics)
        } else if !ends::has_room(batch, (self.ended_bytes, ended_bytes_max)) {
            Err(Error::TooManyEndedTopics)
        } else {
            Ok(())
        }
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
        }
        if state.is_spent() {
            self.emptied.insert(state.trimmed, id);
        }
        if let Some(end) = state.end() {
            self.ended_bytes += ends::bytes_of(&state.topic);
            self.ends.set(&state.topic, Some(end));
        }
        self.states.insert(id, state);
    }

    /// A topic has ended at an offset, or goes on: [`Offset::ZERO`].
    pub(crate) fn set_ended(&mut self, id: TopicId, ended: Offset) {
        let state = self.states.get_mut(&id).expect(KNOWN);
        let bytes = ends::bytes_of(&state.topic);
        let before = if state.has_ended() { bytes } else { 0 };
        let was_spent = state.is_spent();
        state.ended = ended;
        let after = if state.has_ended() { bytes } else { 0 };
        self.ended_bytes = self.ended_bytes - before + after;
        self.ends.set(&state.topic, state.end());
        match (was_spent, state.is_spent()) {
            (true, false) => drop(self.emptied.remove(&state.trimmed)),
            (false, true) => drop(self.emptied.insert(state.trimmed, id)),
            _ => {}
        }
    }

    /// Where topics have ended, for who has no lock.
    pub(crate) fn ends(&self) -> &Arc<Ends> {
        &self.ends
    }

    /// What the topics take that have ended.
    pub(crate) fn ended_bytes(&self) -> usize {
        self.ended_bytes
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
        if events > 0 && state.is_spent() {
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
            if before < state.ended && state.ended <= state.trimmed {
                self.ends.set(&state.topic, state.end());
            }
        }
        if state.is_spent() {
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
                let state = &self.states[id];
                let TopicState { events, bytes, last, .. } = *state;
                let has_ended = state.has_ended();
                TopicFigures { topic: topic.clone(), events, bytes, last, has_ended }
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
