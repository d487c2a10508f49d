//! One evaluation of a part of a rule: what it comes to at this instant, and when to look again.

use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{
    EVALUATION_TICK, LIVE_EVALUATION_LOOKS_MAX, PART_LABELS_WEIGHT, PART_SERIES_PER_MS,
    PART_SPACING_MIN,
};

use super::Engine;
use super::alerts::{Finding, Raiser};
use super::change::Change;
use super::ids::PartId;
use super::rules::RuleEntry;
use crate::ending::Endings;
use crate::evaluation::{Evaluated, Evaluation, Item, Span};
use crate::rule::{Rule, RuleKind};

/// What a part of a rule comes to.
pub(super) struct Outcome {
    pub(super) finding: Evaluated<Finding>,
    /// When it may come to something else although nothing comes.
    pub(super) wake: Option<Timestamp>,
    /// The series that were looked at, with their labels.
    pub(super) work: u64,
    /// How long it took, in series by their numbers alone.
    pub(super) effort: u64,
}

impl Engine {
    /// Evaluates a part of a rule, and does what follows of it.
    pub(super) fn evaluate(&mut self, part: PartId, changes: &mut Vec<Change>) {
        if self.evaluate_numbers(part, changes) {
            return;
        }
        let Outcome { finding, wake, work, .. } = self.outcome(part);
        self.rest(part, work.saturating_mul(PART_LABELS_WEIGHT));
        self.parts.of_mut(part.rule).look(work);
        let mut finding = match finding {
            Ok(finding) => finding,
            Err(error) => {
                self.fail(part, error.to_string());
                let again = self.now.saturating_add(self.parts.interval(part));
                return self.parts.wake(part, Some(again), self.now);
            }
        };
        self.parts.wake(part, wake, self.now);
        self.parts.of_mut(part.rule).count(part.number, finding.items.len(), self.now);
        if self.rules.rule(part.rule).settings.limit > 0 {
            self.mind_limit(part, changes);
        }
        if self.parts.of(part.rule).is_over_limit() {
            finding = Finding::default();
        }
        match self.rules.rule(part.rule).kind {
            RuleKind::Alert(_) => self.raise(part, finding, changes),
            RuleKind::Record(_) => self.record_items(part, finding.items, changes),
        }
        self.outline_part(part);
    }

    /// Lets a part that looks at so many series rest, where that takes long: each evaluation is exact
    /// at its instant, and they are so far apart that they take a share of the time.
    pub(super) fn rest(&mut self, part: PartId, work: u64) {
        let spacing = Duration::from_millis(work / PART_SERIES_PER_MS);
        if spacing >= PART_SPACING_MIN {
            self.parts.rest(part, spacing, self.now);
        }
    }

    /// Brings the alerts of a part in line with its elements.
    pub(super) fn raise(&mut self, part: PartId, finding: Finding, changes: &mut Vec<Change>) {
        let raised = self.parts.get_mut(part).take_raised();
        let waits = self.alerts.has_orphans_of(&self.rules.rule(part.rule).name);
        if finding.items.is_empty() && raised.is_empty() && !waits {
            return;
        }
        let series = self.parts.get(part).members().only();
        let (alerts, scene) = self.alerts_mut();
        let after = alerts.raise(&scene, Raiser { part, series, raised }, finding, changes);
        self.parts.get_mut(part).set_raised(after.into());
        self.give_alert_series(part);
    }

    /// An evaluation of a part has come to nothing.
    pub(super) fn fail(&mut self, part: PartId, reason: String) {
        self.parts.of_mut(part.rule).fail(part.number, &reason, self.now);
        self.failures.note(self.rules.rule(part.rule), reason);
    }

    /// What a part comes to now.
    pub(super) fn items(&self, part: PartId) -> Evaluated<Vec<Item>> {
        self.outcome(part).finding.map(|finding| finding.items)
    }

    pub(super) fn outcome(&self, part: PartId) -> Outcome {
        let entry = self.rules.get(part.rule);
        let members = self.parts.get(part).members();
        let (mut evaluation, time) = self.evaluation(part);
        let plan = &entry.rule.plan;
        let items = evaluation.items(&plan.root, time.as_ms());
        let finding = items.and_then(|items| {
            let mut endings = Endings::default();
            if self.lingers(part) {
                endings = Endings::of(plan, &mut evaluation, time.as_ms())?;
            }
            let only = members.only().filter(|_| entry.is_of_samples && !items.is_empty());
            let newest = only.and_then(|id| self.series.newest_visible(id, self.now));
            let taken_at = newest.map(|newest| newest.time);
            Ok(Finding { items, taken_at, endings })
        });
        let elements = finding.as_ref().map_or(0, |finding| finding.items.len());
        let wake = self.wake_after(entry, &evaluation, elements);
        let (work, effort) = (evaluation.work(), evaluation.effort());
        Outcome { finding, wake, work, effort }
    }

    /// An evaluation of a part, and the time that it looks at.
    pub(super) fn evaluation(&self, part: PartId) -> (Evaluation<'_>, Timestamp) {
        let offset = self.rules.rule(part.rule).settings.query_offset;
        let time = self.now.saturating_sub(offset);
        let (storage, selected) =
            (self.series.storage(), self.parts.get(part).members().selected());
        let conventions = &self.terms.conventions;
        let evaluation = Evaluation::new(storage, selected, conventions, Span::at(time));
        let is_query = self.rules.get(part.rule).query.is_some();
        let effort_max = if is_query { LIVE_EVALUATION_LOOKS_MAX } else { u64::MAX };
        let evaluation = evaluation.within_effort(effort_max);
        // The timers of its series touch it when they leave the lookback, as of now.
        (if offset.is_zero() { evaluation.seeing_ends() } else { evaluation }, time)
    }

    /// Whether a part raises alerts that do not end with their condition alone, or may have before
    /// a restart.
    pub(super) fn lingers(&self, part: PartId) -> bool {
        let rule = self.rules.rule(part.rule);
        rule.plan.hysteresis.is_some()
            && (!self.parts.get(part).raised().is_empty() || self.alerts.has_orphans_of(&rule.name))
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
        let tick = evaluation.is_restless().then(|| self.now.saturating_add(tick(&entry.rule)));
        let refresh = self.refresh(&entry.rule, elements);
        let wake = [next, tick, refresh].into_iter().flatten().min();
        // However it was computed, it is not now.
        wake.map(|wake| wake.max(self.soon()))
    }

    /// When a recording rule gives its series their next sample, although nothing has changed.
    pub(super) fn refresh(&self, rule: &Rule, items: usize) -> Option<Timestamp> {
        let records = matches!(rule.kind, RuleKind::Record(_)) && items > 0;
        records.then(|| self.now.saturating_add(rule.interval()))
    }

    /// Where a rule gives more than its group allows, it gives nothing at all.
    fn mind_limit(&mut self, part: PartId, changes: &mut Vec<Change>) {
        let rule = self.rules.rule(part.rule);
        let limit = rule.settings.limit;
        let Some(is_over) = self.parts.of_mut(part.rule).mind_limit(limit) else { return };
        if is_over {
            self.failures.note(rule, format!("exceeded limit of {limit}"));
        }
        for other in self.parts.ids(part.rule) {
            if is_over {
                self.clear(other, changes);
            } else if other != part {
                let soon = self.soon();
                self.parts.wake(other, Some(soon), self.now);
            }
        }
    }

    /// Ends whatever a part gives.
    pub(super) fn clear(&mut self, part: PartId, changes: &mut Vec<Change>) {
        let raised = self.parts.get_mut(part).take_raised();
        let (alerts, scene) = self.alerts_mut();
        for fingerprint in raised.iter() {
            alerts.end(&scene, *fingerprint, changes);
        }
        match self.rules.rule(part.rule).kind {
            RuleKind::Record(_) => self.record_items(part, Vec::new(), changes),
            RuleKind::Alert(_) => self.give_alert_series(part),
        }
    }
}

/// How often something is looked at that changes all the time.
fn tick(rule: &Rule) -> Duration {
    match rule.kind {
        // Each evaluation is a sample.
        RuleKind::Record(_) => rule.interval(),
        RuleKind::Alert(_) => rule.interval().min(EVALUATION_TICK),
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
        let part = engine.series.parts(engine.series.from(0).next().expect("a series").1)[0];
        assert!(engine.alerts.has_orphans_of(&before.rules.rule(first).name));
        assert!(!engine.lingers(part));
        // Its own rule looks for it, until it is found.
        engine.apply(now, &[sample("a", 0.0)]);
        assert!(!engine.alerts.has_orphans_of(&before.rules.rule(first).name));
    }
}
