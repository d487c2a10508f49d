//! Rules by the metric that they select, so that a series is matched with few of them.

use bellwire_model::Labels;
use rustc_hash::FxHashMap;

use crate::rule::{Rule, RuleSet};

/// The place of a rule among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleId(u32);

/// All rules.
#[derive(Debug)]
pub(super) struct RuleIndex {
    rules: Vec<Rule>,
    by_metric: FxHashMap<Box<str>, Vec<RuleId>>,
    /// Rules whose selector may select any metric.
    of_any_metric: Vec<RuleId>,
}

impl RuleIndex {
    pub(super) fn new(set: RuleSet) -> Self {
        let rules: Vec<Rule> = set.groups.into_iter().flat_map(|group| group.rules).collect();
        let mut by_metric: FxHashMap<Box<str>, Vec<RuleId>> = FxHashMap::default();
        let mut of_any_metric = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let ids = match rule.condition.selector.metric_name() {
                Some(metric) => by_metric.entry(metric.into()).or_default(),
                None => &mut of_any_metric,
            };
            ids.push(RuleId(index as u32));
        }
        Self { rules, by_metric, of_any_metric }
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn get(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// The rules that select a series, in the order of the files.
    pub(super) fn select(&self, series: &Labels) -> Vec<RuleId> {
        let of_metric = series.metric_name().and_then(|metric| self.by_metric.get(metric));
        let ids = of_metric.into_iter().flatten().chain(&self.of_any_metric).copied();
        let selects = |id: &RuleId| self.get(*id).condition.selector.selects(series);
        let mut selected: Vec<RuleId> = ids.filter(selects).collect();
        selected.sort_unstable();
        selected
    }
}
