//! What there is for all who ask, of which nobody has more than is left for all others.
//!
//! So one alone has half of it, two have a third each, and whoever comes finds some: one who asks much keeps
//! nobody else out.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::NameMap;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    amount: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    /// Of those who ask and have any.
    by_asker: NameMap<K, usize>,
}

/// So much of it, for as long as this is held.
pub(crate) struct Share<K: Eq + Hash> {
    shares: Arc<Shares<K>>,
    asker: K,
    amount: usize,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// So much.
    pub(crate) fn new(amount: usize) -> Arc<Self> {
        let taken = Mutex::new(Taken { all: 0, by_asker: NameMap::default() });
        Arc::new(Self { amount, taken })
    }

    /// So much for this one; nothing where it would have more than is left before that.
    pub(crate) fn take(self: &Arc<Self>, asker: K, amount: usize) -> Option<Share<K>> {
        let mut taken = self.taken();
        let left = self.amount - taken.all;
        let own = taken.by_asker.get(&asker).copied().unwrap_or_default();
        if own.saturating_add(amount) > left {
            return None;
        }
        taken.all += amount;
        taken.by_asker.insert(asker.clone(), own + amount);
        Some(Share { shares: Arc::clone(self), asker, amount })
    }
}

impl<K> Shares<K> {
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> fmt::Debug for Share<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("amount", &self.amount).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        taken.all -= self.amount;
        if let Some(own) = taken.by_asker.get_mut(&self.asker) {
            *own -= self.amount;
            if *own == 0 {
                taken.by_asker.remove(&self.asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(places: &Arc<Shares<u8>>, of: u8) -> Vec<Share<u8>> {
        std::iter::from_fn(|| places.take(of, 1)).collect()
    }

    #[test]
    fn one_has_half_of_it_and_who_comes_finds_some() {
        let places = Shares::new(512);
        let mut held = Vec::new();
        for (number, expected) in [(1, 256), (2, 128), (3, 64), (4, 32)] {
            held.push(take_all(&places, number));
            assert_eq!(held.last().map(Vec::len), Some(expected), "{number}");
        }
        // Who had most gets no more while others have theirs, and all of its own once they have gone.
        assert!(places.take(1, 1).is_none());
        held.truncate(1);
        assert!(places.take(1, 1).is_none());
        held.clear();
        assert_eq!(take_all(&places, 1).len(), 256);
        assert_eq!(places.taken().by_asker.len(), 0);
    }

    #[test]
    fn there_is_so_much_for_all() {
        let places = Shares::new(8);
        let held: Vec<_> = (0..=255).filter_map(|number| places.take(number, 1)).collect();
        assert_eq!((held.len(), places.taken().all), (8, 8));
        drop(held);
        assert_eq!(places.taken().all, 0);
    }

    #[test]
    fn much_at_once_is_as_much_as_little_by_little() {
        let room = Shares::new(100);
        assert!(room.take(1, 101).is_none());
        let held = room.take(1, 50);
        assert!(held.is_some() && room.take(1, 1).is_none());
        assert!(
            room.take(2, 26).is_some_and(|share| share.amount == 26) && room.take(2, 51).is_none()
        );
        assert!(room.take(2, usize::MAX).is_none());
        drop(held);
        assert!(room.take(1, 50).is_some());
    }
}
