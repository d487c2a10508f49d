//! What each of many has done lately: an entry is there for as long as it says anything.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use bellwire_process::clock;

/// What may come to say nothing by itself.
pub(crate) trait Fades {
    /// Whether it is as if there were no entry.
    fn is_nothing(&mut self, now: u64) -> bool;
}

/// Entries by their names. Strangers may choose these: their hashes are keyed.
#[derive(Debug)]
pub(crate) struct Lately<K, V> {
    entries: HashMap<K, V>,
    /// With so many entries those that say nothing are looked for.
    sweep_at: usize,
    /// There are no more than these.
    most: usize,
    /// Until then all of them are taken to say something.
    full_until: u64,
}

/// Entries that it is not worth to look through.
const SWEEP_MIN: usize = 1024;
/// Where there is no room: so long nobody looks whether there is some again. In nanoseconds.
const SWEEP_PAUSE: u64 = 100_000_000;

impl<K: Eq + Hash, V: Fades> Lately<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), sweep_at: SWEEP_MIN.min(most), most, full_until: 0 }
    }

    /// The entry of this name, be it a new one. `None`: there are as many as there may be, and each of
    /// them says something.
    pub(crate) fn entry(&mut self, name: K, now: u64) -> Option<&mut V>
    where
        V: Default,
    {
        self.entry_or(name, now, V::default)
    }

    /// The same, where a new one is made so.
    pub(crate) fn entry_or(
        &mut self,
        name: K,
        now: u64,
        make: impl FnOnce() -> V,
    ) -> Option<&mut V> {
        if self.entries.len() >= self.sweep_at && !self.entries.contains_key(&name) {
            if now < self.full_until {
                return None;
            }
            self.entries.retain(|_, entry| !entry.is_nothing(now));
            // Each look is paid for by as many entries that came before it.
            self.sweep_at = (self.entries.len() * 2).clamp(SWEEP_MIN, self.most.max(SWEEP_MIN));
            if self.entries.len() >= self.most {
                self.sweep_at = self.most;
                self.full_until = now.saturating_add(SWEEP_PAUSE);
                return None;
            }
        }
        Some(self.entries.entry(name).or_insert_with(make))
    }

    /// The entry of this name, if there is one.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, name: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(name)
    }

    /// Changes an entry, and forgets it where it says nothing then.
    pub(crate) fn settle(&mut self, name: &K, now: u64, change: impl FnOnce(&mut V)) {
        if let Some(entry) = self.entries.get_mut(name) {
            change(entry);
            if entry.is_nothing(now) {
                self.entries.remove(name);
            }
        }
    }

    /// All of them.
    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The time by which entries fade, in nanoseconds since the process began.
pub(crate) fn now() -> u64 {
    u64::try_from(clock::uptime().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fades at a time.
    #[derive(Debug, Default)]
    struct Until(u64);

    impl Fades for Until {
        fn is_nothing(&mut self, now: u64) -> bool {
            self.0 <= now
        }
    }

    #[test]
    fn entries_that_say_nothing_make_room_and_others_do_not() {
        let mut lately = Lately::<u64, Until>::new(2000);
        for name in 0..2000 {
            lately.entry(name, 5).expect("room").0 = if name < 1500 { 10 } else { u64::MAX };
        }
        assert!(lately.entry(2000, 9).is_none(), "all of them say something");
        assert!(lately.entry(7, 9).is_some(), "who is there stays");
        let again = 9 + SWEEP_PAUSE;
        assert!(lately.entry(2000, again - 1).is_none(), "nobody looks so soon");
        lately.entry(2000, again).expect("there is room again").0 = u64::MAX;
        assert_eq!(lately.len(), 501);
        lately.settle(&2000, again, |entry| entry.0 = again);
        assert!(lately.get(&2000).is_none() && lately.get(&1999).is_some());
    }
}
