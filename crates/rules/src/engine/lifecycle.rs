//! The life of alerts: what follows for them of what their rules come to.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::DATA_LOST_RETENTION;
use bellwire_model::{
    Alert, AlertSource, AlertState, Fingerprint, Labels, Timestamp, Transition, TransitionKind,
};

use rustc_hash::FxHashSet;

use super::alerts::Entry;
use super::rules::RuleId;
use super::series::{Reading, Subscription};
use super::{Change, Engine};
use crate::ending::{Ending, Endings};
use crate::evaluation::Item;
use crate::rule::{AlertRule, OnDataLost, Rule};
use crate::template::Fill;

/// An element for which the condition holds, and the alert that it stands for.
pub(super) struct Held {
    pub(super) element: Labels,
    reading: Reading,
    labels: Labels,
    pub(super) fingerprint: Fingerprint,
}

/// What a part of an alerting rule comes to.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// The elements for which the condition holds.
    pub(super) items: Vec<Item>,
    /// When the sample was taken that the only item comes from, where it is one sample's value.
    pub(super) taken_at: Option<Timestamp>,
    /// What becomes of those for which it no longer does.
    pub(super) endings: Endings,
}

impl Engine {
    /// Brings the alerts of a part in line with its elements.
    pub(super) fn raise(
        &mut self,
        part: Subscription,
        finding: Finding,
        changes: &mut Vec<Change>,
    ) {
        let Finding { items, taken_at, endings } = finding;
        let mut before = self.take_raised(part);
        let rule = self.rules.rule(part.rule);
        if items.is_empty() && before.is_empty() && !self.alerts.has_orphans_of(&rule.name) {
            return;
        }
        self.find_orphan(part, &mut before);
        self.find_lingering_orphans(part, &endings, &mut before);
        let held = self.held(part, items, taken_at);
        let is_held: FxHashSet<_> = held.iter().map(|held| held.fingerprint).collect();
        let was_raised: FxHashSet<_> = before.iter().copied().collect();
        let mut after: Vec<Fingerprint> = Vec::with_capacity(held.len());
        for raised in before.into_iter().filter(|raised| !is_held.contains(raised)) {
            if self.miss((part.rule, raised), &endings, changes) {
                after.push(raised);
            }
        }
        for held in held {
            let fingerprint = held.fingerprint;
            if was_raised.contains(&fingerprint) {
                self.hold(part, held, changes);
            } else if !self.begin(part, held, changes) {
                continue;
            }
            after.push(fingerprint);
        }
        let partitions = &mut self.rules.get_mut(part.rule).partitions;
        partitions.get_mut(part.partition).raised = after;
        self.give_alert_series(part);
    }

    /// The alerts that elements stand for, each once.
    fn held(
        &mut self,
        part: Subscription,
        items: Vec<Item>,
        taken_at: Option<Timestamp>,
    ) -> Vec<Held> {
        let time = taken_at.unwrap_or(self.now);
        let mut seen = FxHashSet::default();
        let mut held = Vec::with_capacity(items.len());
        for item in items {
            let reading = Reading { time, value: item.value() };
            match self.identify(part.rule, item.labels, reading) {
                Some(element) if seen.insert(element.fingerprint) => held.push(element),
                Some(_) => self.alerts.duplicate += 1,
                None => self.alerts.invalid += 1,
            }
        }
        held
    }

    fn take_raised(&mut self, part: Subscription) -> Vec<Fingerprint> {
        let partitions = &mut self.rules.get_mut(part.rule).partitions;
        std::mem::take(&mut partitions.get_mut(part.partition).raised)
    }

    /// The condition holds, and did not before. Says whether there is an alert now.
    fn begin(&mut self, part: Subscription, element: Held, changes: &mut Vec<Change>) -> bool {
        let fingerprint = element.fingerprint;
        // Within one millisecond it may end and begin again: what begins later has a later time,
        // since the time tells the two apart.
        let before = self.alerts.get(fingerprint).map(|entry| entry.alert.active_at);
        let next = before.map(|before| before.saturating_add(Duration::from_millis(1)));
        let active_at = next.map_or(self.now, |next| next.max(self.now));
        match self.make_place(fingerprint, changes) {
            Place::Free => {}
            Place::OfOrphan => {
                self.adopt(part, &element);
                self.hold(part, element, changes);
                return true;
            }
            Place::Taken => {
                self.alerts.duplicate += 1;
                return false;
            }
            Place::None => {
                self.alerts.refused += 1;
                self.alerts.refused_rule = Some(self.rules.rule(part.rule).name.clone());
                return false;
            }
        }
        let rule = self.rules.rule(part.rule);
        let hold = alert_rule(rule).hold;
        let fires = hold.is_zero();
        let Held { element, reading, labels, .. } = element;
        let alert = Arc::new(Alert {
            fingerprint,
            source: AlertSource::Rule(rule.name.clone()),
            state: if fires { AlertState::Firing } else { AlertState::Pending },
            annotations: rule.alert_annotations(&self.fill(&element, reading.value)),
            labels,
            value: reading.value,
            active_at,
            fired_at: fires.then_some(active_at),
            resolved_at: None,
            sample_time: reading.time,
        });
        let has_timer = !fires && !self.rules.is_ticked(part.rule);
        let due = has_timer.then(|| active_at.saturating_add(hold));
        if let Some(due) = due {
            self.timers.alerts.arm(due, fingerprint);
        }
        let kind = if fires { TransitionKind::Firing } else { TransitionKind::Pending };
        changes.push(transition(kind, active_at, &alert));
        let owner = Some(part);
        let (newest, kept_since, logged) = (reading, None, None);
        self.alerts.insert(Entry { alert, element, newest, owner, kept_since, due, logged });
        true
    }

    /// The condition still holds, or does so again.
    fn hold(&mut self, part: Subscription, element: Held, changes: &mut Vec<Change>) {
        let fingerprint = element.fingerprint;
        let entry = self.alerts.get_mut(fingerprint).expect("a part raises alerts that exist");
        entry.newest = element.reading;
        if entry.element != element.element {
            entry.element = element.element;
        }
        self.go_on(part.rule, fingerprint, changes);
    }

    /// An alert goes on: one that has been pending for long enough fires, and so does one again
    /// whose data was lost.
    fn go_on(&mut self, rule: RuleId, fingerprint: Fingerprint, changes: &mut Vec<Change>) {
        let hold = alert_rule(self.rules.rule(rule)).hold;
        let entry = self.alerts.get_mut(fingerprint).expect("a part raises alerts that exist");
        if entry.kept_since.take().is_some()
            && let Some(due) = entry.due.take()
        {
            self.timers.alerts.cancel(due, fingerprint);
        }
        let fires = match entry.alert.state {
            AlertState::Pending => self.now >= entry.alert.active_at.saturating_add(hold),
            AlertState::DataLost => true,
            AlertState::Firing | AlertState::Resolved => false,
        };
        if !fires {
            return;
        }
        if let Some(due) = entry.due.take() {
            self.timers.alerts.cancel(due, fingerprint);
        }
        self.turn(fingerprint, TransitionKind::Firing, changes);
    }

    /// An alert fires from now on, or its data is lost.
    pub(super) fn turn(
        &mut self,
        fingerprint: Fingerprint,
        kind: TransitionKind,
        changes: &mut Vec<Change>,
    ) {
        let entry = self.alerts.get(fingerprint).expect("the caller has found it");
        let mut alert = self.current(entry);
        let turned = Arc::make_mut(&mut alert);
        if kind == TransitionKind::DataLost {
            turned.state = AlertState::DataLost;
        } else {
            turned.state = AlertState::Firing;
            turned.fired_at.get_or_insert(self.now);
        }
        changes.push(transition(kind, self.now, &alert));
        self.alerts.get_mut(fingerprint).expect("it was there a line ago").alert = alert;
    }

    /// The condition no longer holds. Says whether the alert goes on for a while.
    fn miss(
        &mut self,
        (rule, fingerprint): (RuleId, Fingerprint),
        endings: &Endings,
        changes: &mut Vec<Change>,
    ) -> bool {
        match self.fate(rule, fingerprint, endings) {
            Fate::GoesOn => self.go_on(rule, fingerprint, changes),
            Fate::Lingers(until) => self.linger(rule, fingerprint, until),
            Fate::IsLost => {
                self.turn(fingerprint, TransitionKind::DataLost, changes);
                let entry = self.alerts.get_mut(fingerprint).expect("it was there a line ago");
                entry.kept_since = None;
                self.linger(rule, fingerprint, self.now.saturating_add(DATA_LOST_RETENTION));
            }
            Fate::Ends => {
                self.end(fingerprint, changes);
                return false;
            }
        }
        true
    }

    /// What becomes of an alert whose condition no longer holds.
    fn fate(&self, rule: RuleId, fingerprint: Fingerprint, endings: &Endings) -> Fate {
        let AlertRule { keep_firing, on_data_lost, .. } = *alert_rule(self.rules.rule(rule));
        let entry = self.alerts.get(fingerprint).expect("a part raises alerts that exist");
        let ending = endings.of_element(&entry.element);
        if ending == Ending::Between {
            return Fate::GoesOn;
        }
        let since = entry.kept_since.unwrap_or(self.now);
        let keep = match entry.alert.state {
            AlertState::Firing => keep_firing,
            AlertState::DataLost if ending == Ending::Lost => DATA_LOST_RETENTION,
            _ => return Fate::Ends,
        };
        let until = since.saturating_add(keep);
        let is_firing = entry.alert.state == AlertState::Firing;
        if self.now < until {
            Fate::Lingers(until)
        } else if is_firing && ending == Ending::Lost && on_data_lost == OnDataLost::Keep {
            Fate::IsLost
        } else {
            Fate::Ends
        }
    }

    /// How many alerts a part would raise, were [`Engine::raise`] called.
    pub(super) fn would_raise(&self, part: Subscription, finding: &Finding) -> usize {
        let mut raised: FxHashSet<Fingerprint> = FxHashSet::default();
        for item in &finding.items {
            let reading = Reading { time: self.now, value: item.value() };
            let held = self.identify(part.rule, item.labels.clone(), reading);
            raised.extend(held.map(|held| held.fingerprint));
        }
        let before = &self.rules.get(part.rule).partitions.get(part.partition).raised;
        let fate = |raised: &&Fingerprint| self.fate(part.rule, **raised, &finding.endings);
        raised.extend(before.iter().filter(|raised| !matches!(fate(raised), Fate::Ends)));
        raised.len()
    }

    /// Keeps an alert whose condition no longer holds, until a time at the latest.
    fn linger(&mut self, rule: RuleId, fingerprint: Fingerprint, until: Timestamp) {
        let is_ticked = self.rules.is_ticked(rule);
        let entry = self.alerts.get_mut(fingerprint).expect("the caller has found it");
        entry.kept_since.get_or_insert(self.now);
        if is_ticked || entry.due == Some(until) {
            return;
        }
        if let Some(before) = entry.due.replace(until) {
            self.timers.alerts.cancel(before, fingerprint);
        }
        self.timers.alerts.arm(until, fingerprint);
    }

    /// An alert ends.
    pub(super) fn end(&mut self, fingerprint: Fingerprint, changes: &mut Vec<Change>) {
        let mut entry = self.alerts.remove(fingerprint).expect("the caller has found it");
        if let Some(due) = entry.due.take() {
            self.timers.alerts.cancel(due, fingerprint);
        }
        let mut alert = self.current(&entry);
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
        let kept_since = None;
        self.alerts.insert(Entry { alert, owner: None, kept_since, due: Some(due), ..entry });
    }

    /// The alert with its newest value.
    pub(super) fn current(&self, entry: &Entry) -> Arc<Alert> {
        if entry.is_as_it_was() {
            return entry.alert.clone();
        }
        let Reading { time, value } = entry.newest;
        let mut alert = Alert { value, sample_time: time, ..(*entry.alert).clone() };
        if let Some(owner) = entry.owner {
            let rule = self.rules.rule(owner.rule);
            if alert_rule(rule).annotations.use_value {
                alert.annotations = rule.alert_annotations(&self.fill(&entry.element, value));
            }
        }
        Arc::new(alert)
    }

    /// The alert that an element stands for, unless its labels break a bound.
    pub(super) fn identify(&self, rule: RuleId, element: Labels, reading: Reading) -> Option<Held> {
        let rule = self.rules.rule(rule);
        let labels = rule.alert_labels(&self.fill(&element, reading.value)).ok()?;
        let fingerprint = Fingerprint::of(&labels);
        Some(Held { element, reading, labels, fingerprint })
    }

    pub(super) fn fill<'a>(&'a self, labels: &'a Labels, value: f64) -> Fill<'a> {
        Fill { labels, value, externals: &self.settings.externals, queries: self }
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

/// What becomes of an alert whose condition no longer holds.
enum Fate {
    /// It is as if its condition held.
    GoesOn,
    /// It is kept as it is, until a time at the latest.
    Lingers(Timestamp),
    /// It is kept, as one whose data is lost.
    IsLost,
    Ends,
}

/// Whether an alert can be raised.
enum Place {
    Free,
    /// A restored alert with these labels waits for its element.
    OfOrphan,
    /// Another part or rule raises an alert with these labels.
    Taken,
    /// There are too many alerts.
    None,
}

pub(super) fn alert_rule(rule: &Rule) -> &AlertRule {
    rule.alert().expect("only alerting rules raise alerts")
}

fn transition(kind: TransitionKind, time: Timestamp, alert: &Arc<Alert>) -> Change {
    Change::Transition(Transition { kind, time, alert: alert.clone() })
}
