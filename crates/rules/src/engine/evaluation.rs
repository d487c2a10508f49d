//! One evaluation: what the rules of a touched series say at this instant, and what follows for
//! their alerts.

use std::sync::Arc;

use bellwire_model::{
    Alert, AlertState, Fingerprint, Labels, Timestamp, Transition, TransitionKind,
};

use super::alerts::{Entry, Owner};
use super::series::{Reading, SeriesId, Standing};
use super::{Change, Engine};

impl Engine {
    /// Evaluates every rule of a series once.
    pub(super) fn evaluate(&mut self, id: SeriesId, changes: &mut Vec<Change>) {
        for index in 0..self.series.get(id).slots.len() {
            let series = self.series.get(id);
            let slot = series.slots[index];
            let condition = &self.rules.get(slot.rule).condition;
            let holds =
                |reading: &Reading| !reading.is_stale_marker() && condition.holds(reading.value);
            let held = series.newest.filter(holds);
            let owner = Owner { series: id, rule: slot.rule };
            let standing = match slot.standing {
                Standing::New => self.find_orphan(owner),
                standing => standing,
            };
            let after = match (standing, held) {
                (Standing::Raised(alert), Some(reading)) => {
                    self.hold(owner, alert, reading, changes)
                }
                (Standing::Raised(alert), None) => {
                    self.end(alert, changes);
                    Standing::Idle
                }
                (_, Some(reading)) => self.begin(owner, reading, changes),
                (_, None) => Standing::Idle,
            };
            if after != slot.standing {
                self.series.get_mut(id).slots[index].standing = after;
            }
        }
    }

    /// Gives a series that is new the restored alert that it raised before.
    fn find_orphan(&mut self, owner: Owner) -> Standing {
        let newest = self.series.get(owner.series).newest;
        let Some(value) = newest.filter(|_| self.alerts.has_orphans()).map(|r| r.value) else {
            return Standing::Idle;
        };
        let Some((_, fingerprint)) = self.identify(owner, value) else { return Standing::Idle };
        let rule = &self.rules.get(owner.rule).name;
        let entry = self.alerts.get(fingerprint);
        if entry.is_some_and(|entry| entry.is_orphan() && entry.alert.rule == *rule) {
            self.adopt(owner, fingerprint);
            return Standing::Raised(fingerprint);
        }
        Standing::Idle
    }

    /// Makes a restored alert one like any other.
    fn adopt(&mut self, owner: Owner, fingerprint: Fingerprint) {
        let rule = self.rules.get(owner.rule);
        let mut entry = self.alerts.remove(fingerprint).expect("the caller has found it");
        if let Some(due) = entry.due.take() {
            self.timers.alerts.cancel(due, fingerprint);
        }
        if entry.alert.state == AlertState::Pending {
            let due = entry.alert.active_at.saturating_add(rule.hold);
            self.timers.alerts.arm(due, fingerprint);
            entry.due = Some(due);
        }
        Arc::make_mut(&mut entry.alert).rule = rule.name.clone();
        entry.owner = Some(owner);
        self.alerts.insert(entry);
    }

    /// The condition holds, and did not before.
    fn begin(&mut self, owner: Owner, reading: Reading, changes: &mut Vec<Change>) -> Standing {
        let Some((labels, fingerprint)) = self.identify(owner, reading.value) else {
            self.alerts.invalid += 1;
            return Standing::Idle;
        };
        match self.make_place(fingerprint, changes) {
            Place::Free => {}
            Place::OfOrphan => {
                self.adopt(owner, fingerprint);
                return self.hold(owner, fingerprint, reading, changes);
            }
            Place::Taken => {
                self.alerts.duplicate += 1;
                return Standing::Idle;
            }
            Place::None => {
                self.alerts.refused += 1;
                return Standing::Idle;
            }
        }
        let rule = self.rules.get(owner.rule);
        let fires = rule.hold.is_zero();
        let alert = Arc::new(Alert {
            fingerprint,
            rule: rule.name.clone(),
            state: if fires { AlertState::Firing } else { AlertState::Pending },
            annotations: rule
                .alert_annotations(&self.series.get(owner.series).labels, reading.value),
            labels,
            value: reading.value,
            active_at: self.now,
            fired_at: fires.then_some(self.now),
            resolved_at: None,
            sample_time: reading.time,
        });
        let due = (!fires).then(|| self.now.saturating_add(rule.hold));
        if let Some(due) = due {
            self.timers.alerts.arm(due, fingerprint);
        }
        let kind = if fires { TransitionKind::Firing } else { TransitionKind::Pending };
        changes.push(transition(kind, self.now, &alert));
        self.alerts.insert(Entry { alert, newest: reading, owner: Some(owner), due });
        Standing::Raised(fingerprint)
    }

    /// The condition still holds.
    fn hold(
        &mut self,
        owner: Owner,
        fingerprint: Fingerprint,
        reading: Reading,
        changes: &mut Vec<Change>,
    ) -> Standing {
        let rule = self.rules.get(owner.rule);
        let hold = rule.hold;
        // A value in a label makes another alert of every value.
        if rule.labels_use_value {
            let now = self.identify(owner, reading.value);
            if now.is_none_or(|(_, now)| now != fingerprint) {
                self.end(fingerprint, changes);
                return self.begin(owner, reading, changes);
            }
        }
        let entry = self.alerts.get_mut(fingerprint).expect("a series raises alerts that exist");
        entry.newest = reading;
        let is_pending = entry.alert.state == AlertState::Pending;
        if is_pending && self.now >= entry.alert.active_at.saturating_add(hold) {
            if let Some(due) = entry.due.take() {
                self.timers.alerts.cancel(due, fingerprint);
            }
            let mut alert = entry.current(&self.rules, &self.series);
            let fired = Arc::make_mut(&mut alert);
            fired.state = AlertState::Firing;
            fired.fired_at = Some(self.now);
            changes.push(transition(TransitionKind::Firing, self.now, &alert));
            entry.alert = alert;
        }
        Standing::Raised(fingerprint)
    }

    /// The condition no longer holds.
    fn end(&mut self, fingerprint: Fingerprint, changes: &mut Vec<Change>) {
        let mut entry = self.alerts.remove(fingerprint).expect("the caller has found it");
        if let Some(due) = entry.due.take() {
            self.timers.alerts.cancel(due, fingerprint);
        }
        let mut alert = entry.current(&self.rules, &self.series);
        if alert.state == AlertState::Pending {
            changes.push(transition(TransitionKind::Inactive, self.now, &alert));
            changes.push(Change::Removed(fingerprint));
            return;
        }
        let resolved = Arc::make_mut(&mut alert);
        resolved.state = AlertState::Resolved;
        resolved.resolved_at = Some(self.now);
        changes.push(transition(TransitionKind::Resolved, self.now, &alert));
        let due = self.now.saturating_add(self.settings.resolved_retention);
        self.timers.retention.arm(due, fingerprint);
        self.alerts.insert(Entry { alert, owner: None, due: Some(due), ..entry });
    }

    /// Ends an alert whose timer was due, if it is a restored one that nobody has spoken for.
    pub(super) fn end_orphan(&mut self, fingerprint: Fingerprint, changes: &mut Vec<Change>) {
        if self.alerts.get(fingerprint).is_some_and(Entry::is_orphan) {
            self.end(fingerprint, changes);
        }
    }

    /// The labels of the alert that a series raises, unless they break a bound.
    fn identify(&self, owner: Owner, value: f64) -> Option<(Labels, Fingerprint)> {
        let series = &self.series.get(owner.series).labels;
        let labels = self.rules.get(owner.rule).alert_labels(series, value).ok()?;
        let fingerprint = Fingerprint::of(&labels);
        Some((labels, fingerprint))
    }

    /// Makes a place for an alert. One that is resolved gives way to the same alert anew, and the
    /// oldest resolved one to any alert where there are too many.
    fn make_place(&mut self, fingerprint: Fingerprint, changes: &mut Vec<Change>) -> Place {
        if let Some(entry) = self.alerts.get(fingerprint) {
            if entry.is_orphan() {
                return Place::OfOrphan;
            }
            if entry.owner.is_some() {
                return Place::Taken;
            }
            let due = entry.due.expect("a resolved alert has a timer");
            self.timers.retention.cancel(due, fingerprint);
            self.alerts.remove(fingerprint);
        } else if self.alerts.len() >= self.settings.alerts_max {
            let Some((_, oldest)) = self.timers.retention.pop() else { return Place::None };
            self.alerts.remove(oldest);
            changes.push(Change::Removed(oldest));
        }
        Place::Free
    }
}

/// Whether an alert can be raised.
enum Place {
    Free,
    /// A restored alert with these labels waits for its series.
    OfOrphan,
    /// Another series or rule raises an alert with these labels.
    Taken,
    /// There are too many alerts.
    None,
}

fn transition(kind: TransitionKind, time: Timestamp, alert: &Arc<Alert>) -> Change {
    Change::Transition(Transition { kind, time, alert: alert.clone() })
}
