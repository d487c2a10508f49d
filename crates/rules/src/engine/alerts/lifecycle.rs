//! The life of alerts: what follows for them of what their rules come to.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::DATA_LOST_RETENTION;
use bellwire_model::{
    Alert, AlertSource, AlertState, Fingerprint, Labels, NameSet, Sample, Timestamp, Transition,
    TransitionKind,
};

use super::{AlertEntry, AlertTable};
use crate::ending::{Ending, Endings};
use crate::engine::change::Change;
use crate::engine::ids::{PartId, RuleId};
use crate::engine::scene::{Held, Raised, Scene};
use crate::engine::series::Reading;
use crate::evaluation::Item;
use crate::rule::{AlertRule, OnDataLost, Rule};
use crate::short_list::ShortList;
use crate::storage::{Point, SeriesId};

/// What a part of an alerting rule comes to.
#[derive(Debug, Default)]
pub(in crate::engine) struct Finding {
    /// The elements for which the condition holds.
    pub(in crate::engine) items: Vec<Item>,
    /// When the sample was taken that the only item comes from, where it is one sample's value.
    pub(in crate::engine) taken_at: Option<Timestamp>,
    /// What becomes of those for which it no longer does.
    pub(in crate::engine) endings: Endings,
}

/// A part of an alerting rule, as its alerts see it.
#[derive(Debug)]
pub(in crate::engine) struct Raiser {
    pub(in crate::engine) part: PartId,
    /// Its only series, where every series is a part.
    pub(in crate::engine) series: Option<SeriesId>,
    /// The alerts that it raised until now.
    pub(in crate::engine) raised: ShortList<Fingerprint>,
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

impl AlertTable {
    /// Brings the alerts of a part in line with its elements, and says which it raises now.
    pub(in crate::engine) fn raise(
        &mut self,
        scene: &Scene<'_>,
        raiser: Raiser,
        finding: Finding,
        changes: &mut Vec<Change>,
    ) -> Vec<Fingerprint> {
        let Raiser { part, series, raised: mut before } = raiser;
        let Finding { items, taken_at, endings } = finding;
        if self.has_orphans_of(&scene.rule(part.rule).name) {
            let orphan = series.and_then(|series| self.find_orphan(scene, part, series));
            if let Some(orphan) = orphan {
                before.push(orphan);
            }
            self.find_lingering_orphans(scene, part, &endings, &mut before);
        }
        let turned_before = changes.len();
        let held = self.held(scene, (part, &before), items, taken_at);
        let is_held: NameSet<_> = held.iter().map(|held| held.fingerprint).collect();
        let was_raised: NameSet<_> = before.iter().copied().collect();
        let mut after: Vec<Fingerprint> = Vec::with_capacity(held.len());
        for raised in before.iter().filter(|raised| !is_held.contains(raised)) {
            if self.miss(scene, (part.rule, *raised), &endings, changes) {
                after.push(*raised);
            }
        }
        for held in held {
            let fingerprint = held.fingerprint;
            if was_raised.contains(&fingerprint) {
                self.hold(scene, part, held, changes);
            } else if !self.begin(scene, part, held, changes) {
                continue;
            }
            after.push(fingerprint);
        }
        if let Some(series) = series {
            tell_sample(scene, series, &mut changes[turned_before..]);
        }
        after
    }

    /// The alerts that elements stand for, each once. An alert whose fingerprint another one has is
    /// none: what is known of that must not get to it.
    fn held(
        &mut self,
        scene: &Scene<'_>,
        (part, before): (PartId, &[Fingerprint]),
        items: Vec<Item>,
        taken_at: Option<Timestamp>,
    ) -> Vec<Held> {
        let time = taken_at.unwrap_or(scene.now);
        let raised = self.by_labels(before, items.len());
        let mut seen = NameSet::default();
        let mut held = Vec::with_capacity(items.len());
        for item in items {
            let reading = Reading { time, value: item.value() };
            match scene.identify_among(part.rule, item.labels, reading, &raised) {
                Some(element) if !self.is_others(&element) && seen.insert(element.fingerprint) => {
                    held.push(element);
                }
                Some(_) => self.unraised.duplicate += 1,
                None => self.unraised.invalid += 1,
            }
        }
        held
    }

    /// The alerts that a part raises, for a number of elements to be found among: what most of them
    /// raise is there already, and a comparison costs less than a fingerprint.
    fn by_labels(&self, raised: &[Fingerprint], elements: usize) -> Raised {
        let raised = raised.iter().filter_map(|raised| self.get(*raised));
        let pairs = raised.map(|entry| (entry.alert.labels.clone(), entry.alert.fingerprint));
        if elements <= 1 { Raised::Few(pairs.collect()) } else { Raised::Many(pairs.collect()) }
    }

    /// Whether an element stands for an alert whose fingerprint another one has.
    pub(super) fn is_others(&self, held: &Held) -> bool {
        self.get(held.fingerprint).is_some_and(|entry| entry.alert.labels != held.labels)
    }

    /// The condition holds, and did not before. Says whether there is an alert now.
    fn begin(
        &mut self,
        scene: &Scene<'_>,
        part: PartId,
        element: Held,
        changes: &mut Vec<Change>,
    ) -> bool {
        let fingerprint = element.fingerprint;
        // Within one millisecond it may end and begin again: what begins later has a later time,
        // since the time tells the two apart.
        let before = self.get(fingerprint).map(|entry| entry.alert.active_at);
        let next = before.map(|before| before.saturating_add(Duration::from_millis(1)));
        let active_at = next.map_or(scene.now, |next| next.max(scene.now));
        match self.make_place(scene, fingerprint, changes) {
            Place::Free => {}
            Place::OfOrphan => {
                self.adopt(scene, part, &element);
                self.hold(scene, part, element, changes);
                return true;
            }
            Place::Taken => {
                self.unraised.duplicate += 1;
                return false;
            }
            Place::None => {
                self.unraised.refused += 1;
                self.unraised.refused_rule = Some(scene.rule(part.rule).name.clone());
                return false;
            }
        }
        self.insert_new(scene, part, (element, active_at), changes);
        true
    }

    fn insert_new(
        &mut self,
        scene: &Scene<'_>,
        part: PartId,
        (element, active_at): (Held, Timestamp),
        changes: &mut Vec<Change>,
    ) {
        let rule = scene.rule(part.rule);
        let hold = scene.alert_rule(part.rule).hold;
        let fires = hold.is_zero();
        let Held { element, reading, labels, fingerprint } = element;
        let alert = Arc::new(Alert {
            fingerprint,
            source: AlertSource::Rule(rule.name.clone()),
            state: if fires { AlertState::Firing } else { AlertState::Pending },
            annotations: rule.alert_annotations(&scene.fill(&element, reading.value)),
            labels,
            value: reading.value,
            active_at,
            fired_at: fires.then_some(active_at),
            resolved_at: None,
            sample_time: reading.time,
        });
        let has_timer = !fires && !scene.rules.is_ticked(part.rule);
        let due = has_timer.then(|| active_at.saturating_add(hold));
        let kind = if fires { TransitionKind::Firing } else { TransitionKind::Pending };
        changes.push(transition((kind, active_at), &alert, Some(rule)));
        let owner = Some(part);
        let entry = AlertEntry { owner, ..AlertEntry::new(alert, element, reading) };
        self.insert(entry);
        self.set_due(fingerprint, due);
    }

    /// The condition still holds, or does so again.
    fn hold(&mut self, scene: &Scene<'_>, part: PartId, element: Held, changes: &mut Vec<Change>) {
        let fingerprint = element.fingerprint;
        let entry = self.get_mut(fingerprint).expect("a part raises alerts that exist");
        let is_new =
            !std::mem::replace(&mut entry.newest, element.reading).is_same(element.reading);
        if entry.element != element.element {
            entry.element = element.element;
        }
        if is_new {
            self.read.insert(fingerprint);
        }
        self.go_on(scene, (part.rule, fingerprint), changes);
    }

    /// An alert goes on: one that has been pending for long enough fires, and so does one again
    /// whose data was lost.
    fn go_on(
        &mut self,
        scene: &Scene<'_>,
        (rule, fingerprint): (RuleId, Fingerprint),
        changes: &mut Vec<Change>,
    ) {
        let hold = scene.alert_rule(rule).hold;
        let entry = self.get_mut(fingerprint).expect("a part raises alerts that exist");
        let was_kept = entry.kept_since.take().is_some();
        let fires = match entry.alert.state {
            AlertState::Pending => scene.now >= entry.alert.active_at.saturating_add(hold),
            AlertState::DataLost => true,
            AlertState::Firing | AlertState::Resolved => false,
        };
        if was_kept || fires {
            self.set_due(fingerprint, None);
        }
        if fires {
            self.turn(scene, (fingerprint, TransitionKind::Firing), changes);
        }
    }

    /// An alert fires from now on, or its data is lost.
    pub(super) fn turn(
        &mut self,
        scene: &Scene<'_>,
        (fingerprint, kind): (Fingerprint, TransitionKind),
        changes: &mut Vec<Change>,
    ) {
        let entry = self.get_mut(fingerprint).expect("the caller has found it");
        let mut alert = entry.current(scene);
        let turned = Arc::make_mut(&mut alert);
        if kind == TransitionKind::DataLost {
            turned.state = AlertState::DataLost;
        } else {
            turned.state = AlertState::Firing;
            turned.fired_at.get_or_insert(scene.now);
        }
        let rule = entry.owner.map(|owner| scene.rule(owner.rule));
        changes.push(transition((kind, scene.now), &alert, rule));
        entry.alert = alert;
    }

    /// The condition no longer holds. Says whether the alert goes on for a while.
    fn miss(
        &mut self,
        scene: &Scene<'_>,
        (rule, fingerprint): (RuleId, Fingerprint),
        endings: &Endings,
        changes: &mut Vec<Change>,
    ) -> bool {
        match self.fate(scene, (rule, fingerprint), endings) {
            Fate::GoesOn => self.go_on(scene, (rule, fingerprint), changes),
            Fate::Lingers(until) => self.linger(scene, (rule, fingerprint), until),
            Fate::IsLost => {
                self.turn(scene, (fingerprint, TransitionKind::DataLost), changes);
                let entry = self.get_mut(fingerprint).expect("it was there a line ago");
                entry.kept_since = None;
                let until = scene.now.saturating_add(DATA_LOST_RETENTION);
                self.linger(scene, (rule, fingerprint), until);
            }
            Fate::Ends => {
                self.end(scene, fingerprint, changes);
                return false;
            }
        }
        true
    }

    /// What becomes of an alert whose condition no longer holds.
    fn fate(
        &self,
        scene: &Scene<'_>,
        (rule, fingerprint): (RuleId, Fingerprint),
        endings: &Endings,
    ) -> Fate {
        let AlertRule { keep_firing, on_data_lost, .. } = *scene.alert_rule(rule);
        let entry = self.get(fingerprint).expect("a part raises alerts that exist");
        let ending = endings.of_element(&entry.element);
        if ending == Ending::Between {
            return Fate::GoesOn;
        }
        let since = entry.kept_since.unwrap_or(scene.now);
        let keep = match entry.alert.state {
            AlertState::Firing => keep_firing,
            AlertState::DataLost if ending == Ending::Lost => DATA_LOST_RETENTION,
            _ => return Fate::Ends,
        };
        let until = since.saturating_add(keep);
        let is_firing = entry.alert.state == AlertState::Firing;
        if scene.now < until {
            Fate::Lingers(until)
        } else if is_firing && ending == Ending::Lost && on_data_lost == OnDataLost::Keep {
            Fate::IsLost
        } else {
            Fate::Ends
        }
    }

    /// How many alerts a part that raises these would raise, were [`Self::raise`] called.
    pub(in crate::engine) fn would_raise(
        &self,
        scene: &Scene<'_>,
        (rule, before): (RuleId, &[Fingerprint]),
        finding: &Finding,
    ) -> usize {
        let mut raised: NameSet<Labels> = NameSet::default();
        for item in &finding.items {
            raised.extend(scene.alert_labels(rule, &item.labels, item.value()));
        }
        let fate = |raised: &&Fingerprint| self.fate(scene, (rule, **raised), &finding.endings);
        let stay = before.iter().filter(|raised| !matches!(fate(raised), Fate::Ends));
        raised.extend(stay.filter_map(|raised| Some(self.get(*raised)?.alert.labels.clone())));
        raised.len()
    }

    /// Keeps an alert whose condition no longer holds, until a time at the latest.
    fn linger(
        &mut self,
        scene: &Scene<'_>,
        (rule, fingerprint): (RuleId, Fingerprint),
        until: Timestamp,
    ) {
        let entry = self.get_mut(fingerprint).expect("the caller has found it");
        entry.kept_since.get_or_insert(scene.now);
        if !scene.rules.is_ticked(rule) {
            self.set_due(fingerprint, Some(until));
        }
    }

    /// An alert ends.
    pub(in crate::engine) fn end(
        &mut self,
        scene: &Scene<'_>,
        fingerprint: Fingerprint,
        changes: &mut Vec<Change>,
    ) {
        self.set_due(fingerprint, None);
        let entry = self.remove(fingerprint).expect("the caller has found it");
        let mut alert = entry.current(scene);
        if alert.state == AlertState::Pending {
            changes.push(transition((TransitionKind::Inactive, scene.now), &alert, None));
            changes.push(Change::Removed(fingerprint));
            return;
        }
        let resolved = Arc::make_mut(&mut alert);
        resolved.state = AlertState::Resolved;
        resolved.resolved_at = Some(scene.now);
        let rule = entry.owner.map(|owner| scene.rule(owner.rule));
        changes.push(transition((TransitionKind::Resolved, scene.now), &alert, rule));
        self.insert(AlertEntry { alert, owner: None, kept_since: None, ..entry });
        let due = scene.now.saturating_add(scene.terms.settings.resolved_retention);
        self.set_due(fingerprint, Some(due));
    }

    /// Forgets resolved alerts that have been kept for long enough.
    pub(in crate::engine) fn forget_due(&mut self, now: Timestamp, changes: &mut Vec<Change>) {
        for (_, fingerprint) in self.retention.take_due(now) {
            self.remove(fingerprint);
            changes.push(Change::Removed(fingerprint));
        }
    }

    /// Makes a place for an alert. One that is resolved gives way to the same alert anew, and the
    /// oldest resolved one to any alert where there are too many.
    fn make_place(
        &mut self,
        scene: &Scene<'_>,
        fingerprint: Fingerprint,
        changes: &mut Vec<Change>,
    ) -> Place {
        if let Some(entry) = self.get(fingerprint) {
            if entry.is_orphan() {
                return Place::OfOrphan;
            }
            if entry.owner.is_some() {
                return Place::Taken;
            }
            self.set_due(fingerprint, None);
            self.remove(fingerprint);
        } else if self.len() >= scene.terms.settings.alerts_max {
            let Some((_, oldest)) = self.retention.pop() else { return Place::None };
            self.remove(oldest);
            changes.push(Change::Removed(oldest));
        }
        Place::Free
    }
}

/// Has the announced transitions of a part of one series tell its newest sample.
fn tell_sample(scene: &Scene<'_>, series: SeriesId, changes: &mut [Change]) {
    let mut sample = None;
    for change in changes {
        let Change::Transition(turned) = change else { continue };
        if turned.kind.is_announced() {
            let newest = || {
                let Point { time, value } = *scene.storage.points(series).last()?;
                let series = scene.storage.labels(series);
                Some(Arc::new(Sample { series, value, time: Timestamp::from_ms(time) }))
            };
            turned.sample.clone_from(sample.get_or_insert_with(newest));
        }
    }
}

fn transition(
    (kind, time): (TransitionKind, Timestamp),
    alert: &Arc<Alert>,
    rule: Option<&Rule>,
) -> Change {
    let rule = rule.filter(|_| kind.is_announced());
    let expression = rule.map(|rule| Arc::clone(&rule.expression));
    Change::Transition(Transition { kind, time, alert: alert.clone(), expression, sample: None })
}
