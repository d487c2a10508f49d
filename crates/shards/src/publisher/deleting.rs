//! Deleting keys that begin alike: a page of them after the other, so that a million keys hold up
//! neither the table nor the journal's writer.

use bellwire_journal::{Append, Appended, Error, Unmet};
use bellwire_model::{Condition, Event, KeyVersion, Offset, Topic};
use bellwire_process::clock;
use bellwire_wire::problem::Problem;
use bellwire_wire::publish::check_key;
use tokio::time::sleep;

use super::{Published, Publisher, answer};
use crate::ends;
use crate::state::{KeysBeginning, ROOM_PAUSE};

/// A deletion of keys that begin alike, of those that are there when it is made. On the disk each page
/// of them is a commit; a kill leaves the keys of the pages to come.
#[derive(Debug)]
pub struct Deleting {
    keys: KeysBeginning,
    is_on_disk: bool,
    /// Keys that are gone.
    deleted: usize,
}

impl Publisher {
    /// What deletes the keys of a state topic that begin with `prefix`. Nothing is deleted yet.
    pub fn deleting(&self, topic: Topic, prefix: &str) -> Result<Deleting, Problem> {
        self.check_deletable(&topic)?;
        ends::check_open(&*self.journal, &topic)?;
        // All keys begin with nothing.
        if !prefix.is_empty() {
            check_key(prefix).map_err(|error| Problem::of_decoder(error.code(), error))?;
        }
        let is_on_disk = self.topics.is_on_disk(&topic);
        Ok(Deleting { keys: self.states.keys_beginning(topic, prefix), is_on_disk, deleted: 0 })
    }

    /// Deletes them all. `allow` is asked whether so many deletions may have been made before any
    /// others are. Where it fails some may be deleted, which the problem tells.
    pub async fn delete_all(
        &self,
        mut deleting: Deleting,
        allow: impl Fn(usize) -> Result<(), Problem>,
    ) -> Result<Published, Problem> {
        let mut page = 0;
        loop {
            let allowed = if page == 0 { Ok(()) } else { allow(page) };
            let deleted = match allowed {
                Ok(()) if deleting.is_on_disk => self.delete_page(&mut deleting.keys).await,
                Ok(()) => self.delete_in_memory(&mut deleting.keys).await,
                Err(problem) => Err(problem),
            };
            match deleted {
                Ok(Some(keys)) => page = keys,
                Ok(None) => return Ok(Published::Deleted { keys: deleting.deleted }),
                Err(problem) => return Err(problem.after_deleting(deleting.deleted)),
            }
            deleting.deleted += page;
            tokio::task::yield_now().await;
        }
    }

    /// Deletes some keys of a topic in memory. `None`: there are no others.
    async fn delete_in_memory(&self, keys: &mut KeysBeginning) -> Result<Option<usize>, Problem> {
        while !self.states.has_room() {
            sleep(ROOM_PAUSE).await;
        }
        self.states.delete_some(&*self.journal, keys)
    }

    /// The same of a topic on the disk, in one commit. A key that is written meanwhile stays.
    async fn delete_page(&self, keys: &mut KeysBeginning) -> Result<Option<usize>, Problem> {
        let Some(mut found) = self.states.find_some(keys) else { return Ok(None) };
        while !found.is_empty() {
            match self.append_deletions(&keys.topic, &found).await {
                Ok(appended) if appended.iter().any(|appended| appended.has_ended) => {
                    ends::check_open(&*self.journal, &keys.topic)?;
                    // It is reopened by now.
                }
                Ok(appended) => {
                    self.figures.events_published.add(appended.len() as u64);
                    return Ok(Some(appended.len()));
                }
                // The other keys of the page are as they were.
                Err(Error::Condition(Unmet { index, .. })) => drop(found.remove(index)),
                Err(error) => {
                    self.figures.journal_failures.add(1);
                    return Err(error.into());
                }
            }
        }
        Ok(Some(0))
    }

    async fn append_deletions(
        &self,
        topic: &Topic,
        keys: &[(Box<str>, Offset)],
    ) -> Result<Vec<Appended>, Error> {
        let (epoch, time) = (self.journal.epoch(), clock::now());
        let deletion = |(key, offset): &(Box<str>, Offset)| {
            let (topic, key) = (topic.clone(), Some(key.clone()));
            let event = Event { topic, key, event_type: None, time, body: None };
            let condition = Condition::At(KeyVersion::Journal { epoch, offset: *offset });
            Append { condition, ..Append::of_state(event, None) }
        };
        let (done, answered) = answer();
        self.journal.append(keys.iter().map(deletion).collect(), Box::new(done))?;
        answered.await
    }
}
