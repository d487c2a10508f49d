//! Silences in force that end with the last firing alert that they match: how many fire.

use std::collections::BTreeSet;

use bellwire_model::{Labels, SilenceId};
use rustc_hash::FxHashMap;

use super::index::{ClassId, Index};
use crate::Matchers;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    index: Index,
    /// Alerts that fire, of each class.
    raised: FxHashMap<ClassId, usize>,
    /// Classes of which nobody has counted them yet.
    uncounted: BTreeSet<ClassId>,
    /// Classes of which one fires: silences that have not matched any before now have.
    matched: BTreeSet<ClassId>,
    /// Classes of which the last has ended.
    unattended: BTreeSet<ClassId>,
}

impl Waiting {
    pub(super) fn add(&mut self, matchers: &Matchers, id: SilenceId) {
        let was_there = self.index.class(matchers).is_some();
        self.index.add(matchers, id);
        let class = self.index.class(matchers).expect("it was added a line ago");
        if !was_there {
            self.uncounted.insert(class);
        }
        self.on_changed(matchers);
    }

    /// Of the silences of a class one has come, or does not know any more that it has matched.
    pub(super) fn on_changed(&mut self, matchers: &Matchers) {
        let class = self.index.class(matchers);
        self.matched.extend(class.filter(|class| self.raised.contains_key(class)));
    }

    pub(super) fn remove(&mut self, matchers: &Matchers, id: SilenceId) {
        let class = self.index.class(matchers);
        self.index.remove(matchers, id);
        if let Some(class) = class
            && self.index.class(matchers).is_none()
        {
            self.raised.remove(&class);
            for classes in [&mut self.uncounted, &mut self.matched, &mut self.unattended] {
                classes.remove(&class);
            }
        }
    }

    /// An alert has begun to fire, which all classes see that have been counted.
    pub(super) fn on_raised(&mut self, labels: &Labels) {
        for (class, _) in self.index.matching(labels) {
            if !self.uncounted.contains(&class) {
                *self.raised.entry(class).or_default() += 1;
                self.matched.insert(class);
            }
        }
    }

    /// An alert fires no more.
    pub(super) fn on_ended(&mut self, labels: &Labels) {
        for (class, _) in self.index.matching(labels) {
            if let Some(raised) = self.raised.get_mut(&class) {
                *raised -= 1;
                if *raised == 0 {
                    self.raised.remove(&class);
                    self.unattended.insert(class);
                }
            }
        }
    }

    /// Whether classes are to be counted.
    pub(super) fn must_count(&self) -> bool {
        !self.uncounted.is_empty()
    }

    /// An alert that fires, for classes that are to be counted.
    pub(super) fn count(&mut self, labels: &Labels) {
        for (class, _) in self.index.matching(labels) {
            if self.uncounted.contains(&class) {
                *self.raised.entry(class).or_default() += 1;
            }
        }
    }

    /// All alerts have been counted.
    pub(super) fn counted(&mut self) {
        for class in std::mem::take(&mut self.uncounted) {
            if self.raised.contains_key(&class) {
                self.matched.insert(class);
            }
        }
    }

    /// Silences that match an alert which fires, each at least once.
    pub(super) fn take_matched(&mut self) -> Vec<SilenceId> {
        let matched = std::mem::take(&mut self.matched);
        matched.into_iter().flat_map(|class| self.index.members(class)).collect()
    }

    /// Silences that match no alert which fires any more.
    pub(super) fn take_unattended(&mut self) -> Vec<SilenceId> {
        let unattended = std::mem::take(&mut self.unattended);
        let is_empty = |class: &ClassId| !self.raised.contains_key(class);
        let empty = unattended.into_iter().filter(is_empty);
        empty.flat_map(|class| self.index.members(class)).collect()
    }

    /// Every class is to be looked at.
    pub(super) fn doubt_all(&mut self) {
        self.unattended.extend(self.index.classes());
    }
}
