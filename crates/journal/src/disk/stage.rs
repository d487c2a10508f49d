//! A transaction of appends: gives out offsets, numbers topics and writes rows.

use bellwire_model::{Closure, Entry, Epoch, Event, Keep, NameMap, Offset, Timestamp, Topic};
use rusqlite::Connection;

use super::blocks::Mark;
use super::index::Index;
use super::keys::Keys;
use super::rows::{EventRows, EventTable, end_topic, insert_topic};
use super::{fences, state};
use crate::check::Judge;
use crate::deadlines::Deadline;
use crate::ends::{self, Before, Standing};
use crate::fences::{Fences, StagedFences};
use crate::newest::{Gone, Newest, StagedChanges};
use crate::passed::Passed;
use crate::placing::Order;
use crate::topics::{self, TopicId, TopicState, Topics};
use crate::{Append, Appended, Error, Unmet};

/// What a transaction has written, to be made visible after its commit.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) entries: Vec<Entry>,
    /// Of the events of streams, in their order.
    pub(super) marks: Vec<Mark>,
    /// Of the changes of state topics.
    pub(super) state: StagedChanges,
    /// Of what producers have written.
    pub(super) fences: StagedFences,
    pub(super) results: Vec<Result<Vec<Appended>, Error>>,
    /// Topics that have ended, or go on ([`Offset::ZERO`]).
    pub(super) ends: NameMap<Topic, (TopicId, Offset)>,
    /// What was applied, which may be further than the newest event.
    pub(super) applied: Offset,
    /// What those take that have ended, at most.
    ended_bytes: usize,
    /// New topics, and by name.
    pub(super) topics: Vec<(TopicId, TopicState)>,
    ids: NameMap<Topic, TopicId>,
}

impl Staged {
    /// An event at `offset` says what becomes of its topic.
    fn note(&mut self, (id, topic): (TopicId, &Topic), (closure, offset): (Closure, Offset)) {
        let ended = match closure {
            Closure::End => offset,
            Closure::Reopened => Offset::ZERO,
        };
        if closure == Closure::End {
            self.ended_bytes += ends::bytes_of(topic);
        }
        self.ends.insert(topic.clone(), (id, ended));
    }
}

/// A transaction under way.
pub(super) struct Stage<'a> {
    pub(super) connection: &'a Connection,
    pub(super) index: &'a Index,
    pub(super) newest: &'a Newest,
    pub(super) passed: &'a Passed,
    pub(super) fences: &'a mut Fences,
    pub(super) keys: &'a mut Keys,
    pub(super) epoch: Epoch,
    /// The next event's offset.
    pub(super) next: &'a mut u64,
    /// Of a replica, what decides of the group commit that is under way.
    pub(super) order: Option<Order>,
    pub(super) staged: Staged,
}

impl Stage<'_> {
    /// Writes the batches' events.
    pub(super) fn run(
        mut self,
        batches: Vec<Vec<Append>>,
        (topics_max, ended_bytes_max): (usize, usize),
    ) -> rusqlite::Result<Staged> {
        for batch in batches {
            let has_room = topics::has_room(&batch, self.topics_with(&batch), topics_max);
            let appended = if !has_room {
                Err(Error::TooManyTopics)
            } else if !ends::has_room(&batch, (self.ended_bytes(), ended_bytes_max)) {
                Err(Error::TooManyEndedTopics)
            } else {
                self.judge_and_append(batch)?
            };
            self.staged.results.push(appended);
        }
        self.write_rows()?;
        Ok(self.staged)
    }

    pub(super) fn judge_and_append(
        &mut self,
        batch: Vec<Append>,
    ) -> rusqlite::Result<Result<Vec<Appended>, Error>> {
        Ok(match self.check_conditions(&batch)? {
            Err(unmet) => Err(Error::Condition(unmet)),
            Ok(()) => Ok(self.append(batch)?),
        })
    }

    fn check_conditions(&self, batch: &[Append]) -> rusqlite::Result<Result<(), Unmet>> {
        let is_made = |append: &Append| {
            let Some(key) = &append.idempotency_key else { return Ok(false) };
            Ok(self.keys.find(self.connection, &append.event, key)?.is_some())
        };
        let judge = Judge {
            epoch: self.epoch,
            newest: (self.newest, &self.staged.state),
            fences: (self.fences, &self.staged.fences),
            standing: &|topic| self.standing(topic),
        };
        judge.check(batch, is_made)
    }

    pub(super) fn write_rows(&self) -> rusqlite::Result<()> {
        let Staged { entries, marks, state, fences, .. } = &self.staged;
        fences::save_staged(self.connection, fences)?;
        let kept = |keep| entries.iter().filter(move |entry| entry.keep == keep);
        let events: Vec<_> = marks.iter().map(|mark| mark.topic).zip(kept(Keep::Every)).collect();
        if !events.is_empty() {
            EventRows::new(self.connection, EventTable::Events)?.insert_all(&events)?;
        }
        state::save_deadlines(self.connection, &state.deadlines)?;
        if state.changes.is_empty() {
            return Ok(());
        }
        let topics = state.changes.iter().map(|change| change.topic);
        let values: Vec<_> = topics.zip(kept(Keep::Newest)).collect();
        EventRows::new(self.connection, EventTable::State)?.insert_all(&values)?;
        state::save_topics(self.connection, &state.topics)
    }

    /// How many topics `batch` brings, or more where it repeats new ones, and how many there are.
    fn topics_with(&self, batch: &[Append]) -> (usize, usize) {
        let is_new = |topic: &Topic| {
            self.index.topics.id(topic).is_none() && !self.staged.ids.contains_key(topic)
        };
        let of_streams = batch.iter().filter(|append| topics::is_of_stream(append));
        let new = of_streams.filter(|append| is_new(&append.event.topic)).count();
        (new, self.index.topics.len() + self.staged.topics.len())
    }

    fn append(&mut self, batch: Vec<Append>) -> rusqlite::Result<Vec<Appended>> {
        let mut before = Before::default();
        batch.into_iter().map(|append| self.append_one(append, &mut before)).collect()
    }

    fn append_one(&mut self, append: Append, befores: &mut Before) -> rusqlite::Result<Appended> {
        if append.is_renewal() {
            if let Some(refused) = self.answer(&append.event, None) {
                return Ok(refused);
            }
            let renewed_at = self.order.map_or(Offset::ZERO, |order| order.base);
            let at = (self.passed, self.tail(), renewed_at);
            let renewed = self.newest.renew(&mut self.staged.state, &append, at);
            return Ok(renewed.unwrap_or_else(|gone| self.gone(gone)));
        }
        let Append { event, idempotency_key, keep, expires_at, fence, rides, .. } = append;
        let before = befores.take(&event.topic);
        if let Some(before) = before.filter(|_| rides) {
            return Ok(befores.note(&event.topic, before));
        }
        if let Some(key) = &idempotency_key
            && let Some(offset) = self.keys.find(self.connection, &event, key)?
        {
            return Ok(befores.note(&event.topic, Appended::again(offset)));
        }
        if let Some(fence) = &fence
            && let Err(fenced) = self.fences.check(&[&self.staged.fences], &event.topic, fence)
        {
            let answer = Appended::fenced(fenced, self.tail());
            return Ok(befores.note(&event.topic, answer));
        }
        if let Some(appended) = self.answer(&event, before) {
            return Ok(appended);
        }
        let closure = event.closure();
        if keep == Keep::Newest && event.body.is_none() {
            let tail = self.tail();
            if let Err(gone) = self.newest.check_there(&self.staged.state, &event, tail) {
                return Ok(self.gone(gone));
            }
        }
        let offset = Offset::new(*self.next);
        *self.next += 1;
        match keep {
            Keep::Every => {
                let topic = self.intern(&event.topic);
                let (bytes, time) = (event.size_bytes() as u64, event.time);
                self.staged.marks.push(Mark { offset, topic, bytes, time });
                if let Some(closure) = closure {
                    self.staged.note((topic, &event.topic), (closure, offset));
                }
            }
            Keep::Newest => {
                let state = &mut self.staged.state;
                self.newest.stage(state, &event, offset);
                state.deadlines.extend(expires_at.map(|uptime| {
                    let at = self.passed.at(uptime);
                    Deadline { value: offset, at, renewed_at: Offset::ZERO }
                }));
            }
        }
        let entry = Entry { offset, event, keep };
        if let Some(key) = idempotency_key {
            self.keys.remember(self.connection, &key, (&entry, self.time_of(&entry.event)))?;
        }
        if let Some(fence) = &fence {
            let place = (offset, self.time_of(&entry.event));
            let named = (&entry.event.topic, &**fence);
            self.fences.stage((&mut self.staged.fences, None), named, place);
        }
        self.staged.entries.push(entry);
        Ok(Appended::new(offset))
    }

    /// What is answered to an event where that adds nothing, as its topic has ended or says so.
    fn answer(&self, event: &Event, before: Option<Appended>) -> Option<Appended> {
        let closure = event.closure();
        if closure.is_none() && self.ended_bytes() == 0 {
            return None;
        }
        ends::answer(closure, self.standing(&event.topic), before)
    }

    /// The newest event, that of this transaction included, or what was applied.
    pub(super) fn tail(&self) -> Offset {
        let newest = self.staged.entries.last().map_or(self.index.tail, |entry| entry.offset);
        newest.max(self.staged.applied)
    }

    /// By what an idempotency key and a producer become old.
    fn time_of(&self, event: &Event) -> Timestamp {
        self.order.map_or(event.time, |order| order.time)
    }

    /// What is answered where a key is not there. Where it went not all replicas know.
    fn gone(&self, Gone(offset): Gone) -> Appended {
        Appended::again(if self.order.is_some() { self.tail() } else { offset })
    }

    /// Where a topic stands, with what this transaction has made of it.
    fn standing(&self, topic: &Topic) -> Standing {
        let known = self.index.topics.of(topic);
        let staged = self.staged.ends.get(topic);
        let standing = staged.map_or(known, |(_, ended)| Standing { ended: *ended, ..known });
        // What came last not all replicas know.
        if self.order.is_some() { Standing { last: self.tail(), ..standing } } else { standing }
    }

    /// What topics take that have ended, at most. Mostly none has.
    fn ended_bytes(&self) -> usize {
        self.index.topics.ended_bytes() + self.staged.ended_bytes
    }

    fn intern(&mut self, topic: &Topic) -> TopicId {
        let known = self.index.topics.id(topic).or_else(|| self.staged.ids.get(topic).copied());
        known.unwrap_or_else(|| {
            let id = TopicId(self.index.topics.next_id().0 + self.staged.topics.len() as u32);
            let rule = self.index.retention.rule_of(topic);
            self.staged.topics.push((id, TopicState::new(topic.clone(), rule)));
            self.staged.ids.insert(topic.clone(), id);
            id
        })
    }
}

/// Writes the rows of new topics, and of those that have ended or go on.
pub(super) fn save_topics(
    connection: &Connection,
    topics: &Topics,
    staged: &Staged,
) -> rusqlite::Result<()> {
    for (id, state) in &staged.topics {
        insert_topic(connection, *id, state)?;
    }
    for (topic, (id, ended)) in &staged.ends {
        let trimmed = topics.get(*id).map_or(Offset::ZERO, |state| state.trimmed);
        end_topic(connection, (*id, topic), (trimmed, *ended))?;
    }
    Ok(())
}
