//! Rules in tick mode: evaluated at each interval of their group, one after the other, each over
//! all of its series, by the plain evaluator. This is what Prometheus does.

use bellwire_model::{Labels, NameSet};

use super::Engine;
use super::alerts::Finding;
use super::change::Change;
use super::ids::{GroupId, PartId};
use crate::ending::Endings;
use crate::evaluation::{Evaluation, Selected, Span, selected};
use crate::rule::RuleKind;

impl Engine {
    /// Evaluates the rules of a group, each of which sees what those before it have recorded.
    pub(super) fn tick(&mut self, group: GroupId, changes: &mut Vec<Change>) {
        for index in 0..self.rules.group(group).rules.len() {
            let part = self.parts.only(self.rules.group(group).rules[index]);
            if let Err(reason) = self.tick_part(part, changes) {
                self.fail(part, reason);
            }
            self.settle();
        }
    }

    /// A rule that fails leaves everything as it is, but for alerts beyond the limit of its group.
    fn tick_part(&mut self, part: PartId, changes: &mut Vec<Change>) -> Result<(), String> {
        let rule = self.rules.rule(part.rule);
        let (limit, alerts) = (rule.settings.limit, rule.alert().is_some());
        let finding = self.tick_finding(part)?;
        let count = finding.items.len();
        if !alerts {
            check_limit(count, limit, "series")?;
            self.parts.of_mut(part.rule).count(part.number, count, self.now);
            self.record_items(part, finding.items, changes);
            return Ok(());
        }
        self.parts.of_mut(part.rule).count(part.number, count, self.now);
        if limit > 0 {
            // What is beyond the limit is never raised: nobody is told of it, tick after tick.
            let before = self.parts.get(part).raised();
            let raised = self.alerts.would_raise(&self.scene(), (part.rule, before), &finding);
            check_limit(raised, limit, "alerts").inspect_err(|_| self.clear(part, changes))?;
        }
        self.raise(part, finding, changes);
        Ok(())
    }

    /// What a rule gives, unless two elements come to the same series or alert.
    fn tick_finding(&mut self, part: PartId) -> Result<Finding, String> {
        let storage = self.series.storage();
        let selected = selected(&self.rules.rule(part.rule).plan, storage);
        let looks: usize = selected.iter().map(|series| series.len()).sum();
        self.parts.of_mut(part.rule).look(looks as u64);
        let rule = self.rules.rule(part.rule);
        let time = self.now.saturating_sub(rule.settings.query_offset);
        let conventions = &self.terms.conventions;
        let mut evaluation =
            Evaluation::new(storage, Selected::Each(&selected), conventions, Span::at(time));
        let items = evaluation.items(&rule.plan.root, time.as_ms());
        let items = items.map_err(|error| error.to_string())?;
        let mut seen: NameSet<Labels> = NameSet::default();
        let scene = self.scene();
        for item in &items {
            let (labels, kind) = match rule.kind {
                RuleKind::Alert(_) => {
                    (rule.alert_labels(&scene.fill(&item.labels, item.value())), "alert")
                }
                RuleKind::Record(_) => (rule.recorded_labels(&item.labels), "rule"),
            };
            let labels = labels.map_err(|error| error.to_string())?;
            if !seen.insert(labels) {
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
