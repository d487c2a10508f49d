//! What was found against what must be, in each way of evaluating.

use std::time::Duration;

use bellwire_model::Labels;

use super::file::{AlertCheck, Comparison, ExpressionCheck, Suite};
use super::stream::Stream;
use super::{Engines, Verdict};
use crate::evaluation::Element;
use crate::number::go_text;

/// The alerts of a name, each with its labels and annotations.
pub(super) type Alerts = Vec<(Labels, Labels)>;

/// What a check has found by ticks.
pub(super) enum Found<'a> {
    Alerts(&'a AlertCheck, Alerts),
    Elements(&'a ExpressionCheck, Result<Vec<Element>, String>),
}

impl Found<'_> {
    pub(super) fn after(&self) -> Duration {
        match self {
            Self::Alerts(check, _) => check.after,
            Self::Elements(check, _) => check.after,
        }
    }
}

/// How a test went.
pub(super) struct Judged {
    pub(super) by_ticks: Verdict,
    pub(super) as_samples_arrive: Verdict,
    pub(super) failures: Vec<Box<str>>,
    pub(super) differences: Vec<Box<str>>,
}

impl Judged {
    /// Before any check; rules that could not be evaluated are failures by ticks.
    pub(super) fn new(engines: Engines, errors: Vec<Box<str>>) -> Self {
        let (asked, not_asked) = (Verdict::Passed, Verdict::NotRun);
        let (by_ticks, as_samples_arrive) = match engines {
            Engines::Ticks => (asked, not_asked),
            Engines::Stream => (not_asked, asked),
            Engines::Both => (asked, asked),
        };
        let by_ticks = if errors.is_empty() { by_ticks } else { Verdict::Failed };
        Self { by_ticks, as_samples_arrive, failures: errors, differences: Vec::new() }
    }

    /// Compares what was found with what must be; without a stream by ticks alone.
    pub(super) fn compare(
        &mut self,
        mut found: Vec<Found<'_>>,
        mut stream: Option<Stream<'_>>,
        suite: &Suite,
    ) {
        if stream.is_none() {
            self.as_samples_arrive = Verdict::NotRun;
        }
        // A stream goes through time once.
        found.sort_by_key(Found::after);
        for found in found {
            match found {
                Found::Alerts(check, ticked) => self.alerts(check, ticked, stream.as_mut()),
                Found::Elements(check, ticked) => {
                    let streamed = stream
                        .as_mut()
                        .and_then(|stream| stream.elements(check, suite.evaluation_interval));
                    let failure = |found| difference(check, found, suite.comparison);
                    let what = format!("expr: {:?}", check.expression);
                    self.judge((what, check.after), failure(ticked), streamed.map(failure));
                }
            }
        }
    }

    fn alerts(&mut self, check: &AlertCheck, ticked: Alerts, stream: Option<&mut Stream<'_>>) {
        let streamed = stream.map(|stream| {
            let mut streamed = stream.firing(check);
            sort_alerts(&mut streamed);
            streamed
        });
        let AlertCheck { name, after, .. } = check;
        if let Some(streamed) = streamed.as_ref().filter(|streamed| **streamed != ticked) {
            let (streamed, ticked) = (told_alerts(streamed), told_alerts(&ticked));
            let text = format!(
                "alertname: {name}, time: {after:?}: as samples arrive {streamed}, by ticks {ticked}"
            );
            self.differences.push(text.into());
        }
        let mut wanted = check.expected.clone();
        sort_alerts(&mut wanted);
        let failure = |found: Alerts| {
            if found == wanted {
                return Ok(());
            }
            Err(format!("expected {}, got {}", told_alerts(&wanted), told_alerts(&found)))
        };
        let what = format!("alertname: {name}");
        self.judge((what, *after), failure(ticked), streamed.map(failure));
    }

    /// Notes what is wrong by ticks, and as samples arrive, where that was looked at.
    fn judge(
        &mut self,
        (what, after): (String, Duration),
        by_ticks: Result<(), String>,
        streamed: Option<Result<(), String>>,
    ) {
        let is_asked = |verdict: Verdict| verdict != Verdict::NotRun;
        let by_ticks = Some(by_ticks).filter(|_| is_asked(self.by_ticks));
        let streamed = streamed.filter(|_| is_asked(self.as_samples_arrive));
        if matches!(by_ticks, Some(Err(_))) {
            self.by_ticks = Verdict::Failed;
        }
        if matches!(streamed, Some(Err(_))) {
            self.as_samples_arrive = Verdict::Failed;
        }
        // What both say is said once.
        let is_one = streamed.is_none() || streamed == by_ticks;
        let told = if is_one {
            [("", by_ticks), ("", None)]
        } else {
            [(", by ticks", by_ticks), (", as samples arrive", streamed)]
        };
        for (way, outcome) in told {
            if let Some(Err(failure)) = outcome {
                self.failures.push(format!("{what}, time: {after:?}{way}: {failure}").into());
            }
        }
    }
}

/// What is wrong with what an expression has come to.
fn difference(
    check: &ExpressionCheck,
    found: Result<Vec<Element>, String>,
    comparison: Comparison,
) -> Result<(), String> {
    let mut found: Vec<(Labels, f64)> =
        found?.into_iter().map(|element| (element.labels, element.value)).collect();
    let mut wanted = check.expected.clone();
    for samples in [&mut found, &mut wanted] {
        samples.sort_by(|a, b| a.0.iter().cmp(b.0.iter()));
    }
    let are_equal = found.len() == wanted.len()
        && found
            .iter()
            .zip(&wanted)
            .all(|(found, wanted)| found.0 == wanted.0 && is_equal(found.1, wanted.1, comparison));
    if are_equal {
        return Ok(());
    }
    Err(format!("expected {}, got {}", told_samples(&wanted), told_samples(&found)))
}

#[expect(clippy::float_cmp, reason = "promtool compares exactly")]
fn is_equal(one: f64, other: f64, comparison: Comparison) -> bool {
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    comparison == Comparison::Fuzzy && (one.next_up() == other || one.next_down() == other)
}

pub(super) fn sort_alerts(alerts: &mut [(Labels, Labels)]) {
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
