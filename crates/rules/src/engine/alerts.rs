//! The alerts that are pending, firing, or resolved and kept.

use std::sync::Arc;

use bellwire_model::{Alert, AlertState, Fingerprint, Labels, RuleName, Timestamp};
use rustc_hash::FxHashMap;

use super::AlertFigures;
use super::series::{Reading, Subscription};
use crate::wal::AlertMark;

/// An alert.
#[derive(Debug)]
pub(super) struct Entry {
    /// The alert as it was at its last transition.
    pub(super) alert: Arc<Alert>,
    /// The labels of the element that it comes from.
    pub(super) element: Labels,
    /// The newest reading for which the condition held.
    pub(super) newest: Reading,
    /// Who raises it. Nobody raises a resolved alert, nor a restored one whose element has not
    /// been seen yet.
    pub(super) owner: Option<Subscription>,
    /// Since when it fires although its condition no longer holds.
    pub(super) kept_since: Option<Timestamp>,
    /// When its timer is due, where it has one.
    pub(super) due: Option<Timestamp>,
    /// What the log says of it.
    pub(super) logged: Option<AlertMark<Subscription>>,
}

impl Entry {
    /// What the log must say of it.
    pub(super) fn mark(&self) -> AlertMark<Subscription> {
        AlertMark::of(&self.alert, self.kept_since, self.owner)
    }

    /// Whether it was restored and its element has not been seen yet.
    pub(super) fn is_orphan(&self) -> bool {
        self.owner.is_none() && self.alert.state != AlertState::Resolved
    }

    /// Whether its value is still that of its last transition.
    pub(super) fn is_as_it_was(&self) -> bool {
        let Reading { time, value } = self.newest;
        self.alert.sample_time == time && self.alert.value.to_bits() == value.to_bits()
    }
}

/// All alerts, by their labels. Two elements or rules that yield the same labels share one alert,
/// which belongs to the one that raised it first.
#[derive(Debug, Default)]
pub(super) struct AlertTable {
    entries: FxHashMap<Fingerprint, Entry>,
    /// Those that may have changed in this step; nothing where there is no log.
    changed: Option<Vec<Fingerprint>>,
    /// How many restored alerts of each name wait for their elements.
    orphans: FxHashMap<Arc<str>, usize>,
    /// Evaluations that raised nothing because another alert has the same labels.
    pub(super) duplicate: u64,
    /// Evaluations that raised or recorded nothing because the labels break a bound.
    pub(super) invalid: u64,
    /// Evaluations that raised nothing because there are too many alerts.
    pub(super) refused: u64,
    /// The rule of the last one of them.
    pub(super) refused_rule: Option<Arc<RuleName>>,
}

impl AlertTable {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<&Entry> {
        self.entries.get(&fingerprint)
    }

    pub(super) fn get_mut(&mut self, fingerprint: Fingerprint) -> Option<&mut Entry> {
        self.note(fingerprint);
        self.entries.get_mut(&fingerprint)
    }

    /// Notes from now on which alerts may have changed.
    pub(super) fn note_changes(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// The alerts that may have changed since the last call, each once.
    pub(super) fn take_changed(&mut self) -> Vec<Fingerprint> {
        let mut changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Notes what the log says of an alert.
    pub(super) fn set_logged(&mut self, fingerprint: Fingerprint, mark: AlertMark<Subscription>) {
        if let Some(entry) = self.entries.get_mut(&fingerprint) {
            entry.logged = Some(mark);
        }
    }

    /// Forgets what the log says of all alerts: what it calls rules may have another meaning now.
    pub(super) fn forget_logged(&mut self) {
        for (fingerprint, entry) in &mut self.entries {
            entry.logged = None;
            if let Some(changed) = &mut self.changed {
                changed.push(*fingerprint);
            }
        }
    }

    fn note(&mut self, fingerprint: Fingerprint) {
        if let Some(changed) = &mut self.changed {
            changed.push(fingerprint);
        }
    }

    /// Whether restored alerts of a rule wait for their elements. Those of others cost it nothing.
    pub(super) fn has_orphans_of(&self, rule: &RuleName) -> bool {
        !self.orphans.is_empty() && self.orphans.contains_key(&rule.alert)
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        if let Some(rule) = entry.alert.rule().filter(|_| entry.is_orphan()) {
            *self.orphans.entry(rule.alert.clone()).or_default() += 1;
        }
        self.note(entry.alert.fingerprint);
        let replaced = self.entries.insert(entry.alert.fingerprint, entry);
        debug_assert!(replaced.is_none(), "an alert is removed before another takes its place");
    }

    pub(super) fn remove(&mut self, fingerprint: Fingerprint) -> Option<Entry> {
        let entry = self.entries.remove(&fingerprint)?;
        self.note(fingerprint);
        if let Some(rule) = entry.alert.rule().filter(|_| entry.is_orphan())
            && let Some(left) = self.orphans.get_mut(&rule.alert)
        {
            *left -= 1;
            if *left == 0 {
                self.orphans.remove(&rule.alert);
            }
        }
        Some(entry)
    }

    pub(super) fn figures(&self) -> AlertFigures {
        let mut figures = AlertFigures::default();
        for entry in self.entries.values() {
            match entry.alert.state {
                AlertState::Pending => figures.pending += 1,
                AlertState::Firing => figures.firing += 1,
                AlertState::DataLost => figures.data_lost += 1,
                AlertState::Resolved => figures.resolved += 1,
            }
        }
        figures
    }
}
