//! What a plan comes to at one instant: a function of the plan, the samples and the time.
//!
//! This is the plain evaluator, exact to Prometheus 3. Each family of operators is a module here
//! under the name by which `PromQL` knows it; this one walks the tree and hands out the work.
//!
//! Beside the values it finds out until when they stay as they are while no sample arrives: every
//! part that depends on the time says when it changes next ([`Evaluation::wake`]). Values that
//! move with the time carry how fast they do ([`Number::drift`]), so that a comparison knows when
//! it flips.

pub(crate) mod absence;
pub(crate) mod aggregation;
pub(crate) mod allowance;
pub(crate) mod arithmetic;
pub(crate) mod calendar;
pub(crate) mod column;
pub(crate) mod counter;
pub(crate) mod histogram;
pub(crate) mod label;
pub(crate) mod matching;
pub(crate) mod math;
pub(crate) mod note;
pub(crate) mod order;
pub(crate) mod outline;
pub(crate) mod over_time;
pub(crate) mod query;
pub(crate) mod regression;
pub(crate) mod selection;
pub(crate) mod set;
pub(crate) mod sum;
pub(crate) mod window;

use std::time::Duration;

use bellwire_model::limits::{LOOKBACK, OPERATION_LOOKS, PART_LABELS_WEIGHT};
use bellwire_model::{Labels, METRIC_NAME, NameSet};
use thiserror::Error;

pub use self::allowance::{Allowance, QueryMemory, Waiter};
pub use self::note::{Note, NoteKind};
pub use self::query::{Answer, Element, Question, Series, Span, Value, query, query_range};
use crate::plan::{Plan, Scalar, SelectorId, Vector};
use crate::short_list::ShortList;
use crate::storage::{SeriesId, Storage};

/// How an expression is evaluated, beside what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conventions {
    /// How long a series is present after its newest sample.
    pub lookback: Duration,
    /// The step of a subquery that names none.
    pub subquery_step: Duration,
    /// When operators take the metric name away.
    pub names: NameRemoval,
}

/// When the metric name is taken away from what is no longer that metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRemoval {
    /// At the operator, as Prometheus does unless told otherwise.
    AtOnce,
    /// At the end, so that `label_replace` still sees it.
    Delayed,
}

impl Default for Conventions {
    fn default() -> Self {
        Self {
            lookback: LOOKBACK,
            subquery_step: Duration::from_mins(1),
            names: NameRemoval::AtOnce,
        }
    }
}

/// Why an expression has no value at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// Two elements of a result have the same labels.
    #[error("vector cannot contain metrics with the same labelset")]
    SameLabels,
    /// Two elements of the side that must be unique match the same elements.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the \
         operation: [{one}, {other}];many-to-many matching not allowed: matching labels must be \
         unique on one side"
    )]
    ManyToMany {
        /// The labels that are matched.
        group: Box<str>,
        /// The side that has two of them.
        side: &'static str,
        /// One of the two.
        one: Labels,
        /// The other one.
        other: Labels,
    },
    /// Many match one, and the expression does not say that they may.
    #[error(
        "multiple matches for labels: many-to-one matching must be explicit \
         (group_left/group_right)"
    )]
    ManyToOne,
    /// Two matches come to the same labels.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    SameMatches,
    /// A parameter that cannot be used.
    #[error("{0}")]
    Parameter(Box<str>),
    /// A label that cannot be set.
    #[error(transparent)]
    Labels(#[from] bellwire_model::LabelsError),
    /// A query holds more samples than it may.
    #[error(
        "query processing would load too many samples into memory in expression evaluation: {max} \
         at most; ask for fewer series, a shorter range or a larger step"
    )]
    TooManySamples {
        /// How many it may hold.
        max: usize,
    },
    /// Other queries hold the memory that a query needs.
    #[error("the queries that are under way have all the memory that queries may have")]
    NoMemory,
    /// Nobody waits for a query any more.
    #[error("query timed out in expression evaluation")]
    GivenUp,
    /// One evaluation of a query that is followed takes longer than it may.
    #[error("one evaluation takes longer than a query that is followed may take")]
    TooMuchEffort,
}

/// A number, and how it moves while time alone passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    /// Change per millisecond: zero where it stands still, NaN where it moves in no straight line.
    pub(crate) drift: f64,
}

impl Number {
    /// A number that stands still.
    pub(crate) const fn still(value: f64) -> Self {
        Self { value, drift: 0.0 }
    }

    /// Another value, made of this one in a way that follows no straight line.
    pub(crate) fn becomes(self, value: f64) -> Self {
        Self { value, drift: if self.drift == 0.0 { 0.0 } else { f64::NAN } }
    }
}

/// An element of an instant vector while it is evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) labels: Labels,
    pub(crate) number: Number,
    /// Whether the metric name goes when the evaluation ends.
    pub(crate) drops_name: bool,
}

impl Item {
    pub(crate) fn value(&self) -> f64 {
        self.number.value
    }
}

pub(crate) type Items = Vec<Item>;
pub(crate) type Evaluated<T> = Result<T, EvaluationError>;

/// The series that each selector of a plan selects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selected<'a> {
    /// Those of each selector.
    Each(&'a [ShortList<SeriesId>]),
    /// Those of the only selector.
    Only(&'a [SeriesId]),
}

impl<'a> Selected<'a> {
    fn of(self, selector: SelectorId) -> &'a [SeriesId] {
        match self {
            Self::Each(selected) => &selected[selector.0 as usize],
            Self::Only(selected) => selected,
        }
    }
}

/// Elements that operators give by their numbers alone while a series is looked at.
const OPERATIONS_ON_NUMBERS: u64 = 8;

/// One evaluation: what it works on, and what it finds beside the value.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    storage: &'a Storage,
    selected: Selected<'a>,
    conventions: &'a Conventions,
    /// What `start()` and `end()` are.
    span: Span,
    /// What it may take; rules may take what they need.
    allowance: Option<&'a mut Allowance>,
    notes: Vec<Note>,
    /// When something changes next although no sample arrives.
    wake: Option<i64>,
    /// Whether something changes all the time, in a way that cannot be foretold.
    is_restless: bool,
    /// The series that it has looked at, each as often as it was.
    work: u64,
    /// What its operators have done: one for each of them, and for each element that one gives.
    operations: u64,
    /// How much [effort](Self::effort) it may take; rules may take what they need.
    effort_max: u64,
    ends: LookbackEnds,
}

/// Who sees that a series leaves the lookback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookbackEnds {
    /// Whoever asks when something changes next is told.
    Told,
    /// Whoever asks sees it: each series has a timer of its own.
    Seen,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(
        storage: &'a Storage,
        selected: Selected<'a>,
        conventions: &'a Conventions,
        span: Span,
    ) -> Self {
        Self {
            storage,
            selected,
            conventions,
            span,
            allowance: None,
            notes: Vec::new(),
            wake: None,
            is_restless: false,
            work: 0,
            operations: 0,
            effort_max: u64::MAX,
            ends: LookbackEnds::Told,
        }
    }

    /// For somebody who sees when a series leaves the lookback now, and need not be told.
    pub(crate) fn seeing_ends(self) -> Self {
        Self { ends: LookbackEnds::Seen, ..self }
    }

    /// With what it may take.
    pub(crate) fn within(self, allowance: &'a mut Allowance) -> Self {
        Self { allowance: Some(allowance), ..self }
    }

    /// With how much [effort](Self::effort) it may take.
    pub(crate) fn within_effort(self, effort_max: u64) -> Self {
        Self { effort_max, ..self }
    }

    /// When something changes next although no sample arrives.
    pub(crate) fn next_wake(&self) -> Option<i64> {
        self.wake
    }

    pub(crate) fn is_restless(&self) -> bool {
        self.is_restless
    }

    /// How many series it has looked at, each as often as it was; many samples of a window count as
    /// further series. It is a measure of the time that it took, and the same everywhere.
    pub(crate) fn work(&self) -> u64 {
        self.work
    }

    /// How long it has taken so far, in series that are looked at by their numbers alone: whatever it
    /// did, also where it looked at no series.
    pub(crate) fn effort(&self) -> u64 {
        let looks = self.work.saturating_mul(PART_LABELS_WEIGHT);
        looks.saturating_add(self.operations.saturating_mul(OPERATION_LOOKS))
    }

    /// The same, where no label was looked at.
    pub(crate) fn effort_of_numbers(&self) -> u64 {
        self.work.saturating_mul(2).saturating_add(self.operations / OPERATIONS_ON_NUMBERS)
    }

    /// An operator has come to so many elements.
    fn operated(&mut self, elements: usize) -> Evaluated<()> {
        self.operations += 1 + elements as u64;
        if self.effort() > self.effort_max { Err(EvaluationError::TooMuchEffort) } else { Ok(()) }
    }

    pub(crate) fn scalar(&mut self, scalar: &Scalar, time: i64) -> Evaluated<Number> {
        self.operated(0)?;
        match scalar {
            Scalar::Number(number) => Ok(Number::still(*number)),
            Scalar::Time => Ok(Number { value: seconds(time), drift: 1e-3 }),
            Scalar::OfVector(vector) => self.only_element(vector, time),
            Scalar::Negated(scalar) => self.scalar(scalar, time).map(arithmetic::negated),
            Scalar::Operation(operation) => {
                let (operator, left, right) = &**operation;
                let left = self.scalar(left, time)?;
                let right = self.scalar(right, time)?;
                Ok(self.operate(*operator, left, right, time))
            }
        }
    }

    /// `scalar(…)`: the value of the only element; NaN where there is another number of them.
    fn only_element(&mut self, vector: &Vector, time: i64) -> Evaluated<Number> {
        Ok(match &*self.vector(vector, time)? {
            [only] => only.number,
            _ => Number::still(f64::NAN),
        })
    }

    /// An instant vector.
    pub(crate) fn vector(&mut self, vector: &Vector, time: i64) -> Evaluated<Items> {
        self.check()?;
        let items = self.node(vector, time)?;
        self.operated(items.len())?;
        Ok(items)
    }

    /// This recurses, so each kind of node has a function of its own.
    fn node(&mut self, vector: &Vector, time: i64) -> Evaluated<Items> {
        match vector {
            Vector::Select(instant) => Ok(self.select(instant, time)),
            Vector::SampleTime(instant) => self.sample_times(instant, time),
            Vector::EvaluationTime(vector) => self.evaluation_times(vector, time),
            Vector::OfScalar(scalar) => self.of_scalar(scalar, time),
            Vector::Negated(vector) => self.negate(vector, time),
            Vector::OverTime(call) => self.over_time(call, time),
            Vector::Absent(vector, labels) => self.absent(vector, labels, time),
            Vector::AbsentOverTime(window, labels) => self.absent_over_time(window, labels, time),
            Vector::Math(function, vector, parameters) => {
                self.math(*function, vector, parameters, time)
            }
            Vector::Calendar(function, vector) => self.calendar(*function, vector.as_deref(), time),
            Vector::LabelReplace(replace) => self.label_replace(replace, time),
            Vector::LabelJoin(join) => self.label_join(join, time),
            Vector::HistogramQuantile(quantile) => self.histogram_quantile(quantile, time),
            Vector::Sort(sort) => self.sort(sort, time),
            Vector::Aggregation(aggregation) => self.aggregate(aggregation, time),
            Vector::WithScalar(operation) => self.with_scalar(operation, time),
            Vector::Match(matching) => self.match_vectors(matching, time),
            Vector::Set(operation) => self.set(operation, time),
        }
    }

    fn of_scalar(&mut self, scalar: &Scalar, time: i64) -> Evaluated<Items> {
        let number = self.scalar(scalar, time)?;
        Ok(vec![Item { labels: Labels::empty(), number, drops_name: false }])
    }

    /// The same elements with other values: whatever they are now, they are no longer the metric.
    fn map(&self, items: Items, change: impl Fn(Number) -> Number) -> Evaluated<Items> {
        let mapped = items.into_iter().map(|mut item| {
            item.number = change(item.number);
            self.drop_name(&mut item);
            item
        });
        self.checked(mapped.collect())
    }

    /// Takes the metric name away, now or when the evaluation ends.
    fn drop_name(&self, item: &mut Item) {
        match self.conventions.names {
            NameRemoval::AtOnce => item.labels = without_name(&item.labels),
            NameRemoval::Delayed => item.drops_name = true,
        }
    }

    /// Refuses elements with the same labels, once names are gone.
    fn checked(&self, items: Items) -> Evaluated<Items> {
        if self.conventions.names == NameRemoval::AtOnce && has_same_labels(&items) {
            return Err(EvaluationError::SameLabels);
        }
        Ok(items)
    }

    /// Whether anybody still waits for it.
    fn check(&self) -> Evaluated<()> {
        self.allowance.as_ref().map_or(Ok(()), |allowance| allowance.check())
    }

    /// Holds more samples.
    fn hold(&mut self, samples: usize) -> Evaluated<()> {
        self.allowance.as_mut().map_or(Ok(()), |allowance| allowance.hold(samples))
    }

    /// How many samples it holds.
    fn held(&self) -> usize {
        self.allowance.as_ref().map_or(0, |allowance| allowance.held())
    }

    /// Lets go of the samples beyond so many.
    fn let_go(&mut self, samples: usize) {
        if let Some(allowance) = &mut self.allowance {
            allowance.let_go(samples);
        }
    }

    /// Something changes at this time although no sample arrives.
    fn wake(&mut self, at: i64) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Something depends on this number other than in a straight line.
    fn follow(&mut self, number: Number) {
        if number.drift != 0.0 {
            self.is_restless = true;
        }
    }

    fn note(&mut self, kind: NoteKind, offset: usize, text: String) {
        let note = Note { kind, offset, text: text.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn series_of(&self, selector: SelectorId) -> &'a [SeriesId] {
        self.selected.of(selector)
    }
}

/// The elements as they leave an evaluation: names are gone where they had to go.
pub(crate) fn finished(items: Items) -> Evaluated<Items> {
    let finish = |mut item: Item| {
        if std::mem::take(&mut item.drops_name) {
            item.labels = without_name(&item.labels);
        }
        item
    };
    let items: Items = items.into_iter().map(finish).collect();
    if has_same_labels(&items) { Err(EvaluationError::SameLabels) } else { Ok(items) }
}

fn without_name(labels: &Labels) -> Labels {
    labels.filtered(|name| name != METRIC_NAME)
}

fn has_same_labels(items: &[Item]) -> bool {
    let mut seen = NameSet::default();
    items.len() > 1 && !items.iter().all(|item| seen.insert(&item.labels))
}

/// A time in the unit of `time()`.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

/// Which series each selector of a plan selects.
pub(crate) fn selected(plan: &Plan, storage: &Storage) -> Vec<ShortList<SeriesId>> {
    let selectors = plan.selections.iter().map(|selection| &selection.selector);
    selectors.map(|selector| storage.select(selector).into()).collect()
}
