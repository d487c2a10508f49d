//! One evaluation of a part of a rule: what it comes to at this instant, and when to look again.

use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::EVALUATION_TICK;

use super::lifecycle::Finding;
use super::partitions::Members;
use super::rules::Entry as RuleEntry;
use super::series::{Reading, Subscription};
use super::{Change, Engine};
use crate::ending::Endings;
use crate::evaluation::{Evaluated, Evaluation, Item, Number, Span};
use crate::rule::RuleKind;

/// What a part of a rule comes to.
struct Outcome {
    finding: Evaluated<Finding>,
    /// When it may come to something else although nothing comes.
    wake: Option<Timestamp>,
}

impl Engine {
    /// Evaluates a part of a rule, and does what follows of it.
    pub(super) fn evaluate(&mut self, part: Subscription, changes: &mut Vec<Change>) {
        if self.evaluate_numbers(part, changes) {
            return;
        }
        let Outcome { finding, wake } = self.outcome(part);
        let mut finding = match finding {
            Ok(finding) => finding,
            Err(error) => {
                self.fail(part, error.to_string());
                return self.wake_part(part, Some(self.now.saturating_add(self.interval(part))));
            }
        };
        self.wake_part(part, wake);
        let entry = self.rules.get_mut(part.rule);
        entry.partitions.count(part.partition, finding.items.len(), self.now);
        if entry.rule.settings.limit > 0 {
            self.mind_limit(part, changes);
        }
        let entry = self.rules.get(part.rule);
        if entry.partitions.is_over_limit {
            finding = Finding::default();
        }
        match entry.rule.kind {
            RuleKind::Alert(_) => self.raise(part, finding, changes),
            RuleKind::Record(_) => self.record_items(part, finding.items, changes),
        }
        self.outline_part(part);
    }

    /// An evaluation of a part has come to nothing.
    pub(super) fn fail(&mut self, part: Subscription, reason: String) {
        let entry = self.rules.get_mut(part.rule);
        entry.partitions.fail(part.partition, &reason, self.now);
        self.failures.note(&entry.rule, reason);
    }

    /// What a part comes to now.
    pub(super) fn items(&self, part: Subscription) -> Evaluated<Vec<Item>> {
        self.outcome(part).finding.map(|finding| finding.items)
    }

    fn outcome(&self, part: Subscription) -> Outcome {
        let entry = self.rules.get(part.rule);
        let members = &entry.partitions.get(part.partition).members;
        if let (Some(condition), Members::One(id)) = (&entry.condition, members) {
            // The series' own timer tells when it leaves the lookback.
            let visible = self.newest_visible(*id);
            let newest = visible.filter(|reading| condition.holds(reading.value));
            let item = |reading: &Reading| Item {
                labels: self.series.labels(*id),
                number: Number::still(reading.value),
                drops_name: false,
            };
            let items: Vec<Item> = newest.iter().map(item).collect();
            let wake = self.refresh(entry, items.len());
            let mut endings = Endings::default();
            if self.lingers(part) {
                endings = Endings::of_presence(visible.map(|_| self.series.labels(*id)).as_ref());
            }
            let taken_at = newest.map(|reading| reading.time);
            return Outcome { finding: Ok(Finding { items, taken_at, endings }), wake };
        }
        let offset = entry.rule.settings.query_offset;
        let time = self.now.saturating_sub(offset);
        let storage = self.series.storage();
        let selected = members.selected();
        let mut evaluation = Evaluation::new(storage, selected, &self.conventions, Span::at(time));
        let plan = &entry.rule.plan;
        let items = evaluation.items(&plan.root, time.as_ms());
        let finding = items.and_then(|items| {
            let mut endings = Endings::default();
            if self.lingers(part) {
                endings = Endings::of(plan, &mut evaluation, time.as_ms())?;
            }
            Ok(Finding { items, taken_at: None, endings })
        });
        let elements = finding.as_ref().map_or(0, |finding| finding.items.len());
        let wake = self.wake_after(entry, &evaluation, elements);
        Outcome { finding, wake }
    }

    /// Whether a part raises alerts that do not end with their condition alone, or may have before
    /// a restart.
    pub(super) fn lingers(&self, part: Subscription) -> bool {
        let entry = self.rules.get(part.rule);
        let raises = !entry.partitions.get(part.partition).raised.is_empty();
        entry.rule.plan.hysteresis.is_some()
            && (raises || self.alerts.has_orphans_of(&entry.rule.name))
    }

    /// When to look again after an evaluation that gave so many elements.
    pub(super) fn wake_after(
        &self,
        entry: &RuleEntry,
        evaluation: &Evaluation<'_>,
        elements: usize,
    ) -> Option<Timestamp> {
        let offset = entry.rule.settings.query_offset;
        let next = evaluation.next_wake().map(|at| Timestamp::from_ms(at).saturating_add(offset));
        let tick = evaluation.is_restless().then(|| self.now.saturating_add(tick(entry)));
        let refresh = self.refresh(entry, elements);
        let wake = [next, tick, refresh].into_iter().flatten().min();
        // However it was computed, it is not now.
        let soonest = Timestamp::from_ms(self.now.as_ms().saturating_add(1));
        wake.map(|wake| wake.max(soonest))
    }

    /// When a recording rule gives its series their next sample, although nothing has changed.
    fn refresh(&self, entry: &RuleEntry, items: usize) -> Option<Timestamp> {
        let records = matches!(entry.rule.kind, RuleKind::Record(_)) && items > 0;
        records.then(|| self.now.saturating_add(entry.rule.interval()))
    }

    /// How often Prometheus would evaluate the rule.
    pub(super) fn interval(&self, part: Subscription) -> Duration {
        self.rules.rule(part.rule).interval()
    }

    /// Sets when a part is evaluated next although nothing comes.
    ///
    /// A timer that is due earlier stays, unless it is due much earlier: looking once too often
    /// costs less than moving it with every sample.
    pub(super) fn wake_part(&mut self, part: Subscription, wake: Option<Timestamp>) {
        let held = &mut self.rules.get_mut(part.rule).partitions.get_mut(part.partition).wake;
        if *held == wake {
            return;
        }
        if let (Some(before), Some(at)) = (*held, wake) {
            let (left, needed) = (before.saturating_since(self.now), at.saturating_since(self.now));
            if before <= at && left.saturating_mul(2) >= needed {
                return;
            }
        }
        if std::mem::replace(held, wake).is_some() {
            self.timers.partitions.cancel();
        }
        if let Some(at) = wake {
            self.timers.partitions.arm(at, part);
        }
    }

    /// Where a rule gives more than its group allows, it gives nothing at all.
    fn mind_limit(&mut self, part: Subscription, changes: &mut Vec<Change>) {
        let entry = self.rules.get_mut(part.rule);
        let limit = entry.rule.settings.limit;
        let is_over = entry.partitions.elements as u64 > limit;
        if std::mem::replace(&mut entry.partitions.is_over_limit, is_over) == is_over {
            return;
        }
        let parts: Vec<_> = entry.partitions.ids().collect();
        if is_over {
            let text = format!("exceeded limit of {limit}");
            self.failures.note(&entry.rule, text);
        }
        let soon = Timestamp::from_ms(self.now.as_ms().saturating_add(1));
        for partition in parts {
            let other = Subscription { partition, ..part };
            if is_over {
                self.clear(other, changes);
            } else if other != part {
                self.wake_part(other, Some(soon));
            }
        }
    }

    /// Ends whatever a part gives.
    pub(super) fn clear(&mut self, part: Subscription, changes: &mut Vec<Change>) {
        let entry = self.rules.get_mut(part.rule);
        let raised = std::mem::take(&mut entry.partitions.get_mut(part.partition).raised);
        for fingerprint in raised {
            self.end(fingerprint, changes);
        }
        match self.rules.rule(part.rule).kind {
            RuleKind::Record(_) => self.record_items(part, Vec::new(), changes),
            RuleKind::Alert(_) => self.give_alert_series(part),
        }
    }
}

/// How often something is looked at that changes all the time.
fn tick(entry: &RuleEntry) -> Duration {
    match entry.rule.kind {
        // Each evaluation is a sample.
        RuleKind::Record(_) => entry.rule.interval(),
        RuleKind::Alert(_) => entry.rule.interval().min(EVALUATION_TICK),
    }
}
