//! Where the newest change of each key of state topics is: what an engine remembers of its rows.
//!
//! ```text
//! digest of (topic, key) ─▶ place of its newest change
//! topic ─▶ keys, deletions that are remembered, rows
//! spare ─▶ rows that no longer count, to be removed in the order of their offsets
//! ```
//!
//! Every change is a row at the end of one table, which costs what an event costs. The row that it
//! replaces stays for a while: very many go at once, page after page, where each by itself would have
//! the disk write a page. A deletion is remembered within bounds; what is forgotten moves its topic's
//! *horizon*. Rows go in the order of their offsets, so a deletion never goes before what it deletes.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::limits::{
    DELETIONS_OF_TOPIC_MIN, DELETIONS_REMEMBERED_MAX, STATE_REPLACED_BYTES_MAX,
};
use bellwire_model::{Event, NameDigest, NameMap, Offset, Topic};
use rustc_hash::FxHashMap;

use crate::deadlines::{Deadline, Deadlines};
use crate::passed::Passed;
use crate::topic_id::TopicId;
use crate::{Append, Appended, StateHorizon, StateHorizons};

/// Rows that no longer count, of which as many stay however few keys there are.
const SPARE_ROWS_MIN: usize = 1_024;

/// Of these, as many go with each change: while there are any they become fewer.
const SPARE_ROWS_PER_CHANGE: usize = 2;

/// Where the newest change of a key is, and whether it deleted the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Place {
    pub(crate) fn of_value(offset: Offset) -> Self {
        Self(offset.get() << 1)
    }

    pub(crate) fn of_deletion(offset: Offset) -> Self {
        Self(offset.get() << 1 | 1)
    }

    pub(crate) fn offset(self) -> Offset {
        Offset::new(self.0 >> 1)
    }

    pub(crate) fn is_deletion(self) -> bool {
        self.0 & 1 == 1
    }
}

/// A key is not there: it went at this offset, as far as that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone(pub(crate) Offset);

/// A change of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) topic: TopicId,
    key: NameDigest,
    place: Place,
}

impl Change {
    /// The change of `event`, whose topic has this number.
    pub(crate) fn new(topic: TopicId, (name, key): (&Topic, &str), place: Place) -> Self {
        Self { topic, key: digest(name, key), place }
    }
}

fn digest(topic: &Topic, key: &str) -> NameDigest {
    NameDigest::of((topic.as_str(), key))
}

/// What a transaction changes, until it is committed.
#[derive(Debug, Default)]
pub(crate) struct StagedChanges {
    /// In their order.
    pub(crate) changes: Vec<Change>,
    /// New topics.
    pub(crate) topics: Vec<(TopicId, Topic)>,
    /// When values go, in the order in which that was said: of values that are there, and of new ones.
    pub(crate) deadlines: Vec<Deadline>,
    /// What the changes take.
    bytes: usize,
    places: FxHashMap<NameDigest, Place>,
    ids: NameMap<Topic, TopicId>,
}

/// A row that no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spare {
    offset: Offset,
    topic: TopicId,
    /// Whether it is a deletion that is forgotten.
    is_forgotten: bool,
    /// Whether it is a value that had a time.
    had_deadline: bool,
}

#[derive(Debug)]
struct StateTopic {
    topic: Topic,
    /// Deletions up to here may be forgotten, and their rows are gone.
    horizon: Offset,
    /// Keys that there are.
    keys: usize,
    /// Rows, those included that no longer count.
    rows: usize,
    /// Those that are remembered.
    deletions: BTreeSet<Offset>,
}

/// What goes in one step.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The rows.
    pub(crate) rows: Vec<Offset>,
    /// Those of them that had a time.
    pub(crate) deadlines: Vec<Offset>,
    /// Horizons that move.
    pub(crate) horizons: Vec<(TopicId, Offset)>,
    /// Topics of which nothing is left.
    pub(crate) over: Vec<TopicId>,
    /// The newest horizon of topics that are forgotten.
    pub(crate) forgotten: Offset,
}

impl Sweep {
    /// Whether nothing goes.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.over.is_empty()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    places: FxHashMap<NameDigest, Place>,
    topics: FxHashMap<TopicId, StateTopic>,
    ids: NameMap<Topic, TopicId>,
    /// Above every id in use.
    next: u32,
    /// Deletions that are remembered, of all topics.
    deletions: BTreeMap<Offset, (TopicId, NameDigest)>,
    /// Rows that have ceased to count since those that go were chosen.
    spare: Vec<Spare>,
    /// What the changes have taken since then.
    bytes: usize,
    /// Rows that go, the first one last.
    going: Vec<Spare>,
    /// How many those were when they were chosen.
    chosen: usize,
    /// Topics that had no row left when they were looked at.
    emptied: BTreeSet<TopicId>,
    /// The newest horizon of topics that are forgotten.
    forgotten: Offset,
    /// When values go.
    deadlines: Deadlines,
}

impl Newest {
    /// Nothing is there; topics that are forgotten had deletions up to `forgotten`.
    pub(crate) fn new(forgotten: Offset) -> Self {
        Self { forgotten, ..Self::default() }
    }

    /// What any topic was before is not known.
    pub(crate) fn forget_up_to(&mut self, offset: Offset) {
        self.forgotten = offset;
    }

    /// Takes a topic in.
    pub(crate) fn insert_topic(&mut self, id: TopicId, topic: Topic, horizon: Offset) {
        self.next = self.next.max(id.0 + 1);
        self.ids.insert(topic.clone(), id);
        let deletions = BTreeSet::new();
        self.topics.insert(id, StateTopic { topic, horizon, keys: 0, rows: 0, deletions });
        self.emptied.insert(id);
    }

    /// Whether there is or was something of the topic of this name.
    pub(crate) fn has(&self, topic: &str) -> bool {
        topic.parse::<Topic>().is_ok_and(|topic| self.ids.contains_key(&topic))
    }

    /// A topic's name.
    pub(crate) fn topic(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(&id).map(|state| &state.topic)
    }

    /// The newest change of a key that is there or is remembered to be gone, that of the transaction
    /// under way included.
    pub(crate) fn find(&self, staged: &StagedChanges, topic: &Topic, key: &str) -> Option<Place> {
        let digest = digest(topic, key);
        staged.places.get(&digest).or_else(|| self.places.get(&digest)).copied()
    }

    /// Says of a deletion where its key went, if that is not there: then there is nothing to delete.
    pub(crate) fn check_there(
        &self,
        staged: &StagedChanges,
        event: &Event,
        tail: Offset,
    ) -> Result<(), Gone> {
        let key = event.key.as_deref().unwrap_or_default();
        match self.find(staged, &event.topic, key) {
            Some(place) if !place.is_deletion() => Ok(()),
            place => Err(Gone(place.map_or(tail, Place::offset))),
        }
    }

    /// Whether this is the newest change of the key.
    pub(crate) fn is_value(&self, (topic, key): (&Topic, &str), offset: Offset) -> bool {
        self.places.get(&digest(topic, key)) == Some(&Place::of_value(offset))
    }

    /// When values go.
    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// The same to change it.
    pub(crate) fn deadlines_mut(&mut self) -> &mut Deadlines {
        &mut self.deadlines
    }

    /// Notes when a key goes from now on, if that is there.
    pub(crate) fn renew(
        &self,
        staged: &mut StagedChanges,
        Append { event, expires_at, .. }: &Append,
        (passed, tail, renewed_at): (&Passed, Offset, Offset),
    ) -> Result<Appended, Gone> {
        self.check_there(staged, event, tail)?;
        let key = event.key.as_deref().unwrap_or_default();
        let place = self.find(staged, &event.topic, key).expect("it is there");
        let value = place.offset();
        staged.deadlines.extend(expires_at.map(|uptime| {
            let at = passed.at(uptime);
            Deadline { value, at, renewed_at }
        }));
        Ok(Appended::new(value))
    }

    /// Where the time of a value was said last, that of the transaction under way included.
    pub(crate) fn timed_at(&self, staged: &StagedChanges, value: Offset) -> Offset {
        let staged = staged.deadlines.iter().rev().find(|deadline| deadline.value == value);
        staged.map_or_else(|| self.deadlines.timed_at(value), |it| it.renewed_at.max(value))
    }

    /// Notes what a transaction changes.
    pub(crate) fn stage(&self, staged: &mut StagedChanges, event: &Event, offset: Offset) {
        let (topic, key) = (&event.topic, event.key.as_deref().unwrap_or_default());
        let known = self.ids.get(topic).or_else(|| staged.ids.get(topic)).copied();
        let id = known.unwrap_or_else(|| {
            let id = TopicId(self.next + staged.topics.len() as u32);
            staged.topics.push((id, topic.clone()));
            staged.ids.insert(topic.clone(), id);
            id
        });
        let place = match event.body {
            Some(_) => Place::of_value(offset),
            None => Place::of_deletion(offset),
        };
        let change = Change::new(id, (topic, key), place);
        staged.places.insert(change.key, change.place);
        staged.bytes += event.size_bytes();
        staged.changes.push(change);
    }

    /// Takes in what was committed.
    pub(crate) fn take(&mut self, staged: StagedChanges) {
        for (id, topic) in staged.topics {
            self.insert_topic(id, topic, Offset::ZERO);
        }
        self.bytes += staged.bytes;
        for deadline in staged.deadlines {
            // Some may be replaced by what follows.
            self.deadlines.set(deadline);
        }
        for change in staged.changes {
            self.change(change);
        }
    }

    fn change(&mut self, change: Change) {
        let id = change.topic;
        self.load(change);
        while let Some(oldest) = self.too_many_of(id).or_else(|| self.too_many()) {
            self.forget(oldest);
        }
    }

    /// Takes in a change whose topic is known, newer than all before, and forgets nothing for it:
    /// [`loaded`](Self::loaded) does, once all are taken in.
    pub(crate) fn load(&mut self, change: Change) {
        let Change { topic: id, key, place } = change;
        let before = self.places.insert(key, place);
        let topic = self.topics.get_mut(&id).expect("a topic is taken in before its changes");
        topic.rows += 1;
        if let Some(before) = before {
            if before.is_deletion() {
                topic.deletions.remove(&before.offset());
                self.deletions.remove(&before.offset());
            }
            let (offset, had_deadline) = (before.offset(), self.deadlines.forget(before.offset()));
            self.spare.push(Spare { offset, topic: id, is_forgotten: false, had_deadline });
        }
        let was_there = before.is_some_and(|before| !before.is_deletion());
        if place.is_deletion() {
            topic.keys -= usize::from(was_there);
            topic.deletions.insert(place.offset());
            self.deletions.insert(place.offset(), (id, key));
        } else {
            topic.keys += usize::from(!was_there);
        }
    }

    /// All rows are loaded: now it is known how many keys there are, and so how many deletions are
    /// remembered.
    pub(crate) fn loaded(&mut self) {
        for id in self.topics.keys().copied().collect::<Vec<_>>() {
            while let Some(oldest) = self.too_many_of(id) {
                self.forget(oldest);
            }
        }
        while let Some(oldest) = self.too_many() {
            self.forget(oldest);
        }
        // Nobody has counted what they take.
        self.choose();
    }

    /// The oldest deletion of a topic that there are too many with.
    fn too_many_of(&self, id: TopicId) -> Option<Offset> {
        let topic = &self.topics[&id];
        let are_many = topic.deletions.len() > topic.keys.max(DELETIONS_OF_TOPIC_MIN);
        topic.deletions.first().copied().filter(|_| are_many)
    }

    /// The same of all topics.
    fn too_many(&self) -> Option<Offset> {
        let are_many = self.deletions.len() > DELETIONS_REMEMBERED_MAX;
        self.deletions.first_key_value().filter(|_| are_many).map(|(offset, _)| *offset)
    }

    fn forget(&mut self, offset: Offset) {
        let Some((id, key)) = self.deletions.remove(&offset) else { return };
        self.places.remove(&key);
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.deletions.remove(&offset);
        }
        self.spare.push(Spare { offset, topic: id, is_forgotten: true, had_deadline: false });
    }

    /// Whether there are rows to remove.
    pub(crate) fn wants_sweep(&self) -> bool {
        // As many as count would make the table twice what it has to be; few may be large.
        !self.going.is_empty()
            || self.spare.len() >= (self.places.len() / 2).max(SPARE_ROWS_MIN)
            || (self.bytes >= STATE_REPLACED_BYTES_MAX && !self.spare.is_empty())
    }

    /// Chooses all rows that no longer count, however few there are, unless some go already.
    pub(crate) fn choose(&mut self) {
        if self.going.is_empty() {
            self.going = std::mem::take(&mut self.spare);
            self.going.sort_unstable_by(|one, other| other.cmp(one));
            (self.chosen, self.bytes) = (self.going.len(), 0);
        }
    }

    /// What goes with a transaction, so that what was chosen is gone before there is too much again.
    pub(crate) fn sweep_with(&mut self, staged: &StagedChanges) -> Sweep {
        let by_count = staged.changes.len() * SPARE_ROWS_PER_CHANGE;
        let by_bytes =
            (self.chosen as u128 * staged.bytes as u128).div_ceil(STATE_REPLACED_BYTES_MAX as u128);
        self.sweep(by_count.max(by_bytes as usize))
    }

    /// What of up to so many rows goes next, those that have waited for longest first.
    pub(crate) fn sweep(&mut self, rows_max: usize) -> Sweep {
        if self.wants_sweep() {
            self.choose();
        }
        let mut sweep = Sweep { forgotten: self.forgotten, ..Sweep::default() };
        let mut horizons: FxHashMap<TopicId, Offset> = FxHashMap::default();
        for spare in self.going.iter().rev().take(rows_max) {
            sweep.rows.push(spare.offset);
            if spare.had_deadline {
                sweep.deadlines.push(spare.offset);
            }
            if spare.is_forgotten {
                // Later ones are newer.
                horizons.insert(spare.topic, spare.offset);
            }
        }
        sweep.horizons = horizons.into_iter().collect();
        sweep
    }

    /// Topics of which nothing is left, up to so many of those that had no row.
    pub(crate) fn over(&mut self, topics_max: usize) -> Sweep {
        let mut sweep = Sweep { forgotten: self.forgotten, ..Sweep::default() };
        for _ in 0..topics_max {
            let Some(id) = self.emptied.pop_first() else { break };
            let Some(topic) = self.topics.get(&id).filter(|topic| topic.rows == 0) else {
                continue;
            };
            sweep.forgotten = sweep.forgotten.max(topic.horizon);
            sweep.over.push(id);
        }
        sweep
    }

    /// Takes note of what a step has removed.
    pub(crate) fn swept(&mut self, sweep: &Sweep) {
        for (id, horizon) in &sweep.horizons {
            if let Some(topic) = self.topics.get_mut(id) {
                topic.horizon = topic.horizon.max(*horizon);
            }
        }
        for _ in &sweep.rows {
            let Some(spare) = self.going.pop() else { break };
            let Some(topic) = self.topics.get_mut(&spare.topic) else { continue };
            topic.rows -= 1;
            if topic.rows == 0 {
                self.emptied.insert(spare.topic);
            }
        }
        for id in &sweep.over {
            if let Some(state) = self.topics.remove(id) {
                self.ids.remove(&state.topic);
            }
        }
        self.forgotten = sweep.forgotten;
    }

    /// The topics of a step that failed are looked at again.
    pub(crate) fn put_back(&mut self, sweep: Sweep) {
        self.emptied.extend(sweep.over);
    }

    /// Up to where deletions may be forgotten.
    pub(crate) fn horizons(&self) -> StateHorizons {
        let moved = self.topics.values().filter(|topic| topic.horizon > Offset::ZERO);
        let horizon =
            |topic: &StateTopic| StateHorizon { topic: topic.topic.clone(), offset: topic.horizon };
        StateHorizons { topics: moved.map(horizon).collect(), forgotten: self.forgotten }
    }

    /// The newest offset of a change that is forgotten.
    pub(crate) fn newest_horizon(&self) -> Offset {
        let horizons = self.topics.values().map(|topic| topic.horizon);
        horizons.max().unwrap_or_default().max(self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::limits::{RETENTION_STEP_LOOKS_MAX, STATE_VALUE_BYTES_MAX};

    use super::*;
    use crate::contract;

    /// Takes in a change, and returns the offset of the next one.
    fn change(newest: &mut Newest, topic: &str, text: Option<&str>, offset: u64) -> u64 {
        let mut staged = StagedChanges::default();
        newest.stage(&mut staged, &contract::change(topic, "a", text).event, Offset::new(offset));
        newest.take(staged);
        offset + 1
    }

    #[test]
    fn topics_that_come_and_go_leave_one_horizon_for_all() {
        const TOPICS: u64 = DELETIONS_REMEMBERED_MAX as u64 + 20_000;
        let mut newest = Newest::default();
        let mut offset = 1;
        for topic in 0..TOPICS {
            let topic = format!("jobs/{topic}");
            offset = change(&mut newest, &topic, Some("x"), offset);
            offset = change(&mut newest, &topic, None, offset);
            // As a commit does.
            let sweep = newest.sweep(4);
            newest.swept(&sweep);
        }
        assert_eq!(
            (newest.places.len(), newest.deletions.len()),
            (DELETIONS_REMEMBERED_MAX, DELETIONS_REMEMBERED_MAX)
        );
        loop {
            let over = newest.over(RETENTION_STEP_LOOKS_MAX);
            if over.is_empty() {
                break;
            }
            newest.swept(&over);
        }
        // Rows that no longer count are at most half of those that do, and so are their topics.
        assert!(newest.topics.len() <= DELETIONS_REMEMBERED_MAX * 3 / 2, "{}", newest.topics.len());
        assert_eq!(newest.ids.len(), newest.topics.len());
        let StateHorizons { topics, forgotten } = newest.horizons();
        assert!(topics.is_empty() && forgotten > Offset::ZERO, "{topics:?} {forgotten}");
        assert_eq!(newest.newest_horizon(), forgotten);
        assert_eq!(
            newest.find(&StagedChanges::default(), &"jobs/1".parse().expect("a topic"), "a"),
            None
        );
    }

    #[test]
    fn what_few_large_changes_have_replaced_goes_before_it_is_much() {
        const KEYS: usize = 100_000;
        let large = "x".repeat(STATE_VALUE_BYTES_MAX);
        let mut newest = Newest::default();
        let mut rows: BTreeMap<Offset, usize> = BTreeMap::new();
        let (mut offset, mut bytes, mut most) = (0, 0, 0);
        let mut put = |key: usize, text: &str| {
            let event = contract::change("s", &key.to_string(), Some(text)).event;
            offset += 1;
            let mut staged = StagedChanges::default();
            newest.stage(&mut staged, &event, Offset::new(offset));
            // As a commit does.
            let sweep = newest.sweep_with(&staged);
            for row in &sweep.rows {
                bytes -= rows.remove(row).expect("each row goes once");
            }
            newest.swept(&sweep);
            newest.take(staged);
            rows.insert(Offset::new(offset), event.size_bytes());
            bytes += event.size_bytes();
            most = most.max(bytes);
        };
        // Of one key, while many small ones count, and while many that were replaced go.
        (0..KEYS).for_each(|key| put(key, "x"));
        (0..3_000).for_each(|_| put(0, &large));
        (0..KEYS * 2 / 3).for_each(|key| put(key, "y"));
        (0..3_000).for_each(|_| put(0, &large));
        let small = KEYS * 4 * "00000sx".len();
        assert!(most < 2 * STATE_REPLACED_BYTES_MAX + small, "{most} bytes");
    }

    #[test]
    fn a_deletion_never_goes_before_what_it_deletes() {
        let mut newest = Newest::default();
        let mut offset = 1;
        let mut rows: BTreeMap<Offset, (u64, bool)> = BTreeMap::new();
        for number in 0..200_000_u64 {
            // Keys come and go in an order of no meaning.
            let topic = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 3_001;
            let is_put = number.wrapping_mul(0xD1B5_4A32_D192_ED03) >> 62 == 0;
            let name = topic.to_string();
            let event = contract::change(&name, "a", is_put.then_some("x")).event;
            if !is_put
                && newest.check_there(&StagedChanges::default(), &event, Offset::ZERO).is_err()
            {
                continue;
            }
            rows.insert(Offset::new(offset), (topic, is_put));
            offset = change(&mut newest, &name, is_put.then_some("x"), offset);
            let sweep = newest.sweep(3);
            for row in &sweep.rows {
                let (topic, is_put) = rows.remove(row).expect("each row goes once");
                let older =
                    rows.range(..row).find(|(_, (other, is_put))| *other == topic && *is_put);
                assert!(is_put || older.is_none(), "{row} goes before {older:?}");
            }
            newest.swept(&sweep);
        }
        assert!(rows.len() < 10_000, "{} rows", rows.len());
    }
}
