//! Scripts in the language of Prometheus' own tests of `PromQL`: data is loaded, expressions are
//! evaluated, and what comes of them is compared with what must.
//!
//! ```text
//! load 5m
//!   http_requests{job="api"} 0+10x10
//!
//! eval instant at 50m sum(http_requests)
//!   {} 100
//! ```
//!
//! An expression is evaluated plainly, and as a query that stands in an engine while the samples
//! come in one after the other; both must come to the same. What the engine does not keep up with
//! (`@`, looking ahead, texts and ranges as results) is evaluated plainly alone.
//!
//! A check passes, fails, or is unsupported: then what it asks for is refused when the expression
//! is read, or its series have what is not evaluated, such as native histograms, and what comes of
//! the rest is not what must.

mod comparison;
mod script;

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::limits::LOOKBACK;
use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};

use self::comparison::{Expected, When, difference};
use self::script::{Buckets, Check, Command, Data, commands};
use crate::engine::Standing;
use crate::evaluation::{
    Answer, Conventions, EvaluationError, NameRemoval, Series, Span, Value, query, query_range,
};
use crate::expression::ExpressionReason;
use crate::plan::Plan;
use crate::series_text::Cell;
use crate::storage::Storage;

/// Those of Prometheus' runner.
const CONVENTIONS: Conventions = Conventions {
    lookback: LOOKBACK,
    subquery_step: Duration::from_mins(1),
    names: NameRemoval::Delayed,
};

/// What became of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Checks that passed.
    pub passed: usize,
    /// Checks that failed, and what could not be read.
    pub failed: Vec<Finding>,
    /// Checks of what is not supported.
    pub unsupported: Vec<Finding>,
}

/// A check that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its line in the script, from 1.
    pub line: usize,
    /// The command as written.
    pub command: Box<str>,
    /// What is wrong, or not supported.
    pub reason: Box<str>,
}

/// What becomes of a check that does not pass.
enum Outcome {
    Failed(String),
    Unsupported(String),
}

/// Runs a script.
pub fn run(script: &str) -> Report {
    let mut report = Report::default();
    let mut data = Loaded::default();
    for (line, command) in commands(script) {
        let finding = |command: &str, reason: String| Finding {
            line,
            command: command.into(),
            reason: reason.into(),
        };
        match command {
            Ok(Command::Clear) => data = Loaded::default(),
            Ok(Command::Load(block)) => data.load(block),
            Ok(Command::Check(check)) => match data.check(&check) {
                Ok(()) => report.passed += 1,
                Err(Outcome::Failed(reason)) => {
                    report.failed.push(finding(&check.command, reason));
                }
                Err(Outcome::Unsupported(reason)) => {
                    report.unsupported.push(finding(&check.command, reason));
                }
            },
            Err(script::Fault { command, reason }) => {
                report.failed.push(finding(&command, reason));
            }
        }
    }
    report
}

/// The data that were loaded so far.
#[derive(Default)]
struct Loaded {
    storage: Storage,
    /// The same samples in the order of their times.
    samples: BTreeMap<Timestamp, Vec<Sample>>,
    /// The series that have what is not evaluated: native histograms, or labels of type and unit.
    beyond: Storage,
    /// Whether a block could not be loaded as it was meant, and why.
    lacking: Option<Box<str>>,
}

impl Loaded {
    fn load(&mut self, data: Data) {
        if let Some(lacking) = data.lacking {
            self.lacking = Some(lacking);
        }
        for series in data.series {
            if data.buckets == Buckets::Custom
                && let Some(labels) = histogram_of(&series.labels)
            {
                self.beyond.add(&mark(labels));
            }
            if METADATA_LABELS.iter().any(|name| series.labels.get(name).is_some()) {
                self.beyond.add(&mark(series.labels.clone()));
            }
            let mut time = Timestamp::from_ms(0);
            for cell in series.values {
                let of = |value| Sample { series: series.labels.clone(), value, time };
                match cell {
                    Cell::Nothing => {}
                    Cell::Value(value) => self.add(of(value)),
                    Cell::Histogram => self.beyond.add(&mark(series.labels.clone())),
                }
                time = time.saturating_add(data.step);
            }
        }
    }

    fn add(&mut self, sample: Sample) {
        self.storage.add(&sample);
        self.samples.entry(sample.time).or_default().push(sample);
    }

    fn check(&self, check: &Check) -> Result<(), Outcome> {
        if let Some(lacking) = &self.lacking {
            return Err(Outcome::Unsupported(lacking.to_string()));
        }
        let plan = match Plan::parse(&check.expression) {
            Ok(plan) => plan,
            Err(error) => {
                let is_supported = !matches!(error.reason, ExpressionReason::Unsupported { .. });
                return match &check.expected.failure {
                    Some(failure) if is_supported && failure.is_met(&error.to_string()) => Ok(()),
                    _ => Err(Outcome::Unsupported(error.to_string())),
                };
            }
        };
        if check.expected.has_histograms {
            return Err(Outcome::Unsupported(BEYOND.into()));
        }
        let touches = |selection: &crate::plan::Selection| {
            !self.beyond.select(&selection.selector).is_empty()
        };
        let answer = self.evaluate(&plan, check.when);
        let judged = judge(&check.expected, check, answer);
        judged.and_then(|()| self.stand(plan.clone(), check)).map_err(|reason| {
            if plan.selections.iter().any(touches) {
                Outcome::Unsupported(BEYOND.into())
            } else {
                Outcome::Failed(reason)
            }
        })
    }

    /// Has the expression stand while the samples come in, and looks at it at each step.
    fn stand(&self, plan: Plan, check: &Check) -> Result<(), String> {
        let Ok(plan) = plan.for_rules() else { return Ok(()) };
        let is_streamed = plan.is_vector() && plan.on_tick_only().is_none();
        if !is_streamed || check.expected.is_ordered || check.expected.failure.is_some() {
            return Ok(());
        }
        let mut standing = Standing::new(plan, CONVENTIONS);
        let mut matrix: BTreeMap<Labels, Vec<(Timestamp, f64)>> = BTreeMap::new();
        let mut samples = self.samples.iter().peekable();
        let mut last = Vec::new();
        for time in check.when.times() {
            while let Some((at, batch)) = samples.next_if(|(at, _)| **at <= time) {
                standing.apply(*at, batch);
            }
            standing.apply(time, &[]);
            let reading = standing.read().map_err(|error| format!("standing: {error}"))?;
            if let Some(missed) = reading.missed {
                return Err(format!("standing at {time}: {missed} has come or gone unnoticed"));
            }
            for element in &reading.elements {
                matrix.entry(element.labels.clone()).or_default().push((time, element.value));
            }
            last = reading.elements;
        }
        let value = match check.when {
            When::Instant(_) => Value::Vector(last),
            When::Range { .. } => {
                let series = |(labels, values)| Series { labels, values };
                Value::Matrix(matrix.into_iter().map(series).collect())
            }
        };
        let difference = difference(&check.expected, check.when, &value);
        difference.map_or(Ok(()), |difference| Err(format!("standing: {difference}")))
    }

    fn evaluate(&self, plan: &Plan, when: When) -> Result<Answer, EvaluationError> {
        match when {
            When::Instant(time) => query(plan, &self.storage, &CONVENTIONS, time),
            When::Range { start, end, step } => {
                query_range(plan, &self.storage, &CONVENTIONS, (Span { start, end }, step))
            }
        }
    }
}

/// What some data have that is not evaluated.
const BEYOND: &str = "native histograms, and labels of type and unit, are of tier 3";

/// Labels that go with the metric's name, where Prometheus is told to keep them.
const METADATA_LABELS: [&str; 2] = ["__type__", "__unit__"];

/// Says that there is a series.
fn mark(series: Labels) -> Sample {
    Sample { series, value: 0.0, time: Timestamp::from_ms(0) }
}

/// The native histogram that a series of a classic one belongs to.
fn histogram_of(series: &Labels) -> Option<Labels> {
    let name = series.metric_name()?;
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part))?;
    series.filtered(|name| name != "le").with(METRIC_NAME, base).ok()
}

/// Compares what came with what must.
fn judge(
    expected: &Expected,
    check: &Check,
    answer: Result<Answer, EvaluationError>,
) -> Result<(), String> {
    let answer = match (answer, &expected.failure) {
        (Ok(_), Some(_)) => return Err("expected it to fail, got a value".into()),
        (Err(error), Some(failure)) => {
            let said = error.to_string();
            return failure
                .is_met(&said)
                .then_some(())
                .ok_or_else(|| format!("expected it to fail with {failure}, got: {said}"));
        }
        (Err(error), None) => return Err(format!("expected a value, got: {error}")),
        (Ok(answer), None) => answer,
    };
    expected.check_notes(&answer.notes, &check.expression)?;
    match difference(expected, check.when, &answer.value) {
        Some(difference) => Err(difference),
        None => Ok(()),
    }
}
