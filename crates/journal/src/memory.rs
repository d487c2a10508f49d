//! The engine in memory: for demonstrations and tests, and the oracle of the other engines.
//!
//! Bounded by [`MEMORY_JOURNAL_EVENTS_MAX`] and [`MEMORY_JOURNAL_BYTES_MAX`], whatever retention
//! says. "Durable" means here: in memory.

mod keys;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bellwire_model::limits::{
    ENDED_TOPICS_BYTES_MAX, MEMORY_JOURNAL_BYTES_MAX, MEMORY_JOURNAL_EVENTS_MAX,
    RETENTION_STEP_LOOKS_MAX, TOPICS_MAX,
};
use bellwire_model::{Closure, Entry, Epoch, Event, FilterSet, Keep, Offset, Timestamp};

use crate::check::Judge;
use crate::deadlines::{Deadline, DueValue};
use crate::ends::{self, Before, Ends, Standing};
use crate::fences::{Fences, StagedFences};
use crate::newest::{Gone, Newest, StagedChanges};
use crate::passed::Passed;
use crate::placing::{Order, Placing};
use crate::records::{self, RecordChanges, RecordMap};
use crate::retention::Retention;
use crate::role::Role;
use crate::steps::{Now, Steps};
use crate::topics::{Removed, TopicId, TopicState, Topics};
use crate::writer::{Committed, Store, Writer};
use crate::{
    Append, Appended, AppliedReply, Bounds, ClockReading, ClockStep, Due, Ended, Error, Journal,
    Observer, Page, Placed, ReadLimit, Record, RecordChange, RecordReply, Replica, Reply,
    RetentionRule, StateHorizons, StatePage, TopicFigures, Unmet,
};
use keys::Keys;

/// A journal that is gone with the process.
#[derive(Debug)]
pub struct MemoryJournal {
    role: Role,
    state: Arc<Shared>,
    ends: Arc<Ends>,
    writer: Writer,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new(epoch: Epoch, retention: Vec<RetentionRule>, observer: Box<dyn Observer>) -> Self {
        Self::with_topics_max((epoch, TOPICS_MAX), retention, observer)
    }

    /// An empty journal in which clients may begin so many topics.
    pub fn with_topics_max(
        (epoch, topics_max): (Epoch, usize),
        retention: Vec<RetentionRule>,
        observer: Box<dyn Observer>,
    ) -> Self {
        Self::of(State { epoch, topics_max, ..State::new(retention) }, observer)
    }

    /// An empty replica.
    pub fn replica(
        epoch: Epoch,
        retention: Vec<RetentionRule>,
        observer: Box<dyn Observer>,
    ) -> Self {
        let time = Some(Timestamp::MIN);
        Self::of(State { epoch, time, ..State::new(retention) }, observer)
    }

    /// The same that knows so many idempotency keys, and so many bytes of producers.
    #[cfg(test)]
    pub(crate) fn small_replica(
        epoch: Epoch,
        (keys_max, producers_bytes): (usize, usize),
        observer: Box<dyn Observer>,
    ) -> Self {
        let keys = Keys::with_count_max(keys_max);
        let fences = Fences::with_bytes_max(producers_bytes);
        let time = Some(Timestamp::MIN);
        Self::of(State { epoch, keys, fences, time, ..State::new(Vec::new()) }, observer)
    }

    fn of(state: State, observer: Box<dyn Observer>) -> Self {
        let role = if state.time.is_some() { Role::Replica } else { Role::Alone };
        let ends = Arc::clone(state.topics.ends());
        let state = Arc::new(Shared(RwLock::new(state)));
        let writer = Writer::spawn(MemoryStore { state: state.clone() }, observer);
        Self { role, state, ends, writer }
    }
}

impl Journal for MemoryJournal {
    fn epoch(&self) -> Epoch {
        self.state.read().epoch
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        self.role.check_alone()?;
        self.writer.append(batch, reply)
    }

    fn bounds(&self) -> Bounds {
        let state = self.state.read();
        Bounds { trimmed: state.topics.trimmed_any(), tail: state.tail }
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.state.read().topics.trimmed(filters)
    }

    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error> {
        Ok(self.state.read().page(after, filters, limit))
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error> {
        Ok(self.state.read().state_page(after, limit))
    }

    fn state_horizons(&self) -> Result<StateHorizons, Error> {
        Ok(self.state.read().newest.horizons())
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.ends.of(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.state.read().topics.figures((prefix, after), limit)
    }

    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error> {
        self.role.check_alone()?;
        self.writer.write_records(changes, reply)
    }

    fn records(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        Ok(self.state.read().records.with_prefix(prefix))
    }

    fn health(&self) -> Result<(), Error> {
        self.writer.health()
    }

    fn damaged(&self) -> u64 {
        0
    }

    fn damaged_blocks(&self) -> u64 {
        0
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error> {
        self.writer.trim(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.role.check_alone()?;
        self.writer.expire(now)
    }

    fn close(&self) -> Result<(), Error> {
        self.writer.close()
    }
}

impl Replica for MemoryJournal {
    fn apply(&self, placed: Placed, applied: AppliedReply) -> Result<(), Error> {
        self.role.check_replica()?;
        self.writer.apply(placed, applied)
    }

    fn begin_anew(&self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        self.role.check_replica()?;
        self.writer.begin_anew(epoch, base)
    }

    fn enter_epoch(
        &self,
        epoch: Epoch,
        base: Offset,
        records: Vec<RecordChange>,
    ) -> Result<(), Error> {
        self.role.check_replica()?;
        self.writer.enter_epoch(epoch, base, records)
    }

    fn due(&self, now: ClockReading, count_max: usize) -> Result<Due, Error> {
        self.writer.due(now, count_max)
    }

    fn check_room(&self, batch: &[Append]) -> Result<(), Error> {
        let state = self.state.read();
        state.topics.check_room(batch, (state.topics_max, state.ended_bytes_max))
    }

    fn check_room_for_records(&self, changes: &[RecordChange]) -> Result<(), Error> {
        let changes = records::gathered(changes.to_vec())?;
        self.state.read().records.check(&changes)
    }
}

/// The state that readers and the writer share.
struct Shared(RwLock<State>);

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().expect("nothing panics while it changes the state")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().expect("nothing panics while it changes the state")
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

struct Stored {
    topic: TopicId,
    event: Event,
}

struct State {
    epoch: Epoch,
    topics: Topics,
    /// Topics that clients may begin.
    topics_max: usize,
    /// Bytes of topics that have ended.
    ended_bytes_max: usize,
    retention: Retention,
    events: BTreeMap<Offset, Stored>,
    bytes: u64,
    /// Changes of state topics.
    values: BTreeMap<Offset, Event>,
    newest: Newest,
    tail: Offset,
    keys: Keys,
    fences: Fences,
    /// What producers have written with the batch, or the group commit, that is under way.
    produced: StagedFences,
    /// Of a replica, how late it is, as its order says.
    time: Option<Timestamp>,
    /// And what decides of the group commit that is under way.
    order: Option<Order>,
    records: RecordMap,
    steps: Steps,
    /// Since the system is up.
    passed: Passed,
}

impl State {
    fn new(rules: Vec<RetentionRule>) -> Self {
        Self {
            epoch: Epoch::new(0),
            topics: Topics::default(),
            topics_max: TOPICS_MAX,
            ended_bytes_max: ENDED_TOPICS_BYTES_MAX,
            retention: Retention::new(rules),
            events: BTreeMap::new(),
            bytes: 0,
            values: BTreeMap::new(),
            newest: Newest::default(),
            tail: Offset::ZERO,
            keys: Keys::default(),
            fences: Fences::default(),
            produced: StagedFences::default(),
            time: None,
            order: None,
            records: RecordMap::default(),
            steps: Steps::default(),
            passed: Passed::default(),
        }
    }

    /// Appends a batch whole, its new events also to `entries`, or nothing.
    fn append(
        &mut self,
        batch: Vec<Append>,
        entries: &mut Vec<Entry>,
    ) -> Result<Vec<Appended>, Error> {
        self.topics.check_room(&batch, (self.topics_max, self.ended_bytes_max))?;
        let appended = self.judge_and_append(batch, entries)?;
        self.fences.take(mem::take(&mut self.produced));
        self.keys.forget_excess();
        Ok(appended)
    }

    /// The same, whatever room there is.
    fn judge_and_append(
        &mut self,
        batch: Vec<Append>,
        entries: &mut Vec<Entry>,
    ) -> Result<Vec<Appended>, Error> {
        self.check(&batch).map_err(Error::Condition)?;
        let mut befores = Before::default();
        let append_one = |append: Append| {
            if append.is_renewal() {
                let refused = self.answer(&append.event, None);
                return refused.unwrap_or_else(|| self.renew(&append));
            }
            let Append { event, idempotency_key, keep, expires_at, fence, rides, .. } = append;
            let before = befores.take(&event.topic);
            if let Some(before) = before.filter(|_| rides) {
                return befores.note(&event.topic, before);
            }
            if let Some(key) = &idempotency_key
                && let Some(offset) = self.keys.find(&event.topic, key)
            {
                return befores.note(&event.topic, Appended::again(offset));
            }
            if let Some(fence) = &fence
                && let Err(fenced) = self.fences.check(&[&self.produced], &event.topic, fence)
            {
                return befores.note(&event.topic, Appended::fenced(fenced, self.tail));
            }
            if let Some(appended) = self.answer(&event, before) {
                return appended;
            }
            let offset = match keep {
                Keep::Every => self.push(event.clone()),
                Keep::Newest => match self.change(event.clone(), expires_at) {
                    Ok(offset) => offset,
                    Err(gone) => return self.gone(gone),
                },
            };
            let time = self.order.map_or(event.time, |order| order.time);
            if let Some(key) = idempotency_key {
                self.keys.remember((event.topic.clone(), key), offset, time);
            }
            if let Some(fence) = &fence {
                let named = (&event.topic, &**fence);
                self.fences.stage((&mut self.produced, None), named, (offset, time));
            }
            entries.push(Entry { offset, event, keep });
            Appended::new(offset)
        };
        Ok(batch.into_iter().map(append_one).collect())
    }

    /// What is answered to an event where that adds nothing, as its topic has ended or says so.
    fn answer(&self, event: &Event, before: Option<Appended>) -> Option<Appended> {
        let closure = event.closure();
        if closure.is_none() && self.topics.ended_bytes() == 0 {
            return None;
        }
        let standing = self.topics.of(&event.topic);
        // What came last not all replicas know.
        let last = if self.order.is_some() { self.tail } else { standing.last };
        ends::answer(closure, Standing { last, ..standing }, before)
    }

    /// What is answered where a key is not there. Where it went not all replicas know.
    fn gone(&self, Gone(offset): Gone) -> Appended {
        Appended::again(if self.order.is_some() { self.tail } else { offset })
    }

    /// The next event's offset.
    fn next(&self) -> Offset {
        let base = self.order.map_or(Offset::ZERO, |order| order.base);
        Offset::new(self.tail.get() + 1).max(base)
    }

    /// Takes note of when a key goes, if that is there.
    fn renew(&mut self, append: &Append) -> Appended {
        let mut staged = StagedChanges::default();
        let renewed_at = self.order.map_or(Offset::ZERO, |order| order.base);
        let renewed = self.newest.renew(&mut staged, append, (&self.passed, self.tail, renewed_at));
        self.newest.take(staged);
        renewed.unwrap_or_else(|gone| self.gone(gone))
    }

    /// Whether all is as a batch asks it to be.
    fn check(&self, batch: &[Append]) -> Result<(), Unmet> {
        let is_made = |append: &Append| {
            let key = append.idempotency_key.as_ref();
            Ok(key.is_some_and(|key| self.keys.find(&append.event.topic, key).is_some()))
        };
        let judge = Judge {
            epoch: self.epoch,
            newest: (&self.newest, &StagedChanges::default()),
            fences: (&self.fences, &self.produced),
            standing: &|topic| self.topics.of(topic),
        };
        let Ok(checked): Result<_, Infallible> = judge.check(batch, is_made);
        checked
    }

    /// Takes in a change of a state topic, unless it deletes what is not there.
    fn change(&mut self, event: Event, expires_at: Option<Duration>) -> Result<Offset, Gone> {
        let mut staged = StagedChanges::default();
        if event.body.is_none() {
            self.newest.check_there(&staged, &event, self.tail)?;
        }
        let offset = self.next();
        self.newest.stage(&mut staged, &event, offset);
        staged.deadlines.extend(expires_at.map(|uptime| {
            let at = self.passed.at(uptime);
            Deadline { value: offset, at, renewed_at: Offset::ZERO }
        }));
        self.newest.take(staged);
        self.values.insert(offset, event);
        self.tail = offset;
        while self.newest.wants_sweep() {
            let sweep = self.newest.sweep(usize::MAX);
            for row in &sweep.rows {
                self.values.remove(row);
            }
            self.newest.swept(&sweep);
        }
        Ok(offset)
    }

    fn state_page(&self, after: Offset, limit: ReadLimit) -> StatePage {
        let mut entries = Vec::new();
        let (mut bytes, mut end) = (0, after);
        for (offset, event) in self.values.range((Excluded(after), Unbounded)) {
            bytes += event.size_bytes();
            let is_full = entries.len() >= limit.events || bytes > limit.bytes;
            if is_full && !entries.is_empty() {
                return StatePage { entries, end };
            }
            entries.push(Entry { offset: *offset, event: event.clone(), keep: Keep::Newest });
            end = *offset;
        }
        StatePage { entries, end: end.max(self.tail) }
    }

    fn push(&mut self, event: Event) -> Offset {
        let offset = self.next();
        let topic = self.topics.id(&event.topic).unwrap_or_else(|| {
            let (id, rule) = (self.topics.next_id(), self.retention.rule_of(&event.topic));
            self.topics.insert(id, TopicState::new(event.topic.clone(), rule));
            id
        });
        let bytes = event.size_bytes() as u64;
        let rule = self.topics.add(topic, 1, bytes, offset);
        self.retention.add(rule, 1, bytes);
        match event.closure() {
            Some(Closure::End) => self.topics.set_ended(topic, offset),
            Some(Closure::Reopened) => {
                self.topics.set_ended(topic, Offset::ZERO);
                self.newest.deadlines_mut().go_on(&event.topic);
            }
            None => {}
        }
        self.events.insert(offset, Stored { topic, event });
        self.bytes += bytes;
        self.tail = offset;
        offset
    }

    fn page(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Page {
        let trimmed = self.topics.trimmed(filters);
        let mut entries = Vec::new();
        let (mut bytes, mut end) = (0, after);
        for (offset, stored) in self.events.range((Excluded(after), Unbounded)) {
            if filters.matches(&stored.event.topic) {
                bytes += stored.event.size_bytes();
                let is_full = entries.len() >= limit.events || bytes > limit.bytes;
                if is_full && !entries.is_empty() {
                    return Page { entries, end, trimmed, lost: 0 };
                }
                entries.push(Entry::of_stream(*offset, stored.event.clone()));
            }
            end = *offset;
        }
        Page { entries, end: end.max(self.tail), trimmed, lost: 0 }
    }

    fn remove(&mut self, offset: Offset) {
        let Some(Stored { topic, event }) = self.events.remove(&offset) else { return };
        let bytes = event.size_bytes() as u64;
        let rule = self.topics.get(topic).and_then(|state| state.rule);
        self.retention.remove(rule, 1, bytes);
        self.topics.remove(topic, Removed { events: 1, bytes, newest: offset });
        self.bytes -= bytes;
    }

    /// The oldest events go where memory would be exceeded.
    fn stay_within_memory(&mut self) {
        while self.events.len() > MEMORY_JOURNAL_EVENTS_MAX
            || self.bytes > MEMORY_JOURNAL_BYTES_MAX as u64
        {
            let oldest = self.events.first_key_value().map(|(offset, _)| *offset);
            self.remove(oldest.expect("what exceeds a limit is not empty"));
        }
    }

    /// Applies a group commit, its new events also to `entries`.
    fn apply(
        &mut self,
        placing: Placing,
        entries: &mut Vec<Entry>,
    ) -> Vec<Result<Vec<Appended>, Error>> {
        let Placing { base, time, batches, records } = placing;
        let time = self.time.map_or(time, |newest| newest.max(time));
        self.time = Some(time);
        self.order = Some(Order { base, time });
        self.keys.forget_excess();
        self.keys.forget(&Now::exactly(time));
        let idle = self.fences.idle(&Now::exactly(time), usize::MAX);
        self.fences.forgotten(&idle);
        let append = |batch| self.judge_and_append(batch, entries);
        let results = batches.into_iter().map(append).collect();
        self.fences.take(mem::take(&mut self.produced));
        self.records.change_all(records);
        self.tail = self.tail.max(base);
        self.order = None;
        results
    }

    /// Everything is forgotten up to `base`, which is the tail.
    fn begin_anew(&mut self, epoch: Epoch, base: Offset) {
        self.epoch = epoch;
        self.tail = base;
        self.time = Some(Timestamp::MIN);
        self.topics.forget_all(base);
        self.retention.forget_all();
        self.events.clear();
        self.bytes = 0;
        self.values.clear();
        self.newest = Newest::new(base);
        self.keys.forget_all();
        self.fences = Fences::default();
        self.records = RecordMap::default();
        self.steps = Steps::since(None, base);
    }

    /// One step of retention: looks at a few events after `from`.
    fn trim(&mut self, from: Offset, now: Timestamp) -> Option<Offset> {
        let later = self.events.range((Excluded(from), Unbounded));
        let now = self.steps.now(now);
        let looks: Vec<(Offset, TopicId, Timestamp)> = later
            .take(RETENTION_STEP_LOOKS_MAX)
            .map(|(offset, stored)| (*offset, stored.topic, stored.event.time))
            .collect();
        for (offset, topic, time) in &looks {
            let rule = self.topics.get(*topic).and_then(|state| state.rule);
            if self.retention.drops(rule, *time, now.at(*offset)) {
                self.remove(*offset);
            }
        }
        if self.topics.len() > self.topics_max / 2 {
            let emptied = self.topics.emptied(RETENTION_STEP_LOOKS_MAX);
            self.topics.forget(&emptied);
        }
        if self.time.is_none() {
            self.keys.forget(&now);
            let idle = self.fences.idle(&now, RETENTION_STEP_LOOKS_MAX);
            self.fences.forgotten(&idle);
        }
        let over = self.newest.over(RETENTION_STEP_LOOKS_MAX);
        self.newest.swept(&over);
        looks.last().map(|(offset, ..)| *offset)
    }
}

struct MemoryStore {
    state: Arc<Shared>,
}

impl Store for MemoryStore {
    fn commit(&mut self, batches: Vec<Vec<Append>>) -> Result<Committed, Error> {
        let mut state = self.state.write();
        let mut entries = Vec::new();
        let results = batches.into_iter().map(|batch| state.append(batch, &mut entries)).collect();
        state.stay_within_memory();
        Ok(Committed { entries, results })
    }

    fn apply(&mut self, group: Vec<Placing>) -> Result<Committed, Error> {
        let mut state = self.state.write();
        let mut entries = Vec::new();
        let apply = |placing| state.apply(placing, &mut entries);
        let results = group.into_iter().flat_map(apply).collect();
        state.stay_within_memory();
        Ok(Committed { entries, results })
    }

    fn begin_anew(&mut self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        self.state.write().begin_anew(epoch, base);
        Ok(())
    }

    fn enter_epoch(
        &mut self,
        epoch: Epoch,
        base: Offset,
        records: RecordChanges,
    ) -> Result<(), Error> {
        let mut state = self.state.write();
        state.epoch = epoch;
        state.tail = state.tail.max(base);
        state.records.change_all(records);
        Ok(())
    }

    fn tail(&self) -> Offset {
        self.state.read().tail
    }

    fn epoch(&self) -> Epoch {
        self.state.read().epoch
    }

    fn write_records(&mut self, changes: RecordChanges) -> Result<(), Error> {
        self.state.write().records.change(changes)
    }

    fn look_at_clocks(&mut self, reading: ClockReading) -> Option<ClockStep> {
        let mut state = self.state.write();
        let tail = state.tail;
        state.steps.look(reading, tail)
    }

    fn trim(&mut self, from: Offset, now: Timestamp) -> Result<Option<Offset>, Error> {
        Ok(self.state.write().trim(from, now))
    }

    fn due(&mut self, now: Duration, count_max: usize) -> Result<Vec<DueValue>, Error> {
        let State { newest, values, topics, passed, .. } = &mut *self.state.write();
        let mut keys = Vec::new();
        for value in newest.deadlines().due(passed.at(now), count_max) {
            let event = &values[&value];
            if topics.of(&event.topic).ended > Offset::ZERO {
                newest.deadlines_mut().rest(value, &event.topic);
            } else {
                let timed_at = newest.deadlines().timed_at(value);
                let (topic, key) = (event.topic.clone(), event.key.clone().unwrap_or_default());
                keys.push(DueValue { topic, key, value, timed_at });
            }
        }
        Ok(keys)
    }

    fn next_due(&self, behind: usize) -> Option<Duration> {
        let state = self.state.read();
        state.newest.deadlines().behind(behind).map(|at| state.passed.uptime_at(at))
    }

    fn look(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn probe(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, sync_channel};

    use bellwire_model::Topic;
    use bellwire_model::limits::{
        APPENDS_QUEUED_BYTES_MAX, BYTES_PER_COMMIT_MAX, ENDED_TOPIC_BYTES, RECORD_BYTES_MAX,
        TOPICS_RESERVED,
    };
    use bytes::Bytes;

    use super::*;
    use crate::contract;

    #[test]
    fn keeps_the_contract() {
        contract::run_all(&mut |retention, observer| {
            Box::new(MemoryJournal::new(Epoch::new(1), retention, observer))
        });
    }

    #[test]
    fn a_replica_keeps_the_contract() {
        contract::run_all_of_replicas(&mut |retention, observer| {
            Arc::new(MemoryJournal::replica(Epoch::new(1), retention, observer))
        });
    }

    #[test]
    fn ended_topics_have_room_for_so_many_bytes() {
        let state =
            State { ended_bytes_max: 3 * (ENDED_TOPIC_BYTES + 5), ..State::new(Vec::new()) };
        let seen = contract::Seen::default();
        let journal = MemoryJournal::of(state, Box::new(seen.clone()));
        let rig = contract::Rig { journal: Arc::new(journal), seen };
        contract::ending::ended_topics_are_bounded(&rig, 3);
    }

    /// Holds the writer until the test lets go.
    struct Held(Receiver<()>);

    impl Observer for Held {
        fn on_commit(&mut self, _: Vec<Entry>) {
            let _ = self.0.recv();
        }
    }

    #[test]
    fn what_waits_for_the_writer_is_bounded_by_what_it_takes() {
        let (key, gate) = sync_channel(0);
        let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Held(gate)));
        let batch = vec![contract::plain("a", ""); 10_000];
        let bytes = batch.len() * size_of::<Append>();
        let mut waiting = 0;
        // Of what is taken the writer may have some out of the queue.
        while journal.append(batch.clone(), Box::new(|_| ())).is_ok() {
            waiting += bytes;
            assert!(waiting <= APPENDS_QUEUED_BYTES_MAX + BYTES_PER_COMMIT_MAX + 2 * bytes);
        }
        let value = Some(Bytes::from(vec![b'x'; RECORD_BYTES_MAX / 2]));
        let mut waiting = 0;
        loop {
            let change = RecordChange { key: "a".into(), value: value.clone() };
            if journal.write_records(vec![change], Box::new(|_| ())).is_err() {
                break;
            }
            waiting += RECORD_BYTES_MAX / 2;
            assert!(waiting <= APPENDS_QUEUED_BYTES_MAX + RECORD_BYTES_MAX);
        }
        drop(key);
        journal.close().unwrap();
    }

    #[test]
    fn whoever_applies_waits_until_there_is_room() {
        const COMMITS: usize = 30;
        let (key, gate) = sync_channel(0);
        let replica = MemoryJournal::replica(Epoch::new(1), Vec::new(), Box::new(Held(gate)));
        let large = "x".repeat(BYTES_PER_COMMIT_MAX);
        let (queued, applied) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for place in 1..=COMMITS {
                    let batches = vec![vec![contract::plain("a", &large)]];
                    let base = place as u64;
                    let commit = contract::replicas::Commit { base, batches, ..Default::default() };
                    let applied = Arc::clone(&applied);
                    let placed = commit.placed(ClockReading::default());
                    let count = Box::new(move |result: Result<(), Error>| {
                        result.expect("applied");
                        applied.fetch_add(1, Ordering::Relaxed);
                    });
                    replica.apply(placed, count).expect("it waits");
                    queued.fetch_add(1, Ordering::Relaxed);
                }
            });
            let bound = APPENDS_QUEUED_BYTES_MAX / BYTES_PER_COMMIT_MAX;
            while queued.load(Ordering::Relaxed) < bound - 1 {
                std::thread::yield_now();
            }
            // One is with the writer, and one may have been taken out of the queue.
            assert!(queued.load(Ordering::Relaxed) <= bound + 2);
            drop(key);
        });
        replica.close().unwrap();
        assert_eq!(applied.load(Ordering::Relaxed), COMMITS);
    }

    #[test]
    fn the_servers_own_topics_have_room_when_clients_have_used_up_theirs() {
        let (mut state, mut entries) = (State::new(Vec::new()), Vec::new());
        state.topics_max = 2;
        let mut append = |topics: &[&str]| {
            let batch = topics.iter().map(|topic| contract::plain(topic, "x")).collect();
            state.append(batch, &mut entries).map(|appended| appended.len())
        };
        assert_eq!(append(&["a", "b"]).unwrap(), 2);
        assert!(matches!(append(&["c"]), Err(Error::TooManyTopics)));
        assert!(matches!(append(&["alerts/events/w/A", "c"]), Err(Error::TooManyTopics)));
        for number in 0..TOPICS_RESERVED {
            append(&[&format!("alerts/events/w/{number}")]).unwrap();
        }
        assert!(matches!(append(&["alerts/events/w/A"]), Err(Error::TooManyTopics)));
        assert_eq!(append(&[Topic::OF_ALERTS_WITHOUT]).unwrap(), 1);
        // Though there are more than clients may begin.
        assert_eq!(append(&["a", "b"]).unwrap(), 2);
        assert_eq!(append(&["alerts/events/w/1"]).unwrap(), 1);
    }
}
