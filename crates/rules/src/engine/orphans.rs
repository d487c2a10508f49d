//! Alerts that no part raises: restored ones whose element has not been seen yet, and those whose
//! rule has just been replaced. They wait to be raised again, and end if they are not.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::DATA_LOST_RETENTION;
use bellwire_model::{AlertSource, AlertState, Fingerprint, Timestamp, TransitionKind};

use super::lifecycle::{Held, alert_rule};
use super::partitions::Members;
use super::rules::RuleId;
use super::series::{Reading, Subscription};
use super::{Change, Engine};
use crate::ending::Endings;

impl Engine {
    /// How long a restored alert waits for its element: as long as a series is present after a
    /// sample, and until every group in tick mode has had its tick.
    pub(super) fn patience(&self) -> Duration {
        self.rules.tick_interval_max.max(self.settings.lookback)
    }

    /// Gives a part of one series the restored alert that the series raised before: its series
    /// has been seen, so from now on it is an alert like any other.
    pub(super) fn find_orphan(&mut self, part: Subscription, raised: &mut Vec<Fingerprint>) {
        if !self.alerts.has_orphans() {
            return;
        }
        let entry = self.rules.get(part.rule);
        let members = &entry.partitions.get(part.partition).members;
        let Members::One(series) = members else { return };
        let Some(newest) = self.series.newest(*series) else { return };
        let reading = Reading { time: Timestamp::from_ms(newest.time), value: newest.value };
        if reading.time.saturating_add(self.settings.lookback) <= self.now {
            // It says nothing: its samples may be on their way.
            return;
        }
        let element = self.series.labels(*series);
        let Some(held) = self.identify(part.rule, element, reading) else { return };
        if self.is_orphan_of(part.rule, held.fingerprint) {
            raised.push(held.fingerprint);
            self.adopt(part, &held);
        }
    }

    /// Gives a part the restored alerts that its elements may have raised before, though their
    /// condition does not hold now: they end only when their end is reached.
    pub(super) fn find_lingering_orphans(
        &mut self,
        part: Subscription,
        endings: &Endings,
        raised: &mut Vec<Fingerprint>,
    ) {
        if !self.alerts.has_orphans() {
            return;
        }
        for element in endings.present() {
            let reading = Reading { time: self.now, value: f64::NAN };
            let Some(held) = self.identify(part.rule, element.clone(), reading) else { continue };
            if self.is_orphan_of(part.rule, held.fingerprint) {
                raised.push(held.fingerprint);
                self.adopt(part, &held);
            }
        }
    }

    /// Whether a restored alert of this rule waits for its element.
    fn is_orphan_of(&self, rule: RuleId, fingerprint: Fingerprint) -> bool {
        let name = &self.rules.rule(rule).name;
        let orphan = self.alerts.get(fingerprint).filter(|entry| entry.is_orphan());
        orphan.is_some_and(|orphan| orphan.alert.rule() == Some(name))
    }

    /// Makes a restored alert one like any other.
    pub(super) fn adopt(&mut self, part: Subscription, held: &Held) {
        let fingerprint = held.fingerprint;
        let rule = self.rules.rule(part.rule);
        let is_ticked = self.rules.is_ticked(part.rule);
        let mut entry = self.alerts.remove(fingerprint).expect("the caller has found it");
        if let Some(due) = entry.due.take() {
            self.timers.alerts.cancel(due, fingerprint);
        }
        if entry.alert.state == AlertState::Pending && !is_ticked {
            let due = entry.alert.active_at.saturating_add(alert_rule(rule).hold);
            self.timers.alerts.arm(due, fingerprint);
            entry.due = Some(due);
        }
        let annotations = rule.alert_annotations(&self.fill(&held.element, entry.newest.value));
        let alert = Arc::make_mut(&mut entry.alert);
        alert.source = AlertSource::Rule(rule.name.clone());
        alert.annotations = annotations;
        entry.owner = Some(part);
        entry.element = held.element.clone();
        self.alerts.insert(entry);
    }

    /// Takes an alert from the part that raises it: it goes on if another part raises it too.
    pub(super) fn disown(&mut self, fingerprint: Fingerprint) {
        let mut entry = self.alerts.remove(fingerprint).expect("a part raises alerts that exist");
        if let Some(due) = entry.due.take() {
            self.timers.alerts.cancel(due, fingerprint);
        }
        entry.owner = None;
        self.alerts.insert(entry);
    }

    /// Ends an alert whose timer was due, if it is a restored one that nobody has spoken for. Where
    /// its rule asks for it, its data counts as lost first.
    pub(super) fn end_orphan(&mut self, fingerprint: Fingerprint, changes: &mut Vec<Change>) {
        let Some(orphan) = self.alerts.get(fingerprint).filter(|entry| entry.is_orphan()) else {
            return;
        };
        let is_kept = orphan.alert.rule().is_some_and(|name| self.rules.keeps_lost(name));
        if orphan.alert.state != AlertState::Firing || !is_kept {
            return self.end(fingerprint, changes);
        }
        self.turn(fingerprint, TransitionKind::DataLost, changes);
        let until = self.now.saturating_add(DATA_LOST_RETENTION);
        let entry = self.alerts.get_mut(fingerprint).expect("it was there a line ago");
        entry.kept_since = Some(self.now);
        entry.due = Some(until);
        self.timers.alerts.arm(until, fingerprint);
    }
}
