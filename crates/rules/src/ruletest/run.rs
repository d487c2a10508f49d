//! Runs a test: loads its series, ticks, and compares.

use std::time::Duration;

use bellwire_model::{Labels, Sample};

use super::elements::elements;
use super::file::{AlertCheck, ExpressionCheck, Suite, Test};
use super::judgement::{Found, Judged, sort_alerts};
use super::stream::Stream;
use super::{Compared, Engines, Outcome};
use crate::evaluation::Conventions;
use crate::load::LoadError;
use crate::plan::Plan;
use crate::rule::RuleSet;
use crate::series_text::Cell;
use crate::tick::{TickedAlert, Ticker};

/// Rules for both ways of evaluating.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) by_ticks: &'a RuleSet,
    pub(super) streamed: Result<&'a RuleSet, &'a LoadError>,
}

/// What becomes of a test with the rules as they tick, and as they are evaluated when samples arrive.
pub(super) fn outcome(test: &Test, suite: &Suite, rules: Rules<'_>, engines: Engines) -> Outcome {
    let (samples, run) = ticked(test, suite, rules.by_ticks);
    let mut judged = Judged::new(engines, run.errors);
    let mut warnings = warnings(test, rules.by_ticks);
    match rules.streamed {
        Ok(streamed) => {
            judged.compare(run.found, Some(Stream::new(test, streamed, &samples)), suite);
        }
        Err(refusal) => {
            judged.compare(run.found, None, suite);
            if engines != Engines::Ticks {
                let told = format!("it was not run as samples arrive: a server refuses {refusal}");
                warnings.push(told.into());
            }
        }
    }
    Outcome {
        name: test.name.clone(),
        by_ticks: judged.by_ticks,
        as_samples_arrive: judged.as_samples_arrive,
        failures: judged.failures,
        unsupported: run.unsupported,
        differences: judged.differences,
        compared: run.compared,
        warnings,
    }
}

/// The samples of a test in the order of their times, and what comes of them by ticks.
pub(super) fn ticked<'a>(
    test: &'a Test,
    suite: &'a Suite,
    rules: &RuleSet,
) -> (Vec<Sample>, Run<'a>) {
    let conventions =
        Conventions { subquery_step: suite.evaluation_interval, ..Conventions::default() };
    let ticker = Ticker::new(rules.clone(), conventions, test.externals.clone());
    let mut samples = samples(test);
    samples.sort_by_key(|sample| sample.time);
    let mut run = Run {
        test,
        suite,
        conventions,
        ticker,
        errors: Vec::new(),
        unsupported: Vec::new(),
        found: Vec::new(),
        compared: Compared::default(),
    };
    run.run(&samples);
    (samples, run)
}

/// Checks that pass whatever the rules say.
fn warnings(test: &Test, rules: &RuleSet) -> Vec<Box<str>> {
    if test.alerts.is_empty() && test.expressions.is_empty() {
        return vec![
            "it compares nothing: it has no `alert_rule_test` and no `promql_expr_test`".into(),
        ];
    }
    let rules = || rules.groups().iter().flat_map(|group| &group.rules);
    let raised = |check: &&AlertCheck| {
        rules().any(|rule| rule.alert().is_some() && *rule.name.alert == *check.name)
    };
    let nobodys = test.alerts.iter().filter(|check| check.expected.is_empty() && !raised(check));
    let warning = |AlertCheck { name, after, .. }: &AlertCheck| {
        format!("alertname: {name}, time: {after:?}: no rule raises it, and none is expected")
            .into()
    };
    nobodys.map(warning).collect()
}

pub(super) struct Run<'a> {
    test: &'a Test,
    suite: &'a Suite,
    conventions: Conventions,
    ticker: Ticker,
    /// Rules that could not be evaluated.
    pub(super) errors: Vec<Box<str>>,
    unsupported: Vec<Box<str>>,
    /// What each check has found.
    pub(super) found: Vec<Found<'a>>,
    compared: Compared,
}

impl<'a> Run<'a> {
    fn run(&mut self, samples: &[Sample]) {
        let test = self.test;
        let last = self.last_check();
        let mut coming = samples.iter().peekable();
        let mut after = Duration::ZERO;
        while after <= last {
            let now = test.start.saturating_add(after);
            while let Some(sample) = coming.next_if(|sample| sample.time <= now) {
                self.ticker.storage.add(sample);
            }
            let errors = self.ticker.tick(now);
            for error in &errors {
                let told = format!("rule {}, at {after:?}: {}", error.rule, error.reason);
                self.errors.push(told.into());
            }
            if !errors.is_empty() {
                return;
            }
            let next = after + self.suite.evaluation_interval;
            for check in &test.alerts {
                // A check sees the newest tick that is not after it.
                if after <= check.after && check.after < next {
                    self.check_alerts(check);
                }
            }
            after = next;
        }
        let end = self.test.start.saturating_add(last);
        while let Some(sample) = coming.next_if(|sample| sample.time <= end) {
            self.ticker.storage.add(sample);
        }
        for check in &self.test.expressions {
            self.check_expression(check);
        }
    }

    fn last_check(&self) -> Duration {
        let alerts = self.test.alerts.iter().map(|check| check.after);
        alerts.chain(self.test.expressions.iter().map(|c| c.after)).max().unwrap_or_default()
    }

    fn check_alerts(&mut self, check: &'a AlertCheck) {
        let firing = self.ticker.firing(&check.name);
        let mut found: Vec<(Labels, Labels)> = firing
            .into_iter()
            .map(|TickedAlert { labels, annotations, .. }| (labels, annotations))
            .collect();
        sort_alerts(&mut found);
        self.compared.alerts += 1;
        self.found.push(Found::Alerts(check, found));
    }

    fn check_expression(&mut self, check: &'a ExpressionCheck) {
        if check.has_histograms {
            let reason = "native histograms are of tier 3";
            let text = format!("expr: {:?}, time: {:?}: {reason}", check.expression, check.after);
            return self.unsupported.push(text.into());
        }
        self.compared.expressions += 1;
        let time = self.test.start.saturating_add(check.after);
        let found = Plan::parse(&check.expression)
            .map_err(|error| error.to_string())
            .and_then(|plan| elements(&plan, &self.ticker.storage, &self.conventions, time));
        self.found.push(Found::Elements(check, found));
    }
}

/// The samples of a test in the order of its series.
fn samples(test: &Test) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (labels, cells) in &test.series {
        let mut time = test.start;
        for cell in cells {
            if let Cell::Value(value) = cell {
                samples.push(Sample { series: labels.clone(), value: *value, time });
            }
            time = time.saturating_add(test.interval);
        }
    }
    samples
}
