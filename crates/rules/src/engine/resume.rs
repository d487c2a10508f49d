//! Going on from what an engine wrote down.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::RESTART_GAP;
use bellwire_model::{Alert, AlertState, Fingerprint, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Engine;
use super::alerts::AlertEntry;
use super::change::Change;
use super::ids::{PartId, RuleId};
use super::intake::Origin;
use super::rules::Shape;
use super::scene::Scene;
use super::series::{Added, Reading};
use super::terms::Settings;
use crate::alert_series::{ALERTS, ALERTS_FOR_STATE};
use crate::rule::{ALERT_NAME, RuleSet};
use crate::short_list::ShortList;
use crate::storage::{Point, STALE, SeriesId};
use crate::wal::{PartName, SavedAlert, SavedSeries, State};

/// What rules have left behind that are no longer there, or fall into other parts now.
#[derive(Default)]
struct Left {
    alerts: Vec<Fingerprint>,
    recorded: Vec<SeriesId>,
}

/// The series of a state that rules record, as this engine calls them.
type Numbers = FxHashMap<u64, SeriesId>;

impl Engine {
    /// Puts alerts back after a restart, as they were in the journal or in another engine.
    ///
    /// A firing or pending alert stays as it is until its series says otherwise, at most until the
    /// lookback from `now` has passed; from the first sample on it is like any other. A resolved
    /// one is kept for what is left of its retention.
    pub fn restore(&mut self, now: Timestamp, alerts: impl IntoIterator<Item = Alert>) {
        self.now = now.max(self.now);
        let (table, scene) = self.alerts_mut();
        for alert in alerts {
            table.restore(&scene, alert);
        }
    }

    /// An engine that goes on where another one ended, and what changed since.
    ///
    /// After a short pause, [`RESTART_GAP`] at most, it is as if there had been none. After a
    /// longer one nothing is known of the time between: an alert stays until its condition is seen
    /// again, or the lookback from `now` has passed. The rules may be others: what no rule raises
    /// any more ends.
    pub fn resume(
        rules: RuleSet,
        settings: Settings,
        state: State,
        now: Timestamp,
    ) -> (Self, Vec<Change>) {
        let mut engine = Self::with_settings(rules, settings);
        let now = now.max(state.now);
        let ended_at = state.now;
        let untold = state.untold();
        let is_gap = state.is_pause_unknown || now.saturating_since(ended_at) > RESTART_GAP;
        engine.now = if is_gap { now } else { ended_at };
        let State { series, alerts, recorded, .. } = state;
        let used: FxHashSet<u64> = recorded.values().flatten().copied().collect();
        let mut numbers = Numbers::default();
        for (number, saved) in series {
            let origin = if used.contains(&number) { Origin::Recorded } else { Origin::Own };
            let id = engine.take_series(saved, origin);
            if let Some(id) = id.filter(|_| origin == Origin::Recorded) {
                numbers.insert(number, id);
            }
        }
        let mut left = Left::default();
        for (part, series) in recorded {
            let ids = series.iter().filter_map(|number| numbers.get(number).copied());
            left.recorded.extend(engine.take_recorded(&part, ids.collect()));
        }
        for (fingerprint, mut saved) in alerts {
            if is_gap {
                saved.part = None;
            }
            let had_part = saved.part.is_some();
            engine.take_alert(fingerprint, saved);
            if had_part && engine.alerts.get(fingerprint).is_some_and(AlertEntry::is_orphan) {
                left.alerts.push(fingerprint);
            }
        }
        let mut changes = Vec::new();
        engine.begin_again(left, &mut changes);
        changes.extend(engine.advance(now));
        engine.log.inherit(untold, &changes);
        (engine, changes)
    }

    /// Goes on behind a pause that was longer than [`RESTART_GAP`], in which samples may have been
    /// missed: the machine slept, or nobody could be answered. As after a restart nothing is known
    /// of the time between, and alerts wait for their samples.
    pub fn pass_over(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        if now <= self.now {
            return changes;
        }
        self.now = now;
        self.log.step(now);
        for rule in self.rules.ids() {
            for part in self.parts.ids(rule) {
                self.parts.get_mut(part).set_raised(ShortList::default());
            }
        }
        let (alerts, scene) = self.alerts_mut();
        alerts.disown_all(&scene);
        self.ticks.restart(&self.rules, self.now);
        self.touch_all();
        self.step(now, &[], &mut changes);
        changes
    }

    fn touch_all(&mut self) {
        for rule in self.rules.ids() {
            self.parts.touch_rule(rule, self.now);
        }
    }

    /// The first step: everything is evaluated, and what no rule speaks for any more ends.
    fn begin_again(&mut self, left: Left, changes: &mut Vec<Change>) {
        self.give_to_ticking(&left.alerts);
        for id in self.give_recorded_to_ticking(left.recorded) {
            let time = self.now.saturating_sub(self.offset_of(id));
            self.take_reading(id, Reading { time, value: STALE });
        }
        self.touch_all();
        self.step(self.now, &[], changes);
        let (alerts, scene) = self.alerts_mut();
        for fingerprint in left.alerts {
            alerts.end_left(&scene, fingerprint, changes);
        }
        alerts.end_ruleless(&scene, changes);
    }

    /// Gives alerts that are left behind to rules in tick mode that raise alerts with the same
    /// labels. Whether they still do shows at their tick, as it would have.
    pub(super) fn give_to_ticking(&mut self, left: &[Fingerprint]) {
        let Self { alerts, parts, .. } = self;
        let scene = Scene {
            now: self.now,
            terms: &self.terms,
            rules: &self.rules,
            storage: self.series.storage(),
        };
        let given = alerts.give_to_ticking(&scene, left, |rule| parts.only(rule));
        for (part, fingerprint) in given {
            self.parts.get_mut(part).add_raised(fingerprint);
        }
    }

    /// Gives series that rules have left behind to rules in tick mode that record such: whether
    /// they still do shows at their tick. Says which ones nobody has taken.
    pub(super) fn give_recorded_to_ticking(&mut self, left: Vec<SeriesId>) -> Vec<SeriesId> {
        let (mut others, mut given): (_, FxHashMap<PartId, Vec<_>>) =
            (Vec::new(), FxHashMap::default());
        for id in left {
            let labels = self.series.labels(id);
            let name = labels.metric_name().unwrap_or_default();
            let rules = if [ALERTS, ALERTS_FOR_STATE].contains(&name) {
                self.rules.alerting(labels.get(ALERT_NAME).unwrap_or_default())
            } else {
                self.rules.recording(name)
            };
            match rules.iter().find(|rule| self.rules.is_ticked(**rule)) {
                Some(rule) => given.entry(self.parts.only(*rule)).or_default().push(id),
                None => others.push(id),
            }
        }
        for (part, series) in given {
            let mut recorded = self.parts.get_mut(part).take_recorded().to_vec();
            let known: FxHashSet<SeriesId> = recorded.iter().copied().collect();
            let new: BTreeSet<SeriesId> =
                series.into_iter().filter(|id| !known.contains(id)).collect();
            for id in &new {
                self.series.add_recorder(*id);
            }
            recorded.extend(new);
            self.log_recorded(part, &recorded);
            self.parts.get_mut(part).set_recorded(recorded.into());
        }
        others
    }

    /// How far back a rule looks that may record a series.
    fn offset_of(&self, id: SeriesId) -> Duration {
        let labels = self.series.labels(id);
        let rules = self.rules.recording(labels.metric_name().unwrap_or_default());
        let offsets = rules.iter().map(|rule| self.rules.rule(*rule).settings.query_offset);
        offsets.max().unwrap_or_default()
    }

    fn take_series(&mut self, saved: SavedSeries, origin: Origin) -> Option<SeriesId> {
        let SavedSeries { labels, points } = saved;
        if points.is_empty() {
            return None;
        }
        let id = self.begin_series(&labels, origin).ok().flatten()?;
        let odd = self.series.take_window(id, points, self.now);
        for Point { time, value } in odd {
            let reading = Reading { time: Timestamp::from_ms(time), value };
            if reading.time > self.now {
                self.series.put_ahead(id, reading);
            } else {
                // What is too old counts for no rule of these.
                if let Added::InPlaceOf(samples) = self.series.add(id, reading) {
                    self.note_cut(id, samples);
                }
            }
        }
        self.settle();
        self.series.watch_restored(id, self.now);
        Some(id)
    }

    /// Gives a part what it records; gives it back where there is no such part.
    fn take_recorded(&mut self, name: &PartName, series: Vec<SeriesId>) -> Vec<SeriesId> {
        let Some(part) = self.part(name) else { return series };
        for id in &series {
            self.series.add_recorder(*id);
        }
        self.parts.get_mut(part).set_recorded(series.into());
        Vec::new()
    }

    /// The part of a rule that is called so; where a group of series has none left, it is made
    /// anew.
    fn part(&mut self, name: &PartName) -> Option<PartId> {
        let rule = self.rules.find(name.rule)?;
        let entry = self.rules.get(rule);
        let number = match entry.shape {
            Shape::EachSeries => return self.part_of_series(rule, name),
            Shape::Keyed(_) => {
                let selectors = entry.rule.plan.selections.len();
                let pairs = self.series.storage_mut().pairs_mut();
                self.parts.of_mut(rule).find_or_insert(&name.key, selectors, pairs)
            }
            Shape::Whole | Shape::Ticked => {
                let selectors = entry.rule.plan.selections.len();
                self.parts.of_mut(rule).whole(selectors)
            }
        };
        Some(PartId { rule, number })
    }

    fn part_of_series(&self, rule: RuleId, name: &PartName) -> Option<PartId> {
        let id = self.series.find(&name.key)?;
        self.series.parts(id).iter().find(|part| part.rule == rule).copied()
    }

    fn take_alert(&mut self, fingerprint: Fingerprint, saved: SavedAlert) {
        if self.alerts.len() >= self.terms.settings.alerts_max {
            return;
        }
        if saved.alert.state == AlertState::Resolved {
            return self.restore(self.now, [Arc::unwrap_or_clone(saved.alert)]);
        }
        let part = saved.part.as_ref().and_then(|name| self.part(name));
        let (alerts, scene) = self.alerts_mut();
        alerts.take_saved(&scene, saved, part);
        if let Some(part) = part {
            self.parts.get_mut(part).add_raised(fingerprint);
        }
    }
}
