//! Alerts that no part raises: restored ones whose element has not been seen yet, and those whose
//! rule has just been replaced. They wait to be raised again, and end if they are not.
//!
//! An alert whose rule says something else now, or is evaluated in another way, is left behind
//! with its labels. Who raises an alert with the same labels goes on with it.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::DATA_LOST_RETENTION;
use bellwire_model::{
    Alert, AlertSource, AlertState, Fingerprint, Labels, Timestamp, TransitionKind,
};

use super::{AlertEntry, AlertTable};
use crate::ending::Endings;
use crate::engine::change::Change;
use crate::engine::ids::{PartId, RuleId};
use crate::engine::rules::RuleTable;
use crate::engine::scene::{Held, Scene};
use crate::engine::series::Reading;
use crate::rule::{AlertRule, OnDataLost, Rule};
use crate::short_list::ShortList;
use crate::storage::SeriesId;
use crate::wal::SavedAlert;

/// How long an alert is kept whose condition does not hold.
#[derive(Default)]
struct Patience {
    keep_firing: Duration,
    on_data_lost: OnDataLost,
}

impl AlertTable {
    /// Puts an alert back after a restart. It stays as it is until its series says otherwise, at most
    /// until the patience has passed; a resolved one is kept for what is left of its retention.
    pub(in crate::engine) fn restore(&mut self, scene: &Scene<'_>, alert: Alert) {
        let settings = &scene.terms.settings;
        let due = match (alert.state, alert.resolved_at) {
            (AlertState::Resolved, Some(at)) => at.saturating_add(settings.resolved_retention),
            (AlertState::DataLost, _) => alert.sample_time.saturating_add(DATA_LOST_RETENTION),
            _ => scene.now.saturating_add(scene.patience()),
        };
        let has_room = self.len() < settings.alerts_max;
        if due <= scene.now || !has_room || !self.makes_way(&alert) {
            return;
        }
        let fingerprint = alert.fingerprint;
        let newest = Reading { time: alert.sample_time, value: alert.value };
        self.insert(AlertEntry::new(Arc::new(alert), Labels::empty(), newest));
        self.set_due(fingerprint, Some(due));
    }

    /// Whether nothing is known of a restored alert, or only that it had ended before it began.
    fn makes_way(&mut self, restored: &Alert) -> bool {
        let Some(known) = self.get(restored.fingerprint) else { return true };
        let ended_before =
            known.alert.state == AlertState::Resolved && known.alert.active_at < restored.active_at;
        if ended_before {
            self.set_due(restored.fingerprint, None);
            self.remove(restored.fingerprint);
        }
        ended_before
    }

    /// Puts an alert back as it was written down, raised by a part where there is one. Nobody else
    /// has said anything of it.
    pub(in crate::engine) fn take_saved(
        &mut self,
        scene: &Scene<'_>,
        saved: SavedAlert,
        part: Option<PartId>,
    ) {
        let SavedAlert { mut alert, element, kept_since, .. } = saved;
        let due = match part {
            None if alert.state == AlertState::DataLost => {
                let since = kept_since.unwrap_or(alert.sample_time);
                Some(since.saturating_add(DATA_LOST_RETENTION))
            }
            None => Some(scene.now.saturating_add(scene.patience())),
            Some(part) => {
                let rule = scene.rule(part.rule);
                Arc::make_mut(&mut alert).source = AlertSource::Rule(rule.name.clone());
                due(rule, &alert, kept_since)
            }
        };
        let fingerprint = alert.fingerprint;
        let newest = Reading { time: alert.sample_time, value: alert.value };
        let entry = AlertEntry::new(alert, element, newest);
        self.insert(AlertEntry { owner: part, kept_since, ..entry });
        self.set_due(fingerprint, due.map(|due| due.max(scene.now)));
    }

    /// The restored alert that a series raised before, which its part raises from now on: its series
    /// has been seen, so it is an alert like any other.
    pub(super) fn find_orphan(
        &mut self,
        scene: &Scene<'_>,
        part: PartId,
        series: SeriesId,
    ) -> Option<Fingerprint> {
        let newest = scene.storage.points(series).last()?;
        let reading = Reading { time: Timestamp::from_ms(newest.time), value: newest.value };
        if reading.time.saturating_add(scene.terms.settings.lookback) <= scene.now {
            // It says nothing: its samples may be on their way.
            return None;
        }
        let held = scene.identify(part.rule, scene.storage.labels(series), reading)?;
        self.is_orphan_of(scene.rule(part.rule), &held).then(|| {
            self.adopt(scene, part, &held);
            held.fingerprint
        })
    }

    /// Gives a part the restored alerts that its elements may have raised before, though their
    /// condition does not hold now: they end only when their end is reached.
    pub(super) fn find_lingering_orphans(
        &mut self,
        scene: &Scene<'_>,
        part: PartId,
        endings: &Endings,
        raised: &mut ShortList<Fingerprint>,
    ) {
        for element in endings.present() {
            let reading = Reading { time: scene.now, value: f64::NAN };
            let Some(held) = scene.identify(part.rule, element.clone(), reading) else { continue };
            if self.is_orphan_of(scene.rule(part.rule), &held) {
                raised.push(held.fingerprint);
                self.adopt(scene, part, &held);
            }
        }
    }

    /// Whether a restored alert of this rule waits for its element. Where its file is does not
    /// matter.
    fn is_orphan_of(&self, rule: &Rule, held: &Held) -> bool {
        let orphan = self.get(held.fingerprint);
        let orphan = orphan.filter(|entry| entry.is_orphan() && entry.alert.labels == held.labels);
        let raised_by = orphan.and_then(|orphan| orphan.alert.rule());
        let name = &rule.name;
        raised_by.is_some_and(|by| (&by.group, &by.alert) == (&name.group, &name.alert))
    }

    /// Makes a restored alert one like any other.
    pub(super) fn adopt(&mut self, scene: &Scene<'_>, part: PartId, held: &Held) {
        let fingerprint = held.fingerprint;
        let rule = scene.rule(part.rule);
        self.set_due(fingerprint, None);
        let mut entry = self.remove(fingerprint).expect("the caller has found it");
        let is_pending = entry.alert.state == AlertState::Pending;
        let has_timer = is_pending && !scene.rules.is_ticked(part.rule);
        let fires_at = entry.alert.active_at.saturating_add(scene.alert_rule(part.rule).hold);
        let fill = scene.fill(&held.element, entry.newest.value);
        let annotations = rule.alert_annotations(&fill);
        let alert = Arc::make_mut(&mut entry.alert);
        alert.source = AlertSource::Rule(rule.name.clone());
        alert.annotations = annotations;
        entry.owner = Some(part);
        entry.element = held.element.clone();
        self.insert(entry);
        self.set_due(fingerprint, has_timer.then_some(fires_at));
    }

    /// Takes an alert from the part that raises it: it goes on if another part raises it too.
    pub(in crate::engine) fn disown(&mut self, fingerprint: Fingerprint) {
        self.set_due(fingerprint, None);
        let mut entry = self.remove(fingerprint).expect("a part raises alerts that exist");
        entry.owner = None;
        self.insert(entry);
    }

    /// Takes all alerts from their parts behind a pause: nothing is known of the time between.
    pub(in crate::engine) fn disown_all(&mut self, scene: &Scene<'_>) {
        let owned = |entry: &AlertEntry| entry.owner.map(|_| entry.alert.fingerprint);
        let raised: Vec<Fingerprint> = self.entries.values().filter_map(owned).collect();
        for fingerprint in raised {
            self.disown(fingerprint);
            let orphan = self.get(fingerprint).expect("it was there a line ago");
            let lost_since = orphan.kept_since.unwrap_or(orphan.alert.sample_time);
            let due = match orphan.alert.state {
                AlertState::DataLost => {
                    lost_since.saturating_add(DATA_LOST_RETENTION).max(scene.now)
                }
                _ => scene.now.saturating_add(scene.patience()),
            };
            self.set_due(fingerprint, Some(due));
        }
    }

    /// Gives alerts that are left behind to rules in tick mode that raise alerts with the same
    /// labels, and says which to which. Whether they still do shows at their tick, as it would have.
    pub(in crate::engine) fn give_to_ticking(
        &mut self,
        scene: &Scene<'_>,
        left: &[Fingerprint],
        only_part: impl Fn(RuleId) -> PartId,
    ) -> Vec<(PartId, Fingerprint)> {
        let mut given = Vec::new();
        for fingerprint in left {
            let Some(orphan) = self.get(*fingerprint).filter(|entry| entry.is_orphan()) else {
                continue;
            };
            let Some(name) = orphan.alert.rule() else { continue };
            let held = |rule: &RuleId| {
                let held = scene.identify(*rule, orphan.element.clone(), orphan.newest)?;
                (held.labels == orphan.alert.labels).then_some((*rule, held))
            };
            let ticking = scene.rules.alerting(&name.alert).iter();
            let heir = ticking.filter(|rule| scene.rules.is_ticked(**rule)).find_map(held);
            if let Some((rule, held)) = heir {
                let part = only_part(rule);
                self.adopt(scene, part, &held);
                given.push((part, *fingerprint));
            }
        }
        given
    }

    /// What becomes of an alert that was left behind and that no rule has taken, although all of
    /// its samples are there: its condition does not hold. It ends, unless its rule keeps it.
    pub(in crate::engine) fn end_left(
        &mut self,
        scene: &Scene<'_>,
        fingerprint: Fingerprint,
        changes: &mut Vec<Change>,
    ) {
        let Some(left) = self.get(fingerprint).filter(|entry| entry.is_orphan()) else {
            return;
        };
        let Patience { keep_firing, on_data_lost } = Patience::with(left, scene.rules);
        let keep = match left.alert.state {
            AlertState::Firing => keep_firing,
            AlertState::DataLost if on_data_lost == OnDataLost::Keep => DATA_LOST_RETENTION,
            _ => Duration::ZERO,
        };
        let until = left.kept_since.unwrap_or(scene.now).saturating_add(keep);
        if until <= scene.now {
            return self.end(scene, fingerprint, changes);
        }
        let left = self.get_mut(fingerprint).expect("it was there a few lines ago");
        left.kept_since.get_or_insert(scene.now);
        self.set_due(fingerprint, Some(until));
    }

    /// Ends an alert whose timer was due, if it is a restored one that nobody has spoken for. Where
    /// its rule asks for it, its data counts as lost first.
    pub(in crate::engine) fn end_orphan(
        &mut self,
        scene: &Scene<'_>,
        fingerprint: Fingerprint,
        changes: &mut Vec<Change>,
    ) {
        let Some(orphan) = self.get(fingerprint).filter(|entry| entry.is_orphan()) else {
            return;
        };
        let is_kept = Patience::with(orphan, scene.rules).on_data_lost == OnDataLost::Keep;
        if orphan.alert.state != AlertState::Firing || !is_kept {
            return self.end(scene, fingerprint, changes);
        }
        self.turn(scene, (fingerprint, TransitionKind::DataLost), changes);
        let entry = self.get_mut(fingerprint).expect("it was there a line ago");
        entry.kept_since = Some(scene.now);
        self.set_due(fingerprint, Some(scene.now.saturating_add(DATA_LOST_RETENTION)));
    }

    /// Ends those that wait for a rule that there is no more.
    pub(in crate::engine) fn end_ruleless(&mut self, scene: &Scene<'_>, changes: &mut Vec<Change>) {
        let is_gone = |alert: &Alert| {
            alert.rule().is_none_or(|name| scene.rules.alerting(&name.alert).is_empty())
        };
        let left = self.entries.values().filter(|entry| entry.is_orphan() && is_gone(&entry.alert));
        let mut left: Vec<Fingerprint> = left.map(|entry| entry.alert.fingerprint).collect();
        left.sort_unstable();
        for fingerprint in left {
            self.end(scene, fingerprint, changes);
        }
    }
}

impl Scene<'_> {
    /// How long a restored alert waits for its element: as long as a series is present after a
    /// sample, and until every group in tick mode has had its tick.
    fn patience(&self) -> Duration {
        self.rules.tick_interval_max().max(self.terms.settings.lookback)
    }
}

impl Patience {
    /// How long the rules that may raise an alert keep it at most.
    fn with(orphan: &AlertEntry, rules: &RuleTable) -> Self {
        let heirs = orphan.alert.rule().map(|rule| rules.heirs_of(rule)).unwrap_or_default();
        let mut patience = Self::default();
        for rule in heirs.iter().filter_map(|heir| rules.rule(*heir).alert()) {
            patience.keep_firing = patience.keep_firing.max(rule.keep_firing);
            if rule.on_data_lost == OnDataLost::Keep {
                patience.on_data_lost = OnDataLost::Keep;
            }
        }
        patience
    }
}

/// When time alone changes an alert.
fn due(rule: &Rule, alert: &Alert, kept_since: Option<Timestamp>) -> Option<Timestamp> {
    let AlertRule { hold, keep_firing, .. } = rule.alert()?;
    let is_lost = alert.state == AlertState::DataLost;
    let keep = if is_lost { DATA_LOST_RETENTION } else { *keep_firing };
    let ends = kept_since.map(|since| since.saturating_add(keep));
    let fires = || alert.active_at.saturating_add(*hold);
    ends.or_else(|| (alert.state == AlertState::Pending).then(fires))
}
