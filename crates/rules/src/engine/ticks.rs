//! Rules in tick mode: evaluated at each interval of their group, one after the other, each over
//! all of its series, by the plain evaluator. This is what Prometheus does.
//!
//! A group ticks at the whole multiples of its interval since 1970, in UTC.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::TICKS_BEHIND_MAX;
use bellwire_model::{Fingerprint, Timestamp};
use rustc_hash::FxHashSet;

use super::lifecycle::Finding;
use super::rules::RuleId;
use super::series::Subscription;
use super::{Change, Engine};
use crate::ending::Endings;
use crate::evaluation::{Evaluation, Selected, Span, selected};
use crate::rule::RuleKind;
use crate::template::Fill;

/// The place of a group among those that tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId(pub(super) u32);

/// The rules of a group that are evaluated together.
#[derive(Debug)]
pub(super) struct TickGroup {
    pub(super) file: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) interval: Duration,
    /// In the order of the file.
    pub(super) rules: Vec<RuleId>,
    /// It may use what rules of lower levels record.
    pub(super) level: u32,
    /// When it is evaluated next; nothing before the first step.
    pub(super) next: Option<Timestamp>,
}

impl TickGroup {
    /// Whether it is the same in another set of rules.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.file, &self.name, self.interval) == (&other.file, &other.name, other.interval)
    }

    /// The first tick at or after a time.
    fn tick_from(&self, time: Timestamp) -> Timestamp {
        let interval_ms = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        let passed_ms = time.as_ms().rem_euclid(interval_ms);
        let left_ms = if passed_ms == 0 { 0 } else { interval_ms - passed_ms };
        Timestamp::from_ms(time.as_ms().saturating_add(left_ms))
    }
}

impl Engine {
    /// Lets groups that have not ticked yet do so from now on, and passes over ticks that are too
    /// far behind.
    pub(super) fn mind_ticks(&mut self, now: Timestamp) {
        if self.rules.idle_groups > 0 {
            self.rules.idle_groups = 0;
            // An engine that has run before was there at its time, and goes on behind it.
            let has_run = self.now > Timestamp::MIN;
            let behind = Timestamp::from_ms(self.now.as_ms().saturating_add(1));
            self.start_ticks(if has_run { behind } else { now });
        }
        let oldest = now.saturating_sub(TICKS_BEHIND_MAX);
        while self.timers.groups.next().is_some_and(|next| next < oldest) {
            if let Some((_, id)) = self.timers.groups.pop() {
                let next = self.rules.group(id).tick_from(oldest);
                self.arm_group(id, next);
            }
        }
    }

    /// Ticks that were due before now are not made up for.
    pub(super) fn restart_ticks(&mut self) {
        for id in self.rules.group_ids() {
            if let Some(next) = self.rules.group_mut(id).next.take() {
                self.timers.groups.cancel(next, id);
            }
        }
        self.start_ticks(Timestamp::from_ms(self.now.as_ms().saturating_add(1)));
    }

    fn start_ticks(&mut self, from: Timestamp) {
        for id in self.rules.group_ids() {
            let group = self.rules.group(id);
            if group.next.is_none() {
                let next = group.tick_from(from);
                self.arm_group(id, next);
            }
        }
    }

    pub(super) fn arm_group(&mut self, id: GroupId, next: Timestamp) {
        self.rules.group_mut(id).next = Some(next);
        self.timers.groups.arm(next, id);
    }

    /// The groups whose tick is now, each with its next one set.
    pub(super) fn take_ticking(&mut self) -> Vec<GroupId> {
        let due = self.timers.groups.take_due(self.now);
        for (at, id) in &due {
            let next = at.saturating_add(self.rules.group(*id).interval);
            self.arm_group(*id, next);
        }
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// Evaluates the rules of a group, each of which sees what those before it have recorded.
    pub(super) fn tick(&mut self, group: GroupId, changes: &mut Vec<Change>) {
        for index in 0..self.rules.group(group).rules.len() {
            let rule = self.rules.group(group).rules[index];
            let partition = self.rules.get(rule).partitions.only();
            let part = Subscription { rule, partition };
            if let Err(reason) = self.tick_part(part, changes) {
                self.fail(part, reason);
            }
        }
    }

    /// A rule that fails leaves everything as it is, but for alerts beyond the limit of its group.
    fn tick_part(&mut self, part: Subscription, changes: &mut Vec<Change>) -> Result<(), String> {
        let Subscription { rule: id, partition } = part;
        let rule = self.rules.rule(id);
        let (limit, alerts) = (rule.settings.limit, rule.alert().is_some());
        let finding = self.tick_finding(part)?;
        let count = finding.items.len();
        if !alerts {
            check_limit(count, limit, "series")?;
            self.rules.get_mut(id).partitions.count(partition, count, self.now);
            self.record_items(part, finding.items, changes);
            return Ok(());
        }
        self.rules.get_mut(id).partitions.count(partition, count, self.now);
        if limit > 0 {
            // What is beyond the limit is never raised: nobody is told of it, tick after tick.
            let raised = self.would_raise(part, &finding);
            check_limit(raised, limit, "alerts").inspect_err(|_| self.clear(part, changes))?;
        }
        self.raise(part, finding, changes);
        Ok(())
    }

    /// What a rule gives, unless two elements come to the same series or alert.
    fn tick_finding(&self, part: Subscription) -> Result<Finding, String> {
        let rule = self.rules.rule(part.rule);
        let time = self.now.saturating_sub(rule.settings.query_offset);
        let storage = self.series.storage();
        let selected = selected(&rule.plan, storage);
        let conventions = &self.conventions;
        let mut evaluation =
            Evaluation::new(storage, Selected::Each(&selected), conventions, Span::at(time));
        let items = evaluation.items(&rule.plan.root, time.as_ms());
        let items = items.map_err(|error| error.to_string())?;
        let mut seen: FxHashSet<Fingerprint> = FxHashSet::default();
        for item in &items {
            let (labels, queries) = (&item.labels, self);
            let externals = &self.settings.externals;
            let fill = Fill { labels, value: item.value(), externals, queries };
            let (labels, kind) = match rule.kind {
                RuleKind::Alert(_) => (rule.alert_labels(&fill), "alert"),
                RuleKind::Record(_) => (rule.recorded_labels(labels), "rule"),
            };
            let labels = labels.map_err(|error| error.to_string())?;
            if !seen.insert(Fingerprint::of(&labels)) {
                return Err(format!(
                    "vector contains metrics with the same labelset after applying {kind} labels"
                ));
            }
        }
        let mut endings = Endings::default();
        if self.lingers(part) {
            let found = Endings::of(&rule.plan, &mut evaluation, time.as_ms());
            endings = found.map_err(|error| error.to_string())?;
        }
        Ok(Finding { items, taken_at: None, endings })
    }
}

fn check_limit(count: usize, limit: u64, noun: &str) -> Result<(), String> {
    if limit > 0 && count as u64 > limit {
        return Err(format!("exceeded limit of {limit} with {count} {noun}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
