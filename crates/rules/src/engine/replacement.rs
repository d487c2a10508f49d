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
use rustc_hash::FxHashSet;

use super::Engine;
use super::change::{Change, Recorded};
use super::ids::{PartId, RuleId};
use super::parts::{Members, Part, RuleParts};
use super::rules::{RuleEntry, RuleTable};
use super::series::Reading;
use crate::rule::{Rule, RuleSet};
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
            let RuleEntry { identity, rule, query, .. } = before.get(old);
            if let Some(query) = query {
                return after.find_query(query.id);
            }
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
        let mut after = RuleTable::new(rules, self.terms.settings.lookback);
        after.take_queries(&self.rules);
        self.queries.begin_anew();
        let heirs = Heirs::new(&self.rules, &after);
        self.now = now;
        self.log.step(now);
        let mut estate = self.hand_over(after, &heirs);
        self.join_again(&heirs);
        let mut before = changes.len();
        // Where nothing begins or ends this is no step: that of this instant has samples.
        if heirs.are_others() {
            self.begin_rules(&heirs.fresh, &mut estate);
            self.mind_alert_series();
            self.step(now, &[], &mut changes);
            self.log.step(now);
            before = changes.len();
            self.wind_up(estate, &mut changes);
            self.forget_unselected();
        }
        self.ticks.mind(&self.rules, (self.now, now));
        self.log_alerts(&changes[before..]);
        changes
    }

    /// Gives each part to the rule that follows its own, and takes from the others what they hold.
    fn hand_over(&mut self, after: RuleTable, heirs: &Heirs) -> Estate {
        // What goes by the old numbers ends before anything goes by the new ones.
        for rule in self.rules.ids().filter(|rule| heirs.of(*rule).is_none()) {
            for part in self.parts.ids(rule) {
                self.log_recorded(part, &[]);
            }
        }
        self.alerts.forget_logged();
        let before = std::mem::replace(&mut self.rules, after);
        self.ticks = self.ticks.hand_over(&before, &self.rules);
        let left = self.parts.hand_over(&self.rules, |rule| heirs.of(rule));
        for (rule, heir) in before.ids().filter_map(|rule| Some((rule, heirs.of(rule)?))) {
            let name = &self.rules.rule(heir).name;
            if rule != heir || *name != before.rule(rule).name {
                self.follow(heir);
            }
        }
        let mut estate = Estate::default();
        for (rule, parts) in left {
            if let Some(query) = &before.get(rule).query {
                self.queries.end(query.id, &parts, self.now);
            }
            self.retire(before.rule(rule), &parts, &mut estate);
        }
        estate
    }

    /// The alerts of a rule that has another number now, or its file elsewhere, are its own.
    fn follow(&mut self, rule: RuleId) {
        let name = &self.rules.rule(rule).name;
        for (number, part) in self.parts.of(rule).iter() {
            for fingerprint in part.raised() {
                self.alerts.set_owner(*fingerprint, (PartId { rule, number }, name));
            }
        }
    }

    fn retire(&mut self, rule: &Rule, parts: &RuleParts, estate: &mut Estate) {
        for (_, part) in parts.iter() {
            self.retire_part(rule, part, estate);
            if let Members::Grouped(grouped) = part.members() {
                self.series.storage_mut().pairs_mut().give_back(grouped.key());
            }
        }
    }

    fn retire_part(&mut self, rule: &Rule, part: &Part, estate: &mut Estate) {
        for fingerprint in part.raised() {
            self.alerts.disown(*fingerprint);
            estate.alerts.push(*fingerprint);
        }
        for series in part.recorded() {
            self.series.drop_recorder(*series);
            let records = rule.alert().is_none();
            let (rule, offset) = (records.then(|| rule.name.clone()), rule.settings.query_offset);
            estate.recorded.push(Left { series: *series, rule, offset });
        }
    }

    /// Tells each series which parts it touches now, and lets it join those of new rules.
    fn join_again(&mut self, heirs: &Heirs) {
        let all: Vec<SeriesId> = self.series.from(0).map(|(_, id)| id).collect();
        for id in all {
            let labels = self.series.labels(id);
            let mut selectors = self.rules.select(&labels);
            let keep = self.keep(&selectors);
            selectors.retain(|(rule, _)| heirs.fresh.contains(rule));
            let mut parts = self.join((id, &labels), selectors);
            parts.extend(self.series.parts(id).iter().filter_map(|part| {
                let rule = heirs.of(part.rule)?;
                Some(PartId { rule, ..*part })
            }));
            parts.sort_unstable();
            self.series.set_parts(id, parts);
            self.series.set_keep(id, keep);
        }
    }

    /// Touches all parts of new rules, and ends the series that nobody records any more: whoever
    /// records one of them in this very instant writes over its end. Rules in tick mode say at
    /// their next tick what becomes of what is theirs.
    fn begin_rules(&mut self, fresh: &BTreeSet<RuleId>, estate: &mut Estate) {
        for rule in fresh {
            self.parts.begin_whole(&self.rules, *rule);
        }
        self.give_to_ticking(&estate.alerts);
        let left = estate.recorded.iter().map(|left| left.series).collect();
        let left: FxHashSet<SeriesId> = self.give_recorded_to_ticking(left).into_iter().collect();
        estate.recorded.retain(|recorded| left.contains(&recorded.series));
        for rule in fresh {
            self.parts.touch_rule(*rule, self.now);
        }
        for Left { series, offset, .. } in &estate.recorded {
            if !self.series.is_recorded(*series) {
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
            for part in self.parts.ids(rule) {
                self.give_alert_series(part);
            }
        }
    }

    /// Ends what rules that are gone have left and nobody has taken.
    fn wind_up(&mut self, estate: Estate, changes: &mut Vec<Change>) {
        let (alerts, scene) = self.alerts_mut();
        for fingerprint in estate.alerts {
            alerts.end_left(&scene, fingerprint, changes);
        }
        for Left { series, rule, .. } in estate.recorded {
            if let Some(rule) = rule.filter(|_| !self.series.is_recorded(series)) {
                let labels = self.series.labels(series);
                let ended = Recorded { rule, series: labels, value: None, time: self.now };
                changes.push(Change::Recorded(ended));
            }
        }
    }

    /// Forgets series that no rule selects or records.
    fn forget_unselected(&mut self) {
        let mut unselected: FxHashSet<SeriesId> = FxHashSet::default();
        for (_, id) in self.series.from(0) {
            let is_recorded = self.series.is_recorded(id);
            if !is_recorded && self.rules.select(&self.series.labels(id)).is_empty() {
                unselected.insert(id);
            }
        }
        self.series.forget_ahead(&unselected);
        for id in unselected {
            self.remove_series(id);
        }
    }
}
