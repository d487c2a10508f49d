//! Going on from what an engine wrote down.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{DATA_LOST_RETENTION, RESTART_GAP};
use bellwire_model::{Alert, AlertSource, AlertState, Fingerprint, RuleName, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::alerts::Entry;
use super::membership::Origin;
use super::partitions::PartitionId;
use super::rules::{RuleId, Shape};
use super::series::{Reading, Subscription};
use super::{Change, Engine, Settings};
use crate::rule::{AlertRule, Rule, RuleSet};
use crate::storage::{Point, STALE, SeriesId};
use crate::wal::{PartName, SavedAlert, SavedSeries, State};

/// What rules have left behind that are no longer there, or fall into other parts now.
#[derive(Default)]
struct Left {
    alerts: Vec<Fingerprint>,
    recorded: Vec<SeriesId>,
}

/// The series of a state, as this engine calls them.
type Numbers = FxHashMap<u64, SeriesId>;

impl Engine {
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
        let is_gap = now.saturating_since(ended_at) > RESTART_GAP;
        engine.now = if is_gap { now } else { ended_at };
        let State { series, alerts, recorded, .. } = state;
        let used: FxHashSet<u64> = recorded.values().flatten().copied().collect();
        let mut numbers = Numbers::default();
        for (number, saved) in series {
            let origin = if used.contains(&number) { Origin::Recorded } else { Origin::Own };
            if let Some(id) = engine.take_series(saved, origin) {
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
            if had_part && engine.alerts.get(fingerprint).is_some_and(Entry::is_orphan) {
                left.alerts.push(fingerprint);
            }
        }
        let mut changes = Vec::new();
        engine.begin_again(left, &mut changes);
        changes.extend(engine.advance(now));
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
        self.log_step();
        let owned = |entry: &Entry| Some((entry.alert.fingerprint, entry.owner?));
        let raised: Vec<_> = self.alerts.iter().filter_map(owned).collect();
        for (fingerprint, part) in raised {
            let partitions = &mut self.rules.get_mut(part.rule).partitions;
            partitions.get_mut(part.partition).raised.clear();
            self.disown(fingerprint);
            let until = self.now.saturating_add(self.patience());
            let orphan = self.alerts.get_mut(fingerprint).expect("it was there a line ago");
            let lost_since = orphan.kept_since.unwrap_or(orphan.alert.sample_time);
            let due = match orphan.alert.state {
                AlertState::DataLost => lost_since.saturating_add(DATA_LOST_RETENTION).max(now),
                _ => until,
            };
            orphan.due = Some(due);
            self.timers.alerts.arm(due, fingerprint);
        }
        self.restart_ticks();
        self.touch_all();
        self.step(now, &[], &mut changes);
        changes
    }

    fn touch_all(&mut self) {
        for rule in self.rules.ids() {
            let parts: Vec<PartitionId> = self.rules.get(rule).partitions.ids().collect();
            for partition in parts {
                self.touch(Subscription { rule, partition });
            }
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
        for fingerprint in left.alerts {
            self.end_left(fingerprint, changes);
        }
        let has_heir = |name: &Arc<RuleName>| !self.rules.alerting(&name.alert).is_empty();
        let is_gone = |alert: &Alert| !alert.rule().is_some_and(has_heir);
        let is_left = |entry: &&Entry| entry.is_orphan() && is_gone(&entry.alert);
        let left = self.alerts.iter().filter(is_left);
        let mut left: Vec<Fingerprint> = left.map(|entry| entry.alert.fingerprint).collect();
        left.sort_unstable();
        for fingerprint in left {
            self.end(fingerprint, changes);
        }
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
        for Point { time, value } in points {
            let reading = Reading { time: Timestamp::from_ms(time), value };
            if reading.time > self.now {
                self.series.put_ahead(id, reading);
            } else {
                // What is too old counts for no rule of these.
                self.series.add(id, reading);
            }
        }
        if let Some(newest) = self.series.newest(id) {
            let leaves = Timestamp::from_ms(newest.time).saturating_add(self.settings.lookback);
            self.arm_series(id, leaves.max(self.now));
        }
        Some(id)
    }

    /// Gives a part what it records; gives it back where there is no such part.
    fn take_recorded(&mut self, name: &PartName, series: Vec<SeriesId>) -> Vec<SeriesId> {
        let Some(part) = self.part(name) else { return series };
        for id in &series {
            self.series.state_mut(*id).recorders += 1;
        }
        self.rules.get_mut(part.rule).partitions.get_mut(part.partition).recorded = series;
        Vec::new()
    }

    /// The part of a rule that is called so; where a group of series has none left, it is made
    /// anew.
    fn part(&mut self, name: &PartName) -> Option<Subscription> {
        let rule = self.rules.find(name.rule)?;
        let entry = self.rules.get_mut(rule);
        let partition = match entry.shape {
            Shape::EachSeries => return self.part_of_series(rule, name),
            Shape::Keyed(_) | Shape::Whole | Shape::Ticked => {
                let selectors = entry.rule.plan.selections.len();
                entry.partitions.find_or_insert(name.key.clone(), selectors)
            }
        };
        Some(Subscription { rule, partition })
    }

    fn part_of_series(&self, rule: RuleId, name: &PartName) -> Option<Subscription> {
        let id = self.series.find(&name.key)?;
        let subscriptions = &self.series.state(id).subscriptions;
        subscriptions.iter().find(|part| part.rule == rule).copied()
    }

    fn take_alert(&mut self, fingerprint: Fingerprint, saved: SavedAlert) {
        let SavedAlert { mut alert, element, kept_since, part } = saved;
        if self.alerts.len() >= self.settings.alerts_max {
            return;
        }
        if alert.state == AlertState::Resolved {
            return self.restore(self.now, [Arc::unwrap_or_clone(alert)]);
        }
        let part = part.and_then(|name| self.part(&name));
        let newest = Reading { time: alert.sample_time, value: alert.value };
        let due = match part {
            None if alert.state == AlertState::DataLost => {
                let since = kept_since.unwrap_or(alert.sample_time);
                Some(since.saturating_add(DATA_LOST_RETENTION).max(self.now))
            }
            None => Some(self.now.saturating_add(self.patience())),
            Some(part) => {
                let rule = self.rules.rule(part.rule);
                Arc::make_mut(&mut alert).source = AlertSource::Rule(rule.name.clone());
                due(rule, &alert, kept_since).map(|due| due.max(self.now))
            }
        };
        if let Some(due) = due {
            self.timers.alerts.arm(due, fingerprint);
        }
        if let Some(part) = part {
            let partitions = &mut self.rules.get_mut(part.rule).partitions;
            partitions.get_mut(part.partition).raised.push(fingerprint);
        }
        let logged = None;
        self.alerts.insert(Entry { alert, element, newest, owner: part, kept_since, due, logged });
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
