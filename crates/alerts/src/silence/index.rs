//! Silences by what they match, so that an alert is tested against few of them.
//!
//! Silences with equal matchers are a class, which is tested once. A class is filed under the values
//! of one label where its alerts must have one of a few: of several such labels under the one that
//! tells it best from the classes that are there. Thousands of silences of a host each cost nothing
//! for all other hosts, also where all of them name the same alert, too.

use std::collections::BTreeSet;

use bellwire_model::limits::SILENCE_VALUES_MAX;
use bellwire_model::{Labels, NameMap, SilenceId};
use rustc_hash::FxHashMap;

use crate::{Matcher, Matchers};

/// Names a class for as long as it has a member.
pub(super) type ClassId = u64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    classes: FxHashMap<ClassId, Class>,
    by_matchers: NameMap<Matchers, ClassId>,
    by_value: NameMap<Box<str>, NameMap<Box<str>, BTreeSet<ClassId>>>,
    others: BTreeSet<ClassId>,
    made: ClassId,
}

/// Silences with equal matchers.
#[derive(Debug)]
struct Class {
    matchers: Matchers,
    members: BTreeSet<SilenceId>,
    /// Which of the matchers it is filed by.
    filed_by: Option<usize>,
}

impl Index {
    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    pub(super) fn add(&mut self, matchers: &Matchers, id: SilenceId) {
        let class = self.by_matchers.get(matchers).and_then(|class| self.classes.get_mut(class));
        if let Some(class) = class {
            class.members.insert(id);
            return;
        }
        self.made += 1;
        let filed_by = self.best(matchers);
        match filed_by.and_then(|index| matchers.iter().nth(index)) {
            Some(matcher) => {
                let by_value = self.by_value.entry(matcher.name().into()).or_default();
                for value in matcher.values().unwrap_or_default() {
                    by_value.entry(value.clone()).or_default().insert(self.made);
                }
            }
            None => {
                self.others.insert(self.made);
            }
        }
        self.by_matchers.insert(matchers.clone(), self.made);
        let (matchers, members) = (matchers.clone(), BTreeSet::from([id]));
        self.classes.insert(self.made, Class { matchers, members, filed_by });
    }

    /// Says whether it was there.
    pub(super) fn remove(&mut self, matchers: &Matchers, id: SilenceId) -> bool {
        let Some(&class_id) = self.by_matchers.get(matchers) else { return false };
        let Some(class) = self.classes.get_mut(&class_id) else { return false };
        let was_there = class.members.remove(&id);
        if class.members.is_empty() {
            let filed_by = class.filed_by;
            self.classes.remove(&class_id);
            self.by_matchers.remove(matchers);
            self.unfile(class_id, filed_by.and_then(|index| matchers.iter().nth(index)));
        }
        was_there
    }

    /// The classes that match, and their members.
    pub(super) fn matching<'a>(
        &'a self,
        labels: &'a Labels,
    ) -> impl Iterator<Item = (ClassId, &'a BTreeSet<SilenceId>)> {
        let matching = move |(id, class): (ClassId, &'a Class)| {
            let (matches, _) = class.matchers.matches_briefly(labels);
            matches.then_some((id, &class.members))
        };
        self.candidates(labels).filter_map(matching)
    }

    /// The same classes alone; nothing where it takes more steps than are left to find them.
    pub(super) fn matching_within(
        &self,
        labels: &Labels,
        steps: &mut usize,
    ) -> Option<Vec<ClassId>> {
        let mut matching = Vec::new();
        for (id, class) in self.candidates(labels) {
            let (matches, taken) = class.matchers.matches_briefly(labels);
            *steps = steps.checked_sub(taken)?;
            matching.extend(matches.then_some(id));
        }
        Some(matching)
    }

    /// The classes that may match.
    fn candidates<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = (ClassId, &'a Class)> {
        let of_value = |(name, value): (&str, &str)| self.by_value.get(name)?.get(value);
        // Nobody asks labels for their names where no class is filed.
        let filed = (!self.by_value.is_empty()).then(|| labels.iter().filter_map(of_value));
        let candidates = filed.into_iter().flatten().flatten().chain(&self.others);
        candidates.map(|id| (*id, self.classes.get(id).expect("what is filed is there")))
    }

    /// The members of a class.
    pub(super) fn members(&self, class: ClassId) -> impl Iterator<Item = SilenceId> {
        self.classes.get(&class).into_iter().flat_map(|class| &class.members).copied()
    }

    /// The class of these matchers.
    pub(super) fn class(&self, matchers: &Matchers) -> Option<ClassId> {
        self.by_matchers.get(matchers).copied()
    }

    /// Every class.
    pub(super) fn classes(&self) -> impl Iterator<Item = ClassId> {
        self.classes.keys().copied()
    }

    /// The matcher under whose values the fewest others are filed.
    fn best(&self, matchers: &Matchers) -> Option<usize> {
        let filed = |(index, matcher): (usize, &Matcher)| {
            let values = matcher.values()?;
            let passes_none = values.iter().any(|value| value.is_empty());
            if passes_none || values.is_empty() || values.len() > SILENCE_VALUES_MAX {
                return None;
            }
            let by_value = self.by_value.get(matcher.name());
            let filed = values.iter().filter_map(|value| Some(by_value?.get(value)?.len()));
            Some((filed.sum::<usize>(), index))
        };
        let filed = matchers.iter().enumerate().filter_map(filed).min();
        filed.map(|(_, index)| index)
    }

    fn unfile(&mut self, class: ClassId, matcher: Option<&Matcher>) {
        let Some(matcher) = matcher else {
            self.others.remove(&class);
            return;
        };
        let Some(by_value) = self.by_value.get_mut(matcher.name()) else { return };
        for value in matcher.values().unwrap_or_default() {
            if let Some(classes) = by_value.get_mut(value) {
                classes.remove(&class);
                if classes.is_empty() {
                    by_value.remove(value);
                }
            }
        }
        if by_value.is_empty() {
            self.by_value.remove(matcher.name());
        }
    }
}
