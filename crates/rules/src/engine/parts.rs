//! The parts of all rules: which series each has and what it gives, which are to be evaluated now,
//! and when each is although nothing comes.

mod of_rule;
mod part;
mod rests;

use std::time::Duration;

use bellwire_model::Timestamp;

pub(super) use self::of_rule::RuleParts;
use self::of_rule::Schedule;
pub(super) use self::part::{Members, OutlineState, Part, TellingOutline};
use self::rests::Rests;
use super::ids::{PartId, RuleId};
use super::rules::{RuleTable, Shape};
use super::timers::Agenda;
use crate::storage::Pairs;

/// Bytes of a part that a series has for itself.
pub(super) const PART_BYTES: usize = size_of::<Option<Part>>();

/// All parts of all rules.
#[derive(Debug)]
pub(super) struct PartTable {
    /// By the place of the rule.
    of_rules: Vec<RuleParts>,
    wakes: Agenda<PartId>,
    /// What is to be evaluated in this step, each part once: by the level of the rule, in the order
    /// of the touches.
    touched: Vec<Vec<PartId>>,
    /// The level that is evaluated just now.
    current: Option<u32>,
    /// Touches of parts that rest, so that they are evaluated later.
    spaced: u64,
    rests: Rests,
}

impl PartTable {
    /// For these rules, none of which has a series. Those that have a value all the same are
    /// evaluated in the first step; those in tick mode when their group ticks.
    pub(super) fn new(rules: &RuleTable) -> Self {
        let mut table = Self::empty(rules);
        rules.ids().for_each(|rule| table.begin_whole(rules, rule));
        table
    }

    /// For these rules, none of which has a part.
    fn empty(rules: &RuleTable) -> Self {
        let of_rules: Vec<RuleParts> =
            rules.ids().map(|rule| RuleParts::new(rules.get(rule))).collect();
        let touched = vec![Vec::new(); rules.query_level() + 1];
        let (wakes, rests) = (Agenda::default(), Rests::default());
        Self { of_rules, wakes, touched, current: None, spaced: 0, rests }
    }

    /// A rule that has a value although there is no series has its part from the beginning on, and
    /// so has one in tick mode.
    pub(super) fn begin_whole(&mut self, rules: &RuleTable, rule: RuleId) {
        let entry = rules.get(rule);
        if matches!(entry.shape, Shape::Whole | Shape::Ticked) {
            let selectors = entry.rule.plan.selections.len();
            let number = self.of_mut(rule).whole(selectors);
            // Nothing has been evaluated: no level is behind it.
            self.touch(PartId { rule, number }, Timestamp::MIN);
        }
    }

    /// For other rules: each goes on with the parts of the one that `heir` says it follows.
    pub(super) fn hand_over(
        &mut self,
        rules: &RuleTable,
        heir: impl Fn(RuleId) -> Option<RuleId>,
    ) -> Vec<(RuleId, RuleParts)> {
        let rests = std::mem::take(&mut self.rests);
        let after = Self { spaced: self.spaced, rests, ..Self::empty(rules) };
        let before = std::mem::replace(self, after);
        let mut left = Vec::new();
        for (place, mut parts) in before.of_rules.into_iter().enumerate() {
            let old = RuleId::at(place);
            let Some(rule) = heir(old) else {
                left.push((old, parts));
                continue;
            };
            parts.set_schedule(Schedule::of(rules.get(rule)));
            for (number, part) in parts.iter() {
                if let Some(wake) = part.wake() {
                    self.wakes.arm(wake, PartId { rule, number });
                }
            }
            let touched = parts.take_touched();
            self.of_rules[rule.place()] = parts;
            for number in touched {
                self.call(PartId { rule, number }, Timestamp::MIN);
            }
        }
        left
    }

    pub(super) fn of(&self, rule: RuleId) -> &RuleParts {
        &self.of_rules[rule.place()]
    }

    pub(super) fn of_mut(&mut self, rule: RuleId) -> &mut RuleParts {
        &mut self.of_rules[rule.place()]
    }

    pub(super) fn get(&self, id: PartId) -> &Part {
        self.of(id.rule).get(id.number)
    }

    pub(super) fn get_mut(&mut self, id: PartId) -> &mut Part {
        self.of_mut(id.rule).get_mut(id.number)
    }

    /// The parts of a rule.
    pub(super) fn ids(&self, rule: RuleId) -> Vec<PartId> {
        self.of(rule).iter().map(|(number, _)| PartId { rule, number }).collect()
    }

    /// The only part of a rule in tick mode.
    pub(super) fn only(&self, rule: RuleId) -> PartId {
        PartId { rule, number: self.of(rule).only() }
    }

    /// How often Prometheus would evaluate a part.
    pub(super) fn interval(&self, id: PartId) -> Duration {
        self.of(id.rule).schedule().interval
    }

    /// Whether a part is evaluated at each interval of its group alone.
    pub(super) fn is_ticked(&self, id: PartId) -> bool {
        self.of(id.rule).schedule().is_ticked
    }

    /// When one is evaluated next though nothing comes, at the earliest.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.wakes.next()
    }

    /// What a part looks at has changed: it is to be evaluated in this step.
    pub(super) fn touch(&mut self, id: PartId, now: Timestamp) {
        if !self.of(id.rule).schedule().is_on_wakes {
            self.call(id, now);
        }
    }

    /// A part is to be evaluated in this step, whether or not something has changed.
    fn call(&mut self, id: PartId, now: Timestamp) {
        let Schedule { level, interval, is_ticked, is_asleep, .. } = self.of(id.rule).schedule();
        if is_ticked || is_asleep {
            return;
        }
        if self.current.is_some_and(|current| level <= current) {
            // Rules that feed each other in a circle see each other's results the next time.
            return self.wake_by(id, now.saturating_add(interval), now);
        }
        let rests_until = self.get(id).rests_until();
        if rests_until > now {
            self.spaced += 1;
            return self.wake_by(id, rests_until, now);
        }
        if self.get_mut(id).touch() {
            self.touched[level as usize].push(id);
        }
    }

    /// Lets a part rest that has looked at very many series: for so long, or longer where many do.
    pub(super) fn rest(&mut self, id: PartId, spacing: Duration, now: Timestamp) {
        let until = self.rests.begin(spacing, now);
        self.get_mut(id).rest_until(until);
    }

    /// How often parts were touched that rest.
    pub(super) fn spaced(&self) -> u64 {
        self.spaced
    }

    /// A query comes or goes, or has come further.
    pub(super) fn set_query(&mut self, rules: &RuleTable, rule: RuleId) {
        let entry = rules.get(rule);
        match self.of_rules.get_mut(rule.place()) {
            Some(parts) => parts.set_schedule(Schedule::of(entry)),
            None => self.of_rules.push(RuleParts::new(entry)),
        }
    }

    /// The place of a query has been given back, or is a new one's.
    pub(super) fn clear_query(&mut self, rules: &RuleTable, rule: RuleId) {
        if let Some(parts) = self.of_rules.get_mut(rule.place()) {
            *parts = RuleParts::new(rules.get(rule));
        }
    }

    /// Whether a part is still there and waits to be evaluated.
    pub(super) fn awaits(&self, id: PartId) -> bool {
        let part = self.of_rules.get(id.rule.place()).and_then(|parts| parts.find(id.number));
        part.is_some_and(Part::is_touched)
    }

    /// Touches all parts of a rule.
    pub(super) fn touch_rule(&mut self, rule: RuleId, now: Timestamp) {
        for id in self.ids(rule) {
            self.touch(id, now);
        }
    }

    /// Touches the parts that asked to be evaluated now.
    pub(super) fn touch_due(&mut self, now: Timestamp) {
        for (due, id) in self.wakes.take_due(now) {
            if self.of(id.rule).wakes_at(id.number, due) {
                self.get_mut(id).set_wake(None);
                self.call(id, now);
            }
        }
    }

    /// Sets when a part is evaluated next although nothing comes.
    ///
    /// A timer that is due earlier stays, unless it is due much earlier: looking once too often
    /// costs less than moving it with every sample.
    pub(super) fn wake(&mut self, id: PartId, wake: Option<Timestamp>, now: Timestamp) {
        let part = self.get_mut(id);
        let held = part.wake();
        if held == wake {
            return;
        }
        if let (Some(before), Some(at)) = (held, wake) {
            let (left, needed) = (before.saturating_since(now), at.saturating_since(now));
            if before <= at && left.saturating_mul(2) >= needed {
                return;
            }
        }
        if part.set_wake(wake).is_some() {
            self.wakes.cancel();
        }
        if let Some(at) = wake {
            self.wakes.arm(at, id);
        }
    }

    /// Sets a wake unless there is an earlier one.
    pub(super) fn wake_by(&mut self, id: PartId, at: Timestamp, now: Timestamp) {
        if self.get(id).wake().is_none_or(|wake| wake > at) {
            self.wake(id, Some(at), now);
        }
    }

    /// Whether parts of standing queries were touched, and have not been looked at.
    pub(super) fn has_touched_queries(&self) -> bool {
        self.touched.last().is_some_and(|touched| !touched.is_empty())
    }

    /// The level of standing queries, which comes last.
    pub(super) fn query_level(&self) -> usize {
        self.touched.len() - 1
    }

    /// The parts of a level that were touched: whatever is touched from now on belongs to a higher
    /// level, or to the next time.
    pub(super) fn begin_level(&mut self, level: usize) -> Vec<PartId> {
        self.current = Some(level as u32);
        std::mem::take(&mut self.touched[level])
    }

    /// A part has been evaluated. One whose series went before its last alert ended has nothing
    /// left to do.
    pub(super) fn end_evaluation(&mut self, id: PartId, shape: &Shape, pairs: &mut Pairs) {
        let part = self.get_mut(id);
        part.end_touch();
        if *shape != Shape::Whole && part.is_idle() {
            self.remove(id, pairs);
        }
    }

    /// Takes the room of a level back, to be used again in the next step.
    pub(super) fn end_level(&mut self, level: usize, mut room: Vec<PartId>) {
        room.clear();
        self.touched[level] = room;
    }

    /// All levels have been evaluated.
    pub(super) fn end_levels(&mut self) {
        self.current = None;
    }

    /// Removes a part; its key is among those pairs.
    pub(super) fn remove(&mut self, id: PartId, pairs: &mut Pairs) {
        if self.of_mut(id.rule).remove(id.number, pairs).wake().is_some() {
            self.wakes.cancel();
        }
    }

    /// Drops timers that were cancelled, where there are many.
    pub(super) fn clean(&mut self) {
        if self.wakes.is_cluttered() {
            let of_rules = &self.of_rules;
            self.wakes.clean(|due, id| of_rules[id.rule.place()].wakes_at(id.number, due));
        }
    }
}
