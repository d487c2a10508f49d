//! The same test as an engine evaluates it: as samples arrive.

use std::time::Duration;

use bellwire_model::{AlertState, Labels, Sample, Timestamp};

use super::file::{AlertCheck, Test};
use crate::engine::{Engine, Settings};
use crate::rule::RuleSet;

/// A test whose samples arrive at their times.
pub(super) struct Stream<'a> {
    engine: Engine,
    start: Timestamp,
    /// In the order of their times.
    left: &'a [Sample],
}

impl<'a> Stream<'a> {
    pub(super) fn new(test: &Test, rules: RuleSet, samples: &'a [Sample]) -> Self {
        let settings = Settings { externals: test.externals.clone(), ..Settings::default() };
        let mut engine = Engine::with_settings(rules, settings);
        // What has a value without samples has it from the start on.
        engine.apply(test.start, &[]);
        Self { engine, start: test.start, left: samples }
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

    fn reach(&mut self, after: Duration) {
        let now = self.start.saturating_add(after);
        while let Some(next) = self.left.first().map(|next| next.time).filter(|next| *next <= now) {
            let of_time = self.left.partition_point(|sample| sample.time <= next);
            let (batch, left) = self.left.split_at(of_time);
            self.engine.apply(next, batch);
            self.left = left;
        }
        self.engine.advance(now);
    }
}
