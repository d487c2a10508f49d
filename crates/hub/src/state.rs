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
mod index;
mod pasts;
mod record;
mod slots;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bellwire_model::limits::{
    DELETIONS_REMEMBERED_BYTES_MAX, DELETIONS_REMEMBERED_MAX, STATE_TOPICS_MAX,
};
use bellwire_model::{Filter, FilterSet, Life, NameHasher, Offset, Progress, Topic, Version};
use slab::Slab;
use thiserror::Error;

use crate::entry::{Payload, Value};
use crate::index::TopicIndex;
use crate::lane::LaneId;
use changes::{Changes, Deletions};
use index::{Index, Keys};
use pasts::Pasts;
use slots::{Charge, Slot, Slots, charge_bytes};

pub use beginning::KeysWalk;
pub use conditions::{Change, ChangeError, Reserved};
pub use pasts::{PastPage, PastPageLimits, PastPlace};
pub use slots::Kept;

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
    version: Version,
    slot: u32,
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

    /// Takes in what is on the disk, in its order: no deletion is forgotten before all keys are
    /// known, of which as many are remembered.
    pub fn load<R>(&mut self, fill: impl FnOnce(&mut Self) -> R) -> R {
        self.begin_load();
        let filled = fill(self);
        self.end_load();
        filled
    }

    /// What is on the disk follows: see [`load`](Self::load).
    pub fn begin_load(&mut self) {
        self.is_loading = true;
    }

    /// All of it has come.
    pub fn end_load(&mut self) {
        self.is_loading = false;
        // Some stay of each topic, so that none goes.
        for id in self.names.values().copied().collect::<Vec<_>>() {
            self.forget_beyond_those_of(id);
        }
        self.forget_beyond_all();
    }

    fn forget_beyond_those_of(&mut self, topic_id: u32) {
        while self.topics[topic_id as usize].remembers_too_much() {
            let oldest = self.topics[topic_id as usize].deletions.oldest(&self.slots);
            self.forget(oldest.expect("as many are remembered as are counted"));
        }
    }

    fn forget_beyond_all(&mut self) {
        while self.slots.gone() > DELETIONS_REMEMBERED_MAX
            || self.slots.gone_bytes() > DELETIONS_REMEMBERED_BYTES_MAX
        {
            self.forget_oldest();
        }
    }

    /// Forgets deletions while everything together takes more than this. Where values alone do, which
    /// others may who have more room, that would be of no use.
    pub fn make_room(&mut self, bytes_max: usize) {
        if self.slots.live_bytes() > bytes_max {
            return;
        }
        while self.slots.gone() > 0 && self.size_bytes() > bytes_max {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.deletions.oldest(&self.slots);
        self.forget(oldest.expect("as many are remembered as are counted"));
    }

    /// Forgets a deletion, and the topic of which nothing else is known.
    fn forget(&mut self, id: u32) {
        let slot = self.slots.get(id);
        let (topic_id, horizon) = (slot.topic, slot.horizon());
        self.pasts.forget((topic_id, id));
        let Self { index, slots, topics, .. } = self;
        index.remove(id, Keys { slots, topics });
        self.deletions.count -= 1;
        let changes = &mut self.topics[topic_id as usize];
        changes.remove(id, &mut self.slots);
        self.slots.forget(id);
        changes.deletions.count -= 1;
        changes.horizon = changes.horizon.max(horizon);
        if changes.is_over() {
            self.horizon = self.horizon.max(changes.horizon);
            let Changes { topic, .. } = self.topics.remove(topic_id as usize);
            self.names.remove(&topic);
        }
    }

    /// The newest value of `key`, for somebody who only looks at it: what comes later makes it no
    /// older.
    pub fn get(&self, topic: &Topic, key: &str) -> Option<Arc<Value<P>>> {
        self.find_live(topic, key).map(|id| self.value(id))
    }

    /// What the table has of the newest value of `key`.
    pub fn look(&self, topic: &Topic, key: &str) -> Option<Kept<'_, P>> {
        self.find_live(topic, key).map(|id| self.slots.get(id).kept())
    }

    fn value(&self, id: u32) -> Arc<Value<P>> {
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
    fn matching(&self, filters: &FilterSet) -> (Vec<u32>, usize) {
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

    /// Looks at so many of the values that are shared, round and round. Those that nobody else has any
    /// more are packed, up to so many bytes at once. Of the others it is counted what they take: that may be more than when they
    /// came, once they are in use, and limits in bytes hold for it, too. Returns how many are shared,
    /// or a few more.
    pub fn settle(&mut self, looks: usize, grown_bytes: impl Fn(&P) -> usize) -> usize {
        self.slots.settle(looks, grown_bytes)
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

    /// The topics that begin with `prefix` and come after `after`, sorted by name, each with its
    /// number of keys.
    pub fn topics<'s>(
        &'s self,
        prefix: &'s str,
        after: &str,
    ) -> impl Iterator<Item = (&'s Topic, usize)> + use<'s, P> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let names = self.names.range::<str, _>((from, Bound::Unbounded));
        let names = names.take_while(move |(topic, _)| topic.as_str().starts_with(prefix));
        let names = names.map(|(topic, id)| (topic, self.topics[*id as usize].live));
        names.filter(|(_, keys)| *keys > 0)
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
    use bellwire_model::limits::{DELETIONS_OF_TOPIC_MIN, STATE_PACKED_BYTES_MAX};

    use super::*;

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
