//! The same test as an engine evaluates it: as samples arrive.

use std::time::Duration;

use bellwire_model::{AlertState, Labels, Sample};

use super::elements::elements;
use super::file::{AlertCheck, ExpressionCheck, Test};
use crate::engine::{Engine, Settings};
use crate::evaluation::{Conventions, Element};
use crate::plan::{Plan, SelectionKind};
use crate::rule::{RuleKind, RuleSet};

/// A test whose samples arrive at their times.
pub(super) struct Stream<'a> {
    test: &'a Test,
    rules: &'a RuleSet,
    engine: Engine,
    /// In the order of their times.
    left: &'a [Sample],
}

impl<'a> Stream<'a> {
    pub(super) fn new(test: &'a Test, rules: &'a RuleSet, samples: &'a [Sample]) -> Self {
        let settings = Settings { externals: test.externals.clone(), ..Settings::default() };
        let mut engine = Engine::with_settings(rules.clone(), settings);
        // What has a value without samples has it from the start on.
        engine.apply(test.start, &[]);
        Self { test, rules, engine, left: samples }
    }

    /// The alerts of a name that fire at the time of a check, with their annotations. Checks come in
    /// the order of their times.
    pub(super) fn firing(&mut self, check: &AlertCheck) -> Vec<(Labels, Labels)> {
        self.reach(check.after);
        let of_name = |alert: &bellwire_model::Alert| {
            alert.state == AlertState::Firing
                && alert.rule().is_some_and(|rule| *rule.alert == *check.name)
        };
        let firing = self.engine.active().filter(|alert| of_name(alert));
        firing.map(|alert| (alert.labels.clone(), alert.annotations.clone())).collect()
    }

    /// What an expression comes to at a check on a tick, where it looks at nothing but the newest
    /// values of what rules record: an engine keeps of all else only what its rules look at. Between
    /// two ticks it has recorded newer ones, and when it has recorded what is still the same value is
    /// its own matter.
    pub(super) fn elements(
        &mut self,
        check: &ExpressionCheck,
        interval: Duration,
    ) -> Option<Result<Vec<Element>, String>> {
        let is_on_tick = check.after.as_millis().is_multiple_of(interval.as_millis());
        if !is_on_tick || check.expression.contains("timestamp") {
            return None;
        }
        let plan = Plan::parse(&check.expression).ok().filter(|plan| self.is_of_recorded(plan))?;
        self.reach(check.after);
        let time = self.test.start.saturating_add(check.after);
        Some(elements(&plan, self.engine.storage(), &Conventions::default(), time))
    }

    fn is_of_recorded(&self, plan: &Plan) -> bool {
        let is_given = |name: &str| {
            self.test.series.iter().any(|(labels, _)| labels.metric_name() == Some(name))
        };
        let rules = || self.rules.groups().iter().flat_map(|group| &group.rules);
        let is_recorded = |name: &str| {
            rules()
                .any(|rule| matches!(rule.kind, RuleKind::Record(_)) && *rule.name.alert == *name)
        };
        let is_newest = |selection: &crate::plan::Selection| {
            selection.kind == SelectionKind::Instant && selection.reach_ms == 0
        };
        !plan.selections.is_empty()
            && plan.looks_back()
            && plan.selections.iter().all(|selection| {
                let name = selection.selector.metric_name();
                is_newest(selection)
                    && name.is_some_and(|name| is_recorded(name) && !is_given(name))
            })
    }

    fn reach(&mut self, after: Duration) {
        let now = self.test.start.saturating_add(after);
        while let Some(next) = self.left.first().map(|next| next.time).filter(|next| *next <= now) {
            let of_time = self.left.partition_point(|sample| sample.time <= next);
            let (batch, left) = self.left.split_at(of_time);
            self.engine.apply(next, batch);
            self.left = left;
        }
        self.engine.advance(now);
    }
}
