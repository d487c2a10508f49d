//! What others read of the table: single keys, snapshots, and page after page.

use std::ops::Bound;
use std::sync::Arc;

use bellwire_model::{Filter, FilterSet, Life, Progress, Topic, Version};

use super::changes::Changes;
use super::slots::{Kept, Slot};
use super::{StateFigures, StateTable};
use crate::entry::{Payload, Value};
use crate::index::TopicIndex;
use crate::lane::LaneId;

/// The newest change of each key that matches a filter, as of one version.
#[derive(Debug)]
pub struct Snapshot<P> {
    /// The table's life.
    pub(crate) life: Life,
    /// The newest version in the table when the snapshot was taken.
    pub version: Version,
    /// Deletions up to here may be forgotten.
    pub(crate) horizon: Progress,
    /// How many things in the table were looked at for it.
    pub(crate) looks: usize,
    changes: Vec<Arc<Value<P>>>,
}

impl<P> Snapshot<P> {
    /// The values, and the deletions that are remembered. Sorts them: call it when the table is free for
    /// others.
    pub(crate) fn into_changes(self) -> Vec<Arc<Value<P>>> {
        let mut changes = self.changes;
        // Stable sorts make use of what is in order: those of one topic are.
        changes.sort_by_key(|change| change.version);
        changes
    }
}

/// Where a key is that was found to be there, and which version it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPlace {
    pub(super) version: Version,
    pub(super) slot: u32,
}

/// A key that is there, and what the table has of its value.
#[derive(Debug)]
pub struct Look<'a, P> {
    /// Its topic.
    pub topic: &'a Topic,
    /// The key.
    pub key: &'a str,
    /// The payload.
    pub payload: Kept<'a, P>,
}

impl<P: Payload> StateTable<P> {
    /// The newest value of `key`, for somebody who only looks at it: what comes later makes it no
    /// older.
    pub fn get(&self, topic: &Topic, key: &str) -> Option<Arc<Value<P>>> {
        self.find_live(topic, key).map(|id| self.value(id))
    }

    /// What the table has of the newest value of `key`.
    pub fn look(&self, topic: &Topic, key: &str) -> Option<Kept<'_, P>> {
        self.find_live(topic, key).map(|id| self.slots.get(id).kept())
    }

    pub(super) fn value(&self, id: u32) -> Arc<Value<P>> {
        let topic = self.slots.get(id).topic;
        self.slots.value(id, &self.topics[topic as usize].topic)
    }

    /// The newest change of a topic, as far as it is known.
    pub fn newest_of(&self, topic: &Topic) -> Option<Progress> {
        let changes = &self.topics[*self.names.get(topic)? as usize];
        changes.newest().map(|id| self.value(id).reach())
    }

    /// What a new lane starts from.
    pub fn snapshot(&mut self, filters: &FilterSet) -> Snapshot<P> {
        let mut taken = Snapshot {
            life: self.life,
            version: self.version,
            horizon: self.horizon,
            looks: 0,
            changes: Vec::new(),
        };
        let topics;
        (topics, taken.looks) = self.matching(filters);
        for id in topics {
            self.take(id, &mut taken);
        }
        taken
    }

    /// The topics that match, and how many things were looked at to find them.
    pub(super) fn matching(&self, filters: &FilterSet) -> (Vec<u32>, usize) {
        let (plain, wild): (Vec<&Filter>, Vec<&Filter>) =
            filters.iter().partition(|filter| filter.is_exact());
        let mut looks = plain.len();
        // What is named without a wildcard passes no other filter: the set is canonical.
        let named = plain.iter().filter_map(|filter| self.names.get(filter.as_str()).copied());
        let mut topics: Vec<u32> = named.collect();
        let mut index = TopicIndex::new(self.hasher);
        for (number, filter) in wild.iter().enumerate() {
            index.insert(LaneId(number as u32), &FilterSet::from((*filter).clone()));
        }
        for (topic, id) in self.alike(&wild) {
            let passes = match &wild[..] {
                [filter] => filter.matches(topic),
                _ => index.is_reached(topic.as_str()),
            };
            looks += 1;
            if passes {
                topics.push(*id);
            }
        }
        (topics, looks)
    }

    /// Adds the newest changes of a topic.
    fn take(&mut self, id: u32, taken: &mut Snapshot<P>) {
        let changes = &self.topics[id as usize];
        taken.looks += changes.len();
        taken.horizon = taken.horizon.max(changes.horizon);
        let ids: Vec<u32> = changes.in_order(&self.slots).collect();
        taken.changes.reserve(ids.len());
        for id in ids {
            taken.changes.push(self.slots.share(id, &changes.topic));
        }
    }

    /// Where the keys are whose topics match, oldest change first.
    pub fn places(&self, filters: &FilterSet) -> Vec<KeyPlace> {
        let (topics, _) = self.matching(filters);
        let slots = topics.iter().flat_map(|id| self.topics[*id as usize].in_order(&self.slots));
        let live = slots.map(|id| (id, self.slots.get(id))).filter(|(_, slot)| slot.is_live());
        let place = |(id, slot): (u32, &Slot<P>)| KeyPlace { version: slot.version, slot: id };
        let mut places: Vec<KeyPlace> = live.map(place).collect();
        // A stable sort makes use of what is in order: those of one topic are.
        places.sort();
        places
    }

    /// The values in the first of these places as they are now, without keys that have gone meanwhile,
    /// and in how many places that was looked for them. There are no further ones once those that were
    /// found are charged with so many bytes: what is packed of them is copied.
    pub fn values_at(
        &self,
        places: &[KeyPlace],
        filters: &FilterSet,
        bytes_max: usize,
    ) -> (Vec<Arc<Value<P>>>, usize) {
        let is_there = |place: &KeyPlace, slot: &Slot<P>| {
            // In the place of a key that is forgotten there may be another's.
            slot.is_live()
                && (slot.version == place.version
                    || filters.matches(&self.topics[slot.topic as usize].topic))
        };
        let (mut values, mut bytes) = (Vec::new(), 0);
        for (looked, place) in places.iter().enumerate() {
            if bytes >= bytes_max {
                return (values, looked);
            }
            let slot = self.slots.find(place.slot);
            if let Some(slot) = slot.filter(|slot| is_there(place, slot)) {
                bytes += slot.charge().size_bytes;
                values.push(self.value(place.slot));
            }
        }
        (values, places.len())
    }

    /// The topics that may pass filters with wildcards, each once however many filters there are:
    /// those that begin as one of them does up to its first wildcard.
    fn alike<'a>(&'a self, filters: &[&'a Filter]) -> impl Iterator<Item = (&'a Topic, &'a u32)> {
        let before_wildcard = |filter: &&'a Filter| filter.as_str().split('*').next();
        let mut beginnings: Vec<&str> = filters.iter().filter_map(before_wildcard).collect();
        beginnings.sort_unstable();
        // What begins as a longer one does begins as a shorter one does.
        beginnings.dedup_by(|longer, shorter| longer.starts_with(*shorter));
        // `a/**` has the topic `a`, too.
        let is_apart =
            |root: &&str| !beginnings.iter().any(|beginning| root.starts_with(beginning));
        let roots = filters.iter().filter_map(|filter| filter.as_str().strip_suffix("/**"));
        let roots: Vec<&str> = roots.filter(is_apart).collect();
        let roots = roots.into_iter().filter_map(|root| self.names.get_key_value(root));
        let beginning = beginnings.into_iter().flat_map(|beginning| {
            let from = self.names.range::<str, _>((Bound::Included(beginning), Bound::Unbounded));
            from.take_while(move |(topic, _)| topic.as_str().starts_with(beginning))
        });
        roots.chain(beginning)
    }

    /// The keys in `looks` places from `place` on, and the next place; `None`: there are no more.
    /// Whoever goes from place to place meets every key that is there all the while.
    pub fn look_at(
        &self,
        place: usize,
        looks: usize,
    ) -> (impl Iterator<Item = Look<'_, P>>, Option<usize>) {
        let end = (place + looks).min(self.slots.places());
        let next = (end < self.slots.places()).then_some(end);
        let look = |id| {
            let slot = self.slots.get(id);
            let key = std::str::from_utf8(slot.key()).expect("it was a text");
            let topic = &self.topics[slot.topic as usize].topic;
            Look { topic, key, payload: slot.kept() }
        };
        (self.slots.between(place, end).map(look), next)
    }

    /// Every value there is, in no order, for somebody who only looks at them.
    pub fn values(&self) -> impl Iterator<Item = Arc<Value<P>>> {
        self.slots.between(0, self.slots.places()).map(|id| self.value(id))
    }

    /// The topics that begin with `prefix` and come after `after` and have keys, sorted by name.
    pub fn topics<'s>(
        &'s self,
        prefix: &'s str,
        after: &str,
    ) -> impl Iterator<Item = (&'s Topic, StateFigures)> + use<'s, P> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let names = self.names.range::<str, _>((from, Bound::Unbounded));
        let names = names.take_while(move |(topic, _)| topic.as_str().starts_with(prefix));
        let figures = |id: &u32| {
            let Changes { live, count, .. } = &self.topics[*id as usize];
            StateFigures { keys: *live, changes: *count }
        };
        let names = names.map(move |(topic, id)| (topic, figures(id)));
        names.filter(|(_, figures)| figures.keys > 0)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::NameHasher;

    use super::*;
    use crate::StateLimits;

    const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };

    fn topic(text: &str) -> Topic {
        text.parse().expect("a topic")
    }

    #[test]
    fn a_topic_is_looked_at_once_however_many_filters_there_are() {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        for number in 0..100 {
            let topic = topic(&format!("users/{number}/name"));
            table.put((&topic, "key"), ((), 0), ROOM).expect("room");
        }
        table.put((&topic("rooms"), "key"), ((), 0), ROOM).expect("room");
        let looks = |texts: &[String]| {
            let filters: Vec<Filter> = texts.iter().map(|text| text.parse().expect(text)).collect();
            table.alike(&filters.iter().collect::<Vec<_>>()).count()
        };
        let apart: Vec<String> = (0..64).map(|number| format!("*/{number}/age")).collect();
        assert_eq!(looks(&apart), 101);
        let within: Vec<String> = (0..64).map(|number| format!("users/{number}/*")).collect();
        assert_eq!(looks(&within), 64);
        assert_eq!(looks(&["users/*/age".into(), "users/1/*".into(), "rooms/**".into()]), 101);
    }
}
