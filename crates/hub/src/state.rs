//! The state table: the newest value of every key of every state topic.
//!
//! ```text
//! index: (topic, key) ─▶ slot: the value, or that it was deleted
//! names: topic ─▶ its changes in order, by slot
//! ```
//!
//! A value is there as a whole while somebody else has it, and packed at rest: see [`slots`].
//!
//! A value knows the one that came after it, so whoever has not sent it yet can tell that it need
//! not. A key that is gone is remembered for a while: whoever comes back learns of it, and one that is
//! put again, however often, is one change to whoever is slow. What is forgotten stands behind a
//! *horizon*: who has seen less than that cannot resume.

mod beginning;
mod changes;
mod conditions;
mod deadlines;
mod forgetting;
mod index;
mod pasts;
mod reading;
mod record;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bellwire_model::limits::STATE_TOPICS_MAX;
use bellwire_model::{FilterSet, Life, NameHasher, Offset, Progress, Topic, Version};
use slab::Slab;
use thiserror::Error;

use crate::entry::{Payload, Value};
use changes::{Changes, Deletions};
use index::{Index, Keys};
use pasts::Pasts;
use slots::{Charge, Slot, Slots, charge_bytes};

pub use beginning::KeysWalk;
pub use conditions::{Change, ChangeError, Reserved};
pub use pasts::{PastPage, PastPageLimits, PastPlace};
pub use reading::{KeyPlace, Look, Snapshot};
pub use slots::Kept;

/// How much a table may hold for a key to be put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// Keys, of all topics.
    pub keys_max: usize,
    /// Bytes, as [`StateTable::size_bytes`] counts them.
    pub bytes_max: usize,
}

impl StateLimits {
    /// Whether a table of so many keys and bytes takes a key that is charged with so much in place of
    /// what there is of it.
    fn check(
        self,
        (live, live_bytes): (usize, usize),
        (held, size_bytes): (Option<Charge>, usize),
    ) -> Result<(), StateError> {
        if held.is_none() && live >= self.keys_max {
            return Err(StateError::Keys { keys_max: self.keys_max });
        }
        let Charge { size_bytes: before, charged_bytes: freed } = held.unwrap_or_default();
        // Whatever is remembered of what is gone gives way.
        if size_bytes > before && live_bytes - freed + size_bytes > self.bytes_max {
            return Err(StateError::Bytes { bytes_max: self.bytes_max });
        }
        Ok(())
    }
}

/// The table holds as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// As many keys.
    #[error(
        "state topics hold at most {keys_max} keys together; delete some, or publish to a stream"
    )]
    Keys {
        /// The limit.
        keys_max: usize,
    },
    /// As many topics.
    #[error(
        "there are at most {topics_max} state topics together; put the keys into fewer of them"
    )]
    Topics {
        /// The limit.
        topics_max: usize,
    },
    /// As many bytes.
    #[error(
        "state topics hold at most {bytes_max} bytes together; delete keys, or publish smaller values"
    )]
    Bytes {
        /// The limit.
        bytes_max: usize,
    },
}

/// What a change makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has a new value.
    There,
    /// It is deleted.
    Gone,
}

/// The same, and where the change is on the disk.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Put(Option<Offset>),
    Deletion(Option<Offset>),
}

/// What a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateFigures {
    /// Keys that are there.
    pub keys: usize,
    /// Changes since it came about, in this process: values and deletions.
    pub changes: u64,
}

/// One for the process. Its owner passes each value that [`put`](Self::put) and
/// [`delete`](Self::delete) return to every hub, in this order.
#[derive(Debug)]
pub struct StateTable<P> {
    life: Life,
    hasher: NameHasher,
    version: Version,
    /// The newest change that is on the disk.
    durable: Offset,
    slots: Slots<P>,
    index: Index,
    topics: Slab<Changes>,
    /// In order: those that a filter may match stand together.
    names: BTreeMap<Topic, u32>,
    /// The deletions of all topics.
    deletions: Deletions,
    /// The newest deletion that is forgotten of topics of which nothing is known any more.
    horizon: Progress,
    /// Whether it is being loaded, see [`load`](Self::load).
    is_loading: bool,
    /// What has been measured of series.
    pasts: Pasts,
    topics_max: usize,
    /// Bytes that shared values may take for others to be.
    shared_bytes_max: usize,
    /// Room for changes that are yet to be made.
    reserved: Reserved,
}

/// As how many of its values without an encoding one counts that is shared: most have some.
const SHARED_VALUE_WEIGHT: usize = 2;

impl<P: Payload> StateTable<P> {
    /// An empty table, whose life nobody has heard of yet. The hasher's secret keeps strangers from
    /// choosing keys that collide.
    pub fn new(life: Life, hasher: NameHasher) -> Self {
        Self {
            life,
            hasher,
            version: Version::ZERO,
            durable: Offset::ZERO,
            slots: Slots::new(life, hasher),
            index: Index::new(hasher),
            topics: Slab::new(),
            names: BTreeMap::new(),
            deletions: Deletions::default(),
            horizon: Progress::ZERO,
            is_loading: false,
            pasts: Pasts::default(),
            topics_max: STATE_TOPICS_MAX,
            shared_bytes_max: usize::MAX,
            reserved: Reserved::default(),
        }
    }

    /// Says how many bytes shared values may take for others [to be](Self::may_share).
    pub fn set_shared_bytes_max(&mut self, bytes_max: usize) {
        self.shared_bytes_max = bytes_max;
    }

    /// Whether there is room for the values that match to be shared, with all that are.
    pub fn may_share(&self, filters: &FilterSet) -> bool {
        let values_max = self.shared_bytes_max / (SHARED_VALUE_WEIGHT * size_of::<Value<P>>());
        if self.slots.len() <= values_max {
            return true;
        }
        let free = values_max.saturating_sub(self.slots.shared_len());
        let (topics, _) = self.matching(filters);
        let matching: usize = topics.iter().map(|id| self.topics[*id as usize].len()).sum();
        if matching <= free {
            return true;
        }
        // Those that are shared already take nothing more, however many they have become since somebody
        // began to follow them: others find room for streams, and for what is followed.
        let slots = topics.iter().flat_map(|id| self.topics[*id as usize].in_order(&self.slots));
        slots.filter(|id| !self.slots.is_shared(*id)).nth(free).is_none()
    }

    /// Whether there may be a topic of this name beside so many others that there are to be.
    fn has_place_for(&self, topic: &Topic, others: usize) -> bool {
        self.names.len() + others < self.topics_max || self.names.contains_key(topic)
    }

    /// The life in which its versions mean something.
    pub fn life(&self) -> Life {
        self.life
    }

    /// The newest change.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Deletions up to here, of what is on the disk, are remembered by nobody: of a topic, or of all
    /// that nothing is known of.
    pub fn forget_durable(&mut self, topic: Option<&Topic>, offset: Offset) {
        let known = topic.and_then(|topic| self.names.get(topic));
        let horizon = match known {
            Some(id) => &mut self.topics[*id as usize].horizon,
            None => &mut self.horizon,
        };
        horizon.durable = horizon.durable.max(offset);
        // Who comes back behind it has seen all that there is, and must be told a cursor that says so.
        self.durable = self.durable.max(offset);
    }

    /// The newest change.
    pub fn progress(&self) -> Progress {
        Progress { version: self.version, durable: self.durable }
    }

    /// The newest change that is on the disk.
    pub fn durable(&self) -> Offset {
        self.durable
    }

    fn known(&self) -> Keys<'_, P> {
        Keys { slots: &self.slots, topics: &self.topics }
    }

    fn find(&self, topic: &Topic, key: &str) -> Option<u32> {
        self.index.find((topic, key), self.known())
    }

    fn find_live(&self, topic: &Topic, key: &str) -> Option<u32> {
        self.find(topic, key).filter(|id| self.slots.get(*id).is_live())
    }

    /// Replaces the value of `key`. A new key is refused where there is no room for it, and so is a
    /// larger value than before. The payload comes with its size in bytes, beside topic and key.
    pub fn put(
        &mut self,
        (topic, key): (&Topic, &str),
        (payload, size_bytes): (P, usize),
        room: StateLimits,
    ) -> Result<Arc<Value<P>>, StateError> {
        let found = self.find(topic, key);
        let needed = (self.charge_of(found), charge_bytes(key, size_bytes));
        room.check(self.taken(), needed)?;
        if found.is_none() && !self.has_place_for(topic, 0) {
            return Err(StateError::Topics { topics_max: self.topics_max });
        }
        let value = self.change(found, (topic, key), (payload, size_bytes), Kind::Put(None));
        self.make_room(room.bytes_max);
        Ok(value)
    }

    /// Takes in a change that is on the disk at `offset`, whatever room there is: it has happened.
    /// Who lets it happen has room [set aside](Self::reserve) before.
    pub fn put_durable(
        &mut self,
        (topic, key): (&Topic, &str),
        payload: (P, usize),
        offset: Offset,
    ) -> Arc<Value<P>> {
        self.change(self.find(topic, key), (topic, key), payload, Kind::Put(Some(offset)))
    }

    /// The same of a key that went. It need not be known: after a restart the table learns of keys
    /// that are gone.
    pub fn delete_durable(
        &mut self,
        (topic, key): (&Topic, &str),
        payload: (P, usize),
        offset: Offset,
    ) -> Arc<Value<P>> {
        self.change(self.find(topic, key), (topic, key), payload, Kind::Deletion(Some(offset)))
    }

    /// What a key takes that is there.
    fn charge_of(&self, found: Option<u32>) -> Option<Charge> {
        found.map(|id| self.slots.get(id)).filter(|slot| slot.is_live()).map(Slot::charge)
    }

    /// The next change of a key.
    fn change(
        &mut self,
        found: Option<u32>,
        name: (&Topic, &str),
        (payload, size_bytes): (P, usize),
        kind: Kind,
    ) -> Arc<Value<P>> {
        let (bare, topic_id) = self.begin_change(found, name, kind);
        let value = Arc::new(bare.with(payload));
        self.end_change(found, Slot::shared((&value, topic_id), size_bytes));
        value
    }

    /// Takes in a change that is on the disk while the table is [loaded](Self::load), with what
    /// `pack` writes of its payload and the size of that. The change is the newest of all.
    pub fn load_packed(
        &mut self,
        (topic, key): (&Topic, &str),
        payload: (impl FnOnce(&mut Vec<u8>), usize),
        (offset, fate): (Offset, Fate),
    ) {
        let found = self.find(topic, key);
        let kind = match fate {
            Fate::There => Kind::Put(Some(offset)),
            Fate::Gone => Kind::Deletion(Some(offset)),
        };
        let (bare, topic_id) = self.begin_change(found, (topic, key), kind);
        let slot = self.slots.packed((&bare, topic_id), payload);
        self.end_change(found, slot);
    }

    /// What the next change of a key is, and the number of its topic. The one before counts no more.
    fn begin_change(
        &mut self,
        found: Option<u32>,
        (topic, key): (&Topic, &str),
        kind: Kind,
    ) -> (Value<()>, u32) {
        let (is_deletion, on_disk) = match kind {
            Kind::Put(on_disk) => (false, on_disk),
            Kind::Deletion(on_disk) => (true, on_disk),
        };
        self.version = self.version.next();
        self.durable = on_disk.map_or(self.durable, |offset| self.durable.max(offset));
        let topic_id = self.leave_place(found).unwrap_or_else(|| self.topic_id(topic));
        let bare = Value {
            topic: self.topics[topic_id as usize].topic.clone(),
            key: found.and_then(|id| self.slots.shared_key(id)).unwrap_or_else(|| key.into()),
            version: self.version,
            durable: self.durable,
            is_durable: on_disk.is_some(),
            is_deletion,
            payload: (),
            successor: AtomicU64::new(0),
        };
        (bare, topic_id)
    }

    fn end_change(&mut self, found: Option<u32>, slot: Slot<P>) {
        let (topic_id, is_live) = (slot.topic, slot.is_live());
        let id = self.slots.set(found, slot);
        let changes = &mut self.topics[topic_id as usize];
        changes.push(id, &mut self.slots);
        changes.live += usize::from(is_live);
        changes.count += 1;
        if is_live {
            self.pasts.latest = id;
        } else {
            changes.deletions.push((self.version, id), &self.slots);
            self.deletions.push((self.version, id), &self.slots);
        }
        if found.is_none() {
            let Self { index, slots, topics, .. } = self;
            index.insert(id, Keys { slots, topics });
        }
        if !is_live && !self.is_loading {
            self.forget_beyond_those_of(topic_id);
            self.forget_beyond_all();
        }
    }

    /// The change of a key that is known counts no more; returns the topic's number.
    fn leave_place(&mut self, found: Option<u32>) -> Option<u32> {
        let id = found?;
        self.slots.supersede(id, self.version);
        let slot = self.slots.get(id);
        let (topic_id, is_live) = (slot.topic, slot.is_live());
        let changes = &mut self.topics[topic_id as usize];
        changes.remove(id, &mut self.slots);
        if is_live {
            changes.live -= 1;
        } else {
            changes.deletions.count -= 1;
            self.deletions.count -= 1;
        }
        Some(topic_id)
    }

    fn topic_id(&mut self, topic: &Topic) -> u32 {
        self.names.get(topic).copied().unwrap_or_else(|| {
            let id = self.topics.insert(Changes::new(topic.clone())) as u32;
            self.names.insert(topic.clone(), id);
            id
        })
    }

    /// Removes `key`; `None` where it does not exist. `payload` announces the deletion.
    pub fn delete(
        &mut self,
        (topic, key): (&Topic, &str),
        payload: (P, usize),
    ) -> Option<Arc<Value<P>>> {
        let id = self.find_live(topic, key)?;
        Some(self.change(Some(id), (topic, key), payload, Kind::Deletion(None)))
    }

    /// Looks at so many of the values that are shared, round and round. Those that nobody else has any
    /// more are packed, up to so many bytes at once. Of the others it is counted what they take: that
    /// may be more than when they came, once they are in use, and limits in bytes hold for it, too.
    /// Returns how many are shared, or a few more.
    pub fn settle(&mut self, looks: usize, grown_bytes: impl Fn(&P) -> usize) -> usize {
        self.slots.settle(looks, grown_bytes)
    }

    /// The number of keys in all topics.
    pub fn keys(&self) -> usize {
        self.slots.live()
    }

    /// Bytes that the table is charged with: payloads, keys, what is around them, and what they have
    /// grown by as far as that was counted.
    pub fn size_bytes(&self) -> usize {
        self.slots.live_bytes() + self.slots.gone_bytes()
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::Filter;
    use bellwire_model::limits::{DELETIONS_OF_TOPIC_MIN, STATE_PACKED_BYTES_MAX};

    use super::*;

    const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };

    fn topic(text: &str) -> Topic {
        text.parse().expect("a topic")
    }

    #[test]
    fn there_are_so_many_topics_and_no_more() {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        table.topics_max = 2;
        let names = ["a", "b", "c"].map(topic);
        let full = StateError::Topics { topics_max: 2 };
        let change = |number: usize, is_put: bool| Change {
            topic: &names[number],
            key: "key",
            condition: bellwire_model::Condition::Always,
            size_bytes: is_put.then_some(0),
            expires: false,
            room: ROOM,
        };
        let [a, b, c] = [0, 1, 2].map(|number| change(number, true));
        assert_eq!(table.check_all(&[a, b]), Ok(()));
        assert_eq!(table.check_all(&[a, a, b, c]), Err((3, ChangeError::Full(full))));
        for name in &names[..2] {
            table.put((name, "key"), ((), 0), ROOM).expect("room");
        }
        assert_eq!(table.check_all(&[a, c]), Err((1, ChangeError::Full(full))));
        assert_eq!(table.put((&names[2], "key"), ((), 0), ROOM).map(drop), Err(full));
        table.put((&names[1], "other"), ((), 0), ROOM).expect("the topic is there");
        for key in ["key", "other"] {
            table.delete((&names[1], key), ((), 0)).expect("it is there");
        }
        table.make_room(0);
        table.forget_oldest();
        table.forget_oldest();
        table.put((&names[2], "key"), ((), 0), ROOM).expect("a place is free");
    }

    #[test]
    fn what_nobody_shares_yet_is_shared_where_there_is_room() {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        let [many, few] = ["many", "few"].map(topic);
        for number in 0..100 {
            table.put((&many, &number.to_string()), ((), 0), ROOM).expect("room");
        }
        table.put((&few, "a"), ((), 0), ROOM).expect("room");
        assert_eq!(table.settle(1_000, |()| 0), 0, "nobody has any");
        let has_room = |table: &StateTable<()>, text: &str| {
            table.may_share(&text.parse::<Filter>().expect("a filter").into())
        };
        let values = |count: usize| count * SHARED_VALUE_WEIGHT * size_of::<Value<()>>();
        assert!(has_room(&table, "**"));
        table.set_shared_bytes_max(values(101));
        assert!(has_room(&table, "**"));
        table.set_shared_bytes_max(values(100));
        assert!(!has_room(&table, "**") && has_room(&table, "many") && has_room(&table, "few"));
        let filters: FilterSet = Filter::from(&many).into();
        let had = table.snapshot(&filters);
        assert!(!has_room(&table, "**") && has_room(&table, "nothing"));
        drop(had);
        table.settle(1_000, |()| 0);
        assert!(has_room(&table, "few"), "what nobody has any more takes no room");
    }

    #[test]
    fn values_that_have_become_more_while_they_are_followed_keep_nobody_from_anything_else() {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        let [many, few] = ["many", "few"].map(topic);
        let values_max = 10;
        table.set_shared_bytes_max(values_max * SHARED_VALUE_WEIGHT * size_of::<Value<()>>());
        let put = |number: usize| (many.clone(), number.to_string());
        let mut followed = Vec::new();
        for (topic, key) in (0..values_max * 10).map(put) {
            followed.push(table.put((&topic, &key), ((), 0), ROOM).expect("room"));
        }
        drop(table.put((&few, "a"), ((), 0), ROOM).expect("room"));
        assert_eq!(table.settle(1_000, |()| 0), followed.len(), "what is followed is shared");
        let has_room = |table: &StateTable<()>, text: &str| {
            table.may_share(&text.parse::<Filter>().expect("a filter").into())
        };
        assert!(has_room(&table, "a/stream"), "it has no values");
        assert!(has_room(&table, "many"), "all of them are shared already");
        assert!(!has_room(&table, "few") && !has_room(&table, "**"), "there is one more");
        followed.truncate(values_max - 1);
        table.settle(1_000, |()| 0);
        assert!(has_room(&table, "few") && !has_room(&table, "many"));
    }

    #[test]
    fn what_is_packed_at_once_is_bounded_in_bytes() {
        const VALUE_BYTES: usize = 64 * 1024;
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        let topic = topic("blobs");
        for key in 0..200 {
            let (key, value) = (key.to_string(), ((), VALUE_BYTES));
            table.put((&topic, &key), value, ROOM).expect("room");
        }
        let mut left = 200;
        while left > 0 {
            let now = table.settle(1_000, |()| 0);
            assert!(now < left && (left - now - 1) * VALUE_BYTES <= STATE_PACKED_BYTES_MAX);
            left = now;
        }
    }

    #[test]
    fn a_topic_that_had_many_keys_remembers_some_deletions_and_forgets_the_others() {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        let topic = topic("users");
        let keys: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        for key in &keys {
            table.put((&topic, key), ((), 0), ROOM).expect("room");
        }
        for key in &keys[1..] {
            table.delete((&topic, key), ((), 0)).expect("it is there");
        }
        assert_eq!(table.topics[0].len(), 1 + DELETIONS_OF_TOPIC_MIN);
        let snapshot = |table: &mut StateTable<()>| table.snapshot(&Filter::from(&topic).into());
        // The first key stays, and each of the others was put, and then deleted.
        let newest = 2 * keys.len() - 1;
        assert_eq!(snapshot(&mut table).version, Version::new(newest as u64));
        let horizon = newest - DELETIONS_OF_TOPIC_MIN;
        assert_eq!(snapshot(&mut table).horizon.version, Version::new(horizon as u64));
        assert_eq!(snapshot(&mut table).into_changes().len(), 1 + DELETIONS_OF_TOPIC_MIN);
        assert_eq!(table.places(&Filter::from(&topic).into()).len(), 1);
        // Whatever is remembered gives way to what is put.
        let room = StateLimits { bytes_max: table.slots.live_bytes() * 2, ..ROOM };
        // Unless that makes no room.
        let less = StateLimits { bytes_max: table.slots.live_bytes() - 1, ..ROOM };
        table.put((&topic, &keys[0]), ((), 0), less).expect("it is no larger");
        assert_eq!(table.slots.gone(), DELETIONS_OF_TOPIC_MIN);
        table.put((&topic, &keys[1]), ((), 0), room).expect("room");
        assert_eq!(table.slots.gone(), 0);
        assert_eq!(snapshot(&mut table).horizon.version, Version::new(newest as u64));
        for key in &keys[..2] {
            table.delete((&topic, key), ((), 0)).expect("it is there");
        }
        assert_eq!(table.topics("", "").count(), 0, "nothing to be seen");
        table.make_room(0);
        assert!(table.topics.is_empty() && table.names.is_empty());
        assert_eq!(table.size_bytes(), 0);
        let other = table.snapshot(&"other".parse::<Filter>().expect("a filter").into());
        assert_eq!(
            other.horizon.version, table.version,
            "what is forgotten may have been of any topic"
        );
    }
}
