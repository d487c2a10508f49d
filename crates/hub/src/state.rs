//! The state table: the newest value of every key of every state topic.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwire_model::{FilterSet, Topic, Version};
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::entry::Value;

/// The values that match a filter, oldest change first, as of one version.
#[derive(Debug)]
pub struct Snapshot<P> {
    /// The newest version in the table when the snapshot was taken.
    pub version: Version,
    /// The values.
    pub values: Vec<Arc<Value<P>>>,
}

/// One for the process. Its owner passes each value that [`put`](Self::put) and
/// [`delete`](Self::delete) return to every hub, in this order.
#[derive(Debug)]
pub struct StateTable<P> {
    version: Version,
    topics: FxHashMap<Topic, FxHashMap<Arc<str>, Arc<Value<P>>>>,
    /// The topics, sorted, for listings.
    names: BTreeSet<Topic>,
    keys: usize,
}

/// The table holds as many keys as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("state topics hold at most {keys_max} keys together; delete some, or publish to a stream")]
pub struct StateError {
    /// The limit.
    pub keys_max: usize,
}

impl<P> Default for StateTable<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> StateTable<P> {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            version: Version::ZERO,
            topics: FxHashMap::default(),
            names: BTreeSet::new(),
            keys: 0,
        }
    }

    /// Replaces the value of `key`. A new key is refused where there are `keys_max` already.
    pub fn put(
        &mut self,
        (topic, key): (&Topic, &str),
        payload: P,
        keys_max: usize,
    ) -> Result<Arc<Value<P>>, StateError> {
        let (key, newest) = match self.get(topic, key) {
            Some(old) => (Arc::clone(&old.key), Arc::clone(&old.newest)),
            None if self.keys >= keys_max => return Err(StateError { keys_max }),
            None => {
                self.keys += 1;
                (key.into(), Arc::new(AtomicU64::new(0)))
            }
        };
        self.version = self.version.next();
        newest.store(self.version.get(), Ordering::Relaxed);
        let value = Arc::new(Value {
            topic: topic.clone(),
            key: Arc::clone(&key),
            version: self.version,
            is_deletion: false,
            payload,
            newest,
        });
        let keys = self.topics.entry(topic.clone()).or_default();
        if keys.is_empty() {
            self.names.insert(topic.clone());
        }
        keys.insert(key, Arc::clone(&value));
        Ok(value)
    }

    /// Removes `key`; `None` where it does not exist. `payload` announces the deletion.
    pub fn delete(&mut self, topic: &Topic, key: &str, payload: P) -> Option<Arc<Value<P>>> {
        let keys = self.topics.get_mut(topic)?;
        let old = keys.remove(key)?;
        if keys.is_empty() {
            self.topics.remove(topic);
            self.names.remove(topic);
        }
        self.keys -= 1;
        self.version = self.version.next();
        old.newest.store(self.version.get(), Ordering::Relaxed);
        Some(Arc::new(Value {
            topic: topic.clone(),
            key: Arc::clone(&old.key),
            version: self.version,
            is_deletion: true,
            payload,
            newest: Arc::clone(&old.newest),
        }))
    }

    /// The newest value of `key`.
    pub fn get(&self, topic: &Topic, key: &str) -> Option<&Arc<Value<P>>> {
        self.topics.get(topic)?.get(key)
    }

    /// What a new lane starts from.
    pub fn snapshot(&self, filters: &FilterSet) -> Snapshot<P> {
        let mut values: Vec<Arc<Value<P>>> = Vec::new();
        let mut take = |keys: &FxHashMap<Arc<str>, Arc<Value<P>>>| {
            values.extend(keys.values().cloned());
        };
        if filters.iter().all(bellwire_model::Filter::is_exact) {
            for filter in filters.iter() {
                let topic: Topic = filter.as_str().parse().expect("an exact filter is a topic");
                self.topics.get(&topic).into_iter().for_each(&mut take);
            }
        } else {
            let matching = self.topics.iter().filter(|(topic, _)| filters.matches(topic));
            matching.for_each(|(_, keys)| take(keys));
        }
        values.sort_unstable_by_key(|value| value.version);
        Snapshot { version: self.version, values }
    }

    /// Every value there is, in no order.
    pub fn values(&self) -> impl Iterator<Item = &Arc<Value<P>>> {
        self.topics.values().flat_map(|keys| keys.values())
    }

    /// The topics that begin with `prefix` and come after `after`, sorted by name, each with its
    /// number of keys.
    pub fn topics<'s>(
        &'s self,
        prefix: &'s str,
        after: &str,
    ) -> impl Iterator<Item = (&'s Topic, usize)> + use<'s, P> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let names = self.names.range::<str, _>((from, Bound::Unbounded));
        let names = names.take_while(move |topic| topic.as_str().starts_with(prefix));
        names.map(|topic| (topic, self.topics[topic].len()))
    }

    /// The number of keys in all topics.
    pub fn keys(&self) -> usize {
        self.keys
    }
}
