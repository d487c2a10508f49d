//! State topics of the process: the table, and the way of its changes to the hubs.

use std::sync::{Arc, Mutex};

use bellwire_hub::{Snapshot, StateError, StateTable, Value};
use bellwire_model::{Epoch, Event, FilterSet, Timestamp, Topic, limits};

use crate::feed::{Batch, Feed};
use crate::frames::Frames;

/// The state table and whom to tell of its changes.
#[derive(Debug)]
pub struct States {
    epoch: Epoch,
    table: Arc<Mutex<StateTable<Frames>>>,
    feed: Arc<Feed>,
}

/// How many keys there may be for a topic to begin another. Alerts always have room.
fn keys_max(topic: &Topic) -> usize {
    let is_alert = topic.segments().next() == Some("alerts");
    limits::STATE_KEYS_MAX - if is_alert { 0 } else { limits::STATE_KEYS_RESERVED }
}

/// The table alone, for hubs that start new lanes.
pub type SharedTable = Arc<Mutex<StateTable<Frames>>>;

pub fn new_table() -> SharedTable {
    Arc::new(Mutex::new(StateTable::new()))
}

impl States {
    pub fn new(epoch: Epoch, table: SharedTable, feed: Arc<Feed>) -> Self {
        Self { epoch, table, feed }
    }

    /// Waits until the hubs have room.
    pub fn wait_for_room(&self) {
        self.feed.wait_for_room();
    }

    /// [`apply_now`](Self::apply_now), once the hubs have room. Blocks until then.
    pub fn apply(&self, events: Vec<Event>) -> Vec<Result<(), StateError>> {
        self.feed.wait_for_room();
        self.apply_now(events)
    }

    /// Puts each event's body under its topic and key, or deletes the key where it has no body;
    /// tells all hubs at once. What one call changes, subscribers see together. One result each.
    ///
    /// Never blocks: threads that must not wait for a shard look at [`has_room`](Self::has_room)
    /// first, so that inboxes go over their bound by no more than the number of such threads.
    pub fn apply_now(&self, events: Vec<Event>) -> Vec<Result<(), StateError>> {
        if events.is_empty() {
            return Vec::new();
        }
        let mut table = self.table.lock().expect("not poisoned");
        let mut changes: Vec<Arc<Value<Frames>>> = Vec::with_capacity(events.len());
        let results = events
            .into_iter()
            .map(|event| {
                let (topic, key) = (event.topic.clone(), event.key.clone().unwrap_or_default());
                let is_deletion = event.body.is_none();
                let frames = Frames::new(self.epoch, None, event);
                if is_deletion {
                    changes.extend(table.delete(&topic, &key, frames));
                } else {
                    changes.push(table.put((&topic, &key), frames, keys_max(&topic))?);
                }
                Ok(())
            })
            .collect();
        if !changes.is_empty() {
            // Still under the lock: hubs must get changes in the order of their versions.
            self.feed.push(&Batch::Values(changes.into()));
        }
        results
    }

    /// Deletes the values of samples that are older than `before`: their series are gone.
    pub fn expire_samples(&self, before: Timestamp) {
        let is_old = |value: &&Arc<Value<Frames>>| {
            let event = value.payload.event();
            event.time < before && event.topic.segments().next() == Some("samples")
        };
        let deletion = |value: &Arc<Value<Frames>>| Event {
            topic: value.topic.clone(),
            key: Some((&*value.key).into()),
            event_type: None,
            time: before,
            body: None,
        };
        let table = self.table.lock().expect("not poisoned");
        let deletions: Vec<Event> = table.values().filter(is_old).map(deletion).collect();
        drop(table);
        if !deletions.is_empty() {
            self.apply(deletions);
        }
    }

    /// Whether the hubs take another change without a wait.
    pub fn has_room(&self) -> bool {
        self.feed.has_room()
    }

    /// The current values that match, oldest change first.
    pub fn snapshot(&self, filters: &FilterSet) -> Snapshot<Frames> {
        self.table.lock().expect("not poisoned").snapshot(filters)
    }

    /// Whether `key` exists.
    pub fn contains(&self, topic: &Topic, key: &str) -> bool {
        self.table.lock().expect("not poisoned").get(topic, key).is_some()
    }

    /// When the current value of `key` was measured or published.
    pub fn time(&self, topic: &Topic, key: &str) -> Option<Timestamp> {
        let table = self.table.lock().expect("not poisoned");
        table.get(topic, key).map(|value| value.payload.event().time)
    }

    /// Up to `limit` state topics with their numbers of keys, sorted by name: those that begin
    /// with `prefix`, come after `after` and are wanted.
    pub fn topics(
        &self,
        (prefix, after): (&str, &str),
        limit: usize,
        is_wanted: impl Fn(&Topic) -> bool,
    ) -> Vec<(Topic, usize)> {
        let table = self.table.lock().expect("not poisoned");
        let topics = table.topics(prefix, after).filter(|(topic, _)| is_wanted(topic));
        topics.take(limit).map(|(topic, keys)| (topic.clone(), keys)).collect()
    }

    /// The number of keys in all state topics.
    pub fn keys(&self) -> usize {
        self.table.lock().expect("not poisoned").keys()
    }
}
