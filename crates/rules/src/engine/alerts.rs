//! The alerts that are pending, firing, or resolved and kept, and when time alone changes them.
//!
//! What becomes of an alert is in [`lifecycle`]; what becomes of those that no part of a rule raises
//! is in [`orphans`].

mod lifecycle;
mod orphans;

use std::sync::Arc;

use bellwire_model::{
    Alert, AlertSource, AlertState, Fingerprint, Labels, NameMap, NameSet, RuleName, Timestamp,
};

use super::figures::AlertFigures;
use super::ids::PartId;
use super::scene::Scene;
use super::series::Reading;
use super::timers::Queue;
use crate::wal::AlertMark;

pub(super) use self::lifecycle::{Finding, Raiser};

/// An alert.
#[derive(Debug)]
pub(super) struct AlertEntry {
    /// The alert as it was at its last transition.
    pub(super) alert: Arc<Alert>,
    /// The labels of the element that it comes from.
    pub(super) element: Labels,
    /// The newest reading for which the condition held.
    pub(super) newest: Reading,
    /// Who raises it. Nobody raises a resolved alert, nor a restored one whose element has not
    /// been seen yet.
    pub(super) owner: Option<PartId>,
    /// Since when it fires although its condition no longer holds.
    pub(super) kept_since: Option<Timestamp>,
    /// When its timer is due, where it has one.
    due: Option<Timestamp>,
    /// What the log says of it.
    logged: Option<AlertMark<PartId>>,
}

impl AlertEntry {
    /// An alert that nobody raises yet.
    fn new(alert: Arc<Alert>, element: Labels, newest: Reading) -> Self {
        Self { alert, element, newest, owner: None, kept_since: None, due: None, logged: None }
    }

    /// What the log must say of it.
    fn mark(&self) -> AlertMark<PartId> {
        AlertMark::of(&self.alert, self.kept_since, self.owner)
    }

    /// Whether it was restored and its element has not been seen yet.
    pub(super) fn is_orphan(&self) -> bool {
        self.owner.is_none() && self.alert.state != AlertState::Resolved
    }

    /// The alert with its newest value.
    pub(super) fn current(&self, scene: &Scene<'_>) -> Arc<Alert> {
        if self.is_as_it_was() {
            return self.alert.clone();
        }
        let Reading { time, value } = self.newest;
        let mut alert = Alert { value, sample_time: time, ..(*self.alert).clone() };
        if let Some(owner) = self.owner
            && scene.alert_rule(owner.rule).annotations.use_value
        {
            let fill = scene.fill(&self.element, value);
            alert.annotations = scene.rule(owner.rule).alert_annotations(&fill);
        }
        Arc::new(alert)
    }

    /// Whether its value is still that of its last transition.
    fn is_as_it_was(&self) -> bool {
        self.newest.is_same(Reading { time: self.alert.sample_time, value: self.alert.value })
    }
}

/// All alerts, by their labels. Two elements or rules that yield the same labels share one alert,
/// which belongs to the one that raised it first.
#[derive(Debug, Default)]
pub(super) struct AlertTable {
    entries: NameMap<Fingerprint, AlertEntry>,
    /// Those that may have changed in this step; nothing where there is no log.
    changed: Option<Vec<Fingerprint>>,
    /// Those that are new or have a new reading since somebody has asked for them.
    read: NameSet<Fingerprint>,
    /// How many restored alerts of each name wait for their elements.
    orphans: NameMap<Arc<str>, usize>,
    /// When one has been pending or kept firing for long enough, or nobody has spoken for a restored
    /// one.
    due: Queue<Fingerprint>,
    /// When a resolved one has been kept for long enough.
    retention: Queue<Fingerprint>,
    unraised: Unraised,
}

/// Evaluations that raised nothing, or recorded nothing where labels break a bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Unraised {
    /// Because another alert has the same labels.
    pub(super) duplicate: u64,
    /// Because the labels break a bound.
    pub(super) invalid: u64,
    /// Because there are too many alerts.
    pub(super) refused: u64,
    /// The rule of the last one of them.
    pub(super) refused_rule: Option<Arc<RuleName>>,
}

impl AlertTable {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &AlertEntry> {
        self.entries.values()
    }

    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<&AlertEntry> {
        self.entries.get(&fingerprint)
    }

    fn get_mut(&mut self, fingerprint: Fingerprint) -> Option<&mut AlertEntry> {
        self.note(fingerprint);
        self.entries.get_mut(&fingerprint)
    }

    /// The alerts with a new reading since the last call that go on.
    pub(super) fn take_read(&mut self) -> NameSet<Fingerprint> {
        std::mem::take(&mut self.read)
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

    /// Notes that the log says of an alert what it is now. Says whether it did not yet.
    pub(super) fn set_logged(&mut self, fingerprint: Fingerprint) -> bool {
        let Some(entry) = self.entries.get_mut(&fingerprint) else { return false };
        let mark = Some(entry.mark());
        std::mem::replace(&mut entry.logged, mark) != mark
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

    fn insert(&mut self, entry: AlertEntry) {
        if let Some(rule) = entry.alert.rule().filter(|_| entry.is_orphan()) {
            *self.orphans.entry(rule.alert.clone()).or_default() += 1;
        }
        self.note(entry.alert.fingerprint);
        self.read.insert(entry.alert.fingerprint);
        let replaced = self.entries.insert(entry.alert.fingerprint, entry);
        debug_assert!(replaced.is_none(), "an alert is removed before another takes its place");
    }

    fn remove(&mut self, fingerprint: Fingerprint) -> Option<AlertEntry> {
        let entry = self.entries.remove(&fingerprint)?;
        self.read.remove(&fingerprint);
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

    /// When time alone changes one next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        [self.due.next(), self.retention.next()].into_iter().flatten().min()
    }

    /// Those whose timer is due, and the parts that raise them, which are to be evaluated. Nobody
    /// raises the others.
    pub(super) fn take_due(&mut self, now: Timestamp) -> (Vec<Fingerprint>, Vec<PartId>) {
        let due: Vec<Fingerprint> =
            self.due.take_due(now).into_iter().map(|(_, fingerprint)| fingerprint).collect();
        let mut owners = Vec::new();
        for fingerprint in &due {
            if let Some(entry) = self.get_mut(*fingerprint) {
                entry.due = entry.due.filter(|_| entry.owner.is_none());
                owners.extend(entry.owner);
            }
        }
        (due, owners)
    }

    /// Sets when time alone changes an alert.
    fn set_due(&mut self, fingerprint: Fingerprint, due: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&fingerprint) else { return };
        if entry.due == due {
            return;
        }
        let is_resolved = entry.alert.state == AlertState::Resolved;
        let queue = if is_resolved { &mut self.retention } else { &mut self.due };
        if let Some(before) = std::mem::replace(&mut entry.due, due) {
            queue.cancel(before, fingerprint);
        }
        if let Some(due) = due {
            queue.arm(due, fingerprint);
        }
    }

    /// A part of another table of rules raises an alert, with the rule's name there.
    pub(super) fn set_owner(
        &mut self,
        fingerprint: Fingerprint,
        (owner, name): (PartId, &Arc<RuleName>),
    ) {
        let raised = self.get_mut(fingerprint).expect("a part raises alerts that exist");
        raised.owner = Some(owner);
        if raised.alert.rule() != Some(name) {
            Arc::make_mut(&mut raised.alert).source = AlertSource::Rule(name.clone());
        }
    }

    /// An element was not recorded because its labels break a bound.
    pub(super) fn note_invalid(&mut self) {
        self.unraised.invalid += 1;
    }

    /// What was not raised.
    pub(super) fn unraised(&self) -> &Unraised {
        &self.unraised
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
