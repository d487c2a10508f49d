//! The key of a state topic, as what lanes remember of keys is found by it.

use std::sync::Arc;

use bellwire_model::Topic;
use hashbrown::Equivalent;

use crate::entry::Value;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Topic, Arc<str>);

impl Key {
    pub(crate) fn of<P>(value: &Value<P>) -> Self {
        Self(value.topic.clone(), Arc::clone(&value.key))
    }
}

/// A [`Key`] to look for; the two hash alike.
#[derive(Hash)]
pub(crate) struct Named<'a>(&'a str, &'a str);

impl<'a> Named<'a> {
    pub(crate) fn of<P>(value: &'a Value<P>) -> Self {
        Self(value.topic.as_str(), &value.key)
    }
}

impl Equivalent<Key> for Named<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.1 == *key.1 && self.0 == key.0.as_str()
    }
}
