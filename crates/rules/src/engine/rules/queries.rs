//! Standing queries among the rules: they have places behind theirs, come and go, and use places
//! again.

use std::sync::Arc;

use bellwire_model::QueryId;

use super::{QueryEntry, QueryStage, RuleEntry, RuleTable, Shape};
use crate::engine::ids::RuleId;
use crate::rule::Rule;

impl RuleTable {
    /// The place of a query, until it ends.
    pub(in crate::engine) fn find_query(&self, id: QueryId) -> Option<RuleId> {
        self.queries.get(&id).copied()
    }

    /// Adds a query.
    pub(in crate::engine) fn add_query(&mut self, rule: Arc<Rule>, query: QueryEntry) -> RuleId {
        let place = self.free.pop().unwrap_or_else(|| RuleId::at(self.entries.len()));
        self.queries.insert(query.id, place);
        let shape = shape_of(&rule);
        let entry = self.enlist(place, rule, shape);
        let entry = RuleEntry { level: self.query_level, query: Some(Box::new(query)), ..entry };
        match self.entries.get_mut(place.place()) {
            Some(before) => *before = entry,
            None => self.entries.push(entry),
        }
        place
    }

    /// Takes over the queries of other rules that have not ended.
    pub(in crate::engine) fn take_queries(&mut self, before: &Self) {
        let queries =
            before.entries.iter().filter_map(|entry| Some((entry, entry.query.as_ref()?)));
        for (entry, query) in queries.filter(|(_, query)| query.stage != QueryStage::Ends) {
            self.add_query(Arc::clone(&entry.rule), (**query).clone());
        }
    }

    pub(in crate::engine) fn set_stage(&mut self, rule: RuleId, stage: QueryStage) {
        let query = self.entries[rule.place()].query.as_mut();
        query.expect("only queries have stages").stage = stage;
    }

    /// A query selects nothing from now on. How long samples are kept at most is not found anew: it
    /// only says which samples need not be looked at.
    pub(in crate::engine) fn end_query(&mut self, rule: RuleId) {
        self.set_stage(rule, QueryStage::Ends);
        let entry = &self.entries[rule.place()];
        self.queries.remove(&entry.query.as_ref().expect("only queries end").id);
        for selection in &entry.rule.plan.selections {
            let Some(metric) = selection.selector.metric_name() else {
                self.of_any_metric.retain(|(other, _)| *other != rule);
                continue;
            };
            if let Some(ids) = self.by_metric.get_mut(metric) {
                ids.retain(|(other, _)| *other != rule);
                if ids.is_empty() {
                    self.by_metric.remove(metric);
                }
            }
        }
    }

    /// The place of a query that has ended may be used again.
    pub(in crate::engine) fn free_query(&mut self, rule: RuleId) {
        self.free.push(rule);
    }
}

/// What differs by the metric's name alone, which most expressions drop, must not be in two parts: its
/// elements would be two of one name.
fn shape_of(rule: &Rule) -> Shape {
    let is_of_metrics =
        rule.plan.selections.iter().all(|selection| selection.selector.metric_name().is_some());
    if is_of_metrics { Shape::of(rule) } else { Shape::Whole }
}
