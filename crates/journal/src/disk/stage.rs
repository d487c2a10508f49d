//! A transaction of appends: gives out offsets, numbers topics and writes rows.

use bellwire_model::{Entry, NameMap, Offset, Topic};
use rusqlite::Connection;

use super::blocks::Mark;
use super::index::Index;
use super::keys::Keys;
use super::rows::{EventRows, insert_topic};
use crate::topics::{self, TopicId, TopicState};
use crate::{Append, Appended, Error};

/// What a transaction has written, to be made visible after its commit.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) entries: Vec<Entry>,
    pub(super) marks: Vec<Mark>,
    pub(super) results: Vec<Result<Vec<Appended>, Error>>,
    /// New topics, and by name.
    pub(super) topics: Vec<(TopicId, TopicState)>,
    ids: NameMap<Topic, TopicId>,
}

/// A transaction under way.
pub(super) struct Stage<'a> {
    pub(super) rows: EventRows<'a>,
    pub(super) connection: &'a Connection,
    pub(super) index: &'a Index,
    pub(super) keys: &'a mut Keys,
    /// The next event's offset.
    pub(super) next: &'a mut u64,
    pub(super) staged: Staged,
}

impl Stage<'_> {
    /// Writes the batches' events.
    pub(super) fn run(
        mut self,
        batches: Vec<Vec<Append>>,
        topics_max: usize,
    ) -> rusqlite::Result<Staged> {
        for batch in batches {
            let has_room = topics::has_room(&batch, self.topics_with(&batch), topics_max);
            let appended =
                if has_room { Ok(self.append(batch)?) } else { Err(Error::TooManyTopics) };
            self.staged.results.push(appended);
        }
        self.rows.insert_all(&self.staged.entries, &self.staged.marks)?;
        Ok(self.staged)
    }

    /// How many topics `batch` brings, or more where it repeats new ones, and how many there are.
    fn topics_with(&self, batch: &[Append]) -> (usize, usize) {
        let is_new = |topic: &Topic| {
            self.index.topics.id(topic).is_none() && !self.staged.ids.contains_key(topic)
        };
        let new = batch.iter().filter(|append| is_new(&append.event.topic)).count();
        (new, self.index.topics.len() + self.staged.topics.len())
    }

    fn append(&mut self, batch: Vec<Append>) -> rusqlite::Result<Vec<Appended>> {
        batch.into_iter().map(|append| self.append_one(append)).collect()
    }

    fn append_one(&mut self, append: Append) -> rusqlite::Result<Appended> {
        let Append { event, idempotency_key } = append;
        if let Some(key) = &idempotency_key
            && let Some(offset) = self.keys.find(self.connection, &event, key)?
        {
            return Ok(Appended { offset, duplicate: true });
        }
        let offset = Offset::new(*self.next);
        *self.next += 1;
        let topic = self.intern(&event.topic);
        let (bytes, time) = (event.size_bytes() as u64, event.time);
        let entry = Entry { offset, event };
        if let Some(key) = idempotency_key {
            self.keys.remember(self.connection, &key, &entry)?;
        }
        self.staged.marks.push(Mark { offset, topic, bytes, time });
        self.staged.entries.push(entry);
        Ok(Appended { offset, duplicate: false })
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

/// Writes the rows of new topics.
pub(super) fn save_topics(connection: &Connection, staged: &Staged) -> rusqlite::Result<()> {
    for (id, state) in &staged.topics {
        insert_topic(connection, *id, (state.topic.as_str(), Offset::ZERO))?;
    }
    Ok(())
}
