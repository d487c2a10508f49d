//! Other rules in place of those that there are, with all state that still means something.
//!
//! A rule that is in both sets as it was keeps everything: its parts, their timers, what they
//! raise and record. All other rules begin anew, over the samples that are there, and are
//! evaluated at once. An alert that nobody raises then goes on if a new rule raises one with the
//! same labels, with the times that it had, and ends otherwise; a recorded series alike.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{Fingerprint, RuleName, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::partitions::Partitions;
use super::rules::{Entry, RuleId, RuleTable};
use super::series::{Reading, Subscription};
use super::ticks::GroupId;
use super::timers::Agenda;
use super::{Change, Engine, Recorded};
use crate::rule::RuleSet;
use crate::storage::{STALE, SeriesId};

/// What rules that are gone leave behind.
#[derive(Default)]
struct Estate {
    alerts: Vec<Fingerprint>,
    recorded: Vec<Left>,
}

/// A series that is left behind.
struct Left {
    series: SeriesId,
    /// The rule that recorded it; nothing for the series of alerts.
    rule: Option<Arc<RuleName>>,
    /// How far back that rule looked.
    offset: Duration,
}

/// Which rules go on as which.
struct Heirs {
    /// For each rule of the old ones the new one that is the same.
    by_place: Vec<Option<RuleId>>,
    /// New rules that are nobody's heirs.
    fresh: BTreeSet<RuleId>,
}

impl Heirs {
    fn new(before: &RuleTable, after: &RuleTable) -> Self {
        let heir = |old: RuleId| {
            let Entry { identity, rule, .. } = before.get(old);
            after.find(*identity).filter(|heir| after.rule(*heir).is_same(rule))
        };
        let by_place: Vec<_> = before.ids().map(heir).collect();
        let mut fresh: BTreeSet<RuleId> = after.ids().collect();
        for heir in by_place.iter().flatten() {
            fresh.remove(heir);
        }
        Self { by_place, fresh }
    }

    fn of(&self, rule: RuleId) -> Option<RuleId> {
        self.by_place[rule.place()]
    }

    /// Whether a rule begins or ends.
    fn are_others(&self) -> bool {
        !self.fresh.is_empty() || self.by_place.contains(&None)
    }
}

impl Engine {
    /// Replaces all rules by others, at one instant.
    ///
    /// Rules that are the same, by their place, expression and all that they say, do not notice.
    /// Alerts of rules that are gone resolve. New rules see the samples that others have kept.
    pub fn replace(&mut self, now: Timestamp, rules: RuleSet) -> Vec<Change> {
        let mut changes = Vec::new();
        let now = self.reach(now, &mut changes);
        let after = RuleTable::new(rules, self.settings.lookback);
        let heirs = Heirs::new(&self.rules, &after);
        self.now = now;
        self.log_step();
        let mut estate = self.hand_over(after, &heirs);
        self.join_again(&heirs);
        // Where nothing begins or ends this is no step: that of this instant has samples.
        if heirs.are_others() {
            self.begin_rules(&heirs.fresh, &mut estate);
            self.mind_alert_series();
            self.step(now, &[], &mut changes);
            self.log_step();
            self.wind_up(estate, &mut changes);
            self.forget_unselected();
        }
        self.mind_ticks(now);
        self.log_alerts();
        changes
    }

    /// Gives each part to the rule that follows its own, and takes from the others what they hold.
    fn hand_over(&mut self, after: RuleTable, heirs: &Heirs) -> Estate {
        // What goes by the old numbers ends before anything goes by the new ones.
        for rule in self.rules.ids() {
            let partitions = &self.rules.get(rule).partitions;
            if heirs.of(rule).is_none() {
                let parts: Vec<_> = partitions.ids().collect();
                for partition in parts {
                    self.log_recorded(Subscription { rule, partition }, &[]);
                }
            }
        }
        self.timers.partitions = Agenda::default();
        self.alerts.forget_logged();
        let before = std::mem::replace(&mut self.rules, after);
        self.hand_over_ticks(&before);
        self.touched.by_level.resize_with(self.rules.depth(), Vec::new);
        let mut estate = Estate::default();
        for (rule, entry) in before.ids().zip(before.into_entries()) {
            match heirs.of(rule) {
                Some(heir) => self.inherit(heir, entry.partitions),
                None => self.retire(&entry, &mut estate),
            }
        }
        estate
    }

    /// Groups that are the same tick when they would have.
    fn hand_over_ticks(&mut self, before: &RuleTable) {
        let mut known: FxHashMap<(&str, &str), GroupId> = FxHashMap::default();
        for id in before.group_ids() {
            let group = before.group(id);
            if let Some(next) = group.next {
                self.timers.groups.cancel(next, id);
            }
            known.insert((&group.file, &group.name), id);
        }
        for id in self.rules.group_ids() {
            let group = self.rules.group(id);
            let old = known.get(&(&*group.file, &*group.name)).map(|old| before.group(*old));
            if let Some(next) = old.filter(|old| old.is_same(group)).and_then(|old| old.next) {
                self.arm_group(id, next);
            }
        }
    }

    fn inherit(&mut self, rule: RuleId, partitions: Partitions) {
        for partition in partitions.ids() {
            let part = Subscription { rule, partition };
            for fingerprint in &partitions.get(partition).raised {
                let raised = self.alerts.get_mut(*fingerprint);
                raised.expect("a part raises alerts that exist").owner = Some(part);
            }
        }
        for (partition, wake) in partitions.wakes() {
            self.timers.partitions.arm(wake, Subscription { rule, partition });
        }
        self.rules.get_mut(rule).partitions = partitions;
    }

    fn retire(&mut self, entry: &Entry, estate: &mut Estate) {
        for partition in entry.partitions.ids() {
            let part = entry.partitions.get(partition);
            for fingerprint in &part.raised {
                self.disown(*fingerprint);
                estate.alerts.push(*fingerprint);
            }
            for series in &part.recorded {
                self.series.state_mut(*series).recorders -= 1;
                let records = entry.rule.alert().is_none();
                let rule = records.then(|| entry.rule.name.clone());
                let offset = entry.rule.settings.query_offset;
                estate.recorded.push(Left { series: *series, rule, offset });
            }
        }
    }

    /// Tells each series which parts it touches now, and lets it join those of new rules.
    fn join_again(&mut self, heirs: &Heirs) {
        let all: Vec<SeriesId> = self.series.from(0).map(|(_, id)| id).collect();
        for id in all {
            let mut selectors = self.rules.select(&self.series.labels(id));
            let keep = self.keep(&selectors);
            selectors.retain(|(rule, _)| heirs.fresh.contains(rule));
            let mut subscriptions = self.join(id, selectors);
            let state = self.series.state_mut(id);
            subscriptions.extend(state.subscriptions.iter().filter_map(|part| {
                let rule = heirs.of(part.rule)?;
                Some(Subscription { rule, ..*part })
            }));
            subscriptions.sort_unstable();
            state.subscriptions = subscriptions.into();
            state.keep = keep;
        }
    }

    /// Touches all parts of new rules, and ends the series that nobody records any more: whoever
    /// records one of them in this very instant writes over its end. Rules in tick mode say at
    /// their next tick what becomes of what is theirs.
    fn begin_rules(&mut self, fresh: &BTreeSet<RuleId>, estate: &mut Estate) {
        for rule in fresh {
            if self.rules.is_ticked(*rule) {
                self.begin_whole(*rule);
            }
        }
        self.give_to_ticking(&estate.alerts);
        let left = estate.recorded.iter().map(|left| left.series).collect();
        let left: FxHashSet<SeriesId> = self.give_recorded_to_ticking(left).into_iter().collect();
        estate.recorded.retain(|recorded| left.contains(&recorded.series));
        for rule in fresh {
            self.begin_whole(*rule);
            let parts: Vec<_> = self.rules.get(*rule).partitions.ids().collect();
            for partition in parts {
                self.touch(Subscription { rule: *rule, partition });
            }
        }
        for Left { series, offset, .. } in &estate.recorded {
            if self.series.state(*series).recorders == 0 {
                let time = self.now.saturating_sub(*offset);
                self.take_reading(*series, Reading { time, value: STALE });
            }
        }
    }

    /// The new rules may be the first that look at alerts, or no longer do.
    fn mind_alert_series(&mut self) {
        for rule in self.rules.ids() {
            if self.rules.rule(rule).alert().is_none() {
                continue;
            }
            let parts: Vec<_> = self.rules.get(rule).partitions.ids().collect();
            for partition in parts {
                self.give_alert_series(Subscription { rule, partition });
            }
        }
    }

    /// Ends what rules that are gone have left and nobody has taken.
    fn wind_up(&mut self, estate: Estate, changes: &mut Vec<Change>) {
        for fingerprint in estate.alerts {
            self.end_left(fingerprint, changes);
        }
        for Left { series, rule, .. } in estate.recorded {
            if let (0, Some(rule)) = (self.series.state(series).recorders, rule) {
                let labels = self.series.labels(series);
                let ended = Recorded { rule, series: labels, value: None, time: self.now };
                changes.push(Change::Recorded(ended));
            }
        }
    }

    /// Forgets series that no rule selects or records.
    fn forget_unselected(&mut self) {
        let mut unselected = FxHashSet::default();
        for (_, id) in self.series.from(0) {
            let is_recorded = self.series.state(id).recorders > 0;
            if !is_recorded && self.rules.select(&self.series.labels(id)).is_empty() {
                unselected.insert(id);
            }
        }
        self.series.forget_ahead(&unselected);
        for id in unselected {
            if self.series.state(id).timer.is_some() {
                self.timers.series.cancel();
            }
            self.log_gone(id);
            self.series.remove(id);
        }
    }
}
