//! Label sets in little room: a pair of a name and a value is kept once, however many series
//! have it.

use bellwire_model::{Labels, METRIC_NAME};
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// The number of a pair; used again once no series has it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PairId(u32);

/// All pairs of all series.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    slots: Vec<Pair>,
    ids: HashTable<PairId>,
    free: Vec<PairId>,
}

#[derive(Debug)]
struct Pair {
    /// The name, then the value.
    text: Box<str>,
    name_bytes: u32,
    /// Series that have it.
    users: u32,
}

impl Pair {
    fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.name_bytes as usize)
    }
}

impl Pairs {
    /// The pairs of a set, kept until they are given back.
    pub(super) fn take(&mut self, labels: &Labels) -> Box<[PairId]> {
        labels.iter().map(|pair| self.take_one(pair)).collect()
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

    /// A series has these no longer.
    pub(super) fn give_back(&mut self, ids: &[PairId]) {
        for id in ids {
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
    }

    pub(super) fn labels(&self, ids: &[PairId]) -> Labels {
        Labels::from_pairs(self.iter(ids)).expect("they were taken from labels")
    }

    /// Whether a set has just these pairs.
    pub(super) fn are(&self, ids: &[PairId], labels: &Labels) -> bool {
        ids.len() == labels.len() && self.iter(ids).eq(labels.iter())
    }

    pub(super) fn metric_name(&self, ids: &[PairId]) -> &str {
        let name = self.iter(ids).find(|(name, _)| *name == METRIC_NAME);
        name.map(|(_, value)| value).unwrap_or_default()
    }

    fn iter(&self, ids: &[PairId]) -> impl Iterator<Item = (&str, &str)> {
        ids.iter().map(|id| self.slots[id.0 as usize].parts())
    }
}

fn hash(pair: (&str, &str)) -> u64 {
    FxBuildHasher.hash_one(pair)
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
        assert_eq!((pairs.labels(&of_one), pairs.labels(&of_other)), (one.clone(), other.clone()));
        assert!(pairs.are(&of_one, &one) && !pairs.are(&of_one, &other));
        pairs.give_back(&of_one);
        assert_eq!((pairs.labels(&of_other), pairs.metric_name(&of_other)), (other, "up"));
        // The room of what is gone is used again; `ab` and `c` are not `a` and `bc`.
        let (third, fourth) = (set("ab=c"), set("a=bc"));
        let (of_third, of_fourth) = (pairs.take(&third), pairs.take(&fourth));
        assert_eq!(pairs.slots.len(), 5);
        assert_eq!((pairs.labels(&of_third), pairs.labels(&of_fourth)), (third, fourth));
    }
}
