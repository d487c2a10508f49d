//! Whole queries: an expression at one instant, or at every step of a span.

use bellwire_model::limits::EXPRESSION_TABLES_BYTES_MAX;
use bellwire_model::{Labels, NameMap, Sight, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Allowance, Conventions, Evaluated, Evaluation, EvaluationError, Item, Note, Selected, finished,
    selected,
};
use crate::plan::{Plan, Root, Selection};
use crate::selector::Selector;
use crate::short_list::ShortList;
use crate::storage::Storage;

/// What a query comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// An instant vector, in the order in which the expression gives it.
    Vector(Vec<Element>),
    /// A text.
    Text(Box<str>),
    /// A range vector, in the order of the labels.
    Matrix(Vec<Series>),
}

/// An element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// Values of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its values in the order of their times.
    pub values: Vec<(Timestamp, f64)>,
}

/// The first and the last instant of a query; of an instant query they are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub start: Timestamp,
    /// The last instant.
    pub end: Timestamp,
}

impl Span {
    /// One instant.
    pub fn at(time: Timestamp) -> Self {
        Self { start: time, end: time }
    }
}

/// What a query comes to, and what is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Warnings and hints.
    pub notes: Vec<Note>,
}

/// A query as it is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The expression.
    pub plan: Plan,
    /// How it is evaluated.
    pub conventions: Conventions,
    /// The instants; nothing where it is asked of the instant at which it is read.
    pub span: Option<Span>,
    /// How far they are apart; nothing where there is one.
    pub step: Option<Duration>,
    /// The series that whoever asks may see. To them, there are no others.
    pub sight: Sight,
}

impl Question {
    /// What it comes to, within what it may take. The samples and the span are those of an
    /// [`Excerpt`](crate::Excerpt) for it.
    pub fn answer(
        &self,
        (storage, span): (&Storage, Span),
        allowance: &mut Allowance,
    ) -> Evaluated<Answer> {
        let selections = self.plan.selections.iter().map(|selection| &selection.selector);
        let select = |selector| storage.select_while(selector, || allowance.check());
        let selected = selections
            .map(|selector| select(selector).map(ShortList::from))
            .collect::<Evaluated<Vec<_>>>()?;
        let selected = Selected::Each(&selected);
        let evaluation = Evaluation::new(storage, selected, &self.conventions, span);
        let evaluation = evaluation.within(allowance);
        match self.step {
            None => at(evaluation, &self.plan, span.start),
            Some(step) => over(evaluation, &self.plan, step),
        }
    }

    /// The series that any of its selectors selects, in the order of their labels. The samples are
    /// those of an [`Excerpt`](crate::Excerpt) for it.
    pub fn series(
        &self,
        storage: &Storage,
        allowance: &mut Allowance,
    ) -> Evaluated<BTreeSet<Labels>> {
        let mut series = BTreeSet::new();
        for selector in self.selectors() {
            for id in storage.select_while(selector, || allowance.check())? {
                let labels = storage.labels(id);
                let bytes = labels.size_bytes();
                if series.insert(labels) {
                    allowance.hold_bytes(bytes)?;
                }
            }
        }
        Ok(series)
    }

    /// Its selectors.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.plan.selections.iter().map(|selection| &selection.selector)
    }

    /// Makes its selectors fast, within what that may take.
    pub(crate) fn make_tables(&self) {
        let mut bytes_left = EXPRESSION_TABLES_BYTES_MAX;
        self.selectors().for_each(|selector| selector.make_tables(&mut bytes_left));
    }

    /// Its selectors, with after when, and until when, samples count that they select.
    pub(crate) fn reaches(&self, span: Span) -> impl Iterator<Item = (&Selector, (i64, i64))> {
        let selections = self.plan.selections.iter();
        selections.map(move |selection| (&selection.selector, self.reach(span, selection)))
    }

    fn reach(&self, span: Span, selection: &Selection) -> (i64, i64) {
        if !self.plan.looks_back() {
            return (i64::MIN, i64::MAX);
        }
        let reach = Duration::from_millis(selection.reach_ms.unsigned_abs());
        let oldest = span.start.saturating_sub(reach);
        (oldest.saturating_sub(self.conventions.lookback).as_ms(), span.end.as_ms())
    }
}

/// Evaluates an expression at one instant.
pub fn query(
    plan: &Plan,
    storage: &Storage,
    conventions: &Conventions,
    time: Timestamp,
) -> Result<Answer, EvaluationError> {
    let selected = selected(plan, storage);
    let span = Span::at(time);
    at(Evaluation::new(storage, Selected::Each(&selected), conventions, span), plan, time)
}

/// Evaluates an expression at every step of a span.
pub fn query_range(
    plan: &Plan,
    storage: &Storage,
    conventions: &Conventions,
    (span, step): (Span, Duration),
) -> Result<Answer, EvaluationError> {
    let selected = selected(plan, storage);
    over(Evaluation::new(storage, Selected::Each(&selected), conventions, span), plan, step)
}

fn at(mut evaluation: Evaluation<'_>, plan: &Plan, time: Timestamp) -> Evaluated<Answer> {
    let value = evaluation.root(&plan.root, time.as_ms())?;
    Ok(Answer { value, notes: evaluation.notes })
}

fn over(mut evaluation: Evaluation<'_>, plan: &Plan, step: Duration) -> Evaluated<Answer> {
    let Span { start, end } = evaluation.span;
    let mut places: NameMap<Labels, usize> = NameMap::default();
    let mut matrix: Vec<Series> = Vec::new();
    let mut time = start;
    let mut held = evaluation.held();
    while time <= end {
        let elements = match evaluation.root(&plan.root, time.as_ms())? {
            Value::Scalar(value) => vec![Element { labels: Labels::empty(), value }],
            Value::Vector(elements) => elements,
            Value::Text(_) | Value::Matrix(_) => {
                let text = "a range query is of a vector or a number";
                return Err(EvaluationError::Parameter(text.into()));
            }
        };
        // What the step itself has looked at is gone; what it comes to stays.
        evaluation.let_go(held);
        evaluation.hold(elements.len())?;
        held += elements.len();
        for Element { labels, value } in elements {
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                matrix.push(Series { labels: labels.clone(), values: Vec::new() });
                matrix.len() - 1
            });
            matrix[place].values.push((time, value));
        }
        // It stays where it is at the end of all times, and where the step is zero.
        let next = time.saturating_add(step);
        if next == time {
            break;
        }
        time = next;
    }
    matrix.sort_unstable_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
    Ok(Answer { value: Value::Matrix(matrix), notes: evaluation.notes })
}

impl Evaluation<'_> {
    /// What a rule's expression comes to: a number is an element without labels.
    pub(crate) fn items(&mut self, root: &Root, time: i64) -> Evaluated<Vec<Item>> {
        match root {
            Root::Vector(vector) => finished(self.vector(vector, time)?),
            Root::Scalar(scalar) => {
                let number = self.scalar(scalar, time)?;
                Ok(vec![Item { labels: Labels::empty(), number, drops_name: false }])
            }
            Root::Text(_) | Root::Window(_) => {
                let text = "a rule's expression is a vector or a number";
                Err(EvaluationError::Parameter(text.into()))
            }
        }
    }

    fn root(&mut self, root: &Root, time: i64) -> Evaluated<Value> {
        Ok(match root {
            Root::Scalar(scalar) => Value::Scalar(self.scalar(scalar, time)?.value),
            Root::Text(text) => Value::Text(text.clone()),
            Root::Vector(vector) => {
                let element = |Item { labels, number, .. }| Element { labels, value: number.value };
                Value::Vector(
                    finished(self.vector(vector, time)?)?.into_iter().map(element).collect(),
                )
            }
            Root::Window(window) => {
                let mut series = Vec::new();
                for stretch in self.window(window, time)?.1 {
                    let at = |point: &crate::storage::Point| {
                        (Timestamp::from_ms(point.time), point.value)
                    };
                    self.hold(stretch.points.len())?;
                    let values = stretch.points.iter().map(at).collect();
                    series.push(Series { labels: stretch.labels, values });
                }
                Value::Matrix(series)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_all_times_ends_a_query() {
        let max = Timestamp::from_ms(i64::MAX);
        let span = Span { start: Timestamp::from_ms(i64::MAX - 5), end: max };
        for text in ["vector(1)", "1", "max_over_time(vector(1)[5m:1s])", "absent(a)"] {
            let plan = Plan::parse(text).expect(text);
            let (storage, conventions) = (Storage::new(), Conventions::default());
            let step = Duration::from_millis(3);
            let answer = query_range(&plan, &storage, &conventions, (span, step)).expect(text);
            let Value::Matrix(series) = answer.value else { panic!("{text}: no matrix") };
            assert_eq!(series[0].values.len(), 3, "{text}");
        }
    }
}
