//! By which labels an expression falls into parts that do not know of each other.
//!
//! `sum by (job) (rate(x[5m])) > 1` looks at each job on its own: what comes to one of them depends
//! on its series alone. So when a series changes, only its part is evaluated again. The labels that
//! tell the parts apart are found from the leaves up: every operator that brings elements together
//! takes away the labels in which those may differ.

use std::collections::BTreeSet;

use bellwire_model::{Labels, METRIC_NAME};

use super::{Aggregate, LabelSet, Plan, Root, Scalar, Vector, Window};

/// The labels that tell the parts of an expression apart; the metric name never does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartitionKey {
    Only(BTreeSet<Box<str>>),
    AllBut(BTreeSet<Box<str>>),
}

impl PartitionKey {
    /// The key of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let key = Self::of_root(&plan.root).without(&plan.replaced);
        match plan.resolve() {
            Some(resolve) => key.and(Self::of_root(resolve)),
            None => key,
        }
    }

    fn of_root(root: &Root) -> Self {
        match root {
            Root::Vector(vector) => Self::of_vector(vector),
            _ => Self::whole(),
        }
    }

    /// Whether there is one part only.
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::whole()
    }

    /// Whether every series is a part of its own.
    pub(crate) fn is_every_series(&self) -> bool {
        *self == Self::every_series()
    }

    /// The part that a series belongs to.
    pub(crate) fn part(&self, series: &Labels) -> Labels {
        series.filtered(|name| match self {
            Self::Only(names) => names.contains(name),
            Self::AllBut(names) => name != METRIC_NAME && !names.contains(name),
        })
    }

    fn whole() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn every_series() -> Self {
        Self::AllBut(BTreeSet::new())
    }

    fn of_vector(vector: &Vector) -> Self {
        match vector {
            Vector::Select(_) | Vector::SampleTime(_) => Self::every_series(),
            Vector::OfScalar(_) | Vector::Absent(..) | Vector::AbsentOverTime(..) => Self::whole(),
            Vector::EvaluationTime(vector) | Vector::Negated(vector) => Self::of_vector(vector),
            Vector::OverTime(call) => {
                Self::of_window(&call.window).and(Self::of_scalars(&call.parameters))
            }
            Vector::Math(_, vector, parameters) => {
                Self::of_vector(vector).and(Self::of_scalars(parameters))
            }
            Vector::Calendar(_, vector) => {
                vector.as_deref().map_or_else(Self::whole, Self::of_vector)
            }
            Vector::LabelReplace(replace) => {
                Self::of_vector(&replace.vector).without([&replace.target])
            }
            Vector::LabelJoin(join) => Self::of_vector(&join.vector).without([&join.target]),
            Vector::HistogramQuantile(quantile) => Self::of_vector(&quantile.vector)
                .without([&"le".into()])
                .and(Self::of_scalars(std::slice::from_ref(&quantile.level))),
            Vector::Sort(sort) => Self::of_vector(&sort.vector),
            Vector::Aggregation(aggregation) => {
                let parameter = aggregation.function.parameter();
                let key = match &aggregation.function {
                    // The label is the value, whatever it was before.
                    Aggregate::CountValues(label) => {
                        Self::of_vector(&aggregation.vector).without([label])
                    }
                    _ => Self::of_vector(&aggregation.vector),
                };
                key.within(&aggregation.grouping).and(Self::of_scalars(parameter))
            }
            Vector::WithScalar(with) => Self::of_vector(&with.vector)
                .and(Self::of_scalars(std::slice::from_ref(&with.scalar))),
            Vector::Match(matching) => {
                let sides = Self::of_vector(&matching.left).and(Self::of_vector(&matching.right));
                sides.within(&matching.matching)
            }
            Vector::Set(set) => {
                let sides = Self::of_vector(&set.left).and(Self::of_vector(&set.right));
                sides.within(&set.matching)
            }
        }
    }

    fn of_window(window: &Window) -> Self {
        match window {
            Window::Samples { .. } => Self::every_series(),
            Window::Subquery { inner, .. } => Self::of_vector(inner),
        }
    }

    /// Numbers that come from a vector come from all of it.
    fn of_scalars(scalars: &[Scalar]) -> Self {
        let is_of_vector = scalars.iter().any(Scalar::is_of_vector);
        if is_of_vector { Self::whole() } else { Self::every_series() }
    }

    /// The labels of both.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(one), Self::Only(other)) => Self::Only(&one & &other),
            (Self::Only(one), Self::AllBut(other)) | (Self::AllBut(other), Self::Only(one)) => {
                Self::Only(&one - &other)
            }
            (Self::AllBut(one), Self::AllBut(other)) => Self::AllBut(&one | &other),
        }
    }

    fn without<'l>(self, labels: impl IntoIterator<Item = &'l Box<str>>) -> Self {
        self.and(Self::AllBut(labels.into_iter().cloned().collect()))
    }

    fn within(self, labels: &LabelSet) -> Self {
        match labels {
            LabelSet::AllBut(names) => self.without(names),
            LabelSet::Only(names) => {
                let names = names.iter().filter(|name| ***name != *METRIC_NAME);
                self.and(Self::Only(names.cloned().collect()))
            }
        }
    }
}

impl Scalar {
    /// Whether its value comes from a vector.
    pub(crate) fn is_of_vector(&self) -> bool {
        match self {
            Self::Number(_) | Self::Time => false,
            Self::OfVector(_) => true,
            Self::Negated(scalar) => scalar.is_of_vector(),
            Self::Operation(operation) => operation.1.is_of_vector() || operation.2.is_of_vector(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_fall_into_the_parts_that_know_nothing_of_each_other() {
        let series = [("__name__", "x"), ("a", "1"), ("b", "2"), ("le", "3")];
        let series = Labels::from_pairs(series).expect("labels");
        let table = [
            ("x", r#"{a="1",b="2",le="3"}"#),
            ("-abs(rate(x[5m])) > 1", r#"{a="1",b="2",le="3"}"#),
            ("sum by (a, __name__) (x)", r#"{a="1"}"#),
            ("sum without (a) (x)", r#"{b="2",le="3"}"#),
            ("sum(x)", "{}"),
            ("max by (b) (sum by (a, b) (x) / sum by (a) (x))", "{}"),
            ("sum by (a, b) (x) / on (a) group_left sum by (a) (y)", r#"{a="1"}"#),
            ("x / ignoring (b) y", r#"{a="1",le="3"}"#),
            ("x and on (b) y", r#"{b="2"}"#),
            ("x or vector(0)", "{}"),
            ("x unless y", r#"{a="1",b="2",le="3"}"#),
            ("x > scalar(y)", "{}"),
            ("x > time() - 5", r#"{a="1",b="2",le="3"}"#),
            ("topk by (a) (5, x)", r#"{a="1"}"#),
            ("topk by (a) (scalar(y), x)", "{}"),
            (r#"count_values without (b) ("a", x)"#, r#"{le="3"}"#),
            (r#"count_values by (a, b) ("a", x)"#, r#"{b="2"}"#),
            ("absent(x)", "{}"),
            ("histogram_quantile(0.9, x)", r#"{a="1",b="2"}"#),
            (r#"label_replace(x, "b", "$1", "a", "(.*)")"#, r#"{a="1",le="3"}"#),
            ("x and on () hour() > 5", "{}"),
            ("max_over_time(sum by (b) (x)[5m:])", r#"{b="2"}"#),
            ("1", "{}"),
        ];
        for (text, part) in table {
            let key = PartitionKey::of(&Plan::parse(text).expect(text));
            assert_eq!(key.part(&series).to_string(), part, "{text}");
        }
    }
}
