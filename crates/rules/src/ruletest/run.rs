//! Runs a test: loads its series, ticks, and compares.

use std::time::Duration;

use bellwire_model::{Labels, Sample, Timestamp};

use super::file::{AlertCheck, Comparison, ExpressionCheck, Suite, Test};
use super::stream::Stream;
use super::{Compared, Outcome};
use crate::evaluation::{Conventions, Element, Value, query};
use crate::number::go_text;
use crate::plan::Plan;
use crate::rule::RuleSet;
use crate::series_text::Cell;
use crate::tick::{TickedAlert, Ticker};

/// What becomes of a test with the rules as they tick, and as they are evaluated when samples arrive.
pub(super) fn outcome(
    test: &Test,
    suite: &Suite,
    (by_ticks, streamed): (&RuleSet, Option<&RuleSet>),
) -> Outcome {
    let conventions =
        Conventions { subquery_step: suite.evaluation_interval, ..Conventions::default() };
    let ticker = Ticker::new(by_ticks.clone(), conventions, test.externals.clone());
    let mut samples = samples(test);
    samples.sort_by_key(|sample| sample.time);
    let (failures, unsupported, firing) = (Vec::new(), Vec::new(), Vec::new());
    let compared = Compared::default();
    let mut run = Run { test, suite, conventions, ticker, failures, unsupported, firing, compared };
    run.run(&samples);
    let differences = streamed.map(|rules| run.differences(rules, &samples)).unwrap_or_default();
    let Run { failures, unsupported, compared, .. } = run;
    let warnings = warnings(test, by_ticks);
    Outcome { name: test.name.clone(), failures, unsupported, differences, compared, warnings }
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

struct Run<'a> {
    test: &'a Test,
    suite: &'a Suite,
    conventions: Conventions,
    ticker: Ticker,
    failures: Vec<Box<str>>,
    unsupported: Vec<Box<str>>,
    /// What fired at each check of alerts that there was.
    firing: Vec<(&'a AlertCheck, Vec<(Labels, Labels)>)>,
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
                self.failures.push(told.into());
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
        let mut wanted = check.expected.clone();
        sort_alerts(&mut found);
        sort_alerts(&mut wanted);
        if found != wanted {
            let text = format!(
                "alertname: {}, time: {:?}: expected {}, got {}",
                check.name,
                check.after,
                told_alerts(&wanted),
                told_alerts(&found)
            );
            self.failures.push(text.into());
        }
        self.compared.alerts += 1;
        self.firing.push((check, found));
    }

    /// Where other alerts fire if the rules are evaluated as samples arrive.
    fn differences(&mut self, rules: &RuleSet, samples: &[Sample]) -> Vec<Box<str>> {
        let mut stream = Stream::new(self.test, rules.clone(), samples);
        self.firing.sort_by_key(|(check, _)| check.after);
        let difference = |(check, ticked): &(&AlertCheck, Vec<(Labels, Labels)>)| {
            let mut streamed = stream.firing(check);
            sort_alerts(&mut streamed);
            let text = || {
                let (streamed, ticked) = (told_alerts(&streamed), told_alerts(ticked));
                let AlertCheck { name, after, .. } = check;
                format!(
                    "alertname: {name}, time: {after:?}: as samples arrive {streamed}, by ticks \
                     {ticked}"
                )
            };
            (streamed != *ticked).then(|| text().into())
        };
        self.firing.iter().filter_map(difference).collect()
    }

    fn check_expression(&mut self, check: &ExpressionCheck) {
        if check.has_histograms {
            let reason = "native histograms are of tier 3";
            let text = format!("expr: {:?}, time: {:?}: {reason}", check.expression, check.after);
            return self.unsupported.push(text.into());
        }
        self.compared.expressions += 1;
        let time = self.test.start.saturating_add(check.after);
        let failure = match self.elements(&check.expression, time) {
            Err(reason) => Some(reason),
            Ok(found) => self.difference(check, found),
        };
        if let Some(failure) = failure {
            let text = format!("expr: {:?}, time: {:?}: {failure}", check.expression, check.after);
            self.failures.push(text.into());
        }
    }

    fn elements(&self, expression: &str, time: Timestamp) -> Result<Vec<Element>, String> {
        let plan = Plan::parse(expression).map_err(|error| error.to_string())?;
        let answer = query(&plan, &self.ticker.storage, &self.conventions, time);
        match answer.map_err(|error| error.to_string())?.value {
            Value::Vector(elements) => Ok(elements),
            Value::Scalar(value) => Ok(vec![Element { labels: Labels::empty(), value }]),
            Value::Text(_) | Value::Matrix(_) => {
                Err("the expression is neither a vector nor a number".into())
            }
        }
    }

    fn difference(&self, check: &ExpressionCheck, found: Vec<Element>) -> Option<String> {
        let mut found: Vec<(Labels, f64)> =
            found.into_iter().map(|element| (element.labels, element.value)).collect();
        let mut wanted = check.expected.clone();
        for samples in [&mut found, &mut wanted] {
            samples.sort_by(|a, b| a.0.iter().cmp(b.0.iter()));
        }
        let are_equal = found.len() == wanted.len()
            && found.iter().zip(&wanted).all(|(found, wanted)| {
                found.0 == wanted.0 && is_equal(found.1, wanted.1, self.suite.comparison)
            });
        (!are_equal)
            .then(|| format!("expected {}, got {}", told_samples(&wanted), told_samples(&found)))
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

#[expect(clippy::float_cmp, reason = "promtool compares exactly")]
fn is_equal(one: f64, other: f64, comparison: Comparison) -> bool {
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    comparison == Comparison::Fuzzy && (one.next_up() == other || one.next_down() == other)
}

fn sort_alerts(alerts: &mut [(Labels, Labels)]) {
    alerts.sort_by(|a, b| a.0.iter().cmp(b.0.iter()).then(a.1.iter().cmp(b.1.iter())));
}

fn told_alerts(alerts: &[(Labels, Labels)]) -> String {
    let one = |(labels, annotations): &(Labels, Labels)| {
        if annotations.is_empty() {
            labels.to_string()
        } else {
            format!("{labels} with {annotations}")
        }
    };
    told(alerts.iter().map(one).collect())
}

fn told_samples(samples: &[(Labels, f64)]) -> String {
    told(samples.iter().map(|(labels, value)| format!("{labels} {}", go_text(*value))).collect())
}

fn told(texts: Vec<String>) -> String {
    if texts.is_empty() { "nothing".into() } else { texts.join(", ") }
}
