//! When groups in tick mode are evaluated.

use std::time::Duration;

use bellwire_model::limits::TICKS_BEHIND_MAX;
use bellwire_model::{NameMap, Timestamp};

use super::ids::GroupId;
use super::rules::RuleTable;
use super::timers::Queue;

/// The next tick of each group.
#[derive(Debug)]
pub(super) struct Ticks {
    /// By the place of the group; nothing before the first step.
    next: Vec<Option<Timestamp>>,
    due: Queue<GroupId>,
    /// Groups that have not been told when to tick.
    idle: usize,
}

impl Ticks {
    /// For the groups of these rules, none of which has ticked.
    pub(super) fn new(rules: &RuleTable) -> Self {
        let groups = rules.groups().len();
        Self { next: vec![None; groups], due: Queue::default(), idle: groups }
    }

    /// When a group ticks next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.next()
    }

    /// Lets groups that have not ticked yet do so from now on, and passes over ticks that are too
    /// far behind. `before` is the time of the last step.
    pub(super) fn mind(&mut self, rules: &RuleTable, (before, now): (Timestamp, Timestamp)) {
        if self.idle > 0 {
            self.idle = 0;
            // An engine that has run before was there at its time, and goes on behind it.
            let has_run = before > Timestamp::MIN;
            let behind = Timestamp::from_ms(before.as_ms().saturating_add(1));
            self.start(rules, if has_run { behind } else { now });
        }
        let oldest = now.saturating_sub(TICKS_BEHIND_MAX);
        while self.due.next().is_some_and(|next| next < oldest) {
            if let Some((_, id)) = self.due.pop() {
                self.arm(id, rules.group(id).tick_from(oldest));
            }
        }
    }

    /// Ticks that were due before now are not made up for.
    pub(super) fn restart(&mut self, rules: &RuleTable, now: Timestamp) {
        for id in rules.group_ids() {
            if let Some(next) = self.next[id.place()].take() {
                self.due.cancel(next, id);
            }
        }
        self.start(rules, Timestamp::from_ms(now.as_ms().saturating_add(1)));
    }

    fn start(&mut self, rules: &RuleTable, from: Timestamp) {
        for id in rules.group_ids() {
            if self.next[id.place()].is_none() {
                self.arm(id, rules.group(id).tick_from(from));
            }
        }
    }

    fn arm(&mut self, id: GroupId, next: Timestamp) {
        self.next[id.place()] = Some(next);
        self.due.arm(next, id);
    }

    /// The groups whose tick is now, each with its next one set.
    pub(super) fn take_due(&mut self, rules: &RuleTable, now: Timestamp) -> Vec<GroupId> {
        let due = self.due.take_due(now);
        for (at, id) in &due {
            self.arm(*id, at.saturating_add(rules.group(*id).interval));
        }
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// For other rules: groups that are the same, wherever their files are, tick when they would have.
    /// What tells two of one name apart does not matter: with one interval they tick together.
    pub(super) fn hand_over(&self, before: &RuleTable, after: &RuleTable) -> Self {
        let mut known: NameMap<(&str, Duration), GroupId> = NameMap::default();
        for id in before.group_ids() {
            let group = before.group(id);
            known.insert((&group.name, group.interval), id);
        }
        let mut ticks = Self::new(after);
        for id in after.group_ids() {
            let group = after.group(id);
            let same = known.get(&(&*group.name, group.interval)).copied();
            if let Some(next) = same.and_then(|old| self.next[old.place()]) {
                ticks.arm(id, next);
            }
        }
        ticks
    }
}
