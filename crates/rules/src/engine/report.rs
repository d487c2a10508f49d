//! What becomes of each rule, for people to look at.

use std::sync::Arc;

use bellwire_model::Alert;

use super::Engine;
use super::health::Health;
use super::rules::{Entry as RuleEntry, RuleId};
use crate::rule::Rule;

/// A rule, and what it gives now.
#[derive(Debug)]
pub struct RuleReport<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The alerts that it raises, pending and firing.
    pub alerts: Vec<Arc<Alert>>,
    /// How its evaluations go.
    pub health: Health,
}

impl Engine {
    /// All rules in the order of the files, with what they give.
    pub fn report(&self) -> impl Iterator<Item = RuleReport<'_>> {
        self.rules.ids().map(|id| {
            let RuleEntry { rule, partitions, .. } = self.rules.get(id);
            RuleReport { rule, alerts: self.raised(id), health: partitions.health() }
        })
    }

    pub(super) fn raised(&self, rule: RuleId) -> Vec<Arc<Alert>> {
        let partitions = &self.rules.get(rule).partitions;
        let raised = partitions.ids().flat_map(|id| &partitions.get(id).raised);
        let entries = raised.filter_map(|fingerprint| self.alerts.get(*fingerprint));
        let mut alerts: Vec<_> = entries.map(|entry| self.current(entry)).collect();
        alerts.sort_unstable_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
        alerts
    }
}
