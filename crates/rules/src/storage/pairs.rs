//! Label sets in little room: a pair of a name and a value is kept once, however many series
//! have it.

use bellwire_model::{Labels, METRIC_NAME, NameHasher};
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZero;

use super::room_by_little;

/// The number of a pair; used again once no set has it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PairId(u32);

/// A label set that is kept: how many pairs it has, and where they are among the sets of as many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairSet {
    place: u32,
    /// One more than the number of pairs: what is zero is no set.
    beyond: NonZero<u8>,
}

impl PairSet {
    /// The set without pairs; it takes nothing, and need not be given back.
    pub(crate) const EMPTY: Self = Self { place: 0, beyond: NonZero::<u8>::MIN };

    fn len(self) -> usize {
        usize::from(self.beyond.get()) - 1
    }
}

/// All pairs of all sets.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    slots: Vec<Pair>,
    ids: HashTable<PairId>,
    free: Vec<PairId>,
    /// The sets, by their lengths.
    shelves: Vec<Shelf>,
}

/// Sets of one length, one behind the other: a list of its own for each would take more than what
/// is in it.
#[derive(Debug, Default)]
struct Shelf {
    ids: Vec<PairId>,
    free: Vec<u32>,
}

impl Shelf {
    fn put(&mut self, set: &[PairId]) -> u32 {
        if let Some(place) = self.free.pop() {
            self.ids[place as usize * set.len()..][..set.len()].copy_from_slice(set);
            return place;
        }
        if self.ids.capacity() - self.ids.len() < set.len() {
            self.ids.reserve_exact(room_by_little(self.ids.len()).max(set.len()));
        }
        let place = self.ids.len() / set.len();
        self.ids.extend_from_slice(set);
        place as u32
    }
}

#[derive(Debug)]
struct Pair {
    /// The name, then the value.
    text: Box<str>,
    name_bytes: u32,
    /// Sets that have it.
    users: u32,
}

impl Pair {
    fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.name_bytes as usize)
    }
}

impl Pairs {
    /// The pairs of a set, kept until they are given back.
    pub(crate) fn take(&mut self, labels: &Labels) -> PairSet {
        let ids: Vec<PairId> = labels.iter().map(|pair| self.take_one(pair)).collect();
        if ids.is_empty() {
            return PairSet::EMPTY;
        }
        if self.shelves.len() <= ids.len() {
            self.shelves.resize_with(ids.len() + 1, Shelf::default);
        }
        let place = self.shelves[ids.len()].put(&ids);
        PairSet { place, beyond: NonZero::<u8>::MIN.saturating_add(ids.len() as u8) }
    }

    fn take_one(&mut self, pair: (&str, &str)) -> PairId {
        let (slots, hash) = (&mut self.slots, hash(pair));
        if let Some(id) = self.ids.find(hash, |id| slots[id.0 as usize].parts() == pair) {
            slots[id.0 as usize].users += 1;
            return *id;
        }
        let text = [pair.0, pair.1].concat().into();
        let new = Pair { text, name_bytes: pair.0.len() as u32, users: 1 };
        let id = if let Some(id) = self.free.pop() {
            slots[id.0 as usize] = new;
            id
        } else {
            slots.push(new);
            PairId(slots.len() as u32 - 1)
        };
        self.ids.insert_unique(hash, id, |id| self::hash(slots[id.0 as usize].parts()));
        id
    }

    /// Nobody has this set any more.
    pub(crate) fn give_back(&mut self, set: PairSet) {
        if set.len() == 0 {
            return;
        }
        for id in ids_in(&self.shelves, set) {
            let slot = &mut self.slots[id.0 as usize];
            slot.users -= 1;
            if slot.users == 0 {
                let held = self.ids.find_entry(hash(slot.parts()), |held| held == id);
                held.expect("a pair in use is among all").remove();
                slot.text = Box::default();
                slot.name_bytes = 0;
                self.free.push(*id);
            }
        }
        self.shelves[set.len()].free.push(set.place);
    }

    pub(crate) fn labels(&self, set: PairSet) -> Labels {
        Labels::from_pairs(self.iter(set)).expect("they were taken from labels")
    }

    /// Whether a set has just these pairs.
    pub(crate) fn are(&self, set: PairSet, labels: &Labels) -> bool {
        let ids = ids_in(&self.shelves, set);
        ids.len() == labels.len()
            && ids.iter().zip(labels.joined()).all(|(id, (text, name_bytes))| {
                let pair = &self.slots[id.0 as usize];
                pair.name_bytes as usize == name_bytes && pair.text.as_bytes() == text
            })
    }

    /// The hash of a set.
    pub(crate) fn hash(&self, set: PairSet) -> u64 {
        set_hash(self.iter(set))
    }

    pub(super) fn metric_name(&self, set: PairSet) -> &str {
        let name = self.iter(set).find(|(name, _)| *name == METRIC_NAME);
        name.map(|(_, value)| value).unwrap_or_default()
    }

    /// The pairs of a set, sorted by name.
    fn iter(&self, set: PairSet) -> impl Iterator<Item = (&str, &str)> {
        ids_in(&self.shelves, set).iter().map(|id| self.slots[id.0 as usize].parts())
    }

    /// The number of pairs that are in use.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

fn ids_in(shelves: &[Shelf], set: PairSet) -> &[PairId] {
    match set.len() {
        0 => &[],
        len => &shelves[len].ids[set.place as usize * len..][..len],
    }
}

/// The hash of the set that has these pairs, sorted by name.
pub(crate) fn set_hash<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> u64 {
    let mut hasher = NameHasher::default().build_hasher();
    pairs.for_each(|pair| pair.hash(&mut hasher));
    hasher.finish()
}

fn hash(pair: (&str, &str)) -> u64 {
    NameHasher::default().hash_one(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_kept_as_long_as_another_has_it() {
        let mut pairs = Pairs::default();
        let set = |text: &str| {
            let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
            Labels::from_pairs(pairs).expect("labels")
        };
        let (one, other) = (set("__name__=up job=a s=1"), set("__name__=up job=a s=2"));
        let (of_one, of_other) = (pairs.take(&one), pairs.take(&other));
        assert_eq!(pairs.slots.len(), 4);
        assert_eq!((pairs.labels(of_one), pairs.labels(of_other)), (one.clone(), other.clone()));
        assert!(pairs.are(of_one, &one) && !pairs.are(of_one, &other));
        pairs.give_back(of_one);
        assert_eq!((pairs.labels(of_other), pairs.metric_name(of_other)), (other, "up"));
        // The room of what is gone is used again; `ab` and `c` are not `a` and `bc`.
        let (third, fourth) = (set("ab=c"), set("a=bc"));
        let (of_third, of_fourth) = (pairs.take(&third), pairs.take(&fourth));
        assert_eq!(pairs.slots.len(), 5);
        assert_eq!((pairs.labels(of_third), pairs.labels(of_fourth)), (third, fourth));
        // Nothing is left of those that are gone, nor of one that is empty.
        let of_empty = pairs.take(&Labels::empty());
        assert!(pairs.are(of_empty, &Labels::empty()));
        for set in [of_other, of_third, of_fourth, of_empty] {
            pairs.give_back(set);
        }
        assert_eq!(pairs.len(), 0);
    }
}
