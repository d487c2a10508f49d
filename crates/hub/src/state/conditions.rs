//! What is asked of keys before they are changed, of one or of a whole batch.

use std::collections::{HashMap, HashSet};

use bellwire_model::{Condition, KeyVersion, NameHasher, Topic};
use thiserror::Error;

use super::deadlines::DEADLINE_BYTES;
use super::slots::charge_bytes;
use super::{Charge, StateError, StateLimits, StateTable};
use crate::entry::Payload;

/// A change that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The state topic.
    pub topic: &'a Topic,
    /// The key.
    pub key: &'a str,
    /// What has to be so of it.
    pub condition: Condition,
    /// Bytes of its new payload. `None`: it is to go.
    pub size_bytes: Option<usize>,
    /// Whether it is to go by itself after a time.
    pub expires: bool,
    /// What there may be for it to be put.
    pub room: StateLimits,
}

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// There is no room for it.
    #[error(transparent)]
    Full(#[from] StateError),
    /// The key is not as it was to be.
    #[error("the key is not as it was to be")]
    Condition {
        /// The version that it has; `None` where it is not there.
        found: Option<KeyVersion>,
    },
    /// An earlier change of the same batch makes the key's version, which nobody knows yet.
    #[error("the same batch has written the key before, and its version is not known yet")]
    Again,
    /// There is no key to delete.
    #[error("there is no such key")]
    Missing,
}

/// Room that is set aside.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    keys: usize,
    bytes: usize,
}

impl Reserved {
    /// Whether it is none.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl<P: Payload> StateTable<P> {
    /// The version of a key that is there.
    pub fn key_version(&self, topic: &Topic, key: &str) -> Option<KeyVersion> {
        let version = self.slots.get(self.find_live(topic, key)?).version;
        Some(KeyVersion::Table { life: self.life, version })
    }

    /// Whether a key is as it has to be.
    pub fn check(
        &self,
        (topic, key): (&Topic, &str),
        condition: Condition,
    ) -> Result<(), ChangeError> {
        if condition == Condition::Always {
            return Ok(());
        }
        let found = self.key_version(topic, key);
        let is_so = match condition {
            Condition::Always => true,
            Condition::Absent => found.is_none(),
            Condition::At(version) => found == Some(version),
        };
        if is_so { Ok(()) } else { Err(ChangeError::Condition { found }) }
    }

    /// Whether all changes can be made, one after the other and nothing in between; else the first
    /// that cannot, and why.
    pub fn check_all(&self, changes: &[Change<'_>]) -> Result<(), (usize, ChangeError)> {
        self.plan(changes).map(drop)
    }

    /// The same for changes that are yet to be made: what they will take more is set aside for them
    /// until it is [released](Self::release).
    pub fn reserve(&mut self, changes: &[Change<'_>]) -> Result<Reserved, (usize, ChangeError)> {
        let (keys, bytes) = self.taken();
        let Planned { live, live_bytes, .. } = self.plan(changes)?;
        let reserved =
            Reserved { keys: live.saturating_sub(keys), bytes: live_bytes.saturating_sub(bytes) };
        self.reserved.keys += reserved.keys;
        self.reserved.bytes += reserved.bytes;
        Ok(reserved)
    }

    /// What was set aside is taken by now, or will not be.
    pub fn release(&mut self, reserved: Reserved) {
        self.reserved.keys -= reserved.keys;
        self.reserved.bytes -= reserved.bytes;
    }

    fn plan<'c>(&self, changes: &[Change<'c>]) -> Result<Planned<'c>, (usize, ChangeError)> {
        let (live, live_bytes) = self.taken();
        let keys = HashMap::with_capacity_and_hasher(changes.len(), self.hasher);
        let topics = HashSet::with_hasher(self.hasher);
        let mut planned = Planned { keys, live, live_bytes, topics };
        for (at, change) in changes.iter().enumerate() {
            planned.add(self, change).map_err(|error| (at, error))?;
        }
        Ok(planned)
    }

    /// The keys and bytes of what is there, and of what was set aside.
    pub(super) fn taken(&self) -> (usize, usize) {
        let Reserved { keys, bytes } = self.reserved;
        (self.slots.live() + keys, self.slots.live_bytes() + bytes)
    }
}

/// What the table would hold after some changes.
struct Planned<'a> {
    /// What each key would be charged with that they change.
    keys: HashMap<(&'a str, &'a str), Option<Charge>, NameHasher>,
    live: usize,
    live_bytes: usize,
    /// Topics that there are not yet.
    topics: HashSet<&'a str, NameHasher>,
}

impl<'a> Planned<'a> {
    fn add<P: Payload>(
        &mut self,
        table: &StateTable<P>,
        change: &Change<'a>,
    ) -> Result<(), ChangeError> {
        let Change { topic, key, condition, size_bytes, expires, room } = *change;
        let name = (topic.as_str(), key);
        let held = match (self.keys.get(&name), condition) {
            (None, _) => {
                table.check((topic, key), condition)?;
                table.charge_of(table.find(topic, key))
            }
            (Some(held), Condition::Always) => *held,
            (Some(None), Condition::Absent) => None,
            (Some(_), _) => return Err(ChangeError::Again),
        };
        let of_deadline = if expires { DEADLINE_BYTES } else { 0 };
        let new = size_bytes.map(|size_bytes| charge_bytes(key, size_bytes) + of_deadline);
        match new {
            Some(bytes) => {
                room.check((self.live, self.live_bytes), (held, bytes))?;
                self.plan_topic(table, topic)?;
            }
            None if held.is_none() => return Err(ChangeError::Missing),
            None => {}
        }
        self.live = self.live + usize::from(new.is_some()) - usize::from(held.is_some());
        let freed = held.map_or(0, |held| held.charged_bytes);
        self.live_bytes = self.live_bytes + new.unwrap_or(0) - freed;
        let new = new.map(|bytes| Charge { size_bytes: bytes, charged_bytes: bytes });
        self.keys.insert(name, new);
        Ok(())
    }

    /// Makes room for a topic, if it is a new one. That others may go is not counted on.
    fn plan_topic<P: Payload>(
        &mut self,
        table: &StateTable<P>,
        topic: &'a Topic,
    ) -> Result<(), StateError> {
        if self.topics.contains(topic.as_str()) || table.names.contains_key(topic) {
            return Ok(());
        }
        if !table.has_place_for(topic, self.topics.len()) {
            return Err(StateError::Topics { topics_max: table.topics_max });
        }
        self.topics.insert(topic.as_str());
        Ok(())
    }
}
