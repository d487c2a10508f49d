//! Standing queries among the rules: they have places behind theirs, come and go, and use places
//! again.

use std::sync::Arc;

use bellwire_model::limits::LIVE_SCANNED_MAX;
use bellwire_model::{QueryId, Sight};

use super::selectors::Selectors;
use super::{QueryEntry, QueryStage, RuleEntry, RuleTable, Shape};
use crate::engine::ids::RuleId;
use crate::plan::{Plan, SelectorId};
use crate::rule::Rule;
use crate::selector::Selector;

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
        for (index, selection) in rule.plan.selections.iter().enumerate() {
            let selector = (&selection.selector, is_scanned(&selection.selector, &query.sight));
            self.selectors.add_of_query((place, SelectorId(index as u32)), selector);
        }
        let entry = self.enlist(rule, shape);
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
        let query = entry.query.as_ref().expect("only queries end");
        self.queries.remove(&query.id);
        for (index, selection) in entry.rule.plan.selections.iter().enumerate() {
            let selector = (&selection.selector, is_scanned(&selection.selector, &query.sight));
            self.selectors.remove_of_query((rule, SelectorId(index as u32)), selector);
        }
    }

    /// Whether a query may select as it does: those that say no value of a label, or of a sight that
    /// is not all there is, are compared with each series of their metric, and must be few.
    pub(in crate::engine) fn has_room_to_scan(&self, plan: &Plan, sight: &Sight) -> bool {
        let selectors = plan.selections.iter().map(|it| &it.selector);
        let scanned: Vec<&Selector> = selectors
            .filter(|selector| Selectors::is_compared(selector) && is_scanned(selector, sight))
            .collect();
        scanned.iter().all(|selector| {
            let metric = selector.metric_name();
            let own = scanned.iter().filter(|other| other.metric_name() == metric).count();
            self.selectors.scanned(selector) + own <= LIVE_SCANNED_MAX
        })
    }

    /// The place of a query that has ended may be used again.
    pub(in crate::engine) fn free_query(&mut self, rule: RuleId) {
        self.free.push(rule);
    }
}

/// Whether a selector may be compared with a series in vain.
fn is_scanned(selector: &Selector, sight: &Sight) -> bool {
    !selector.is_of_all() || *sight != Sight::all()
}

/// What differs by the metric's name alone, which most expressions drop, must not be in two parts: its
/// elements would be two of one name.
fn shape_of(rule: &Rule) -> Shape {
    let is_of_metrics =
        rule.plan.selections.iter().all(|selection| selection.selector.metric_name().is_some());
    if is_of_metrics && !rule.plan.is_on_tick() { Shape::of(rule) } else { Shape::Whole }
}
