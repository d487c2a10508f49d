//! When something is due. Whoever has timers owns the list of them: there is one timer for each
//! series, at most one for each part of a rule and for each alert.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::Timestamp;

/// Cancelled timers that may lie about.
const CANCELLED_MIN: usize = 1024;

/// Many timers, of which many are due at one time. Whoever has one knows when it is due: one that
/// is cancelled stays where it is, and is told from the others once its time has come.
#[derive(Debug)]
pub(super) struct Agenda<K> {
    due: BTreeMap<Timestamp, Vec<K>>,
    len: usize,
    /// How many of them are cancelled, at least.
    cancelled: usize,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), len: 0, cancelled: 0 }
    }
}

impl<K: Copy> Agenda<K> {
    pub(super) fn arm(&mut self, due: Timestamp, key: K) {
        self.due.entry(due).or_default().push(key);
        self.len += 1;
    }

    /// Its owner no longer says that it is due then.
    pub(super) fn cancel(&mut self) {
        self.cancelled += 1;
    }

    /// No later than the next timer that is not cancelled.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|(due, _)| *due)
    }

    /// Takes the timers that are due at or before `now`, cancelled ones among them.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(Timestamp, K)> {
        let mut taken = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|entry| *entry.key() <= now) {
            let (due, keys) = entry.remove_entry();
            self.len -= keys.len();
            taken.extend(keys.into_iter().map(|key| (due, key)));
        }
        taken
    }

    /// Whether most of them are cancelled.
    pub(super) fn is_cluttered(&self) -> bool {
        self.cancelled > self.len / 2 + CANCELLED_MIN
    }

    /// Removes those that are cancelled.
    pub(super) fn clean(&mut self, is_armed: impl Fn(Timestamp, K) -> bool) {
        self.due.retain(|due, keys| {
            keys.retain(|key| is_armed(*due, *key));
            !keys.is_empty()
        });
        self.len = self.due.values().map(Vec::len).sum();
        self.cancelled = 0;
    }
}

/// Timers in the order of their times; those of one time in the order of their keys.
#[derive(Debug)]
pub(super) struct Queue<K>(BTreeSet<(Timestamp, K)>);

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Copy + Ord> Queue<K> {
    pub(super) fn arm(&mut self, due: Timestamp, key: K) {
        self.0.insert((due, key));
    }

    pub(super) fn cancel(&mut self, due: Timestamp, key: K) {
        self.0.remove(&(due, key));
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(due, _)| *due)
    }

    /// Takes the timer that is due first.
    pub(super) fn pop(&mut self) -> Option<(Timestamp, K)> {
        self.0.pop_first()
    }

    /// Takes the timers that are due at or before `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(Timestamp, K)> {
        let mut due = Vec::new();
        while self.next().is_some_and(|next| next <= now) {
            due.extend(self.pop());
        }
        due
    }
}
