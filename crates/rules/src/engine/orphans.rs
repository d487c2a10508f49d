//! Alerts that no part raises: restored ones whose element has not been seen yet, and those whose
//! rule has just been replaced. They wait to be raised again, and end if they are not.
//!
//! An alert whose rule says something else now, or is evaluated in another way, is left behind
//! with its labels. Who raises an alert with the same labels goes on with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::DATA_LOST_RETENTION;
use bellwire_model::{AlertSource, AlertState, Fingerprint, Timestamp, TransitionKind};

use rustc_hash::{FxHashMap, FxHashSet};

use super::alerts::Entry;
use super::lifecycle::{Held, alert_rule};
use super::partitions::Members;
use super::rules::RuleId;
use super::series::{Reading, Subscription};
use super::{Change, Engine};
use crate::alert_series::{ALERTS, ALERTS_FOR_STATE};
use crate::ending::Endings;
use crate::rule::{ALERT_NAME, OnDataLost};
use crate::storage::SeriesId;

/// How long an alert is kept whose condition does not hold.
#[derive(Default)]
struct Patience {
    keep_firing: Duration,
    on_data_lost: OnDataLost,
}

impl Engine {
    /// How long a restored alert waits for its element: as long as a series is present after a
    /// sample, and until every group in tick mode has had its tick.
    pub(super) fn patience(&self) -> Duration {
        self.rules.tick_interval_max.max(self.settings.lookback)
    }

    /// Gives a part of one series the restored alert that the series raised before: its series
    /// has been seen, so from now on it is an alert like any other.
    pub(super) fn find_orphan(&mut self, part: Subscription, raised: &mut Vec<Fingerprint>) {
        let entry = self.rules.get(part.rule);
        if !self.alerts.has_orphans_of(&entry.rule.name) {
            return;
        }
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
        if !self.alerts.has_orphans_of(&self.rules.rule(part.rule).name) {
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

    /// Whether a restored alert of this rule waits for its element. Where its file is does not
    /// matter.
    fn is_orphan_of(&self, rule: RuleId, fingerprint: Fingerprint) -> bool {
        let name = &self.rules.rule(rule).name;
        let orphan = self.alerts.get(fingerprint).filter(|entry| entry.is_orphan());
        let raised_by = orphan.and_then(|orphan| orphan.alert.rule());
        raised_by.is_some_and(|by| (&by.group, &by.alert) == (&name.group, &name.alert))
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

    /// Gives alerts that are left behind to rules in tick mode that raise alerts with the same
    /// labels. Whether they still do shows at their tick, as it would have.
    pub(super) fn give_to_ticking(&mut self, left: &[Fingerprint]) {
        for fingerprint in left {
            let Some(orphan) = self.alerts.get(*fingerprint).filter(|entry| entry.is_orphan())
            else {
                continue;
            };
            let Some(name) = orphan.alert.rule() else { continue };
            let held = |rule: &RuleId| {
                let held = self.identify(*rule, orphan.element.clone(), orphan.newest)?;
                (held.fingerprint == *fingerprint).then_some((*rule, held))
            };
            let ticking = self.rules.alerting(&name.alert).iter();
            let heir = ticking.filter(|rule| self.rules.is_ticked(**rule)).find_map(held);
            if let Some((rule, held)) = heir {
                let partition = self.rules.get(rule).partitions.only();
                self.adopt(Subscription { rule, partition }, &held);
                let partitions = &mut self.rules.get_mut(rule).partitions;
                partitions.get_mut(partition).raised.push(*fingerprint);
            }
        }
    }

    /// Gives series that rules have left behind to rules in tick mode that record such: whether
    /// they still do shows at their tick. Says which ones nobody has taken.
    pub(super) fn give_recorded_to_ticking(&mut self, left: Vec<SeriesId>) -> Vec<SeriesId> {
        let (mut others, mut given) = (Vec::new(), FxHashMap::<Subscription, Vec<_>>::default());
        for id in left {
            let labels = self.series.labels(id);
            let name = labels.metric_name().unwrap_or_default();
            let rules = if [ALERTS, ALERTS_FOR_STATE].contains(&name) {
                self.rules.alerting(labels.get(ALERT_NAME).unwrap_or_default())
            } else {
                self.rules.recording(name)
            };
            let Some(rule) = rules.iter().copied().find(|rule| self.rules.is_ticked(*rule)) else {
                others.push(id);
                continue;
            };
            let part = Subscription { rule, partition: self.rules.get(rule).partitions.only() };
            given.entry(part).or_default().push(id);
        }
        for (part, series) in given {
            let mut recorded = self.recorded_mut(part, std::mem::take);
            let known: FxHashSet<SeriesId> = recorded.iter().copied().collect();
            let new: BTreeSet<SeriesId> =
                series.into_iter().filter(|id| !known.contains(id)).collect();
            for id in &new {
                self.series.state_mut(*id).recorders += 1;
            }
            recorded.extend(new);
            self.log_recorded(part, &recorded);
            self.recorded_mut(part, |held| *held = recorded);
        }
        others
    }

    /// What becomes of an alert that was left behind and that no rule has taken, although all of
    /// its samples are there: its condition does not hold. It ends, unless its rule keeps it.
    pub(super) fn end_left(&mut self, fingerprint: Fingerprint, changes: &mut Vec<Change>) {
        let Some(left) = self.alerts.get(fingerprint).filter(|entry| entry.is_orphan()) else {
            return;
        };
        let Patience { keep_firing, on_data_lost } = self.patience_of(left);
        let keep = match left.alert.state {
            AlertState::Firing => keep_firing,
            AlertState::DataLost if on_data_lost == OnDataLost::Keep => DATA_LOST_RETENTION,
            _ => Duration::ZERO,
        };
        let until = left.kept_since.unwrap_or(self.now).saturating_add(keep);
        if until <= self.now {
            return self.end(fingerprint, changes);
        }
        let now = self.now;
        let left = self.alerts.get_mut(fingerprint).expect("it was there a few lines ago");
        left.kept_since.get_or_insert(now);
        if let Some(before) = left.due.replace(until) {
            self.timers.alerts.cancel(before, fingerprint);
        }
        self.timers.alerts.arm(until, fingerprint);
    }

    /// How long the rules that may raise an alert keep it at most.
    fn patience_of(&self, orphan: &Entry) -> Patience {
        let heirs = orphan.alert.rule().map(|rule| self.rules.heirs_of(rule)).unwrap_or_default();
        let rules = heirs.iter().filter_map(|heir| self.rules.rule(*heir).alert());
        let mut patience = Patience::default();
        for rule in rules {
            patience.keep_firing = patience.keep_firing.max(rule.keep_firing);
            if rule.on_data_lost == OnDataLost::Keep {
                patience.on_data_lost = OnDataLost::Keep;
            }
        }
        patience
    }

    /// Ends an alert whose timer was due, if it is a restored one that nobody has spoken for. Where
    /// its rule asks for it, its data counts as lost first.
    pub(super) fn end_orphan(&mut self, fingerprint: Fingerprint, changes: &mut Vec<Change>) {
        let Some(orphan) = self.alerts.get(fingerprint).filter(|entry| entry.is_orphan()) else {
            return;
        };
        let is_kept = self.patience_of(orphan).on_data_lost == OnDataLost::Keep;
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

#[cfg(test)]
mod tests {
    use bellwire_model::{Labels, METRIC_NAME, Sample};

    use super::*;
    use crate::load::{RuleFile, load};

    #[test]
    fn alerts_that_wait_cost_other_rules_nothing() {
        let text = "groups: [{name: g, rules: [\
                    {alert: A, expr: 'a > 1', on_data_lost: keep},\
                    {alert: B, expr: 'b > 1', on_data_lost: keep}]}]";
        let set = || load(&[RuleFile { name: "f", text }]).expect("rules");
        let sample = |name: &str, value: f64| {
            let series = Labels::from_pairs([(METRIC_NAME, name)]).expect("labels");
            Sample { series, value, time: Timestamp::from_ms(0) }
        };
        let now = Timestamp::from_ms(0);
        let mut before = Engine::new(set());
        before.apply(now, &[sample("a", 2.0)]);
        let mut engine = Engine::new(set());
        engine.restore(now, before.active().map(|alert| (*alert).clone()));
        engine.apply(now, &[sample("b", 0.0)]);
        let first = before.rules.ids().next().expect("a rule");
        let parts = engine.series.state(engine.series.from(0).next().expect("a series").1);
        let part = parts.subscriptions[0];
        assert!(engine.alerts.has_orphans_of(&before.rules.rule(first).name));
        assert!(!engine.lingers(part));
        // Its own rule looks for it, until it is found.
        engine.apply(now, &[sample("a", 0.0)]);
        assert!(!engine.alerts.has_orphans_of(&before.rules.rule(first).name));
    }
}
